package text

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// mark is a rune of the normalized text that waits for the end of its run of
// combining marks. consumed counts the runes of the old text that it replaces:
// none if a decomposition added it, several if it was composed.
type mark struct {
	r        rune
	ccc      uint8
	consumed int
}

// normalize rewrites t in a Unicode normalization form (UAX #15). A rune that a
// decomposition adds shares the span of the rune it came from; a composed rune
// spans all that it was composed of.
//
// With frozen, compatibility decompositions that are younger than the tables of
// the tokenizers library are left out.
//
// It does not use the norm package's own conversion, which knows no alignment
// and breaks runs of more than thirty combining marks.
func (t *Text) normalize(form norm.Form, frozen bool) {
	n := form.QuickSpan(t.Bytes)
	if n == len(t.Bytes) {
		return
	}
	compose := form == norm.NFC || form == norm.NFKC
	decomposition := norm.NFD
	if form == norm.NFKC || form == norm.NFKD {
		decomposition = norm.NFKD
	}
	t.begin()
	t.copyRun(n)
	t.marks = t.marks[:0]
	for i := n; i < len(t.Bytes); {
		c := t.Bytes[i]
		if c < utf8.RuneSelf {
			t.push(mark{rune(c), 0, 1}, compose)
			i++
			continue
		}
		r, size := utf8.DecodeRune(t.Bytes[i:])
		if l, v, tail := jamo(r); l != 0 {
			t.push(mark{l, 0, 1}, compose)
			t.push(mark{v, 0, 0}, compose)
			if tail != 0 {
				t.push(mark{tail, 0, 0}, compose)
			}
		} else if d := decomposition.Properties(t.Bytes[i:]).Decomposition(); d == nil || frozen && decomposesSince(r) {
			t.push(mark{r, norm.NFD.Properties(t.Bytes[i:]).CCC(), 1}, compose)
		} else {
			consumed := 1
			for len(d) > 0 {
				r, n := utf8.DecodeRune(d)
				t.push(mark{r, norm.NFD.Properties(d).CCC(), consumed}, compose)
				d, consumed = d[n:], 0
			}
		}
		i += size
	}
	if len(t.marks) > 0 {
		t.settle(compose)
		t.flush()
	}
	t.end()
}

// push queues m. A starter ends the run of combining marks before it, unless it
// composes with the starter before that (as Hangul vowels do).
func (t *Text) push(m mark, compose bool) {
	if m.ccc == 0 && len(t.marks) > 0 {
		t.settle(compose)
		if first := t.marks[0]; compose && len(t.marks) == 1 && first.ccc == 0 {
			if r, ok := composed(first.r, m.r); ok {
				t.marks[0] = mark{r, 0, first.consumed + m.consumed}
				return
			}
		}
		t.flush()
	}
	t.marks = append(t.marks, m)
}

// settle puts the queue in canonical order and, if asked, composes it with its
// starter.
func (t *Text) settle(compose bool) {
	run := t.marks
	if run[0].ccc == 0 {
		run = run[1:]
	}
	if len(run) == 0 {
		return
	}
	slices.SortStableFunc(run, func(a, b mark) int { return int(a.ccc) - int(b.ccc) })
	if !compose || t.marks[0].ccc != 0 {
		return
	}
	starter, kept := &t.marks[0], t.marks[:1]
	last := uint8(0)
	for _, m := range run {
		// A mark is blocked from the starter by one of its own class before it.
		if last < m.ccc {
			if r, ok := composed(starter.r, m.r); ok {
				starter.r = r
				starter.consumed += m.consumed
				continue
			}
		}
		last = m.ccc
		kept = append(kept, m)
	}
	t.marks = kept
}

// flush writes the queue out.
func (t *Text) flush() {
	for _, m := range t.marks {
		if m.consumed == 0 {
			t.insert(m.r)
			continue
		}
		size := 0
		for range m.consumed {
			_, n := utf8.DecodeRune(t.Bytes[t.cursor+size:])
			size += n
		}
		t.keep(m.r, size)
	}
	t.marks = t.marks[:0]
}

// jamo decomposes a Hangul syllable (Unicode 15, section 3.12); the leading
// consonant is 0 for any other rune.
func jamo(r rune) (leading, vowel, trailing rune) {
	const base, leads, vowels, tails = 0xAC00, 0x1100, 0x1161, 0x11A7
	if r < base || r >= base+11172 {
		return 0, 0, 0
	}
	s := r - base
	if s%28 != 0 {
		trailing = tails + s%28
	}
	return leads + s/588, vowels + s%588/28, trailing
}

// composed returns the primary composite of a and b, if there is one.
func composed(a, b rune) (rune, bool) {
	if b < 0x300 { // no rune below the combining diacritics ends a decomposition
		return 0, false
	}
	var pair [2 * utf8.UTFMax]byte
	var out [4 * utf8.UTFMax]byte
	src := utf8.AppendRune(pair[:0], a)
	first := len(src)
	if src = utf8.AppendRune(src, b); norm.NFC.Properties(src[first:]).BoundaryBefore() {
		return 0, false // most letters compose with nothing before them
	}
	dst := norm.NFC.Append(out[:0], src...)
	r, size := utf8.DecodeRune(dst)
	return r, size == len(dst)
}
