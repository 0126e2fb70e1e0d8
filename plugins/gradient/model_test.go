package gradient

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/xai-go/xai/sdk"
)

// curve is a model whose target is a function of the word embeddings, [tokens,
// width], with its gradient.
type curve struct {
	f      func(x []float64) (y float64, slope []float64)
	x      []float64 // the input's embeddings
	width  int
	tokens []sdk.Token
	single bool // of float32
	fills  map[sdk.FillKind][]float64
	texts  map[string][]float64

	rows []int             // of each gradient
	seen func(x []float64) // of each row, where set
}

func (m *curve) Info() sdk.ModelInfo { return sdk.ModelInfo{MaskToken: "[MASK]", Vocabulary: 9} }

func (m *curve) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	return m.evaluate(f, false)
}

func (m *curve) Gradient(_ context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	if !slices.Equal(wrt, []string{"embeddings"}) {
		return nil, sdk.NewError(sdk.EName, "no point "+strings.Join(wrt, ","))
	}
	return m.evaluate(f, true)
}

func (m *curve) evaluate(f *sdk.Forward, gradient bool) (sdk.Reply, error) {
	var rows [][]float64
	shape := []int{0, len(m.tokens), m.width}
	switch {
	case f.Embeds != nil:
		v, err := sdk.Values[float32](f.Embeds)
		if err != nil {
			return nil, err
		}
		for row := range slices.Chunk(v, len(m.x)) {
			x := make([]float64, len(row))
			for j, v := range row {
				x[j] = float64(v)
			}
			rows = append(rows, x)
		}
	case len(f.Edits) > 0:
		v, err := sdk.Values[float64](f.Edits[0].Value)
		if err != nil {
			return nil, err
		}
		for row := range slices.Chunk(v, len(m.x)) {
			rows = append(rows, slices.Clone(row))
		}
	case f.Texts != nil:
		x, ok := m.texts[f.Texts[0]]
		if !ok {
			return nil, sdk.NewError(sdk.EInvalid, "no such text")
		}
		rows, shape[1] = [][]float64{x}, len(x)/m.width
	default:
		keep, err := sdk.Values[uint8](f.Masks)
		if err != nil {
			return nil, err
		}
		fill, ok := m.fills[f.Fill.Kind]
		if f.Fill.Kind == sdk.FillZero {
			fill, ok = make([]float64, m.width), true
		}
		if x := m.texts[f.Fill.Text]; f.Fill.Kind == sdk.FillText && len(x) == m.width {
			fill, ok = x, true
		}
		for row := range slices.Chunk(keep, len(m.tokens)) {
			x := slices.Clone(m.x)
			for i, k := range row {
				if t := m.tokens[i]; k == 0 && !t.Special && !t.Fixed {
					if !ok {
						return nil, sdk.NewError(sdk.EUnsupported, "no such fill")
					}
					copy(x[i*m.width:], fill)
				}
			}
			rows = append(rows, x)
		}
	}
	shape[0] = len(rows)
	reply := make(tensors)
	var y, slopes []float64
	for _, x := range rows {
		if m.seen != nil {
			m.seen(x)
		}
		if len(x) != len(m.x) {
			continue
		}
		v, slope := m.f(x)
		y, slopes = append(y, v), append(slopes, slope...)
	}
	number := func(v []float64) *sdk.Tensor {
		if !m.single {
			return sdk.NewTensor(v, shape...)
		}
		single := make([]float32, len(v))
		for j, x := range v {
			single[j] = float32(x)
		}
		return sdk.NewTensor(single, shape...)
	}
	reply[sdk.ReplyTarget] = sdk.NewTensor(y, len(y))
	if f.Points != nil {
		reply["embeddings"] = number(slices.Concat(rows...))
	}
	if gradient {
		m.rows = append(m.rows, len(rows))
		reply["grad(embeddings)"] = number(slopes)
	}
	return reply, nil
}

type tensors map[string]*sdk.Tensor

func (r tensors) Tensor(name string, index int) (*sdk.Tensor, error) {
	t, ok := r[name]
	switch {
	case !ok:
		return nil, sdk.NewError(sdk.EName, "no tensor "+name)
	case index > 0:
		return nil, sdk.NewError(sdk.ERange, "one tensor alone")
	}
	return t, nil
}

// newCurve returns a model of one component a token at x.
func newCurve(f func(x []float64) (float64, []float64), x ...float64) *curve {
	m := &curve{f: f, x: x, width: 1, tokens: make([]sdk.Token, len(x))}
	for i := range m.tokens {
		m.tokens[i] = sdk.Token{ID: int32(i), Text: fmt.Sprint("w", i), Start: 3 * i, End: 3*i + 2}
	}
	return m
}

// request returns a request for the model, each of whose tokens that are not
// special is a unit, with the method's defaults and, as name, value pairs, what
// differs.
func (m *curve) request(method sdk.Method, changes ...any) *sdk.Request {
	var key [32]byte
	r := &sdk.Request{Text: "-", Tokens: m.tokens, Params: make(sdk.Params), Seed: 3}
	binary.LittleEndian.PutUint64(key[:], r.Seed)
	r.Rand = rand.NewChaCha8(key)
	for i, t := range m.tokens {
		if !t.Special && !t.Fixed {
			r.Units = append(r.Units, sdk.Unit{Text: t.Text, Tokens: []int{i}})
		}
	}
	r.Target.Value, _ = m.f(m.x)
	compat := "none"
	for i := 0; i < len(changes); i += 2 {
		if changes[i] == "compat" {
			compat = changes[i+1].(string)
		}
	}
	for _, p := range method.Info().Params {
		r.Params[p.Name] = p.Default
		if v, ok := p.Compat[compat]; ok {
			r.Params[p.Name] = v
		}
	}
	for i := 0; i < len(changes); i += 2 {
		name, v := changes[i].(string), changes[i+1]
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		if _, ok := r.Params[name]; !ok {
			panic("no parameter " + name)
		}
		r.Params[name] = v
	}
	return r
}

// reporter is a test, or a run of a property.
type reporter interface {
	Helper()
	Errorf(format string, a ...any)
	Fatal(a ...any)
	Fatalf(format string, a ...any)
}

// explain runs a method on the model.
func (m *curve) explain(t reporter, method sdk.Method, changes ...any) *sdk.Explanation {
	t.Helper()
	e, err := method.Explain(context.Background(), m, m.request(method, changes...))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// diagnostic returns a diagnostic by name.
func diagnostic(t reporter, e *sdk.Explanation, name string) float64 {
	t.Helper()
	for _, d := range e.Diagnostics {
		if d.Name == name {
			return d.Value
		}
	}
	t.Fatalf("no diagnostic %s among %v", name, e.Diagnostics)
	return 0
}
