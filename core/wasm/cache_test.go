package wasm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xai-go/xai/core/wasm"
)

// compileIn compiles and runs the minimal module with the cache of dir, and
// returns the files of machine code that are there afterwards.
func compileIn(t *testing.T, dir string) []string {
	t.Helper()
	r, err := wasm.New(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(context.Background())
	m, err := r.Compile(t.Context(), hostile(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); err != nil {
		t.Fatal(err)
	}
	var files []string
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".sha256") && d.Name() != "rewritten.wasm" {
			files = append(files, path)
		}
		return nil
	})
	return files
}

var past = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// age makes a file old, so that replaced can tell whether it is another one.
func age(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
}

func replaced(t *testing.T, path string) bool {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return !info.ModTime().Equal(past)
}

func TestCacheIsUsed(t *testing.T) {
	dir := t.TempDir()
	files := compileIn(t, dir)
	if len(files) != 1 {
		t.Fatalf("the cache holds %q", files)
	}
	age(t, files[0])
	compileIn(t, dir)
	if replaced(t, files[0]) {
		t.Error("the module was compiled again")
	}
}

func TestCorruptCacheIsReplaced(t *testing.T) {
	for name, corrupt := range map[string]func(b []byte) []byte{
		"empty":          func(b []byte) []byte { return nil },
		"truncated":      func(b []byte) []byte { return b[:len(b)/2] },
		"longer":         func(b []byte) []byte { return append(b, 0) },
		"garbage":        func(b []byte) []byte { return []byte(strings.Repeat("x", len(b))) },
		"version":        func(b []byte) []byte { b[7]++; return b },
		"function count": func(b []byte) []byte { binary.LittleEndian.PutUint32(b[7+int(b[6]):], 1<<31); return b },
		"offset":         func(b []byte) []byte { b[7+int(b[6])+4] ^= 0x40; return b },
		"code":           func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := compileIn(t, dir)[0]
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, corrupt(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			age(t, path)
			compileIn(t, dir)
			if b, err := os.ReadFile(path); err != nil || len(b) != len(good) || !replaced(t, path) {
				t.Errorf("the corrupt entry is still there (%v)", err)
			}
			age(t, path)
			compileIn(t, dir)
			if replaced(t, path) {
				t.Error("the new entry was not used")
			}
		})
	}
	for name, hash := range map[string]func(path string) error{
		"no hash":    os.Remove,
		"wrong hash": func(path string) error { return os.WriteFile(path, []byte("0123"), 0o600) },
		"hash is a folder": func(path string) error {
			os.Remove(path)
			return os.Mkdir(path, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := compileIn(t, dir)[0]
			age(t, path)
			if err := hash(path + ".sha256"); err != nil {
				t.Fatal(err)
			}
			compileIn(t, dir)
			if !replaced(t, path) {
				t.Error("an entry without its hash was used")
			}
		})
	}
}

func TestCorruptRewrittenModuleIsReplaced(t *testing.T) {
	for name, corrupt := range map[string]func(path string) error{
		"gone":    os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"another": func(path string) error { return os.WriteFile(path, hostile(t, "loop"), 0o600) },
		"no hash": func(path string) error { return os.Remove(path + ".sha256") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(filepath.Dir(filepath.Dir(compileIn(t, dir)[0])), "rewritten.wasm")
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := corrupt(path); err != nil {
				t.Fatal(err)
			}
			compileIn(t, dir)
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, good) {
				t.Errorf("the corrupt module is still there (%v)", err)
			}
			compileIn(t, dir)
		})
	}
}

// Several programs compile the same modules at the same time.
func TestCacheIsShared(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			r, err := wasm.New(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close(context.Background())
			for _, name := range []string{"minimal", "code_silent", "minimal", "counts"} {
				m, err := r.Compile(t.Context(), hostile(t, name))
				if err != nil {
					t.Error(err)
					return
				}
				if _, stats, _ := m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); stats.Fuel == 0 {
					t.Error("it did not run")
				}
			}
		})
	}
	group.Wait()
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, ".tmp") {
			t.Errorf("%s was left behind (%v)", path, err)
		}
		return nil
	})
}

func TestRunsWithoutACache(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	blocked := t.TempDir()
	if err := os.WriteFile(filepath.Join(blocked, "wasm"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"below a file": file, "a file": blocked} {
		t.Run(name, func(t *testing.T) {
			r, err := wasm.New(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if r.CacheError() == nil {
				t.Error("the cache has no error")
			}
			r.Close(t.Context())
			if files := compileIn(t, dir); len(files) > 1 {
				t.Errorf("the cache holds %q", files)
			}
		})
	}
	t.Run("unwritable", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "wasm"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(dir, 0o700)
		compileIn(t, dir)
	})
	// The folder of the module, not that of the cache, is in the way.
	t.Run("module's folder is a file", func(t *testing.T) {
		dir := t.TempDir()
		path := compileIn(t, dir)[0]
		folder := filepath.Dir(filepath.Dir(path))
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(folder, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		compileIn(t, dir)
	})
}

// A folder that is relative to wherever the program runs could bring machine
// code of a stranger's.
func TestNoCacheInTheWorkingDirectory(t *testing.T) {
	minimal := hostile(t, "minimal")
	t.Chdir(t.TempDir())
	for name, dir := range map[string]string{"empty": "", "dot": ".", "relative": "cache", "below": filepath.Join("..", "cache")} {
		t.Run(name, func(t *testing.T) {
			r, err := wasm.New(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close(context.Background())
			if r.CacheError() == nil {
				t.Error("the cache has no error")
			}
			if _, err := r.Compile(t.Context(), minimal); err != nil {
				t.Fatal(err)
			}
			for _, folder := range []string{".", ".."} {
				for _, made := range []string{"wasm", "cache"} {
					if _, err := os.Stat(filepath.Join(folder, made)); err == nil {
						t.Errorf("%s was made in %s", made, folder)
					}
				}
			}
		})
	}
}

func TestCompileAfterClose(t *testing.T) {
	r, err := wasm.New(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	minimal := hostile(t, "minimal")
	if _, err := r.Compile(t.Context(), minimal); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m, err := r.Compile(t.Context(), minimal); err == nil || m != nil {
			t.Errorf("a closed runtime compiled a module: %v", err)
		}
	}
}

// Whatever a Compile that races with Close returns, its module is closed or was
// never made.
func TestCloseWaitsForCompilations(t *testing.T) {
	minimal := hostile(t, "minimal")
	for range 20 {
		r, err := wasm.New(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		var compiling sync.WaitGroup
		modules := make([]*wasm.Module, 4)
		for i := range modules {
			compiling.Go(func() { modules[i], _ = r.Compile(t.Context(), minimal) })
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		compiling.Wait()
		for _, m := range modules {
			if m == nil {
				continue
			}
			if _, _, err := m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); err == nil {
				t.Error("a module outlived its runtime")
			}
		}
	}
}

func TestCacheBelongsToOneUser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the mode of a folder says nothing there")
	}
	dir := t.TempDir()
	open := filepath.Join(dir, "wasm")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	compileIn(t, dir)
	filepath.WalkDir(open, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v (%v)", path, info.Mode(), err)
		}
		return nil
	})
}
