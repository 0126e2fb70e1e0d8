package registry

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGuide reads the files that docs/registry.md shows, and holds that they
// belong together.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join("..", "docs", "registry.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, m := range regexp.MustCompile("(?s)```toml\n# (\\S+)\n(.*?)```").FindAllSubmatch(guide, -1) {
		files[string(m[1])] = m[2]
	}
	f, err := Parse(files["methods.toml"], "methods.toml")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseLock(files[LockName], LockName)
	if err != nil {
		t.Fatal(err)
	}
	list := &List{Places: []Place{{Origin: OriginProject, Path: f.Path, File: f}}}
	list.settle(nil)
	if d := l.Compare(list); d != nil {
		t.Errorf("the lock is not that of methods.toml: %v", d)
	}
	locked, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(locked), "\n") // behind its first line, a comment
	if diff := cmp.Diff(string(files[LockName]), text); diff != "" {
		t.Errorf("the lock as it would be written (-guide +written):\n%s", diff)
	}
	g, err := ParseGrants(files["grants.toml"], "grants.toml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePolicy(files["policy.toml"], "policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	e, err := list.Find("shapely-ish")
	if err != nil {
		t.Fatal(err)
	}
	if ask, err := g.Missing(e, "linux", "amd64"); ask != nil || err != nil {
		t.Errorf("Missing = %v, %v", ask, err)
	}
	if err := p.Check(e); err != nil {
		t.Error(err)
	}
	if e, err = list.Find("in-python"); err != nil || p.Check(e) == nil {
		t.Errorf("the policy of the guide allows a process: %v", err)
	}
	// Every key that is read is shown or explained.
	for _, key := range []string{"landlock", "processes", "rlimit_as", "read", "env", "net", "signer", "digest", "unsigned", "unconfined", "network", "sources", "kinds"} {
		if !strings.Contains(string(guide), key) {
			t.Errorf("the guide does not mention %s", key)
		}
	}
	for _, need := range needs {
		if !strings.Contains(string(guide), "`"+need+"`") {
			t.Errorf("the guide does not mention the need %s", need)
		}
	}
	missing := &NotFetchedError{Name: "shapely-ish", URL: "oci://ghcr.io/owner/shapely-ish:1.2.0", File: "methods.toml"}
	if !strings.Contains(strings.Join(strings.Fields(string(guide)), " "), missing.Error()) {
		t.Errorf("the guide does not show: %v", missing)
	}
}
