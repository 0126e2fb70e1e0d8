package toy

import "math/rand/v2"

// stream draws weights.
type stream struct{ pcg *rand.PCG }

func source(seed, name uint64) stream { return stream{rand.NewPCG(seed, name)} }

// unit returns a number in [0, 1).
func (s stream) unit() float64 { return float64(float64(s.pcg.Uint64()>>11) * 0x1p-53) }

// weight returns a float32 in [-size, size), evenly.
func (s stream) weight(size float64) float64 {
	return float64(float32(float64((float64(2*s.unit()) - 1) * size)))
}

// weights returns n of them.
func (s stream) weights(n int, size float64) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = s.weight(size)
	}
	return w
}
