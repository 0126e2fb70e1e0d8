package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/xai-go/xai/registry/internal/filelock"
)

// Edit changes a registry file, which edit gets the text of: nothing where there
// is no file. What it returns is held to Parse and written whole or not at all; a
// text that stays as it is is not written. Processes that edit the same file wait
// for each other by a lock in the folder locks, where one is given.
func Edit(ctx context.Context, locks, path string, edit func(text []byte) ([]byte, error)) error {
	if locks != "" {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(locks, 0o700); err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(absolute))
		unlock, err := filelock.Lock(ctx, filepath.Join(locks, hex.EncodeToString(sum[:8])+".lock"))
		if err != nil {
			return err
		}
		defer unlock()
	}
	mode := fs.FileMode(0o644)
	file, text, err := readRegistry(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !exists(path): // a link to nothing exists
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()
	}
	changed, err := edit(text)
	if err != nil || text != nil && bytes.Equal(text, changed) {
		return err
	}
	if _, err := Parse(changed, path); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return writeWhole(path, changed, mode)
}

// writeWhole writes a file whole or not at all. A link stays one, and what it
// points to is replaced.
func writeWhole(path string, data []byte, mode fs.FileMode) error {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	return writeFile(path, data, mode)
}

// writeFile is writeWhole, but for a link, which gives way to the file.
func writeFile(path string, data []byte, mode fs.FileMode) error {
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
