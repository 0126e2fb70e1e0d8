package install

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/signature"
	"github.com/xai-go/xai/registry/source"
)

// Publication says what is to be published.
type Publication struct {
	File    string // a sealed module, or an executable
	Address string // oci://HOST/REPOSITORY:TAG
	// Signer is the key whose signature lies beside the file, for its declarations;
	// empty for the one that they name.
	Signer string
}

// Published is what was published.
type Published struct {
	URL       string // the address by its digest
	SHA256    string // of the module or executable
	Content   registry.Content
	Methods   []registry.Method // in the module, as they were published
	Signature bool              // there is one
}

// Publish publishes a file at an OCI registry, with its signature where one lies
// beside it, and, where it is a module, with the declarations of its methods: those
// of a methods.toml beside it that pins these very bytes, and otherwise those that
// the module carries. It publishes nothing that Add would refuse.
func (i *Installer) Publish(ctx context.Context, p Publication) (*Published, error) {
	if err := signer(p.Signer); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(p.Address, "oci://") {
		return nil, wrong("give one such as oci://ghcr.io/owner/method:1.0.0; for an https server, copy the file there", p.Address+" is no address of an OCI registry")
	}
	data, err := readFile(p.File, registry.MaxExecutable)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	out := &Published{SHA256: hex.EncodeToString(sum[:]), Content: registry.ContentExecutable}
	pack := source.Package{Content: registry.ContentExecutable, Data: data}
	switch sig, err := readFile(p.File+signature.Suffix, signature.MaxSize); {
	case err == nil:
		pack.Signature, out.Signature = sig, true
	case p.Signer != "" || !errors.Is(err, fs.ErrNotExist):
		return nil, &core.Error{Kind: core.KindInput, Msg: "there is no signature of " + p.File + " to publish: " + err.Error(), Hint: "xai plugin sign writes one", Err: err}
	}
	if strings.HasPrefix(string(data), seal.Header[:4]) {
		pack.Content, out.Content = registry.ContentModule, registry.ContentModule
		if out.Methods, err = declarations(p, data, out.SHA256); err != nil {
			return nil, err
		}
		file := registry.File{Path: "methods.toml", Methods: out.Methods}
		if pack.Methods, err = file.Marshal(); err != nil {
			return nil, failed(err)
		}
	} else if p.Signer != "" {
		if err := verify(p.Signer, data, pack.Signature); err != nil {
			return nil, failed(&registry.SignatureError{Name: filepath.Base(p.File), Signer: p.Signer, Place: p.File + signature.Suffix, Err: err})
		}
	}
	if out.URL, err = i.publisher().Push(ctx, p.Address, pack); err != nil {
		return nil, failed(err)
	}
	return out, nil
}

// declarations returns those of the methods in a module, at its new address.
func declarations(p Publication, module []byte, sum string) ([]registry.Method, error) {
	var out []registry.Method
	beside := filepath.Join(filepath.Dir(p.File), "methods.toml")
	if data, err := readFile(beside, registry.MaxModule); err == nil {
		file, err := registry.Parse(data, beside)
		if err != nil {
			return nil, &core.Error{Kind: core.KindInput, Msg: err.Error(), Hint: "mend it, or publish the module from another folder", Err: err}
		}
		for _, m := range file.Methods {
			if m.Kind == registry.KindWASM && m.SHA256 == sum {
				out = append(out, m)
			}
		}
	}
	if out == nil {
		var err error
		if out, err = sealed(module, Request{Source: p.File}, p.Address, sum); err != nil {
			return nil, err
		}
	}
	for k := range out {
		out[k].URL = p.Address
		if p.Signer != "" {
			out[k].Signer = p.Signer
		}
	}
	return out, nil
}

func verify(key string, data, sig []byte) error {
	k, err := signature.ParsePublicKey(key)
	if err != nil {
		return err
	}
	return signature.Verify(k, bytes.NewReader(data), sig)
}
