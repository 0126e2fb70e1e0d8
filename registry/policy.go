package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/xai-go/xai/registry/internal/address"
	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/signature"
)

// Policy is what whoever manages a machine allows methods to be, whichever
// registry file declares them. No registry file, lock or grant loosens it. The
// zero Policy allows everything. It is immutable.
type Policy struct {
	Path   string // of the file; empty where there is none
	Limits Limits // the most that an explanation may have; a zero is no bound

	kinds      []string // allowed ones; nil is all
	signers    []string // keys that may sign; nil is any
	sources    []source // where modules may come from; nil is anywhere
	unsigned   bool     // a method without a signer may not run
	network    bool     // a process may not ask for the network
	unconfined bool     // a process may not ask to see all files
}

// source is a pattern of addresses.
type source struct {
	scheme string
	host   string // empty is any
	path   string // a folder; empty is any
}

// SystemPolicyPath returns where the policy of the machine is. It is empty on
// Windows, where anyone may create such a folder.
func SystemPolicyPath() string {
	if runtime.GOOS == "windows" {
		return ""
	}
	return "/etc/xai/policy.toml"
}

// ReadPolicy reads a policy. Where there is no file, or the path is empty,
// everything is allowed; a file that cannot be read or understood is an error,
// and nothing should run then.
func ReadPolicy(path string) (*Policy, error) {
	if path == "" {
		return &Policy{}, nil
	}
	_, data, err := readRegistry(path)
	if errors.Is(err, fs.ErrNotExist) && !exists(path) { // a link to nothing exists
		return &Policy{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("cannot read the policy of this machine, so that nothing runs: %w", err)
	}
	return ParsePolicy(data, path)
}

// ParsePolicy reads a policy; the path is for messages. An invalid one gives a
// *ParseError with the line, one of a newer schema an *UnsupportedError.
func ParsePolicy(data []byte, path string) (*Policy, error) {
	p := &Policy{Path: path}
	err := decode(data, path, func(top table) {
		top.Allow("schema", "kinds", "unsigned", "signers", "sources", "network", "unconfined", "limits")
		p.kinds = top.allowed("kinds")
		for _, kind := range p.kinds {
			if kind != KindWASM && kind != KindProcess {
				top.Fail("kinds", "kinds holds %s and may hold %s and %s", document.Quote(kind), KindWASM, KindProcess)
			}
		}
		p.signers = top.allowed("signers")
		for _, signer := range p.signers {
			if _, err := signature.ParsePublicKey(signer); err != nil {
				top.Fail("signers", "signers holds %s: %v", document.Quote(signer), err)
			}
		}
		for _, text := range top.allowed("sources") {
			s, err := parseSource(text)
			if err != nil {
				top.Fail("sources", "sources holds %s: %v", document.Quote(text), err)
			}
			p.sources = append(p.sources, s)
		}
		if top.Has("sources") && p.sources == nil {
			p.sources = []source{}
		}
		p.unsigned = !top.Boolean("unsigned", true)
		p.network = !top.Boolean("network", true)
		p.unconfined = !top.Boolean("unconfined", true)
		limits := top.sub("limits")
		limits.Name = "limits"
		p.Limits = limits.limits()
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// allowed reads a list of what is allowed. An empty list allows nothing, a list
// that is absent everything.
func (t table) allowed(key string) []string {
	list := t.List(key)
	if t.Has(key) && list == nil {
		return []string{}
	}
	return list
}

// parseSource reads a pattern: a scheme ("builtin:", "file:", "https:",
// "oci:"), with a host ("https://example.org"), with the beginning of a path
// ("oci://ghcr.io/owner", "file:///opt/xai").
func parseSource(text string) (source, error) {
	bad := errors.New(`a source is a scheme, such as "https:", an address, such as "oci://ghcr.io", or the beginning of one, such as "file:///opt/xai"`)
	scheme, rest, _ := strings.Cut(text, ":")
	s := source{scheme: scheme}
	if !slices.Contains([]string{address.Builtin, address.File, address.HTTPS, address.OCI}, scheme) {
		return s, bad
	}
	if rest == "" {
		return s, nil
	}
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(rest, "//") || scheme == address.Builtin || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" {
		return s, bad
	}
	s.host, s.path = strings.ToLower(u.Host), strings.TrimSuffix(u.Path, "/")
	if s.path != "" && path.Clean(s.path) != s.path || (scheme == address.File) != (s.host == "") || scheme == address.File && s.path == "" {
		return s, bad
	}
	return s, nil
}

// covers reports whether an address is one of the pattern's. A relative path is
// relative to the folder.
func (s source) covers(a address.Address, folder string) bool {
	scheme, host, where := a.Scheme, "", ""
	switch a.Scheme {
	case address.Path, address.File:
		scheme = address.File
		if absolute, err := filepath.Abs(a.In(folder)); err == nil {
			where = filepath.ToSlash(absolute)
		}
		if !strings.HasPrefix(where, "/") {
			where = "/" + where // C:/x, as file:///C:/x has it
		}
	case address.HTTPS:
		host, where = a.URL.Host, path.Clean("/"+a.URL.Path)
	case address.OCI:
		host, where = a.Host, "/"+a.Repository
	}
	return scheme == s.scheme && (s.host == "" || strings.EqualFold(host, s.host)) &&
		(s.path == "" || where == s.path || strings.HasPrefix(where, s.path+"/"))
}

// PolicyError reports a method that the policy of the machine does not allow.
type PolicyError struct {
	Name string // of the method
	Path string // of the policy
	Msg  string // half a sentence
}

// Error says what the policy does not allow.
func (e *PolicyError) Error() string {
	return fmt.Sprintf("method %s: %s, by the policy of this machine, %s, which whoever manages it can change", e.Name, e.Msg, e.Path)
}

// Check returns a *PolicyError where the policy does not allow the method. What
// the binary holds has the binary's source and needs no signer: whoever allows
// xai to run allows that. Limits are no matter of Check, see Clamp.
func (p *Policy) Check(e Entry) error {
	refuse := func(format string, args ...any) error {
		return &PolicyError{Name: e.Name, Path: p.Path, Msg: fmt.Sprintf(format, args...)}
	}
	if p.kinds != nil && !slices.Contains(p.kinds, e.Kind) {
		return refuse("methods of kind %q may not run", e.Kind)
	}
	if e.Kind == KindProcess && e.Confine != nil {
		switch {
		case p.network && e.Confine.Net:
			return refuse("a process may not use the network")
		case p.unconfined && !e.Confine.Landlock:
			return refuse("a process may not see all files")
		}
	}
	if e.Embedded {
		return nil
	}
	switch {
	case e.Signer == "" && p.unsigned:
		return refuse("nobody has signed it, and somebody must have")
	case e.Signer != "" && p.signers != nil && !slices.Contains(p.signers, e.Signer):
		return refuse("its signer, %s, is none of those that may sign", e.Signer)
	}
	urls := []string{e.URL}
	if len(e.Artifacts) > 0 {
		urls = nil
		for _, a := range e.Artifacts {
			urls = append(urls, a.URL)
		}
	}
	for _, url := range urls {
		if !p.AllowsSource(url, filepath.Dir(e.File.Path)) {
			return refuse("nothing may come from %s", document.Quote(url))
		}
	}
	return nil
}

// AllowsSource reports whether a module may come from an address. A relative
// path is relative to the folder.
func (p *Policy) AllowsSource(url, folder string) bool {
	if p.sources == nil {
		return true
	}
	a, err := address.Parse(url)
	return err == nil && slices.ContainsFunc(p.sources, func(s source) bool { return s.covers(a, folder) })
}

// Clamp returns the limits that an explanation has: the declared ones, or the
// host's defaults where nothing is declared, and no more than the policy
// allows. A declared limit above the policy's is lowered, not refused: most
// explanations stay far below what a method declares.
func (p *Policy) Clamp(declared, defaults Limits) Limits {
	return Limits{
		Memory:   clamp(declared.Memory, defaults.Memory, p.Limits.Memory),
		Timeout:  clamp(declared.Timeout, defaults.Timeout, p.Limits.Timeout),
		Forwards: clamp(declared.Forwards, defaults.Forwards, p.Limits.Forwards),
		Output:   clamp(declared.Output, defaults.Output, p.Limits.Output),
		Log:      clamp(declared.Log, defaults.Log, p.Limits.Log),
		Fuel:     clamp(declared.Fuel, defaults.Fuel, p.Limits.Fuel),
	}
}

// clamp returns the smaller one of a limit and the most that is allowed; in
// both, zero is no bound.
func clamp[T ~int64](declared, otherwise, most T) T {
	if declared == 0 {
		declared = otherwise
	}
	if most != 0 && (declared == 0 || declared > most) {
		return most
	}
	return declared
}
