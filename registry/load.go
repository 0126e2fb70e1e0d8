package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// maxModule bounds a module, in bytes.
const maxModule = 32 << 20

// The schemes of a module's address. A plain path has schemePath.
const (
	schemePath    = ""
	schemeBuiltin = "builtin"
	schemeFile    = "file"
	schemeHTTPS   = "https"
	schemeOCI     = "oci"
)

var (
	// A scheme has two letters or more, so that C:\x is a path.
	schemePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`)
	builtinName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
)

// splitURL takes a module's address apart: rest is the name of a built-in
// module, a path in the system's form, or the address itself.
func splitURL(address string) (scheme, rest string, err error) {
	scheme = strings.TrimSuffix(schemePattern.FindString(address), ":")
	switch scheme {
	case schemePath:
		if strings.HasPrefix(address, `\\`) || strings.HasPrefix(address, "//") {
			// Windows would send the user's credentials to the host.
			return "", "", errors.New("a path on another machine is refused; copy the module here")
		}
		return schemePath, filepath.FromSlash(address), nil
	case schemeBuiltin:
		name := address[len("builtin:"):]
		if !builtinName.MatchString(name) {
			return "", "", errors.New("a built-in module has a plain name, such as builtin:lime.wasm")
		}
		return schemeBuiltin, name, nil
	case schemeFile, schemeHTTPS, schemeOCI:
		u, err := url.Parse(address)
		if err != nil || !strings.HasPrefix(address, scheme+"://") {
			return "", "", fmt.Errorf("it is no address; one looks like %s://…", scheme)
		}
		if scheme != schemeFile {
			if u.Host == "" {
				return "", "", errors.New("it names no host")
			}
			return scheme, address, nil
		}
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
			return "", "", errors.New("a file address is file:// and an absolute path, such as file:///opt/xai/lime.wasm")
		}
		path := u.Path
		if runtime.GOOS == "windows" {
			path = strings.TrimPrefix(path, "/") // file:///C:/x
		}
		return scheme, filepath.FromSlash(path), nil
	case "http":
		return "", "", errors.New("http:// is not authenticated; use https://")
	}
	return "", "", fmt.Errorf("the scheme %s is unknown; known are builtin:, a path, file://, https:// and oci://", quote(scheme+":"))
}

// Supported returns nil where this version can load the method's module, and
// an *UnsupportedError that says what to do instead where it cannot.
func (e Entry) Supported() error {
	refuse := func(format string, args ...any) error {
		return &UnsupportedError{e.File.Path, "method " + e.Name + ": " + fmt.Sprintf(format, args...)}
	}
	if e.Kind == KindProcess {
		return refuse("this version of xai runs no methods of kind %q; build it as a WebAssembly module", KindProcess)
	}
	scheme, _, err := splitURL(e.URL)
	switch {
	case err != nil:
		return &ParseError{Path: e.File.Path, Msg: "method " + e.Name + ": url is " + quote(e.URL) + ": " + err.Error()}
	case scheme == schemeHTTPS || scheme == schemeOCI:
		return refuse("this version of xai fetches nothing over the network; download %s yourself and make url the path of the file", quote(e.URL))
	}
	return nil
}

// Load reads the method's module and verifies its hash. A built-in module
// comes from the function, which returns the bytes behind a name such as
// "lime.wasm"; a relative path is relative to the folder of the registry file.
//
// Load returns an *UnsupportedError for what this version cannot fetch, a
// *HashError for other bytes than the pinned ones, and an error that wraps the
// cause for a file that cannot be read.
func (e Entry) Load(builtin func(name string) ([]byte, error)) ([]byte, error) {
	if err := e.Supported(); err != nil {
		return nil, err
	}
	scheme, rest, err := splitURL(e.URL)
	if err != nil {
		return nil, err
	}
	var module []byte
	place := e.URL
	if scheme == schemeBuiltin {
		if module, err = builtin(rest); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("method %s: this build of xai holds no module %s, which %s asks for: %w", e.Name, quote(rest), e.File.Path, err)
		}
	} else {
		if !filepath.IsAbs(rest) {
			rest = filepath.Join(filepath.Dir(e.File.Path), rest)
		}
		place = rest
		module, err = readRegular(rest, maxModule)
	}
	if err != nil {
		return nil, fmt.Errorf("method %s: cannot read the module that %s names: %w", e.Name, e.File.Path, err)
	}
	sum := sha256.Sum256(module)
	if got := hex.EncodeToString(sum[:]); got != e.SHA256 {
		return nil, &HashError{Name: e.Name, Want: e.SHA256, Got: got, Path: place, File: e.File.Path}
	}
	return module, nil
}

// readRegular reads a regular file of at most most bytes. A link is refused
// because a file from a stranger's project could point anywhere, and a pipe or
// a device because reading it need not end.
func readRegular(path string, most int64) ([]byte, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a %s and must be a regular file", path, kindOf(before.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(before, info) {
		return nil, fmt.Errorf("%s was replaced while it was opened; try again", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes, the most that is read", path, most)
	}
	return data, nil
}

// kindOf names what is no regular file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	}
	return "special file"
}
