package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestInt8 holds products of 8 bits to what PackInt8 says that they are,
// computed in double precision, and in every family to the same bits.
func TestInt8(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for _, in := range depthSizes {
		for _, out := range columnSizes {
			w, bias := randoms(r, out*in), randoms(r, out)
			if r.IntN(3) == 0 {
				bias = nil
			}
			m := rowSizes[r.IntN(len(rowSizes))]
			if r.IntN(20) == 0 {
				m = 150
			}
			ldx, ldd := in+r.IntN(4), out+r.IntN(4)
			x := randoms(r, m*ldx)
			for i := range m { // rows of other sizes, of one sign, of one value
				row := x[i*ldx:][:in]
				switch r.IntN(6) {
				case 0:
					for j := range row {
						row[j] = float32(math.Abs(float64(row[j])))
					}
				case 1:
					for j := range row {
						row[j] *= -1e-20
					}
				case 2:
					clear(row)
				}
			}
			want := oracle8(x, ldx, m, w, out, in, bias)
			eachFamily8(t, func(t *testing.T) {
				packed := PackInt8(out, in, w)
				if o, i := packed.Dims(); o != out || i != in {
					t.Fatalf("Dims() = %d, %d, want %d, %d", o, i, out, in)
				}
				dst := newGuarded(m*ldd, r.IntN(16))
				for lo := 0; lo < out; {
					hi := min(out, lo+packed.PanelColumns()*(1+r.IntN(3)))
					var b []float32
					if bias != nil {
						b = bias[lo:hi]
					}
					part := packed.Columns(lo, hi)
					if m > 0 && r.IntN(2) == 0 {
						Linear(dst.values[lo:], ldd, x, ldx, m, part, b)
					} else if m > 0 { // rounded once, multiplied in two pieces
						var q Rows8[float32]
						cut := r.IntN(m + 1)
						q.Reset(m, packed)
						q.Set(x, ldx, cut, m)
						q.Set(x, ldx, 0, cut)
						Linear8(dst.values[lo:], ldd, &q, 0, cut, part, b)
						if cut < m {
							Linear8(dst.values[cut*ldd+lo:], ldd, &q, cut, m-cut, part, b)
						}
					}
					lo = hi
				}
				dst.check(t, func(i int) bool { return i%ldd < out })
				for i := range m {
					if got := dst.values[i*ldd : i*ldd+out]; !sameBits(got, want[i*out:(i+1)*out]) {
						t.Fatalf("m=%d out=%d in=%d: row %d is %v, want %v", m, out, in, i, got, want[i*out:(i+1)*out])
					}
				}
			})
		}
	}
}

// oracle8 is the definition of products of 8 bits, with nothing packed.
func oracle8(x []float32, ldx, m int, w []float32, out, in int, bias []float32) []float32 {
	y := make([]float32, m*out)
	for r := range m {
		low, high := float32(0), float32(0)
		for _, v := range x[r*ldx:][:in] {
			low, high = min(low, v), max(high, v)
		}
		step, inverse := (high-low)/255, 255/(high-low)
		if high-low < 0x1p-100 {
			step, inverse = 0, 0
		}
		zero := math.RoundToEven(float64(-low * inverse))
		for o := range out {
			largest := 0.0
			for _, v := range w[o*in:][:in] {
				largest = max(largest, math.Abs(float64(v)))
			}
			sum := 0.0 // exact
			for i, v := range w[o*in:][:in] {
				q := min(255, math.RoundToEven(float64(x[r*ldx+i]*inverse))+zero)
				if largest > 0 {
					sum += (q - zero) * math.RoundToEven(float64(v)/largest*127)
				}
			}
			v := float32(sum) * step * (float32(largest) / 127)
			if bias != nil {
				v = float32(v) + bias[o]
			}
			y[r*out+o] = v
		}
	}
	return y
}

// TestInt8Error bounds what rounding does to a product: half a step of each
// activation (a whole one where its zero point is rounded the other way), and
// half a step of each weight.
func TestInt8Error(t *testing.T) {
	eachFamily8(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(33, 34))
		const m, in, out = 7, 200, 40
		for range 20 {
			w, x, got := randoms(r, out*in), randoms(r, m*in), make([]float32, m*out)
			Linear(got, out, x, in, m, PackInt8(out, in, w), nil)
			want, _ := oracleLinear(x, in, m, w, out, in, nil)
			for i := range m {
				low, high, magnitude := 0.0, 0.0, 0.0
				for _, v := range x[i*in:][:in] {
					low, high, magnitude = min(low, float64(v)), max(high, float64(v)), magnitude+math.Abs(float64(v))
				}
				for o := range out {
					largest, weights := 0.0, 0.0
					for _, v := range w[o*in:][:in] {
						largest, weights = max(largest, math.Abs(float64(v))), weights+math.Abs(float64(v))
					}
					scale := largest / 127
					bound := 1.01 * ((high-low)/255*(weights+in*scale/2) + scale/2*magnitude)
					if d := math.Abs(float64(got[i*out+o]) - want[i*out+o]); !(d <= bound) {
						t.Fatalf("[%d, %d] is %v, want %v ± %v", i, o, got[i*out+o], want[i*out+o], bound)
					}
				}
			}
		}
	})
}

// TestInt8Extremes reaches the largest sums: no product saturates, and no sum
// overflows.
func TestInt8Extremes(t *testing.T) {
	eachFamily8(t, func(t *testing.T) {
		for _, in := range []int{1, 2, 4, 64, 3072, Int8Depth} {
			const m, out = 3, 33
			x, w := make([]float32, m*in), make([]float32, out*in)
			for i := range in {
				x[i], x[in+i], x[2*in+i] = 255, -255, 255*float32(i%2)
				for o := range out {
					w[o*in+i] = []float32{127, -127, 127 * float32(1-2*(i%2))}[o%3]
				}
			}
			dst := make([]float32, m*out)
			Linear(dst, out, x, in, m, PackInt8(out, in, w), nil)
			for i := range m {
				for o := range out {
					sum := 0.0
					for j := range in {
						sum += float64(x[i*in+j]) * float64(w[o*in+j])
					}
					if got := dst[i*out+o]; got != float32(sum) {
						t.Fatalf("in=%d: [%d, %d] is %v, want %v", in, i, o, got, sum)
					}
				}
			}
		}
	})
}

// TestInt8Special holds rows and weights that are no numbers, or nearly zeros,
// to what PackInt8 says.
func TestInt8Special(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachFamily8(t, func(t *testing.T) {
		for _, in := range []int{1, 5, 16, 70, 129} {
			for _, special := range []struct {
				value, other float32
				want         float32 // NaN, or the bias
			}{
				{nan, 1, nan}, {inf, 1, nan}, {-inf, 1, nan}, {math.MaxFloat32, -math.MaxFloat32, nan},
				{0, 0, 2}, {float32(math.Copysign(0, -1)), 0, 2}, {1e-38, -1e-40, 2}, {0x1p-101, 0, 2},
			} {
				if in == 1 && special.other < -1 {
					continue
				}
				for at := range in {
					x := make([]float32, 3*in)
					for i := range x {
						x[i] = 1
						if i/in == 1 {
							x[i] = special.other
						}
					}
					x[in+at] = special.value
					const out = 17
					w, bias := make([]float32, out*in), make([]float32, out)
					for i := range w {
						w[i] = 1
					}
					w[3*in+at] = nan
					w[4*in+at] = -inf
					for o := range bias {
						bias[o] = 2
					}
					clear(w[5*in : 6*in])
					dst := make([]float32, 3*out)
					Linear(dst, out, x, in, 3, PackInt8(out, in, w), bias)
					for i, v := range dst {
						want := float32(in + 2)
						switch o := i % out; {
						case i/out == 1:
							want = special.want
						case o == 5:
							want = 2
						}
						if o := i % out; o == 3 || o == 4 {
							want = nan
						}
						if d := math.Abs(float64(v - want)); want == want && !(d <= 1e-4*float64(want)) || want != want && v == v {
							t.Fatalf("in=%d, %v at %d: [%d, %d] is %v, want %v", in, special, at, i/out, i%out, v, want)
						}
					}
				}
			}
		}
	})
}

// TestInt8Size checks the size of weights, and what they refuse.
func TestInt8Size(t *testing.T) {
	eachFamily8(t, func(t *testing.T) {
		w := PackInt8(64, 256, make([]float32, 64*256))
		if want := int64(64*256 + 2*4*64); w.Bytes() != want {
			t.Errorf("Bytes() = %d, want %d", w.Bytes(), want)
		}
		if n := allocations(func() { Linear(nil, 64, nil, 256, 0, w, nil) }); n != 0 {
			t.Errorf("no rows allocate %v times", n)
		}
		x, dst := make([]float32, 20*256), make([]float32, 20*64)
		if n := allocations(func() { Linear(dst, 64, x, 256, 20, w, nil) }); n != 0 {
			t.Errorf("a product allocates %v times", n)
		}
		for name, f := range map[string]func(){
			"too deep":       func() { PackInt8(0, Int8Depth+1, nil) },
			"transposed":     func() { w.Transposed() },
			"not of 8 bits":  func() { new(Rows8[float32]).Reset(1, Pack(1, 1, []float32{1})) },
			"other inputs":   func() { var q Rows8[float32]; q.Reset(1, w); Linear8(dst, 1, &q, 0, 1, PackInt8(1, 1, x), nil) },
			"too many rows":  func() { var q Rows8[float32]; q.Reset(1, w); Linear8(dst, 64, &q, 0, 2, w, nil) },
			"rows not there": func() { var q Rows8[float32]; q.Reset(1, w); q.Set(x, 256, 0, 2) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				f()
			}()
		}
	})
}

// eachFamily8 runs a test with each family, and with each code for weights of 8
// bits that the processor has.
func eachFamily8(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	eachFamily(t, test)
	before := active.Load()
	defer active.Store(before)
	for _, f := range others8() {
		active.Store(f)
		t.Run(f.name, test)
	}
}

// BenchmarkInt8 compares the formats, the rounding of activations included, as a
// forward does it: with other weights at every call, so that no cache holds
// them.
func BenchmarkInt8(b *testing.B) {
	for _, shape := range []struct{ in, out int }{{768, 768}, {768, 2304}, {768, 3072}, {3072, 768}} {
		layers := 64 << 20 / (4 * shape.in * shape.out)
		r := rand.New(rand.NewPCG(1, 2))
		w, bias := randoms(r, shape.out*shape.in), randoms(r, shape.out)
		packed := map[string][]*Weights[float32]{}
		for range layers {
			packed["f32"] = append(packed["f32"], Pack(shape.out, shape.in, w))
			packed["int8"] = append(packed["int8"], PackInt8(shape.out, shape.in, w))
		}
		for _, m := range []int{1, 4, 16, 32, 128, 512, 2048} {
			for _, format := range []string{"f32", "int8"} {
				b.Run(fmt.Sprintf("in=%d/out=%d/m=%d/%s", shape.in, shape.out, m, format), func(b *testing.B) {
					x, dst := randoms(r, m*shape.in), make([]float32, m*shape.out)
					for i := 0; b.Loop(); i++ {
						Linear(dst, shape.out, x, shape.in, m, packed[format][i%layers], bias)
					}
					rate(b, 2*float64(m)*float64(shape.in)*float64(shape.out))
				})
			}
		}
		b.Run(fmt.Sprintf("in=%d/quantize", shape.in), func(b *testing.B) {
			const m = 128
			var q Rows8[float32]
			x := randoms(r, m*shape.in)
			q.Reset(m, packed["int8"][0])
			for b.Loop() {
				q.Set(x, shape.in, 0, m)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/(m*float64(shape.in)), "ns/value")
		})
	}
}
