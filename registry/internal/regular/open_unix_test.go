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
