package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestTransposed compares with the packing of the transposed matrix, in every
// number format.
func TestTransposed(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(27, 28))
		for _, dims := range [][2]int{{1, 1}, {37, 19}, {64, 96}, {100, 33}} {
			out, in := dims[0], dims[1]
			halves, wide := make([]uint16, out*in), randoms(r, out*in)
			for i := range halves {
				halves[i] = uint16(r.Uint32())&0x80ff | 0x3c00
			}
			halvesBack, wideBack := transposed(halves, out, in), transposed(wide, out, in)
			const m = 5
			x, got, want := randoms(r, m*out), make([]float32, m*in), make([]float32, m*in)
			for name, pair := range map[string][2]*Weights[float32]{
				"float32": {Pack(out, in, wide), Pack(in, out, wideBack)},
				"BF16":    {Pack16(out, in, halves, BF16), Pack16(in, out, halvesBack, BF16)},
				"F16":     {Pack16(out, in, halves, F16), Pack16(in, out, halvesBack, F16)},
			} {
				Linear(got, in, x, out, m, pair[0].Transposed(), nil)
				Linear(want, in, x, out, m, pair[1], nil)
				if !sameBits(got, want) {
					t.Errorf("%s [%d, %d]: %v, want %v", name, out, in, got, want)
				}
			}
		}
	})
}

// transposed returns the transpose of a matrix [rows, columns].
func transposed[E any](w []E, rows, columns int) []E {
	t := make([]E, len(w))
	for i, v := range w {
		t[i%columns*rows+i/columns] = v
	}
	return t
}
