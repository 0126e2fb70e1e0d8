package core

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// insideBytes is what the results of a block of rows may take, with the
// embeddings that they are given, unless one row takes more.
const insideBytes = 32 << 20

// rules are those of the SDK in the engine's terms.
var rules = [...]engine.Rule{sdk.RuleGradient: engine.Gradient, sdk.RuleLRPAlpha1: engine.LRPAlpha1}

// Gradient implements sdk.Differentiable.
func (s *session) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	return s.inspect(ctx, f, wrt)
}

// PointNeeds implements contract.Points. What a name stands for may depend on
// whether the rows have token types; its needs are those of both.
func (s *session) PointNeeds(name string) ([]sdk.Need, error) {
	var needs []sdk.Need
	plain, typed := s.scope(false), s.scope(true)
	selections, err := plain.resolve(name)
	if plain.graph != typed.graph {
		more, err2 := typed.resolve(name)
		if err == nil || err2 == nil {
			err = nil // of the rows, once they are there
		}
		selections = append(selections, more...)
	}
	for _, selected := range selections {
		if need := plain.need(selected.Point); !slices.Contains(needs, need) {
			needs = append(needs, need)
		}
	}
	return needs, err
}

// scope is what the points of a model are called, for rows with token types or
// for rows without.
type scope struct {
	graph    *arch.Graph
	resolver point.Resolver
	needs    map[string]sdk.Need // of points by their canonical names
}

// scope returns the points of rows that have token types, or do not.
func (s *session) scope(typed bool) *scope {
	var in engine.Input
	at := &s.scopes[0]
	if typed {
		at, in.TypeIDs = &s.scopes[1], []int32{}
	}
	if s.model.engine.Info().Task == arch.PermutationLM {
		in.Targets = [][]int{}
	}
	if *at != nil {
		return *at
	}
	info, graph := s.model.engine.Info(), s.model.engine.Graph(in)
	c := &scope{graph: graph, resolver: point.NewResolver(graph, info), needs: make(map[string]sdk.Need)}
	mark := func(need sdk.Need, names ...string) {
		for _, name := range names {
			selections, _ := c.resolver.Resolve(name) // none where the model has no such point
			for _, selected := range selections {
				c.needs[selected.Point.Name] = need
			}
		}
	}
	mark(sdk.NeedHiddenStates, "hidden_states", "last_hidden_state")
	for l := range info.Layers {
		mark(sdk.NeedHiddenStates, fmt.Sprintf("blocks.%d.hook_in", l), fmt.Sprintf("blocks.%d.hook_out", l))
	}
	mark(sdk.NeedEmbeddings, "embeddings")
	*at = c
	return c
}

// need returns what a method needs to read a point.
func (c *scope) need(p arch.Point) sdk.Need {
	if p.Stage == arch.Scores || p.Stage == arch.Pattern {
		return sdk.NeedAttentions
	}
	return cmp.Or(c.needs[p.Name], sdk.NeedActivations)
}

// resolve returns what a name of a method's selects, one point or more.
func (c *scope) resolve(name string) ([]point.Selection, error) {
	selections, err := c.resolver.Resolve(name)
	code := sdk.EName
	switch {
	case err == nil:
		return selections, nil
	case is[*point.SyntaxError](err):
		code = sdk.EInvalid
	case is[*point.MismatchError](err):
		code = sdk.ERange
	}
	return nil, sdk.NewError(code, err.Error())
}

// inspection is a call of Forward or Gradient that looks inside of the model, or
// changes what is there. Each of its rows is computed by itself, and nothing of
// it is remembered.
type inspection struct {
	session *session
	target  *target
	branch  int // of the target, whose rows these are
	build   func(int) (query, error)
	held    int64 // bytes of what another branch left

	// What measure finds out about the rows.
	lengths       []int32
	typed, placed bool // they have token types, positions
	heads         int  // the most rows of logits of one
	scope         *scope

	kept      []*kept
	parts     map[string][]*kept // these, by the names that they have in the reply
	gradients bool
	rule      engine.Rule // by which they are passed back
	edits     []edited
	together  bool  // something is of all rows at once
	bytes     int64 // of the reply

	most    int // rows of a block
	answers []float64
}

// kept is an activation or a gradient that the reply holds: the selected rows
// one after another, each padded with zeros.
type kept struct {
	point.Selection
	gradient bool
	from, to int   // the rows that are selected; 0, 1 of a point that has none
	dims     []int // the most of each axis but B
	f32      []float32
	f64      []float64
	ids      []int64
}

// edited is an edit of the rows from and to, with its values.
type edited struct {
	point.Edit
	from, to int
	value    *sdk.Tensor // nil where Values are there already
}

// inspect is Forward, or Gradient where wrt names points.
func (s *session) inspect(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	start := time.Now()
	defer func() { s.forward += time.Since(start) }()
	truncated := s.truncated
	reply, err := s.inspectRows(ctx, f, wrt)
	if err != nil {
		s.truncated = truncated
		given := f.Embeds != nil || len(f.Edits) > 0
		return nil, s.model.provoked(err, given)
	}
	return reply, nil
}

func (s *session) inspectRows(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	t, err := s.targetOf(f)
	if err != nil {
		return nil, err
	}
	edits := f.Edits
	n, variants, err := 0, (func(int) (variant, error))(nil), error(nil)
	if len(t.branches) > 1 && f.Embeds != nil {
		// What goes on behind them are tokens, so that they change a row of tokens.
		n, variants = f.Embeds.Shape[0], func(int) (variant, error) { return s.unchanged(), nil }
		edits = slices.Concat([]sdk.Edit{{Point: "embeddings", Op: sdk.EditReplace, Value: f.Embeds}}, edits)
	} else if n, variants, err = s.rows(f, t); err != nil {
		return nil, err
	}
	if f.Rule != sdk.RuleGradient && len(edits) > 0 {
		return nil, sdk.NewError(sdk.EUnsupported, "relevance by "+f.Rule.String()+" is not passed back through edits: ask for it without them, or for the gradient")
	}
	s.fillsWith(f)
	truncated := -1
	var whole *inspection
	for branch := range t.branches {
		build := func(i int) (query, error) {
			v, err := variants(i)
			if err != nil {
				return query{}, err
			}
			q, err := s.ask(t, v)
			if err != nil {
				return query{}, err
			}
			return q[branch], nil
		}
		c := &inspection{session: s, target: t, branch: branch, build: build, gradients: len(wrt) > 0, rule: rules[f.Rule]}
		if err := c.measure(ctx, n); err != nil {
			return nil, err
		}
		if whole == nil {
			truncated = s.truncated
		} else {
			c.held = whole.bytes
		}
		parts := make(map[string][]*kept)
		if whole == nil { // the input's tokens see nothing of what is behind them
			for _, name := range f.Points {
				if err := c.keep(parts, name, name, false); err != nil {
					return nil, err
				}
			}
		}
		for _, name := range wrt {
			if err := c.keep(parts, sdk.Grad(name), name, true); err != nil {
				return nil, err
			}
		}
		for i := range edits {
			if err := c.edit(&edits[i]); err != nil {
				return nil, err
			}
		}
		if err := c.admit(ctx, f.Embeds); err != nil {
			return nil, err
		}
		for done := 0; done < n; {
			if done, err = c.block(ctx, done); err != nil {
				return nil, err
			}
		}
		if c.parts = parts; whole == nil {
			whole = c
		} else {
			whole.join(c)
		}
	}
	s.truncated = truncated // rows are built more than once
	s.evaluations += n
	s.unique += n
	s.forwards += n * len(t.branches)
	if whole.gradients {
		s.gradients += n * len(t.branches)
	}
	r := &reply{session: s, target: t, n: n, own: whole.answers, parts: make(map[string][]*sdk.Tensor, len(whole.parts)), bytes: whole.bytes}
	for name, list := range whole.parts {
		for _, k := range list {
			r.parts[name] = append(r.parts[name], k.tensor())
		}
	}
	return r, nil
}

// join adds what another branch of the target has: answers behind those to each
// row, and gradients, whose sum is the target's.
func (c *inspection) join(other *inspection) {
	answers := make([]float64, 0, len(c.answers)+len(other.answers))
	for i := range c.lengths {
		for _, x := range []*inspection{c, other} {
			each := len(x.answers) / len(c.lengths)
			answers = append(answers, x.answers[i*each:(i+1)*each]...)
		}
	}
	c.answers = answers
	for name, list := range other.parts {
		for i, k := range list {
			sum := c.parts[name][i]
			for j, v := range k.f32 {
				sum.f32[j] += v
			}
			for j, v := range k.f64 {
				sum.f64[j] += v
			}
		}
	}
}

// behind returns how many tokens of each row are behind the request's, in one of
// several branches: points and edits are of the request's alone, which are the same
// in all branches and see nothing of what is behind them.
func (c *inspection) behind() int {
	if len(c.target.branches) == 1 {
		return 0
	}
	return len(c.target.branches[c.branch].suffix)
}

// within returns what a selection has of the request's tokens.
func (c *inspection) within(s point.Selection) (point.Selection, error) {
	behind := c.behind()
	if behind == 0 {
		return s, nil
	}
	axis := -1
	for i, a := range s.Point.Axes {
		switch {
		case a.Letter != "T" && a.Letter != "S":
		case axis >= 0 || s.Point.Stage == arch.Scores || s.Point.Stage == arch.Pattern:
			return s, sdk.NewError(sdk.EUnsupported, "the attention in the rows of two continuations is not that of one: explain one of them, or their difference by a method that reads outputs, or gradients at the input")
		default:
			axis = i
		}
	}
	switch {
	case axis < 0:
		return s, sdk.NewError(sdk.EUnsupported, s.Name+" has not one value for each token, and two continuations are two rows that have it each: explain one of them")
	case s.Ranges[axis] != point.All:
		return s, sdk.NewError(sdk.EUnsupported, s.Name+" is of some tokens, and for the difference of two continuations the host has a point at all tokens of the input: leave the range of tokens out")
	}
	s.Ranges = slices.Clone(s.Ranges)
	s.Ranges[axis] = point.Range{Hi: -behind}
	return s, nil
}

// measure builds every row once, so that what is wrong with one is said before
// any is computed, and the size of what is asked for is known.
func (c *inspection) measure(ctx context.Context, n int) error {
	c.lengths = make([]int32, n)
	for i := range c.lengths {
		if ctx.Err() != nil { // a row may be a long text
			return ctx.Err()
		}
		q, err := c.build(i)
		if err != nil {
			return err
		}
		c.lengths[i] = int32(q.row.n)
		c.typed, c.placed = c.typed || q.row.types != nil, c.placed || q.row.positions != nil
		c.heads = max(c.heads, q.rows())
	}
	c.scope = c.session.scope(c.typed)
	return nil
}

// shapes returns the shapes that a selection has in rows, without the axis B:
// one for each length that there is, or one in all of a point that has no rows.
// Without rows it is the input's.
func (c *inspection) shapes(s point.Selection, from, to int) ([][]int, error) {
	lengths := make(map[int]bool)
	for _, n := range c.lengths[from:to] {
		lengths[int(n)] = true
	}
	if len(lengths) == 0 {
		lengths[c.session.enc.row.n+c.behind()] = true
	}
	in := engine.Input{Lengths: slices.Sorted(maps.Keys(lengths))}
	if s.Point.Stage == arch.IDs {
		var all [][]int
		for _, n := range in.Lengths {
			lo, hi := s.Ranges[1].Bounds(n)
			all = append(all, []int{hi - lo})
		}
		return all, nil
	}
	tokens := 0
	for _, n := range in.Lengths {
		tokens += n
	}
	in.IDs = make([]int32, tokens)
	if c.typed {
		in.TypeIDs = make([]int32, tokens)
	}
	if c.placed {
		in.PositionIDs = make([]int32, tokens)
	}
	if c.session.model.engine.Info().Task == arch.PermutationLM {
		for _, n := range in.Lengths {
			in.Targets = append(in.Targets, lasts(n, len(c.target.branches[c.branch].suffix)))
		}
	}
	if batched(s) {
		s.Ranges = slices.Clone(s.Ranges)
		s.Ranges[0] = point.All
	}
	return c.session.model.engine.Shapes(in, s)
}

// batched reports whether a selection has an axis of rows.
func batched(s point.Selection) bool { return s.Point.Axes[0].Letter == "B" }

// rowsOf returns the rows of the call that a selection is of, which are some.
func (c *inspection) rowsOf(s point.Selection) (from, to int, err error) {
	if !batched(s) {
		c.together = true
		return 0, min(1, len(c.lengths)), nil
	}
	from, to = s.Ranges[0].Bounds(len(c.lengths))
	if from == to && (len(c.lengths) > 0 || s.Ranges[0].Drop) {
		return 0, 0, c.nothing(s)
	}
	return from, to, nil
}

// nothing is the error for a selection outside of the rows.
func (c *inspection) nothing(s point.Selection) error {
	most := c.session.enc.row.n
	if len(c.lengths) > 0 {
		most = int(slices.Max(c.lengths))
	}
	return sdk.NewError(sdk.ERange, s.Name+" selects nothing of "+strconv.Itoa(len(c.lengths))+" rows of up to "+strconv.Itoa(most)+" tokens")
}

// keep has the reply keep what a name selects, or the gradient there.
func (c *inspection) keep(parts map[string][]*kept, name, point string, gradient bool) error {
	if parts[name] != nil {
		return nil // asked for before
	}
	selections, err := c.scope.resolve(point)
	if err != nil {
		return err
	}
	count := len(selections)
	for _, k := range c.kept {
		if k.gradient == gradient {
			count++
		}
	}
	if count > abi.MaxPoints {
		return sdk.NewError(sdk.ERange, "the names of points stand for "+strconv.Itoa(count)+" activations or more, and "+strconv.Itoa(abi.MaxPoints)+" is the most: ask for less at a time")
	}
	for _, s := range selections {
		if s, err = c.within(s); err != nil {
			return err
		}
		k := &kept{Selection: s, gradient: gradient}
		if gradient && !s.Point.Differentiable {
			return sdk.NewError(sdk.EUnsupported, s.Name+" has no gradient")
		}
		if gradient {
			if err := c.rule.Check(c.scope.graph, s); err != nil {
				return sdk.NewError(sdk.EUnsupported, err.Error())
			}
		}
		if k.from, k.to, err = c.rowsOf(s); err != nil {
			return err
		}
		from, to := k.from, k.to
		if !batched(s) {
			from, to = 0, len(c.lengths)
		}
		shapes, err := c.shapes(s, from, to)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(shapes, func(dims []int) bool { return slices.Contains(dims, 0) }) {
			return c.nothing(s)
		}
		k.dims = largest(shapes)
		c.kept = append(c.kept, k)
		parts[name] = append(parts[name], k)
	}
	return nil
}

// edit adds an edit, whose values fit to every row that it is of.
func (c *inspection) edit(e *sdk.Edit) error {
	selections, err := c.scope.resolve(e.Point)
	if err != nil {
		return err
	}
	if len(selections) > 1 {
		return sdk.NewError(sdk.EInvalid, "an edit is of one point, and "+e.Point+" stands for "+strconv.Itoa(len(selections)))
	}
	s, err := c.within(selections[0])
	if err != nil {
		return err
	}
	ops := [...]point.Op{sdk.EditReplace: point.Replace, sdk.EditZero: point.Replace, sdk.EditMean: point.Mean, sdk.EditAdd: point.Add, sdk.EditScale: point.Multiply}
	var shape []int
	if e.Value != nil {
		shape = e.Value.Shape
	}
	x := edited{value: e.Value}
	if x.Edit, err = point.NewEdit(c.scope.graph, s, ops[e.Op], shape); err != nil {
		code := sdk.EInvalid
		if !s.Point.Editable || e.Op == sdk.EditMean {
			code = sdk.EUnsupported
		}
		return sdk.NewError(code, err.Error())
	}
	if e.Op == sdk.EditZero {
		x.Values = []float64{0}
	}
	if x.from, x.to, err = c.rowsOf(s); err != nil {
		return err
	}
	from, to := x.from, x.to
	if !batched(s) {
		from, to = 0, len(c.lengths)
	}
	shapes, err := c.shapes(s, from, to)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(shapes, func(dims []int) bool { return !slices.Contains(dims, 0) }) {
		return c.nothing(s) // the answer would be that of the model as it is
	}
	axes := x.Shape // without B, as the shapes
	if batched(s) && x.Shape != nil {
		axes = x.Shape[1:]
		shapes = append(shapes, nil) // no other axis
		if rows := x.to - x.from; x.Shape[0] != 1 && x.Shape[0] != rows {
			return sdk.NewError(sdk.EInvalid, s.Name+" is edited with values for "+strconv.Itoa(x.Shape[0])+" rows, and selects "+strconv.Itoa(rows))
		}
	}
	for _, dims := range shapes {
		for axis, n := range dims {
			if axes != nil && axes[axis] != 1 && axes[axis] != n {
				return sdk.NewError(sdk.EInvalid, fmt.Sprintf("%s is edited with values of the shape %v, and selects %v of a row", s.Name, e.Value.Shape, dims))
			}
		}
	}
	c.edits = append(c.edits, x)
	return nil
}

// admit refuses a reply that does not fit, before anything is computed, and
// makes room for one that does.
func (c *inspection) admit(ctx context.Context, embeds *sdk.Tensor) error {
	m, n := c.session.model, len(c.lengths)
	width := int(m.engine.Info().DType.Size())
	answer := float64(c.target.answerBytes(c.session.scale) - knownBytes)
	bytes := float64(n) * answer // which may be more than an int64 holds
	for _, k := range c.kept {
		size := float64(width)
		if k.Point.Stage == arch.IDs {
			size = 8
		}
		for _, dim := range append([]int{k.to - k.from}, k.dims...) {
			size *= float64(dim)
		}
		bytes += size
	}
	c.bytes = int64(min(bytes, math.MaxInt64/2))
	if limit, ok := contract.ReplyBytes(ctx); ok && c.bytes > limit {
		return sdk.NewError(sdk.EQuota, fmt.Sprintf("the points and gradients of %d rows take %.1f MiB, and the method may hold %.1f MiB more: ask for fewer rows at a time, or for slices", n, bytes/(1<<20), float64(max(limit, 0))/(1<<20)))
	}
	if err := m.allows("the points and gradients", c.bytes+c.held); err != nil {
		return err
	}
	each := float64(c.bytes)/float64(max(n, 1)) + float64(c.heads*c.session.scale.classes*width)
	if embeds != nil {
		each += 4 * float64(embeds.Len()) / float64(max(n, 1))
	}
	c.most = n
	if !c.together {
		c.most = int(min(max(cmp.Or(c.session.blocks, insideBytes)/each, 1), blockRows))
	}
	c.answers = make([]float64, 0, n*int(answer)/8)
	for _, k := range c.kept {
		size := k.to - k.from
		for _, dim := range k.dims {
			size *= dim
		}
		switch {
		case k.Point.Stage == arch.IDs:
			k.ids = make([]int64, size)
		case width == 8:
			k.f64 = make([]float64, size)
		default:
			k.f32 = make([]float32, size)
		}
	}
	return nil
}

// block computes rows from start on, as many as memory allows, and returns where
// the next block starts.
func (c *inspection) block(ctx context.Context, start int) (int, error) {
	var rows question // one a row
	for tokens := 0; start+len(rows) < len(c.lengths) && len(rows) < c.most && (tokens < blockTokens || c.together); {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		q, err := c.build(start + len(rows))
		if err != nil {
			return 0, err
		}
		rows = append(rows, q)
		tokens += rows[len(rows)-1:].tokens()
	}
	s := c.session
	for {
		r, err := c.request(rows, start)
		if err != nil {
			return 0, err
		}
		memory, err := s.model.engine.Memory(ctx, r.in, r.options...)
		need := memory.Total() + c.bytes + c.held + r.values
		if err == nil && need > s.model.memory {
			err = &engine.MemoryError{What: "the weights, and the points and gradients of " + strconv.Itoa(len(c.lengths)) + " rows,", Need: need, Budget: s.model.memory}
		}
		if is[*engine.MemoryError](err) && len(rows) > 1 && !c.together {
			c.most = len(rows) / 2
			rows = rows[:c.most]
			continue
		}
		if err != nil {
			return 0, err
		}
		progress := func(done, _ int) {
			if s.progress != nil {
				n := len(c.lengths)
				s.progress(c.branch*n+start+done, len(c.target.branches)*n)
			}
		}
		out, err := s.model.forward(ctx, r.in, append(r.options, engine.Progress(progress))...)
		if err != nil {
			return 0, err
		}
		for i := range rows {
			c.answers = rows[i].answer(c.answers, s.scale, out, i)
		}
		for i, k := range r.captures {
			k.add(&out.Values[i], start)
		}
		for i, k := range r.gradients {
			k.add(&out.Gradients[i], start)
		}
		for _, k := range c.kept {
			if k.Point.Stage == arch.IDs {
				k.addTokens(rows, start)
			}
		}
		return start + len(rows), nil
	}
}

// blockRequest is what a block of rows asks of the engine.
type blockRequest struct {
	in                  engine.Input
	options             []engine.ForwardOption
	captures, gradients []*kept // in the order of the results
	values              int64   // bytes of the values of edits
}

// request returns what is asked of the engine for the rows from start on.
func (c *inspection) request(rows question, start int) (*blockRequest, error) {
	r := &blockRequest{in: rows.input()}
	if c.typed && r.in.TypeIDs == nil {
		r.in.TypeIDs = make([]int32, len(r.in.IDs))
	}
	end := start + len(rows)
	var captures, gradients []point.Selection
	for _, k := range c.kept {
		s, _, _, ok := local(k.Selection, k.from, k.to, start, end)
		switch {
		case !ok || k.Point.Stage == arch.IDs:
		case k.gradient:
			gradients, r.gradients = append(gradients, s), append(r.gradients, k)
		default:
			captures, r.captures = append(captures, s), append(r.captures, k)
		}
	}
	var edits []point.Edit
	for _, x := range c.edits {
		s, lo, hi, ok := local(x.Selection, x.from, x.to, start, end)
		if !ok {
			continue
		}
		e := x.Edit
		e.Selection = s
		if x.value != nil {
			stride := x.value.Len()
			if batched(s) && e.Shape[0] != 1 {
				stride /= e.Shape[0]
				e.Shape = slices.Clone(e.Shape)
				e.Shape[0] = hi - lo
			} else {
				lo, hi = 0, 1
			}
			e.Values = doubles(x.value, lo*stride, hi*stride)
			r.values += 8 * int64(len(e.Values))
		}
		edits = append(edits, e)
	}
	r.options = []engine.ForwardOption{engine.Capture(captures...), engine.Edits(edits...)}
	if len(gradients) > 0 {
		o := &objective{scale: c.session.scale}
		var parts []summand
		for _, p := range c.target.parts {
			if p.branch == c.branch {
				parts = append(parts, p)
			}
		}
		for _, q := range rows {
			spots := q.spots
			if c.target.whole {
				for _, cell := range c.target.branches[0].cells {
					spots = append(spots, spot{class: cell.class})
				}
			}
			o.spots, o.parts = append(o.spots, spots), append(o.parts, parts)
		}
		r.options = append(r.options, engine.Gradients(o.value, gradients...), engine.Propagate(c.rule))
	}
	return r, nil
}

// local returns a selection of the rows from … to as one of the block start …
// end, which of the selected rows these are, and whether there are any.
func local(s point.Selection, from, to, start, end int) (_ point.Selection, lo, hi int, ok bool) {
	if !batched(s) {
		return s, 0, 1, true
	}
	first, last := max(from, start), min(to, end)
	s.Ranges = slices.Clone(s.Ranges)
	s.Ranges[0] = point.Range{Lo: first - start, Hi: last - start}
	return s, first - from, last - from, first < last
}

// doubles returns a part of the elements of a tensor of floats.
func doubles(t *sdk.Tensor, from, to int) []float64 {
	if v, ok := t.Data.([]float64); ok {
		return v[from:to]
	}
	v, _ := t.Data.([]float32)
	return engine.Tensor{F32: v[from:to]}.Float64()
}

// add takes the values over that a block of rows from start on has.
func (k *kept) add(a *engine.Activation, start int) {
	sequences, at := a.Sequences, 0
	if batched(k.Selection) {
		lo, hi := a.Ranges[0].Bounds(len(sequences))
		sequences, at = sequences[lo:hi], start+lo-k.from
	}
	size := 1
	for _, dim := range k.dims {
		size *= dim
	}
	for i, t := range sequences {
		lo, hi := (at+i)*size, (at+i+1)*size
		if k.f64 != nil {
			pad(k.f64[lo:hi], t.F64, k.dims, t.Shape)
		} else {
			pad(k.f32[lo:hi], t.F32, k.dims, t.Shape)
		}
	}
}

// addTokens takes the token ids over of rows from start on; −1 stands for an
// embedding that was given.
func (k *kept) addTokens(rows question, start int) {
	for i := range rows {
		r := &rows[i].row
		if start+i < k.from || start+i >= k.to {
			continue
		}
		dst := k.ids[(start+i-k.from)*k.dims[0]:][:k.dims[0]]
		lo, hi := k.Ranges[1].Bounds(r.n)
		for t := lo; t < hi; t++ {
			dst[t-lo] = int64(at(r.ids, t, -1))
		}
	}
}

// tensor returns the values without the axes that an index drops.
func (k *kept) tensor() *sdk.Tensor {
	dims := k.dims
	if batched(k.Selection) {
		dims = append([]int{k.to - k.from}, dims...)
	}
	shape := []int{}
	for _, axis := range k.Kept() {
		shape = append(shape, dims[axis])
	}
	switch {
	case k.ids != nil:
		return sdk.NewTensor(k.ids, shape...)
	case k.f64 != nil:
		return sdk.NewTensor(k.f64, shape...)
	}
	return sdk.NewTensor(k.f32, shape...)
}
