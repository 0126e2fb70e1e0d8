//go:build unix

package regular

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpenTakesNothingElse holds that what has taken the place of a regular file
// since somebody looked is neither followed nor waited for.
func TestOpenTakesNothingElse(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	f, err := open(pipe) // would wait for a writer for ever
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if f, err := open(link); err == nil {
		f.Close()
		t.Error("a link was followed")
	}
	if _, err := Open(pipe, 1); err == nil {
		t.Error("a pipe was opened")
	}
}

// owned is a file of a user.
type owned struct {
	fs.FileInfo
	uid uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

func TestOwned(t *testing.T) {
	me := uint32(os.Geteuid())
	for uid, want := range map[uint32]bool{me: true, 0: true, me + 1: false} {
		if got := Owned(owned{uid: uid}); got != want {
			t.Errorf("Owned of user %d for user %d = %v", uid, me, got)
		}
	}
}

// TestOpenWhileReplaced holds that whoever reads is not disturbed by whoever
// puts another whole file there.
func TestOpenWhileReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	put := func() error {
		next := filepath.Join(dir, "next")
		if err := os.WriteFile(next, []byte("content"), 0o600); err != nil {
			return err
		}
		return os.Rename(next, path)
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	before, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
	if f, err := openAs(before, path, 10); err != errReplaced {
		t.Errorf("openAs of what is no longer there = %v, %v", f, err)
	}
	done := make(chan error)
	go func() {
		defer close(done)
		for range 500 {
			if err := put(); err != nil {
				done <- err
				return
			}
		}
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
		if data, err := Read(path, 10); err != nil || string(data) != "content" {
			t.Fatalf("Read = %q, %v", data, err)
		}
	}
}
