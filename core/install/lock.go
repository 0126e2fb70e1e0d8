package install

import (
	"context"

	"github.com/xai-go/xai/registry"
)

// Lock returns the lock of a file's methods as they are now. The digest of an OCI
// manifest that the address does not name is that of the lock beside the file,
// where address and hash are the same; otherwise the registry is asked, unless the
// policy of the machine forbids it.
func (i *Installer) Lock(ctx context.Context, list *registry.List, f *registry.File) (*registry.Lock, error) {
	digests := map[string]string{}
	if previous, err := registry.ReadLock(registry.LockPath(f.Path)); err == nil { // a broken one is written anew
		digests = known(previous, f)
	}
	open := &registry.File{Path: f.Path}
	for _, k := range registry.NewLock(f, digests).Methods {
		m, _ := f.Method(k.Name)
		unknown := needsDigest(k.URL, k.Digest)
		for _, a := range k.Artifacts {
			unknown = unknown || needsDigest(a.URL, a.Digest)
		}
		if !unknown {
			continue
		}
		e, ok := list.In(f.Path, m.Name)
		if !ok {
			e = registry.Entry{Method: m, File: f}
		}
		if err := i.Host.Allowed(e); err != nil {
			return nil, err
		}
		open.Methods = append(open.Methods, m)
	}
	if len(open.Methods) > 0 {
		client, err := i.client()
		if err != nil {
			return nil, err
		}
		more, err := client.Digests(ctx, open)
		if err != nil {
			return nil, failed(err)
		}
		for url, digest := range more {
			digests[url] = digest
		}
	}
	return registry.NewLock(f, digests), nil
}

// needsDigest reports whether a lock lacks the digest of an address.
func needsDigest(url, digest string) bool {
	return digest == "" && len(url) > 6 && url[:6] == "oci://"
}

// known returns the digests of a lock that a file's addresses still have.
func known(l *registry.Lock, f *registry.File) map[string]string {
	out := map[string]string{}
	add := func(url, sum, wasURL, wasSum, digest string) {
		if url == wasURL && sum == wasSum && digest != "" {
			out[url] = digest
		}
	}
	for _, m := range f.Methods {
		k, ok := l.Method(m.Name)
		if !ok {
			continue
		}
		add(m.URL, m.SHA256, k.URL, k.SHA256, k.Digest)
		for _, a := range m.Artifacts {
			for _, was := range k.Artifacts {
				add(a.URL, a.SHA256, was.URL, was.SHA256, was.Digest)
			}
		}
	}
	return out
}
