package shap

import (
	"container/heap"
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// The coalitions outside of a part of the hierarchy in which it is looked at.
const (
	contextBoth    = "none"
	contextAbsent  = "0"
	contextPresent = "1"
)

// The numbers of coalitions in a round unless the user says.
const (
	autoBatch      = 64
	referenceBatch = 5
)

// Partition computes Owen values over a hierarchy of the text. The zero value is
// ready, and safe for concurrent use.
type Partition struct{}

// Info implements sdk.Method.
func (Partition) Info() sdk.Info {
	own := []sdk.Param{
		{
			Name: paramMaxEvals, Type: sdk.Int, Default: int64(500), Min: sdk.Bound(2), Max: sdk.Bound(maxEvals),
			Doc: "the most coalitions that are evaluated, each counted once; parts that are not split then share their value by size; under compat=shap repeated ones count too",
		},
		{
			Name: "fixed_context", Type: sdk.Enum, Default: contextBoth, Values: []string{contextBoth, contextAbsent, contextPresent},
			Doc: "look at a part only with all else dropped (0) or kept (1): fewer coalitions, and what the halves of a part do together stays with the part and is shared by size",
		},
		{
			Name: "batch_size", Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(maxEvals),
			Doc: "coalitions of a round: the parts that matter most are split first, as far as earlier rounds tell; 0 is 64, or 5 under compat=shap; it changes values only where max_evals ends the run",
		},
	}
	return sdk.Info{
		Name:    "partition-shap",
		Version: version,
		Summary: "Owen values: Shapley values of units that join as words, clauses and sentences",
		Source:  "Owen 1977; shap/shap",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params:  params([]string{compatSHAP}, textCompatDoc, append(own, textParams()...)...),
	}
}

// Explain implements sdk.Method.
func (Partition) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	g, hierarchy, err := textProblem(m, r)
	if err != nil {
		return nil, err
	}
	return g.owenValues(ctx, r, hierarchy())
}

// owenValues explains by the Owen values over a hierarchy of the players.
func (g *problem) owenValues(ctx context.Context, r *sdk.Request, t *tree) (*sdk.Explanation, error) {
	compat := r.Params.String(paramCompat) == compatSHAP
	o := &owen{
		problem: g, tree: t, context: r.Params.String("fixed_context"),
		budget: r.Params.Int(paramMaxEvals), batch: r.Params.Int("batch_size"), counting: compat,
	}
	if err := g.fits(o.budget, paramMaxEvals); err != nil {
		return nil, err
	}
	if compat { // where all outputs decide what matters most
		if err := g.lookAtAll(ctx); err != nil {
			return nil, err
		}
	}
	if o.batch == 0 {
		if o.batch = autoBatch; compat {
			o.batch = referenceBatch
		}
	}
	if err := o.descend(ctx); err != nil {
		return nil, err
	}
	e, err := g.explanation(func(c int) (estimate, error) {
		credit := o.column(c)
		unsplit := 0.0
		for _, v := range credit[g.n:] {
			unsplit += math.Abs(v)
		}
		return estimate{values: o.lower(credit), diagnostics: []sdk.Diagnostic{{Name: "unsplit", Value: unsplit}}}, nil
	})
	if err != nil || g.n < 2 {
		return e, err
	}
	e.Tensors = append(e.Tensors, sdk.NamedTensor{Name: "clustering", Axes: []string{"merge", "column"}, Tensor: *sdk.NewTensor(t.linkage(), len(t.children), 4)})
	for c := range 1 + min(g.shown, len(g.classes)) {
		name := "hierarchical_values"
		if c > 0 {
			name += ".class." + strconv.Itoa(g.classes[c-1])
		}
		e.Tensors = append(e.Tensors, sdk.NamedTensor{Name: name, Axes: []string{"node"}, Tensor: *sdk.NewTensor(o.column(c), 2*g.n-1)})
	}
	return e, nil
}

// owen computes Owen values by splitting the parts of the hierarchy, those that
// matter most first. With f₀₀ the worth of a context and f₁₁ that of the context with
// a part, whose halves are l and r, the part's credit f₁₁ − f₀₀ is shared as
//
//	l: ½(f(l) − f₀₀) + ½(f₁₁ − f(r)),  r: ½(f(r) − f₀₀) + ½(f₁₁ − f(l))
//
// and each of these four differences is split in turn.
type owen struct {
	*problem
	tree     *tree
	context  string
	budget   int
	batch    int
	counting bool // coalitions count as often as they come up, as in the reference

	credit  []float64 // [nodes,width]
	queue   queue
	counted int
	pushed  int
}

// difference is what a part adds in a context, on its way to the part's halves.
type difference struct {
	node          int
	context       int // row
	without, with int // rows of the worth of the context, and of that with the part
	weight        float64
	priority      float64
	number        int // in the order of their coming, which decides between equals
}

// queue has the differences, those that matter most first.
type queue []difference

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].priority > q[j].priority || q[i].priority == q[j].priority && q[i].number < q[j].number
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(difference)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	*q = (*q)[:last]
	return d
}

// descend splits parts until all are, or the budget ends it.
func (o *owen) descend(ctx context.Context) error {
	if err := o.run(ctx); err != nil {
		return err
	}
	o.credit = make([]float64, (2*o.n-1)*o.width)
	o.counted = 2
	if !o.counting {
		if err := o.planAll(ctx); err != nil {
			return err
		}
	}
	o.push(o.tree.root(), empty, empty, full, 1)
	for len(o.queue) > 0 {
		batch := o.next()
		if len(batch) == 0 {
			break
		}
		if err := o.run(ctx); err != nil {
			return err
		}
		for _, h := range batch {
			o.split(h)
		}
	}
	for len(o.queue) > 0 { // what is left stays with the part
		d := heap.Pop(&o.queue).(difference)
		o.add(d.node, d.without, d.with, d.weight)
	}
	return nil
}

// planAll evaluates what a whole descent takes, in one round, where the budget allows
// that.
func (o *owen) planAll(ctx context.Context) error {
	rows := o.rows()
	visits := 0
	var plan func(node, without int) bool
	plan = func(node, without int) bool {
		visits++
		if node < o.n {
			return true
		}
		if visits > 8*o.budget || visits%1024 == 0 && ctx.Err() != nil {
			return false
		}
		l, r := o.halves(node, without)
		if o.rows() > o.budget {
			return false
		}
		c := o.tree.children[node-o.n]
		return (o.context == contextPresent || plan(c[0], without) && plan(c[1], without)) &&
			(o.context == contextAbsent || plan(c[0], r) && plan(c[1], l))
	}
	if plan(o.tree.root(), empty) {
		return o.run(ctx)
	}
	o.forget(rows)
	return ctx.Err()
}

// halves returns the rows of a context with each half of a part.
func (o *owen) halves(node, without int) (l, r int) {
	c := o.tree.children[node-o.n]
	var rows [2]int
	for i, half := range c {
		mask := slices.Clone(o.mask(without))
		o.tree.members(half, mask)
		rows[i] = o.row(mask)
	}
	return rows[0], rows[1]
}

// halved is a difference with the rows of its context with each half, and those of
// their worth.
type halved struct {
	difference
	withLeft, withRight int
	left, right         int
}

// next takes the differences of a round from the queue; none where the budget is
// used up.
func (o *owen) next() []halved {
	var batch []halved
	last, worth := -1, -1 // rows of the coalition before in the round, and of its worth
	for asked := 0; len(o.queue) > 0 && asked < o.batch; asked += 2 {
		if o.counting && o.counted >= o.budget {
			break
		}
		d := heap.Pop(&o.queue).(difference)
		rows := o.rows()
		l, r := o.halves(d.node, d.context)
		if !o.counting && o.rows() > o.budget {
			o.forget(rows)
			heap.Push(&o.queue, d)
			break
		}
		o.counted += 2
		h := halved{difference: d, withLeft: l, withRight: r}
		worth = o.seen(l, last, worth)
		h.left = worth
		worth = o.seen(r, l, worth)
		h.right, last = worth, r
		batch = append(batch, h)
	}
	return batch
}

// seen returns the row of a coalition's worth: its own, but that of the coalition
// before where the reference sees no difference between the two.
func (o *owen) seen(row, last, worth int) int {
	if o.unseen == nil || last < 0 {
		return row
	}
	a, b := o.mask(row), o.mask(last)
	for i := range a {
		if a[i] != b[i] && !o.fixed[i] && !o.unseen[i] {
			return row
		}
	}
	return worth
}

// split shares a difference between the halves of its part.
func (o *owen) split(h halved) {
	c := o.tree.children[h.node-o.n]
	weight := h.weight
	if o.context == contextBoth {
		weight = float64(weight / 2)
	} else { // the halves' interaction stays with the part
		sign := 1.0
		if o.context == contextPresent {
			sign = -1
		}
		for k := range o.width {
			together := o.at(h.with, k) - o.at(h.left, k) - o.at(h.right, k) + o.at(h.without, k)
			o.credit[h.node*o.width+k] += float64(float64(sign*together) * h.weight)
		}
	}
	if o.context != contextPresent {
		o.push(c[0], h.context, h.without, h.left, weight)
		o.push(c[1], h.context, h.without, h.right, weight)
	}
	if o.context != contextAbsent {
		o.push(c[0], h.withRight, h.right, h.with, weight)
		o.push(c[1], h.withLeft, h.left, h.with, weight)
	}
}

// push adds a difference to the queue, or to the credit of a player.
func (o *owen) push(node, context, without, with int, weight float64) {
	if node < o.n {
		o.add(node, without, with, weight)
		return
	}
	from := 0 // of the outputs that say what matters
	until := 1
	if o.counting && o.width > 1 {
		from, until = 1, o.width
	}
	largest := 0.0
	for k := from; k < until; k++ {
		largest = max(largest, math.Abs(o.at(with, k)-o.at(without, k)))
	}
	heap.Push(&o.queue, difference{node, context, without, with, weight, float64(largest * weight), o.pushed})
	o.pushed++
}

// add credits a node with a difference.
func (o *owen) add(node, without, with int, weight float64) {
	for k := range o.width {
		o.credit[node*o.width+k] += float64((o.at(with, k) - o.at(without, k)) * weight)
	}
}

// column returns the credit of every node by one output.
func (o *owen) column(c int) []float64 {
	credit := make([]float64, 2*o.n-1)
	for i := range credit {
		credit[i] = o.credit[i*o.width+c]
	}
	return credit
}

// lower returns the players' values: the credit that stayed with parts is shared by
// their halves in proportion to their players.
func (o *owen) lower(credit []float64) []float64 {
	credit = slices.Clone(credit)
	sizes := o.tree.sizes()
	for node := o.tree.root(); node >= o.n; node-- {
		for _, half := range o.tree.children[node-o.n] {
			credit[half] += float64(credit[node]*float64(sizes[half])) / float64(sizes[node])
		}
	}
	return credit[:o.n]
}
