// Package regular reads regular files alone, within bounds.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Read reads a regular file of at most most bytes.
func Read(path string, most int64) ([]byte, error) {
	f, err := Open(path, most)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = tooLarge(path, most)
	}
	return data, err
}

// Open opens a regular file of at most most bytes. A link is refused
// because a file from a stranger's project could point anywhere, and a pipe or
// a device because reading it need not end.
func Open(path string, most int64) (*os.File, error) {
	// Another process may be putting the same content there, again and again.
	for range 100 {
		before, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		f, err := openAs(before, path, most)
		if err != errReplaced {
			return f, err
		}
	}
	return nil, fmt.Errorf("%s: %w; try again", path, errReplaced)
}

// errReplaced is when what is opened is no longer what was looked at.
var errReplaced = errors.New("it was replaced while it was opened")

// openAs opens the file that before describes, which was at path.
func openAs(before fs.FileInfo, path string, most int64) (*os.File, error) {
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a %s and must be a regular file", path, kindOf(before.Mode()))
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !os.SameFile(before, info):
		err = errReplaced
	case info.Size() > most:
		err = tooLarge(path, most)
	default:
		return f, nil
	}
	_ = f.Close()
	return nil, err
}

func tooLarge(path string, most int64) error {
	return fmt.Errorf("%s has more than %d bytes, the most that is read", path, most)
}

// kindOf names what is no regular file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	}
	return "special file"
}
