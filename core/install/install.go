// Package install brings methods to a machine: it fetches them, holds them to
// what was pinned and signed, asks for what they need, and declares them in a
// registry file; it locks a project's methods, and publishes an author's.
//
// Package core runs what is there and uses no network. This package does, through
// registry/source, when it is called. It runs nothing of what it fetches.
package install

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/signature"
	"github.com/xai-go/xai/registry/source"
)

// Installer adds methods for a host. It may be used by several goroutines at
// once, as far as Confirm may.
type Installer struct {
	Host *core.Host
	// Client fetches and publishes; nil is one of the package's own. One without a
	// store gets that of the host.
	Client *source.Client
	// Contact and Progress are those of the client, where it has none: they are
	// told the hosts that are contacted, and how far a fetch is. nil are not.
	Contact  func(host string)
	Progress func(done, total int64)
	// Confirm is asked a question about some facts, each of them a sentence without
	// its full stop; nil says no to all.
	Confirm func(ctx context.Context, facts []string, question string) (bool, error)
}

// Method is a method that was added or fetched.
type Method struct {
	registry.Entry
	Digest  string        // of the OCI manifest that it came by; empty for other addresses
	Change  seal.Change   // of the registry file; seal.Unchanged where it says all that already
	Granted *registry.Ask // what the user granted; nil where nothing was missing
	// Behind is the registry file that has a method of that name and comes first,
	// so that the name does not find this one; empty where it does.
	Behind string
	// Newer is the version that the registry file declared before, where it is above
	// the one that took its place; empty where it is not.
	Newer string
}

// UntrustedError reports bytes from another machine that nothing vouches for:
// neither a hash, nor a signer, nor somebody who was asked.
type UntrustedError struct {
	Source string
	SHA256 string // of what came
}

// Error says what came.
func (e *UntrustedError) Error() string {
	return "nothing says which bytes " + e.Source + " should hold; those that came have sha256 " + e.SHA256
}

// UngrantedError reports methods that were not granted what they need.
type UngrantedError struct {
	Asks   []*registry.Ask // at least one
	Denied bool            // somebody was asked, and said no
}

// Error says what they want.
func (e *UngrantedError) Error() string {
	if e.Denied {
		var names []string
		for _, ask := range e.Asks {
			names = append(names, ask.Grant.Name)
		}
		return "nothing was changed: " + strings.Join(names, ", ") + " was not granted what it needs"
	}
	return strings.Join(sentences(e.Asks), "; ")
}

func sentences(asks []*registry.Ask) []string {
	var out []string
	for _, ask := range asks {
		out = append(out, ask.String())
	}
	return out
}

// publisher returns what publishes.
func (i *Installer) publisher() *source.Client {
	var c source.Client
	if i.Client != nil {
		c = *i.Client
	}
	if c.Contact == nil {
		c.Contact = i.Contact
	}
	if c.Progress == nil {
		c.Progress = i.Progress
	}
	return &c
}

// client returns what fetches.
func (i *Installer) client() (*source.Client, error) {
	c := i.publisher()
	if c.Store != nil {
		return c, nil
	}
	var err error
	c.Store, err = i.Host.Store()
	return c, err
}

// remote reports whether an address is on another machine.
func remote(url string) bool {
	return strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "oci://")
}

// wrong returns an error about the request.
func wrong(hint, msg string) error { return &core.Error{Kind: core.KindUsage, Msg: msg, Hint: hint} }

// failed classes an error of fetching, verifying and publishing.
func failed(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	e := &core.Error{Kind: core.KindInput, Msg: err.Error(), Err: err}
	switch {
	case is[*registry.HashError](err):
		e.Kind, e.Hint = core.KindMethod, "ask the publisher which sha256 it should have"
	case is[*registry.SignatureError](err):
		e.Kind, e.Hint = core.KindMethod, "ask the publisher for a signature by that key"
	case is[*source.Error](err):
		e.Hint = "check the address, and whether the network lets you reach it"
	case is[*source.ManifestError](err):
		e.Hint = "xai plugin push publishes artefacts that hold methods"
	}
	return e
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// signer checks a key.
func signer(key string) error {
	if _, err := signature.ParsePublicKey(key); key != "" && err != nil {
		return wrong("it is the signer that xai plugin keygen prints, such as ed25519:RWQ…", "the signer is no key: "+err.Error())
	}
	return nil
}

// exists reports whether there is something at a path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
