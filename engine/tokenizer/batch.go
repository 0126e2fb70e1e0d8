package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// PadSide returns the side that the model is used to have padding on.
func (t *Tokenizer) PadSide() Side { return t.padSide }

// Pad lines up encodings that are shorter than the longest, or than length, by
// the padding token with the token type of padding, which is 0 for most models.
// It fails where one has to be lengthened and there is no such token.
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
		b.IDs[i], b.TypeIDs[i] = pad, t.padType
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

// usePadding sets where padding goes, and its token type: as the configuration
// says, or else the padding block of tokenizer.json, or as is usual for the
// class.
func (t *Tokenizer) usePadding(s *settings, file object) error {
	if s.class == xlnet {
		t.padSide, t.padType = Left, 3
	}
	sides := map[string]Side{"left": Left, "right": Right}
	use := func(o object, key string) error {
		name := ""
		if err := o.get(key, &name); err != nil || name == "" {
			return err
		}
		side, ok := sides[strings.ToLower(name)]
		if !ok {
			return o.malformed(key, fmt.Sprintf("is %q, which is neither left nor right", name))
		}
		t.padSide = side
		return nil
	}
	if !file.null("padding") {
		o, err := file.object("padding")
		if err != nil {
			return err
		}
		if err := o.get("pad_type_id", &t.padType); err != nil {
			return err
		}
		if err := use(o, "direction"); err != nil {
			return err
		}
	}
	return use(s.config, "padding_side")
}
