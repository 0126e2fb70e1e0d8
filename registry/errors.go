package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/xai-go/xai/registry/internal/address"
	"github.com/xai-go/xai/registry/internal/document"
)

// ParseError says what is wrong in a methods.toml, a lock, a policy or a file
// of grants, and where.
type ParseError struct {
	Path string
	Line int    // 1 is the first; 0 where the mistake belongs to no line
	Msg  string // one sentence without the place
}

// Error returns the place and the sentence.
func (e *ParseError) Error() string {
	if e.Line == 0 {
		return e.Path + ": " + e.Msg
	}
	return e.Path + ":" + strconv.Itoa(e.Line) + ": " + e.Msg
}

// UnsupportedError reports something valid that this version cannot do: a
// newer schema, or a method without an executable for the platform.
type UnsupportedError struct {
	Path string // of the file
	Msg  string // one sentence that names the method and says what to do
}

// Error returns the place and the sentence.
func (e *UnsupportedError) Error() string { return e.Path + ": " + e.Msg }

// NotFoundError reports a name that no registry file declares.
type NotFoundError struct {
	Name    string
	Nearest string // the declared name that was probably meant, or empty
}

// Error returns one sentence, with the nearest name where there is one.
func (e *NotFoundError) Error() string {
	if e.Nearest == "" {
		return "no method is named " + document.Quote(e.Name) + "; list them with: xai methods list"
	}
	return "no method is named " + document.Quote(e.Name) + "; did you mean " + document.Quote(e.Nearest) + "?"
}

// HashError reports content whose bytes are not those that were pinned.
type HashError struct {
	Name string // of the method; empty where it has none yet
	Want string // the pinned SHA-256
	Got  string // that of the content
	Path string // of the content, or its address
	File string // of the methods.toml that pins it; empty where something else does
}

// Error says what differs and what to do about it.
func (e *HashError) Error() string {
	var b strings.Builder
	if e.Name != "" {
		fmt.Fprintf(&b, "method %s: ", e.Name)
	}
	fmt.Fprintf(&b, "%s has sha256 %s, but ", e.Path, e.Got)
	switch {
	case e.File == "":
		fmt.Fprintf(&b, "%s was asked for; it is another file, or was changed on the way", e.Want)
	case strings.HasPrefix(e.Path, address.Builtin+":"):
		fmt.Fprintf(&b, "%s pins %s; the file belongs to another version of xai: install that one, or remove the entry from the file", e.File, e.Want)
	default:
		fmt.Fprintf(&b, "%s pins %s; if you rebuilt it, pin the new hash there, otherwise fetch it again", e.File, e.Want)
	}
	return b.String()
}

// NotFetchedError reports a module on another machine that the store lacks. It
// is not fetched on the way: only a command that says so uses the network.
type NotFetchedError struct {
	Name string // of the method
	URL  string
	File string // the methods.toml
}

// Error says what is not there.
func (e *NotFetchedError) Error() string {
	return fmt.Sprintf("method %s: %s, which %s names, was not fetched yet", e.Name, document.Quote(e.URL), e.File)
}

// SignatureError reports a module whose signature is missing or not by the
// signer.
type SignatureError struct {
	Name   string // of the method, or of the module where it has none yet
	Signer string // the key that should have signed
	Place  string // where the signature is, or should be
	Err    error  // a *signature.Error, or that of reading the file
}

// Error says what is wrong with the signature.
func (e *SignatureError) Error() string {
	subject := ""
	if e.Name != "" {
		subject = "method " + e.Name + ": "
	}
	if errors.Is(e.Err, fs.ErrNotExist) {
		return fmt.Sprintf("%sthe signer is %s, but there is no signature %s; ask the publisher for it", subject, e.Signer, e.Place)
	}
	return fmt.Sprintf("%sthe signature %s does not hold: %v", subject, e.Place, e.Err)
}

// Unwrap returns the cause.
func (e *SignatureError) Unwrap() error { return e.Err }
