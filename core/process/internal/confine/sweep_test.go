//go:build unix

package confine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSweep holds that a sweep removes what a killed host left, whatever lies in it,
// and nothing else.
func TestSweep(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write := func(path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (names []string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	link := func(to, path string) {
		t.Helper()
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}

	// A host that was killed holds nothing any more.
	for range 3 {
		path, l, err := folder(dir)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(path, "plugin-dir", "socket"))
		link(outside, filepath.Join(path, "link"))
		if err := l.file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "kept"))
	// Of a host that is there.
	live, l, err := folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	// What only looks like one of ours.
	write(filepath.Join(dir, "xai1", "file"))
	write(filepath.Join(dir, "xai2", "file"))
	if err := os.WriteFile(filepath.Join(dir, "xai2.lock"), []byte("words"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(dir, "xai3", "file"))
	link(filepath.Join(outside, "kept"), filepath.Join(dir, "xai3.lock"))
	write(filepath.Join(dir, "xai4", "file"))
	if err := os.Link(filepath.Join(outside, "kept"), filepath.Join(dir, "xai4.lock")); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(dir, "xai5.lock", "file"))
	// A lock whose folder leads elsewhere.
	write(filepath.Join(dir, "xai6.lock"))
	link(outside, filepath.Join(dir, "xai6"))

	sweep(dir)
	want := []string{filepath.Base(live), filepath.Base(live) + ".lock", "xai1", "xai2", "xai2.lock", "xai3", "xai3.lock", "xai4", "xai4.lock", "xai5.lock"}
	slices.Sort(want)
	if got := left(); !slices.Equal(got, want) {
		t.Errorf("there is %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(live); err != nil {
		t.Fatal(err)
	}
	if err := l.release(); err != nil {
		t.Error(err)
	}
	if slices.Contains(left(), filepath.Base(live)+".lock") {
		t.Error("the lock of a folder outlives it")
	}
}

// TestFolderWithoutItsLock holds that a lock that a sweep took away is not the lock
// of a folder.
func TestFolderWithoutItsLock(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "xai*.lock")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	held, ok := abandoned(f.Name())
	if !ok {
		t.Fatal("a lock that nobody holds is taken for somebody's")
	}
	defer held.Close()
	if hold(f) {
		t.Error("two hold one lock")
	}
	held.Close()
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if hold(f) {
		t.Error("a lock that is gone is held")
	}
}
