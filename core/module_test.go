package core_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins"
)

// TestModule: a method's bytes are what its registry pins, and nothing else.
func TestModule(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "methods.toml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte("bytes"))
	write("methods.toml", "schema = 1\n[[method]]\nname = \"mine\"\nkind = \"wasm\"\nurl = \"mine.wasm\"\nabi = \"1.0\"\nversion = \"1.0.0\"\nsha256 = \""+hex.EncodeToString(sum[:])+"\"\n")
	open := func(dev bool) *core.Host {
		t.Helper()
		h, err := core.New(core.Options{Methods: core.Builtin(plugins.Builtin()), Registry: file, CacheDir: t.TempDir(), PolicyFile: filepath.Join(dir, "none.toml"), Dev: dev})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	write("mine.wasm", "bytes")
	if e, b, err := open(false).Module(t.Context(), "mine"); err != nil || string(b) != "bytes" || e.Limits.Memory == 0 {
		t.Errorf("%q with %+v, %v", b, e.Limits, err)
	}
	write("mine.wasm", "other bytes")
	if _, _, err := open(false).Module(t.Context(), "mine"); core.KindOf(err) != core.KindMethod {
		t.Errorf("other bytes: %v", err)
	}
	if _, b, err := open(true).Module(t.Context(), "mine"); err != nil || string(b) != "other bytes" {
		t.Errorf("other bytes, as they are: %q, %v", b, err)
	}
	if _, _, err := open(false).Module(t.Context(), "nimE"); core.KindOf(err) != core.KindUsage {
		t.Errorf("an unknown method: %v", err)
	}
	if e, b, err := open(false).Module(t.Context(), "lime"); err != nil || !e.Embedded || len(b) < 1<<20 {
		t.Errorf("lime: %d bytes, %v", len(b), err)
	}
}

// TestExecutable: the path is that of a copy of the pinned bytes.
func TestExecutable(t *testing.T) {
	dir := t.TempDir()
	sum := sha256.Sum256([]byte("program"))
	text := "schema = 1\n[[method]]\nname = \"mine\"\nkind = \"process\"\nurl = \"mine\"\nabi = \"1.0\"\nversion = \"1.0.0\"\nsha256 = \"" + hex.EncodeToString(sum[:]) + "\"\n"
	file := filepath.Join(dir, "methods.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err := core.New(core.Options{Methods: core.Builtin(plugins.Builtin()), Registry: file, CacheDir: t.TempDir(), PolicyFile: filepath.Join(dir, "none.toml")})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for content, ok := range map[string]bool{"program": true, "another": false} {
		if err := os.WriteFile(filepath.Join(dir, "mine"), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		e, path, err := h.Executable(t.Context(), "mine")
		if !ok {
			if core.KindOf(err) != core.KindMethod {
				t.Errorf("%s: %v", content, err)
			}
			continue
		}
		b, _ := os.ReadFile(path)
		if err != nil || string(b) != content || e.SHA256 != hex.EncodeToString(sum[:]) || filepath.Dir(path) == dir {
			t.Errorf("%s: %q at %s, %v", content, b, path, err)
		}
	}
	if _, _, err := h.Executable(t.Context(), "lime"); core.KindOf(err) != core.KindMethod {
		t.Errorf("a module: %v", err)
	}
	if _, _, err := h.Module(t.Context(), "mine"); core.KindOf(err) != core.KindMethod {
		t.Errorf("a program: %v", err)
	}
}
