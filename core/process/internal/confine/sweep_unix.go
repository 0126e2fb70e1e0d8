//go:build unix

package confine

import (
	"errors"
	"os"
	"syscall"
)

// hold takes hold of a lock that was just made, and reports whether it is there to
// be held. Where a file system has no such hold, nobody sweeps either.
func hold(f *os.File) bool {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return !errors.Is(err, syscall.EWOULDBLOCK) && same(f)
}

// abandoned opens a lock that is this user's and held by nobody, and holds it.
func abandoned(path string) (*os.File, bool) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		s, ok := info.Sys().(*syscall.Stat_t)
		if ok && int(s.Uid) == os.Geteuid() && s.Nlink == 1 && syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && same(f) {
			return f, true
		}
	}
	f.Close()
	return nil, false
}

// same reports whether a file is still what its name stands for.
func same(f *os.File) bool {
	named, err := os.Lstat(f.Name())
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(named, open)
}
