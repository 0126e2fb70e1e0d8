package scaffold

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/internal/toolchain"
	"github.com/xai-go/xai/registry"
)

func options(l toolchain.Language) Options {
	return Options{Name: "my-method", Language: l, Version: "v9.9.9"}
}

// TestFiles holds every language to what a folder needs. What the files do is
// for the tests of the command line, which build and run them.
func TestFiles(t *testing.T) {
	for _, l := range Languages {
		t.Run(string(l), func(t *testing.T) {
			files, err := Files(options(l))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"README.md", "methods.toml", ".github/workflows/test.yml"} {
				if len(files[name]) == 0 {
					t.Errorf("there is no %s", name)
				}
			}
			for name, text := range files {
				if m := regexp.MustCompile(`@[a-z_]+@`).FindString(name + string(text)); m != "" && !strings.HasPrefix(name, "xai.") {
					t.Errorf("%s holds %s", name, m)
				}
				if !bytes.HasSuffix(text, []byte("\n")) || bytes.HasSuffix(text, []byte("\n\n")) {
					t.Errorf("%s does not end with one end of line", name)
				}
			}
			dir := filepath.Join(t.TempDir(), "folder")
			if err := Write(t.Context(), dir, files); err != nil {
				t.Fatal(err)
			}
			s, err := toolchain.Find(dir, "", l.Process())
			if err != nil || s.Language != l {
				t.Fatalf("the folder is of %v, %v", s, err)
			}
			output := "my-method.wasm"
			switch l {
			case toolchain.ProcessGo:
				output = "my-method"
			case toolchain.ProcessPython:
				output = "my-method.pyz"
			}
			file, err := registry.Parse(files["methods.toml"], "methods.toml")
			if err != nil {
				t.Fatal(err)
			}
			if m := file.Methods[0]; m.URL != output || (m.Kind == registry.KindProcess) != l.Process() {
				t.Errorf("methods.toml declares a %s at %s", m.Kind, m.URL)
			}
			for _, command := range s.Commands(output) {
				line := strings.Replace(command.String(), "-mod=mod ", "", 1)
				if !bytes.Contains(files["README.md"], []byte(line+"\n")) {
					t.Errorf("the README does not have the command %s", line)
				}
			}
			// The stanza is the one that the description of the source gives, so that
			// the first build changes the hash alone.
			text, change, err := seal.Update(files["methods.toml"], "methods.toml", options(l).method().Entry("my-method.wasm", strings.Repeat("a", 64)))
			if err != nil || change != seal.Pinned || !bytes.Contains(text, []byte("# xai plugin build")) {
				t.Errorf("change %d, %v", change, err)
			}
		})
	}
}

func TestGoModule(t *testing.T) {
	for _, c := range []struct {
		module, replace, want string
	}{
		{"", "", "module example.org/my-method\n\ngo 1.26.0\n\nrequire github.com/xai-go/xai v9.9.9\n"},
		{"github.com/me/m", "/a/b", "module github.com/me/m\n\ngo 1.26.0\n\nrequire github.com/xai-go/xai v9.9.9\n\nreplace github.com/xai-go/xai => /a/b\n"},
		{"", "/a b", "module example.org/my-method\n\ngo 1.26.0\n\nrequire github.com/xai-go/xai v9.9.9\n\nreplace github.com/xai-go/xai => `/a b`\n"},
	} {
		o := options(toolchain.Go)
		o.Module, o.Replace = c.module, c.replace
		files, err := Files(o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(files["go.mod"])); diff != "" {
			t.Error(diff)
		}
	}
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(mod, []byte("\ngo "+GoVersion+"\n")) {
		t.Errorf("go.mod is of another Go than %s", GoVersion)
	}
}

func TestFilesRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(o *Options)
		want, hint string
	}{
		"no name":         {func(o *Options) { o.Name = "" }, `"" cannot be`, "use lower-case"},
		"a path":          {func(o *Options) { o.Name = "../my method" }, "cannot be the name", "did you mean my-method?"},
		"capitals":        {func(o *Options) { o.Name = "My_Method" }, "cannot be the name", "did you mean my-method?"},
		"too long":        {func(o *Options) { o.Name = strings.Repeat("a", 65) }, "cannot be the name", "use lower-case"},
		"a language":      {func(o *Options) { o.Language = "rst" }, `no method in "rst"`, "did you mean rust?"},
		"no language":     {func(o *Options) { o.Language = "" }, `no method in ""`, "use go, "},
		"a module's path": {func(o *Options) { o.Module = "my module" }, "my module", "github.com/you/my-method"},
	} {
		o := options(toolchain.Go)
		c.change(&o)
		_, err := Files(o)
		if e, ok := errors.AsType[*OptionError](err); !ok || !strings.Contains(e.Msg, c.want) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: error %+v", name, err)
		}
	}
}

func TestWrite(t *testing.T) {
	files := map[string][]byte{"a": []byte("one"), "b/c": []byte("two")}
	list := func(dir string) string {
		var all []string
		filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				path, _ = filepath.Rel(dir, path)
				all = append(all, filepath.ToSlash(path))
			}
			return nil
		})
		return strings.Join(all, " ")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		have string // a file that is there before
		dir  string
		want string // below the parent
		err  error
	}{
		{"a new folder", t.Context(), "", "new", "new/a new/b/c", nil},
		{"a new folder in a new one", t.Context(), "", "one/two", "one/two/a one/two/b/c", nil},
		{"an empty folder", t.Context(), "", ".", "a b/c", nil},
		{"a folder with something", t.Context(), "have/x", "have", "have/x", ErrNotEmpty},
		{"cancelled", cancelled, "", "new", "", context.Canceled},
		{"cancelled in an empty folder", cancelled, "", ".", "", context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			if c.have != "" {
				path := filepath.Join(parent, filepath.FromSlash(c.have))
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if err := Write(c.ctx, filepath.Join(parent, filepath.FromSlash(c.dir)), files); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := list(parent); got != c.want {
				t.Errorf("there is %q, want %q", got, c.want)
			}
		})
	}
	t.Run("a file in the place of the folder", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Write(t.Context(), path, files); err == nil {
			t.Error("it is written")
		}
	})
	t.Run("a name that cannot be written", func(t *testing.T) {
		parent := t.TempDir()
		if err := Write(t.Context(), filepath.Join(parent, "new"), map[string][]byte{"a": nil, "a/b": nil}); err == nil || list(parent) != "" {
			t.Errorf("error %v, and there is %q", err, list(parent))
		}
	})
}

func TestQuoteModule(t *testing.T) {
	for dir, want := range map[string]string{"/a/b": "/a/b", "/a b": "`/a b`", "/a\nreplace x => y": `"/a\nreplace x => y"`, "/a`b": "\"/a`b\""} {
		if got := quoteModule(dir); got != want {
			t.Errorf("quoteModule(%q) = %s, want %s", dir, got, want)
		}
	}
}
