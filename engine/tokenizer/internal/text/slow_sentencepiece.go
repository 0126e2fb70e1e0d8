package text

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// SlowXLNet is what transformers' XLNetTokenizer and AlbertTokenizer in Python
// do to a text before SentencePiece sees it (preprocess_text), in this order:
// make all white space between words one space, write the quotation marks of
// LaTeX as ", decompose (NFKD) and drop the runes of a combining class, map to
// lower case.
type SlowXLNet struct {
	RemoveSpace  bool
	StripAccents bool
	Lowercase    bool
}

// Normalize implements Normalizer.
func (n SlowXLNet) Normalize(t *Text) {
	if n.RemoveSpace {
		t.joinWords()
	}
	t.replaceWhole("``", '"')
	t.replaceWhole("''", '"')
	if n.StripAccents && !ascii(t.Bytes) {
		t.normalize(norm.NFKD, false)
		t.filter(func(r rune) bool {
			var b [utf8.UTFMax]byte
			return r < utf8.RuneSelf || norm.NFD.Properties(utf8.AppendRune(b[:0], r)).CCC() == 0
		})
	}
	if n.Lowercase {
		t.lowerWords()
	}
}

// SlowLowercase maps a text to lower case as Python's str.lower does.
type SlowLowercase struct{}

// Normalize implements Normalizer.
func (SlowLowercase) Normalize(t *Text) { t.lowerWords() }

// SlowSpaces is what transformers' T5Tokenizer and LlamaTokenizer in Python do
// to a text that is not empty before they look for added tokens, unless they are
// to behave as they first did: write every ▁ as a space, and begin the text with
// a ▁, whose span is empty.
type SlowSpaces struct{ Prefix bool }

// Normalize implements Normalizer.
func (n SlowSpaces) Normalize(t *Text) {
	t.replaceWhole(lowerBlock, ' ')
	if n.Prefix && len(t.Bytes) > 0 {
		t.begin()
		t.put(lowerBlock, 0)
		t.copyRun(len(t.Bytes))
		t.end()
	}
}

// joinWords drops what Python takes for white space at the ends of t, and makes
// it one space between words, which spans all of it.
func (t *Text) joinWords() {
	table := classes()
	blank := func(i int) (size int) { // of the white space at i, 0 if there is none
		r := rune(t.Bytes[i])
		size = 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(t.Bytes[i:])
		}
		if table.of(r)&(space|information) == 0 {
			return 0
		}
		return size
	}
	t.begin()
	for i := 0; i < len(t.Bytes); {
		gap := 0
		for i+gap < len(t.Bytes) {
			size := blank(i + gap)
			if size == 0 {
				break
			}
			gap += size
		}
		switch i += gap; {
		case i == len(t.Bytes) || t.cursor == 0:
			t.drop(gap)
		case gap > 0:
			t.put(" ", gap)
		}
		for i < len(t.Bytes) && blank(i) == 0 {
			i++
			for i < len(t.Bytes) && !utf8.RuneStart(t.Bytes[i]) {
				i++
			}
		}
		t.copyRun(i - t.cursor)
	}
	t.end()
}

// replaceWhole puts r in the place of every occurrence of old, whose span it
// takes over.
func (t *Text) replaceWhole(old string, r rune) {
	if !bytes.Contains(t.Bytes, []byte(old)) {
		return
	}
	t.begin()
	for at := 0; at >= 0; at = bytes.Index(t.Bytes[t.cursor:], []byte(old)) {
		t.copyRun(at)
		if bytes.HasPrefix(t.Bytes[t.cursor:], []byte(old)) {
			t.keep(r, len(old))
		}
	}
	t.copyRun(len(t.Bytes) - t.cursor)
	t.end()
}

// lowerWords maps t to lower case as Python's str.lower does: a Σ that ends a
// word becomes ς (Unicode, section 3.13, Final_Sigma).
func (t *Text) lowerWords() {
	if !bytes.ContainsRune(t.Bytes, 'Σ') {
		t.lower()
		return
	}
	t.begin()
	for i := 0; i < len(t.Bytes); {
		r, size := utf8.DecodeRune(t.Bytes[i:])
		switch {
		case r != 'Σ':
			t.keepLower(r, size)
		case casedBefore(t.Bytes[:i]) && !casedAfter(t.Bytes[i+size:]):
			t.keep('ς', size)
		default:
			t.keep('σ', size)
		}
		i += size
	}
	t.end()
}

// casedBefore says whether the last rune of b that is not case-ignorable is
// cased.
func casedBefore(b []byte) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeLastRune(b)
		if !caseIgnorable(r) {
			return cased(r)
		}
		b = b[:len(b)-size]
	}
	return false
}

// casedAfter says whether the first rune of b that is not case-ignorable is
// cased.
func casedAfter(b []byte) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if !caseIgnorable(r) {
			return cased(r)
		}
		b = b[size:]
	}
	return false
}

// cased is the property Cased (Unicode, D135).
func cased(r rune) bool {
	return unicode.In(r, unicode.Ll, unicode.Lu, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// caseIgnorable is the property Case_Ignorable (Unicode, D136).
func caseIgnorable(r rune) bool {
	switch r {
	case '\'', '.', '\u2018', '\u2019', '\u2024', '\uFE52', '\uFF07', '\uFF0E', // MidNumLet, Single_Quote
		':', '·', '\u0387', '\u055F', '\u05F4', '\u2027', '\uFE13', '\uFE55', '\uFF1A': // MidLetter
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}
