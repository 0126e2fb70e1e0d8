package toy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/xai-go/xai/sdk"
)

// Session is a model in the explanation of one input: an sdk.Model with all of
// its powers. It remembers the rows that it has run. It may serve several
// explanations of its input, one after another or at once.
type Session struct {
	model   *Model
	request sdk.Request
	texts   []string // nil for token ids
	base    row
	raw     bool
	byToken bool // units are dropped token by token, without an edit of the text
	target  target

	mu    sync.Mutex
	known map[digest][]float64 // row → logits
}

var (
	_ sdk.Differentiable = (*Session)(nil)
	_ sdk.Generator      = (*Session)(nil)
	_ sdk.Tokenizer      = (*Session)(nil)
)

// digest is that of all that a row's logits depend on.
type digest [sha256.Size]byte

// Request returns the request that a method gets. It is the caller's.
func (s *Session) Request() *sdk.Request {
	r := s.request
	r.Tokens = slices.Clone(r.Tokens)
	r.Units = slices.Clone(r.Units)
	for i := range r.Units {
		u := &r.Units[i]
		u.Spans, u.Tokens = slices.Clone(u.Spans), slices.Clone(u.Tokens)
	}
	r.Target.Positions = slices.Clone(r.Target.Positions)
	if r.TextPair != nil {
		pair := *r.TextPair
		r.TextPair = &pair
	}
	if r.Params != nil {
		r.Params = make(sdk.Params, len(s.request.Params))
		for name, v := range s.request.Params {
			r.Params[name] = v
		}
	}
	return &r
}

// Info implements sdk.Model.
func (s *Session) Info() sdk.ModelInfo { return s.model.Info() }

// PointNeeds returns the needs of the points that a name stands for, as the host
// asks a model for them.
func (s *Session) PointNeeds(name string) ([]sdk.Need, error) {
	selected, err := resolve(s.model.network, name)
	if err != nil {
		return nil, err
	}
	return []sdk.Need{selected[0].kind.need()}, nil
}

// Tokenize implements sdk.Tokenizer.
func (s *Session) Tokenize(ctx context.Context, text string) ([]sdk.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	whole := *s.model
	whole.positions = 0
	_, tokens := whole.encode([]string{text})
	return tokens, nil
}

// Forward implements sdk.Model.
func (s *Session) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	return s.evaluate(ctx, f, nil)
}

// Gradient implements sdk.Differentiable.
func (s *Session) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	if len(wrt) == 0 {
		return nil, invalid("a gradient names no point to take it at")
	}
	if f != nil && f.Rule != sdk.RuleGradient {
		return nil, sdk.NewError(sdk.EUnsupported, "toy models pass a target back by the gradient alone")
	}
	return s.evaluate(ctx, f, wrt)
}

// evaluate is Forward, or Gradient where wrt names points.
func (s *Session) evaluate(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.check(f); err != nil {
		return nil, err
	}
	t := s.target
	if f.Target != "" {
		var err error
		if t, err = parseTarget(f.Target, t.output, s.model.info.Labels); err != nil {
			return nil, err
		}
	}
	rows, err := s.rows(ctx, f)
	if err != nil {
		return nil, err
	}
	r := &reply{session: s, target: t, logits: make([][]float64, len(rows))}
	if len(f.Points)+len(f.Edits)+len(wrt) == 0 {
		return r, s.runOnce(ctx, rows, r.logits, !f.KeepDuplicates)
	}
	return r, s.inspect(ctx, f, wrt, rows, r)
}

// runOnce computes the logits of rows, of equal ones once.
func (s *Session) runOnce(ctx context.Context, rows []row, logits [][]float64, dedup bool) error {
	if !dedup {
		return each(ctx, len(rows), func(i int) { logits[i] = run(s.model.network, rows[i], nil, nil).logits })
	}
	keys := make([]digest, len(rows))
	var fresh []int // rows that are neither known nor equal to an earlier one
	pending := make(map[digest]bool)
	s.mu.Lock()
	for i, r := range rows {
		keys[i] = r.digest()
		if _, ok := s.known[keys[i]]; !ok && !pending[keys[i]] {
			pending[keys[i]] = true
			fresh = append(fresh, i)
		}
	}
	s.mu.Unlock()
	err := each(ctx, len(fresh), func(i int) { logits[fresh[i]] = run(s.model.network, rows[fresh[i]], nil, nil).logits })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range fresh {
		s.known[keys[i]] = logits[i]
	}
	for i, key := range keys {
		logits[i] = s.known[key]
	}
	return nil
}

// digest returns the row's digest.
func (r row) digest() digest {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(r.ids)))
	for i, id := range r.ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
		flags := byte(0)
		if r.types != nil {
			flags = r.types[i]
		}
		if r.hidden != nil && r.hidden[i] {
			flags |= 2
		}
		b = append(b, flags)
	}
	for _, v := range r.embeds {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return sha256.Sum256(b)
}

// each calls f with 0 … n−1, on as many processors as there are, until ctx is
// done.
func each(ctx context.Context, n int, f func(i int)) error {
	var group sync.WaitGroup
	var at atomic.Int64
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(at.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// inspect runs rows each by itself, keeps what f and wrt name, and changes what
// f edits.
func (s *Session) inspect(ctx context.Context, f *sdk.Forward, wrt []string, rows []row, r *reply) error {
	n := s.model.network
	longest := 0
	for _, row := range rows {
		longest = max(longest, len(row.ids))
	}
	r.kept = make(map[string][]*kept)
	keep := func(name, as string, gradient bool) error {
		selected, err := resolve(n, name)
		if err != nil || r.kept[as] != nil {
			return err
		}
		for _, sel := range selected {
			k := &kept{selection: sel, gradient: gradient}
			if err := k.settle(n, len(rows), longest); err != nil {
				return err
			}
			r.kept[as] = append(r.kept[as], k)
		}
		return nil
	}
	for _, name := range f.Points {
		if err := keep(name, name, false); err != nil {
			return err
		}
	}
	for _, name := range wrt {
		if err := keep(name, sdk.Grad(name), true); err != nil {
			return err
		}
	}
	changes := make([]map[place][]change, len(rows))
	for _, e := range f.Edits {
		if err := spread(n, e, rows, changes); err != nil {
			return err
		}
	}
	var slope func([]float64) []float64
	if wrt != nil {
		slope = r.target.slope
	}
	return each(ctx, len(rows), func(i int) {
		p := run(n, rows[i], changes[i], slope)
		r.logits[i] = p.logits
		for _, list := range r.kept {
			for _, k := range list {
				k.take(n, i, p)
			}
		}
	})
}

// spread gives each row its part of an edit.
func spread(n network, e sdk.Edit, rows []row, changes []map[place][]change) error {
	selected, err := resolve(n, e.Point)
	if err != nil {
		return err
	}
	if len(selected) != 1 {
		return invalid("an edit is of one point, and " + e.Point + " stands for " + strconv.Itoa(len(selected)))
	}
	sel := selected[0]
	var value []float64
	var shape []int
	if e.Value != nil {
		value, shape = doubles(e.Value), e.Value.Shape
	}
	from, to := sel.extents[0].bounds(len(rows))
	if from == to && len(rows) > 0 {
		return nothing(sel)
	}
	some := false
	for i := from; i < to; i++ {
		c := change{selection: sel, op: e.Op, value: value}
		sizes := sel.sizes(sel.dims(n, len(rows[i].ids)))
		some = some || !slices.Contains(sizes, 0)
		if len(value) > 1 {
			whole, ok := fit(sel, shape, append([]int{to - from}, sizes...))
			if !ok {
				return invalid(sel.name + " is edited with values of another shape than what it selects")
			}
			c.valueDims = whole[1:]
			if size := len(value) / whole[0]; whole[0] > 1 {
				c.value = value[(i-from)*size:][:size]
			}
		}
		if changes[i] == nil {
			changes[i] = make(map[place][]change)
		}
		changes[i][sel.place] = append(changes[i][sel.place], c)
	}
	if !some && len(rows) > 0 {
		return nothing(sel)
	}
	return nil
}

func nothing(s selection) error {
	return outside(s.name + " selects nothing of the rows")
}

// fit returns the shape of an edit's value with an axis for each of the point's.
// An axis of the value is 1 or as long as what is selected.
func fit(s selection, shape, sizes []int) ([]int, bool) {
	if len(shape) != len(sizes) { // axes that indices dropped
		var whole []int
		for _, e := range s.extents {
			switch {
			case e.index:
				whole = append(whole, 1)
			case len(shape) > 0:
				whole, shape = append(whole, shape[0]), shape[1:]
			default:
				return nil, false
			}
		}
		if len(shape) > 0 {
			return nil, false
		}
		shape = whole
	}
	for axis, n := range shape {
		if n != 1 && n != sizes[axis] {
			return nil, false
		}
	}
	return shape, true
}

// doubles returns the elements of a tensor of floats.
func doubles(t *sdk.Tensor) []float64 {
	switch v := t.Data.(type) {
	case []float64:
		return slices.Clone(v)
	case []float32:
		out := make([]float64, len(v))
		for i, x := range v {
			out[i] = float64(x)
		}
		return out
	}
	return nil
}

// kept is what a reply holds of a point: the selected rows one after another,
// each padded with zeros.
type kept struct {
	selection
	gradient bool
	from, to int   // rows
	most     []int // of each axis but that of rows
	values   []float64
}

// settle makes room.
func (k *kept) settle(n network, rows, longest int) error {
	k.from, k.to = k.extents[0].bounds(rows)
	k.most = k.sizes(k.dims(n, longest))
	size := k.to - k.from
	for _, m := range k.most {
		size *= m
	}
	if size == 0 && rows > 0 {
		return nothing(k.selection)
	}
	k.values = make([]float64, size)
	return nil
}

// take copies what is selected of row i.
func (k *kept) take(n network, i int, p *pass) {
	if i < k.from || i >= k.to {
		return
	}
	v := p.values[k.place]
	if k.gradient {
		v = p.grads[k.place]
	}
	dims := k.dims(n, p.tokens())
	sizes := k.sizes(dims)
	room := len(k.values) / (k.to - k.from)
	dst := k.values[(i-k.from)*room:][:room]
	grid(dims, k.ranges(dims), func(at, count int) {
		to, stride := 0, 1
		for axis := len(sizes) - 1; axis >= 0; axis-- {
			to += count % sizes[axis] * stride
			count /= sizes[axis]
			stride *= k.most[axis]
		}
		dst[to] = v[at]
	})
}

// tensor returns the values without the axes that indices drop.
func (k *kept) tensor() *sdk.Tensor {
	shape := []int{}
	for axis, n := range append([]int{k.to - k.from}, k.most...) {
		if !k.extents[axis].index {
			shape = append(shape, n)
		}
	}
	return sdk.NewTensor(slices.Clone(k.values), shape...)
}

// reply holds the logits of rows and what was kept of their inside.
type reply struct {
	session *Session
	target  target
	logits  [][]float64
	kept    map[string][]*kept
}

// Bytes returns what the reply holds, as the host counts it.
func (r *reply) Bytes() int64 {
	n := int64(0)
	for _, list := range r.kept {
		for _, k := range list {
			n += 8 * int64(len(k.values))
		}
	}
	return n
}

// Tensor implements sdk.Reply.
func (r *reply) Tensor(name string, index int) (*sdk.Tensor, error) {
	parts := r.kept[name]
	var output sdk.Output
	switch name {
	case sdk.ReplyTarget:
	case sdk.ReplyLogits:
		output = sdk.Logit
	case sdk.ReplyProbs:
		output = sdk.Prob
	case sdk.ReplyLogProbs:
		output = sdk.LogProb
	default:
		if parts == nil {
			return nil, sdk.NewError(sdk.EName, "the reply has no tensor "+strconv.Quote(name))
		}
	}
	if index < 0 || index >= max(len(parts), 1) {
		return nil, outside(name + " has " + strconv.Itoa(max(len(parts), 1)) + " tensors, and none at " + strconv.Itoa(index))
	}
	if parts != nil {
		return parts[index].tensor(), nil
	}
	out := make([]float64, 0, len(r.logits))
	for _, logits := range r.logits {
		if output == "" {
			out = append(out, r.target.value(logits))
		} else {
			out = append(out, outputs(logits, output)...)
		}
	}
	if output == "" {
		return sdk.NewTensor(out, len(r.logits)), nil
	}
	return sdk.NewTensor(out, len(r.logits), len(r.session.model.info.Labels)), nil
}
