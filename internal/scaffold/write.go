package scaffold

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// ErrNotEmpty is the error of a folder that holds something already.
var ErrNotEmpty = errors.New("the folder is not empty")

// Write writes the files into the folder dir, which must be empty or not there
// yet: all of them or none.
func Write(ctx context.Context, dir string, files map[string][]byte) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return ErrNotEmpty
	}
	// On the same disk, so that it can be renamed.
	parent := filepath.Dir(dir)
	if there {
		parent = dir
	} else if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	temporary := filepath.Join(parent, "."+filepath.Base(dir)+"."+rand.Text()[:8])
	if err := os.Mkdir(temporary, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(temporary, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o666); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !there {
		return os.Rename(temporary, dir)
	}
	return move(temporary, dir)
}

// move moves all that a folder holds into another one, or nothing.
func move(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			for _, moved := range entries[:i] {
				os.RemoveAll(filepath.Join(to, moved.Name()))
			}
			return err
		}
	}
	return nil
}
