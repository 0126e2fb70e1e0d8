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
// is packed in panels of n columns, which lie as those of the format do.
func transposePanels[E any](dst, src []E, out, in, n int, format Half) {
	for o := range out {
		panel := src[o/n*n*in+format.place(o%n, n):]
		for i := range in {
			dst[i/n*n*out+o*n+format.place(i%n, n)] = panel[i*n]
		}
	}
}
