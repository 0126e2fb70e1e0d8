package text

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A Normalizer rewrites a text before it is cut into words. Implementations are
// immutable and safe for concurrent use on different texts.
type Normalizer interface {
	Normalize(*Text)
}

// The normalization forms of UAX #15.
type (
	NFD  struct{} // canonical decomposition
	NFC  struct{} // canonical decomposition, then composition
	NFKD struct{} // compatibility decomposition
	NFKC struct{} // compatibility decomposition, then composition
)

// Normalize implements Normalizer.
func (NFD) Normalize(t *Text) { t.normalize(norm.NFD) }

// Normalize implements Normalizer.
func (NFC) Normalize(t *Text) { t.normalize(norm.NFC) }

// Normalize implements Normalizer.
func (NFKD) Normalize(t *Text) { t.normalize(norm.NFKD) }

// Normalize implements Normalizer.
func (NFKC) Normalize(t *Text) { t.normalize(norm.NFKC) }

// Lowercase maps every rune to lower case by itself, without context: a final
// sigma stays σ.
type Lowercase struct{}

// Normalize implements Normalizer.
func (Lowercase) Normalize(t *Text) { t.lower() }

func (t *Text) lower() {
	if ascii(t.Bytes) {
		lowerASCII(t.Bytes)
		return
	}
	for i := 0; i < len(t.Bytes); {
		r, size := utf8.DecodeRune(t.Bytes[i:])
		if unicode.ToLower(r) == r {
			i += size
			continue
		}
		t.begin()
		t.copyRun(i)
		for i < len(t.Bytes) {
			r, size := utf8.DecodeRune(t.Bytes[i:])
			t.keepLower(r, size)
			i += size
		}
		t.end()
		return
	}
}

// keepLower replaces the next rune, r, by its lower case.
func (t *Text) keepLower(r rune, size int) {
	if r == 'İ' { // the one rune whose lower case is two: SpecialCasing.txt
		t.keep('i', size)
		t.insert('\u0307')
		return
	}
	t.keep(unicode.ToLower(r), size)
}

func lowerASCII(b []byte) {
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + ('a' - 'A')
		}
	}
}

// StripAccents removes every combining mark (categories M*). It does not
// decompose: precomposed letters keep their accents unless NFD ran before.
type StripAccents struct{}

// Normalize implements Normalizer.
func (StripAccents) Normalize(t *Text) {
	t.filter(func(r rune) bool { return classOf(r)&combining == 0 })
}

// Strip removes white space at the ends of the text.
type Strip struct{ Left, Right bool }

// Normalize implements Normalizer.
func (n Strip) Normalize(t *Text) {
	left, right := 0, len(t.Bytes)
	if n.Left {
		left = right - len(bytes.TrimLeftFunc(t.Bytes, IsSpace))
	}
	if n.Right {
		right = max(left, len(bytes.TrimRightFunc(t.Bytes, IsSpace)))
	}
	if left == 0 && right == len(t.Bytes) {
		return
	}
	t.begin()
	t.drop(left)
	t.copyRun(right - left)
	t.end()
}

// Replace puts Content in the place of every occurrence of Pattern, which is
// not empty.
type Replace struct{ Pattern, Content string }

// Normalize implements Normalizer.
func (n Replace) Normalize(t *Text) {
	pattern := []byte(n.Pattern)
	at := bytes.Index(t.Bytes, pattern)
	if at < 0 {
		return
	}
	t.begin()
	for ; at >= 0; at = bytes.Index(t.Bytes[t.cursor:], pattern) {
		t.copyRun(at)
		t.drop(len(pattern))
		for _, r := range n.Content {
			t.insert(r)
		}
	}
	t.copyRun(len(t.Bytes) - t.cursor)
	t.end()
}

// Normalizers applies several normalizers in order.
type Normalizers []Normalizer

// Normalize implements Normalizer.
func (n Normalizers) Normalize(t *Text) {
	for _, each := range n {
		each.Normalize(t)
	}
}
