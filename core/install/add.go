package install

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/source"
	"github.com/xai-go/xai/sdk/abi"
)

// Request says what is to be added.
type Request struct {
	// Source is a sealed module, a methods.toml or the folder of one; an https://
	// address of a module; an oci:// address; or the name of a method that is
	// declared already, which is fetched alone.
	Source string
	// Names are the methods to add of a source that has others too; none is all.
	Names []string
	// SHA256 is that of the module; empty where it is not known. Bytes from another
	// machine that neither it, nor a digest in the address, nor Signer vouches for
	// are a matter of Installer.Confirm.
	SHA256 string
	// Signer is the key that must have signed the module; empty for the one that a
	// declaration of its publisher's names.
	Signer string
	// File is the methods.toml that gets the declarations, and is made where there
	// is none.
	File string
	// Absolute has files declared by their whole path, instead of from File's folder.
	Absolute bool
	// Granted says that the methods are granted what they need, so that nobody is
	// asked.
	Granted bool
}

var (
	sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)
	scheme    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`) // of two letters or more: C:\x is a path
)

// Add fetches what a source names, verifies it, has what it needs granted, and
// declares it in r.File, all of that or nothing. What the policy of the machine
// forbids is refused before anything is fetched. Its errors are *core.Error; those
// of bytes that nothing vouches for wrap an *UntrustedError, those of methods that
// were not granted what they need an *UngrantedError.
func (i *Installer) Add(ctx context.Context, r Request) ([]Method, error) {
	if r.SHA256 != "" && !sha256Hex.MatchString(r.SHA256) {
		return nil, wrong("sha256sum FILE prints it", "the sha256 is not 64 lower-case hexadecimal digits")
	}
	if err := signer(r.Signer); err != nil {
		return nil, err
	}
	list, err := i.Host.Methods()
	if err != nil {
		return nil, err
	}
	if registry.ValidName(r.Source) {
		if e, err := list.Find(r.Source); err == nil {
			return i.addNamed(ctx, r, list, e)
		} else if !exists(r.Source) {
			return nil, unknown(err)
		}
	}
	found, digest, err := i.find(ctx, r)
	if err != nil {
		return nil, err
	}
	if found, err = choose(found, r.Names, r.Source); err != nil {
		return nil, err
	}
	return i.declare(ctx, r, list, found, digest)
}

// Fetch fetches methods that are declared already, as far as they are on another
// machine, verifies them, and has what they need granted. It tries them all, and
// returns those that are here and may run. Where one of several is not, the error
// is a *FetchError within a *core.Error.
func (i *Installer) Fetch(ctx context.Context, granted bool, names ...string) ([]Method, error) {
	list, err := i.Host.Methods()
	if err != nil {
		return nil, err
	}
	var entries []registry.Entry
	for _, name := range names {
		e, err := list.Find(name)
		if err != nil {
			return nil, unknown(err)
		}
		if !slices.ContainsFunc(entries, func(o registry.Entry) bool { return o.Name == e.Name }) {
			entries = append(entries, e)
		}
	}
	var out []Method
	var asks []*registry.Ask
	failures := &FetchError{Of: len(entries)}
	fail := func(name string, err error) { failures.Failures = append(failures.Failures, Failure{name, err}) }
	for _, e := range entries {
		m, err := i.bringOne(ctx, list, e)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			fail(e.Name, err)
			continue
		case m.Granted != nil:
			asks = append(asks, m.Granted)
		}
		out = append(out, m)
	}
	if err := i.grant(ctx, granted, asks); err != nil {
		if !is[*UngrantedError](err) {
			return nil, err
		}
		if len(failures.Failures) == 0 {
			return slices.DeleteFunc(out, func(m Method) bool { return m.Granted != nil }), err
		}
		for _, ask := range asks {
			fail(ask.Grant.Name, &core.Error{Kind: core.KindMethod, Msg: ask.String(), Hint: "if you trust it: xai plugin grant " + ask.Grant.Name})
		}
		out = slices.DeleteFunc(out, func(m Method) bool { return m.Granted != nil })
	}
	return out, failures.orNil()
}

// Failure is why a method was not fetched.
type Failure struct {
	Name string // of the method
	Err  error
}

// FetchError reports those of several methods that could not be fetched, or may not
// run.
type FetchError struct {
	Of       int // methods in all
	Failures []Failure
}

// Error says which they are.
func (e *FetchError) Error() string {
	var names []string
	for _, f := range e.Failures {
		names = append(names, f.Name)
	}
	return fmt.Sprintf("%d of %d methods are not here, or may not run: %s", len(e.Failures), e.Of, strings.Join(names, ", "))
}

// Unwrap returns what the matter is with each.
func (e *FetchError) Unwrap() []error {
	var out []error
	for _, f := range e.Failures {
		out = append(out, f.Err)
	}
	return out
}

// orNil returns the error, of the gravest kind and with its hint: bytes that are not
// what they should be come before those that are not there. That of the only method
// stands for itself.
func (e *FetchError) orNil() error {
	if len(e.Failures) == 0 {
		return nil
	}
	if e.Of == 1 {
		return e.Failures[0].Err
	}
	out := &core.Error{Kind: core.KindInput, Msg: e.Error(), Err: e}
	for _, f := range e.Failures {
		c, ok := errors.AsType[*core.Error](f.Err)
		if !ok {
			continue
		}
		if out.Hint == "" || c.Kind == core.KindMethod && out.Kind != core.KindMethod {
			out.Kind, out.Hint = c.Kind, c.Hint
		}
	}
	return out
}

// unknown says that no method has that name.
func unknown(err error) error {
	e, ok := errors.AsType[*registry.NotFoundError](err)
	if !ok {
		return err
	}
	hint := "give the name of a method that is declared, a path, or an address that begins with https:// or oci://"
	if e.Nearest != "" {
		hint = "did you mean " + e.Nearest + "? " + hint
	}
	return &core.Error{Kind: core.KindUsage, Msg: "there is no method and no file " + strconv.Quote(e.Name), Hint: hint, Err: err}
}

func (i *Installer) addNamed(ctx context.Context, r Request, list *registry.List, e registry.Entry) ([]Method, error) {
	if r.SHA256 != "" || r.Signer != "" || len(r.Names) > 0 {
		return nil, wrong("change it there, or give the address in place of the name", "method "+e.Name+" is declared in "+e.File.Path+", which says what it is")
	}
	return i.bring(ctx, r.Granted, list, []registry.Entry{e}, nil)
}

// find returns the declarations that a source stands for, and the digest of the
// manifest that it came by.
func (i *Installer) find(ctx context.Context, r Request) ([]registry.Method, string, error) {
	if remote(r.Source) {
		return i.fetch(ctx, r)
	}
	path := r.Source
	if rest, ok := strings.CutPrefix(path, "file://"); ok {
		if path = filepath.FromSlash(rest); runtime.GOOS == "windows" {
			path = strings.TrimPrefix(path, `\`)
		}
	} else if scheme.MatchString(path) {
		return nil, "", wrong("give a path, or an address that begins with https:// or oci://", "nothing can be added from "+strconv.Quote(r.Source))
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "methods.toml")
	}
	data, err := readFile(path, registry.MaxModule)
	if err != nil {
		return nil, "", err
	}
	folder, err := filepath.Abs(filepath.Dir(r.File))
	if err != nil {
		return nil, "", err
	}
	address := func(path string) (string, error) {
		path, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		if near, err := filepath.Rel(folder, path); err == nil && !r.Absolute {
			if path = near; scheme.MatchString(path) {
				path = "./" + path
			}
		}
		return filepath.ToSlash(path), nil
	}
	if strings.HasPrefix(string(data), seal.Header[:4]) {
		sum := sha256.Sum256(data)
		got := hex.EncodeToString(sum[:])
		if r.SHA256 != "" && got != r.SHA256 {
			return nil, "", failed(&registry.HashError{Want: r.SHA256, Got: got, Path: r.Source})
		}
		url, err := address(path)
		if err != nil {
			return nil, "", err
		}
		found, err := sealed(data, r, url, got)
		return found, "", err
	}
	if strings.HasSuffix(path, ".wasm") || !utf8.Valid(data) {
		return nil, "", &core.Error{Kind: core.KindInput, Msg: path + " is neither a WebAssembly module nor a methods.toml", Hint: "give a module, or a methods.toml that declares methods"}
	}
	file, err := registry.Parse(data, path)
	switch {
	case err != nil:
		return nil, "", &core.Error{Kind: core.KindInput, Msg: err.Error(), Hint: "give a module, or a methods.toml that declares methods", Err: err}
	case len(file.Methods) == 0:
		return nil, "", &core.Error{Kind: core.KindInput, Msg: path + " declares no methods"}
	case r.SHA256 != "" || r.Signer != "":
		return nil, "", wrong("leave the hash and the signer out", path+" says itself what its methods are")
	}
	if a, err := os.Stat(r.File); err == nil {
		if b, err := os.Stat(path); err == nil && os.SameFile(a, b) {
			return nil, "", wrong("to fetch what it declares: xai plugin fetch", path+" is the file that methods would be added to")
		}
	}
	move := func(url *string) (err error) {
		if *url != "" && !scheme.MatchString(*url) && !filepath.IsAbs(filepath.FromSlash(*url)) {
			*url, err = address(filepath.Join(filepath.Dir(path), filepath.FromSlash(*url)))
		}
		return err
	}
	for k := range file.Methods {
		m := &file.Methods[k]
		if err := move(&m.URL); err != nil {
			return nil, "", err
		}
		for j := range m.Artifacts {
			if err := move(&m.Artifacts[j].URL); err != nil {
				return nil, "", err
			}
		}
	}
	return file.Methods, "", nil
}

// readFile reads a regular file of at most most bytes, that the user named.
func readFile(path string, most int64) ([]byte, error) {
	refuse := func(msg, hint string, err error) ([]byte, error) {
		return nil, &core.Error{Kind: core.KindInput, Msg: "cannot read " + path + ": " + msg, Hint: hint, Err: err}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse("it does not exist", "check the path", err)
	case err != nil:
		return refuse(err.Error(), "check the path", err)
	case !info.Mode().IsRegular():
		return refuse("it is no regular file", "check the path", nil)
	}
	f, err := os.Open(path)
	if err != nil {
		return refuse(err.Error(), "check who may read it", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return refuse(fmt.Sprintf("it has more than %d bytes, the most that is read", most), "check the path", nil)
	}
	if err != nil {
		return refuse(err.Error(), "check the disk", err)
	}
	return data, nil
}

// fetch fetches a module from another machine, and returns what it declares.
func (i *Installer) fetch(ctx context.Context, r Request) ([]registry.Method, string, error) {
	// The policy may say no to all that could come from there.
	e := registry.Entry{Method: registry.Method{Name: r.Source, Kind: registry.KindWASM, URL: r.Source, Signer: r.Signer}, File: &registry.File{Path: r.File}}
	if err := i.Host.Allowed(e); err != nil {
		return nil, "", err
	}
	client, err := i.client()
	if err != nil {
		return nil, "", err
	}
	got, err := client.Fetch(ctx, r.Source, source.Want{SHA256: r.SHA256, Signer: r.Signer, Declared: true})
	if err != nil {
		return nil, "", failed(err)
	}
	pinned := r.SHA256 != "" || r.Signer != "" || strings.Contains(r.Source, "@sha256:") && strings.HasPrefix(r.Source, "oci://")
	if !pinned {
		if err := i.trust(ctx, &UntrustedError{Source: r.Source, SHA256: got.SHA256}); err != nil {
			return nil, "", err
		}
	}
	if got.Methods != nil {
		for k := range got.Methods.Methods {
			if r.Signer != "" {
				got.Methods.Methods[k].Signer = r.Signer
			}
		}
		return got.Methods.Methods, got.Digest, nil
	}
	module, err := os.ReadFile(got.Path) // it is read again, and verified, before it counts
	if err != nil {
		return nil, "", failed(err)
	}
	found, err := sealed(module, r, got.URL, got.SHA256)
	return found, got.Digest, err
}

// trust asks whether bytes are the right ones.
func (i *Installer) trust(ctx context.Context, e *UntrustedError) error {
	refused := &core.Error{Kind: core.KindMethod, Msg: e.Error(), Hint: "compare that with what the publisher says", Err: e}
	if i.Confirm == nil {
		return refused
	}
	yes, err := i.Confirm(ctx, []string{e.Error(), "compare that with what the publisher says"}, "Are these the right bytes?")
	if err == nil && !yes {
		err = refused
	}
	return err
}

// sealed returns the declarations of the methods that a module describes.
func sealed(module []byte, r Request, url, sum string) ([]registry.Method, error) {
	described, err := seal.Methods(module)
	if err != nil {
		return nil, &core.Error{Kind: core.KindInput, Msg: r.Source + ": " + err.Error(), Hint: "build it again, or ask its author", Err: err}
	}
	if len(described) == 0 {
		return nil, &core.Error{Kind: core.KindInput, Msg: r.Source + " does not say which methods it has", Hint: "if it is yours, have it say so with: xai plugin seal"}
	}
	var out []registry.Method
	for _, m := range described {
		e := m.Entry(url, sum)
		e.Signer = r.Signer
		if e.ABI == "" {
			e.ABI = abi.VersionText
		}
		out = append(out, e)
	}
	return out, nil
}

// choose returns the methods of those names, all of them where there are none.
func choose(found []registry.Method, names []string, from string) ([]registry.Method, error) {
	if len(names) == 0 {
		return found, nil
	}
	var have []string
	for _, m := range found {
		have = append(have, m.Name)
	}
	var out []registry.Method
	for _, name := range names {
		at := slices.Index(have, name)
		if at < 0 {
			hint := "it has " + strings.Join(have, ", ")
			if near, ok := nearest.Of(name, have); ok {
				hint = "did you mean " + near + "? " + hint
			}
			return nil, wrong(hint, from+" has no method "+strconv.Quote(name))
		}
		out = append(out, found[at])
	}
	return out, nil
}

// declare brings methods that no file declares yet, and declares them.
func (i *Installer) declare(ctx context.Context, r Request, list *registry.List, found []registry.Method, digest string) ([]Method, error) {
	file := &registry.File{Path: r.File}
	var text []byte
	edit := func(now []byte) ([]byte, []seal.Change, error) {
		changes := make([]seal.Change, len(found))
		for k, m := range found {
			var err error
			if now, changes[k], err = seal.Declare(now, r.File, m); err != nil {
				return nil, nil, err
			}
		}
		return now, changes, nil
	}
	// What the file will be decides what the names mean.
	if exists(r.File) {
		var err error
		if text, err = readFile(r.File, registry.MaxModule); err != nil {
			return nil, err
		}
	}
	planned, _, err := edit(text)
	was := &registry.File{Path: r.File}
	if err == nil && len(bytes.TrimSpace(text)) > 0 {
		was, err = registry.Parse(text, r.File)
	}
	if err == nil {
		file, err = registry.Parse(planned, r.File)
	}
	if err != nil {
		return nil, &core.Error{Kind: core.KindMethod, Msg: err.Error(), Hint: "mend the registry file", Err: err}
	}
	list = list.With(file)
	entries := make([]registry.Entry, len(found))
	for k, m := range found {
		entries[k], _ = list.In(r.File, m.Name)
	}
	var changes []seal.Change
	var before, after []byte
	there, written := exists(r.File), false
	out, err := i.bring(ctx, r.Granted, list, entries, func() error {
		err := i.Host.EditRegistry(ctx, r.File, func(now []byte) (out []byte, err error) {
			before = now
			after, changes, err = edit(now)
			return after, err
		})
		written = err == nil
		return err
	})
	if err != nil {
		if written { // what was not granted is not declared either
			err = errors.Join(err, i.undo(context.WithoutCancel(ctx), r.File, there, before, after))
		}
		return nil, err
	}
	for k := range out {
		out[k].Change = changes[k]
		if old, ok := was.Method(out[k].Name); ok && above(old.Version, out[k].Version) {
			out[k].Newer = old.Version
		}
		if digest != "" {
			out[k].Digest = digest
		}
	}
	return out, nil
}

// above reports whether a semantic version is above another: by its three numbers,
// and with the same ones where only the other is of something not released yet.
func above(a, b string) bool {
	parts := func(s string) (numbers []int, before bool) {
		s, _, _ = strings.Cut(s, "+")
		s, _, before = strings.Cut(s, "-")
		for part := range strings.SplitSeq(s, ".") {
			n, _ := strconv.Atoi(part) // registry has held it to its form
			numbers = append(numbers, n)
		}
		return numbers, before
	}
	x, early := parts(a)
	y, late := parts(b)
	if c := slices.Compare(x, y); c != 0 {
		return c > 0
	}
	return !early && late
}

// undo brings a file back to what it was, if it is still what it became.
func (i *Installer) undo(ctx context.Context, file string, there bool, before, after []byte) error {
	if !there {
		if now, err := os.ReadFile(file); err == nil && bytes.Equal(now, after) {
			return os.Remove(file)
		}
		return nil
	}
	return i.Host.EditRegistry(ctx, file, func(now []byte) ([]byte, error) {
		if bytes.Equal(now, after) {
			return before, nil
		}
		return now, nil
	})
}

// bring fetches entries, verifies and compiles them, has granted what they need, and
// then does the rest.
func (i *Installer) bring(ctx context.Context, granted bool, list *registry.List, entries []registry.Entry, rest func() error) ([]Method, error) {
	for _, e := range entries { // before anybody is contacted
		if err := i.Host.Allowed(e); err != nil {
			return nil, err
		}
	}
	out := make([]Method, len(entries))
	var asks []*registry.Ask
	for k, e := range entries {
		var err error
		if out[k], err = i.bringOne(ctx, list, e); err != nil {
			return nil, err
		}
		if out[k].Granted != nil {
			asks = append(asks, out[k].Granted)
		}
	}
	if err := i.agreed(ctx, granted, asks); err != nil {
		return nil, err
	}
	if rest != nil { // nothing stays granted to what could not be declared
		if err := rest(); err != nil {
			return nil, err
		}
	}
	return out, i.record(ctx, asks)
}

// bringOne fetches an entry, verifies and compiles it. What was not granted yet is
// in Granted.
func (i *Installer) bringOne(ctx context.Context, list *registry.List, e registry.Entry) (Method, error) {
	out := Method{Entry: e}
	if err := i.Host.Allowed(e); err != nil {
		return out, err
	}
	if first, err := list.Find(e.Name); err == nil && first.File != e.File {
		out.Behind = first.File.Path
	}
	a, err := e.Artifact(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return out, failed(err)
	}
	if remote(a.URL) {
		client, err := i.client()
		if err != nil {
			return out, err
		}
		got, err := client.FetchEntry(ctx, e, runtime.GOOS, runtime.GOARCH)
		if err != nil {
			return out, failed(err)
		}
		out.Digest = got.Digest
	}
	if err := i.Host.Examine(ctx, e); err != nil {
		return out, err
	}
	if err := i.Host.Compile(ctx, e); err != nil {
		return out, err
	}
	out.Granted, err = i.Host.Asks(e)
	return out, err
}

// grant has granted what was asked for.
func (i *Installer) grant(ctx context.Context, granted bool, asks []*registry.Ask) error {
	if err := i.agreed(ctx, granted, asks); err != nil {
		return err
	}
	return i.record(ctx, asks)
}

// agreed returns an error unless the user grants what was asked for.
func (i *Installer) agreed(ctx context.Context, granted bool, asks []*registry.Ask) error {
	if len(asks) == 0 {
		return nil
	}
	if !granted {
		refused := &UngrantedError{Asks: asks, Denied: i.Confirm != nil}
		if i.Confirm != nil {
			yes, err := i.Confirm(ctx, sentences(asks), "Allow it, now and whenever these bytes run?")
			if err != nil {
				return err
			}
			granted = yes
		}
		if !granted {
			return &core.Error{Kind: core.KindMethod, Msg: refused.Error(), Err: refused}
		}
	}
	return nil
}

// record remembers what was granted.
func (i *Installer) record(ctx context.Context, asks []*registry.Ask) error {
	for _, ask := range asks {
		if err := i.Host.Grant(ctx, ask); err != nil {
			return err
		}
	}
	return nil
}
