package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// writeWhole writes a file whole or not at all. A link stays one, and what it
// points to is replaced.
func writeWhole(path string, data []byte, mode fs.FileMode) error {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return finish(f, path, mode)
}

// finish gives a temporary file its mode and its name.
func finish(f *os.File, path string, mode fs.FileMode) error {
	if err := errors.Join(f.Sync(), f.Close(), os.Chmod(f.Name(), mode)); err != nil {
		return err
	}
	if runtime.GOOS != "windows" {
		return os.Rename(f.Name(), path)
	}
	// There, a file that is read-only is not replaced, nor one that somebody is
	// reading.
	for try := 0; ; try++ {
		_ = os.Chmod(path, 0o600)
		err := os.Rename(f.Name(), path)
		if err == nil || try == 50 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
