package tape

import (
	"context"
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/point"
)

// attentionGradient adds the step that passes the cotangent of attention on to
// queries, keys and values. The pattern is computed again, tile by tile, so
// that nothing of the size of length² is kept. With P the pattern and S the
// scores, a head has
//
//	dV = Pᵀ·dZ,  dP = dZ·Vᵀ,  dS = P∘(dP − Σ P∘dP),  dQ = Factor·dS·K,  dK = Factor·dSᵀ·Q
//
// and, where there are relative positions, dR_p = Factor·Σ dS_ij·(q_i + Position)
// over all i, j with i − j = p.
func (p *planner[T]) attentionGradient(i int, in []int, dz int) {
	n := &p.nodes[i]
	a := p.attention(i, false)
	var to []int
	for j := range n.in {
		if j == relativeInput && !p.wanted[n.in[j]] {
			break
		}
		x := n.in[j]
		to = append(to, p.buffer(p.nodes[x].rows, p.nodes[x].width))
	}
	p.whole(to, append(slices.Clone(in), dz), func(ctx context.Context, r *Runner[T]) error { return a.backward(ctx, r, in, dz, to) })
	p.steps[len(p.steps)-1].lasting = len(a.gradients) > 0
	for j, b := range to {
		if x := n.in[j]; p.wanted[x] {
			p.give(x, b)
		}
	}
}

// relativeInput is the place of the relative positions among the inputs of an
// attention.
const relativeInput = 3

// backward computes the cotangents of queries, keys, values and, where there is
// a buffer for it, of the relative positions. A job is all queries of all heads
// that read one key head: of one sequence, or, as relative positions are those
// of all sequences, of all of them in order.
func (a *attention[T]) backward(ctx context.Context, r *Runner[T], in []int, dz int, to []int) error {
	r.jobs = r.jobs[:0]
	if len(to) > relativeInput {
		clear(r.matrix(to[relativeInput]))
		for kv := range a.KeyHeads {
			r.jobs = append(r.jobs, job{head: kv})
		}
		return r.jobsOver(ctx, func(worker int, j job) {
			for seq := range r.batch.Sequences() {
				a.pullBack(r, &r.scratch[worker], seq, j.head, in, dz, to)
			}
		})
	}
	for i := range r.batch.Sequences() {
		for kv := range a.KeyHeads {
			r.jobs = append(r.jobs, job{sequence: i, head: kv})
		}
	}
	return r.jobsOver(ctx, func(worker int, j job) { a.pullBack(r, &r.scratch[worker], j.sequence, j.head, in, dz, to) })
}

// pullBack computes the cotangents of one key head of one sequence.
func (a *attention[T]) pullBack(r *Runner[T], s *scratch[T], seq, kv int, in []int, dz int, to []int) {
	t := a.look(r, s, seq)
	set := &r.sets[a.queries]
	first, n := set.starts[seq], set.starts[seq+1]-set.starts[seq]
	s.dkeys, s.dvalues = grow(s.dkeys, t.visible*a.e), grow(s.dvalues, t.visible*a.ev)
	clear(s.dkeys)
	clear(s.dvalues)
	group := a.Heads / a.KeyHeads
	if t.visible > 0 {
		keys, vals := a.keysOf(r, in, kv, t, seq), a.valuesOf(r, in, kv, t, seq)
		s.keyRows.Stack(a.e, T(a.Factor), keys...)
		s.valueColumns.Transpose(a.ev, 1, vals...)
	}
	for h := kv * group; h < (kv+1)*group; h++ {
		j := job{sequence: seq, head: h, lo: 0, hi: n}
		if t.visible == 0 {
			for i := range n {
				clear(r.row(to[0], first+i)[h*a.e : (h+1)*a.e])
			}
			a.copyPatternGradient(r, s, t, j, 0, n, 0, in, dz)
			continue
		}
		a.packKeys(r, s, t, j, kv, in)
		for lo := 0; lo < n; lo += tileRows {
			a.pullTile(r, s, t, j, lo, min(lo+tileRows, n), in, dz, to)
		}
	}
	lo := r.sets[a.keys].starts[seq]
	for key := range t.keys {
		dk, dv := r.row(to[1], lo+key)[kv*a.e:(kv+1)*a.e], r.row(to[2], lo+key)[kv*a.ev:(kv+1)*a.ev]
		if t.leavesOut(key) {
			clear(dk)
			clear(dv)
			continue
		}
		k := s.place(t, key)
		copy(dk, s.dkeys[k*a.e:])
		copy(dv, s.dvalues[k*a.ev:])
	}
}

// pullTile adds the shares of the queries [lo, hi) of a head to the cotangents
// of its keys and values, and computes those of the queries.
func (a *attention[T]) pullTile(r *Runner[T], s *scratch[T], t *tile, j job, lo, hi int, in []int, dz int, to []int) {
	first := r.sets[a.queries].starts[j.sequence]
	rows, ld := hi-lo, s.width(t)
	keys := a.scores(r, s, t, j, lo, hi, in)
	a.change(r, a.edits[arch.Scores], s.scores, s, t, j, lo, hi)
	a.softmax(s, ld, rows, keys)
	softmax, pattern := s.scores, s.scores // before edits and after
	if edits := a.edits[arch.Pattern]; len(edits) > 0 {
		s.pattern = grow(s.pattern, len(s.scores))
		pattern = s.pattern
		copy(pattern, s.scores)
		a.change(r, edits, pattern, s, t, j, lo, hi)
	}
	// dV += Pᵀ·dZ and dP = dZ·Vᵀ.
	out := r.matrix(dz)[(first+lo)*a.zWidth+j.head*a.ev:]
	s.outRows.Stack(a.ev, 1, kernel.Rows[T]{Data: out, Stride: a.zWidth, N: rows})
	s.outRows.MultiplyTransposed(s.dvalues, a.ev, pattern, ld, keys, rows, a.ev, true)
	s.dscores = grow(s.dscores, tileRows*ld)
	s.valueColumns.Multiply(s.dscores, ld, out, a.zWidth, rows, a.ev, keys, false)
	a.copyPatternGradient(r, s, t, j, lo, hi, keys, in, dz)
	a.changeGradient(r, arch.Pattern, s, t, j, lo, hi)
	sum := a.summed(keys)
	for i := range rows {
		clear(s.dscores[i*ld+keys : i*ld+sum])
	}
	kernel.SoftmaxGrad(s.dscores, softmax, s.dscores, ld, rows, sum)
	for _, i := range s.uniform {
		clear(s.dscores[i*ld : i*ld+keys])
	}
	a.copyScoresGradient(r, arch.Scores, 1, s, t, j, lo, hi, keys)
	a.changeGradient(r, arch.Scores, s, t, j, lo, hi)
	for _, term := range []arch.Stage{arch.Content, arch.Position, arch.Segment} { // before the factor
		a.copyScoresGradient(r, term, T(a.Factor), s, t, j, lo, hi, keys)
	}
	// dQ = Factor·dS·K and dK += Factor·dSᵀ·Q.
	dq := r.matrix(to[0])[(first+lo)*a.queryWidth+j.head*a.e:]
	s.keyRows.Multiply(dq, a.queryWidth, s.dscores, ld, rows, keys, a.e, false)
	q := r.matrix(in[0])[(first+lo)*a.queryWidth+j.head*a.e:]
	query := kernel.Rows[T]{Data: q, Stride: a.queryWidth, N: rows}
	if a.Relative != nil {
		a.pullRelative(r, s, t, j, lo, hi, keys, in, dq)
		if len(to) > relativeInput {
			a.pullPositions(r, s, t, j, rows, q, to[relativeInput])
		}
		a.bias(s, q, rows, a.content[j.head*a.e:])
		query = kernel.Rows[T]{Data: s.biased, Stride: a.e, N: rows}
	}
	s.queryRows.Stack(a.e, T(a.Factor), query)
	s.queryRows.MultiplyTransposed(s.dkeys, a.e, s.dscores, ld, keys, rows, a.e, true)
}

// pullRelative adds to the cotangent of the queries what comes through the
// relative positions and the segments. It leaves the cotangents of the scores,
// by relative position, in s.term.
func (a *attention[T]) pullRelative(r *Runner[T], s *scratch[T], t *tile, j job, lo, hi, keys int, in []int, dq []T) {
	rows, ld, span := hi-lo, s.width(t), t.keys+t.length-1
	s.relativeRows.Stack(a.e, T(a.Factor), a.relatives(r, t, j.head, in[3]))
	s.term = grow(s.term, rows*span)
	clear(s.term)
	for i := lo; i < hi; i++ {
		copy(s.term[(i-lo)*span+a.shift(r, t, j, i):], s.dscores[(i-lo)*ld:(i-lo)*ld+keys])
	}
	s.relativeRows.Multiply(dq, a.queryWidth, s.term, span, rows, span, a.e, true)
	if r.batch.TypeIDs == nil {
		return
	}
	for i := lo; i < hi; i++ {
		var sum [2]T
		own := a.typeOf(r, t, j, t.memory+a.at(r, j, i))
		for key, d := range s.dscores[(i-lo)*ld : (i-lo)*ld+keys] {
			if a.typeOf(r, t, j, key) != own {
				sum[1] += d
			} else {
				sum[0] += d
			}
		}
		for k, d := range sum {
			vector := a.segments[(k*a.Heads+j.head)*a.e:][:a.e]
			kernel.AddScaled(dq[(i-lo)*a.queryWidth:][:a.e], T(a.Factor)*d, vector)
		}
	}
}

// pullPositions adds the share of the queries of a tile, whose cotangents of
// the scores pullRelative has put into s.term, to the cotangent dr of the
// relative positions.
func (a *attention[T]) pullPositions(r *Runner[T], s *scratch[T], t *tile, j job, rows int, q []T, dr int) {
	a.bias(s, q, rows, a.position[j.head*a.e:])
	s.queryRows.Stack(a.e, T(a.Factor), kernel.Rows[T]{Data: s.biased, Stride: a.e, N: rows})
	to, span := a.relatives(r, t, j.head, dr), t.keys+t.length-1
	s.queryRows.MultiplyTransposed(to.Data, to.Stride, s.term, span, span, rows, a.e, true)
}

// copyScoresGradient copies a factor times the cotangent of the scores, in
// s.dscores, to what is differentiated with respect to a stage. A key that is
// left out has none.
func (a *attention[T]) copyScoresGradient(r *Runner[T], stage arch.Stage, factor T, s *scratch[T], t *tile, j job, lo, hi, keys int) {
	ld := s.width(t)
	for _, v := range a.gradients[stage] {
		a.copyView(r, v, r.out.Gradients[v.index], j, t, lo, hi, func(i, key int) T {
			if k := s.place(t, key); k < keys && !t.leavesOut(key) {
				return factor * s.dscores[(i-lo)*ld+k]
			}
			return 0
		})
	}
}

// copyPatternGradient copies the cotangent of the pattern, in s.dscores, to what
// is differentiated with respect to it. The weight of a key that is left out is
// 0 and has a cotangent all the same: what its value would add.
func (a *attention[T]) copyPatternGradient(r *Runner[T], s *scratch[T], t *tile, j job, lo, hi, keys int, in []int, dz int) {
	ld, kv := s.width(t), j.head/(a.Heads/a.KeyHeads)
	queries, own := r.sets[a.queries].starts[j.sequence], r.sets[a.keys].starts[j.sequence]
	for _, v := range a.gradients[arch.Pattern] {
		a.copyView(r, v, r.out.Gradients[v.index], j, t, lo, hi, func(i, key int) T {
			if t.leavesOut(key) {
				return kernel.Dot(r.row(dz, queries+i)[j.head*a.ev:(j.head+1)*a.ev], r.row(in[2], own+key)[kv*a.ev:(kv+1)*a.ev])
			}
			if k := s.place(t, key); k < keys {
				return s.dscores[(i-lo)*ld+k]
			}
			return 0
		})
	}
}

// changeGradient turns the cotangent of an edited stage into that of the stage
// before the edits.
func (a *attention[T]) changeGradient(r *Runner[T], stage arch.Stage, s *scratch[T], t *tile, j job, lo, hi int) {
	ld := s.width(t)
	for _, e := range slices.Backward(a.edits[stage]) {
		a.visit(r, e.tileView, j, t, lo, hi, func(i, at, first, end, sequence int) {
			row := s.dscores[(i-lo)*ld:]
			switch e.edit.Op {
			case point.Add:
			case point.Mean:
				averageGradient(row[:t.keys], first, end, a.seenBy(r, s, t, j, i))
			case point.Multiply:
				for key := first; key < end; key++ {
					row[key] *= a.given(r, e, t, j, at, first, end, key)
				}
			default:
				clear(row[first:end])
			}
		})
	}
}
