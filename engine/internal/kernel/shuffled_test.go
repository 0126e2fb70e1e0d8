package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestShuffled compares with the packing of the shuffled matrix, in every number
// format, and looks whether the weights themselves stay.
func TestShuffled(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, dims := range [][2]int{{1, 1}, {37, 19}, {64, 96}, {100, 33}} {
			out, in := dims[0], dims[1]
			shuffle := func() func(n int, swap func(i, j int)) { return rand.New(rand.NewPCG(7, 8)).Shuffle }
			halves, wide := make([]uint16, out*in), randoms(r, out*in)
			for i := range halves {
				halves[i] = uint16(r.Uint32())&0x80ff | 0x3c00
			}
			halvesAfter, wideAfter, rowsAfter := slices.Clone(halves), slices.Clone(wide), slices.Clone(wide)
			shuffle()(out*in, func(i, j int) { wideAfter[i], wideAfter[j] = wideAfter[j], wideAfter[i] })
			shuffle()(out*in, func(i, j int) { halvesAfter[i], halvesAfter[j] = halvesAfter[j], halvesAfter[i] })
			rows := shuffle()
			for row := range slices.Chunk(rowsAfter, in) {
				rows(in, func(i, j int) { row[i], row[j] = row[j], row[i] })
			}
			const m = 3
			x, got, want := randoms(r, m*in), make([]float32, m*out), make([]float32, m*out)
			for name, of := range map[string]func(halves []uint16, wide, rows []float32) *Weights[float32]{
				"float32": func(_ []uint16, w, _ []float32) *Weights[float32] { return Pack(out, in, w) },
				"BF16":    func(w []uint16, _, _ []float32) *Weights[float32] { return Pack16(out, in, w, BF16) },
				"F16":     func(w []uint16, _, _ []float32) *Weights[float32] { return Pack16(out, in, w, F16) },
				"int8":    func(_ []uint16, _, w []float32) *Weights[float32] { return PackInt8(out, in, w) },
			} {
				before := of(halves, wide, wide)
				product := func(w *Weights[float32], dst []float32) []float32 {
					Linear(dst, out, x, in, m, w, nil)
					return dst
				}
				unchanged := slices.Clone(product(before, got))
				if !sameBits(product(before.Shuffled(shuffle()), got), product(of(halvesAfter, wideAfter, rowsAfter), want)) {
					t.Errorf("%s [%d, %d]: %v, want %v", name, out, in, got, want)
				}
				if !sameBits(product(before, got), unchanged) {
					t.Errorf("%s [%d, %d]: shuffling a copy changed the weights", name, out, in)
				}
			}
		}
	})
}
