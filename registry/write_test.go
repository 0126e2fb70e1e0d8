package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEdit(t *testing.T) {
	dir := t.TempDir()
	path, locks := filepath.Join(dir, "new", "methods.toml"), filepath.Join(dir, "locks")
	content := func() string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	err := Edit(t.Context(), locks, path, func(text []byte) ([]byte, error) {
		if text != nil {
			t.Errorf("the text of no file is %q", text)
		}
		return []byte(methodsFile("a", "1.0.0")), nil
	})
	if err != nil || content() != methodsFile("a", "1.0.0") {
		t.Fatalf("Edit = %v, %q", err, content())
	}
	if runtime.GOOS != "windows" {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stays := errors.New("no")
	for name, edit := range map[string]func([]byte) ([]byte, error){
		"error":   func([]byte) ([]byte, error) { return nil, stays },
		"invalid": func([]byte) ([]byte, error) { return []byte("schema = 2"), nil },
		"nothing": func(text []byte) ([]byte, error) { return text, nil },
	} {
		if err := Edit(t.Context(), locks, path, edit); (err == nil) != (name == "nothing") {
			t.Errorf("%s: %v", name, err)
		}
		after, err := os.Stat(path)
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: the file was written", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Edit(ctx, locks, path, func([]byte) ([]byte, error) {
		cancel()
		return []byte(methodsFile("b", "1.0.0")), nil
	})
	if !errors.Is(err, context.Canceled) || content() != methodsFile("a", "1.0.0") {
		t.Errorf("after an interrupt: %v, %q", err, content())
	}
	if err := Edit(t.Context(), locks, path, func([]byte) ([]byte, error) { return []byte(methodsFile("b", "1.0.0")), nil }); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || after.Mode() != before.Mode() || content() != methodsFile("b", "1.0.0") {
		t.Errorf("the file has the mode %v, %v, and %q", after.Mode(), err, content())
	}
	if diff := cmp.Diff([]string{"methods.toml"}, files(t, filepath.Dir(path))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestEditAtOnce holds that nobody's change gets lost.
func TestEditAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "methods.toml")
	var group sync.WaitGroup
	const writers = 8
	for i := range writers {
		group.Go(func() {
			err := Edit(t.Context(), filepath.Join(dir, "locks"), path, func(text []byte) ([]byte, error) {
				add := methodsFile(fmt.Sprintf("m%d", i), "1.0.0")
				if len(text) > 0 {
					add = strings.TrimPrefix(add, "schema = 1\n")
				}
				return append(text, add...), nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Parse(text, path); err != nil || len(f.Methods) != writers {
		t.Errorf("%d methods, %v; want %d", len(f.Methods), err, writers)
	}
}

func TestWith(t *testing.T) {
	dir := t.TempDir()
	user := write(t, methodsFile("a", "1.0.0", "b", "1.0.0"), dir, "config", "xai", "methods.toml")
	cwd := filepath.Join(dir, "cwd")
	l, err := search(places("", "", cwd, filepath.Join(dir, "config"), ""), []byte(methodsFile("b", "3.0.0", "c", "3.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	project := filepath.Join(cwd, "methods.toml")
	f, err := Parse([]byte(methodsFile("b", "2.0.0", "c", "3.0.0")), project)
	if err != nil {
		t.Fatal(err)
	}
	show := func(l *List) (out []string) {
		for _, e := range l.Entries {
			s := fmt.Sprintf("%s %s of %s", e.Name, e.Version, e.Origin)
			if e.ShadowsBuiltin {
				s += ", not that of xai"
			}
			if e.Embedded {
				s += ", embedded"
			}
			out = append(out, s)
		}
		return out
	}
	with := l.With(f)
	want := []string{"b 2.0.0 of project, not that of xai", "c 3.0.0 of project, embedded", "a 1.0.0 of user"}
	if diff := cmp.Diff(want, show(with)); diff != "" {
		t.Errorf("in a place (-want +got):\n%s", diff)
	}
	if e, ok := with.In(user, "b"); !ok || e.Version != "1.0.0" || e.Origin != OriginUser {
		t.Errorf("In = %+v, %v", e, ok)
	}
	if _, ok := with.In(user, "c"); ok {
		t.Error("a method was found in a file that does not declare it")
	}
	if len(l.Entries) != 3 || l.Entries[0].Version != "1.0.0" {
		t.Errorf("the list that With was called on has become %v", show(l))
	}
	f.Path = filepath.Join(dir, "elsewhere.toml")
	want[0], want[1] = "b 2.0.0 of flag, not that of xai", "c 3.0.0 of flag, embedded"
	if diff := cmp.Diff(want, show(l.With(f))); diff != "" {
		t.Errorf("elsewhere (-want +got):\n%s", diff)
	}
}

func TestUserPath(t *testing.T) {
	dir := t.TempDir()
	if got, want := UserPath(func(string) string { return dir }), filepath.Join(dir, "xai", "methods.toml"); got != want {
		t.Errorf("UserPath = %s, want %s", got, want)
	}
}
