package kernel

import (
	"fmt"
	"slices"
	"unsafe"
)

// Panels is the right-hand matrix B, [in, out], of products that are known only
// at run time: the keys or the values of a head, or what attention's gradients
// are made of. [Panels.Stack] or [Panels.Transpose] packs it, and any number of
// products follow. The zero value is an empty matrix; its memory grows to what
// the largest matrix needs and is then reused, so keep one per worker. It must
// not be used by two goroutines at once.
//
// A value of a product is the sum over the rows of B in ascending order: its bits
// do not depend on the number of rows or columns that are computed with it.
type Panels[T Float] struct {
	in, out int
	// values holds ⌈out/columns⌉ panels of [in, columns] values, as [Weights]
	// does; what lies past out is arbitrary.
	values []T
	// staged brings rows together that do not lie at one stride, in panels of
	// as many rows as interleave takes.
	staged []T
	family *family
}

// Rows are rows of a row-major matrix, Stride elements apart. Where Mask is not
// nil, the rows i with Mask[i] == 0 are left out: the others are shown.
type Rows[T Float] struct {
	Data      []T
	Stride, N int
	Mask      []uint8 // N values
}

// check panics unless r holds its rows of n values.
func (r Rows[T]) check(n int) {
	checkMatrix("rows", len(r.Data), r.N, n, r.Stride)
	if r.Mask != nil && len(r.Mask) != r.N {
		panic(fmt.Sprintf("kernel: mask has %d values for %d rows", len(r.Mask), r.N))
	}
}

// Shown returns the number of rows that are shown.
func (r Rows[T]) Shown() int {
	if r.Mask == nil {
		return r.N
	}
	n := 0
	for _, shown := range r.Mask {
		if shown != 0 {
			n++
		}
	}
	return n
}

// run returns the first of the longest stretches of shown rows, [lo, hi), that
// begin at row from or later; it is empty where there is none.
func (r Rows[T]) run(from int) (lo, hi int) {
	if r.Mask == nil {
		return from, r.N
	}
	for lo = from; lo < r.N && r.Mask[lo] == 0; lo++ {
	}
	for hi = lo; hi < r.N && r.Mask[hi] != 0; hi++ {
	}
	return lo, hi
}

// shown returns the number of rows, of width values each, that the parts show.
func shown[T Float](width int, parts []Rows[T]) int {
	n := 0
	for _, part := range parts {
		part.check(width)
		n += part.Shown()
	}
	return n
}

// prepare makes room for a matrix [in, out].
func (p *Panels[T]) prepare(in, out int) {
	p.family = familyOf[T]()
	p.in, p.out = in, out
	p.values = grow(p.values, roundUp(out, p.family.columns)*in)
}

// Stack packs B = scale·rows, [in, out], and returns in: the number of rows that
// the parts show, one part below the other. out is their width.
func (p *Panels[T]) Stack(out int, scale T, parts ...Rows[T]) (in int) {
	p.prepare(shown(out, parts), out)
	if out == 0 {
		return p.in
	}
	i := 0
	for _, part := range parts {
		for lo, hi := part.run(0); lo < hi; lo, hi = part.run(hi) {
			p.stack(p.values, p.in, i, part.Data[lo*part.Stride:], part.Stride, hi-lo, out, scale)
			i += hi - lo
		}
	}
	return p.in
}

// Transpose packs B = scale·rowsᵀ, [in, out], and returns out: column j is scale
// times the j-th row that the parts show, and in is the width of a row.
func (p *Panels[T]) Transpose(in int, scale T, parts ...Rows[T]) (out int) {
	p.prepare(in, shown(in, parts))
	if in == 0 {
		return p.out
	}
	// Rows become columns in groups of lanes. Those that no run of rows fills
	// are brought together first.
	lanes, columns := p.family.lanes, p.family.columns
	p.staged = grow(p.staged, roundUp(in, columns)*lanes)
	column, staged := 0, 0 // the columns that are done, and the rows that wait
	unstage := func() {
		for i := 0; i < in; i += columns {
			p.interleave(i, column, p.staged[i*lanes:], columns, min(columns, in-i), scale)
		}
		column, staged = column+lanes, 0
	}
	for _, part := range parts {
		for lo, hi := part.run(0); lo < hi; lo, hi = part.run(hi) {
			for lo < hi {
				rows := part.Data[lo*part.Stride:]
				if staged == 0 && hi-lo >= lanes {
					p.interleave(0, column, rows, part.Stride, in, scale)
					lo, column = lo+lanes, column+lanes
					continue
				}
				n := min(lanes-staged, hi-lo)
				p.stack(p.staged, lanes, staged, rows, part.Stride, n, in, 1)
				lo, staged = lo+n, staged+n
				if staged == lanes {
					unstage()
				}
			}
		}
	}
	if staged > 0 {
		unstage() // the columns of the rows that have not come are arbitrary
	}
	return p.out
}

// stack writes scale times n rows, of width values at stride ld, as the rows from
// row on of panels that have height rows.
func (p *Panels[T]) stack(panels []T, height, row int, rows []T, ld, n, width int, scale T) {
	columns := p.family.columns
	for c := 0; c < width; c += columns {
		to, from, w := panels[c*height+row*columns:], rows[c:], min(columns, width-c)
		if to, ok := any(to).([]float32); ok {
			p.family.stack(to, columns, any(from).([]float32), ld, n, w, float32(scale))
		} else {
			stack(panels[c*height+row*columns:], columns, from, ld, n, w, scale)
		}
	}
}

// interleave writes scale times lanes rows, of n values at stride ld, as the
// columns from column on of the rows of B from row on.
func (p *Panels[T]) interleave(row, column int, rows []T, ld, n int, scale T) {
	columns := p.family.columns
	to := p.values[column/columns*columns*p.in+row*columns+column%columns:]
	if to, ok := any(to).([]float32); ok {
		p.family.interleave(to, columns, any(rows).([]float32), ld, p.family.lanes, n, float32(scale))
		return
	}
	interleave(to, columns, rows, ld, p.family.lanes, n, scale)
}

// Blank sets those of the first in rows of B to 0 that hold a NaN or an
// infinity, and returns to with their places appended.
func (p *Panels[T]) Blank(to []int, in int) []int {
	columns := p.family.columns
	part := func(i, c int) []T { return p.values[c*p.in+i*columns:][:min(columns, p.out-c)] }
	infinite := func(v T) bool { return v-v != 0 }
	for i := range in {
		finite := true
		for c := 0; c < p.out; c += columns {
			finite = finite && !slices.ContainsFunc(part(i, c), infinite)
		}
		if finite {
			continue
		}
		to = append(to, i)
		for c := 0; c < p.out; c += columns {
			clear(part(i, c))
		}
	}
	return to
}

// Multiply computes dst = a·B[:in, :out], or dst += a·B[:in, :out] with add, for
// the first in rows and out columns of what p holds: dst is [m, out] with row
// stride ldd and a is [m, in] with row stride lda. The rows of B from in on do
// not enter, whatever they hold. dst must not overlap a.
func (p *Panels[T]) Multiply(dst []T, ldd int, a []T, lda, m, in, out int, add bool) {
	checkMatrix("a", len(a), m, in, lda)
	p.multiply(dst, ldd, a, lda, false, m, in, out, add)
}

// MultiplyTransposed computes dst = aᵀ·B[:in, :out], or dst += aᵀ·B[:in, :out]
// with add, for the first in rows and out columns of what p holds: dst is
// [m, out] with row stride ldd and a is [in, m] with row stride lda. Its bits
// are those of [Panels.Multiply] with a transposed. dst must not overlap a.
func (p *Panels[T]) MultiplyTransposed(dst []T, ldd int, a []T, lda, m, in, out int, add bool) {
	checkMatrix("a", len(a), in, m, lda)
	p.multiply(dst, ldd, a, lda, true, m, in, out, add)
}

func (p *Panels[T]) multiply(dst []T, ldd int, a []T, lda int, transposed bool, m, in, out int, add bool) {
	checkMatrix("dst", len(dst), m, out, ldd)
	if in < 0 || in > p.in || out > p.out {
		panic(fmt.Sprintf("kernel: product with [%d, %d] of a matrix of [%d, %d]", in, out, p.in, p.out))
	}
	switch {
	case m == 0 || out == 0 || in == 0 && add:
	case in == 0:
		for r := range m {
			clear(dst[r*ldd : r*ldd+out])
		}
	default:
		if a, ok := any(a).([]float32); ok {
			p.family.product(any(dst).([]float32), ldd, a, lda, transposed, m, any(p.values).([]float32), p.in, in, out, nil, add)
			return
		}
		product(dst, ldd, a, lda, transposed, m, p.values, p.in, in, out, nil, add)
	}
}

// grow returns a slice of n values, reusing s where it is long enough.
func grow[T Float](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// PanelsBytes returns an upper bound of the memory, in bytes, that a [Panels]
// keeps for a matrix [in, out].
func PanelsBytes[T Float](in, out int) int64 {
	f := familyOf[T]()
	values := int64(in)*int64(roundUp(out, f.columns)) + int64(roundUp(in, f.columns))*int64(f.lanes)
	return values * int64(unsafe.Sizeof(T(0)))
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
