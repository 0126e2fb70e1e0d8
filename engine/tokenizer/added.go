package tokenizer

import (
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// addedToken is a token that is found in the text before the model sees it.
type addedToken struct {
	content    string
	id         int32
	singleWord bool // only where no word rune touches it
	lstrip     bool // swallows the white space to its left
	rstrip     bool // swallows the white space to its right
	normalized bool // sought in the normalized text, in its normalized form
	special    bool // part of the model's protocol, not of the text
	apart      bool // decoded by itself, although special
}

// segment is a part of a text: an added token, or what stands between two.
type segment struct {
	text.Range
	token int // index of the added token, or -1
}

// matcher finds added tokens; the nil matcher finds none. It is immutable.
type matcher struct {
	trie   *model.Trie // of patterns, to the index of the token
	first  [256]bool   // the first bytes of the patterns
	tokens []addedToken
	python bool // strip and single_word as transformers' slow tokenizers do
}

// newMatcher returns a matcher of the tokens for which pattern returns what to
// seek in their stead, or nil if there are none.
func newMatcher(tokens []addedToken, python bool, pattern func(addedToken) string) *matcher {
	m := &matcher{trie: model.NewTrie(), tokens: tokens, python: python}
	any := false
	for i, token := range tokens {
		if p := pattern(token); p != "" {
			m.trie.Insert(p, int32(i))
			m.first[p[0]] = true
			any = true
		}
	}
	if !any {
		return nil
	}
	return m
}

// next returns the leftmost of the longest matches in b from the byte i on.
func (m *matcher) next(b []byte, i int) (r text.Range, token int, found bool) {
	for ; i < len(b); i++ {
		if !m.first[b[i]] {
			continue
		}
		if id, n := m.trie.Longest(model.Root, b[i:]); n > 0 {
			return text.Range{Start: i, End: i + n}, int(id), true
		}
	}
	return text.Range{}, 0, false
}

// split appends the segments of b to dst: they are not empty and cover b, but
// for white space that a token of a slow tokenizer strips.
func (m *matcher) split(dst []segment, b []byte) []segment {
	if len(b) == 0 {
		return dst
	}
	if m == nil {
		return append(dst, segment{text.Range{Start: 0, End: len(b)}, -1})
	}
	if m.python {
		return m.splitPython(dst, b)
	}
	at := 0
	for r, i, found := m.next(b, 0); found; r, i, found = m.next(b, r.End) {
		token := &m.tokens[i]
		if token.singleWord {
			before, _ := utf8.DecodeLastRune(b[:r.Start])
			after, _ := utf8.DecodeRune(b[r.End:])
			if r.Start > 0 && text.IsWord(before) || r.End < len(b) && text.IsWord(after) {
				continue
			}
		}
		start, end := max(r.Start, at), r.End
		if start >= end {
			continue // the token before swallowed it
		}
		if token.lstrip {
			start = trimRight(b, at, start, text.IsSpace)
		}
		if token.rstrip {
			end = trimLeft(b, end, len(b), text.IsSpace)
		}
		if at < start {
			dst = append(dst, segment{text.Range{Start: at, End: start}, -1})
		}
		dst = append(dst, segment{text.Range{Start: start, End: end}, i})
		at = end
	}
	if at < len(b) {
		dst = append(dst, segment{text.Range{Start: at, End: len(b)}, -1})
	}
	return dst
}

// splitPython is split as PreTrainedTokenizer.tokenize does it: a token that
// strips leaves white space out of its neighbours instead of taking it over,
// and a token that must be a single word but touches anything other than a
// space is merged into that neighbour.
func (m *matcher) splitPython(dst []segment, b []byte) []segment {
	first, at := len(dst), 0
	for r, i, found := m.next(b, 0); found; r, i, found = m.next(b, r.End) {
		if at < r.Start {
			dst = append(dst, segment{text.Range{Start: at, End: r.Start}, -1})
		}
		dst = append(dst, segment{r, i})
		at = r.End
	}
	if at < len(b) {
		dst = append(dst, segment{text.Range{Start: at, End: len(b)}, -1})
	}
	all := dst[first:]
	for i := range all {
		if all[i].token < 0 {
			continue
		}
		token := &m.tokens[all[i].token]
		var left, right *segment
		if i > 0 && all[i-1].Start < all[i-1].End {
			left = &all[i-1]
		}
		if i+1 < len(all) {
			right = &all[i+1]
		}
		touchesLeft := token.singleWord && left != nil && b[left.End-1] != ' '
		touchesRight := token.singleWord && right != nil && b[right.Start] != ' '
		if token.rstrip && right != nil {
			right.Start = trimLeft(b, right.Start, right.End, text.IsPythonSpace)
		}
		if token.lstrip && left != nil {
			left.End = trimRight(b, left.Start, left.End, text.IsPythonSpace)
		}
		switch {
		case touchesLeft:
			left.End, left.token = all[i].End, -1
			all[i].Start = all[i].End
		case touchesRight:
			right.Start, right.token = all[i].Start, -1
			all[i].End = all[i].Start
		}
	}
	kept := first
	for _, s := range all {
		if s.Start < s.End {
			dst[kept] = s
			kept++
		}
	}
	return dst[:kept]
}

// trimLeft returns where the white space that begins at start ends.
func trimLeft(b []byte, start, end int, blank func(rune) bool) int {
	for start < end {
		r, size := utf8.DecodeRune(b[start:end])
		if !blank(r) {
			break
		}
		start += size
	}
	return start
}

// trimRight returns where the white space that ends at end begins.
func trimRight(b []byte, start, end int, blank func(rune) bool) int {
	for start < end {
		r, size := utf8.DecodeLastRune(b[start:end])
		if !blank(r) {
			break
		}
		end -= size
	}
	return end
}
