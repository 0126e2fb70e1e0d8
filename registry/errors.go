package registry

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseError says what is wrong in a methods.toml, and where.
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
// newer schema, or a method that it can neither fetch nor run.
type UnsupportedError struct {
	Path string // of the methods.toml
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
		return "no method is named " + quote(e.Name) + "; list them with: xai methods list"
	}
	return "no method is named " + quote(e.Name) + "; did you mean " + quote(e.Nearest) + "?"
}

// HashError reports a module whose bytes are not those that were pinned.
type HashError struct {
	Name string // of the method
	Want string // the pinned SHA-256
	Got  string // the SHA-256 of the module
	Path string // of the module, or its builtin: address
	File string // of the methods.toml that pins it
}

// Error says what differs and what to do about it.
func (e *HashError) Error() string {
	differ := fmt.Sprintf("method %s: the module %s has sha256 %s, but %s pins %s; ", e.Name, e.Path, e.Got, e.File, e.Want)
	if strings.HasPrefix(e.Path, schemeBuiltin+":") {
		return differ + "the file belongs to another version of xai: install that one, or remove the entry from the file"
	}
	return differ + "if you rebuilt the module, pin the new hash there, otherwise fetch the module again"
}

// quote quotes a foreign string for a message, cut to a length that leaves the
// message readable.
func quote(s string) string { return strconv.Quote(shorten(s)) }

// shorten cuts a long string between runes.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
