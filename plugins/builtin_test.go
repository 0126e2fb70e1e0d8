package plugins_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/plugins/internal/seal"
	"github.com/xai-go/xai/registry"
)

const rebuild = "run go generate ./plugins and commit plugins/modules and methods.toml"

// sections returns the custom sections of that name of an embedded module.
func sections(t *testing.T, module, name string) [][]byte {
	t.Helper()
	data, err := plugins.Builtin().Module(module)
	if err != nil {
		t.Fatal(err)
	}
	found, err := seal.Sections(data, name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestModulesAreFresh compares what the committed modules were built from with
// the sources as they are. It builds nothing, so that any version of Go can run
// it; go run ./plugins/internal/build -check compares the bytes.
func TestModulesAreFresh(t *testing.T) {
	for _, f := range catalog.Families {
		t.Run(f.Name, func(t *testing.T) {
			want, err := seal.Current("..", "plugins/"+f.Name+"/wasm")
			if err != nil {
				t.Fatal(err)
			}
			found := sections(t, f.Module(), seal.SectionBuild)
			if len(found) != 1 {
				t.Fatalf("%d sections %s, want 1", len(found), seal.SectionBuild)
			}
			var got seal.Build
			if err := json.Unmarshal(found[0], &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the module is older than its sources: %s\n%s", rebuild, diff)
			}
		})
	}
}

func TestModulesDescribeTheirMethods(t *testing.T) {
	for _, f := range catalog.Families {
		t.Run(f.Name, func(t *testing.T) {
			var want [][]byte
			for _, m := range f.Methods {
				content, err := seal.Describe(m.Info())
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, content)
			}
			if diff := cmp.Diff(want, sections(t, f.Module(), seal.SectionMethod)); diff != "" {
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
		data, err := b.Module(f.Module())
		if err != nil {
			t.Fatal(err)
		}
		modules[f.Module()] = data
	}
	want, err := seal.Registry(catalog.Families, modules)
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
