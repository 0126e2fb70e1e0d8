package plugins_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/plugins/internal/bundle"
	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/registry"
)

const rebuild = "run go generate ./plugins and commit plugins/modules and methods.toml"

// module returns an embedded module.
func module(t *testing.T, name string) []byte {
	t.Helper()
	data, err := plugins.Builtin().Module(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestModulesAreFresh compares what the committed modules were built from with
// the sources as they are. It builds nothing, so that any version of Go can run
// it; go run ./plugins/internal/build -check compares the bytes.
func TestModulesAreFresh(t *testing.T) {
	for _, f := range catalog.Families {
		t.Run(f.Name, func(t *testing.T) {
			want, err := bundle.Current("..", "plugins/"+f.Name+"/wasm")
			if err != nil {
				t.Fatal(err)
			}
			got, err := seal.BuildOf(module(t, f.Module()))
			if err != nil || got == nil {
				t.Fatalf("the module says %v of its build: %v", got, err)
			}
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("the module is older than its sources: %s\n%s", rebuild, diff)
			}
		})
	}
}

func TestModulesDescribeTheirMethods(t *testing.T) {
	for _, f := range catalog.Families {
		t.Run(f.Name, func(t *testing.T) {
			got, err := seal.Methods(module(t, f.Module()))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(bundle.Describe(f), got); diff != "" {
				t.Errorf("%s\n%s", rebuild, diff)
			}
		})
	}
}

// TestRegistryIsFresh compares methods.toml with what the modules and the
// methods' declarations give.
func TestRegistryIsFresh(t *testing.T) {
	b := plugins.Builtin()
	modules := make(map[string][]byte)
	for _, f := range catalog.Families {
		modules[f.Module()] = module(t, f.Module())
	}
	want, err := bundle.Registry(catalog.Families, modules)
	if err != nil {
		t.Fatal(err)
	}
	got := bytes.ReplaceAll(b.Registry, []byte("\r\n"), []byte("\n"))
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("methods.toml: %s\n%s", rebuild, diff)
	}
	if !bytes.Equal(b.Registry, xai.Methods()) {
		t.Error("the bundle holds another methods.toml than the root of the module")
	}
}

// TestRegistryNamesWhatTheBundleHolds reads methods.toml as a host does.
func TestRegistryNamesWhatTheBundleHolds(t *testing.T) {
	b := plugins.Builtin()
	file, err := registry.Parse(b.Registry, "methods.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Methods) != len(b.Native) || len(file.Methods) == 0 {
		t.Errorf("methods.toml has %d methods and the bundle %d", len(file.Methods), len(b.Native))
	}
	for _, m := range file.Methods {
		native, ok := b.Native[m.Name]
		if !ok || native.Info().Name != m.Name {
			t.Errorf("the bundle has no native %s", m.Name)
		}
		data, err := b.Module(m.URL[len("builtin:"):])
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != m.SHA256 {
			t.Errorf("%s has the hash %x and methods.toml says %s", m.URL, sum, m.SHA256)
		}
	}
}

func TestModuleIsDecompressedOnce(t *testing.T) {
	var group sync.WaitGroup
	first := make([]*byte, 8)
	for i := range first {
		group.Go(func() {
			data, err := plugins.Builtin().Module("lime.wasm")
			if err != nil {
				t.Error(err)
				return
			}
			first[i] = &data[0]
		})
	}
	group.Wait()
	for _, p := range first {
		if p != first[0] {
			t.Fatal("two calls gave two copies")
		}
	}
}

func TestUnknownModule(t *testing.T) {
	for _, name := range []string{"", "none.wasm", "lime", "lime.wasm.gz", "../builtin.go"} {
		if _, err := plugins.Builtin().Module(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: error %v, want %v", name, err, fs.ErrNotExist)
		}
	}
}
