package text

import (
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Precompiled applies a table of normalization rules as the tokenizers library
// does (normalizers/precompiled.rs), which is not as SentencePiece does: a
// grapheme cluster (UAX #29) of fewer than six bytes that begins with a key
// becomes the form of the shortest such key as a whole, and else each of its
// runes by itself, if it is a key.
type Precompiled struct{ Rules *Charsmap }

// Normalize implements Normalizer.
func (n Precompiled) Normalize(t *Text) {
	t.begin()
	for t.cursor < len(t.Bytes) {
		rest := t.Bytes[t.cursor:]
		if c := rest[0]; c < utf8.RuneSelf && c != '\r' && n.Rules.plain[c] && (len(rest) == 1 || rest[1] < utf8.RuneSelf) {
			t.copyRun(1)
			continue
		}
		cluster, _, _, _ := uniseg.FirstGraphemeCluster(rest, -1)
		if len(cluster) < 6 && n.replace(t, len(cluster)) {
			continue
		}
		for end := t.cursor + len(cluster); t.cursor < end; {
			_, size := utf8.DecodeRune(t.Bytes[t.cursor:])
			if !n.replace(t, size) {
				t.copyRun(size)
			}
		}
	}
	t.end()
}

// replace replaces the next size bytes by the form of the shortest key that
// begins them, if there is one. The runes of the form stand for the old ones one
// by one, and the last for all that are left on either side.
func (n Precompiled) replace(t *Text, size int) bool {
	form, length := n.Rules.Shortest(t.Bytes[t.cursor : t.cursor+size])
	if length == 0 {
		return false
	}
	end := t.cursor + size
	for len(form) > 0 {
		r, width := utf8.DecodeRune(form)
		form = form[width:]
		if t.cursor == end {
			t.insert(r)
			continue
		}
		_, old := utf8.DecodeRune(t.Bytes[t.cursor:])
		if len(form) == 0 {
			old = end - t.cursor
		}
		t.keep(r, old)
	}
	t.drop(end - t.cursor)
	return true
}
