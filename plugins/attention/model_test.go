package attention

import (
	"context"
	"strings"

	"github.com/xai-go/xai/sdk"
)

// recorded is a model whose attention, [L,H,T,T], and its gradient are known.
type recorded struct {
	layers, heads, n int
	a, gradient      []float64
	relevance        []float64 // of attention, [L,H,T,T], and of tokens, [T,1]
	tokens           []float64
	refuse           sdk.Errno // of calls that ask for all layers at once
	calls            int
}

func (m *recorded) Info() sdk.ModelInfo { return sdk.ModelInfo{ID: "recorded", Layers: m.layers} }

func (m *recorded) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	m.calls++
	if m.refuse != 0 && f.Points[0] == attentions {
		return nil, sdk.NewError(m.refuse, "too much")
	}
	if _, err := (recordedReply{m, f.Rule}).Tensor(f.Points[0], 0); err != nil {
		return nil, err
	}
	return recordedReply{m, f.Rule}, nil
}

func (m *recorded) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	whole := *f
	whole.Points = wrt
	return m.Forward(ctx, &whole)
}

type recordedReply struct {
	*recorded
	rule sdk.Rule
}

func (r recordedReply) Tensor(name string, index int) (*sdk.Tensor, error) {
	values := r.a
	if rest, ok := strings.CutPrefix(name, "grad("); ok {
		values, name = r.gradient, strings.TrimSuffix(rest, ")")
		if r.rule == sdk.RuleLRPAlpha1 {
			values = r.relevance
		}
	}
	if name == "hidden_states[0]" {
		return sdk.NewTensor(r.tokens, 1, r.n, len(r.tokens)/r.n), nil
	}
	if one, ok := strings.CutPrefix(name, attentions+"["); ok {
		at := map[string]int{"-1]": r.layers - 1, "0]": 0, "1]": 1, "2]": 2, "3]": 3}[one]
		if at >= r.layers {
			return nil, sdk.NewError(sdk.EName, "no such layer")
		}
		index = at
	}
	if index >= r.layers {
		return nil, sdk.NewError(sdk.ERange, "there are fewer")
	}
	size := r.heads * r.n * r.n
	return sdk.NewTensor(values[index*size:(index+1)*size:(index+1)*size], 1, r.heads, r.n, r.n), nil
}

// request is one about n tokens, each of which is a unit, but for the first.
func request(n int, m sdk.Method, changes ...any) *sdk.Request {
	r := &sdk.Request{
		Params: params(m, changes...), Target: sdk.Target{Output: sdk.Logit, Positions: []int{0}},
		Progress: func(int, int) error { return nil }, Log: func(sdk.Level, string) {},
	}
	for i := range n {
		r.Tokens = append(r.Tokens, sdk.Token{Special: i == 0})
		if i > 0 {
			r.Units = append(r.Units, sdk.Unit{Tokens: []int{i}})
		}
	}
	return r
}

// params returns the defaults of a method, those of its preset too, with the
// changes, which are name, value pairs.
func params(m sdk.Method, changes ...any) sdk.Params {
	p := sdk.Params{}
	for _, declared := range m.Info().Params {
		p[declared.Name] = declared.Default
		for i := 0; i < len(changes); i += 2 {
			if name, ok := changes[i+1].(string); ok && changes[i] == paramCompat && declared.Compat[name] != nil {
				p[declared.Name] = declared.Compat[name]
			}
		}
	}
	for i := 0; i < len(changes); i += 2 {
		name, value := changes[i].(string), changes[i+1]
		if n, ok := value.(int); ok {
			value = int64(n)
		}
		if _, ok := p[name]; !ok {
			panic("no parameter " + name)
		}
		p[name] = value
	}
	return p
}

// result returns a tensor of an explanation by name, nil where there is none.
func result(e *sdk.Explanation, name string) []float64 {
	for _, t := range e.Tensors {
		if t.Name == name {
			v, _ := sdk.Values[float64](&t.Tensor)
			return v
		}
	}
	return nil
}

// diagnostic returns a diagnostic by name.
func diagnostic(e *sdk.Explanation, name string) float64 {
	for _, d := range e.Diagnostics {
		if d.Name == name {
			return d.Value
		}
	}
	panic("no diagnostic " + name)
}
