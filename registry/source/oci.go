package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	oci "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/internal/address"
	"github.com/xai-go/xai/registry/internal/document"
)

func digestOf(hex string) digest.Digest { return digest.NewDigestFromEncoded(digest.SHA256, hex) }

// repository returns a client of an artefact's repository.
func (c *Client) repository(a address.Address, push bool) *remote.Repository {
	host := (&url.URL{Host: a.Host}).Hostname()
	plain := address.Loopback(host)
	return &remote.Repository{
		Client: &auth.Client{
			Client:     c.http(plain),
			Header:     http.Header{"User-Agent": {"xai"}},
			Cache:      auth.NewCache(),
			Credential: c.credential(push),
		},
		Reference:          oci.Reference{Registry: a.Host, Repository: a.Repository},
		PlainHTTP:          plain,
		ManifestMediaTypes: []string{ocispec.MediaTypeImageManifest},
		MaxMetadataBytes:   maxManifest,
	}
}

// credential returns what knows the user's credentials for a registry. Whoever
// only reads goes on without where they cannot be had.
func (c *Client) credential(push bool) auth.CredentialFunc {
	if c.Anonymous {
		return nil
	}
	return func(ctx context.Context, host string) (auth.Credential, error) {
		store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
		if err == nil {
			var known auth.Credential
			if known, err = credentials.Credential(store)(ctx, host); err == nil {
				return known, nil
			}
		}
		if push {
			return auth.EmptyCredential, fmt.Errorf("the credentials of Docker's configuration cannot be had: %w", err)
		}
		return auth.EmptyCredential, nil
	}
}

// resolve reads the manifest of an artefact. The digest is that of the bytes
// that came, and the one that the address names where it does.
func (c *Client) resolve(ctx context.Context, repo *remote.Repository, a address.Address, of registry.Content) (*manifest, string, error) {
	refuse := func(format string, args ...any) (*manifest, string, error) {
		return nil, "", &ManifestError{Address: a.Text, Msg: fmt.Sprintf(format, args...)}
	}
	said, body, err := repo.Manifests().FetchReference(ctx, cmp.Or(a.Digest, a.Tag, "latest"))
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	if said.Size > maxManifest {
		return refuse("its manifest has %d bytes and may have %d", said.Size, maxManifest)
	}
	data, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err != nil {
		return nil, "", err
	}
	came := digest.FromBytes(data)
	if said.Digest != came || a.Digest != "" && a.Digest != came.String() {
		return refuse("its manifest should have the digest %s and has %s", cmp.Or(a.Digest, said.Digest.String()), came)
	}
	if said.MediaType != ocispec.MediaTypeImageManifest && said.MediaType != ocispec.MediaTypeImageIndex {
		return refuse("its manifest is of the type %s", document.Quote(said.MediaType))
	}
	m, err := parseManifest(data, of)
	if err != nil {
		return refuse("%v", err)
	}
	return m, came.String(), nil
}

// pull fetches an artefact from an OCI registry.
func (c *Client) pull(ctx context.Context, a address.Address, w Want) (*Got, error) {
	repo := c.repository(a, false)
	m, manifestDigest, err := c.resolve(ctx, repo, a, w.Content)
	if err != nil {
		return nil, err
	}
	sum := m.content.Digest.Encoded()
	if w.SHA256 != "" && w.SHA256 != sum {
		return nil, &registry.HashError{Name: w.Name, Want: w.SHA256, Got: sum, Path: a.Text}
	}
	pinned := a.Pinned(manifestDigest)
	var sig []byte
	if w.Signer != "" {
		if m.signature == nil {
			return nil, unsigned(w, "in "+a.Text, fs.ErrNotExist)
		}
		if sig, err = content.FetchAll(ctx, repo.Blobs(), *m.signature); err != nil {
			return nil, err
		}
	}
	var methods *registry.File
	if m.methods != nil && w.Content == registry.ContentModule {
		data, err := content.FetchAll(ctx, repo.Blobs(), *m.methods)
		if err != nil {
			return nil, err
		}
		if methods, err = declared(data, a.Text, sum); err != nil {
			return nil, &ManifestError{Address: a.Text, Msg: err.Error()}
		}
		for i := range methods.Methods {
			methods.Methods[i].URL = pinned
		}
	}
	w.SHA256 = sum
	got := &Got{SHA256: sum}
	if got.Path, err = c.Store.Check(ctx, w.item(nil)); err != nil { // it is not there yet
		body, err := repo.Blobs().Fetch(ctx, m.content)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		if got, err = c.add(ctx, io.LimitReader(body, m.content.Size+1), a, w, sig, "in "+a.Text); err != nil {
			return nil, err
		}
	}
	got.URL, got.Digest, got.Methods = pinned, manifestDigest, methods
	return got, nil
}

// declared reads the declarations of the methods in a module.
func declared(data []byte, place, sum string) (*registry.File, error) {
	f, err := registry.Parse(data, place)
	if err != nil {
		return nil, fmt.Errorf("its declarations of methods are malformed: %w", err)
	}
	if len(f.Methods) == 0 {
		return nil, errors.New("its declarations of methods declare none")
	}
	for _, m := range f.Methods {
		if m.Kind != registry.KindWASM || m.SHA256 != sum {
			return nil, fmt.Errorf("the method %s that it declares is not in its module", m.Name)
		}
	}
	return f, nil
}

// Digests returns the digests of the OCI manifests behind those addresses of a
// file that name none, by address, as registry.NewLock takes them. It is a
// *registry.HashError where an artefact no longer holds what the file pins.
func (c *Client) Digests(ctx context.Context, f *registry.File) (map[string]string, error) {
	out := map[string]string{}
	for _, m := range f.Methods {
		of, all := registry.ContentModule, []registry.Artifact{{URL: m.URL, SHA256: m.SHA256}}
		if m.Kind == registry.KindProcess {
			of = registry.ContentExecutable
			if len(m.Artifacts) > 0 {
				all = m.Artifacts
			}
		}
		for _, artifact := range all {
			a, err := address.Parse(artifact.URL)
			if err != nil || a.Scheme != address.OCI || a.Digest != "" {
				continue
			}
			err = c.bounded(ctx, "resolve", a.Text, func(ctx context.Context) error {
				held, d, err := c.resolve(ctx, c.repository(a, false), a, of)
				if err == nil && held.content.Digest.Encoded() != artifact.SHA256 {
					err = &registry.HashError{Name: m.Name, Want: artifact.SHA256, Got: held.content.Digest.Encoded(), Path: a.Text, File: f.Path}
				}
				out[a.Text] = d
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// Package is what is published.
type Package struct {
	Content   registry.Content
	Data      []byte // the module or the executable
	Methods   []byte // a methods.toml of the methods in the module; may be empty
	Signature []byte // of the data, the content of a .minisig file; may be empty
}

// check holds a package to what Fetch will hold it to.
func (p Package) check() error {
	if n := int64(len(p.Data)); n == 0 || n > p.Content.Limit() {
		return fmt.Errorf("the %s has %d bytes and may have from 1 to %d", p.Content, n, p.Content.Limit())
	}
	if p.Content == registry.ContentModule && !bytes.HasPrefix(p.Data, []byte("\x00asm")) {
		return errors.New("the module is no WebAssembly module")
	}
	if len(p.Methods) == 0 {
		return nil
	}
	if p.Content != registry.ContentModule {
		return errors.New("declarations of methods go with a module alone")
	}
	f, err := declared(p.Methods, "methods.toml", sumOf(p.Data))
	if err != nil {
		return err
	}
	for _, m := range f.Methods {
		if m.Signer == "" {
			continue
		}
		if len(p.Signature) == 0 {
			return fmt.Errorf("the method %s names a signer, and there is no signature", m.Name)
		}
		if err := verify(m.Signer, p.Data, p.Signature); err != nil {
			return fmt.Errorf("the method %s: %w", m.Name, err)
		}
	}
	return nil
}

// Push publishes a package at an oci:// address, whose tag it moves there, and
// returns the address by its digest. It publishes nothing that Fetch would
// refuse. A package whose methods name a signer must have the signature.
func (c *Client) Push(ctx context.Context, addr string, p Package) (string, error) {
	a, err := address.Parse(addr)
	if err != nil || a.Scheme != address.OCI || a.Tag == "" || a.Digest != "" {
		return "", &Error{Address: addr, Msg: fmt.Sprintf("methods are published at the address of an OCI registry with a tag, such as oci://ghcr.io/owner/method:1.0.0, and not at %s", document.Quote(addr)), Err: err}
	}
	if err := p.check(); err != nil {
		return "", &Error{Address: addr, Msg: "nothing is published: " + err.Error(), Err: err}
	}
	blobs, m, err := buildManifest(p)
	if err != nil {
		return "", err
	}
	err = c.bounded(ctx, "publish", addr, func(ctx context.Context) error {
		repo := c.repository(a, true)
		for _, b := range blobs {
			there, err := repo.Blobs().Exists(ctx, b.Descriptor)
			if err != nil {
				return err
			}
			if there {
				continue
			}
			if err := repo.Blobs().Push(ctx, b.Descriptor, bytes.NewReader(b.data)); err != nil {
				return err
			}
		}
		return repo.Manifests().PushReference(ctx, m.Descriptor, bytes.NewReader(m.data), a.Tag)
	})
	if err != nil {
		return "", err
	}
	return a.Pinned(m.Digest.String()), nil
}

// reason words why a request failed. What the other side says is not trusted to
// be one line.
func reason(addr string, err error) string {
	if response, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		if slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden}, response.StatusCode) {
			return denied(addr)
		}
		return clean(fmt.Sprintf("the registry answered %d %s: %v", response.StatusCode, http.StatusText(response.StatusCode), response.Errors))
	}
	if errors.Is(err, auth.ErrBasicCredentialNotFound) {
		return denied(addr)
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return "the registry has no such artefact"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the rest is the address
	}
	return clean(err.Error())
}

func denied(addr string) string {
	host := "HOST"
	if a, err := address.Parse(addr); err == nil {
		host = a.Host
	}
	return "the registry wants to know who asks; log in with: docker login " + host
}
