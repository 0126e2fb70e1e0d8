package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/registry/internal/document"
)

// methodsFile returns a file of wasm methods, given as name and version.
func methodsFile(pairs ...string) string {
	var b strings.Builder
	b.WriteString("schema = 1\n")
	for i := 0; i < len(pairs); i += 2 {
		sum := sha256.Sum256([]byte(pairs[i+1]))
		b.WriteString("[[method]]\nname = \"" + pairs[i] + "\"\nkind = \"wasm\"\nurl = \"" + pairs[i] + ".wasm\"\nabi = \"1.0\"\n" +
			"version = \"" + pairs[i+1] + "\"\nsha256 = \"" + hex.EncodeToString(sum[:]) + "\"\n")
	}
	return b.String()
}

// write makes a file and the folders above it.
func write(t *testing.T, content string, elements ...string) string {
	t.Helper()
	path := filepath.Join(elements...)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSearchOrder(t *testing.T) {
	dir := t.TempDir()
	flag := write(t, methodsFile("a", "1.0.0"), dir, "flag.toml")
	named := write(t, methodsFile("a", "2.0.0", "b", "2.0.0"), dir, "env.toml")
	repository := filepath.Join(dir, "repository")
	write(t, methodsFile("b", "3.0.0", "c", "3.0.0"), repository, "methods.toml")
	write(t, "", repository, ".git", "HEAD")
	cwd := filepath.Join(repository, "deep", "er")
	if err := os.MkdirAll(cwd, 0o777); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config")
	write(t, methodsFile("c", "4.0.0", "d", "4.0.0"), config, "xai", "methods.toml")
	system := write(t, methodsFile("d", "5.0.0", "e", "6.0.0"), dir, "etc", "methods.toml")
	builtin := methodsFile("a", "6.0.0", "e", "6.0.0", "f", "6.0.0")

	l, err := search(places(flag, named, cwd, config, system), []byte(builtin))
	if err != nil {
		t.Fatal(err)
	}
	var origins []Origin
	for _, p := range l.Places {
		if p.File == nil {
			t.Errorf("%s was not read", p.Path)
		}
		origins = append(origins, p.Origin)
	}
	if diff := cmp.Diff([]Origin{OriginFlag, OriginEnv, OriginProject, OriginUser, OriginSystem, OriginBuiltin}, origins); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	// What wins, then what it shadows; ! marks another module under the name
	// of a built-in.
	describe := func(e Entry) string {
		s := string(e.Origin) + " " + e.Version
		if e.ShadowsBuiltin {
			s += "!"
		}
		return s
	}
	got := map[string][]string{}
	for _, e := range l.Entries {
		got[e.Name] = []string{describe(e)}
		for _, s := range e.Shadows {
			got[e.Name] = append(got[e.Name], describe(s))
		}
	}
	want := map[string][]string{
		"a": {"flag 1.0.0!", "environment 2.0.0!", "builtin 6.0.0"},
		"b": {"environment 2.0.0", "project 3.0.0"},
		"c": {"project 3.0.0", "user 4.0.0"},
		"d": {"user 4.0.0", "system 5.0.0"},
		"e": {"system 6.0.0", "builtin 6.0.0"}, // the same bytes: nothing to warn of
		"f": {"builtin 6.0.0"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}

	// What has the bytes of the binary's own is trusted as that is.
	for name, want := range map[string]bool{"a": false, "e": true, "f": true, "c": false} {
		if e, err := l.Find(name); err != nil || e.Embedded != want {
			t.Errorf("%s is embedded: %v, %v", name, e.Embedded, err)
		}
	}

	e, err := l.Find("c")
	if err != nil || e.Version != "3.0.0" || e.File.Path != filepath.Join(repository, "methods.toml") {
		t.Errorf("Find(c) = %+v, %v", e, err)
	}
}

// TestSearchEnvironment holds that Search takes its places from its
// arguments.
func TestSearchEnvironment(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	user := write(t, methodsFile("x", "1.0.0"), config, "xai", "methods.toml")
	named := write(t, methodsFile("y", "1.0.0"), dir, "env.toml")
	env := map[string]string{"XDG_CONFIG_HOME": config, "XAI_METHODS": named}
	l, err := Search("", func(k string) string { return env[k] }, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, p := range l.Places {
		if p.File != nil && p.Origin != OriginSystem {
			read = append(read, p.Path)
		}
	}
	if diff := cmp.Diff([]string{named, user}, read); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestProjectFile(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string // below the root
		want  string
	}{
		{"in the folder", []string{"r/.git/HEAD", "r/a/methods.toml", "r/methods.toml"}, "r/a/methods.toml"},
		{"at the root of the repository", []string{"r/.git/HEAD", "r/methods.toml", "methods.toml"}, "r/methods.toml"},
		{"a worktree's .git is a file", []string{"r/.git", "r/methods.toml"}, "r/methods.toml"},
		{"not above the repository", []string{"r/.git/HEAD", "methods.toml"}, "r/a/methods.toml"},
		{"not above the folder outside a repository", []string{"r/methods.toml"}, "r/a/methods.toml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for _, f := range c.files {
				write(t, "", root, filepath.FromSlash(f))
			}
			cwd := filepath.Join(root, "r", "a")
			if got, want := ProjectPath(cwd), filepath.Join(root, filepath.FromSlash(c.want)); got != want {
				t.Errorf("ProjectPath = %s, want %s", got, want)
			}
		})
	}
}

func TestSearchErrors(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.toml")
	broken := write(t, "schema = ", dir, "broken.toml")
	huge := write(t, strings.Repeat("#", document.MaxSize+1), dir, "huge.toml")
	for _, c := range []struct {
		name    string
		places  []Place
		builtin string
		want    string
	}{
		{"explicit file missing", places(missing, "", "", "", ""), "",
			"the registry file " + missing + " does not exist; --registry takes the path of a methods.toml"},
		{"named file missing", places("", missing, "", "", ""), "",
			"the registry file " + missing + " does not exist; correct $XAI_METHODS or unset it"},
		{"explicit file is a folder", places(dir, "", "", "", ""), "", dir + " is a folder and must be a regular file"},
		{"broken file", places("", "", "", "", broken), "", broken + ":1: "},
		{"huge file", places("", "", "", "", huge), "", huge + " has more than 1048576 bytes"},
		{"broken built-in file", nil, "schema = 0", "builtin:methods.toml:1: schema must be 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := search(c.places, []byte(c.builtin))
			if err == nil {
				t.Fatalf("search = %+v, want an error", l)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want %s", err, c.want)
			}
		})
	}
	t.Run("others may be missing", func(t *testing.T) {
		l, err := search(places("", "", dir, dir, missing), nil)
		if err != nil || len(l.Places) != 3 || len(l.Entries) != 0 {
			t.Errorf("search = %+v, %v", l, err)
		}
	})
	t.Run("unreadable", func(t *testing.T) {
		if runtime.GOOS == "windows" || os.Geteuid() == 0 {
			t.Skip("permissions do not bind this user")
		}
		file := write(t, "schema = 1", dir, "secret.toml")
		if err := os.Chmod(file, 0); err != nil {
			t.Fatal(err)
		}
		_, err := search(places("", "", "", "", file), nil)
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), file) {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("a file named twice is read once", func(t *testing.T) {
		file := write(t, methodsFile("x", "1.0.0"), dir, "methods.toml")
		l, err := search(places(file, file, dir, "", ""), nil)
		if err != nil || len(l.Places) != 1 || len(l.Entries) != 1 || l.Entries[0].Shadows != nil {
			t.Errorf("search = %+v, %v", l, err)
		}
	})
}

func TestFind(t *testing.T) {
	l, err := search(nil, []byte(methodsFile("lime", "1.0.0", "kernel-shap", "1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, nearest, message string }{
		{"lmie", "lime", `no method is named "lmie"; did you mean "lime"?`},
		{"saliency", "", `no method is named "saliency"; list them with: xai methods list`},
	} {
		_, err := l.Find(c.name)
		notFound, ok := errors.AsType[*NotFoundError](err)
		if !ok || notFound.Name != c.name || notFound.Nearest != c.nearest || err.Error() != c.message {
			t.Errorf("Find(%s): %T %v", c.name, err, err)
		}
	}
}

// entry finds the only method of a registry file.
func entry(t *testing.T, file, url, module string) Entry {
	t.Helper()
	sum := sha256.Sum256([]byte(module))
	m := Method{Name: "m", Kind: KindWASM, URL: url, SHA256: hex.EncodeToString(sum[:]), ABI: "1.0", Version: "1.0.0"}
	return Entry{Method: m, Origin: OriginProject, File: &File{Path: file, Methods: []Method{m}}}
}

func none(string) ([]byte, error) { return nil, fs.ErrNotExist }

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "methods.toml")
	module := write(t, "bytes", dir, "modules", "m.wasm")
	embedded := func(name string) ([]byte, error) {
		if name == "m.wasm" {
			return []byte("bytes"), nil
		}
		return nil, fs.ErrNotExist
	}
	address := "file://" + filepath.ToSlash(module)
	if runtime.GOOS == "windows" {
		address = "file:///" + filepath.ToSlash(module)
	}
	for name, url := range map[string]string{
		"built-in": "builtin:m.wasm", "relative path": "modules/m.wasm", "absolute path": module,
		"up and down": "modules/../modules/m.wasm", "file address": address,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Loader{Builtin: embedded}.Module(t.Context(), entry(t, file, url, "bytes"))
			if err != nil || string(got) != "bytes" {
				t.Errorf("Module = %q, %v", got, err)
			}
		})
	}

	t.Run("the hash is verified every time", func(t *testing.T) {
		e := entry(t, file, "changing.wasm", "before")
		write(t, "before", dir, "changing.wasm")
		if _, err := (Loader{Builtin: none}).Module(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		write(t, "after", dir, "changing.wasm")
		_, err := Loader{Builtin: none}.Module(t.Context(), e)
		got, ok := errors.AsType[*HashError](err)
		if !ok {
			t.Fatalf("error = %v, want a *HashError", err)
		}
		before, after := sha256.Sum256([]byte("before")), sha256.Sum256([]byte("after"))
		want := &HashError{
			Name: "m", Want: hex.EncodeToString(before[:]), Got: hex.EncodeToString(after[:]),
			Path: filepath.Join(dir, "changing.wasm"), File: file,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, part := range []string{want.Want, want.Got, want.Path, file, "pin the new hash"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the message lacks %q: %v", part, err)
			}
		}
	})
	t.Run("a built-in of other bytes", func(t *testing.T) {
		_, err := Loader{Builtin: embedded}.Module(t.Context(), entry(t, file, "builtin:m.wasm", "others"))
		if got, ok := errors.AsType[*HashError](err); !ok || got.Path != "builtin:m.wasm" || !strings.Contains(err.Error(), "another version of xai") {
			t.Errorf("error = %v", err)
		}
	})
	for _, c := range []struct {
		name, url, want string
	}{
		{"no such built-in", "builtin:x.wasm", `method m: this build of xai holds no module "x.wasm", which ` + file + ` asks for`},
		{"no such file", "x.wasm", "method m: cannot read the module that " + file + " names"},
		{"a folder", "modules", filepath.Join(dir, "modules") + " is a folder and must be a regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Loader{Builtin: embedded}.Module(t.Context(), entry(t, file, c.url, "bytes"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want %s", err, c.want)
			}
		})
	}
	t.Run("a link", func(t *testing.T) {
		if err := os.Symlink(module, filepath.Join(dir, "link.wasm")); err != nil {
			t.Skip("this system makes no symbolic links: ", err)
		}
		_, err := Loader{Builtin: none}.Module(t.Context(), entry(t, file, "link.wasm", "bytes"))
		if err == nil || !strings.Contains(err.Error(), "is a symbolic link and must be a regular file") {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("oversize", func(t *testing.T) {
		big := write(t, "", dir, "big.wasm")
		if err := os.Truncate(big, MaxModule+1); err != nil {
			t.Fatal(err)
		}
		_, err := Loader{Builtin: none}.Module(t.Context(), entry(t, file, "big.wasm", "bytes"))
		if err == nil || !strings.Contains(err.Error(), big+" has more than 33554432 bytes") {
			t.Errorf("error = %v", err)
		}
	})
}

// TestHomeless holds that a home which is no folder has no files, and that one which
// is another folder in every project is none.
func TestHomeless(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // homes are named otherwise there
	}
	dir := t.TempDir()
	file := write(t, "", dir, "file")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", file)
	path := GrantsPath(os.Getenv)
	if g, err := ReadGrants(path); err != nil || len(g.grants) != 0 {
		t.Errorf("ReadGrants(%s) = %v, %v", path, g, err)
	}
	if list, err := Search("", os.Getenv, dir, nil); err != nil || len(list.Entries) != 0 {
		t.Errorf("Search = %v, %v", list, err)
	}
	t.Setenv("HOME", "relative")
	if got := GrantsPath(os.Getenv) + UserPath(os.Getenv); got != "" {
		t.Errorf("files of a relative home are %s", got)
	}
}
