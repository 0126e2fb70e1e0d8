package tokenizer

import (
	"slices"

	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// templatePart is a place in a template: a sequence of tokens, or one special
// token.
type templatePart struct {
	sequence int // 0 for the text, 1 for its pair, -1 for a special token
	typeID   int32
	id       int32
	token    string
	once     bool // left out after a sequence that ends with it
}

// template says how special tokens surround a text, or a text and its pair.
type template []templatePart

// special returns how many special tokens the template adds.
func (t template) special() int {
	n := 0
	for _, part := range t {
		if part.sequence < 0 {
			n++
		}
	}
	return n
}

// bare are the templates without special tokens.
var (
	bareSingle = template{{sequence: 0}}
	barePair   = template{{sequence: 0}, {sequence: 1, typeID: 1}}
)

// bertTemplates returns the templates [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
func bertTemplates(clsToken string, clsID int32, sepToken string, sepID int32) (single, pair template) {
	special := func(token string, id, typeID int32) templatePart {
		return templatePart{sequence: -1, typeID: typeID, id: id, token: token}
	}
	single = template{special(clsToken, clsID, 0), {sequence: 0}, special(sepToken, sepID, 0)}
	pair = append(slices.Clone(single), templatePart{sequence: 1, typeID: 1}, special(sepToken, sepID, 1))
	return single, pair
}

// robertaTemplates returns the templates <s> A </s> and <s> A </s></s> B </s>,
// all of one token type.
func robertaTemplates(clsToken string, clsID int32, sepToken string, sepID int32) (single, pair template) {
	cls := templatePart{sequence: -1, id: clsID, token: clsToken}
	sep := templatePart{sequence: -1, id: sepID, token: sepToken}
	first, second := templatePart{sequence: 0}, templatePart{sequence: 1}
	return template{cls, first, sep}, template{cls, first, sep, sep, second, sep}
}

// Strategy says which text loses tokens when text and pair are too long.
type Strategy int

const (
	// LongestFirst shortens the longer text until both are as long, then both.
	LongestFirst Strategy = iota
	// OnlyFirst shortens the text, if that alone can make the whole fit.
	OnlyFirst
	// OnlySecond shortens the pair, if that alone can make the whole fit.
	OnlySecond
)

// truncate returns how many tokens of a text of first tokens and of a pair of
// second tokens (0 if there is none) stay when there is room for room. Where a
// single text would have to lose all, or more than all, of its tokens to make
// the whole fit, OnlyFirst and OnlySecond leave both as they are.
//
// An odd room gives the token over to the text that was longer, or to the pair
// between equals, in the tokenizers library (truncation.rs); with oddFirst, to
// the text, as in transformers' slow tokenizers (truncate_sequences).
func (s Strategy) truncate(first, second, room int, oddFirst bool) (int, int) {
	excess := first + second - room
	if excess <= 0 {
		return first, second
	}
	switch s {
	case OnlyFirst:
		if first > excess {
			first -= excess
		}
		return first, second
	case OnlySecond:
		if second > excess {
			second -= excess
		}
		return first, second
	}
	half, rest := room/2, room-room/2
	switch {
	case second <= half:
		return room - second, second
	case first <= half:
		return first, room - first
	case oddFirst || first > second:
		return rest, half
	}
	return half, rest
}

// side is an end of a text.
type side int

const (
	right side = iota
	left
)

// cut returns which of n tokens stay and which go where truncation leaves kept of
// them and takes the others from the side.
func (s side) cut(n, kept int) (stays, goes text.Range) {
	if s == left {
		return text.Range{Start: n - kept, End: n}, text.Range{Start: 0, End: n - kept}
	}
	return text.Range{Start: 0, End: kept}, text.Range{Start: kept, End: n}
}
