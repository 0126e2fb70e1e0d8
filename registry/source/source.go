// Package source fetches modules and executables from other machines into a
// store, and publishes them. It is the only place that uses the network, and it
// does so when it is called alone: what runs a method reads the store.
//
// Nothing that comes over the network is trusted. Bytes are bounded, held to
// their SHA-256 and, where there is a signer, to its signature, before they
// appear in the store. Connections are encrypted, but for OCI registries on
// this machine.
package source

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/internal/address"
	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/internal/regular"
	"github.com/xai-go/xai/registry/signature"
)

const (
	maxRedirects = 5
	// maxTime is the time that a fetch may take where nothing else is said.
	maxTime = 10 * time.Minute
)

// Client fetches and publishes. It may be used by several goroutines at once.
type Client struct {
	Store *registry.Store
	// Transport carries the requests; nil is one of the package's own, which
	// obeys HTTPS_PROXY.
	Transport http.RoundTripper
	// Anonymous keeps OCI registries from getting the credentials that the user
	// has for them in Docker's configuration. Others never get any.
	Anonymous bool
	// Timeout bounds a whole call; 0 is ten minutes.
	Timeout time.Duration
	// Contact is told every host ahead of each request to it; nil is not. Calls
	// of a client that several goroutines use come at once.
	Contact func(host string)
	// Progress is told how many bytes of an answer have come, and how many there
	// are, 0 where that is not known; nil is not.
	Progress func(done, total int64)
}

// Error reports something that could not be fetched or published.
type Error struct {
	Address string
	Msg     string // one sentence
	Err     error  // the cause, where there is one
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Msg }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Want is what is to be fetched.
type Want struct {
	Content registry.Content
	Name    string // of the method, for messages; may be empty
	SHA256  string // what it must have; empty where any will do
	Signer  string // the key that must have signed it; empty where none need
	Folder  string // what a relative path is relative to
	// Declared has what an OCI artefact says of its methods fetched even where
	// the store holds the module already.
	Declared bool
}

// Got is what was fetched.
type Got struct {
	SHA256 string
	Path   string // in the store
	// URL is the address for a methods.toml: as it was given, but for an OCI
	// artefact, whose tag might mean something else tomorrow, and which is
	// named by its manifest's digest.
	URL string
	// Digest is that of the OCI manifest; empty for other addresses.
	Digest string
	// Methods are what an OCI artefact says of the methods in its module, with
	// URL and SHA256 as they are; nil where it says nothing.
	Methods *registry.File
}

// Fetch brings a module or an executable into the store: from an https://
// address, from an OCI registry, or from a file. What the store holds already
// is not fetched again where it is pinned by its hash; then Digest and Methods
// stay empty, unless they are wanted.
//
// It returns a *registry.HashError for other bytes than the wanted ones, a
// *registry.SignatureError where the signer has not signed them, a
// *ManifestError for an OCI artefact that is none of ours, and an *Error for
// what cannot be reached or is too large.
func (c *Client) Fetch(ctx context.Context, addr string, w Want) (*Got, error) {
	a, err := address.Parse(addr)
	if err != nil {
		return nil, &Error{Address: addr, Msg: fmt.Sprintf("the address %s is none: %v", document.Quote(addr), err), Err: err}
	}
	if a.Remote() && w.SHA256 != "" && !(w.Declared && a.Scheme == address.OCI) {
		if path, err := c.Store.Check(ctx, w.item(nil)); err == nil {
			return &Got{SHA256: w.SHA256, Path: path, URL: addr}, nil
		}
	}
	var got *Got
	err = c.bounded(ctx, "fetch", addr, func(ctx context.Context) (err error) {
		switch a.Scheme {
		case address.HTTPS:
			got, err = c.fetchHTTPS(ctx, a, w)
		case address.OCI:
			got, err = c.pull(ctx, a, w)
		case address.Builtin:
			err = &Error{Address: addr, Msg: addr + " is in the program itself; there is nothing to fetch"}
		default:
			got, err = c.fetchFile(ctx, a, w)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return got, nil
}

// FetchEntry brings what a method runs on a platform into the store.
func (c *Client) FetchEntry(ctx context.Context, e registry.Entry, goos, goarch string) (*Got, error) {
	w := Want{Name: e.Name, SHA256: e.SHA256, Signer: e.Signer, Folder: filepath.Dir(e.File.Path)}
	addr := e.URL
	if e.Kind == registry.KindProcess {
		artifact, err := e.Artifact(goos, goarch)
		if err != nil {
			return nil, err
		}
		w.Content, w.SHA256, addr = registry.ContentExecutable, artifact.SHA256, artifact.URL
	}
	return c.Fetch(ctx, addr, w)
}

func (w Want) item(sig []byte) registry.Item {
	return registry.Item{Content: w.Content, Name: w.Name, SHA256: w.SHA256, Signer: w.Signer, Signature: sig}
}

// add puts a body into the store and completes the errors of that.
func (c *Client) add(ctx context.Context, body io.Reader, a address.Address, w Want, sig []byte, place string) (*Got, error) {
	if w.SHA256 == "" && w.Content == registry.ContentModule {
		// A page that says that there is no such module is none.
		b := bufio.NewReader(body)
		if magic, err := b.Peek(4); err == nil && string(magic) != "\x00asm" || errors.Is(err, io.EOF) {
			return nil, &Error{Address: a.Text, Msg: a.Text + " is no WebAssembly module; check the address"}
		}
		body = b
	}
	sum, err := c.Store.Add(ctx, body, w.item(sig))
	if e, ok := errors.AsType[*registry.HashError](err); ok {
		e.Path = a.Text
	}
	if e, ok := errors.AsType[*registry.SignatureError](err); ok {
		e.Place = place
	}
	if err != nil {
		return nil, err
	}
	w.SHA256 = sum
	path, err := c.Store.Check(ctx, w.item(nil))
	return &Got{SHA256: sum, Path: path, URL: a.Text}, err
}

// unsigned says that a signature is missing.
func unsigned(w Want, place string, err error) error {
	return &registry.SignatureError{Name: w.Name, Signer: w.Signer, Place: place, Err: err}
}

func (c *Client) fetchFile(ctx context.Context, a address.Address, w Want) (*Got, error) {
	path := a.In(w.Folder)
	var sig []byte
	if w.Signer != "" {
		var err error
		if sig, err = regular.Read(path+signature.Suffix, signature.MaxSize); err != nil {
			return nil, unsigned(w, path+signature.Suffix, err)
		}
	}
	f, err := regular.Open(path, w.Content.Limit())
	if err != nil {
		return nil, &Error{Address: a.Text, Msg: "cannot read the " + w.Content.String() + ": " + err.Error(), Err: err}
	}
	defer f.Close()
	return c.add(ctx, f, a, w, sig, path+signature.Suffix)
}

func (c *Client) fetchHTTPS(ctx context.Context, a address.Address, w Want) (*Got, error) {
	client := c.http(false)
	place := *a.URL
	place.Path += signature.Suffix
	if place.RawPath != "" {
		place.RawPath += signature.Suffix
	}
	var sig []byte
	if w.Signer != "" {
		body, err := get(ctx, client, &place, signature.MaxSize)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, unsigned(w, place.String(), fs.ErrNotExist)
		} else if err != nil {
			return nil, err
		}
		defer body.Close()
		if sig, err = io.ReadAll(io.LimitReader(body, signature.MaxSize+1)); err != nil {
			return nil, err
		}
	}
	body, err := get(ctx, client, a.URL, w.Content.Limit())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return c.add(ctx, body, a, w, sig, place.String())
}

// errNoFile is fs.ErrNotExist in other words.
var errNoFile = noFile{}

type noFile struct{}

func (noFile) Error() string        { return "the server has no such file" }
func (noFile) Is(target error) bool { return target == fs.ErrNotExist }

// get asks for a file of at most most bytes. The error is fs.ErrNotExist where
// the server has none.
func get(ctx context.Context, client *http.Client, u *url.URL, most int64) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "xai")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone:
		err = errNoFile
	case response.StatusCode != http.StatusOK:
		err = fmt.Errorf("the server answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	case response.ContentLength > most:
		err = fmt.Errorf("it has %d bytes, and at most %d are fetched", response.ContentLength, most)
	default:
		return response.Body, nil
	}
	_ = response.Body.Close()
	return nil, err
}

// bounded does something within the client's time and words why it failed.
// Errors that say it themselves stay as they are.
func (c *Client) bounded(parent context.Context, verb, addr string, do func(context.Context) error) error {
	limit := cmp.Or(c.Timeout, maxTime)
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	err := do(ctx)
	if err == nil {
		return nil
	}
	if parent.Err() != nil {
		return parent.Err()
	}
	if isTyped[*Error](err) || isTyped[*ManifestError](err) || isTyped[*registry.HashError](err) || isTyped[*registry.SignatureError](err) {
		return err
	}
	why := reason(addr, err)
	if ctx.Err() != nil {
		why = "it took more than " + limit.String()
	}
	return &Error{Address: addr, Msg: "cannot " + verb + " " + addr + ": " + why, Err: err}
}

func isTyped[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// clean returns a text of somebody else's as part of one line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	const most = 300
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// http returns a client that follows a few redirects, and none of them to a
// connection that is not encrypted. Plain connections are those to this machine
// where that is allowed.
func (c *Client) http(plain bool) *http.Client {
	var transport http.RoundTripper = ownTransport
	if c.Transport != nil {
		transport = c.Transport
	}
	return &http.Client{
		Transport: guard{transport, plain, c},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("it was redirected more than %d times", maxRedirects)
			}
			return nil
		},
	}
}

var ownTransport = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true // what is bounded and hashed are the bytes that come
	t.MaxResponseHeaderBytes = 64 << 10
	t.ResponseHeaderTimeout = 30 * time.Second
	return t
}()

// guard refuses requests over connections that are not encrypted.
type guard struct {
	http.RoundTripper
	plain  bool // allows them to this machine
	client *Client
}

// RoundTrip carries a request.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !(g.plain && r.URL.Scheme == "http" && address.Loopback(r.URL.Hostname())) {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, fmt.Errorf("it leads to %s, which is not authenticated", clean(r.URL.Redacted()))
	}
	if g.client.Contact != nil {
		g.client.Contact(r.URL.Host)
	}
	response, err := g.RoundTripper.RoundTrip(r)
	if err == nil && g.client.Progress != nil {
		response.Body = &counted{ReadCloser: response.Body, total: max(response.ContentLength, 0), tell: g.client.Progress}
	}
	return response, err
}

// counted tells how much of a body was read.
type counted struct {
	io.ReadCloser
	done, total int64
	tell        func(done, total int64)
}

// Read reads the body.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if n > 0 {
		c.done += int64(n)
		c.tell(c.done, c.total)
	}
	return n, err
}

// sumOf returns the SHA-256 of data.
func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// verify holds that a signature is the signer's.
func verify(signer string, data, sig []byte) error {
	key, err := signature.ParsePublicKey(signer)
	if err != nil {
		return err
	}
	return signature.Verify(key, bytes.NewReader(data), sig)
}
