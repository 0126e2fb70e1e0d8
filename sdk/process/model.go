package process

import (
	"context"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/internal/handles"
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
	sent := tensors{h: m.h}
	defer sent.free()
	spec, err := handles.Forward(f, wrt, sent.send)
	if err != nil {
		return nil, err
	}
	r, err := m.reply(event(abi.AppendForward(nil, spec)))
	if err != nil {
		return nil, err // and not a reply that is nil
	}
	return r, nil
}

// Generate implements sdk.Generator.
func (m *model) Generate(ctx context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sent := tensors{h: m.h}
	defer sent.free()
	spec, err := handles.Generation(g, sent.send)
	if err != nil {
		return nil, err
	}
	r, err := m.reply(&wire.Event{Event: &wire.Event_Generate{Generate: &wire.Generate{Spec: abi.AppendGeneration(nil, spec)}}})
	if err != nil {
		return nil, err
	}
	return handles.Continuation(r)
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
	return handles.Tokens(r)
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
