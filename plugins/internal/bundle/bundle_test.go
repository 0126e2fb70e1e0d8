package bundle

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk/abi"
)

// tree writes files under a new folder, go.mod among them.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{"go.mod": "module example.org/m\n\ngo 1.26.0\n\ntoolchain go1.26.8\n"}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// module is a main package with two packages behind it.
func moduleFiles() map[string]string {
	return map[string]string{
		"a/wasm/main.go":   "package main\nimport _ \"example.org/m/a\"\nfunc main() {}\n",
		"a/a.go":           "package a\nimport _ \"example.org/m/b\"\nimport _ \"strings\"\n",
		"a/a_test.go":      "package a\nimport _ \"example.org/m/testonly\"\n",
		"b/b.go":           "package b\n",
		"b/b_wasip1.go":    "package b\n",
		"b/b_linux.go":     "package b\nimport _ \"example.org/m/linux\"\n",
		"b/b_new.go":       "//go:build go1.27\n\npackage b\n",
		"unrelated/one.go": "package unrelated\n",
	}
}

func TestSourcesAreWhatTheModuleIsBuiltFrom(t *testing.T) {
	got, err := Sources(tree(t, moduleFiles()), "a/wasm")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a/a.go", "a/wasm/main.go", "b/b.go", "b/b_wasip1.go"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCurrentChangesWithTheSources(t *testing.T) {
	current := func(change func(files map[string]string)) seal.Build {
		t.Helper()
		files := moduleFiles()
		change(files)
		b, err := Current(tree(t, files), "a/wasm")
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	base := current(func(map[string]string) {})
	if base.Toolchain != "go1.26.8" {
		t.Errorf("toolchain %q, want go1.26.8", base.Toolchain)
	}
	for name, c := range map[string]struct {
		change func(files map[string]string)
		same   bool
	}{
		"an edit behind an import": {func(f map[string]string) { f["b/b.go"] += "// more\n" }, false},
		"a new file":               {func(f map[string]string) { f["a/more.go"] = "package a\n" }, false},
		"a renamed file":           {func(f map[string]string) { f["b/c.go"] = f["b/b.go"]; delete(f, "b/b.go") }, false},
		"the language version":     {func(f map[string]string) { f["go.mod"] = "module example.org/m\ngo 1.25.0\ntoolchain go1.26.8\n" }, false},
		"a test":                   {func(f map[string]string) { f["a/a_test.go"] += "// more\n" }, true},
		"another platform's file":  {func(f map[string]string) { f["b/b_linux.go"] += "// more\n" }, true},
		"an unrelated package":     {func(f map[string]string) { f["unrelated/one.go"] += "// more\n" }, true},
		"line endings":             {func(f map[string]string) { f["a/a.go"] = strings.ReplaceAll(f["a/a.go"], "\n", "\r\n") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := current(c.change); (got == base) != c.same {
				t.Errorf("the build is the same: %t, want %t", got == base, c.same)
			}
		})
	}
}

func TestSourcesRefuse(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a third party":       {"b/b.go", "package b\nimport _ \"golang.org/x/text\"\n", "standard library alone"},
		"assembly":            {"b/b.s", "", "more than Go files"},
		"embedded files":      {"b/b.go", "package b\nimport _ \"embed\"\n//go:embed b.go\nvar s string\n", "more than Go files"},
		"no toolchain line":   {"go.mod", "module example.org/m\ngo 1.26.0\n", "toolchain line"},
		"a strange toolchain": {"go.mod", "module example.org/m\ngo 1.26.0\ntoolchain default\n", "no release of Go 1"},
		"a missing package":   {"a/a.go", "package a\nimport _ \"example.org/m/none\"\n", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			files := moduleFiles()
			files[c.file] = c.text
			_, err := Current(tree(t, files), "a/wasm")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}

// TestRegistry: methods.toml says of every method what the method says itself.
func TestRegistry(t *testing.T) {
	for _, f := range catalog.Families {
		module := []byte("the bytes of " + f.Name)
		data, err := Registry([]catalog.Family{f}, map[string][]byte{f.Module(): module})
		if err != nil {
			t.Fatal(err)
		}
		file, err := registry.Parse(data, "methods.toml")
		if err != nil {
			t.Fatal(err)
		}
		if len(file.Methods) != len(f.Methods) {
			t.Fatalf("%d entries for %d methods", len(file.Methods), len(f.Methods))
		}
		for i, e := range file.Methods {
			info := f.Methods[i].Info()
			want := registry.Method{
				Name: info.Name, Kind: registry.KindWASM, URL: "builtin:" + f.Module(), SHA256: fmt.Sprintf("%x", sha256.Sum256(module)),
				ABI: abi.VersionText, Version: info.Version, Summary: info.Summary, Source: info.Source,
				Limits: registry.Limits{Memory: f.Limits.Memory, Timeout: f.Limits.Timeout, Fuel: f.Limits.Fuel, Forwards: f.Limits.Forwards, Output: f.Limits.Output, Log: f.Limits.Log},
			}
			for _, n := range info.Needs {
				want.Needs = append(want.Needs, string(n))
			}
			for _, p := range info.Params {
				want.Params = append(want.Params, registry.Param{
					Name: p.Name, Aliases: p.Aliases, Type: string(p.Type), Default: p.Default,
					Min: p.Min, Max: p.Max, Values: p.Values, Doc: p.Doc, Compat: p.Compat,
				})
			}
			if diff := cmp.Diff(want, e); diff != "" {
				t.Error(diff)
			}
		}
	}
}
