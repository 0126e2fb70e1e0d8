package confine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Executable is a file that was verified and can be started. On Linux it is a
// sealed copy in memory, so that what runs is what was verified, and it can be
// started any number of times. Elsewhere it is the file itself, in a folder where
// nobody else may write, verified before each start.
type Executable struct {
	Name   string
	path   string
	sha256 string
	sealed *os.File // nil for the file at path
}

// HashError says that a file is not the one that was pinned.
type HashError struct{ Path, Want, Got string }

// Error returns what is wrong.
func (e *HashError) Error() string {
	return fmt.Sprintf("%s has the sha256 %s, and %s was pinned", e.Path, e.Got, e.Want)
}

// Open verifies the executable at path.
func Open(path, sum string) (*Executable, error) {
	e := &Executable{Name: filepath.Base(path), path: path, sha256: sum}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	got := ""
	e.sealed, got, err = seal(f)
	if err == nil && got != sum {
		err = &HashError{path, sum, got}
	}
	if err != nil {
		if e.sealed != nil {
			e.sealed.Close()
		}
		return nil, err
	}
	return e, nil
}

// OpenSelf returns the program at path, which is trusted as this one is.
func OpenSelf(path string) (*Executable, error) {
	e := &Executable{Name: filepath.Base(path), path: path}
	var err error
	e.sealed, err = openSelf(path)
	return e, err
}

// Close frees the copy. Closed again, it does nothing.
func (e *Executable) Close() error {
	if e.sealed == nil {
		return nil
	}
	if err := e.sealed.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// hashOf copies a file and returns the SHA-256 of what it copied.
func hashOf(f *os.File, to io.Writer) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(to, h), f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
