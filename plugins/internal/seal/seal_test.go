package seal

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
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
	current := func(change func(files map[string]string)) Build {
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

func TestSections(t *testing.T) {
	module := []byte(header + "\x01\x04\x01\x60\x00\x00") // a type section
	long := strings.Repeat("x", 300)
	module = Append(module, "one", []byte(long))
	module = Append(module, "two", nil)
	module = Append(module, "one", []byte("again"))
	got, err := Sections(module, "one")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{[]byte(long), []byte("again")}, got); diff != "" {
		t.Error(diff)
	}
	if got, err := Sections(module, "three"); err != nil || got != nil {
		t.Errorf("a section that is not there: %q, %v", got, err)
	}
	for at := len(module) - 1; at > len(module)-9; at-- { // inside the last section
		if _, err := Sections(module[:at], "one"); err == nil {
			t.Errorf("a module cut at byte %d of %d is accepted", at, len(module))
		}
	}
	if _, err := Sections([]byte("\x00asm\x02\x00\x00\x00"), "one"); err == nil {
		t.Error("another version is accepted")
	}
}

func TestSealAndRegistryAgree(t *testing.T) {
	for _, f := range catalog.Families {
		b := Build{Sources: "abc", Toolchain: "go1.26.8"}
		sealed, err := Seal([]byte(header), f, b)
		if err != nil {
			t.Fatal(err)
		}
		data, err := Registry([]catalog.Family{f}, map[string][]byte{f.Module(): sealed})
		if err != nil {
			t.Fatal(err)
		}
		file, err := registry.Parse(data, "methods.toml")
		if err != nil {
			t.Fatal(err)
		}
		sections, err := Sections(sealed, SectionMethod)
		if err != nil || len(sections) != len(f.Methods) || len(file.Methods) != len(f.Methods) {
			t.Fatalf("%d sections, %d entries, %v; want %d of each", len(sections), len(file.Methods), err, len(f.Methods))
		}
		for i, section := range sections {
			decoder := json.NewDecoder(bytes.NewReader(section))
			decoder.UseNumber()
			var m Method
			if err := decoder.Decode(&m); err != nil {
				t.Fatal(err)
			}
			e, info := file.Methods[i], f.Methods[i].Info()
			type head struct {
				Name, Version, Summary, Source, ABI string
				Needs                               []sdk.Need
			}
			needs := make([]sdk.Need, len(e.Needs))
			for j, n := range e.Needs {
				needs[j] = sdk.Need(n)
			}
			want := head{info.Name, info.Version, info.Summary, info.Source, abiVersion, info.Needs}
			for where, got := range map[string]head{
				"section":  {m.Name, m.Version, m.Summary, m.Source, m.ABI, m.Needs},
				"registry": {e.Name, e.Version, e.Summary, e.Source, e.ABI, needs},
			} {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s: %s", where, diff)
				}
			}
			for j, p := range info.Params {
				got := e.Params[j]
				back := sdk.Param{
					Name: got.Name, Aliases: got.Aliases, Type: sdk.ParamType(got.Type), Default: got.Default,
					Min: got.Min, Max: got.Max, Values: got.Values, Doc: got.Doc, Compat: got.Compat,
				}
				if diff := cmp.Diff(p, back); diff != "" {
					t.Errorf("registry, parameter %s: %s", p.Name, diff)
				}
				if m.Params[j].Name != p.Name || m.Params[j].Doc != p.Doc {
					t.Errorf("section, parameter %d is %s, want %s", j, m.Params[j].Name, p.Name)
				}
			}
		}
	}
}
