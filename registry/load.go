package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/xai-go/xai/registry/internal/address"
	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/internal/regular"
	"github.com/xai-go/xai/registry/signature"
)

// Loader reads what entries name, and verifies hash and signature at every
// read. It uses no network: a module on another machine is read from the store,
// where a command has put it.
type Loader struct {
	// Builtin returns the bytes behind a name such as "lime.wasm", and an error
	// that is fs.ErrNotExist where the binary has none.
	Builtin func(name string) ([]byte, error)
	// Store holds what was fetched; without one, nothing was.
	Store *Store
}

// Module reads the module of a method of KindWASM. A relative path is relative
// to the folder of the registry file. Beside errors of reading, it returns a
// *HashError for other bytes than the pinned ones, a *SignatureError where a
// signer is named and has not signed them, and a *NotFetchedError for a module
// on another machine that the store lacks.
func (l Loader) Module(ctx context.Context, e Entry) ([]byte, error) {
	if e.Kind != KindWASM {
		return nil, &UnsupportedError{e.File.Path, fmt.Sprintf("method %s is of kind %q and has no module", e.Name, e.Kind)}
	}
	c, err := l.open(e, Artifact{URL: e.URL, SHA256: e.SHA256}, ContentModule)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	module := c.whole
	if module == nil {
		if module, err = c.readAll(ctx); err != nil {
			return nil, c.failed(err)
		}
	}
	sum := sha256.Sum256(module)
	if err := c.verify(hex.EncodeToString(sum[:]), bytes.NewReader(module)); err != nil {
		return nil, err
	}
	return module, nil
}

// Executable returns the path of the executable of a method of KindProcess for
// this platform. It is that of a copy in the store, where nobody else may
// write; whoever starts it starts what was verified. The errors are those of
// Module, and an *UnsupportedError where there is none for this platform.
func (l Loader) Executable(ctx context.Context, e Entry) (string, error) {
	if e.Kind != KindProcess {
		return "", &UnsupportedError{e.File.Path, fmt.Sprintf("method %s is of kind %q and has no executable", e.Name, e.Kind)}
	}
	if l.Store == nil {
		return "", fmt.Errorf("method %s: there is no folder to keep its executable in; set a cache folder", e.Name)
	}
	a, err := e.Artifact(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	c, err := l.open(e, a, ContentExecutable)
	if err != nil {
		return "", err
	}
	defer c.Close()
	sum, err := hashOf(withContext(ctx, c))
	if err != nil {
		return "", c.failed(err)
	}
	if err := c.verify(sum, c); err != nil {
		return "", err
	}
	item := Item{Content: ContentExecutable, SHA256: sum, Name: e.Name}
	if !c.stored {
		if _, err = l.Store.Check(ctx, item); err != nil {
			if _, err = c.Seek(0, io.SeekStart); err == nil {
				_, err = l.Store.Add(ctx, c, item)
			}
		}
		if err != nil {
			return "", c.failed(err)
		}
	}
	return l.Store.private(item)
}

// AsIs returns the entry with the hash of what its path leads to now in the place
// of the pinned one, for an author who builds it again and again. An entry whose
// content is the binary's or another machine's stays as it is.
func (l Loader) AsIs(ctx context.Context, e Entry) (Entry, error) {
	a, err := e.Artifact(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return e, err
	}
	if at, err := address.Parse(a.URL); err != nil || at.Scheme == address.Builtin || at.Remote() {
		return e, nil // Module and Executable say what is wrong with it
	}
	content := ContentModule
	if e.Kind == KindProcess {
		content = ContentExecutable
	}
	c, err := l.open(e, a, content)
	if err != nil {
		return e, err
	}
	defer c.Close()
	sum, err := hashOf(withContext(ctx, io.LimitReader(c, content.Limit()+1)))
	if err != nil {
		return e, c.failed(err)
	}
	if len(e.Artifacts) == 0 {
		e.SHA256 = sum
		return e, nil
	}
	e.Artifacts = slices.Clone(e.Artifacts)
	for i, other := range e.Artifacts {
		if other == a {
			e.Artifacts[i].SHA256 = sum
		}
	}
	return e, nil
}

// opened is content that was opened and is not yet verified.
type opened struct {
	io.ReadSeekCloser
	whole     []byte // what it reads, where that is in memory already
	entry     Entry
	artifact  Artifact
	content   Content
	stored    bool                   // it comes from the store
	place     string                 // for messages
	signature string                 // where the signature is
	sign      func() ([]byte, error) // reads it
}

// open opens the content that an entry names.
func (l Loader) open(e Entry, a Artifact, content Content) (*opened, error) {
	c := &opened{entry: e, artifact: a, content: content}
	at, err := address.Parse(a.URL)
	if err != nil {
		return nil, &ParseError{Path: e.File.Path, Msg: "method " + e.Name + ": url is " + document.Quote(a.URL) + ": " + err.Error()}
	}
	if at.Scheme == address.Builtin {
		module, err := l.Builtin(at.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("method %s: this build of xai holds no module %s, which %s asks for: %w", e.Name, document.Quote(at.Name), e.File.Path, err)
		} else if err != nil {
			return nil, c.failed(err)
		}
		c.ReadSeekCloser, c.whole = unclosed{bytes.NewReader(module)}, module
		c.place, c.signature = a.URL, a.URL+signature.Suffix
		c.sign = func() ([]byte, error) { return l.Builtin(at.Name + signature.Suffix) }
		return c, nil
	}
	missing := &NotFetchedError{Name: e.Name, URL: a.URL, File: e.File.Path}
	switch c.stored = at.Remote(); {
	case c.stored && l.Store == nil:
		return nil, missing
	case c.stored:
		c.place, c.signature = l.Store.path(content, a.SHA256), l.Store.signature(content, a.SHA256, e.Signer)
	default:
		c.place = at.In(filepath.Dir(e.File.Path))
		c.signature = c.place + signature.Suffix
	}
	c.sign = func() ([]byte, error) { return regular.Read(c.signature, signature.MaxSize) }
	f, err := regular.Open(c.place, content.Limit())
	if c.stored && errors.Is(err, fs.ErrNotExist) {
		return nil, missing
	} else if err != nil {
		return nil, c.failed(err)
	}
	c.ReadSeekCloser = f
	return c, nil
}

// readAll reads a module. What grows meanwhile fails its hash.
func (c *opened) readAll(ctx context.Context) ([]byte, error) {
	size, err := c.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = c.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	module := bytes.NewBuffer(make([]byte, 0, min(size, MaxModule)+bytes.MinRead))
	_, err = module.ReadFrom(io.LimitReader(withContext(ctx, c), MaxModule+1))
	return module.Bytes(), err
}

func (c *opened) failed(err error) error {
	return fmt.Errorf("method %s: cannot read the %s that %s names: %w", c.entry.Name, c.content, c.entry.File.Path, err)
}

// verify holds the content, given once more and its hash, to what was pinned
// and to its signature where there is a signer.
func (c *opened) verify(sum string, content io.ReadSeeker) error {
	if sum != c.artifact.SHA256 {
		return &HashError{Name: c.entry.Name, Want: c.artifact.SHA256, Got: sum, Path: c.place, File: c.entry.File.Path}
	}
	if c.entry.Signer == "" {
		return nil
	}
	sig, err := c.sign()
	if err == nil {
		err = verifySignature(c.entry.Signer, content, sig)
	}
	if err != nil {
		return &SignatureError{Name: c.entry.Name, Signer: c.entry.Signer, Place: c.signature, Err: err}
	}
	return nil
}

// unclosed is what needs no closing.
type unclosed struct{ io.ReadSeeker }

func (unclosed) Close() error { return nil }

// verifySignature holds that a declared signer has signed the content, from its
// beginning.
func verifySignature(signer string, content io.ReadSeeker, sig []byte) error {
	key, err := signature.ParsePublicKey(signer)
	if err != nil {
		return err
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return signature.Verify(key, content, sig)
}

func hashOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contextReader ends reading when its context does.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func withContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
