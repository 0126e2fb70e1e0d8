package kernel

import "unsafe"

// Bytes returns the size of the packed values.
func (w *Weights[T]) Bytes() int64 {
	return int64(len(w.panels))*int64(unsafe.Sizeof(T(0))) + int64(len(w.halves))*2 + int64(len(w.words))*4
}

// Transposed returns the weights of the way back through a linear layer,
// dx = dy·W, in the number format that w is packed in. Weights of 8 bits have
// none: their layer goes in steps, and its derivative is 0.
func (w *Weights[T]) Transposed() *Weights[T] {
	if w.group != 0 {
		panic("kernel: no way back through weights of 8 bits")
	}
	n := w.columns
	t := &Weights[T]{out: w.in, in: w.out, columns: n, family: w.family, format: w.format}
	size := (t.out + n - 1) / n * n * t.in
	if w.format != 0 {
		t.halves = make([]uint16, size)
		transposePanels(t.halves, w.halves, w.out, w.in, n, w.format)
	} else {
		t.panels = make([]T, size)
		transposePanels(t.panels, w.panels, w.out, w.in, n, w.format)
	}
	return t
}

// transposePanels writes the panels of the transpose of a matrix [out, in] that
// is packed in panels of n columns, which lie as those of the format do. It goes
// by blocks of n rows and n columns, which stay in the cache.
func transposePanels[E any](dst, src []E, out, in, n int, format Half) {
	places := make([]int, n)
	for c := range places {
		places[c] = format.place(c, n)
	}
	for i0 := 0; i0 < in; i0 += n {
		columns := min(n, in-i0)
		for o0 := 0; o0 < out; o0 += n {
			for o := range min(n, out-o0) {
				row := dst[i0*out+(o0+o)*n:][:n]
				panel := src[o0*in+i0*n+places[o]:]
				for i := range columns {
					row[places[i]] = panel[i*n]
				}
			}
		}
	}
}
