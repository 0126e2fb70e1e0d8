package tape

import (
	"context"
	"fmt"
	"math"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
)

// planner writes the steps of a plan down.
type planner[T kernel.Float] struct {
	weights *weights[T]
	plan    *Plan[T]
	req     *Request
	nodes   []node
	steps   []step[T]
	value   []int  // the buffer of a node's value
	grad    []int  // the buffer of a node's cotangent, or −1
	wanted  []bool // whether a gradient passes through a node
	shares  []int  // of how many contributions the cotangent of a node is the sum
}

// newPlan makes the plan of a request on a graph.
func newPlan[T kernel.Float](w *weights[T], graph *arch.Graph, req *Request) *Plan[T] {
	nodes, logits := lower(graph, req)
	nodes, logits = narrow(nodes, logits, req)
	var shared *Plan[T]
	if req.Reuse && len(req.Gradients) == 0 {
		if alike, exports := split(nodes); len(exports) > 0 {
			p := newPlanner(w, req, alike)
			for k, i := range exports {
				p.export(k, i)
			}
			shared = p.plan
			shared.finish(p.steps)
		}
	}
	p := newPlanner(w, req, nodes)
	p.plan.shared = shared
	if req.Logits {
		p.answer(logits)
	}
	if len(req.Gradients) > 0 {
		p.backward(logits)
	}
	p.plan.finish(p.steps)
	return p.plan
}

// newPlanner returns a planner that has written the way forward down.
func newPlanner[T kernel.Float](w *weights[T], req *Request, nodes []node) *planner[T] {
	p := &planner[T]{weights: w, plan: &Plan[T]{}, req: req, nodes: nodes}
	p.value, p.grad, p.wanted, p.shares = make([]int, len(nodes)), make([]int, len(nodes)), make([]bool, len(nodes)), make([]int, len(nodes))
	for i := range nodes {
		p.grad[i] = -1
		p.forward(i, true)
	}
	return p
}

// buffer adds a buffer.
func (p *planner[T]) buffer(rows arch.RowSet, width int) int {
	p.plan.buffers = append(p.plan.buffers, buffer{rows: rows, width: width})
	return len(p.plan.buffers) - 1
}

// each adds a row by row step that writes to from reads, and may overwrite the
// first of reads if nobody needs it any more.
func (p *planner[T]) each(to int, reads []int, f func(r *Runner[T], lo, hi int)) {
	s := step[T]{reads: reads, writes: []int{to}, reuse: -1, rows: p.plan.buffers[to].rows, each: f}
	if len(reads) > 0 {
		s.reuse = reads[0]
	}
	p.steps = append(p.steps, s)
}

// whole adds a step that works on all rows at once.
func (p *planner[T]) whole(to, reads []int, f func(ctx context.Context, r *Runner[T]) error) {
	p.steps = append(p.steps, step[T]{reads: reads, writes: to, reuse: -1, whole: f})
}

// inputs returns the buffers that a node reads.
func (p *planner[T]) inputs(i int) []int {
	var in []int
	for _, x := range p.nodes[i].in {
		in = append(in, p.value[x])
	}
	return in
}

// forward adds the steps that compute node i; captures are left out when it is
// computed a second time.
func (p *planner[T]) forward(i int, captures bool) {
	n := &p.nodes[i]
	in := p.inputs(i)
	if a, ok := n.op.(arch.Activate); ok && p.fuse(i, a) {
		return
	}
	to := p.buffer(n.rows, n.width)
	p.value[i] = to
	p.compute(i, to, in, captures)
	for _, u := range n.edits {
		p.edit(to, n.rows, u)
	}
	if captures {
		for _, u := range n.captures {
			p.capture(to, n.rows, u)
		}
	}
}

// fuse computes an activation together with the linear layer before it, whose
// buffer it takes over, where nobody else looks at that layer.
func (p *planner[T]) fuse(i int, a arch.Activate) bool {
	x := p.nodes[i].in[0]
	pre := &p.nodes[x]
	if _, ok := pre.op.(arch.Linear); !ok || len(p.req.Gradients) > 0 || len(pre.edits)+len(pre.captures)+len(p.nodes[i].edits)+len(p.nodes[i].captures) > 0 || pre.rows != p.nodes[i].rows {
		return false
	}
	for j := range p.nodes {
		for _, y := range p.nodes[j].in {
			if y == x && j != i {
				return false
			}
		}
	}
	for j := len(p.steps) - 1; j >= 0; j-- {
		if s := &p.steps[j]; len(s.writes) == 1 && s.writes[0] == p.value[x] {
			f, _ := activation[T](a)
			s.product = p.product(x, p.value[x], s.reads[0], f)
			p.value[i] = p.value[x]
			return true
		}
	}
	return false
}

// activation returns the function that a node applies, and its derivative.
// Opening the model has checked the name.
func activation[T kernel.Float](a arch.Activate) (nn.Activation[T], nn.Derivative[T]) {
	f, derivative, err := nn.ActivationByName[T](a.Key, a.Name)
	if err != nil {
		panic(err)
	}
	return f, derivative
}

// product returns what the linear layer i computes.
func (p *planner[T]) product(i, to, from int, f nn.Activation[T]) func(r *Runner[T]) nn.Product[T] {
	n := &p.nodes[i]
	op := n.op.(arch.Linear)
	layer := p.weights.linears[keyOf(op.W)].WithBias(p.vector(op.Bias))
	rows, width, in := n.rows, n.width, p.nodes[n.in[0]].width
	return func(r *Runner[T]) nn.Product[T] {
		return nn.Product[T]{Layer: layer, Dst: r.matrix(to), Ldd: width, X: r.matrix(from), Ldx: in, M: r.count(rows), Activation: f}
	}
}

// multiply adds the step of a product.
func (p *planner[T]) multiply(to, from int, product func(r *Runner[T]) nn.Product[T]) {
	p.steps = append(p.steps, step[T]{reads: []int{from}, writes: []int{to}, reuse: -1, product: product})
}

// vector returns a vector of weights, nil where there is none.
func (p *planner[T]) vector(w arch.Weight) []T { return p.weights.vectors[keyOf(w)] }

// compute adds the step that computes node i into a buffer.
func (p *planner[T]) compute(i, to int, in []int, captures bool) {
	n := &p.nodes[i]
	width := n.width
	switch op := n.op.(type) {
	case arch.Words:
		table, mean := p.vector(op.Table), p.weights.means[keyOf(op.Table)]
		p.each(to, nil, func(r *Runner[T], lo, hi int) {
			for row := lo; row < hi; row++ {
				x := r.row(to, row)
				switch {
				case r.batch.Embeds != nil:
					for j, v := range r.batch.Embeds[row*width : (row+1)*width] {
						x[j] = T(v)
					}
				case r.batch.IDs[row] == ZeroWord:
					clear(x)
				case r.batch.IDs[row] == MeanWord:
					copy(x, mean())
				default:
					id := int(r.batch.IDs[row])
					copy(x, table[id*width:(id+1)*width])
				}
			}
		})
	case arch.Embed:
		table := p.vector(op.Table)
		p.each(to, nil, func(r *Runner[T], lo, hi int) {
			for row := lo; row < hi; row++ {
				k := 0
				if op.By == arch.ByPosition {
					k = int(r.batch.PositionIDs[row])
				} else if r.batch.TypeIDs != nil {
					k = int(r.batch.TypeIDs[row])
				}
				copy(r.row(to, row), table[k*width:(k+1)*width])
			}
		})
	case arch.Repeat:
		vector := p.vector(op.Row)
		p.each(to, nil, func(r *Runner[T], lo, hi int) {
			for row := lo; row < hi; row++ {
				copy(r.row(to, row), vector)
			}
		})
	case arch.Sinusoids:
		p.each(to, nil, func(r *Runner[T], lo, hi int) {
			for row := lo; row < hi; row++ {
				sinusoid(r.row(to, row), r.longestContext()-row, op.Clamp)
			}
		})
	case arch.Remembered:
		p.each(to, nil, func(r *Runner[T], lo, hi int) {
			first := 0
			if r.batch.MemoryStarts != nil {
				first = r.batch.MemoryStarts[r.batch.First]
			}
			for row := lo; row < hi; row++ {
				for j, v := range r.batch.Memories[op.Layer][(first+row)*width : (first+row+1)*width] {
					r.row(to, row)[j] = T(v)
				}
			}
		})
	case arch.Concat:
		p.whole([]int{to}, in, func(ctx context.Context, r *Runner[T]) error {
			memory, tokens, context := &r.sets[arch.Memory], &r.sets[arch.Tokens], &r.sets[arch.Context]
			for s := range r.batch.Sequences() {
				at := context.starts[s]
				copied := copy(r.span(to, at, context.starts[s+1]), r.span(in[0], memory.starts[s], memory.starts[s+1]))
				copy(r.span(to, at, context.starts[s+1])[copied:], r.span(in[1], tokens.starts[s], tokens.starts[s+1]))
			}
			return ctx.Err()
		})
	case imported:
		p.each(to, nil, func(r *Runner[T], lo, hi int) {
			table := values[T](r.batch.Tables[op.table])
			for row := lo; row < hi; row++ {
				copy(r.row(to, row), table[int(r.batch.Alike[row])*width:])
			}
		})
	case arch.Select:
		set := n.rows
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			r.each(set, lo, hi, func(seq, position, row int) {
				copy(r.row(to, row), r.row(in[0], r.token(seq, position)))
			})
		})
	case arch.Spread:
		p.whole([]int{to}, in, func(ctx context.Context, r *Runner[T]) error {
			clear(r.matrix(to))
			r.each(arch.Targets, 0, r.count(arch.Targets), func(seq, position, row int) {
				kernel.Add(r.row(to, r.sets[arch.Tokens].starts[seq]+position), r.row(in[0], row))
			})
			return ctx.Err()
		})
	case arch.Add:
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			move(r.span(to, lo, hi), r.span(in[0], lo, hi))
			kernel.Add(r.span(to, lo, hi), r.span(in[1], lo, hi))
		})
	case arch.Mul:
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			move(r.span(to, lo, hi), r.span(in[0], lo, hi))
			kernel.Mul(r.span(to, lo, hi), r.span(in[1], lo, hi))
		})
	case arch.Scale:
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			move(r.span(to, lo, hi), r.span(in[0], lo, hi))
			kernel.Scale(r.span(to, lo, hi), T(op.Factor))
		})
	case arch.Norm:
		gamma, beta := p.vector(op.Gamma), p.vector(op.Beta)
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			x, y := r.span(in[0], lo, hi), r.span(to, lo, hi)
			if op.RMS {
				kernel.RMSNorm(y, x, width, gamma, op.Eps)
			} else {
				kernel.LayerNorm(y, x, width, gamma, beta, op.Eps)
			}
		})
	case divisor:
		d := p.nodes[n.in[0]].width
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			var mean [blockRows]T
			stats(mean[:hi-lo], r.span(to, lo, hi), r.span(in[0], lo, hi), d, op.norm)
		})
	case normalize:
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			normalizeRows(r.span(to, lo, hi), r.span(in[0], lo, hi), r.span(in[1], lo, hi), width, op.norm)
		})
	case affine:
		gamma, beta := p.vector(op.norm.Gamma), p.vector(op.norm.Beta)
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			kernel.Affine(r.span(to, lo, hi), r.span(in[0], lo, hi), width, gamma, beta)
		})
	case keep:
		p.each(to, in, func(r *Runner[T], lo, hi int) { keepHeads(r.span(to, lo, hi), r.span(in[0], lo, hi), width, op) })
	case arch.Linear:
		p.multiply(to, in[0], p.product(i, to, in[0], nil))
		p.steps[len(p.steps)-1].rounds = p.weights.linears[keyOf(op.W)].Integers()
	case arch.Activate:
		f, _ := activation[T](op)
		p.each(to, in, func(r *Runner[T], lo, hi int) {
			y := r.span(to, lo, hi)
			move(y, r.span(in[0], lo, hi))
			if f != nil {
				f(y)
			}
		})
	case arch.Edge:
		p.each(to, in, func(r *Runner[T], lo, hi int) { move(r.span(to, lo, hi), r.span(in[0], lo, hi)) })
	case arch.Attention:
		a := p.attention(i, captures)
		p.whole([]int{to}, in, func(ctx context.Context, r *Runner[T]) error { return a.forward(ctx, r, in, to) })
		p.steps[len(p.steps)-1].lasting = captures && len(n.inner.captures) > 0
	default:
		panic(fmt.Sprintf("tape: no forward of %T", n.op))
	}
}

// keepHeads copies the rows of x, [len(x)/width, width], to y, with zeros for the
// heads that are not kept.
func keepHeads[T kernel.Float](y, x []T, width int, of keep) {
	move(y, x)
	e := width / len(of.heads)
	for row := 0; row < len(y); row += width {
		for h, kept := range of.heads {
			if !kept {
				clear(y[row+h*e : row+(h+1)*e])
			}
		}
	}
}

// stats computes the mean and the divisor of the rows of x.
func stats[T kernel.Float](mean, divisor, x []T, d int, of arch.Norm) {
	if of.RMS {
		kernel.RMSNormStats(divisor, x, d, of.Eps)
		return
	}
	kernel.LayerNormStats(mean, divisor, x, d, of.Eps)
}

// normalizeRows computes (x − mean)/divisor for at most blockRows rows.
func normalizeRows[T kernel.Float](dst, x, divisor []T, d int, of arch.Norm) {
	if of.RMS {
		kernel.Normalize(dst, x, d, nil, divisor)
		return
	}
	var mean, unused [blockRows]T
	n := len(divisor)
	kernel.LayerNormStats(mean[:n], unused[:n], x, d, of.Eps)
	kernel.Normalize(dst, x, d, mean[:n], divisor)
}

// move copies x to y unless they are the same.
func move[T kernel.Float](y, x []T) {
	if len(x) > 0 && &y[0] != &x[0] {
		copy(y, x)
	}
}

// answer copies the logits out.
func (p *planner[T]) answer(logits int) {
	from, width, set := p.value[logits], p.nodes[logits].width, p.nodes[logits].rows
	p.steps = append(p.steps, step[T]{reads: []int{from}, reuse: -1, lasting: true, rows: set, each: func(r *Runner[T], lo, hi int) {
		r.each(set, lo, hi, func(seq, _, row int) {
			at := r.out.Starts[r.batch.Sequence(seq)] + row - r.sets[set].starts[seq]
			copy(values[T](r.out.Logits)[at*width:], r.row(from, row))
		})
	}})
}

// sinusoid is the encoding of a relative position: [sin(p·f) ‖ cos(p·f)] with
// f_k = 10000^(−2k/width).
func sinusoid[T kernel.Float](row []T, position, clamp int) {
	if clamp > 0 {
		position = max(-clamp, min(position, clamp))
	}
	half := len(row) / 2
	for k := range half {
		angle := float64(position) * math.Pow(10000, -2*float64(k)/float64(len(row)))
		row[k], row[half+k] = T(math.Sin(angle)), T(math.Cos(angle))
	}
}
