package guest

import (
	"context"
	"runtime"
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/internal/handles"
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
	var sent tensors
	defer sent.free()
	spec, err := handles.Generation(g, sent.send)
	if err != nil {
		return nil, err
	}
	p, n := bytes(abi.AppendGeneration(nil, spec))
	r, err := replyOf(generate(p, n))
	if err != nil {
		return nil, err
	}
	return handles.Continuation(r)
}

// Tokenize implements sdk.Tokenizer.
func (m *model) Tokenize(_ context.Context, s string) ([]sdk.Token, error) {
	defer runtime.Gosched()
	p, n := text(s)
	r, err := replyOf(tokenize(p, n))
	if err != nil {
		return nil, err
	}
	return handles.Tokens(r)
}

// evaluate calls forward or grad of the host. It yields at its end, because the
// garbage collector of a module runs only when the module yields.
func evaluate(f *sdk.Forward, wrt []string, call func(spec unsafe.Pointer, n uint32) int64) (sdk.Reply, error) {
	defer runtime.Gosched()
	var sent tensors
	defer sent.free()
	spec, err := handles.Forward(f, wrt, sent.send)
	if err != nil {
		return nil, err
	}
	p, n := bytes(abi.AppendForward(nil, spec))
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
