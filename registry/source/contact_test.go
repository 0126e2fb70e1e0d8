package source

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/xai-go/xai/registry"
)

// TestContactAndProgress holds that whoever fetches can say from where, and how
// far it is; and that what an artefact declares comes again where it is wanted,
// while its module, which is in the store, does not.
func TestContactAndProgress(t *testing.T) {
	s := serveRegistry(t)
	c, dir := client(t)
	addr := "oci://" + s.host + "/owner/m:1"
	pinned, err := c.Push(t.Context(), addr, Package{Data: []byte(module), Methods: methods(t, "")})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var hosts []string
	var most int64
	c.Contact = func(host string) {
		mu.Lock()
		defer mu.Unlock()
		hosts = append(hosts, host)
	}
	c.Progress = func(done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if done > total {
			t.Errorf("%d of %d bytes", done, total)
		}
		most = max(most, done)
	}
	first, err := c.Fetch(t.Context(), addr, Want{})
	if err != nil {
		t.Fatal(err)
	}
	if all := slices.Compact(hosts); len(all) != 1 || all[0] != s.host {
		t.Errorf("contacted were %v", hosts)
	}
	if most < int64(len(module)) {
		t.Errorf("%d bytes came, and the module has %d", most, len(module))
	}
	hosts = nil
	if _, err := c.Fetch(t.Context(), addr, Want{SHA256: first.SHA256}); err != nil || hosts != nil {
		t.Errorf("what is in the store was fetched from %v: %v", hosts, err)
	}
	modules := 0
	s.mu.Lock()
	s.tamper = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/blobs/sha256:"+first.SHA256) {
			modules++
		}
		return false
	}
	s.mu.Unlock()
	again, err := c.Fetch(t.Context(), addr, Want{SHA256: first.SHA256, Declared: true})
	if err != nil || again.Methods == nil || again.URL != pinned || again.SHA256 != first.SHA256 || again.Path != first.Path || stored(t, dir) != 1 {
		t.Errorf("Fetch = %+v, %v", again, err)
	}
	if modules != 0 {
		t.Errorf("the module was fetched %d times more", modules)
	}
	wrong := strings.Repeat("0", 64)
	if _, err := c.Fetch(t.Context(), addr, Want{SHA256: wrong, Declared: true}); !isTyped[*registry.HashError](err) {
		t.Errorf("with another hash: %v", err)
	}
}
