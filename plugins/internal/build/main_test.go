package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xai-go/xai/plugins/internal/catalog"
)

// TestOtherToolchainsAreRefused builds for a go.mod that names an older
// toolchain than any that runs this test.
func TestOtherToolchainsAreRefused(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command, which the test asks for its version, is not to be had: ", err)
	}
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                 "module example.org/m\n\ngo 1.21\n\ntoolchain go1.21.0\n",
		"plugins/x/wasm/main.go": "package main\n\nfunc main() {}\n",
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(root, "x.wasm")
	_, err := compile(context.Background(), root, catalog.Family{Name: "x"}, out)
	if err == nil || !strings.Contains(err.Error(), "go.mod says go1.21.0") {
		t.Errorf("error %v, want one that names both toolchains", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the module was built all the same")
	}
}

func TestSettle(t *testing.T) {
	name := filepath.Join(t.TempDir(), "modules", "x.gz")
	if err := settle(name, []byte("one"), true); err == nil {
		t.Error("a file that is missing passes the check")
	}
	if err := settle(name, []byte("one"), false); err != nil {
		t.Fatal(err)
	}
	if err := settle(name, []byte("one"), true); err != nil {
		t.Error(err)
	}
	if err := settle(name, []byte("two"), true); err == nil {
		t.Error("a file that differs passes the check")
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "one" {
		t.Errorf("the check changed the file to %q, %v", data, err)
	}
}

func TestCompress(t *testing.T) {
	data := bytes.Repeat([]byte("wasm"), 1000)
	packed, err := compress(data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != "" || !r.ModTime.IsZero() {
		t.Errorf("the header has the name %q and the time %v", r.Name, r.ModTime)
	}
	back, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(back, data) {
		t.Errorf("%d bytes come back, %v", len(back), err)
	}
}

func TestRunNeedsTheRoot(t *testing.T) {
	if err := run(context.Background(), t.TempDir(), true); err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Errorf("error %v, want one that names go.mod", err)
	}
}
