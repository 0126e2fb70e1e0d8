package process

import (
	"context"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
)

// model is the host's model.
type model struct {
	h    *host
	info sdk.ModelInfo
}

var (
	_ sdk.Differentiable = (*model)(nil)
	_ sdk.Generator      = (*model)(nil)
	_ sdk.Tokenizer      = (*model)(nil)
)

// model returns the host's model.
func (h *host) model() (*model, error) {
	m := &model{h: h}
	err := h.input(abi.InputModel, func(in *abi.Reader) { m.info = in.Model() })
	return m, err
}

// Info implements sdk.Model.
func (m *model) Info() sdk.ModelInfo { return m.info }

// Forward implements sdk.Model.
func (m *model) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	return m.evaluate(ctx, f, nil, func(spec []byte) *wire.Event {
		return &wire.Event{Event: &wire.Event_Forward{Forward: &wire.Forward{Spec: spec}}}
	})
}

// Gradient implements sdk.Differentiable.
func (m *model) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	return m.evaluate(ctx, f, wrt, func(spec []byte) *wire.Event {
		return &wire.Event{Event: &wire.Event_Grad{Grad: &wire.Forward{Spec: spec}}}
	})
}

// evaluate makes a forward, or a gradient, of the host's.
func (m *model) evaluate(ctx context.Context, f *sdk.Forward, wrt []string, event func(spec []byte) *wire.Event) (sdk.Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if f == nil {
		return nil, sdk.NewError(sdk.EInvalid, "the forward is nil")
	}
	spec := abi.Forward{Over: f.Over, Fill: f.Fill, Target: f.Target, KeepDuplicates: f.KeepDuplicates, Points: f.Points, Wrt: wrt, Rule: f.Rule}
	var handles []int64
	defer func() {
		for _, handle := range handles {
			m.h.free(handle)
		}
	}()
	var err error
	pass := func(data any, shape ...int) (handle int64) {
		if err == nil {
			if handle, err = m.h.send(data, shape...); err == nil {
				handles = append(handles, handle)
			}
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
		var joined []byte
		offsets := make([]int64, 1, len(f.Texts)+1)
		for _, t := range f.Texts {
			joined = append(joined, t...)
			offsets = append(offsets, int64(len(joined)))
		}
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
	r, err := m.reply(event(abi.AppendForward(nil, &spec)))
	if err != nil {
		return nil, err // and not a reply that is nil
	}
	return r, nil
}

// padIDs returns rows of one width, and their lengths.
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

// Generate implements sdk.Generator.
func (m *model) Generate(ctx context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if g == nil {
		return nil, sdk.NewError(sdk.EInvalid, "the generation is nil")
	}
	spec := abi.Generation{MaxTokens: g.MaxTokens, Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, Seed: g.Seed}
	if g.Prompt != nil {
		var err error
		if spec.Prompt, err = m.h.send(g.Prompt, len(g.Prompt)); err != nil {
			return nil, err
		}
		defer m.h.free(spec.Prompt)
	}
	r, err := m.reply(&wire.Event{Event: &wire.Event_Generate{Generate: &wire.Generate{Spec: abi.AppendGeneration(nil, &spec)}}})
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
func (m *model) Tokenize(ctx context.Context, text string) ([]sdk.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := m.reply(&wire.Event{Event: &wire.Event_Tokenize{Tokenize: &wire.Tokenize{Text: []byte(text)}}})
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

// reply makes a call whose answer is a reply's handle.
func (m *model) reply(e *wire.Event) (*reply, error) {
	a, err := m.h.call(e)
	if err != nil {
		return nil, err
	}
	r := &reply{m.h, a.Value}
	m.h.keep(r, a.Value)
	return r, nil
}

// reply is a host's reply, which the host drops when the method does.
type reply struct {
	h      *host
	handle int64
}

// Tensor implements sdk.Reply.
func (r *reply) Tensor(name string, index int) (*sdk.Tensor, error) {
	a, err := r.h.call(&wire.Event{Event: &wire.Event_ReplyGet{ReplyGet: &wire.ReplyGet{Reply: r.handle, Name: []byte(name), Index: int32(index)}}})
	if err != nil {
		return nil, err
	}
	return r.h.receive(a.Value)
}

// values returns the elements of an output of a reply.
func values[T sdk.Element](r *reply, name string) ([]T, error) {
	t, err := r.Tensor(name, 0)
	if err != nil {
		return nil, err
	}
	return sdk.Values[T](t)
}
