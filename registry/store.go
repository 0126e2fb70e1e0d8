package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/xai-go/xai/registry/internal/regular"
	"github.com/xai-go/xai/registry/signature"
)

// Content is what kind of file something is.
type Content int

// The kinds of content.
const (
	ContentModule     Content = iota // a WebAssembly module, at most MaxModule bytes
	ContentExecutable                // an executable, at most MaxExecutable bytes
)

// The bounds of content, in bytes.
const (
	MaxModule     = 32 << 20
	MaxExecutable = 256 << 20
)

// String returns "module" or "executable".
func (c Content) String() string {
	if c == ContentExecutable {
		return "executable"
	}
	return "module"
}

// Limit returns how many bytes it may have.
func (c Content) Limit() int64 {
	if c == ContentExecutable {
		return MaxExecutable
	}
	return MaxModule
}

// Store keeps modules, executables and their signatures under their SHA-256, in
// a folder that belongs to the user alone. It may be used by several goroutines
// and processes at once: files appear whole, and whoever reads one verifies it.
type Store struct{ dir string }

// NewStore returns the store in a folder, such as the user's cache folder of
// xai. The folder is made when something is added.
func NewStore(dir string) *Store { return &Store{dir} }

// Item is something to be added to a store.
type Item struct {
	Content   Content
	SHA256    string // what it must have; empty where any will do
	Name      string // of the method, for messages
	Signer    string // the key that must have signed it; empty where none need
	Signature []byte // by the signer
}

// Add puts what r holds into the store and returns its SHA-256. It is a
// *HashError where that is not the wanted one, and a *SignatureError where the
// signer has not signed it; then nothing stays.
func (s *Store) Add(ctx context.Context, r io.Reader, item Item) (string, error) {
	dir := s.folder(item.Content)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	// MkdirAll leaves a folder as it is that others may write to.
	if err := os.Chmod(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "new.*.tmp")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(withContext(ctx, r), item.Content.Limit()+1))
	if err != nil {
		return "", err
	}
	if n > item.Content.Limit() {
		return "", fmt.Errorf("the %s has more than %d bytes, the most that is kept", item.Content, item.Content.Limit())
	}
	sum := hexOf(h)
	if item.SHA256 != "" && item.SHA256 != sum {
		return "", &HashError{Name: item.Name, Want: item.SHA256, Got: sum}
	}
	if item.Signer != "" {
		if err := s.addSignature(f, sum, item); err != nil {
			return "", err
		}
	}
	mode := fs.FileMode(0o400)
	if item.Content == ContentExecutable {
		mode = 0o500
	}
	return sum, finish(f, s.path(item.Content, sum), mode)
}

// addSignature verifies the signature of what f holds and keeps it.
func (s *Store) addSignature(f *os.File, sum string, item Item) error {
	path := s.signature(item.Content, sum, item.Signer)
	if err := verifySignature(item.Signer, f, item.Signature); err != nil {
		return &SignatureError{Name: item.Name, Signer: item.Signer, Place: path, Err: err}
	}
	return writeWhole(path, item.Signature, 0o400)
}

// Check verifies something in the store as it is at every load, and returns its
// path. It is an error that is fs.ErrNotExist where the store lacks the content
// or a signature that the item asks for.
func (s *Store) Check(ctx context.Context, item Item) (string, error) {
	path := s.path(item.Content, item.SHA256)
	f, err := regular.Open(path, item.Content.Limit())
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, err := hashOf(withContext(ctx, f))
	if err != nil {
		return "", err
	}
	if sum != item.SHA256 {
		return "", &HashError{Name: item.Name, Want: item.SHA256, Got: sum, Path: path}
	}
	if item.Signer == "" {
		return path, nil
	}
	place := s.signature(item.Content, item.SHA256, item.Signer)
	sig, err := regular.Read(place, signature.MaxSize)
	if err == nil {
		err = verifySignature(item.Signer, f, sig)
	}
	if err != nil {
		return "", &SignatureError{Name: item.Name, Signer: item.Signer, Place: place, Err: err}
	}
	return path, nil
}

func (s *Store) folder(c Content) string { return filepath.Join(s.dir, c.String()+"s") }

// path returns where content is, or would be. On Windows an executable has a
// suffix, without which it does not run.
func (s *Store) path(c Content, sum string) string {
	if c == ContentExecutable && runtime.GOOS == "windows" {
		sum += ".exe"
	}
	return filepath.Join(s.folder(c), sum)
}

// signature returns where the signature by a key is, or would be.
func (s *Store) signature(c Content, sum, signer string) string {
	key, err := signature.ParsePublicKey(signer)
	if err != nil {
		return "" // nothing is verified by such a key
	}
	return filepath.Join(s.folder(c), sum+"."+key.ID()+signature.Suffix)
}

// private returns the path of something in the store, unless others may put
// something else there.
func (s *Store) private(item Item) (string, error) {
	dir := s.folder(item.Content)
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if !regular.Owned(info) {
		return "", fmt.Errorf("method %s: %s belongs to another user, so that nothing in it is run; set XDG_CACHE_HOME to a folder of yours", item.Name, dir)
	}
	if !info.IsDir() || runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("method %s: others may write to %s, so that nothing in it is run; forbid it with: chmod go-w %s", item.Name, dir, dir)
	}
	return s.path(item.Content, item.SHA256), nil
}

func hexOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
