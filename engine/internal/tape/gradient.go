package tape

import (
	"context"
	"fmt"
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
)

// backward adds the way back: from the objective to the points that the
// request differentiates with respect to, node by node, each with its
// vector-Jacobian product, or as the request's rule has it. Nodes that no
// gradient passes through are left out.
func (p *planner[T]) backward(logits int) {
	for i := range p.nodes {
		n := &p.nodes[i]
		p.wanted[i] = len(n.gradients)+len(n.below)+len(n.inner.gradients) > 0
		for _, x := range n.in {
			p.wanted[i] = p.wanted[i] || p.wanted[x]
		}
	}
	p.seed(logits)
	if !p.wanted[logits] {
		return // the objective does not depend on any of them: the gradients are 0
	}
	block := p.nodes[logits].block
	for i := len(p.nodes) - 1; i >= 0; i-- {
		if p.req.Recompute && p.nodes[i].block != block {
			block = p.nodes[i].block
			for j := range p.nodes {
				if p.nodes[j].block == block {
					p.forward(j, false)
				}
			}
		}
		if p.grad[i] < 0 || !p.wanted[i] {
			continue
		}
		n, dy := &p.nodes[i], p.grad[i]
		if p.req.Rule == LRPAlpha1 {
			p.gather(i, dy)
			for _, u := range n.gradients {
				p.differentiate(dy, n.rows, u)
			}
			p.relevance(i, dy)
			continue
		}
		for _, u := range n.gradients {
			p.differentiate(dy, n.rows, u)
		}
		for j := len(n.edits) - 1; j >= 0; j-- {
			p.editGradient(dy, n.rows, n.edits[j])
		}
		for _, u := range n.below {
			p.differentiate(dy, n.rows, u)
		}
		p.vjp(i, dy)
	}
}

// seed adds the step that computes the objective and its gradient at the logits.
func (p *planner[T]) seed(logits int) {
	n := &p.nodes[logits]
	from, to, set, width := p.value[logits], p.buffer(n.rows, n.width), n.rows, n.width
	p.grad[logits] = to
	p.plan.objective = buffer{rows: set, width: width}
	p.steps = append(p.steps, step[T]{reads: []int{from}, writes: []int{to}, reuse: -1, lasting: true, whole: func(ctx context.Context, r *Runner[T]) error {
		s := &r.sets[set]
		for seq := range r.batch.Sequences() {
			if err := ctx.Err(); err != nil {
				return err
			}
			lo, hi := s.starts[seq], s.starts[seq+1]
			r.logits, r.dlogits = grow(r.logits, (hi-lo)*width), grow(r.dlogits, (hi-lo)*width)
			for j, v := range r.span(from, lo, hi) {
				r.logits[j], r.dlogits[j] = float64(v), 0
			}
			r.out.Objectives[r.batch.Sequence(seq)] = r.objective(r.batch.Sequence(seq), r.logits, r.dlogits)
			dy := r.span(to, lo, hi)
			for j, v := range r.dlogits {
				dy[j] = T(v)
			}
		}
		return ctx.Err()
	}})
}

// give adds the buffer from, which nobody else uses from now on, to the
// cotangent of node x.
func (p *planner[T]) give(x, from int) {
	p.shares[x]++
	if p.grad[x] < 0 {
		p.grad[x] = from
		return
	}
	to := p.grad[x]
	p.each(to, []int{to, from}, func(r *Runner[T], lo, hi int) {
		kernel.Add(r.span(to, lo, hi), r.span(from, lo, hi))
	})
}

// pass computes a contribution to the cotangent of node x row by row from reads.
func (p *planner[T]) pass(x int, reads []int, f func(r *Runner[T], dx, lo, hi int)) {
	if !p.wanted[x] {
		return
	}
	dx := p.buffer(p.nodes[x].rows, p.nodes[x].width)
	p.each(dx, reads, func(r *Runner[T], lo, hi int) { f(r, dx, lo, hi) })
	p.give(x, dx)
}

// vjp adds the steps that pass the cotangent dy of node i on to its inputs.
func (p *planner[T]) vjp(i, dy int) {
	n, in := &p.nodes[i], p.inputs(i)
	copied := func(x int) {
		p.pass(x, []int{dy}, func(r *Runner[T], dx, lo, hi int) { move(r.span(dx, lo, hi), r.span(dy, lo, hi)) })
	}
	switch op := n.op.(type) {
	case arch.Words, arch.Embed, arch.Repeat, arch.Sinusoids, arch.Remembered:
	case arch.Add:
		copied(n.in[0])
		copied(n.in[1])
	case arch.Edge:
		copied(n.in[0])
	case arch.Mul:
		for j, x := range n.in {
			other := in[1-j]
			p.pass(x, []int{dy, other}, func(r *Runner[T], dx, lo, hi int) {
				move(r.span(dx, lo, hi), r.span(dy, lo, hi))
				kernel.Mul(r.span(dx, lo, hi), r.span(other, lo, hi))
			})
		}
	case arch.Scale:
		p.pass(n.in[0], []int{dy}, func(r *Runner[T], dx, lo, hi int) {
			move(r.span(dx, lo, hi), r.span(dy, lo, hi))
			kernel.Scale(r.span(dx, lo, hi), T(op.Factor))
		})
	case keep:
		p.pass(n.in[0], []int{dy}, func(r *Runner[T], dx, lo, hi int) { keepHeads(r.span(dx, lo, hi), r.span(dy, lo, hi), n.width, op) })
	case arch.Norm:
		gamma := p.vector(op.Gamma)
		p.pass(n.in[0], []int{dy, in[0]}, func(r *Runner[T], dx, lo, hi int) {
			to, from, x := r.span(dx, lo, hi), r.span(dy, lo, hi), r.span(in[0], lo, hi)
			if op.RMS {
				kernel.RMSNormGrad(to, from, x, n.width, gamma, op.Eps)
			} else {
				kernel.LayerNormGrad(to, from, x, n.width, gamma, op.Eps)
			}
		})
	case affine:
		gamma := p.vector(op.norm.Gamma)
		p.pass(n.in[0], []int{dy}, func(r *Runner[T], dx, lo, hi int) {
			kernel.Affine(r.span(dx, lo, hi), r.span(dy, lo, hi), n.width, gamma, nil)
		})
	case normalize:
		p.normalizeGradient(n, op.norm, in, dy)
	case divisor:
		// d√(var + eps)/dx = (x − mean)/(d·divisor), which is the normalized
		// row over d.
		d := p.nodes[n.in[0]].width
		p.pass(n.in[0], []int{dy, in[0]}, func(r *Runner[T], dx, lo, hi int) {
			var mean, s [blockRows]T
			rows, x, to := hi-lo, r.span(in[0], lo, hi), r.span(dx, lo, hi)
			stats(mean[:rows], s[:rows], x, d, op.norm)
			normalizeRows(to, x, s[:rows], d, op.norm)
			for row := range rows {
				kernel.Scale(to[row*d:(row+1)*d], r.row(dy, lo+row)[0]/T(d))
			}
		})
	case arch.Activate:
		_, derivative := activation[T](op)
		if derivative == nil { // the identity
			copied(n.in[0])
			return
		}
		p.pass(n.in[0], []int{dy, in[0]}, func(r *Runner[T], dx, lo, hi int) {
			derivative(r.span(dx, lo, hi), r.span(dy, lo, hi), r.span(in[0], lo, hi))
		})
	case arch.Linear:
		x := n.in[0]
		if !p.wanted[x] {
			return
		}
		layer := &p.weights.linears[keyOf(op.W)].back
		p.derive(layer)
		dx := p.buffer(p.nodes[x].rows, p.nodes[x].width)
		rows, width, to := n.rows, n.width, p.nodes[x].width
		p.multiply(dx, dy, func(r *Runner[T]) nn.Product[T] {
			return nn.Product[T]{Layer: layer.get(), Dst: r.matrix(dx), Ldd: to, X: r.matrix(dy), Ldx: width, M: r.count(rows)}
		})
		p.give(x, dx)
	case arch.Select:
		set, x := n.rows, n.in[0]
		p.scatter(x, dy, func(r *Runner[T], dx int) {
			r.each(set, 0, r.count(set), func(seq, position, row int) {
				kernel.Add(r.row(dx, r.sets[p.nodes[x].rows].starts[seq]+position), r.row(dy, row))
			})
		})
	case arch.Spread:
		p.pass(n.in[0], []int{dy}, func(r *Runner[T], dx, lo, hi int) {
			r.each(arch.Targets, lo, hi, func(seq, position, row int) {
				copy(r.row(dx, row), r.row(dy, r.sets[arch.Tokens].starts[seq]+position))
			})
		})
	case arch.Concat:
		for j, set := range []arch.RowSet{arch.Memory, arch.Tokens} {
			p.scatter(n.in[j], dy, func(r *Runner[T], dx int) {
				context, part := &r.sets[arch.Context], &r.sets[set]
				for s := range r.batch.Sequences() {
					at := context.starts[s]
					if set == arch.Tokens {
						at = context.starts[s+1] - (part.starts[s+1] - part.starts[s])
					}
					copy(r.span(dx, part.starts[s], part.starts[s+1]), r.span(dy, at, context.starts[s+1]))
				}
			})
		}
	case arch.Attention:
		p.attentionGradient(i, in, dy)
	default:
		panic(fmt.Sprintf("tape: no gradient of %T", n.op))
	}
}

// derive has the plan need a layer that is made of the weights of another one.
func (p *planner[T]) derive(layer *derived[T]) {
	if !slices.Contains(p.plan.back, layer) {
		p.plan.back = append(p.plan.back, layer)
	}
}

// scatter computes a contribution to the cotangent of node x, zero at first,
// from all rows of dy.
func (p *planner[T]) scatter(x, dy int, f func(r *Runner[T], dx int)) {
	p.scatterFrom(x, []int{dy}, f)
}

// scatterFrom does so from all rows of several buffers.
func (p *planner[T]) scatterFrom(x int, reads []int, f func(r *Runner[T], dx int)) {
	if !p.wanted[x] {
		return
	}
	dx := p.buffer(p.nodes[x].rows, p.nodes[x].width)
	p.whole([]int{dx}, reads, func(ctx context.Context, r *Runner[T]) error {
		clear(r.matrix(dx))
		f(r, dx)
		return ctx.Err()
	})
	p.give(x, dx)
}

// normalizeGradient passes on the cotangent of (x − mean)/s, where s may have
// been edited and so has a cotangent of its own.
func (p *planner[T]) normalizeGradient(n *node, of arch.Norm, in []int, dy int) {
	x, s := n.in[0], n.in[1]
	ds := p.buffer(p.nodes[s].rows, 1)
	dx := p.buffer(n.rows, n.width)
	normalized := p.buffer(n.rows, n.width)
	p.each(dx, []int{dy, in[0], in[1]}, func(r *Runner[T], lo, hi int) {
		divisor, y := r.span(in[1], lo, hi), r.span(normalized, lo, hi)
		normalizeRows(y, r.span(in[0], lo, hi), divisor, n.width, of)
		kernel.NormalizeGrad(r.span(dx, lo, hi), r.span(ds, lo, hi), r.span(dy, lo, hi), y, n.width, divisor, !of.RMS)
	})
	last := &p.steps[len(p.steps)-1]
	last.writes = append(last.writes, ds, normalized)
	if p.wanted[x] {
		p.give(x, dx)
	}
	if p.wanted[s] {
		p.give(s, ds)
	}
}
