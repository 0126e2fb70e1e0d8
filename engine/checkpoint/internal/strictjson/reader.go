// Package strictjson reads JSON text of strangers as a stream. Beside
// encoding/json it keeps nothing that its caller does not ask for, so that a
// header of a hundred megabytes costs what the caller keeps of it; it refuses
// what encoding/json repairs in silence (invalid UTF-8, half a surrogate pair);
// and it hands out every key, so that the caller can refuse one that comes
// twice.
package strictjson

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth = 128     // how deep a skipped value may be nested
	maxKey   = 1 << 16 // bytes of a key
)

// SyntaxError reports text that is not the JSON that was asked for.
type SyntaxError struct {
	Offset int64 // of the byte at fault, counted as [NewReader] was told
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason) }

// Reader takes JSON values off a stream one after another. Its errors are a
// [*SyntaxError] or those of the stream.
type Reader struct {
	r      *bufio.Reader
	offset int64  // of the next byte
	keys   []byte // of the objects that are being read, one after another
}

// NewReader returns a reader of a text whose first byte has the given offset.
func NewReader(r io.Reader, offset int64) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, 64<<10), offset: offset}
}

// Fault returns a [*SyntaxError] at the present offset.
func (r *Reader) Fault(format string, args ...any) error {
	return &SyntaxError{Offset: r.offset, Reason: fmt.Sprintf(format, args...)}
}

// Object reads an object and calls visit with each key. visit must read the
// value that follows, and may keep no reference to key.
func (r *Reader) Object(visit func(key []byte) error) error {
	if err := r.take('{', "an object"); err != nil {
		return err
	}
	return r.list('}', func() error {
		if c, err := r.peek(); err != nil {
			return err
		} else if c != '"' {
			return r.Fault("found %q where a key belongs", c)
		}
		start := len(r.keys)
		defer func() { r.keys = r.keys[:start] }()
		var err error
		if r.keys, err = r.String(r.keys, maxKey); err != nil {
			return err
		}
		if err := r.take(':', "a colon"); err != nil {
			return err
		}
		return visit(r.keys[start:])
	})
}

// Array reads an array and calls visit before each value, which visit must
// read.
func (r *Reader) Array(visit func() error) error {
	if err := r.take('[', "an array"); err != nil {
		return err
	}
	return r.list(']', visit)
}

// list reads what is separated by commas up to the closing bracket.
func (r *Reader) list(end byte, visit func() error) error {
	c, err := r.peek()
	if err != nil {
		return err
	}
	if c == end {
		r.discard()
		return nil
	}
	for {
		if err := visit(); err != nil {
			return err
		}
		c, err := r.peek()
		if err != nil {
			return err
		}
		if c != end && c != ',' {
			return r.Fault("found %q where a comma or %q belongs", c, end)
		}
		r.discard()
		if c == end {
			return nil
		}
	}
}

// String reads a string of at most so many bytes and appends it to dst.
func (r *Reader) String(dst []byte, most int) ([]byte, error) {
	most += len(dst)
	err := r.text(func(c rune) error {
		if dst = utf8.AppendRune(dst, c); len(dst) > most {
			return r.Fault("a string is too long")
		}
		return nil
	})
	return dst, err
}

// text reads a string rune by rune.
func (r *Reader) text(visit func(rune) error) error {
	if err := r.take('"', "a string"); err != nil {
		return err
	}
	for {
		c, size, err := r.r.ReadRune()
		switch {
		case err != nil:
			return r.ended(err)
		case c == utf8.RuneError && size == 1:
			return r.Fault("the text is not valid UTF-8")
		case c < ' ':
			return r.Fault("found the control character %q in a string", c)
		}
		r.offset += int64(size)
		switch c {
		case '"':
			return nil
		case '\\':
			if c, err = r.escape(); err != nil {
				return err
			}
		}
		if err := visit(c); err != nil {
			return err
		}
	}
}

// escape reads what follows a backslash.
func (r *Reader) escape() (rune, error) {
	c, err := r.byte()
	if err != nil {
		return 0, err
	}
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		first, err := r.hex()
		if err != nil || !utf16.IsSurrogate(first) {
			return first, err
		}
		for _, want := range []byte(`\u`) {
			if c, err := r.byte(); err != nil {
				return 0, err
			} else if c != want {
				return 0, r.Fault("half a surrogate pair stands alone")
			}
		}
		second, err := r.hex()
		if err != nil {
			return 0, err
		}
		if c := utf16.DecodeRune(first, second); c != utf8.RuneError {
			return c, nil
		}
		return 0, r.Fault("two halves of surrogate pairs make no pair")
	}
	return 0, r.Fault("there is no escape \\%c", c)
}

// hex reads the four digits of \u.
func (r *Reader) hex() (rune, error) {
	v := rune(0)
	for range 4 {
		c, err := r.byte()
		if err != nil {
			return 0, err
		}
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, r.Fault("%q is no hexadecimal digit", c)
		}
		v = v<<4 | rune(c)
	}
	return v, nil
}

// Size reads a non-negative integer below 2⁶³.
func (r *Reader) Size() (int64, error) {
	c, err := r.peek()
	if err != nil {
		return 0, err
	}
	if c < '0' || c > '9' {
		return 0, r.Fault("found %q where a non-negative integer belongs", c)
	}
	n := int64(0)
	err = r.digits(func(digit byte) error {
		if n > (math.MaxInt64-int64(digit))/10 {
			return r.Fault("the non-negative integer exceeds %d", int64(math.MaxInt64))
		}
		n = 10*n + int64(digit)
		return nil
	})
	if err != nil {
		return 0, err
	}
	switch c, err := r.peekByte(); {
	case errors.Is(err, io.EOF):
		return n, nil
	case err != nil:
		return 0, err
	case c == '.' || c == 'e' || c == 'E':
		return 0, r.Fault("found a fraction where a non-negative integer belongs")
	}
	return n, nil
}

// digits reads digits, at least one, and no further one after a leading zero.
func (r *Reader) digits(visit func(digit byte) error) error {
	for i := 0; ; i++ {
		c, err := r.peekByte()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil || c < '0' || c > '9' {
			if i == 0 {
				return r.Fault("a number lacks its digits")
			}
			return nil
		}
		r.discard()
		if err := visit(c - '0'); err != nil {
			return err
		}
		if i == 0 && c == '0' {
			if c, err := r.peekByte(); err == nil && '0' <= c && c <= '9' {
				return r.Fault("a number has a leading zero")
			}
			return nil
		}
	}
}

// Skip reads a value of any kind and forgets it.
func (r *Reader) Skip() error { return r.skip(maxDepth) }

func (r *Reader) skip(depth int) error {
	if depth == 0 {
		return r.Fault("values are nested deeper than %d", maxDepth)
	}
	c, err := r.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return r.Object(func([]byte) error { return r.skip(depth - 1) })
	case '[':
		return r.Array(func() error { return r.skip(depth - 1) })
	case '"':
		return r.text(func(rune) error { return nil })
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case 'n':
		return r.word("null")
	}
	return r.number()
}

func (r *Reader) word(w string) error {
	for i := range len(w) {
		if c, err := r.byte(); err != nil {
			return err
		} else if c != w[i] {
			return r.Fault("found %q within %s", c, w)
		}
	}
	return nil
}

// number skips a number: -? digits (. digits)? ([eE] [+-]? digits)?
func (r *Reader) number() error {
	accept := func(set string) bool {
		c, err := r.peekByte()
		for i := range len(set) {
			if err == nil && c == set[i] {
				r.discard()
				return true
			}
		}
		return false
	}
	if c, err := r.peekByte(); err == nil && c != '-' && (c < '0' || c > '9') {
		return r.Fault("found %q where a value belongs", c)
	}
	ignore := func(byte) error { return nil }
	accept("-")
	if err := r.digits(ignore); err != nil {
		return err
	}
	// After the point and in the exponent zeros may lead.
	trailing := func() error {
		if !accept("0123456789") {
			return r.Fault("a number lacks its digits")
		}
		for accept("0123456789") {
		}
		return nil
	}
	if accept(".") {
		if err := trailing(); err != nil {
			return err
		}
	}
	if accept("eE") {
		accept("+-")
		return trailing()
	}
	return nil
}

// End makes sure that nothing but white space follows.
func (r *Reader) End() error {
	c, err := r.space()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.Fault("found %q after the end of the value", c)
}

// take reads one byte after white space.
func (r *Reader) take(want byte, what string) error {
	c, err := r.peek()
	if err != nil {
		return err
	}
	if c != want {
		return r.Fault("found %q where %s belongs", c, what)
	}
	r.discard()
	return nil
}

// peek returns the next byte after white space, and leaves it there.
func (r *Reader) peek() (byte, error) {
	c, err := r.space()
	if err != nil {
		return 0, r.ended(err)
	}
	return c, nil
}

// space skips white space and returns the byte that follows, or io.EOF.
func (r *Reader) space() (byte, error) {
	for {
		c, err := r.peekByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			r.discard()
		default:
			return c, nil
		}
	}
}

func (r *Reader) peekByte() (byte, error) {
	b, err := r.r.Peek(1)
	if len(b) == 1 {
		return b[0], nil
	}
	return 0, err
}

// discard drops the byte that was peeked at.
func (r *Reader) discard() {
	r.r.Discard(1)
	r.offset++
}

func (r *Reader) byte() (byte, error) {
	c, err := r.r.ReadByte()
	if err != nil {
		return 0, r.ended(err)
	}
	r.offset++
	return c, nil
}

// ended turns the end of the stream into a fault of the text.
func (r *Reader) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return r.Fault("the JSON text ends early")
	}
	return err
}
