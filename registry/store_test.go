package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/registry/signature"
)

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// publisher draws a key, and returns it with its signature of the content.
func publisher(t *testing.T, content string) (signer string, sig []byte) {
	t.Helper()
	key, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	sig, err = key.Sign(strings.NewReader(content), "test")
	if err != nil {
		t.Fatal(err)
	}
	return key.Public().String(), sig
}

// files returns the names of the files in a folder and below.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	s := NewStore(dir)
	signer, sig := publisher(t, "module")
	item := Item{SHA256: sumOf("module"), Name: "m", Signer: signer, Signature: sig}
	if _, err := s.Check(t.Context(), item); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Check of an empty store = %v", err)
	}
	sum, err := s.Add(t.Context(), strings.NewReader("module"), item)
	if err != nil || sum != item.SHA256 {
		t.Fatalf("Add = %s, %v", sum, err)
	}
	// Again, as two commands might.
	if _, err := s.Add(t.Context(), strings.NewReader("module"), item); err != nil {
		t.Fatal(err)
	}
	path, err := s.Check(t.Context(), item)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "module" {
		t.Errorf("the store holds %q, %v", data, err)
	}
	sum, err = s.Add(t.Context(), strings.NewReader("program"), Item{Content: ContentExecutable})
	if err != nil || sum != sumOf("program") {
		t.Fatalf("Add = %s, %v", sum, err)
	}
	key, _ := signature.ParsePublicKey(signer)
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	want := []string{"executables/" + sumOf("program") + suffix, "modules/" + item.SHA256, "modules/" + item.SHA256 + "." + key.ID() + ".minisig"}
	if diff := cmp.Diff(want, files(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if runtime.GOOS != "windows" {
		for name, want := range map[string]fs.FileMode{"modules": 0o700, want[0]: 0o500, want[1]: 0o400, want[2]: 0o400} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has the mode %v, %v, want %v", name, info.Mode().Perm(), err, want)
			}
		}
	}
}

func TestStoreRefuses(t *testing.T) {
	signer, sig := publisher(t, "module")
	other, _ := publisher(t, "module")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		content io.Reader
		item    Item
		want    string
	}{
		{"other bytes", t.Context(), strings.NewReader("other"), Item{SHA256: sumOf("module")}, "has sha256 " + sumOf("other")},
		{"no signature", t.Context(), strings.NewReader("module"), Item{Signer: signer}, "no file of minisign's"},
		{"another's signature", t.Context(), strings.NewReader("module"), Item{Signer: other, Signature: sig}, "and should be by"},
		{"a signature of other bytes", t.Context(), strings.NewReader("other"), Item{Signer: signer, Signature: sig}, "does not fit the bytes"},
		{"no key", t.Context(), strings.NewReader("module"), Item{Signer: "rsa", Signature: sig}, "a key is ed25519:"},
		{"too large", t.Context(), io.LimitReader(zeros{}, MaxModule+1), Item{}, "the module has more than 33554432 bytes"},
		{"cancelled", cancelled, strings.NewReader("module"), Item{}, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := NewStore(dir).Add(c.ctx, c.content, c.item)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want %s", err, c.want)
			}
			if left := files(t, dir); left != nil {
				t.Errorf("the store holds %v", left)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestStoreMends holds that adding again replaces what was damaged.
func TestStoreMends(t *testing.T) {
	s := NewStore(t.TempDir())
	item := Item{SHA256: sumOf("module"), Name: "m"}
	if _, err := s.Add(t.Context(), strings.NewReader("module"), item); err != nil {
		t.Fatal(err)
	}
	path := s.path(ContentModule, item.SHA256)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, "damage", path)
	_, err := s.Check(t.Context(), item)
	if e, ok := errors.AsType[*HashError](err); !ok || e.Got != sumOf("damage") || e.Path != path {
		t.Errorf("Check = %v", err)
	}
	if _, err := s.Add(t.Context(), strings.NewReader("module"), item); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Check(t.Context(), item); err != nil {
		t.Error(err)
	}
}

func TestStoreAtOnce(t *testing.T) {
	s := NewStore(t.TempDir())
	content := bytes.Repeat([]byte("module"), 10_000)
	item := Item{SHA256: sumOf(string(content)), Content: ContentExecutable}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := s.Add(t.Context(), bytes.NewReader(content), item); err != nil {
				t.Error(err)
			}
			if _, err := s.Check(t.Context(), item); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestLoadStored holds that a module on another machine is read from the store
// alone, and verified there.
func TestLoadStored(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(dir)
	signer, sig := publisher(t, "bytes")
	e := entry(t, "f", "https://example.org/m.wasm", "bytes")
	e.Signer = signer
	for name, l := range map[string]Loader{"no store": {}, "empty store": {Store: s}} {
		_, err := l.Module(t.Context(), e)
		missing, ok := errors.AsType[*NotFetchedError](err)
		if !ok || *missing != (NotFetchedError{Name: "m", URL: e.URL, File: "f"}) {
			t.Errorf("%s: error = %v", name, err)
		} else if want := `method m: "https://example.org/m.wasm", which f names, was not fetched yet`; err.Error() != want {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
	l := Loader{Store: s}
	if _, err := s.Add(t.Context(), strings.NewReader("bytes"), Item{}); err != nil {
		t.Fatal(err)
	}
	_, err := l.Module(t.Context(), e)
	if _, ok := errors.AsType[*SignatureError](err); !ok || !strings.Contains(err.Error(), "method m: the signer is "+signer+", but there is no signature ") {
		t.Errorf("without a signature: error = %v", err)
	}
	if _, err := s.Add(t.Context(), strings.NewReader("bytes"), Item{Signer: signer, Signature: sig}); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{e.URL, "oci://ghcr.io/owner/m:1"} {
		e.URL = url
		if got, err := l.Module(t.Context(), e); err != nil || string(got) != "bytes" {
			t.Errorf("Module(%s) = %q, %v", url, got, err)
		}
	}
	path := s.path(ContentModule, e.SHA256)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, "other", path)
	_, err = l.Module(t.Context(), e)
	if _, ok := errors.AsType[*HashError](err); !ok || !strings.Contains(err.Error(), "fetch it again") {
		t.Errorf("a damaged store: error = %v", err)
	}
}

// TestLoadSigned holds that whoever names a signer gets no unsigned bytes.
func TestLoadSigned(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "methods.toml")
	signer, sig := publisher(t, "bytes")
	_, foreign := publisher(t, "bytes")
	write(t, "bytes", dir, "m.wasm")
	embedded := map[string][]byte{"m.wasm": []byte("bytes")}
	l := Loader{Builtin: func(name string) ([]byte, error) {
		if data, ok := embedded[name]; ok {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}}
	for _, url := range []string{"m.wasm", "builtin:m.wasm"} {
		e := entry(t, file, url, "bytes")
		e.Signer = signer
		put := func(sig []byte) {
			embedded["m.wasm.minisig"] = sig
			write(t, string(sig), dir, "m.wasm.minisig")
		}
		_, err := l.Module(t.Context(), e)
		if s, ok := errors.AsType[*SignatureError](err); !ok || !errors.Is(err, fs.ErrNotExist) || s.Signer != signer {
			t.Errorf("%s without a signature: error = %v", url, err)
		}
		put(foreign)
		_, err = l.Module(t.Context(), e)
		if _, ok := errors.AsType[*SignatureError](err); !ok || !strings.Contains(err.Error(), "should be by") {
			t.Errorf("%s with another's signature: error = %v", url, err)
		}
		put(sig)
		if got, err := l.Module(t.Context(), e); err != nil || string(got) != "bytes" {
			t.Errorf("Module(%s) = %q, %v", url, got, err)
		}
		delete(embedded, "m.wasm.minisig")
		if err := os.Remove(filepath.Join(dir, "m.wasm.minisig")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExecutable(t *testing.T) {
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache")
	l := Loader{Store: NewStore(cache)}
	program := write(t, "program", dir, "program")
	signer, sig := publisher(t, "program")
	write(t, string(sig), dir, "program.minisig")
	e := entry(t, filepath.Join(dir, "methods.toml"), "program", "program")
	e.Kind, e.Signer = KindProcess, signer
	path, err := l.Executable(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "program" || !strings.HasPrefix(path, cache) {
		t.Errorf("Executable = %s with %q, %v; want a copy in the store", path, data, err)
	}
	if again, err := l.Executable(t.Context(), e); err != nil || again != path {
		t.Errorf("Executable = %s, %v the second time", again, err)
	}

	t.Run("fetched", func(t *testing.T) {
		fetched := e
		fetched.Signer = ""
		fetched.URL, fetched.SHA256 = "", ""
		fetched.Artifacts = []Artifact{{OS: "plan9", Arch: "mips", URL: "x", SHA256: hashA}, {OS: runtime.GOOS, Arch: runtime.GOARCH, URL: "https://example.org/p", SHA256: sumOf("program")}}
		if got, err := l.Executable(t.Context(), fetched); err != nil || got != path {
			t.Errorf("Executable = %s, %v", got, err)
		}
		fetched.Artifacts = fetched.Artifacts[:1]
		_, err := l.Executable(t.Context(), fetched)
		if _, ok := errors.AsType[*UnsupportedError](err); !ok || !strings.Contains(err.Error(), "there is no executable for "+runtime.GOOS+"/"+runtime.GOARCH+"; there are those for plan9/mips") {
			t.Errorf("error = %v", err)
		}
		fetched.Artifacts = []Artifact{{OS: runtime.GOOS, Arch: runtime.GOARCH, URL: "https://example.org/p", SHA256: hashA}}
		_, err = l.Executable(t.Context(), fetched)
		if _, ok := errors.AsType[*NotFetchedError](err); !ok {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("a damaged copy is made again", func(t *testing.T) {
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, "damage", path)
		if _, err := l.Executable(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "program" {
			t.Errorf("the copy is %q, %v", data, err)
		}
	})
	t.Run("a folder that others may write to", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			return // its permissions are others
		}
		folder := filepath.Dir(path)
		if os.Geteuid() == 0 { // only the system's user can give folders away
			if err := os.Chown(folder, 65534, -1); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Executable(t.Context(), e); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
				t.Errorf("from a folder of somebody else: %v", err)
			}
			if err := os.Chown(folder, 0, -1); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(folder, 0o700)
		if _, err := l.Executable(t.Context(), e); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("changed", func(t *testing.T) {
		write(t, "another program", program)
		_, err := l.Executable(t.Context(), e)
		if h, ok := errors.AsType[*HashError](err); !ok || h.Path != program {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("kinds", func(t *testing.T) {
		_, err := l.Module(t.Context(), e)
		if _, ok := errors.AsType[*UnsupportedError](err); !ok {
			t.Errorf("Module of a process: error = %v", err)
		}
		e.Kind = KindWASM
		_, err = l.Executable(t.Context(), e)
		if _, ok := errors.AsType[*UnsupportedError](err); !ok {
			t.Errorf("Executable of a module: error = %v", err)
		}
	})
}
