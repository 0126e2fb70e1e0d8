package core

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/registry"
)

// TestDefaultMemory holds that a method which declares no memory has that of its
// kind, under a policy too, and what of it is in this program.
func TestDefaultMemory(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(policy, []byte("schema = 1\n[limits]\nmemory = \"256MiB\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none.toml")
	for name, c := range map[string]struct {
		kind     string
		declared int64
		policy   string
		want     int64
	}{
		"module":                      {registry.KindWASM, 0, none, 64 << 20},
		"program":                     {registry.KindProcess, 0, none, process.DefaultMemory},
		"program that declares some":  {registry.KindProcess, 100 << 20, none, 100 << 20},
		"program under a policy":      {registry.KindProcess, 0, policy, 256 << 20},
		"module under a policy":       {registry.KindWASM, 0, policy, 64 << 20},
		"large module under a policy": {registry.KindWASM, 1 << 30, policy, 256 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := New(Options{PolicyFile: c.policy})
			if err != nil {
				t.Fatal(err)
			}
			e := registry.Entry{Method: registry.Method{Name: "m", Kind: c.kind, Limits: registry.Limits{Memory: c.declared}}, File: &registry.File{}}
			e, err = h.admit(t.Context(), e)
			if err != nil || e.Limits.Memory != c.want {
				t.Errorf("%d bytes of memory, %v, want %d", e.Limits.Memory, err, c.want)
			}
			bound := h.MemoryBound(e)
			e.Limits.Memory += 1 << 20
			if more := h.MemoryBound(e) - bound; more != 0 && c.kind == registry.KindProcess || more != 1<<20 && c.kind == registry.KindWASM {
				t.Errorf("a MiB more for the method is %d bytes more in this program", more)
			}
		})
	}
}

// TestCacheDir: a cache is in a folder that the system names whole, or nowhere.
func TestCacheDir(t *testing.T) {
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, "")
	}
	for _, home := range []string{"", "home"} {
		t.Setenv("HOME", home)
		t.Setenv("LocalAppData", home)
		h, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if dir := h.cacheDir(); dir != "" {
			t.Errorf("with the home %q it is %q", home, dir)
		}
		if _, err := h.Store(); KindOf(err) != KindInput {
			t.Errorf("with the home %q: %v", home, err)
		}
	}
}
