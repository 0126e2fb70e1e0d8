// Package handles is what methods share that reach their model over ABI 1, from a
// module (sdk/guest) and from a process (sdk/process): how what they ask for becomes
// tensors of the host's and a spec that names them, and what they are answered.
package handles

import (
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Send copies a tensor to the host and returns its handle. The data is of an
// [sdk.Element], row-major. Who is given handles frees them, whatever comes of the
// call that they are for.
type Send func(data any, shape ...int) (int64, error)

// Forward returns the spec of a forward, or of a gradient at the points wrt, and
// sends its tensors. It ends with the first error of send.
func Forward(f *sdk.Forward, wrt []string, send Send) (*abi.Forward, error) {
	if f == nil {
		return nil, sdk.NewError(sdk.EInvalid, "the forward is nil")
	}
	spec := &abi.Forward{Over: f.Over, Fill: f.Fill, Target: f.Target, KeepDuplicates: f.KeepDuplicates, Points: f.Points, Wrt: wrt, Rule: f.Rule}
	var err error
	pass := func(data any, shape ...int) (handle int64) {
		if err == nil {
			handle, err = send(data, shape...)
		}
		return handle
	}
	kinds := 0
	rows := func(field abi.Field, data any, shape ...int) {
		kinds++
		spec.Rows, spec.Handle = field, pass(data, shape...)
	}
	if f.Units != nil {
		rows(abi.FieldUnits, f.Units.Data, f.Units.Shape...)
	}
	if f.Masks != nil {
		rows(abi.FieldMasks, f.Masks.Data, f.Masks.Shape...)
	}
	if f.Embeds != nil {
		rows(abi.FieldEmbeds, f.Embeds.Data, f.Embeds.Shape...)
	}
	if f.Texts != nil {
		joined, offsets := join(f.Texts)
		rows(abi.FieldTexts, joined, len(joined))
		spec.Extra = pass(offsets, len(offsets))
	}
	if f.IDs != nil {
		padded, lengths := pad(f.IDs)
		rows(abi.FieldIDs, padded, len(lengths), len(padded)/max(1, len(lengths)))
		spec.Extra = pass(lengths, len(lengths))
	}
	for _, e := range f.Edits {
		edit := abi.Edit{Point: e.Point, Op: e.Op}
		if e.Value != nil {
			edit.Value = pass(e.Value.Data, e.Value.Shape...)
		}
		spec.Edits = append(spec.Edits, edit)
	}
	if err != nil {
		return nil, err
	}
	if kinds != 1 {
		return nil, sdk.NewError(sdk.EInvalid, "a forward has exactly one of units, masks, texts, ids and embeds")
	}
	return spec, nil
}

// Generation returns the spec of a generation, and sends its prompt.
func Generation(g *sdk.Generation, send Send) (*abi.Generation, error) {
	if g == nil {
		return nil, sdk.NewError(sdk.EInvalid, "the generation is nil")
	}
	spec := &abi.Generation{MaxTokens: g.MaxTokens, Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, Seed: g.Seed}
	if g.Prompt == nil {
		return spec, nil
	}
	var err error
	spec.Prompt, err = send(g.Prompt, len(g.Prompt))
	return spec, err
}

// Continuation reads the reply of a generation.
func Continuation(r sdk.Reply) (*sdk.Continuation, error) {
	ids, err := values[int32](r, abi.ReplyIDs)
	if err != nil {
		return nil, err
	}
	logProbs, err := values[float64](r, abi.ReplyLogProbs)
	if err != nil {
		return nil, err
	}
	text, err := values[byte](r, abi.ReplyText)
	if err != nil {
		return nil, err
	}
	return &sdk.Continuation{IDs: ids, LogProbs: logProbs, Text: string(text)}, nil
}

// Tokens reads the reply of a tokenize.
func Tokens(r sdk.Reply) ([]sdk.Token, error) {
	b, err := values[byte](r, abi.ReplyTokens)
	if err != nil {
		return nil, err
	}
	in := abi.NewReader(b)
	tokens := in.Tokens()
	return tokens, in.End()
}

// values returns the elements of an output of a reply.
func values[T sdk.Element](r sdk.Reply, name string) ([]T, error) {
	t, err := r.Tensor(name, 0)
	if err != nil {
		return nil, err
	}
	return sdk.Values[T](t)
}

// join returns texts one after the other, and their offsets.
func join(texts []string) (joined []byte, offsets []int64) {
	offsets = make([]int64, 1, len(texts)+1)
	for _, t := range texts {
		joined = append(joined, t...)
		offsets = append(offsets, int64(len(joined)))
	}
	return joined, offsets
}

// pad returns rows of one width, and their lengths.
func pad(rows [][]int32) (padded, lengths []int32) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row))
	}
	padded = make([]int32, len(rows)*width)
	lengths = make([]int32, len(rows))
	for i, row := range rows {
		copy(padded[i*width:], row)
		lengths[i] = int32(len(row))
	}
	return padded, lengths
}

// Elements returns n elements of a tensor of the host's, and their bytes, which are
// the same memory. It is an error where Go has no such numbers.
func Elements(dtype sdk.DType, n int) (data any, b []byte, err error) {
	switch dtype {
	case sdk.U8:
		data = make([]uint8, n)
	case sdk.I32:
		data = make([]int32, n)
	case sdk.I64:
		data = make([]int64, n)
	case sdk.F32:
		data = make([]float32, n)
	case sdk.F64:
		data = make([]float64, n)
	default:
		return nil, nil, sdk.NewError(sdk.EUnsupported, "the tensor holds "+dtype.String()+", which Go has no slice for")
	}
	return data, Bytes(data), nil
}

// Bytes returns the bytes of the elements of data, which are the same memory; nil
// where these are of no [sdk.Element].
func Bytes(data any) []byte {
	switch v := data.(type) {
	case []uint8:
		return v
	case []int32:
		return cast(v)
	case []int64:
		return cast(v)
	case []float32:
		return cast(v)
	case []float64:
		return cast(v)
	}
	return nil
}

func cast[T sdk.Element](v []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(zero)))
}
