package tokenizer

import (
	"errors"
	"slices"
)

// Batch is a number of encodings as a rectangle, row by row: the arrays have
// Rows × Length elements.
type Batch struct {
	Rows, Length int
	IDs          []int32
	TypeIDs      []int32
	Mask         []int32 // 1 for a token, 0 for padding
}

// Side is the side of a text that padding goes to.
type Side int

const (
	Right Side = iota // after the text
	Left              // before the text
)

// Pad lines up encodings that are shorter than the longest, or than length, by
// the padding token with token type 0. It fails where one has to be lengthened
// and there is no such token.
func (t *Tokenizer) Pad(encodings []*Encoding, length int, side Side) (*Batch, error) {
	pad, ok := t.PadID()
	for _, e := range encodings {
		length = max(length, len(e.Tokens))
	}
	shorter := func(e *Encoding) bool { return len(e.Tokens) < length }
	if !ok && slices.ContainsFunc(encodings, shorter) {
		return nil, errors.New("tokenizer: there is no padding token to make the texts equally long with; encode them one at a time")
	}
	n := len(encodings) * length
	b := &Batch{len(encodings), length, make([]int32, n), make([]int32, n), make([]int32, n)}
	for i := range b.IDs {
		b.IDs[i] = pad
	}
	for row, e := range encodings {
		at := row * length
		if side == Left {
			at += length - len(e.Tokens)
		}
		for i, token := range e.Tokens {
			b.IDs[at+i], b.TypeIDs[at+i], b.Mask[at+i] = token.ID, token.Type, 1
		}
	}
	return b, nil
}
