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
	a, w := p.attention(i, false), wayBack{in: in, dz: dz}
	for j := range n.in {
		if j == relativeInput && !p.wanted[n.in[j]] {
			break
		}
		x := n.in[j]
		w.to = append(w.to, p.buffer(p.nodes[x].rows, p.nodes[x].width))
	}
	p.whole(w.to, append(slices.Clone(in), dz), func(ctx context.Context, r *Runner[T]) error { return a.backward(ctx, r, w) })
	p.steps[len(p.steps)-1].lasting = len(a.gradients) > 0
	for j, b := range w.to {
		if x := n.in[j]; p.wanted[x] {
			p.give(x, b)
		}
	}
}

// relativeInput is the place of the relative positions among the inputs of an
// attention.
const relativeInput = 3

// wayBack names the buffers of the way back through an attention.
type wayBack struct {
	in []int // its inputs: queries, keys, values and, where there are any, relative positions
	dz int   // what comes back to its output z, [queries, heads·ev]: the cotangent, or the relevance
	to []int // what goes back to its inputs, in the same order

	// Of relevance alone.
	z    int // the output itself
	sums int // [queries, 2·heads]: what of each query's relevance stays with the scores of a head, and what is lost
}

// backward computes the cotangents of queries, keys, values and, where there is
// a buffer for it, of the relative positions. A job is all queries of all heads
// that read one key head: of one sequence, or, as relative positions are those
// of all sequences, of all of them in order.
func (a *attention[T]) backward(ctx context.Context, r *Runner[T], w wayBack) error {
	r.jobs = r.jobs[:0]
	if len(w.to) > relativeInput {
		clear(r.matrix(w.to[relativeInput]))
		for kv := range a.KeyHeads {
			r.jobs = append(r.jobs, job{head: kv})
		}
		return r.jobsOver(ctx, func(worker int, j job) {
			for seq := range r.batch.Sequences() {
				a.pullBack(r, &r.scratch[worker], seq, j.head, w)
			}
		})
	}
	for i := range r.batch.Sequences() {
		for kv := range a.KeyHeads {
			r.jobs = append(r.jobs, job{sequence: i, head: kv})
		}
	}
	return r.jobsOver(ctx, func(worker int, j job) { a.pullBack(r, &r.scratch[worker], j.sequence, j.head, w) })
}

// pullBack computes the cotangents of one key head of one sequence.
func (a *attention[T]) pullBack(r *Runner[T], s *scratch[T], seq, kv int, w wayBack) {
	t := a.look(r, s, seq)
	set := &r.sets[a.queries]
	first, n := set.starts[seq], set.starts[seq+1]-set.starts[seq]
	s.dkeys, s.dvalues = grow(s.dkeys, t.visible*a.e), grow(s.dvalues, t.visible*a.ev)
	clear(s.dkeys)
	clear(s.dvalues)
	group := a.Heads / a.KeyHeads
	if t.visible > 0 {
		keys, vals := a.keysOf(r, w.in, kv, t, seq), a.valuesOf(r, w.in, kv, t, seq)
		s.keyRows.Stack(a.e, T(a.Factor), keys...)
		s.valueColumns.Transpose(a.ev, 1, vals...)
	}
	for h := kv * group; h < (kv+1)*group; h++ {
		j := job{sequence: seq, head: h, lo: 0, hi: n}
		if t.visible == 0 {
			for i := range n {
				clear(r.row(w.to[0], first+i)[h*a.e : (h+1)*a.e])
			}
			a.copyPatternGradient(r, s, t, j, 0, w)
			continue
		}
		a.packKeys(r, s, t, j, kv, w.in)
		for lo := 0; lo < n; lo += tileRows {
			a.pullTile(r, s, t, j.tile(lo), w)
		}
	}
	lo := r.sets[a.keys].starts[seq]
	for key := range t.keys {
		dk, dv := r.row(w.to[1], lo+key)[kv*a.e:(kv+1)*a.e], r.row(w.to[2], lo+key)[kv*a.ev:(kv+1)*a.ev]
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

// pullTile adds the shares of the queries of a tile to the cotangents of its keys
// and values, and computes those of the queries.
func (a *attention[T]) pullTile(r *Runner[T], s *scratch[T], t *tile, j job, w wayBack) {
	first := r.sets[a.queries].starts[j.sequence]
	rows, ld := j.hi-j.lo, s.width(t)
	keys := a.scores(r, s, t, j, w.in)
	a.change(r, a.edits[arch.Scores], s.scores, s, t, j)
	a.softmax(s, ld, rows, keys)
	softmax, pattern := s.scores, s.scores // before edits and after
	if edits := a.edits[arch.Pattern]; len(edits) > 0 {
		s.pattern = grow(s.pattern, len(s.scores))
		pattern = s.pattern
		copy(pattern, s.scores)
		a.change(r, edits, pattern, s, t, j)
	}
	// dV += Pᵀ·dZ and dP = dZ·Vᵀ.
	out := r.matrix(w.dz)[(first+j.lo)*a.zWidth+j.head*a.ev:]
	s.outRows.Stack(a.ev, 1, kernel.Rows[T]{Data: out, Stride: a.zWidth, N: rows})
	s.outRows.MultiplyTransposed(s.dvalues, a.ev, pattern, ld, keys, rows, a.ev, true)
	s.dscores = grow(s.dscores, tileRows*ld)
	s.valueColumns.Multiply(s.dscores, ld, out, a.zWidth, rows, a.ev, keys, false)
	a.copyPatternGradient(r, s, t, j, keys, w)
	a.changeGradient(r, arch.Pattern, s, t, j)
	sum := a.summed(keys)
	for i := range rows {
		clear(s.dscores[i*ld+keys : i*ld+sum])
	}
	kernel.SoftmaxGrad(s.dscores, softmax, s.dscores, ld, rows, sum)
	for _, i := range s.uniform {
		clear(s.dscores[i*ld : i*ld+keys])
	}
	a.copyScoresGradient(r, arch.Scores, 1, s, t, j, keys)
	a.changeGradient(r, arch.Scores, s, t, j)
	for _, term := range []arch.Stage{arch.Content, arch.Position, arch.Segment} { // before the factor
		a.copyScoresGradient(r, term, T(a.Factor), s, t, j, keys)
	}
	// dQ = Factor·dS·K and dK += Factor·dSᵀ·Q.
	dq := r.matrix(w.to[0])[(first+j.lo)*a.queryWidth+j.head*a.e:]
	s.keyRows.Multiply(dq, a.queryWidth, s.dscores, ld, rows, keys, a.e, false)
	q := r.matrix(w.in[0])[(first+j.lo)*a.queryWidth+j.head*a.e:]
	query := kernel.Rows[T]{Data: q, Stride: a.queryWidth, N: rows}
	if a.Relative != nil {
		a.pullRelative(r, s, t, j, keys, w.in[relativeInput], dq)
		if len(w.to) > relativeInput {
			a.pullPositions(r, s, t, j, rows, q, w.to[relativeInput])
		}
		a.bias(s, q, rows, a.content[j.head*a.e:])
		query = kernel.Rows[T]{Data: s.biased, Stride: a.e, N: rows}
	}
	s.queryRows.Stack(a.e, T(a.Factor), query)
	s.queryRows.MultiplyTransposed(s.dkeys, a.e, s.dscores, ld, keys, rows, a.e, true)
}

// pullRelative adds to the cotangent dq of the queries what comes through the
// relative positions and the segments. It leaves the cotangents of the scores,
// by relative position, in s.term. positions is the buffer of the relative
// positions.
func (a *attention[T]) pullRelative(r *Runner[T], s *scratch[T], t *tile, j job, keys, positions int, dq []T) {
	rows, ld, span := j.hi-j.lo, s.width(t), t.keys+t.length-1
	s.relativeRows.Stack(a.e, T(a.Factor), a.relatives(r, t, j.head, positions))
	s.term = grow(s.term, rows*span)
	clear(s.term)
	for i := j.lo; i < j.hi; i++ {
		copy(s.term[(i-j.lo)*span+a.shift(r, t, j, i):], s.dscores[(i-j.lo)*ld:(i-j.lo)*ld+keys])
	}
	s.relativeRows.Multiply(dq, a.queryWidth, s.term, span, rows, span, a.e, true)
	if r.batch.TypeIDs == nil {
		return
	}
	for i := j.lo; i < j.hi; i++ {
		var sum [2]T
		own := a.typeOf(r, t, j, t.memory+a.at(r, j, i))
		for key, d := range s.dscores[(i-j.lo)*ld : (i-j.lo)*ld+keys] {
			if a.typeOf(r, t, j, key) != own {
				sum[1] += d
			} else {
				sum[0] += d
			}
		}
		for k, d := range sum {
			vector := a.segments[(k*a.Heads+j.head)*a.e:][:a.e]
			kernel.AddScaled(dq[(i-j.lo)*a.queryWidth:][:a.e], T(a.Factor)*d, vector)
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
func (a *attention[T]) copyScoresGradient(r *Runner[T], stage arch.Stage, factor T, s *scratch[T], t *tile, j job, keys int) {
	ld := s.width(t)
	for _, v := range a.gradients[stage] {
		a.copyView(r, v, r.out.Gradients[v.index], j, t, func(i, key int) T {
			if k := s.place(t, key); k < keys && !t.leavesOut(key) {
				return factor * s.dscores[(i-j.lo)*ld+k]
			}
			return 0
		})
	}
}

// copyPatternGradient copies the cotangent of the pattern, in s.dscores, to what
// is differentiated with respect to it. The weight of a key that is left out is
// 0 and has a cotangent all the same: what its value would add.
func (a *attention[T]) copyPatternGradient(r *Runner[T], s *scratch[T], t *tile, j job, keys int, w wayBack) {
	ld, kv := s.width(t), j.head/(a.Heads/a.KeyHeads)
	queries, own := r.sets[a.queries].starts[j.sequence], r.sets[a.keys].starts[j.sequence]
	for _, v := range a.gradients[arch.Pattern] {
		a.copyView(r, v, r.out.Gradients[v.index], j, t, func(i, key int) T {
			if t.leavesOut(key) {
				return kernel.Dot(r.row(w.dz, queries+i)[j.head*a.ev:(j.head+1)*a.ev], r.row(w.in[2], own+key)[kv*a.ev:(kv+1)*a.ev])
			}
			if k := s.place(t, key); k < keys {
				return s.dscores[(i-j.lo)*ld+k]
			}
			return 0
		})
	}
}

// changeGradient turns the cotangent of an edited stage into that of the stage
// before the edits.
func (a *attention[T]) changeGradient(r *Runner[T], stage arch.Stage, s *scratch[T], t *tile, j job) {
	ld := s.width(t)
	for _, e := range slices.Backward(a.edits[stage]) {
		a.visit(r, e.tileView, j, t, func(i, at, first, end, sequence int) {
			row := s.dscores[(i-j.lo)*ld:]
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
