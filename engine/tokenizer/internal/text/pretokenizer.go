package text

import (
	"slices"
	"unicode/utf8"
)

// A PreTokenizer cuts each of a text's words into smaller ones. Implementations
// are immutable and safe for concurrent use on different texts.
type PreTokenizer interface {
	PreTokenize(*Text)
}

// cut replaces each of t's words by those that split adds for it.
func (t *Text) cut(split func(word Range)) {
	t.outWords = t.outWords[:0]
	for _, w := range t.Words {
		split(w)
	}
	t.Words, t.outWords = t.outWords, t.Words
}

// add adds a word, if it is not empty, to those that cut collects.
func (t *Text) add(start, end int) {
	if start < end {
		t.outWords = append(Reserve(t.outWords, 1, start, len(t.Bytes)), Range{start, end})
	}
}

// splitAt cuts the word w at every rune of the class removed, which is left
// out, and makes every rune of the class isolated a word of its own.
func (t *Text) splitAt(w Range, removed, isolated class) {
	table := classes()
	start := w.Start
	for i := w.Start; i < w.End; {
		r, size := rune(t.Bytes[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(t.Bytes[i:w.End])
		}
		if c := table.of(r); c&(removed|isolated) != 0 {
			t.add(start, i)
			start = i + size
			if c&isolated != 0 {
				t.add(i, start)
			}
		}
		i += size
	}
	t.add(start, w.End)
}

// BertPreTokenizer cuts at white space and isolates every punctuation mark.
type BertPreTokenizer struct{}

// PreTokenize implements PreTokenizer.
func (BertPreTokenizer) PreTokenize(t *Text) {
	t.cut(func(w Range) { t.splitAt(w, space, frozenPunct) })
}

// WhitespaceSplit cuts at white space.
type WhitespaceSplit struct{}

// PreTokenize implements PreTokenizer.
func (WhitespaceSplit) PreTokenize(t *Text) {
	t.cut(func(w Range) { t.splitAt(w, space, 0) })
}

// Whitespace keeps the matches of \w+|[^\w\s]+.
type Whitespace struct{}

// PreTokenize implements PreTokenizer.
func (Whitespace) PreTokenize(t *Text) {
	t.cut(func(w Range) {
		start, last := w.Start, class(0)
		for i := w.Start; i < w.End; {
			r, size := utf8.DecodeRune(t.Bytes[i:w.End])
			c := classOf(r)
			if c&word != 0 {
				c = word
			} else {
				c &= space
			}
			if c != last || c == space {
				if last != space {
					t.add(start, i)
				}
				start, last = i, c
			}
			i += size
		}
		if last != space {
			t.add(start, w.End)
		}
	})
}

// Behavior says what becomes of the delimiters that a text is split at. Split
// at the hyphen, "the-final--countdown" gives what stands beside each.
type Behavior int

const (
	Removed            Behavior = iota // the final countdown
	Isolated                           // the - final - - countdown
	MergedWithPrevious                 // the- final- - countdown
	MergedWithNext                     // the -final - -countdown
	Contiguous                         // the - final -- countdown
)

// divide replaces the word w by what stands between delimiters and, as the
// behavior has it, the delimiters. They come in order, and count from the
// beginning of the word; empty ones cut all the same. With invert, what stands
// between them are the delimiters.
func (t *Text) divide(w Range, delimiters []Range, behavior Behavior, invert bool) {
	first := len(t.outWords)
	previous := false // whether the part before was a delimiter
	part := func(start, end int, delimiter bool) {
		merge := false
		switch behavior {
		case MergedWithPrevious:
			merge = delimiter && !previous
		case MergedWithNext:
			merge = !delimiter && previous
		case Contiguous:
			merge = delimiter == previous
		}
		previous = delimiter
		switch {
		case merge && len(t.outWords) > first:
			t.outWords[len(t.outWords)-1].End = end
		case !delimiter || behavior != Removed:
			t.outWords = append(Reserve(t.outWords, 1, start, len(t.Bytes)), Range{start, end})
		}
	}
	start := w.Start
	for _, d := range delimiters {
		if start < w.Start+d.Start {
			part(start, w.Start+d.Start, invert)
		}
		part(w.Start+d.Start, w.Start+d.End, !invert)
		start = w.Start + d.End
	}
	if start < w.End {
		part(start, w.End, invert)
	}
	kept := t.outWords[:first]
	for _, part := range t.outWords[first:] {
		if part.Start < part.End {
			kept = append(kept, part)
		}
	}
	t.outWords = kept
}

// Punctuation splits at punctuation marks.
type Punctuation struct{ Behavior Behavior }

// PreTokenize implements PreTokenizer.
func (p Punctuation) PreTokenize(t *Text) {
	Split{Pattern: Runes{frozenPunct}, Behavior: p.Behavior}.PreTokenize(t)
}

// PreTokenizers applies several pre-tokenizers in order.
type PreTokenizers []PreTokenizer

// PreTokenize implements PreTokenizer.
func (p PreTokenizers) PreTokenize(t *Text) {
	for _, each := range p {
		each.PreTokenize(t)
	}
}

// SlowSplit cuts at what Python's str.split takes for white space.
type SlowSplit struct{}

// PreTokenize implements PreTokenizer.
func (SlowSplit) PreTokenize(t *Text) {
	t.cut(func(w Range) { t.splitAt(w, space|information, 0) })
}

// SlowBertPreTokenizer cuts as SlowSplit does and isolates every punctuation
// mark, but in the words of NeverSplit.
type SlowBertPreTokenizer struct{ NeverSplit *Set }

// PreTokenize implements PreTokenizer.
func (p SlowBertPreTokenizer) PreTokenize(t *Text) {
	SlowSplit{}.PreTokenize(t)
	t.cut(func(w Range) {
		if p.NeverSplit.Has(t.Bytes[w.Start:w.End]) {
			t.add(w.Start, w.End)
			return
		}
		t.splitAt(w, 0, punct)
	})
}

// Set is a set of words; the nil set is empty.
type Set struct {
	members map[string]struct{}
	first   [256]bool // the first bytes of the members: most words fail here
}

// NewSet returns the set of the words, or nil if there are none.
func NewSet(words []string) *Set {
	s := &Set{members: make(map[string]struct{}, len(words))}
	for _, w := range words {
		if w != "" {
			s.members[w] = struct{}{}
			s.first[w[0]] = true
		}
	}
	if len(s.members) == 0 {
		return nil
	}
	return s
}

// Has says whether the word, which is not empty, is a member.
func (s *Set) Has(word []byte) bool {
	if s == nil || !s.first[word[0]] {
		return false
	}
	_, ok := s.members[string(word)]
	return ok
}

// words returns where the members stand in t as words between white space.
func (s *Set) words(t *Text) []Range {
	if s == nil || !slices.ContainsFunc(t.Bytes, func(c byte) bool { return s.first[c] }) {
		return nil
	}
	t.Words = append(t.Words[:0], Range{0, len(t.Bytes)})
	SlowSplit{}.PreTokenize(t)
	var found []Range
	for _, w := range t.Words {
		if s.Has(t.Bytes[w.Start:w.End]) {
			found = append(found, w)
		}
	}
	t.Words = t.Words[:0]
	return found
}
