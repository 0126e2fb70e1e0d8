package toolchain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// folder writes files into a new folder of that name.
func folder(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    []string
		method   string
		language Language
		want     []string
		called   string
	}{
		{"Go", []string{"a.go", "go.mod", "a_test.go"}, "", Go, []string{"."}, "dir[x]"},
		{"C", []string{"occlude.c", "xai.h", "README.md"}, "", C, []string{"occlude.c"}, "occlude"},
		{"C of several files", []string{"b.c", "a.c"}, "", C, []string{"a.c", "b.c"}, "dir[x]"},
		{"Rust", []string{"occlude.rs", "xai.rs"}, "", Rust, []string{"occlude.rs"}, "occlude"},
		{"the root of Rust", []string{"lib.rs", "xai.rs", "more.rs"}, "", Rust, []string{"lib.rs"}, "dir[x]"},
		{"the method's own name", []string{"mine.rs", "xai.rs", "more.rs"}, "mine", Rust, []string{"mine.rs"}, "mine"},
		{"AssemblyScript", []string{"occlude.ts", "xai.ts", "types.d.ts", "package.json"}, "", AssemblyScript, []string{"occlude.ts"}, "occlude"},
		{"a process in Go", []string{"a.go", "go.mod", "a.c"}, "", ProcessGo, []string{"."}, "dir[x]"},
		{"a process in Python", []string{"my_method.py", "xai.py", "test_my_method.py"}, "", ProcessPython, []string{"my_method.py"}, "my-method"},
		{"a process in Python of several files", []string{"more.py", "my_method.py", "xai.py"}, "my-method", ProcessPython, []string{"my_method.py", "more.py"}, "my-method"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := map[string]string{}
			for _, f := range c.files {
				files[f] = "package main\n"
			}
			s, err := Find(folder(t, "dir[x]", files), c.method, c.language.Process())
			if err != nil {
				t.Fatal(err)
			}
			if s.Language != c.language || s.Name() != c.called {
				t.Errorf("it is %s in %s, want %s in %s", s.Name(), s.Language, c.called, c.language)
			}
			if diff := cmp.Diff(c.want, s.Files); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFindMainPackageBelow(t *testing.T) {
	dir := folder(t, "m", map[string]string{"m.go": "package m\n", "wasm/main.go": "// Comment.\npackage main\n", "wasm/main_test.go": "package main\n"})
	s, err := Find(dir, "", false)
	if err != nil || !cmp.Equal(s.Files, []string{"./wasm"}) || s.Name() != "m" {
		t.Errorf("it is %v, %v", s, err)
	}
}

func TestFindRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":         {map[string]string{"README.md": ""}, "no sources"},
		"tests alone":     {map[string]string{"a_test.go": "package main\n"}, "no sources"},
		"the SDK alone":   {map[string]string{"xai.rs": ""}, "no sources"},
		"two languages":   {map[string]string{"a.c": "", "a.rs": ""}, "both Rust and C"},
		"a crate":         {map[string]string{"Cargo.toml": "", "lib.rs": ""}, "crate of Cargo"},
		"several roots":   {map[string]string{"a.rs": "", "b.rs": ""}, "several files"},
		"no main package": {map[string]string{"a.go": "package a\n", "wasm/a.go": "package a\n"}, "no main package"},
	} {
		_, err := Find(folder(t, "dir", c.files), "", false)
		if e, ok := errors.AsType[*SourceError](err); !ok || !strings.Contains(e.Error(), c.want) || e.Hint == "" {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.want)
		}
	}
	if _, err := Find(filepath.Join(t.TempDir(), "none"), "", false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		source Source
		want   []string
	}{
		{Source{Language: C, Files: []string{"a.c"}}, []string{
			"clang --target=wasm32 -std=c11 -O2 -mbulk-memory -Wall -c -o m.o a.c",
			"wasm-ld --no-entry --strip-all -o m.wasm m.o",
		}},
		{Source{Language: C, Files: []string{"a.c", "b.c"}}, []string{
			"clang --target=wasm32 -std=c11 -O2 -mbulk-memory -Wall -c -o a.o a.c",
			"clang --target=wasm32 -std=c11 -O2 -mbulk-memory -Wall -c -o b.o b.c",
			"wasm-ld --no-entry --strip-all -o m.wasm a.o b.o",
		}},
		{Source{Language: ProcessGo, Files: []string{"."}}, []string{
			"CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o m.wasm .",
		}},
		{Source{Language: ProcessPython, Files: []string{"a.py", "b.py"}}, []string{"python3 xai.py pack -o m.wasm a.py b.py"}},
		{Source{Language: Go, Files: []string{"."}, Dir: t.TempDir()}, []string{
			"GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o m.wasm .",
		}},
		{Source{Language: Go, Files: []string{"./wasm"}, Dir: folder(t, "m", map[string]string{"go.mod": ""})}, []string{
			"GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -mod=mod -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o m.wasm ./wasm",
		}},
	} {
		var got []string
		for _, command := range c.source.Commands("m.wasm") {
			got = append(got, command.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestQuote(t *testing.T) {
	for word, want := range map[string]string{
		"plain": "plain", "": "''", "two words": "'two words'", "it's": `'it'\''s'`, "a=b c": "a='b c'", "$HOME": "'$HOME'", "--x=$(y)": "--x='$(y)'",
	} {
		if got := quote(word); got != want {
			t.Errorf("%q is quoted as %s, want %s", word, got, want)
		}
	}
}

// program writes a script that stands for a compiler.
func program(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestMissingPrograms(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("RUSTC", "")
	for language, want := range map[Language]string{Go: "go.dev", Rust: "rustup", C: "clang", AssemblyScript: "npm install", ProcessGo: "go.dev", ProcessPython: "python.org"} {
		_, err := Source{Dir: t.TempDir(), Language: language, Files: []string{"."}}.Build(t.Context(), filepath.Join(t.TempDir(), "m.wasm"))
		if e, ok := errors.AsType[*MissingError](err); !ok || !strings.Contains(e.Hint, want) || !strings.Contains(e.Error(), e.Program) {
			t.Errorf("%s: error %v, want one that says what to install", language, err)
		}
	}
}

// TestBuild builds with programs that are scripts.
func TestBuild(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // no scripts of this kind there
	}
	path := os.Getenv("PATH")
	bin := func() string {
		dir := t.TempDir()
		t.Setenv("PATH", dir+string(filepath.ListSeparator)+path)
		return dir
	}
	module := func() string { return filepath.Join(t.TempDir(), "m.wasm") }

	t.Run("Rust with the target behind one without", func(t *testing.T) {
		first, second := t.TempDir(), t.TempDir()
		t.Setenv("PATH", strings.Join([]string{first, second, path}, string(filepath.ListSeparator)))
		t.Setenv("RUSTC", "")
		program(t, first, "rustc", "echo "+filepath.Join(first, "none")+"\n")
		program(t, second, "rustc", `case "$1" in --print) echo `+second+`;; --version) echo a warning >&2; echo rustc 9.9;; *) echo built > "$OUT";; esac`)
		out := module()
		t.Setenv("OUT", out)
		version, err := Source{Dir: t.TempDir(), Language: Rust, Files: []string{"m.rs"}}.Build(t.Context(), out)
		if text, _ := os.ReadFile(out); err != nil || version != "rustc 9.9" || string(text) != "built\n" {
			t.Errorf("%q by %q, %v", text, version, err)
		}
	})
	t.Run("Rust without the target", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("PATH", dir)
		t.Setenv("RUSTC", "")
		program(t, dir, "rustc", "exit 1\n")
		_, err := Source{Dir: t.TempDir(), Language: Rust, Files: []string{"m.rs"}}.Build(t.Context(), module())
		if err == nil || !strings.Contains(err.Error(), "has no target") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("asc of a folder around", func(t *testing.T) {
		root := folder(t, "root", map[string]string{"node_modules/.bin/other": "", "methods/m/m.ts": ""})
		program(t, filepath.Join(root, "node_modules", ".bin"), "asc", "echo Version 9.9\n")
		version, err := Source{Dir: filepath.Join(root, "methods", "m"), Language: AssemblyScript, Files: []string{"m.ts"}}.Build(t.Context(), module())
		if err != nil || version != "asc 9.9" {
			t.Errorf("built by %q, %v", version, err)
		}
	})
	t.Run("what does not compile", func(t *testing.T) {
		program(t, bin(), "clang", "echo in file included; echo 'm.c:1: error: no such thing'; echo 1 error generated; exit 1")
		_, err := Source{Dir: t.TempDir(), Language: C, Files: []string{"m.c"}}.Build(t.Context(), module())
		e, ok := errors.AsType[*FailedError](err)
		if !ok || e.Error() != "clang failed: m.c:1: error: no such thing" || !strings.Contains(e.Output, "1 error generated") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("what is fetched on the way", func(t *testing.T) {
		program(t, bin(), "clang", "echo 'go: downloading example.org/m v1.0.0'; echo 'm.c:1: no such version'; exit 1")
		_, err := Source{Dir: t.TempDir(), Language: C, Files: []string{"m.c"}}.Build(t.Context(), module())
		if e, ok := errors.AsType[*FailedError](err); !ok || e.Error() != "clang failed: m.c:1: no such version" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("endless output", func(t *testing.T) {
		program(t, bin(), "clang", "i=0; while [ $i -lt 300 ]; do printf '%8191d\n' 0; i=$((i+1)); done; exit 1")
		_, err := Source{Dir: t.TempDir(), Language: C, Files: []string{"m.c"}}.Build(t.Context(), module())
		if e, ok := errors.AsType[*FailedError](err); !ok || len(e.Output) != maxOutput {
			t.Errorf("error %.100v with %d bytes of output", err, len(e.Output))
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		dir := bin()
		started := filepath.Join(dir, "started")
		program(t, dir, "clang", ": > "+started+"; exec sleep 60")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for {
				if _, err := os.Stat(started); err == nil {
					cancel()
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		begin := time.Now()
		_, err := Source{Dir: t.TempDir(), Language: C, Files: []string{"m.c"}}.Build(ctx, module())
		if !errors.Is(err, context.Canceled) || time.Since(begin) > 30*time.Second {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
	})
}
