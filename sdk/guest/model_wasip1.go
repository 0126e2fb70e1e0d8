package guest

import (
	"context"
	"runtime"
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// model is the host's model. A module imports those functions of the host alone
// that its methods call through it.
type model struct{ info sdk.ModelInfo }

var (
	_ sdk.Differentiable = (*model)(nil)
	_ sdk.Generator      = (*model)(nil)
	_ sdk.Tokenizer      = (*model)(nil)
)

// Info implements sdk.Model.
func (m *model) Info() sdk.ModelInfo { return m.info }

// Forward implements sdk.Model.
func (m *model) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	return evaluate(f, nil, forward)
}

// Gradient implements sdk.Differentiable.
func (m *model) Gradient(_ context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	return evaluate(f, wrt, grad)
}

// Generate implements sdk.Generator.
func (m *model) Generate(_ context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	defer runtime.Gosched()
	spec := abi.Generation{MaxTokens: g.MaxTokens, Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, Seed: g.Seed}
	if g.Prompt != nil {
		var err error
		if spec.Prompt, err = send(g.Prompt, len(g.Prompt)); err != nil {
			return nil, err
		}
		defer tensorFree(spec.Prompt)
	}
	p, n := bytes(abi.AppendGeneration(nil, &spec))
	r, err := replyOf(generate(p, n))
	if err != nil {
		return nil, err
	}
	out := &sdk.Continuation{}
	var text []byte
	if out.IDs, err = values[int32](r, abi.ReplyIDs); err == nil {
		if out.LogProbs, err = values[float64](r, abi.ReplyLogProbs); err == nil {
			text, err = values[byte](r, abi.ReplyText)
		}
	}
	if err != nil {
		return nil, err
	}
	out.Text = string(text)
	return out, nil
}

// Tokenize implements sdk.Tokenizer.
func (m *model) Tokenize(_ context.Context, s string) ([]sdk.Token, error) {
	defer runtime.Gosched()
	p, n := text(s)
	r, err := replyOf(tokenize(p, n))
	if err != nil {
		return nil, err
	}
	b, err := values[byte](r, abi.ReplyTokens)
	if err != nil {
		return nil, err
	}
	in := abi.NewReader(b)
	tokens := in.Tokens()
	return tokens, in.End()
}

// values returns the elements of an output of a reply.
func values[T sdk.Element](r *reply, name string) ([]T, error) {
	t, err := r.Tensor(name, 0)
	if err != nil {
		return nil, err
	}
	return sdk.Values[T](t)
}

// evaluate calls forward or grad of the host. It yields at its end, because the
// garbage collector of a module runs only when the module yields.
func evaluate(f *sdk.Forward, wrt []string, call func(spec unsafe.Pointer, n uint32) int64) (sdk.Reply, error) {
	defer runtime.Gosched()
	if f == nil {
		return nil, sdk.NewError(sdk.EInvalid, "the forward is nil")
	}
	spec := abi.Forward{Over: f.Over, Fill: f.Fill, Target: f.Target, KeepDuplicates: f.KeepDuplicates, Points: f.Points, Wrt: wrt, Rule: f.Rule}
	var handles []int64
	defer func() {
		for _, h := range handles {
			tensorFree(h)
		}
	}()
	var err error
	pass := func(data any, shape ...int) (h int64) {
		if err == nil {
			if h, err = send(data, shape...); err == nil {
				handles = append(handles, h)
			}
		}
		return h
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
		joined, offsets := joinTexts(f.Texts)
		rows(abi.FieldTexts, joined, len(joined))
		spec.Extra = pass(offsets, len(offsets))
	}
	if f.IDs != nil {
		padded, lengths := padIDs(f.IDs)
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
	p, n := bytes(abi.AppendForward(nil, &spec))
	r, err := replyOf(call(p, n))
	if err != nil {
		return nil, err // and not a reply that is nil
	}
	return r, nil
}

// replyOf returns the reply of that handle, or the error that it is.
func replyOf(h int64) (*reply, error) {
	if h < 0 {
		return nil, hostError(int32(h))
	}
	r := &reply{h}
	runtime.AddCleanup(r, func(h int64) { tensorFree(h) }, h)
	return r, nil
}

func joinTexts(texts []string) (joined []byte, offsets []int64) {
	offsets = make([]int64, 1, len(texts)+1)
	for _, t := range texts {
		joined = append(joined, t...)
		offsets = append(offsets, int64(len(joined)))
	}
	return joined, offsets
}

func padIDs(rows [][]int32) (padded, lengths []int32) {
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

// reply is a host's reply, which the host drops when the guest does.
type reply struct{ h int64 }

// Tensor implements sdk.Reply. It yields at its end, as evaluate does: a method
// that reads one tensor after the other needs the room of one.
func (r *reply) Tensor(name string, index int) (*sdk.Tensor, error) {
	defer runtime.Gosched()
	p, n := text(name)
	h := replyGet(r.h, p, n, int32(index))
	runtime.KeepAlive(r)
	if h < 0 {
		return nil, hostError(int32(h))
	}
	return receive(h)
}
