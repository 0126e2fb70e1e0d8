package core

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/sdk"
)

// maxRawTokens bounds the tokens of all rows of a file.
const maxRawTokens = 1 << 20

// Raw is one row of T tokens that takes the place of a text: ids, or embeddings
// in their place. Other slices have T elements, or are nil for the defaults:
// type 0, positions 0…T−1, every token visible and none kept.
type Raw struct {
	IDs         []int32
	Embeds      []float32 // [T,D] word embeddings, in place of IDs
	TypeIDs     []int32
	PositionIDs []int32
	Mask        []uint8 // 0 hides a token from all others
	Keep        []uint8 // 1 marks a token that is never dropped nor attributed to
}

// row returns the row as the engine reads it, given the width of an embedding.
func (r *Raw) row(width int) (row, error) {
	n := len(r.IDs)
	if r.IDs == nil {
		n = len(r.Embeds) / width
	}
	for _, length := range []int{len(r.TypeIDs), len(r.PositionIDs), len(r.Mask), len(r.Keep)} {
		if length != 0 && length != n {
			return row{}, &Error{Kind: KindInput, Msg: fmt.Sprintf("the input has %d tokens and %d values for them", n, length)}
		}
	}
	if n == 0 || (r.IDs == nil) == (r.Embeds == nil) || n*width != len(r.Embeds) && r.IDs == nil {
		return row{}, &Error{Kind: KindInput, Msg: fmt.Sprintf("the input must have ids, or embeddings of width %d", width)}
	}
	return row{n: n, ids: r.IDs, embeds: r.Embeds, types: r.TypeIDs, positions: r.PositionIDs, mask: r.Mask}, nil
}

// ReadInputs reads raw inputs from a .safetensors file whose tensors bear the
// names of the reference forward's arguments: input_ids [B,T] or inputs_embeds
// [B,T,D], attention_mask, token_type_ids and position_ids [B,T], and keep
// [B,T], which marks tokens that explain leaves alone. A tensor [T] is a batch
// of one.
func ReadInputs(path string) ([]Input, error) {
	wrong := func(msg string) error {
		return &Error{Kind: KindInput, Msg: path + ": " + msg, Hint: "inputs are input_ids (or inputs_embeds), attention_mask, token_type_ids, position_ids and keep, each [batch, tokens]"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, &Error{Kind: KindInput, Msg: "cannot open the inputs: " + err.Error(), Hint: "--inputs takes a .safetensors file", Err: err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, input(path, err, "")
	}
	st, err := safetensors.Open(file, info.Size())
	if err != nil {
		return nil, input(path, err, "--inputs takes a .safetensors file")
	}

	var shape []int // [B,T] of every tensor
	agree := func(name string, got []int) error {
		if len(got) == 1 {
			got = []int{1, got[0]}
		}
		if len(got) != 2 || got[0] == 0 || got[1] == 0 {
			return wrong(fmt.Sprintf("%s has shape %v and must be [batch, tokens]", name, got))
		}
		if got[1] > maxRawTokens/got[0] {
			return wrong(fmt.Sprintf("%s has shape %v, and at most %d tokens are read at once", name, got, maxRawTokens))
		}
		if shape == nil {
			shape = got
		}
		if !slices.Equal(shape, got) {
			return wrong(fmt.Sprintf("%s has shape %v and the other inputs %v", name, got, shape))
		}
		return nil
	}
	ints := func(name string, low, high int64) ([]int32, error) {
		t, ok := st.Tensor(name)
		if !ok {
			return nil, nil
		}
		if err := agree(name, t.Shape); err != nil {
			return nil, err
		}
		values, err := st.ReadI64(name)
		if err != nil {
			return nil, input(path, err, "")
		}
		out := make([]int32, len(values))
		for i, v := range values {
			if v < low || v > high {
				return nil, wrong(name + " holds " + strconv.FormatInt(v, 10))
			}
			out[i] = int32(v)
		}
		return out, nil
	}
	bits := func(name string) ([]uint8, error) {
		values, err := ints(name, 0, 1)
		if values == nil {
			return nil, err
		}
		out := make([]uint8, len(values))
		for i, v := range values {
			out[i] = uint8(v)
		}
		return out, err
	}

	var embeds []float32
	width := 0
	if t, ok := st.Tensor("inputs_embeds"); ok {
		dims := t.Shape
		if len(dims) == 2 {
			dims = append([]int{1}, dims...)
		}
		if len(dims) != 3 || dims[2] == 0 {
			return nil, wrong(fmt.Sprintf("inputs_embeds has shape %v and must be [batch, tokens, hidden]", t.Shape))
		}
		if err := agree("inputs_embeds", dims[:2]); err != nil {
			return nil, err
		}
		width = dims[2]
		if embeds, err = st.ReadF32("inputs_embeds"); err != nil {
			return nil, input(path, err, "")
		}
	}
	known := []string{"input_ids", "inputs_embeds", "attention_mask", "token_type_ids", "position_ids", "keep"}
	for _, name := range st.Names() {
		if !slices.Contains(known, name) {
			return nil, wrong("there is no input " + strconv.Quote(name))
		}
	}
	ids, err := ints("input_ids", 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	if (ids == nil) == (embeds == nil) {
		return nil, wrong("it must hold input_ids or inputs_embeds, one of them")
	}
	types, err := ints("token_type_ids", 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	positions, err := ints("position_ids", 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	mask, err := bits("attention_mask")
	if err != nil {
		return nil, err
	}
	keep, err := bits("keep")
	if err != nil {
		return nil, err
	}

	inputs := make([]Input, shape[0])
	for b := range inputs {
		from, to := b*shape[1], (b+1)*shape[1]
		inputs[b].Raw = &Raw{
			IDs:         part(ids, from, to),
			Embeds:      part(embeds, from*width, to*width),
			TypeIDs:     part(types, from, to),
			PositionIDs: part(positions, from, to),
			Mask:        part(mask, from, to),
			Keep:        part(keep, from, to),
		}
	}
	return inputs, nil
}

// part returns s[from:to], or nil where s is nil.
func part[T any](s []T, from, to int) []T {
	if s == nil {
		return nil
	}
	return s[from:to:to]
}

// encodeRaw describes the tokens of a raw row. Special tokens and padding are
// fixed, as are those that keep marks.
func (m *Model) encodeRaw(raw *Raw) (*encoded, error) {
	info := m.engine.Info()
	r, err := raw.row(info.Embedding)
	if err != nil {
		return nil, err
	}
	if r.n > info.Positions {
		return nil, &Error{Kind: KindInput, Msg: fmt.Sprintf("the input has %d tokens and the model reads %d at most", r.n, info.Positions), Hint: "cut the rows"}
	}
	e := &encoded{raw: true, row: r, texts: []string{""}}
	special := make(map[int32]bool)
	if m.tokenizer != nil {
		for _, id := range m.tokenizer.Special() {
			special[id] = true
		}
	}
	e.tokens = make([]sdk.Token, r.n)
	for i := range e.tokens {
		t := &e.tokens[i]
		t.Fixed = at(raw.Keep, i, 0) == 1 || at(raw.Mask, i, 1) == 0
		if raw.IDs == nil {
			t.ID = -1
			continue
		}
		t.ID = raw.IDs[i]
		t.Special = special[t.ID]
		t.Text = strconv.Itoa(int(t.ID))
		if m.tokenizer != nil {
			if text, ok := m.tokenizer.Token(t.ID); ok {
				t.Text = text
			}
		}
	}
	return e, nil
}
