package kernel

import (
	"math"
)

// Signed returns the weights [out, 2·in] that hold max(W, 0) beside min(W, 0), in
// the number format that w is packed in: with [max(x, 0) ‖ min(x, 0)] for x they
// add up what speaks for each output, and nothing cancels. Weights of 8 bits
// have none.
func (w *Weights[T]) Signed() *Weights[T] {
	if w.group != 0 {
		panic("kernel: no signs apart in weights of 8 bits")
	}
	s := &Weights[T]{out: w.out, in: 2 * w.in, columns: w.columns, family: w.family, format: w.format}
	if w.format != 0 {
		s.halves = make([]uint16, 2*len(w.halves))
		const sign = 0x8000
		splitPanels(s.halves, w.halves, w.in*w.columns, func(v uint16) bool { return v&sign != 0 })
	} else {
		s.panels = make([]T, 2*len(w.panels))
		splitPanels(s.panels, w.panels, w.in*w.columns, func(v T) bool { return math.Signbit(float64(v)) })
	}
	return s
}

// splitPanels writes each panel of src, of a size, twice to dst: without the
// values that are negative, then without the others.
func splitPanels[E comparable](dst, src []E, size int, negative func(v E) bool) {
	for from := 0; from < len(src); from += size {
		up, down := dst[2*from:2*from+size], dst[2*from+size:2*(from+size)]
		for i, v := range src[from : from+size] {
			if negative(v) {
				down[i] = v
			} else {
				up[i] = v
			}
		}
	}
}

// SplitSigns writes [max(x, 0) ‖ min(x, 0)] of each row of x, [len(x)/d, d], to
// dst, [len(x)/d, 2·d]: what [Weights.Signed] takes. A NaN stands on both sides.
func SplitSigns[T Float](dst, x []T, d int) {
	for row := 0; row < len(x); row += d {
		up, down := dst[2*row:2*row+d], dst[2*row+d:2*(row+d)]
		for j, v := range x[row : row+d] {
			up[j], down[j] = max(v, 0), min(v, 0)
		}
	}
}

// JoinSigns computes dst = max(x, 0)∘c₁ + min(x, 0)∘c₂ for the rows of x, [len(x)/d,
// d], and those of c, [c₁ ‖ c₂]. dst may be x.
func JoinSigns[T Float](dst, x, c []T, d int) {
	for row := 0; row < len(x); row += d {
		up, down := c[2*row:2*row+d], c[2*row+d:2*(row+d)]
		for j, v := range x[row : row+d] {
			if v >= 0 {
				dst[row+j] = v * up[j]
			} else {
				dst[row+j] = v * down[j]
			}
		}
	}
}

// Widen returns the weights in double precision, which is exact. Weights of 8 bits
// have none.
func (w *Weights[T]) Widen() *Weights[float64] {
	if w.group != 0 {
		panic("kernel: weights of 8 bits are not widened")
	}
	f := familyOf[float64]()
	n := f.columns
	p := &Weights[float64]{out: w.out, in: w.in, columns: n, family: f}
	p.panels = make([]float64, (w.out+n-1)/n*n*w.in)
	for o := range w.out {
		to, from := p.panels[o/n*n*w.in:], o/w.columns*w.columns*w.in
		place := from + w.format.place(o%w.columns, w.columns)
		for i := range w.in {
			at := place + i*w.columns
			if w.format != 0 {
				to[i*n+o%n] = float64(w.format.widen(w.halves[at]))
			} else {
				to[i*n+o%n] = float64(w.panels[at])
			}
		}
	}
	return p
}
