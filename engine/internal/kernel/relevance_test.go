package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSigned holds a layer whose signs are apart to the sums over what speaks for
// each output, and the way back through it to the shares that its inputs have
// of them: alike in every number format.
func TestSigned(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(29, 30))
		for _, dims := range [][2]int{{1, 1}, {37, 19}, {64, 96}, {100, 33}} {
			out, in := dims[0], dims[1]
			halves := make([]uint16, out*in)
			for i := range halves { // 1 … 2 in either format, with a sign
				halves[i] = uint16(r.Uint32())&0x807f | 0x3c00
			}
			for name, w := range map[string]*Weights[float32]{
				"float32": Pack(out, in, randoms(r, out*in)), "BF16": Pack16(out, in, halves, BF16), "F16": Pack16(out, in, halves, F16),
			} {
				const m = 3
				x, given := randoms(r, m*in), randoms(r, m*out)
				x[0] = 0
				// The weights, read off products with the unit vectors.
				units, columns := make([]float32, in*in), make([]float32, in*out)
				for i := range in {
					units[i*in+i] = 1
				}
				Linear(columns, out, units, in, in, w, nil)
				supports := func(row, o, i int) float64 { return max(float64(x[row*in+i])*float64(columns[i*out+o]), 0) }

				signed := w.Signed()
				signs, z := make([]float32, m*2*in), make([]float32, m*out)
				SplitSigns(signs, x, in)
				Linear(z, out, signs, 2*in, m, signed, nil)
				shares, back := make([]float32, m*2*in), make([]float32, m*in)
				Linear(shares, 2*in, given, out, m, signed.Transposed(), nil)
				JoinSigns(back, x, shares, in)
				for row := range m {
					for o := range out {
						want := 0.0
						for i := range in {
							want += supports(row, o, i)
						}
						if got := float64(z[row*out+o]); math.Abs(got-want) > 1e-5*want {
							t.Errorf("%s [%d, %d]: output %d, %d is %v, want %v", name, out, in, row, o, got, want)
						}
					}
					for i := range in {
						want, size := 0.0, 0.0
						for o := range out {
							v := float64(given[row*out+o]) * supports(row, o, i)
							want, size = want+v, size+math.Abs(v)
						}
						if got := float64(back[row*in+i]); math.Abs(got-want) > 1e-5*size {
							t.Errorf("%s [%d, %d]: input %d, %d has %v, want %v", name, out, in, row, i, got, want)
						}
					}
				}
			}
		}
	})
}

// TestShareSum: what two terms get adds up to what there was, in the ratio of the
// sums that each would have alone.
func TestShareSum(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for n := 1; n < 50; n++ {
		given, x, y := widen(randoms(r, n)), widen(randoms(r, n)), widen(randoms(r, n))
		a, b := make([]float64, n), make([]float64, n)
		ShareSum(a, b, given, x, y)
		var all, ofA, ofB, sumA, sumB float64
		for i, v := range given {
			all, ofA, ofB = all+v, ofA+v*x[i]/(x[i]+y[i]), ofB+v*y[i]/(x[i]+y[i])
			sumA, sumB = sumA+a[i], sumB+b[i]
		}
		if size := math.Abs(ofA) + math.Abs(ofB); math.Abs(sumA+sumB-all) > 1e-5*(math.Abs(all)+size) {
			t.Errorf("%d values of %v are shared out as %v and %v", n, all, sumA, sumB)
		}
		if math.Abs(sumA*math.Abs(ofB)-sumB*math.Abs(ofA)) > 1e-5*(math.Abs(sumA*ofB)+math.Abs(sumB*ofA)) {
			t.Errorf("%d values: %v and %v of %v and %v", n, sumA, sumB, ofA, ofB)
		}
	}
}

// TestDivide: nothing is divided by 0, and what is lost where it would be is said.
func TestDivide(t *testing.T) {
	z := []float32{2, 0, -1e-9, 1e-30, -4}
	r := []float32{1, 1, 1, 1, 1}
	got := make([]float32, len(z))
	Divide(got, r, z)
	for i, want := range []float64{0.5, 0, 1e9, 1e9, -0.25} {
		if math.Abs(float64(got[i])-want) > 1e-6*math.Abs(want) && i != 2 || math.IsInf(float64(got[i]), 0) {
			t.Errorf("1/%v is %v, want %v", z[i], got[i], want)
		}
	}
	kept, lost := Keep(got, r, z[:2])
	if math.Abs(kept-1) > 1e-8 || math.Abs(lost-1) > 1e-8 || got[1] != 0 {
		t.Errorf("%v: %v are kept and %v lost", got[:2], kept, lost)
	}
}

// TestWidenWeights: what is widened multiplies as the weights themselves do in double
// precision.
func TestWidenWeights(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(33, 34))
		const out, in = 37, 19
		halves := make([]uint16, out*in)
		for i := range halves {
			halves[i] = uint16(r.Uint32())&0x80ff | 0x3c00
		}
		for name, w := range map[string]*Weights[float32]{
			"float32": Pack(out, in, randoms(r, out*in)), "BF16": Pack16(out, in, halves, BF16), "F16": Pack16(out, in, halves, F16),
		} {
			units, single := make([]float32, in*in), make([]float32, in*out)
			for i := range in {
				units[i*in+i] = 1
			}
			Linear(single, out, units, in, in, w, nil)
			double := make([]float64, in*out)
			Linear(double, out, widen(units), in, in, w.Widen(), nil)
			for i, v := range double {
				if v != float64(single[i]) {
					t.Fatalf("%s: weight %d is %v, want %v", name, i, v, single[i])
				}
			}
		}
	})
}
