// Package address takes the addresses of modules apart.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/xai-go/xai/registry/internal/document"
)

// The schemes of addresses. A plain path has the scheme Path.
const (
	Path    = ""
	Builtin = "builtin"
	File    = "file"
	HTTPS   = "https"
	OCI     = "oci"
)

var (
	// A scheme has two letters or more, so that C:\x is a path.
	schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`)
	hostPattern   = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	builtinName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	// The names of repositories and tags, as the OCI distribution specification
	// has them.
	reference = regexp.MustCompile(`^([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`)
)

// Address says where a module is.
type Address struct {
	Scheme string
	Text   string // as it was written

	Name string   // of a built-in module
	Path string   // of a Path and a File, in the system's form
	URL  *url.URL // of HTTPS

	// Of OCI. The tag and the digest of the manifest may be empty.
	Host, Repository, Tag, Digest string
}

// Parse takes an address apart. The error is half a sentence.
func Parse(s string) (Address, error) {
	a := Address{Scheme: strings.TrimSuffix(schemePattern.FindString(s), ":"), Text: s}
	switch a.Scheme {
	case Path:
		if strings.HasPrefix(s, `\\`) || strings.HasPrefix(s, "//") {
			// Windows would send the user's credentials to the host.
			return Address{}, errors.New("a path on another machine is refused; copy the module here")
		}
		a.Path = filepath.FromSlash(s)
		return a, nil
	case Builtin:
		a.Name = s[len("builtin:"):]
		if !builtinName.MatchString(a.Name) {
			return Address{}, errors.New("a built-in module has a plain name, such as builtin:lime.wasm")
		}
		return a, nil
	case File, HTTPS, OCI:
		u, err := url.Parse(s)
		if err != nil || !strings.HasPrefix(s, a.Scheme+"://") {
			return Address{}, fmt.Errorf("it is no address; one looks like %s://…", a.Scheme)
		}
		return a.parse(u)
	case "http":
		return Address{}, errors.New("http:// is not authenticated; use https://")
	}
	return Address{}, fmt.Errorf("the scheme %s is unknown; known are builtin:, a path, file://, https:// and oci://", document.Quote(a.Scheme+":"))
}

// parse reads what has slashes behind its scheme.
func (a Address) parse(u *url.URL) (Address, error) {
	if a.Scheme == File {
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
			return Address{}, errors.New("a file address is file:// and an absolute path, such as file:///opt/xai/lime.wasm")
		}
		path := u.Path
		if runtime.GOOS == "windows" {
			path = strings.TrimPrefix(path, "/") // file:///C:/x
		}
		a.Path = filepath.FromSlash(path)
		return a, nil
	}
	switch {
	case u.Hostname() == "":
		return Address{}, errors.New("it names no host")
	case u.User != nil:
		return Address{}, errors.New("an address holds no user and no password")
	case !hostPattern.MatchString(u.Host):
		return Address{}, fmt.Errorf("the host %s is none; one of other letters has a name that begins with xn--", document.Quote(u.Host))
	case u.Fragment != "":
		return Address{}, errors.New("an address has no # and nothing behind it")
	case a.Scheme == HTTPS:
		a.URL = u
		return a, nil
	}
	m := reference.FindStringSubmatch(strings.TrimPrefix(u.Path, "/"))
	if m == nil || u.RawQuery != "" || u.RawPath != "" {
		return Address{}, errors.New("an OCI address is a host, a repository in lower case and a tag or a digest, such as oci://ghcr.io/owner/method:1.0.0")
	}
	a.Host, a.Repository, a.Tag, a.Digest = u.Host, m[1], m[2], m[3]
	return a, nil
}

// Remote reports whether the module is on another machine.
func (a Address) Remote() bool { return a.Scheme == HTTPS || a.Scheme == OCI }

// In returns the path of a local module; a relative one is relative to the
// folder.
func (a Address) In(folder string) string {
	if filepath.IsAbs(a.Path) {
		return a.Path
	}
	return filepath.Join(folder, a.Path)
}

// Pinned returns the address of an OCI artefact by the digest of its manifest.
func (a Address) Pinned(digest string) string {
	return OCI + "://" + a.Host + "/" + a.Repository + "@" + digest
}

// Loopback reports whether a host, without its port, is this machine.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
