package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestWiden checks every number of 16 bits against its definition: a sign, an
// exponent and a mantissa.
func TestWiden(t *testing.T) {
	for _, c := range []struct {
		format             Half
		exponent, mantissa int
	}{{BF16, 8, 7}, {F16, 5, 10}} {
		for bits := range 1 << 16 {
			e, m := bits>>c.mantissa&(1<<c.exponent-1), bits&(1<<c.mantissa-1)
			bias := 1<<(c.exponent-1) - 1
			want := math.Ldexp(1+math.Ldexp(float64(m), -c.mantissa), e-bias)
			switch {
			case e == 0:
				want = math.Ldexp(float64(m), 1-bias-c.mantissa)
			case e == 1<<c.exponent-1 && m == 0:
				want = math.Inf(1)
			case e == 1<<c.exponent-1:
				want = math.NaN()
			}
			want = math.Copysign(want, 0.5-float64(bits>>15))
			if g := float64(c.format.widen(uint16(bits))); (g != want || math.Signbit(g) != math.Signbit(want)) && !(math.IsNaN(g) && math.IsNaN(want)) {
				t.Fatalf("format %d: %#x is %v, want %v", c.format, bits, g, want)
			}
		}
	}
}

// TestLinear16 holds 16-bit weights to the bits of the widened ones.
func TestLinear16(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		for _, format := range []Half{BF16, F16} {
			r := rand.New(rand.NewPCG(25, uint64(format)))
			for _, in := range depthSizes {
				for _, out := range columnSizes {
					halves := make([]uint16, out*in)
					for i := range halves {
						halves[i] = uint16(r.Uint32())
						if r.IntN(8) > 0 { // close to 1 mostly, so that few sums are infinite
							halves[i] = halves[i]&0x80ff | map[Half]uint16{BF16: 0x3f00, F16: 0x3c00}[format]
						}
					}
					wide := make([]float32, out*in)
					for i, h := range halves {
						wide[i] = format.widen(h)
					}
					var bias []float32
					if r.IntN(3) > 0 {
						bias = randoms(r, out)
					}
					m := rowSizes[r.IntN(len(rowSizes))]
					if r.IntN(20) == 0 {
						m = 150
					}
					ldx, ldd := in+r.IntN(4), out+r.IntN(4)
					x, want := randoms(r, m*ldx), make([]float32, m*ldd)
					Linear(want, ldd, x, ldx, m, Pack(out, in, wide), bias)
					packed := Pack16(out, in, halves, format)
					dst := newGuarded(m*ldd, r.IntN(16))
					for lo := 0; lo < out; {
						hi := min(out, lo+packed.PanelColumns()*(1+r.IntN(3)))
						var b []float32
						if bias != nil {
							b = bias[lo:hi]
						}
						if m > 0 {
							Linear(dst.values[lo:], ldd, x, ldx, m, packed.Columns(lo, hi), b)
						}
						lo = hi
					}
					dst.check(t, func(i int) bool { return i%ldd < out })
					for i := range m {
						if !sameResults(dst.values[i*ldd:i*ldd+out], want[i*ldd:i*ldd+out]) {
							t.Fatalf("m=%d out=%d in=%d format=%d: row %d is %v, want %v", m, out, in, format, i, dst.values[i*ldd:i*ldd+out], want[i*ldd:i*ldd+out])
						}
					}
				}
			}
		}
	})
}

func TestNoAllocation16(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		const m, in, out = 20, 64, 50
		x, dst := make([]float32, m*in), make([]float32, m*out)
		for _, format := range []Half{BF16, F16} {
			w := Pack16(out, in, make([]uint16, out*in), format)
			if n := allocations(func() { Linear(dst, out, x, in, m, w, nil) }); n != 0 {
				t.Errorf("format %d allocates %v times a call", format, n)
			}
		}
	})
}

// sameResults is sameBits, but any NaN equals any other.
func sameResults(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) && (a[i] == a[i] || b[i] == b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// BenchmarkLinear16 compares the formats as a forward does it: with other
// weights at every call, so that no cache holds them.
func BenchmarkLinear16(b *testing.B) {
	const in, out, layers = 768, 3072, 16
	r := rand.New(rand.NewPCG(1, 2))
	halves, wide, bias := make([]uint16, out*in), make([]float32, out*in), randoms(r, out)
	for i := range halves {
		halves[i] = uint16(r.Uint32())&0x80ff | 0x3c00
		wide[i] = BF16.widen(halves[i])
	}
	for _, format := range []struct {
		name string
		pack func() *Weights[float32]
	}{
		{"f32", func() *Weights[float32] { return Pack(out, in, wide) }},
		{"bf16", func() *Weights[float32] { return Pack16(out, in, halves, BF16) }},
		{"f16", func() *Weights[float32] { return Pack16(out, in, halves, F16) }},
	} {
		var packed [layers]*Weights[float32]
		for i := range packed {
			packed[i] = format.pack()
		}
		for _, m := range []int{1, 4, 8, 16, 32, 128, 512} {
			b.Run(fmt.Sprintf("%s/m=%d", format.name, m), func(b *testing.B) {
				x, dst := randoms(r, m*in), make([]float32, m*out)
				for i := 0; b.Loop(); i++ {
					Linear(dst, out, x, in, m, packed[i%layers], bias)
				}
				rate(b, 2*float64(m)*float64(in)*float64(out))
			})
		}
	}
}
