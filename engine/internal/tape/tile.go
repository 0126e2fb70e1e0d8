package tape

import (
	"math"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/engine/result"
)

// tileView is a use of a point inside of attention, [B, H, queries, S].
type tileView struct {
	use
	targets bool // the queries are counted among the targets
}

type tileEdit struct {
	tileView
	edit *point.Edit
}

// copyOut copies a tile to what captures a stage.
func (a *attention[T]) copyOut(r *Runner[T], stage arch.Stage, s *scratch[T], t *tile, j job, factor float64) {
	if len(a.captures[stage]) == 0 {
		return
	}
	absent := T(0)
	if stage == arch.Scores {
		absent = T(math.Inf(-1))
	}
	ld := s.width(t)
	a.copyTerm(r, stage, j, t, func(i, key int) T {
		if t.leavesOut(key) {
			return absent
		}
		v := s.scores[(i-j.lo)*ld+s.place(t, key)]
		if factor != 1 {
			v *= T(factor)
		}
		return v
	})
}

// copyTerm copies the values of the queries of a tile to what captures a stage.
func (a *attention[T]) copyTerm(r *Runner[T], stage arch.Stage, j job, t *tile, value func(i, key int) T) {
	for _, v := range a.captures[stage] {
		a.copyView(r, v, r.out.Values[v.index], j, t, value)
	}
}

// copyView copies the selected values of the queries of a tile.
func (a *attention[T]) copyView(r *Runner[T], v tileView, out result.Activation, j job, t *tile, value func(i, key int) T) {
	a.visit(r, v, j, t, func(i, at, first, end, sequence int) {
		dst := values[T](out.Sequences[sequence])[at:]
		for key := first; key < end; key++ {
			dst[key-first] = value(i, key)
		}
	})
}

// visit calls f for each query of a tile that a view selects, with where its
// values begin in the selection and the keys [first, end) that are selected.
func (a *attention[T]) visit(r *Runner[T], v tileView, j job, t *tile, f func(i, at, first, end, sequence int)) {
	sequence := r.batch.Sequence(j.sequence)
	ranges := v.sel.Ranges
	if from, to := ranges[0].Bounds(len(r.out.Starts) - 1); sequence < from || sequence >= to {
		return
	}
	h0, h1 := ranges[1].Bounds(a.Heads)
	if j.head < h0 || j.head >= h1 {
		return
	}
	first, end := ranges[3].Bounds(t.keys)
	rows := t.length
	if v.targets {
		rows = r.sets[arch.Targets].starts[j.sequence+1] - r.sets[arch.Targets].starts[j.sequence]
	}
	q0, q1 := ranges[2].Bounds(rows)
	put := func(i, place int) {
		if place >= q0 && place < q1 {
			f(i, ((j.head-h0)*(q1-q0)+place-q0)*(end-first), first, end, sequence)
		}
	}
	for i := j.lo; i < j.hi; i++ {
		position := a.at(r, j, i)
		if !v.targets {
			put(i, position)
			continue
		}
		s := &r.sets[arch.Targets]
		for k, p := range s.index[s.starts[j.sequence]:s.starts[j.sequence+1]] {
			if p == position {
				put(i, k)
			}
		}
	}
}

// change applies edits of a stage to a tile of all keys. A mean is that over all
// keys that a query sees, and takes the place of the selected ones among them:
// what other edits show is left as it is. Scores of −Inf, those of hidden keys,
// are not scaled.
func (a *attention[T]) change(r *Runner[T], edits []tileEdit, x []T, s *scratch[T], t *tile, j job) {
	ld := s.width(t)
	for _, e := range edits {
		a.visit(r, e.tileView, j, t, func(i, at, first, end, sequence int) {
			row := x[(i-j.lo)*ld:]
			if e.edit.Op == point.Mean {
				average(row[:t.keys], first, end, a.seenBy(r, s, t, j, i))
				return
			}
			for key := first; key < end; key++ {
				if e.edit.Op == point.Multiply && hidden(row[key]) {
					continue
				}
				row[key] = change(e.edit, row[key], a.given(r, e, t, j, at, first, end, key))
			}
		})
	}
}

// hidden tells whether a score is that of a hidden key.
func hidden[T kernel.Float](score T) bool { return math.IsInf(float64(score), -1) }

// seenBy returns the keys that query i of a job sees, whatever edits show it.
func (a *attention[T]) seenBy(r *Runner[T], s *scratch[T], t *tile, j job, i int) (seen func(key int) bool) {
	position := a.at(r, j, i)
	return func(key int) bool { return a.visible(s, t, position, key) }
}

// average replaces those of the keys [first, end) of x that are seen by the mean
// over all that are.
func average[T kernel.Float](x []T, first, end int, seen func(key int) bool) {
	sum, n := 0.0, 0
	for key, v := range x {
		if seen(key) {
			sum += float64(v)
			n++
		}
	}
	for key := first; key < end; key++ {
		if seen(key) {
			x[key] = T(sum / float64(n))
		}
	}
}

// averageGradient turns dx, the cotangent of what [average] leaves, into that of
// what it is given: each key shares in the mean.
func averageGradient[T kernel.Float](dx []T, first, end int, seen func(key int) bool) {
	sum, n := 0.0, 0
	for key, v := range dx {
		if !seen(key) {
			continue
		}
		n++
		if key >= first && key < end {
			sum += float64(v)
			dx[key] = 0
		}
	}
	for key := range dx {
		if seen(key) {
			dx[key] += T(sum / float64(n))
		}
	}
}

// given returns what an edit gives for a key of the query whose selected values
// begin at a place of the selection.
func (a *attention[T]) given(r *Runner[T], e tileEdit, t *tile, j job, at, first, end, key int) T {
	edit := e.edit
	if len(edit.Values) == 1 {
		return T(edit.Values[0])
	}
	ranges := e.sel.Ranges
	b0, _ := ranges[0].Bounds(len(r.out.Starts) - 1)
	h0, _ := ranges[1].Bounds(a.Heads)
	// at is (head·queries + query)·keys, with the head known.
	n := end - first
	h := j.head - h0
	rows := t.length
	if e.targets {
		rows = r.sets[arch.Targets].starts[j.sequence+1] - r.sets[arch.Targets].starts[j.sequence]
	}
	q0, q1 := ranges[2].Bounds(rows)
	index := [4]int{r.batch.Sequence(j.sequence) - b0, h, at/n - h*(q1-q0), key - first}
	offset := 0
	for axis, i := range index {
		if edit.Shape[axis] == 1 {
			i = 0
		}
		offset = offset*edit.Shape[axis] + i
	}
	return T(edit.Values[offset])
}
