package attention

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// The bounds of a run.
const (
	maxTokens = 1024 // a matrix of them has 8 MiB
	maxLayers = 1000
	maxHeads  = 1000
)

// source reads the attention of the unchanged input.
type source struct {
	model     sdk.Model
	request   *sdk.Request
	n         int   // tokens
	layers    int   // of the model
	heads     int   // of each layer; 0 before the first one is read
	positions []int // the rows that are attributed

	entropy float64 // sum over what was read of that of those rows
	rows    int     // how many there were
}

// newSource refuses inputs that are too long, and settles the rows.
func newSource(m sdk.Model, r *sdk.Request) (*source, error) {
	s := &source{model: m, request: r, n: len(r.Tokens), layers: m.Info().Layers, positions: r.Target.Positions}
	if s.layers == 0 {
		return nil, sdk.NewError(sdk.EUnsupported, "the host does not say how many layers the model has")
	}
	if s.n > maxTokens {
		return nil, invalid("the input has " + strconv.Itoa(s.n) + " tokens and the matrices of attention are kept of at most " + strconv.Itoa(maxTokens) + ": give a shorter text")
	}
	if len(r.Units) == 0 {
		return nil, game.NoUnits()
	}
	if at := r.Params.Int(paramPosition); at >= 0 {
		s.positions = []int{at}
	}
	if len(s.positions) == 0 && r.Target.Kind == sdk.KindDifference {
		return nil, sdk.NewError(sdk.EUnsupported, "the two sides of the target are read from inputs of their own, whose attention is not one: explain one of them")
	}
	if len(s.positions) == 0 {
		return nil, sdk.NewError(sdk.EUnsupported, "the host does not say which position the target is read from: name one with -p position=N")
	}
	for _, at := range s.positions {
		if at < 0 || at >= s.n {
			return nil, invalid("position " + strconv.Itoa(at) + " is outside of the input, which has " + strconv.Itoa(s.n) + " tokens: use 0 to " + strconv.Itoa(s.n-1))
		}
	}
	return s, nil
}

// through refuses a first layer that the model does not have.
func (s *source) through(start int) error {
	if start >= s.layers {
		return invalid("start_layer=" + strconv.Itoa(start) + " leaves no layer of the model's " + strconv.Itoa(s.layers) + ": use 0 to " + strconv.Itoa(s.layers-1))
	}
	return nil
}

// bounded refuses a parameter that asks for a result of so many matrices, before
// anything is computed.
func (s *source) bounded(param string, matrices int) error {
	if matrices*s.n*s.n > maxAll {
		return invalid(param + "=true returns more than " + strconv.Itoa(maxAll) + " values: leave it out, or give a shorter text")
	}
	return nil
}

// layer is the attention of one layer, [1,H,T,T], with what the target passes back
// to it by each rule that was asked for.
type layer struct {
	index    int // 0 the first one
	heads, n int
	a        *sdk.Tensor
	back     map[sdk.Rule]*sdk.Tensor
}

// read copies head h of a tensor [1,H,T,T], from a query on, to dst.
func (l *layer) read(t *sdk.Tensor, h, query int, dst []float64) {
	from := (h*l.n + query) * l.n
	switch v := t.Data.(type) {
	case []float64:
		copy(dst, v[from:from+len(dst)])
	case []float32:
		for i, x := range v[from : from+len(dst)] {
			dst[i] = float64(x)
		}
	}
}

// pattern copies the attention of a head, [T,T].
func (l *layer) pattern(h int, dst []float64) { l.read(l.a, h, 0, dst) }

// fuse makes one matrix of all heads.
func (l *layer) fuse(fusion string, dst []float64) {
	one := make([]float64, len(dst))
	l.pattern(0, dst)
	for h := 1; h < l.heads; h++ {
		l.pattern(h, one)
		switch fusion {
		case fusionMax:
			for i, v := range one {
				dst[i] = max(dst[i], v)
			}
		case fusionMin:
			for i, v := range one {
				dst[i] = min(dst[i], v)
			}
		default:
			for i, v := range one {
				dst[i] += v
			}
		}
	}
	if fusion == fusionMean {
		for i := range dst {
			dst[i] /= float64(l.heads)
		}
	}
}

// entropies returns −Σ a·ln a of each row of each head, [H,T].
func (l *layer) entropies() []float64 {
	out := make([]float64, 0, l.heads*l.n)
	one := make([]float64, l.n*l.n)
	for h := range l.heads {
		l.pattern(h, one)
		for i := range l.n {
			out = append(out, entropy(one[i*l.n:(i+1)*l.n]))
		}
	}
	return out
}

// entropy returns −Σ p·ln p, in nats.
func entropy(p []float64) float64 {
	sum := 0.0
	for _, v := range p {
		if v > 0 {
			sum -= float64(v * num.Log(v))
		}
	}
	return sum
}

// attentions names the patterns of all layers.
const attentions = "attentions"

// every visits all layers, the first one first. They are asked for in one call,
// and one by one where that is more than the host keeps.
func (s *source) every(ctx context.Context, rules []sdk.Rule, visit func(*layer) error) error {
	a, err := s.all(ctx, rules)
	if code, ok := codeOf(err); ok && (code == sdk.EQuota || code == sdk.ENoMem) {
		for l := range s.layers {
			if err := s.one(ctx, rules, l, visit); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	for l := range s.layers {
		if err := s.take(ctx, a, l, l, visit); err != nil {
			return err
		}
	}
	return nil
}

// all asks for all layers at once, and refuses two patterns of each.
func (s *source) all(ctx context.Context, rules []sdk.Rule) (answers, error) {
	a, err := s.ask(ctx, rules, attentions)
	if err != nil {
		return a, err
	}
	_, err = a.replies[0].Tensor(attentions, s.layers)
	if code, ok := codeOf(err); ok && code == sdk.ERange {
		return a, nil
	}
	if err == nil {
		err = twoStreams()
	}
	return a, err
}

// layer returns the layer that a parameter names, which before 0 counts from the
// last one.
func (s *source) layer(l int) (int, error) {
	if l < -s.layers || l >= s.layers {
		return 0, invalid("layer=" + strconv.Itoa(l) + " is none of the model, which has " + strconv.Itoa(s.layers) + ": use 0 to " + strconv.Itoa(s.layers-1))
	}
	return (l + s.layers) % s.layers, nil
}

// twoStreams refuses models such as XLNet's language model, which reads a target
// from queries of their own at the content's keys.
func twoStreams() error {
	return sdk.NewError(sdk.EUnsupported, "the model has two streams of attention, and the target is read from the one that the other does not see: methods of attention explain models with one stream")
}

// one visits one layer.
func (s *source) one(ctx context.Context, rules []sdk.Rule, l int, visit func(*layer) error) error {
	a, err := s.ask(ctx, rules, attentions+"["+strconv.Itoa(l)+"]")
	at := 0
	if code, ok := codeOf(err); ok && code == sdk.EName { // as of two streams, whose layers have two names each
		a, err = s.all(ctx, rules)
		at = l
	}
	if err != nil {
		return err
	}
	return s.take(ctx, a, at, l, visit)
}

// answers are what the host says of the unchanged input: one reply for each rule, or
// one without any. The first keeps the patterns that a name stands for, and each what
// its rule passes back to them.
type answers struct {
	name    string
	rules   []sdk.Rule
	replies []sdk.Reply
}

// ask runs the unchanged input.
func (s *source) ask(ctx context.Context, rules []sdk.Rule, name string) (answers, error) {
	a := answers{name: name, rules: rules}
	if len(rules) == 0 {
		reply, err := s.model.Forward(ctx, s.whole(name))
		a.replies = []sdk.Reply{reply}
		return a, err
	}
	for i, rule := range rules {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		f := s.whole(name)
		f.Rule = rule
		if i > 0 {
			f.Points = nil
		}
		reply, err := sdk.Gradient(ctx, s.model, f, name)
		if err != nil {
			return a, s.undefined(rule, err)
		}
		a.replies = append(a.replies, reply)
	}
	return a, nil
}

// layer reads the layer of that index, which is the one at a place of the name's.
func (a answers) layer(at, index, n int) (*layer, error) {
	pattern, err := a.replies[0].Tensor(a.name, at)
	if err != nil {
		return nil, err
	}
	l := &layer{index: index, n: n, a: pattern, back: map[sdk.Rule]*sdk.Tensor{}}
	tensors := []*sdk.Tensor{pattern}
	for i, rule := range a.rules {
		if l.back[rule], err = a.replies[i].Tensor(sdk.Grad(a.name), at); err != nil {
			return nil, err
		}
		tensors = append(tensors, l.back[rule])
	}
	for _, t := range tensors {
		if d := t.DType(); len(t.Shape) != 4 || t.Shape[0] != 1 || t.Shape[1] < 1 || t.Shape[2] != n || t.Shape[3] != n || d != sdk.F32 && d != sdk.F64 {
			return nil, sdk.NewError(sdk.EUnsupported, "the model's attention is not from each token of the input to each: rows of earlier segments and cut sequences cannot be explained by it")
		}
		if t.Shape[1] != pattern.Shape[1] {
			return nil, sdk.NewError(sdk.EInternal, "the host's gradient of attention has another number of heads")
		}
	}
	l.heads = pattern.Shape[1]
	return l, nil
}

// whole is a forward of the unchanged input that keeps some points.
func (s *source) whole(points ...string) *sdk.Forward {
	keep := make([]uint8, s.n)
	for i := range keep {
		keep[i] = 1
	}
	return &sdk.Forward{Masks: sdk.NewTensor(keep, 1, s.n), Points: points}
}

// take visits the layer of that index, which is at a place of what was asked for, and
// takes in the entropy of its rows.
func (s *source) take(ctx context.Context, a answers, at, index int, visit func(*layer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := a.layer(at, index, s.n)
	if err != nil {
		return err
	}
	if s.heads != 0 && l.heads != s.heads {
		return sdk.NewError(sdk.EUnsupported, "the layers of the model have different numbers of heads")
	}
	s.heads = l.heads
	row := make([]float64, s.n)
	for h := range l.heads {
		for _, position := range s.positions {
			l.read(l.a, h, position, row)
			s.entropy += entropy(row)
			s.rows++
		}
	}
	return visit(l)
}

// row returns the mean of the rows of a matrix that the target is read from.
func (s *source) row(matrix []float64) []float64 {
	out := make([]float64, s.n)
	for _, at := range s.positions {
		for i, v := range matrix[at*s.n : (at+1)*s.n] {
			out[i] += v
		}
	}
	for i := range out {
		out[i] /= float64(len(s.positions))
	}
	return out
}

// apart sets the entry of each attributed position to itself, in a copy of the
// matrix, to the smallest of its row: beside the identity that relevance starts
// from, nothing else would be seen.
func (s *source) apart(matrix []float64) []float64 {
	out := slices.Clone(matrix)
	for _, at := range s.positions {
		row := out[at*s.n : (at+1)*s.n]
		row[at] = slices.Min(row)
	}
	return out
}

// sizes is an explanation whose values are not below 0: they say how much, and not
// which way.
func (s *source) sizes(row []float64) *sdk.Explanation { return s.explanation(row, 1) }

// explanation attributes to each unit the sum of a row over its tokens.
func (s *source) explanation(row []float64, unsigned float64) *sdk.Explanation {
	values := make([]float64, len(s.request.Units))
	for i, u := range s.request.Units {
		for _, t := range u.Tokens {
			values[i] += row[t]
		}
	}
	all, special := 0.0, 0.0
	for i, t := range s.request.Tokens {
		all += math.Abs(row[i])
		if t.Special || t.Fixed {
			special += math.Abs(row[i])
		}
	}
	share := 0.0
	if all > 0 {
		share = special / all
	}
	e := &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: values}}}
	if s.rows > 0 {
		e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: "attention_entropy", Value: s.entropy / float64(s.rows)})
	}
	e.Diagnostics = append(e.Diagnostics,
		sdk.Diagnostic{Name: sdk.DiagSpecial, Value: share},
		sdk.Diagnostic{Name: sdk.DiagUnsigned, Value: unsigned})
	return e
}

// stack is a tensor of all layers and heads as it is collected, in the precision
// in which the model computes.
type stack struct {
	f32 []float32
	f64 []float64
}

// add adds the heads of a layer.
func (s *stack) add(t *sdk.Tensor) {
	switch v := t.Data.(type) {
	case []float32:
		s.f32 = append(s.f32, v...)
	case []float64:
		s.f64 = append(s.f64, v...)
	}
}

// tensor names what was collected, [layers,heads,n,n].
func (s *stack) tensor(name string, layers, heads, n int) sdk.NamedTensor {
	axes := []string{"layer", "head", "query", "key"}
	if s.f64 != nil {
		return tensor(name, s.f64, axes, layers, heads, n, n)
	}
	return tensor(name, s.f32, axes, layers, heads, n, n)
}

// square names a matrix, query × key.
func square(name string, matrix []float64, n int) sdk.NamedTensor {
	return tensor(name, matrix, []string{"query", "key"}, n, n)
}

func tensor[T sdk.Element](name string, data []T, axes []string, shape ...int) sdk.NamedTensor {
	return sdk.NamedTensor{Name: name, Axes: axes, Tensor: *sdk.NewTensor(data, shape...)}
}

// codeOf returns the code of an error of the host's.
func codeOf(err error) (sdk.Errno, bool) {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok {
		return 0, false
	}
	return e.Code, true
}

func invalid(message string) *sdk.Error { return sdk.NewError(sdk.EInvalid, message) }
