package kernel

import (
	"fmt"
	"unsafe"
)

// Panels is the right-hand matrix B, [in, out], of products that are known only
// at run time: the keys or the values of a head, or what attention's gradients
// are made of. [Panels.Stack] or [Panels.Transpose] packs it, and any number of
// products follow. The zero value is an empty matrix; its memory grows to what
// the largest matrix needs and is then reused, so keep one per worker. It must
// not be used by two goroutines at once.
//
// A value of a product is the sum over the rows of B in ascending order, in the
// blocks that [Linear] has: its bits do not depend on the number of rows or
// columns that are computed with it.
type Panels[T Float] struct {
	in, out int
	// values holds ⌈out/columns⌉ panels of [in, columns] values, as [Weights]
	// does; what lies past out is arbitrary.
	values []T
	// staged brings rows together that do not lie at one stride.
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
	width, i := p.family.columns, 0
	for _, part := range parts {
		for lo, hi := part.run(0); lo < hi; lo, hi = part.run(hi) {
			for c := 0; c < out; c += width {
				to, from, w := p.values[c*p.in+i*width:], part.Data[lo*part.Stride+c:], min(width, out-c)
				if narrow, ok := any(from).([]float32); ok {
					p.family.stack(any(to).([]float32), width, narrow, part.Stride, hi-lo, w, float32(scale))
				} else {
					stack(to, width, from, part.Stride, hi-lo, w, scale)
				}
			}
			i += hi - lo
		}
	}
	return p.in
}

// Transpose packs B = scale·rowsᵀ, [in, out], and returns out: column j is scale
// times the j-th row that the parts show, and in is the width of a row.
func (p *Panels[T]) Transpose(in int, scale T, parts ...Rows[T]) (out int) {
	p.prepare(in, shown(in, parts))
	width, lanes := p.family.columns, p.family.lanes
	p.staged = grow(p.staged, lanes*in)
	column, staged := 0, 0 // the columns that are done, and the rows that wait
	flush := func(rows []T, ld, n int) {
		to := p.values[min(column/width*width*in+column%width, len(p.values)):] // in may be 0
		if narrow, ok := any(rows).([]float32); ok {
			p.family.interleave(any(to).([]float32), width, narrow, ld, n, in, float32(scale))
		} else {
			interleave(to, width, rows, ld, n, in, scale)
		}
		column += n
	}
	for _, part := range parts {
		for lo, hi := part.run(0); lo < hi; lo, hi = part.run(hi) {
			for lo < hi {
				if staged == 0 && hi-lo >= lanes {
					flush(part.Data[lo*part.Stride:], part.Stride, lanes)
					lo += lanes
					continue
				}
				copy(p.staged[staged*in:(staged+1)*in], part.Data[lo*part.Stride:])
				lo++
				if staged++; staged == lanes {
					flush(p.staged, in, lanes)
					staged = 0
				}
			}
		}
	}
	if staged > 0 {
		flush(p.staged, in, staged)
	}
	return p.out
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

// PanelsBytes returns an upper bound of the memory, in bytes, that a [Panels]
// keeps for a matrix [in, out].
func PanelsBytes[T Float](in, out int) int64 {
	f := familyOf[T]()
	return int64(unsafe.Sizeof(T(0))) * int64(in) * int64(roundUp(out, f.columns)+f.lanes)
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
