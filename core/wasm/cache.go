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
//
// The folder of a module bears its SHA-256 and the version of rewriting. In it lie
// the module as it was rewritten, and wazero's folder, which bears wazero's version
// and the architecture; the files there are named after what the machine code was
// made of, the processor's features included.
type cache struct{ dir string }

const (
	hashSuffix    = ".sha256"        // what the name of a file's hash adds to the file's
	rewrittenFile = "rewritten.wasm" // in the folder of a module
)

// CacheFolder returns where a Runtime with that folder keeps the machine code of a
// module.
func CacheFolder(cacheDir string, binary []byte) string {
	c := cache{filepath.Join(cacheDir, "wasm")}
	return c.folder(sha256.Sum256(binary))
}

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

// folder returns where what was made of the module with that SHA-256 lies.
func (c *cache) folder(sum [sha256.Size]byte) string {
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+"."+rewriteVersion)
}

// open returns wazero's cache over the folder of a module, and the module as it
// was rewritten, after the removal of every file in the folder that is not what
// seal saw. Either is nil where there is none.
func (c *cache) open(sum [sha256.Size]byte) (wazero.CompilationCache, []byte) {
	if c == nil {
		return nil, nil
	}
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
		return nil, nil
	}
	disk, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, nil
	}
	rewritten, err := os.ReadFile(filepath.Join(dir, rewrittenFile))
	if err != nil {
		rewritten = nil
	}
	return disk, rewritten
}

// seal keeps a module as it was rewritten, and writes down the hashes of the files
// in its folder.
func (c *cache) seal(sum [sha256.Size]byte, rewritten []byte) error {
	dir := c.folder(sum)
	if err := write(filepath.Join(dir, rewrittenFile), rewritten); err != nil {
		return err
	}
	return each(dir, func(path string) error {
		if _, err := os.Stat(path + hashSuffix); err == nil {
			return nil
		}
		h, err := hash(path)
		if err != nil {
			return err
		}
		return write(path+hashSuffix, []byte(h))
	})
}

// write writes a file whole or not at all, unless it is there.
func write(path string, content []byte) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// each calls visit for every file in dir but hashes. A file that another
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
