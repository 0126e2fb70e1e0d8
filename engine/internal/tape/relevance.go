package tape

import (
	"context"
	"fmt"
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
)

// Relevance by [LRPAlpha1]. With R the relevance of what an operation computes,
// each of its inputs gets
//
//	linear    x⁺∘(S·W⁺) + x⁻∘(S·W⁻),  S = R/(x⁺·W⁺ᵀ + x⁻·W⁻ᵀ): the bias gets none
//	sum       a = A∘R/(A + B) and b = B∘R/(A + B), each scaled so that over all rows
//	          of a sequence Σa : Σb is |Σa| : |Σb| and Σa + Σb is ΣR
//	product   A∘(S·Bᵀ)/2 and B∘(Aᵀ·S)/2,  S = R/(A·B): of patterns with values, and
//	          of queries with keys
//	others    R: norms, activations, softmax, scaling
//
// and what several operations read x∘Σ R/x, over what each of them gives it.
// Quotients are stabilised as [kernel.Divide] has it, computed in double
// precision and rounded once.

// relevance adds the steps that pass the relevance of node i on to its inputs.
func (p *planner[T]) relevance(i, ry int) {
	n, in := &p.nodes[i], p.inputs(i)
	switch op := n.op.(type) {
	case arch.Words, arch.Embed:
	case arch.Norm, arch.Activate, arch.Scale, arch.Edge:
		p.pass(n.in[0], []int{ry}, func(r *Runner[T], dx, lo, hi int) { move(r.span(dx, lo, hi), r.span(ry, lo, hi)) })
	case arch.Linear:
		p.linearRelevance(n, p.weights.linears[keyOf(op.W)], in[0], ry)
	case arch.Add:
		p.sumRelevance(n, in, ry)
	case arch.Select:
		set, x := n.rows, n.in[0]
		p.scatterFrom(x, []int{ry, in[0]}, func(r *Runner[T], dx int) {
			r.each(set, 0, r.count(set), func(seq, position, row int) {
				at := r.sets[p.nodes[x].rows].starts[seq] + position
				kernel.Keep(r.row(dx, at), r.row(ry, row), r.row(in[0], at))
			})
		})
	case arch.Attention:
		p.attentionRelevance(i, in, ry)
	default:
		panic(fmt.Sprintf("tape: no relevance of %T", n.op))
	}
}

// gather turns the sum of the relevances that several operations give to what
// they read, node i, into its own.
func (p *planner[T]) gather(i, rx int) {
	if p.shares[i] < 2 {
		return
	}
	x := p.value[i]
	p.each(rx, []int{rx, x}, func(r *Runner[T], lo, hi int) {
		to := r.span(rx, lo, hi)
		kernel.Keep(to, to, r.span(x, lo, hi))
	})
}

// linearRelevance passes the relevance of a linear layer on to its input.
func (p *planner[T]) linearRelevance(n *node, layer *linear[T], in, ry int) {
	x := n.in[0]
	if !p.wanted[x] {
		return
	}
	p.derive(&layer.signed)
	p.derive(&layer.signedBack)
	rows, width, d := n.rows, n.width, p.nodes[x].width
	signs, z, shares, rx := p.buffer(p.nodes[x].rows, 2*d), p.buffer(rows, width), p.buffer(p.nodes[x].rows, 2*d), p.buffer(p.nodes[x].rows, d)
	p.each(signs, []int{in}, func(r *Runner[T], lo, hi int) { kernel.SplitSigns(r.span(signs, lo, hi), r.span(in, lo, hi), d) })
	p.multiply(z, signs, func(r *Runner[T]) nn.Product[T] {
		return nn.Product[T]{Layer: layer.signed.get(), Dst: r.matrix(z), Ldd: width, X: r.matrix(signs), Ldx: 2 * d, M: r.count(rows)}
	})
	p.each(z, []int{z, ry}, func(r *Runner[T], lo, hi int) {
		kernel.Divide(r.span(z, lo, hi), r.span(ry, lo, hi), r.span(z, lo, hi))
	})
	p.multiply(shares, z, func(r *Runner[T]) nn.Product[T] {
		return nn.Product[T]{Layer: layer.signedBack.get(), Dst: r.matrix(shares), Ldd: 2 * d, X: r.matrix(z), Ldx: width, M: r.count(rows)}
	})
	p.each(rx, []int{in, shares}, func(r *Runner[T], lo, hi int) {
		kernel.JoinSigns(r.span(rx, lo, hi), r.span(in, lo, hi), r.span(shares, lo, hi), d)
	})
	p.give(x, rx)
}

// sumRelevance passes the relevance of a sum on to its terms. The sums over the
// rows of a sequence are in double precision, from the first value to the last.
func (p *planner[T]) sumRelevance(n *node, in []int, ry int) {
	set := n.rows
	to := []int{p.buffer(set, n.width), p.buffer(set, n.width)}
	p.whole(to, []int{ry, in[0], in[1]}, func(ctx context.Context, r *Runner[T]) error {
		starts := r.sets[set].starts
		share := func(seq int) {
			lo, hi := starts[seq], starts[seq+1]
			kernel.ShareSum(r.span(to[0], lo, hi), r.span(to[1], lo, hi), r.span(ry, lo, hi), r.span(in[0], lo, hi), r.span(in[1], lo, hi))
		}
		if r.pool != nil {
			return r.pool.For(ctx, len(starts)-1, func(_, seq int) { share(seq) })
		}
		for seq := range len(starts) - 1 {
			share(seq)
		}
		return ctx.Err()
	})
	for j, x := range n.in {
		if p.wanted[x] {
			p.give(x, to[j])
		}
	}
}

// attentionRelevance adds the step that passes the relevance of attention on to
// queries, keys and values.
func (p *planner[T]) attentionRelevance(i int, in []int, rz int) {
	n, a := &p.nodes[i], p.attention(i, false)
	w := wayBack{in: in, dz: rz, z: p.value[i]}
	for _, x := range n.in {
		w.to = append(w.to, p.buffer(p.nodes[x].rows, p.nodes[x].width))
	}
	// What the sum of the scores and the mask, which is all zeros, comes to.
	w.sums = p.buffer(n.rows, 2*a.Heads)
	p.whole(append(slices.Clone(w.to), w.sums), append(slices.Clone(in), w.z, rz), func(ctx context.Context, r *Runner[T]) error {
		r.jobs = r.jobs[:0]
		for seq := range r.batch.Sequences() {
			for kv := range a.KeyHeads {
				r.jobs = append(r.jobs, job{sequence: seq, head: kv})
			}
		}
		return r.jobsOver(ctx, func(worker int, j job) {
			a.shareBack(r, &r.scratch[worker], j.sequence, j.head, w)
		})
	})
	p.steps[len(p.steps)-1].lasting = len(a.gradients) > 0
	p.whole(w.to[:2], []int{w.to[0], w.to[1], w.sums}, func(ctx context.Context, r *Runner[T]) error {
		for seq := range r.batch.Sequences() {
			span := func(b int) []T {
				starts := r.sets[r.plan.buffers[b].rows].starts
				return r.span(b, starts[seq], starts[seq+1])
			}
			kept, lost := 0.0, 0.0
			for i, v := range span(w.sums) {
				if i%2 == 0 {
					kept += float64(v)
				} else {
					lost += float64(v)
				}
			}
			factor := T(kernel.Share(kept, 0, kept+lost))
			kernel.Scale(span(w.to[0]), factor)
			kernel.Scale(span(w.to[1]), factor)
		}
		return ctx.Err()
	})
	for j, b := range w.to {
		if x := n.in[j]; p.wanted[x] {
			p.give(x, b)
		}
	}
}

// shareBack computes the relevances of one key head of one sequence.
func (a *attention[T]) shareBack(r *Runner[T], s *scratch[T], seq, kv int, w wayBack) {
	t := a.look(r, s, seq)
	set := &r.sets[a.queries]
	first, n := set.starts[seq], set.starts[seq+1]-set.starts[seq]
	s.dkeys, s.dvalues = grow(s.dkeys, t.visible*a.e), grow(s.dvalues, t.visible*a.ev)
	clear(s.dkeys)
	clear(s.dvalues)
	if t.visible > 0 {
		keys, values := a.keysOf(r, w.in, kv, t, seq), a.valuesOf(r, w.in, kv, t, seq)
		s.keyRows.Stack(a.e, 1, keys...)
		s.valueColumns.Transpose(a.ev, 1, values...)
	}
	group := a.Heads / a.KeyHeads
	for h := kv * group; h < (kv+1)*group; h++ {
		if t.visible == 0 {
			for i := range n {
				clear(r.row(w.to[0], first+i)[h*a.e : (h+1)*a.e])
				clear(r.row(w.sums, first+i)[2*h : 2*h+2])
			}
			continue
		}
		j := job{sequence: seq, head: h, lo: 0, hi: n}
		a.packKeys(r, s, t, j, kv, w.in)
		for lo := 0; lo < n; lo += tileRows {
			a.shareTile(r, s, t, j.tile(lo), w)
		}
	}
	lo := r.sets[a.keys].starts[seq]
	for key := range t.keys {
		ks, vs := kv*a.e, kv*a.ev
		rk, rv := r.row(w.to[1], lo+key)[ks:ks+a.e], r.row(w.to[2], lo+key)[vs:vs+a.ev]
		if t.leavesOut(key) {
			clear(rk)
			clear(rv)
			continue
		}
		at := s.place(t, key)
		halfOf(rk, r.row(w.in[1], lo+key)[ks:ks+a.e], s.dkeys[at*a.e:])
		halfOf(rv, r.row(w.in[2], lo+key)[vs:vs+a.ev], s.dvalues[at*a.ev:])
	}
}

// shareTile adds the shares of the queries of a tile to those of its keys and
// values, and computes the relevances of the queries.
func (a *attention[T]) shareTile(r *Runner[T], s *scratch[T], t *tile, j job, w wayBack) {
	first := r.sets[a.queries].starts[j.sequence]
	rows, ld := j.hi-j.lo, s.width(t)
	keys := a.scores(r, s, t, j, w.in)
	s.pattern = grow(s.pattern, len(s.scores))
	scores, pattern := s.pattern, s.scores
	copy(scores, s.scores)
	a.softmax(s, ld, rows, keys)
	// S = R/Z of the heads' output, then of patterns and values.
	s.quotients = grow(s.quotients, rows*a.ev)
	for i := range rows {
		columns := func(b int) []T { return r.row(b, first+j.lo+i)[j.head*a.ev : (j.head+1)*a.ev] }
		kernel.Divide(s.quotients[i*a.ev:(i+1)*a.ev], columns(w.dz), columns(w.z))
	}
	s.outRows.Stack(a.ev, 1, kernel.Rows[T]{Data: s.quotients, Stride: a.ev, N: rows})
	s.outRows.MultiplyTransposed(s.dvalues, a.ev, pattern, ld, keys, rows, a.ev, true)
	s.dscores = grow(s.dscores, tileRows*ld)
	s.valueColumns.Multiply(s.dscores, ld, s.quotients, a.ev, rows, a.ev, keys, false)
	for i := range rows {
		row := s.dscores[i*ld : i*ld+keys]
		halfOf(row, pattern[i*ld:], row)
	}
	a.copyScoresGradient(r, arch.Pattern, 1, s, t, j, keys)
	a.copyScoresGradient(r, arch.Scores, 1, s, t, j, keys)
	// What the scores have of their sum with the mask. S = R/Z of them before
	// their factor, then of queries and keys.
	for i := range rows {
		score, row := scores[i*ld:i*ld+keys], s.dscores[i*ld:i*ld+keys]
		for k, v := range score {
			if hidden(v) {
				score[k], row[k] = 0, 0
			}
		}
		kept, lost := kernel.Keep(row, row, score)
		sum := r.row(w.sums, first+j.lo+i)[2*j.head : 2*j.head+2]
		sum[0], sum[1] = T(kept), T(lost)
		kernel.Scale(score, T(1/a.Factor))
		kernel.Divide(row, row, score)
	}
	rq := r.matrix(w.to[0])[(first+j.lo)*a.queryWidth+j.head*a.e:]
	s.keyRows.Multiply(rq, a.queryWidth, s.dscores, ld, rows, keys, a.e, false)
	q := r.matrix(w.in[0])[(first+j.lo)*a.queryWidth+j.head*a.e:]
	for i := range rows {
		row := rq[i*a.queryWidth:][:a.e]
		halfOf(row, q[i*a.queryWidth:], row)
	}
	s.queryRows.Stack(a.e, 1, kernel.Rows[T]{Data: q, Stride: a.queryWidth, N: rows})
	s.queryRows.MultiplyTransposed(s.dkeys, a.e, s.dscores, ld, keys, rows, a.e, true)
}

// halfOf computes dst = x∘c/2, of the length of dst, which may be c.
func halfOf[T kernel.Float](dst, x, c []T) {
	for i := range dst {
		dst[i] = x[i] * c[i] / 2
	}
}
