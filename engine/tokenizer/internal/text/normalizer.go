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
func (NFD) Normalize(t *Text) { t.normalize(norm.NFD, false) }

// Normalize implements Normalizer.
func (NFC) Normalize(t *Text) { t.normalize(norm.NFC, false) }

// Normalize implements Normalizer.
func (NFKD) Normalize(t *Text) { t.normalize(norm.NFKD, true) }

// Normalize implements Normalizer.
func (NFKC) Normalize(t *Text) { t.normalize(norm.NFKC, true) }

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
	t.filter(func(r rune) bool { return classOf(r)&frozenCombining == 0 })
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

// Replace puts Content in the place of every match of Pattern.
type Replace struct {
	Pattern Pattern
	Content string
}

// Normalize implements Normalizer.
func (n Replace) Normalize(t *Text) {
	t.matches = n.Pattern.AppendMatches(t.matches[:0], t.Bytes)
	if len(t.matches) == 0 {
		return
	}
	t.begin()
	for _, m := range t.matches {
		t.copyRun(m.Start - t.cursor)
		t.drop(m.End - m.Start)
		for _, r := range n.Content {
			t.insert(r)
		}
	}
	t.copyRun(len(t.Bytes) - t.cursor)
	t.end()
}

// Prepend puts its Text before a text that is not empty; it shares the span of
// the first rune.
type Prepend struct{ Text string }

// Normalize implements Normalizer.
func (n Prepend) Normalize(t *Text) {
	if len(t.Bytes) == 0 || n.Text == "" {
		return
	}
	t.begin()
	t.prepend(n.Text)
	t.copyRun(len(t.Bytes))
	t.end()
}

// Nmt drops control characters and makes what separates or marks text a space,
// as the normalization rules of SentencePiece for machine translation do.
type Nmt struct{}

// Normalize implements Normalizer.
func (Nmt) Normalize(t *Text) {
	t.begin()
	for t.cursor < len(t.Bytes) {
		r, size := utf8.DecodeRune(t.Bytes[t.cursor:])
		switch {
		case 0x01 <= r && r <= 0x08, r == 0x0B, 0x0E <= r && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			t.drop(size)
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200B <= r && r <= 0x200F,
			r == 0x2028, r == 0x2029, r == '▁', r == 0xFEFF, r == utf8.RuneError:
			t.put(" ", size)
		default:
			t.copyRun(size)
		}
	}
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
