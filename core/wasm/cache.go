package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tetratelabs/wazero"
)

// cache is the folder of compiled modules on disk. Machine code from it runs
// unchecked, so that the folder belongs to one user, and every file in it has
// its hash beside it: wazero's own checksum leaves the table of functions out.
type cache struct{ dir string }

// hashSuffix is what the name of a file's hash adds to the file's.
const hashSuffix = ".sha256"

// openCache prepares dir, which must be writable for its owner alone.
func openCache(dir string) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// Fails where the folder is someone else's.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(dir, "probe.*.tmp")
	if err != nil {
		return nil, err
	}
	return &cache{dir}, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// folder returns where the machine code of the module with that SHA-256 lies.
func (c *cache) folder(sum [sha256.Size]byte) string {
	return filepath.Join(c.dir, hex.EncodeToString(sum[:]))
}

// open returns wazero's cache over the folder of a module, after the removal of
// every file in it that is not what seal saw.
func (c *cache) open(sum [sha256.Size]byte) (wazero.CompilationCache, error) {
	dir := c.folder(sum)
	err := each(dir, func(path string) error {
		want, err := os.ReadFile(path + hashSuffix)
		if err == nil {
			var have string
			if have, err = hash(path); err == nil && have == string(want) {
				return nil
			}
		}
		return errors.Join(os.RemoveAll(path), os.RemoveAll(path+hashSuffix))
	})
	if err != nil {
		return nil, err
	}
	return wazero.NewCompilationCacheWithDir(dir)
}

// seal writes down the hashes of the files in a module's folder.
func (c *cache) seal(sum [sha256.Size]byte) error {
	return each(c.folder(sum), func(path string) error {
		if _, err := os.Stat(path + hashSuffix); err == nil {
			return nil
		}
		h, err := hash(path)
		if err != nil {
			return err
		}
		f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
		if err != nil {
			return err
		}
		_, err = f.WriteString(h)
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), path+hashSuffix)
		}
		if err != nil {
			return errors.Join(err, os.Remove(f.Name()))
		}
		return nil
	})
}

// each calls visit for every file of machine code in dir. A file that another
// process is still writing is left alone.
func each(dir string, visit func(path string) error) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, hashSuffix) || strings.HasSuffix(path, ".tmp") {
			return err
		}
		return visit(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func hash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
