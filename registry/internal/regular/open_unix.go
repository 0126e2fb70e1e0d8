//go:build unix

package regular

import (
	"io/fs"
	"os"
	"syscall"
)

// open opens a file for reading. It neither follows a link nor waits for the
// other end of a pipe, which may have taken the file's place a moment ago.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// Owned reports whether a file or folder belongs to the user that the program
// runs as, or to the system's.
func Owned(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || stat.Uid == 0 || int64(stat.Uid) == int64(os.Geteuid())
}
