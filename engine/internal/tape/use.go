package tape

import (
	"context"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/engine/result"
)

// view maps a selection of a point that has a row for a token, a read or a
// target to the columns of its node.
//
// The axes of such a point are B, the rows (unless there is one a sequence),
// and those of the columns.
type view struct {
	use
	batch bool // has the axis B
	row   int  // the axis of the rows, or −1
	// columns lists, in the order of the selection, the column of the node that
	// each selected value of a row is; an axis of heads that the node does not
	// have is repeated where the use is shared, and otherwise fixed.
	columns []int
	heads   []int // the place among the selected heads that the node fills, one for each column
	width   int   // selected values of a row
}

// viewOf returns the view of a use.
func viewOf(u use) *view {
	p := u.sel.Point
	v := &view{use: u, row: -1, batch: len(p.Axes) > 0 && p.Axes[0].Letter == "B"}
	first := 0
	if v.batch {
		first = 1
	}
	if first < len(p.Axes) && p.Axes[first].Size == 0 {
		v.row = first
		first++
	}
	// Walk the trailing axes in row-major order.
	type entry struct{ column, place int }
	entries := []entry{{0, 0}}
	v.width = 1
	for axis := first; axis < len(p.Axes); axis++ {
		size := p.Axes[axis].Size
		lo, hi := u.sel.Ranges[axis].Bounds(size)
		v.width *= hi - lo
		virtual := axis == headAxis(p) && (u.shared || u.head >= 0)
		var next []entry
		for _, e := range entries {
			for j := lo; j < hi; j++ {
				column := e.column*size + j
				if virtual {
					if u.head >= 0 && j != u.head {
						continue
					}
					column = e.column
				}
				next = append(next, entry{column, e.place*(hi-lo) + j - lo})
			}
		}
		entries = next
	}
	for _, e := range entries {
		v.columns, v.heads = append(v.columns, e.column), append(v.heads, e.place)
	}
	return v
}

// rows returns which positions of a sequence are selected.
func (v *view) rows(length int) (lo, hi int) {
	if v.row < 0 {
		return 0, length
	}
	return v.sel.Ranges[v.row].Bounds(length)
}

// sequence tells whether a sequence of the request is selected.
func (v *view) sequence(i, n int) bool {
	if !v.batch {
		return true
	}
	lo, hi := v.sel.Ranges[0].Bounds(n)
	return i >= lo && i < hi
}

// length returns the number of rows that the point has in a sequence.
func (r *Runner[T]) length(v *view, set arch.RowSet, seq int) int {
	if set == arch.Reads { // rows of Tokens that are read
		set = arch.Tokens
	}
	s := &r.sets[set]
	if set == arch.Relative {
		return s.count()
	}
	return s.starts[seq+1] - s.starts[seq]
}

// visit calls f for the rows [lo, hi) of a set that a view selects, with the
// place of the row among those selected in its sequence.
func (r *Runner[T]) visit(v *view, set arch.RowSet, lo, hi int, f func(seq, place, row int)) {
	total := len(r.out.Starts) - 1
	r.each(set, lo, hi, func(seq, position, row int) {
		if !v.sequence(r.batch.Sequence(seq), total) {
			return
		}
		if v.row < 0 {
			f(seq, 0, row)
			return
		}
		if set == arch.Targets {
			position = row - r.sets[set].starts[seq]
		}
		if first, end := v.rows(r.length(v, set, seq)); position >= first && position < end {
			f(seq, position-first, row)
		}
	})
}

// capture copies the selected part of a value to the output.
func (p *planner[T]) capture(from int, set arch.RowSet, u use) {
	p.copyOut(from, set, u, func(o *result.Output) *result.Activation { return &o.Values[u.index] }, func(_, x T) T { return x })
}

// differentiate adds the selected part of a cotangent to a gradient of the
// output, which is zero at first: several nodes may be parts of one point.
func (p *planner[T]) differentiate(from int, set arch.RowSet, u use) {
	p.copyOut(from, set, u, func(o *result.Output) *result.Activation { return &o.Gradients[u.index] }, func(sum, x T) T { return sum + x })
}

// copyOut combines the selected part of a buffer with an activation of the
// output.
func (p *planner[T]) copyOut(from int, set arch.RowSet, u use, to func(*result.Output) *result.Activation, combine func(old, x T) T) {
	v := viewOf(u)
	p.steps = append(p.steps, step[T]{reads: []int{from}, reuse: -1, lasting: true, rows: set, each: func(r *Runner[T], lo, hi int) {
		out := to(r.out)
		r.visit(v, set, lo, hi, func(seq, place, row int) {
			i := r.batch.Sequence(seq)
			if !v.batch {
				i = 0
			}
			dst, src := values[T](out.Sequences[i])[place*v.width:], r.row(from, row)
			for j, c := range v.columns {
				dst[v.heads[j]] = combine(dst[v.heads[j]], src[c])
			}
		})
	}})
}

// edit adds the step that changes a buffer.
func (p *planner[T]) edit(b int, set arch.RowSet, u use) {
	e, v := &p.req.Edits[u.index], viewOf(u)
	if e.Op == point.Mean {
		p.average(b, set, v)
		return
	}
	p.each(b, []int{b}, func(r *Runner[T], lo, hi int) {
		r.visit(v, set, lo, hi, func(seq, place, row int) {
			x := r.row(b, row)
			for j, c := range v.columns {
				x[c] = change(e, x[c], r.given(v, e, seq, place, v.heads[j]))
			}
		})
	})
}

// change applies an edit to a value; y is what the edit gives for it.
func change[T kernel.Float](e *point.Edit, x, y T) T {
	switch e.Op {
	case point.Add:
		return x + y
	case point.Multiply:
		return x * y
	}
	return y
}

// given returns what an edit gives for the value at a place: row place of
// sequence seq, value j of the row.
func (r *Runner[T]) given(v *view, e *point.Edit, seq, place, j int) T {
	if len(e.Values) == 1 {
		return T(e.Values[0])
	}
	// The index of each axis, from the last to the first.
	at, stride := 0, 1
	for axis := len(e.Shape) - 1; axis >= 0; axis-- {
		var index int
		switch {
		case axis == 0 && v.batch:
			lo, _ := v.sel.Ranges[0].Bounds(len(r.out.Starts) - 1)
			index = r.batch.Sequence(seq) - lo
		case axis == v.row:
			index = place
		default:
			lo, hi := v.sel.Ranges[axis].Bounds(v.sel.Point.Axes[axis].Size)
			index, j = j%(hi-lo), j/(hi-lo)
		}
		if e.Shape[axis] > 1 {
			at += index * stride
		}
		stride *= e.Shape[axis]
	}
	return T(e.Values[at])
}

// average replaces the selected values of a column by the mean over all rows of
// the sequence.
func (p *planner[T]) average(b int, set arch.RowSet, v *view) {
	p.columns(b, set, v, func(r *Runner[T], c, lo, hi int) {
		sum := 0.0
		for row := lo; row < hi; row++ {
			sum += float64(r.row(b, row)[c])
		}
		mean := T(sum / float64(hi-lo))
		r.visit(v, set, lo, hi, func(_, _, row int) { r.row(b, row)[c] = mean })
	})
}

// averageGradient turns the cotangent of averaged values into that of the values
// before: all rows share alike in what the selected ones, which are the mean,
// pass on, and the others pass on their own.
func (p *planner[T]) averageGradient(b int, set arch.RowSet, v *view) {
	p.columns(b, set, v, func(r *Runner[T], c, lo, hi int) {
		sum := 0.0
		r.visit(v, set, lo, hi, func(_, _, row int) {
			x := r.row(b, row)
			sum += float64(x[c])
			x[c] = 0
		})
		share := T(sum / float64(hi-lo))
		for row := lo; row < hi; row++ {
			r.row(b, row)[c] += share
		}
	})
}

// columns adds a step that calls f for each selected column of a buffer and the
// rows [lo, hi) of each sequence.
func (p *planner[T]) columns(b int, set arch.RowSet, v *view, f func(r *Runner[T], c, lo, hi int)) {
	p.whole([]int{b}, []int{b}, func(ctx context.Context, r *Runner[T]) error {
		s := &r.sets[set]
		for seq := range len(s.starts) - 1 {
			for _, c := range v.columns {
				f(r, c, s.starts[seq], s.starts[seq+1])
			}
		}
		return ctx.Err()
	})
}

// editGradient turns the cotangent of an edited value into that of the value
// before the edit.
func (p *planner[T]) editGradient(b int, set arch.RowSet, u use) {
	e, v := &p.req.Edits[u.index], viewOf(u)
	switch e.Op {
	case point.Add:
	case point.Mean:
		p.averageGradient(b, set, v)
	default:
		p.each(b, []int{b}, func(r *Runner[T], lo, hi int) {
			r.visit(v, set, lo, hi, func(seq, place, row int) {
				x := r.row(b, row)
				for j, c := range v.columns {
					if e.Op == point.Multiply {
						x[c] *= r.given(v, e, seq, place, v.heads[j])
					} else {
						x[c] = 0
					}
				}
			})
		})
	}
}
