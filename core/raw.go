package core

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/sdk"
)

// maxRawTokens bounds the tokens of all rows of a file.
const maxRawTokens = 1 << 20

// Raw is one row of T tokens that takes the place of a text: ids, or embeddings
// in their place. Other slices have T elements, or are nil for the defaults:
// type 0, the model's own positions, every token visible and none kept.
type Raw struct {
	IDs         []int32
	Embeds      []float32 // [T,D] word embeddings, in place of IDs
	TypeIDs     []int32
	PositionIDs []int32
	Mask        []uint8 // 0 hides a token from all others
	Keep        []uint8 // 1 marks a token that is never dropped nor attributed to

	// Of a model of two streams, XLNet:
	Targets  []int       // the positions that it predicts; nil runs the content stream alone
	Hidden   []uint8     // [T,T]: 1 where a query (row) cannot see a key; nil hides none
	Memory   int         // cached rows of earlier segments
	Memories [][]float32 // for each layer, [Memory,D]; nil where there are none
}

// row returns the row as the engine reads it, given the width of an embedding.
func (r *Raw) row(width int) (row, error) {
	n := len(r.IDs)
	if r.IDs == nil {
		n = len(r.Embeds) / width
	}
	for _, length := range []int{len(r.TypeIDs), len(r.PositionIDs), len(r.Mask), len(r.Keep)} {
		if length != 0 && length != n {
			return row{}, &Error{Kind: KindInput, Msg: fmt.Sprintf("the input has %d tokens and %d values for them", n, length), Hint: "give one value for each token, or none at all"}
		}
	}
	if n == 0 || (r.IDs == nil) == (r.Embeds == nil) || n*width != len(r.Embeds) && r.IDs == nil {
		return row{}, &Error{Kind: KindInput, Msg: fmt.Sprintf("the input must have ids, or embeddings of width %d", width), Hint: "give one of them, for one token at least"}
	}
	return row{
		n: n, ids: r.IDs, embeds: r.Embeds, types: r.TypeIDs, positions: r.PositionIDs, mask: r.Mask,
		streams: streams{r.Targets, r.Hidden, r.Memory, r.Memories},
	}, nil
}

// A file of inputs may hold numbers, mems.N among them, and masks.
var (
	numberNames = []string{"input_ids", "inputs_embeds", "token_type_ids", "position_ids"}
	maskNames   = []string{"attention_mask", "perm_mask", "target_mapping", "keep"}
)

// ReadInputs reads raw inputs from a .safetensors file whose tensors bear the
// names of the reference forward's arguments: input_ids [B,T] or inputs_embeds
// [B,T,D], attention_mask, token_type_ids and position_ids [B,T]; for XLNet
// perm_mask [B,T,T], target_mapping [B,P,T], whose rows mark one position each,
// and mems.N [B,M,D]; and keep [B,T], which marks tokens that explain leaves
// alone. Without the axis B the batch has one row. Whole numbers and masks may be
// stored in any format.
//
// What does not fit into memory bytes, engine.DefaultMemory for 0, is refused
// before it is read.
func ReadInputs(ctx context.Context, path string, memory int64) ([]Input, error) {
	f, err := openTensors(ctx, path, "--inputs takes a .safetensors file")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &inputReader{tensorFile: f}
	r.known()
	r.fits(cmp.Or(memory, engine.DefaultMemory))
	embeds, width := r.embeds()
	ids := r.ints("input_ids")
	if r.err == nil && (ids == nil) == (embeds == nil) {
		r.fail("it must hold input_ids or inputs_embeds, one of them")
	}
	types, positions := r.ints("token_type_ids"), r.ints("position_ids")
	mask, keep := r.bits("attention_mask"), r.bits("keep")
	hidden, targets := r.hidden(), r.targets()
	memories, remembered := r.memories()
	if r.err != nil {
		return nil, r.err
	}
	inputs := make([]Input, r.shape[0])
	for b := range inputs {
		n := r.shape[1]
		from, to := b*n, (b+1)*n
		raw := &Raw{
			IDs:         part(ids, from, to),
			Embeds:      part(embeds, from*width, to*width),
			TypeIDs:     part(types, from, to),
			PositionIDs: part(positions, from, to),
			Mask:        part(mask, from, to),
			Keep:        part(keep, from, to),
			Hidden:      part(hidden, from*n, to*n),
			Memory:      remembered,
		}
		if targets != nil {
			raw.Targets = targets[b]
		}
		for _, layer := range memories {
			size := len(layer) / len(inputs)
			raw.Memories = append(raw.Memories, part(layer, b*size, (b+1)*size))
		}
		inputs[b].Raw = raw
	}
	return inputs, nil
}

// inputReader reads the tensors of a file of inputs until the first error.
type inputReader struct {
	*tensorFile
	shape []int // [B,T] of every tensor; nil before the first
	err   error
}

// fail reports what is wrong with the file, unless something was before.
func (r *inputReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{
			Kind: KindInput, Msg: r.path + ": " + fmt.Sprintf(format, args...),
			Hint: "inputs are input_ids (or inputs_embeds), attention_mask, token_type_ids, position_ids and keep, each [batch, tokens]; perm_mask, target_mapping and mems.N for XLNet",
		}
	}
}

// dims returns the shape of a tensor that has so many axes, the batch included;
// false where there is no such tensor or something is wrong.
func (r *inputReader) dims(name string, axes ...string) ([]int, bool) {
	t, ok := r.Tensor(name)
	if !ok || r.err != nil {
		return nil, false
	}
	dims := t.Shape
	if len(dims) == len(axes)-1 {
		dims = append([]int{1}, dims...)
	}
	if len(dims) != len(axes) || slices.Contains(dims, 0) {
		r.fail("%s has shape %v and must be [%s]", name, t.Shape, strings.Join(axes, ", "))
		return nil, false
	}
	return dims, true
}

// agree holds the first two axes of a tensor to those of the others.
func (r *inputReader) agree(name string, got []int) {
	switch {
	case got[1] > maxRawTokens/got[0]:
		r.fail("%s has shape %v, and at most %d tokens are read at once", name, got, maxRawTokens)
	case r.shape == nil:
		r.shape = got
	case !slices.Equal(r.shape, got):
		r.fail("%s has shape %v and the other inputs %v", name, got, r.shape)
	}
}

// fits refuses a file whose tensors take more memory than there is: numbers, as
// they are kept and once more in a batch; and masks, a byte an element.
func (r *inputReader) fits(memory int64) {
	need := int64(0)
	for _, name := range r.Names() {
		info, _ := r.Tensor(name)
		size := int64(8)
		if slices.Contains(maskNames, name) {
			size = 1
		}
		need += int64(info.Elements()) * size
	}
	if need > memory && r.err == nil {
		r.err = engineError(r.path, &engine.MemoryError{What: "the inputs", Need: need, Budget: memory})
	}
}

// whole reads whole numbers from 0 to high, stored in any format.
func whole[T int32 | uint8](r *inputReader, name string, high T) []T {
	values, err := safetensors.Convert(r.File, name, func(v float64) (T, error) {
		if v >= 0 && v <= float64(high) && v == math.Trunc(v) {
			return T(v), nil
		}
		e := &Error{
			Kind: KindInput, Msg: fmt.Sprintf("%s: %s holds %v, and must hold whole numbers from 0 to %d", r.path, name, v, high),
			Hint: "padding has a 0 in attention_mask, whatever stands in its place",
		}
		if high == 1 {
			e.Hint = "a mask is made of zeros and ones, not of what is added to scores"
		}
		return 0, e
	})
	r.err = input(r.path, err, "")
	return values
}

// ints returns a tensor [B,T] of ids, types or positions, nil where there is
// none.
func (r *inputReader) ints(name string) []int32 {
	if !r.rows(name) {
		return nil
	}
	return whole[int32](r, name, math.MaxInt32)
}

// bits returns a mask [B,T], nil where there is none.
func (r *inputReader) bits(name string) []uint8 {
	if !r.rows(name) {
		return nil
	}
	return whole[uint8](r, name, 1)
}

// rows reports whether there is a tensor [B,T] that agrees with the others.
func (r *inputReader) rows(name string) bool {
	dims, ok := r.dims(name, "batch", "tokens")
	if ok {
		r.agree(name, dims)
	}
	return ok && r.err == nil
}

// embeds returns inputs_embeds [B,T,D] and D.
func (r *inputReader) embeds() ([]float32, int) {
	dims, ok := r.dims("inputs_embeds", "batch", "tokens", "hidden")
	if !ok {
		return nil, 0
	}
	if r.agree("inputs_embeds", dims[:2]); r.err != nil {
		return nil, 0
	}
	values, err := r.ReadF32("inputs_embeds")
	r.err = input(r.path, err, "")
	return values, dims[2]
}

// hidden returns perm_mask [B,T,T].
func (r *inputReader) hidden() []uint8 {
	dims, ok := r.dims("perm_mask", "batch", "tokens", "tokens")
	if !ok {
		return nil
	}
	if r.agree("perm_mask", dims[:2]); r.err == nil && dims[1] != dims[2] {
		r.fail("perm_mask has shape %v and must be [batch, tokens, tokens]", dims)
	}
	if r.err != nil {
		return nil
	}
	return whole[uint8](r, "perm_mask", 1)
}

// targets returns for each row of the batch the positions that the rows of
// target_mapping [B,P,T] mark.
func (r *inputReader) targets() [][]int {
	dims, ok := r.dims("target_mapping", "batch", "targets", "tokens")
	if !ok {
		return nil
	}
	if r.agree("target_mapping", []int{dims[0], dims[2]}); r.err != nil {
		return nil
	}
	values := whole[uint8](r, "target_mapping", 1)
	if r.err != nil {
		return nil
	}
	out := make([][]int, dims[0])
	for i, row := range slices.Collect(slices.Chunk(values, dims[2])) {
		at := slices.Index(row, 1)
		if at < 0 || slices.Contains(row[at+1:], 1) {
			r.fail("row %d of target_mapping marks no position, or several: each row must hold a single 1", i)
			return nil
		}
		out[i/dims[1]] = append(out[i/dims[1]], at)
	}
	return out
}

// memories returns mems.0, mems.1 …, each [B,M,D], and M.
func (r *inputReader) memories() (layers [][]float32, m int) {
	for l := 0; ; l++ {
		name := fmt.Sprintf("mems.%d", l)
		dims, ok := r.dims(name, "batch", "memory", "hidden")
		if !ok {
			return layers, m
		}
		if l == 0 {
			m = dims[1]
		}
		if r.shape != nil && dims[0] != r.shape[0] || dims[1] != m {
			r.fail("%s has shape %v, and must have one row a row of the batch and be as long as mems.0", name, dims)
			return nil, 0
		}
		values, err := r.ReadF32(name)
		if err != nil {
			r.err = input(r.path, err, "")
			return nil, 0
		}
		layers = append(layers, values)
	}
}

// known refuses tensors that are no inputs.
func (r *inputReader) known() {
	for _, name := range r.Names() {
		n, err := strconv.Atoi(strings.TrimPrefix(name, "mems."))
		memory := strings.HasPrefix(name, "mems.") && err == nil && n >= 0
		if memory {
			_, memory = r.Tensor("mems.0")
		}
		if !slices.Contains(numberNames, name) && !slices.Contains(maskNames, name) && !memory {
			r.fail("there is no input %q", name)
		}
	}
}

// part returns s[from:to], or nil where s is nil.
func part[T any](s []T, from, to int) []T {
	if s == nil {
		return nil
	}
	return s[from:to:to]
}

// encodeRaw describes the tokens of a raw row. Special tokens and padding are
// fixed, as are those that keep marks. A word that the vocabulary lacks is none of
// them, as in a text.
func (m *Model) encodeRaw(raw *Raw) (*encoded, error) {
	info := m.engine.Info()
	r, err := raw.row(info.Embedding)
	if err != nil {
		return nil, err
	}
	if info.Length > 0 && r.n > info.Length && r.positions == nil {
		return nil, &Error{Kind: KindInput, Msg: fmt.Sprintf("the input has %d tokens and the model reads %d at most", r.n, info.Length), Hint: "cut the rows"}
	}
	e := &encoded{raw: true, row: r, texts: []string{""}}
	special := make(map[int32]bool)
	if t := m.tokenizer; t != nil {
		for _, id := range t.Special() {
			special[id] = true
		}
		unknown, ok := t.UnkID()
		for _, role := range []func() (int32, bool){t.ClsID, t.SepID, t.BosID, t.EosID, t.PadID, t.MaskID} {
			if id, has := role(); has && id == unknown { // as in GPT-2, which lacks no word
				ok = false
			}
		}
		if ok {
			delete(special, unknown)
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
		t.Text = m.token(t.ID)
	}
	return e, nil
}
