package kernel

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// epsilon is the unit roundoff of float32.
const epsilon = 1.0 / (1 << 24)

// eachFamily runs a test once for every kernel family of this machine.
func eachFamily(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	before := Family()
	t.Cleanup(func() {
		if err := Select(before); err != nil {
			t.Fatal(err)
		}
	})
	for _, name := range Families() {
		t.Run(name, func(t *testing.T) {
			if err := Select(name); err != nil {
				t.Fatal(err)
			}
			test(t)
		})
	}
}

// guarded is a slice between words that nothing may write to.
type guarded struct {
	all    []float32
	values []float32
}

const (
	guardWords = 64
	guardBits  = 0x7fc0dead // a NaN that no arithmetic produces
)

// newGuarded returns n values that begin offset words past an allocation, so
// that vectors start at any alignment. The values are guard words too until
// they are written.
func newGuarded(n, offset int) guarded {
	all := make([]float32, n+2*guardWords+offset)
	for i := range all {
		all[i] = math.Float32frombits(guardBits)
	}
	start := guardWords + offset
	return guarded{all, all[start : start+n : start+n]}
}

// check reports a guard word that was written. keep tells which of the values
// inside are outputs; nil means all of them.
func (g guarded) check(t *testing.T, output func(i int) bool) {
	t.Helper()
	start := len(g.all) - guardWords - len(g.values)
	for i, v := range g.all {
		inside := i >= start && i < start+len(g.values)
		if inside && (output == nil || output(i-start)) {
			continue
		}
		if math.Float32bits(v) != guardBits {
			t.Errorf("word %d, %d from the start of the output, was overwritten with %v", i, i-start, v)
			return
		}
	}
}

func randoms(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func sameBits(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// oracleLinear is x·Wᵀ + bias in float64 by gonum, and the sum of the absolute
// products, which bounds the rounding errors.
func oracleLinear(x []float32, ldx, m int, w []float32, out, in int, bias []float32) (y, magnitude []float64) {
	gemm := func(x, w []float64, bias []float64) []float64 {
		y := make([]float64, m*out)
		for r := range m {
			copy(y[r*out:(r+1)*out], bias)
		}
		if m > 0 && out > 0 && in > 0 {
			gonum.Implementation{}.Dgemm(blas.NoTrans, blas.Trans, m, out, in, 1, x, ldx, w, in, 1, y, out)
		}
		return y
	}
	absolute := func(x []float64) []float64 {
		y := make([]float64, len(x))
		for i, v := range x {
			y[i] = math.Abs(v)
		}
		return y
	}
	X, W, b := widen(x), widen(w), widen(bias)
	return gemm(X, W, b), gemm(absolute(X), absolute(W), absolute(b))
}

// Sizes on both sides of every edge of the blocking: rows, columns and depths.
var (
	rowSizes    = []int{0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 23, 25}
	columnSizes = []int{1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 64, 65, 100}
	depthSizes  = []int{0, 1, 2, 3, 4, 5, 7, 16, 33, 383, 384, 385, 770, 1155}
)

func TestLinear(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, in := range depthSizes {
			for _, out := range columnSizes {
				w, bias := randoms(r, out*in), randoms(r, out)
				if r.IntN(3) == 0 {
					bias = nil
				}
				packed := Pack(out, in, w)
				if o, i := packed.Dims(); o != out || i != in {
					t.Fatalf("Dims() = %d, %d, want %d, %d", o, i, out, in)
				}
				m := rowSizes[r.IntN(len(rowSizes))]
				ldx, ldd := in+r.IntN(4), out+r.IntN(4)
				x := randoms(r, m*ldx)
				dst := newGuarded(m*ldd, r.IntN(16))
				Linear(dst.values, ldd, x, ldx, m, packed, bias)
				dst.check(t, func(i int) bool { return i%ldd < out })

				want, magnitude := oracleLinear(x, ldx, m, w, out, in, bias)
				for i := range m {
					for c := range out {
						got, want := float64(dst.values[i*ldd+c]), want[i*out+c]
						if bound := float64(in+1) * epsilon * magnitude[i*out+c]; !(math.Abs(got-want) <= bound) {
							t.Fatalf("m=%d out=%d in=%d: [%d, %d] is %v, want %v ± %v", m, out, in, i, c, got, want, bound)
						}
					}
				}
			}
		}
	})
}

func TestLinearFloat64(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, m := range rowSizes {
		for _, out := range columnSizes {
			in := depthSizes[r.IntN(len(depthSizes))]
			w, bias, x := randoms(r, out*in), randoms(r, out), randoms(r, m*in)
			got := make([]float64, m*out)
			Linear(got, out, widen(x), in, m, Pack(out, in, widen(w)), widen(bias))
			want, magnitude := oracleLinear(x, in, m, w, out, in, bias)
			for i := range want {
				if !(math.Abs(got[i]-want[i]) <= 2*float64(in+1)*0x1p-53*magnitude[i]) {
					t.Fatalf("m=%d out=%d in=%d: value %d is %v, want %v", m, out, in, i, got[i], want[i])
				}
			}
		}
	}
}

// TestLinearBits holds the promise that a row's bits depend on nothing but the
// row: not on the rows around it, on the stride, or on the columns computed
// with it.
func TestLinearBits(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, in := range []int{1, 32, 128, 500, 900} {
			for _, out := range []int{3, 32, 70, 128, 200} {
				const m = 150
				w, bias, x := randoms(r, out*in), randoms(r, out), randoms(r, m*in)
				packed := Pack(out, in, w)
				whole := make([]float32, m*out)
				Linear(whole, out, x, in, m, packed, bias)
				for range 10 {
					lo := r.IntN(m)
					rows := 1 + r.IntN(min(m-lo, 30))
					ldx, ldd := in+r.IntN(5), out+r.IntN(5)
					moved := make([]float32, rows*ldx)
					for i := range rows {
						copy(moved[i*ldx:], x[(lo+i)*in:(lo+i+1)*in])
					}
					part := make([]float32, rows*ldd)
					Linear(part, ldd, moved, ldx, rows, packed, bias)
					for i := range rows {
						if !sameBits(part[i*ldd:i*ldd+out], whole[(lo+i)*out:(lo+i+1)*out]) {
							t.Fatalf("in=%d out=%d: row %d differs as row %d of %d", in, out, lo+i, i, rows)
						}
					}
				}
				split := make([]float32, m*out)
				for lo := 0; lo < out; {
					hi := min(out, lo+packed.PanelColumns()*(1+r.IntN(2)))
					Linear(split[lo:], out, x, in, m, packed.Columns(lo, hi), bias[lo:hi])
					lo = hi
				}
				if !sameBits(split, whole) {
					t.Fatalf("in=%d out=%d: the columns differ when computed apart", in, out)
				}
			}
		}
	})
}

// FuzzLinear holds every family to the definition, on any numbers at all.
func FuzzLinear(f *testing.F) {
	f.Add(uint8(3), uint8(5), uint16(7), uint8(1), []byte("\x00\x00\x80\x3f\x00\x00\x00\x40\xff\xff\x7f\x7f"))
	f.Add(uint8(13), uint8(33), uint16(400), uint8(9), []byte("\x00\x00\xc0\x7f\x00\x00\x80\xff\x01\x00\x00\x00\x00\x00\x80\x3f"))
	f.Fuzz(func(t *testing.T, rows, columns uint8, inner uint16, pad uint8, values []byte) {
		m, out, in := int(rows%40), int(columns%100), int(inner%900)
		ldx, ldd := in+int(pad%4), out+int(pad/4%4)
		var numbers []float32
		for ; len(values) >= 4; values = values[4:] {
			numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(values)))
		}
		numbers = append(numbers, 1, -0.5)
		next := 0
		fill := func(n int) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = numbers[next%len(numbers)]
				next += 1 + i%3
			}
			return x
		}
		x, w, bias := fill(m*ldx), fill(out*in), fill(out)
		before := Family()
		defer func() {
			if err := Select(before); err != nil {
				t.Fatal(err)
			}
		}()
		for _, name := range Families() {
			if err := Select(name); err != nil {
				t.Fatal(err)
			}
			dst := newGuarded(m*ldd, int(pad))
			Linear(dst.values, ldd, x, ldx, m, Pack(out, in, w), bias)
			dst.check(t, func(i int) bool { return i%ldd < out })
			for r := range m {
				for c := range out {
					want, magnitude := float64(bias[c]), math.Abs(float64(bias[c]))
					for i := range in {
						p := float64(x[r*ldx+i]) * float64(w[c*in+i])
						want += p
						magnitude += math.Abs(p)
					}
					got := float64(dst.values[r*ldd+c])
					switch {
					case math.IsNaN(magnitude) || math.IsInf(magnitude, 0):
						if !math.IsNaN(got) && !math.IsInf(got, 0) {
							t.Fatalf("%s: [%d, %d] is %v, want %v", name, r, c, got, want)
						}
					case magnitude < math.MaxFloat32: // otherwise a partial sum may overflow
						if bound := float64(in+1) * (epsilon*magnitude + 0x1p-149); !(math.Abs(got-want) <= bound) {
							t.Fatalf("%s: [%d, %d] is %v, want %v ± %v", name, r, c, got, want, bound)
						}
					}
				}
			}
		}
	})
}

// TestLinearSpecial checks that a NaN or an infinity reaches the outputs that
// depend on it and no others.
func TestLinearSpecial(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachFamily(t, func(t *testing.T) {
		const m, in, out = 14, 400, 70
		for _, special := range []float32{nan, inf, -inf} {
			for _, at := range []int{0, 1, 383, 384, 399} {
				x, w := make([]float32, m*in), make([]float32, out*in)
				for i := range x {
					x[i] = 1
				}
				for i := range w {
					w[i] = 1
				}
				x[3*in+at] = special
				dst := make([]float32, m*out)
				Linear(dst, out, x, in, m, Pack(out, in, w), nil)
				for i, v := range dst {
					want := float32(in)
					if i/out == 3 {
						want = special
					}
					if v != want && !(v != v && want != want) {
						t.Fatalf("%v at %d: [%d, %d] is %v, want %v", special, at, i/out, i%out, v, want)
					}
				}
				x[3*in+at] = 1
				w[69*in+at] = special
				Linear(dst, out, x, in, m, Pack(out, in, w), nil)
				for i, v := range dst {
					want := float32(in)
					if i%out == 69 {
						want = special
					}
					if v != want && !(v != v && want != want) {
						t.Fatalf("weight %v at %d: [%d, %d] is %v, want %v", special, at, i/out, i%out, v, want)
					}
				}
			}
		}
	})
}

func TestAdd(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for n := range 150 {
			x, y := randoms(r, n), randoms(r, n)
			for i := range min(n, 8) {
				x[r.IntN(n)] = specials[i%len(specials)]
			}
			dst := newGuarded(n, r.IntN(16))
			copy(dst.values, y)
			Add(dst.values, x)
			dst.check(t, nil)
			for i := range x {
				if want := y[i] + x[i]; dst.values[i] != want && want == want {
					t.Fatalf("n=%d: value %d is %v, want %v", n, i, dst.values[i], want)
				}
			}
		}
	})
}

var specials = []float32{
	0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 1e-40, -1e-40, math.MaxFloat32, -math.MaxFloat32, 0x1p-126, -0x1p-126,
}

func TestLayerNorm(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, d := range []int{1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 129, 300, 768} {
			rows := 1 + r.IntN(4)
			x, gamma, beta := randoms(r, rows*d), randoms(r, d), randoms(r, d)
			for i := range x {
				x[i] = 3*x[i] + 5
			}
			dst := newGuarded(rows*d, r.IntN(16))
			LayerNorm(dst.values, x, d, gamma, beta, 1e-5)
			dst.check(t, nil)

			want := make([]float64, rows*d)
			LayerNorm(want, widen(x), d, widen(gamma), widen(beta), 1e-5)
			for i, want := range want {
				// The mean is off by some roundings of the largest value, which
				// the scale (at most 1/√1e-5) magnifies.
				row := momentsOf(x[i/d*d : i/d*d+d])
				bound := 8*epsilon*(math.Abs(want)+math.Abs(float64(beta[i%d]))) +
					8*epsilon*row.largest/row.deviation*math.Abs(float64(gamma[i%d]))
				if got := float64(dst.values[i]); !(math.Abs(got-want) <= bound) {
					t.Fatalf("d=%d: value %d is %v, want %v ± %v", d, i, got, want, bound)
				}
			}
			again := append([]float32(nil), x...)
			LayerNorm(again, again, d, gamma, beta, 1e-5)
			if !sameBits(again, dst.values) {
				t.Fatalf("d=%d: in place differs", d)
			}
			for i := range rows {
				one := make([]float32, d)
				LayerNorm(one, x[i*d:(i+1)*d], d, gamma, beta, 1e-5)
				if !sameBits(one, dst.values[i*d:(i+1)*d]) {
					t.Fatalf("d=%d: row %d differs alone", d, i)
				}
			}
		}
	})
}

type moments struct{ largest, deviation float64 }

func momentsOf(row []float32) moments {
	var s moments
	var mean, square float64
	for _, v := range row {
		s.largest = max(s.largest, math.Abs(float64(v)))
		mean += float64(v) / float64(len(row))
	}
	for _, v := range row {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	s.deviation = math.Sqrt(square/float64(len(row)) + 1e-5)
	return s
}

func TestLayerNormSpecial(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		const d = 37
		for _, special := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for at := range d {
				x, gamma, beta, dst := make([]float32, 3*d), make([]float32, d), make([]float32, d), make([]float32, 3*d)
				for i := range gamma {
					gamma[i] = 1
				}
				x[d+at] = float32(special)
				LayerNorm(dst, x, d, gamma, beta, 1e-12)
				for i, v := range dst {
					if special := i/d == 1; special != (v != v) {
						t.Fatalf("%v at %d: value %d of row %d is %v", special, at, i%d, i/d, v)
					}
				}
			}
		}
		// A constant row has no variance: what is left is beta.
		row := []float32{7, 7, 7}
		LayerNorm(row, row, 3, []float32{1, 2, 3}, []float32{4, 5, 6}, 1e-12)
		if !sameBits(row, []float32{4, 5, 6}) {
			t.Errorf("a constant row became %v, want beta", row)
		}
	})
}

func TestSoftmax(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for n := range 150 {
			for _, spread := range []float32{0.1, 1, 10, 1000} {
				row := newGuarded(n, r.IntN(16))
				copy(row.values, randoms(r, n))
				for i := range row.values {
					row.values[i] *= spread
				}
				if n > 2 {
					row.values[r.IntN(n)] = float32(math.Inf(-1))
				}
				want := widen(row.values)
				Softmax(want)
				Softmax(row.values)
				row.check(t, nil)
				for i, want := range want {
					// A value below 2⁻¹²⁶ may be flushed to 0.
					if got := float64(row.values[i]); !(math.Abs(got-want) <= softmaxULP*epsilon*want+0x1p-125) {
						t.Fatalf("n=%d, spread %v: value %d is %v, want %v", n, spread, i, got, want)
					}
				}
			}
		}
	})
}

// softmaxULP bounds the relative error of a softmax weight in roundings: the
// difference to the largest value, its exponential, the sum and the division.
// A sum of 150 in the generic order has 150 roundings of its own.
const softmaxULP = 170

func TestSoftmaxSpecial(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachFamily(t, func(t *testing.T) {
		for n := 1; n < 70; n++ {
			row := make([]float32, n)
			for i := range row {
				row[i] = -inf
			}
			Softmax(row)
			for i, v := range row {
				if v != 0 {
					t.Fatalf("n=%d: value %d of an excluded row is %v", n, i, v)
				}
			}
			for at := range n {
				for _, special := range []float32{nan, inf} {
					clear(row)
					row[at] = special
					Softmax(row)
					for i, v := range row {
						if v == v {
							t.Fatalf("n=%d, %v at %d: value %d is %v, want NaN", n, special, at, i, v)
						}
					}
				}
			}
		}
	})
}

// TestWholeVectors: in whole vectors, what has no weight changes no bit of a
// softmax and of its gradient.
func TestWholeVectors(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(71, 72))
		for n := 1; n < 100; n++ {
			vectors, rows := roundUp(n, 16), 1+r.IntN(6)
			ld := vectors + 16*(1+r.IntN(9))
			x, dp := randoms(r, rows*ld), randoms(r, rows*ld)
			for i := range x {
				if i%ld >= n {
					x[i] = float32(math.Inf(-1))
				}
			}
			short, long := slices.Clone(x), x
			SoftmaxRows(short, ld, rows, vectors)
			SoftmaxRows(long, ld, rows, ld)
			shortGrad, longGrad := make([]float32, rows*ld), make([]float32, rows*ld)
			SoftmaxGrad(shortGrad, short, dp, ld, rows, vectors)
			SoftmaxGrad(longGrad, long, dp, ld, rows, ld)
			for i := 0; i < rows*ld; i += ld {
				if !sameBits(short[i:i+n], long[i:i+n]) {
					t.Fatalf("n=%d: the softmax of %d values has other bits than that of %d", n, vectors, ld)
				}
				if !sameBits(shortGrad[i:i+n], longGrad[i:i+n]) {
					t.Fatalf("n=%d: the gradient of %d values has other bits than that of %d", n, vectors, ld)
				}
			}
		}
	})
}

func TestActivations(t *testing.T) {
	none := func(float64) float64 { return 0 }
	cases := []struct {
		name    string
		narrow  func([]float32)
		wide    func([]float64)
		ulps    float64                 // bound on the error, in units in the last place of the result,
		tail    func(x float64) float64 // plus this exponent z in size: x·exp(z) magnifies the rounding of z
		smaller float64                 // below it a result may be flushed to 0
	}{
		{"GELU", GELU[float32], GELU[float64], 7, none, 0x1p-126},
		{"GELUTanh", GELUTanh[float32], GELUTanh[float64], 4, func(x float64) float64 { return 2.5 * min(1.6*x+0.0714*x*x*x, 0) }, 0x1p-118},
		{"QuickGELU", QuickGELU[float32], QuickGELU[float64], 4, func(x float64) float64 { return 2.5 * min(1.702*x, 0) }, 0x1p-118},
		{"SiLU", SiLU[float32], SiLU[float64], 4, none, 0x1p-118},
		{"Sigmoid", Sigmoid[float32], Sigmoid[float64], 3, none, 0x1p-126},
		{"Tanh", Tanh[float32], Tanh[float64], 4, none, 0x1p-126},
		{"ReLU", ReLU[float32], ReLU[float64], 0, none, 0},
	}
	x := activationInputs()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := widen(x)
			c.wide(want)
			eachFamily(t, func(t *testing.T) {
				got := append([]float32(nil), x...)
				c.narrow(got)
				worst, at := 0.0, 0
				for i := range x {
					e := ulps(got[i], want[i], c.smaller)
					if e > worst {
						worst, at = e, i
					}
					if bound := c.ulps + math.Abs(c.tail(float64(x[i]))); e > bound {
						t.Fatalf("at %v: got %v, want %v, off by %.1f ulp, more than %.1f", x[i], got[i], want[i], e, bound)
					}
				}
				t.Logf("largest error %.2f ulp, at %v", worst, x[at])
				r := rand.New(rand.NewPCG(15, 16))
				for n := range 70 {
					start := r.IntN(len(x) - n)
					dst := newGuarded(n, r.IntN(16))
					copy(dst.values, x[start:])
					c.narrow(dst.values)
					dst.check(t, nil)
					if !sameBits(dst.values, got[start:start+n]) {
						t.Fatalf("%d values from %d differ from the same values in a longer slice", n, start)
					}
				}
			})
		})
	}
}

// ulps returns the distance of got from want in units in the last place of
// want, and +Inf where one is NaN or infinite and the other is not.
func ulps(got float32, want, smaller float64) float64 {
	g := float64(got)
	if w := float32(want); got == w || g != g && want != want {
		return 0
	}
	if math.Abs(want) < smaller && math.Abs(g) <= smaller {
		return 0
	}
	_, exponent := math.Frexp(want)
	e := math.Abs(g-want) / math.Ldexp(1, max(exponent-24, -149))
	if e != e {
		return math.Inf(1)
	}
	return e
}

// TestActivationValues holds the float64 loops, which are the oracle of all
// others, to values computed with 40 digits.
func TestActivationValues(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     func([]float64)
		x     float64
		value float64
	}{
		{"GELU", GELU[float64], 1, 0.8413447460685429485852325456320379},
		{"GELU", GELU[float64], -3, -0.004049694094890283579955444302784932133488},
		{"GELU", GELU[float64], -10, -7.619853024160526065973343e-23},
		{"GELUTanh", GELUTanh[float64], 1, 0.8411919906082767047819957770451838608258},
		{"GELUTanh", GELUTanh[float64], -3, -0.00363739208177301883781646613189139183021},
		{"QuickGELU", QuickGELU[float64], 2, 1.935658623144208149807249111403451628177},
		{"SiLU", SiLU[float64], -1, -0.26894142136999512074},
		{"Sigmoid", Sigmoid[float64], -2, 0.11920292202211755594},
		{"Tanh", Tanh[float64], 0.5, 0.46211715726000975850},
		{"ReLU", ReLU[float64], -2, 0},
		{"ReLU", ReLU[float64], 2, 2},
	} {
		x := []float64{c.x}
		c.f(x)
		if !(math.Abs(x[0]-c.value) <= 2e-14*math.Abs(c.value)) {
			t.Errorf("%s(%v) = %v, want %v", c.name, c.x, x[0], c.value)
		}
	}
}

// oracleAttention is the definition of Attention, in float64.
func oracleAttention(q, k, v []float32, t, s, e int, scale float32, mask []uint8) (z, pattern []float64) {
	z, pattern = make([]float64, t*e), make([]float64, t*s)
	for i := range t {
		row := pattern[i*s : (i+1)*s]
		for j := range row {
			for c := range e {
				row[j] += float64(q[i*e+c]) * float64(k[j*e+c])
			}
			row[j] *= float64(scale)
			if mask != nil && mask[j] == 0 {
				row[j] = math.Inf(-1)
			}
		}
		Softmax(row)
		for j, p := range row {
			for c := range e {
				z[i*e+c] += p * float64(v[j*e+c])
			}
		}
	}
	return z, pattern
}

func strided(x []float32, rows, cols, ld int) []float32 {
	y := make([]float32, rows*ld)
	for i := range y {
		y[i] = float32(math.NaN()) // what lies between the rows must not count
	}
	for r := range rows {
		copy(y[r*ld:], x[r*cols:(r+1)*cols])
	}
	return y
}

func TestAttention(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		var scratch Scratch[float32]
		for _, n := range []int{0, 1, 2, 3, 7, 12, 15, 16, 17, 20, 31, 32, 33, 40, 63, 64, 65, 100, 130, 385, 520} {
			for _, e := range []int{1, 3, 8, 16, 20, 32, 64, 80} {
				rows := n
				if r.IntN(3) == 0 || n > 130 && e != 8 {
					rows = r.IntN(20)
				}
				q, k, v := randoms(r, rows*e), randoms(r, n*e), randoms(r, n*e)
				scale := float32(1 / math.Sqrt(float64(e)))
				var mask []uint8
				switch r.IntN(4) {
				case 0: // holes
					mask = make([]uint8, n)
					for i := range mask {
						mask[i] = uint8(r.IntN(2))
					}
				case 1: // padding
					mask = make([]uint8, n)
					for i := range n - n/3 {
						mask[i] = 1
					}
				}
				var pattern guarded
				if r.IntN(2) == 0 {
					pattern = newGuarded(rows*n, r.IntN(16))
				}
				ldq, ldk, ldv, ldd := e+r.IntN(5), e+r.IntN(5), e+r.IntN(5), e+r.IntN(5)
				dst := newGuarded(rows*ldd, r.IntN(16))
				Attention(dst.values, ldd, strided(q, rows, e, ldq), ldq, strided(k, n, e, ldk), ldk, strided(v, n, e, ldv), ldv,
					rows, n, e, scale, mask, pattern.values, &scratch)
				dst.check(t, func(i int) bool { return i%ldd < e })

				name := fmt.Sprintf("t=%d s=%d e=%d mask=%v", rows, n, e, mask != nil)
				want, wantPattern := oracleAttention(q, k, v, rows, n, e, scale, mask)
				if pattern.values != nil {
					pattern.check(t, nil)
					for i, want := range wantPattern {
						if got := float64(pattern.values[i]); !(math.Abs(got-want) <= 1e-5*want) || want == 0 && got != 0 {
							t.Fatalf("%s: pattern[%d] is %v, want %v", name, i, got, want)
						}
					}
				}
				for i := range rows {
					for c := range e {
						got, want := float64(dst.values[i*ldd+c]), want[i*e+c]
						if !(math.Abs(got-want) <= 1e-5) {
							t.Fatalf("%s: [%d, %d] is %v, want %v", name, i, c, got, want)
						}
					}
				}
			}
		}
	})
}

// TestAttentionBits: a query's result does not depend on the other queries,
// and excluded keys leave the bits of a sequence that never had them.
func TestAttentionBits(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(19, 20))
		var scratch Scratch[float32]
		for _, n := range []int{1, 5, 16, 20, 37, 64, 150, 400} {
			for _, e := range []int{8, 32, 64} {
				q, k, v := randoms(r, n*e), randoms(r, n*e), randoms(r, n*e)
				whole := make([]float32, n*e)
				Attention(whole, e, q, e, k, e, v, e, n, n, e, 0.25, nil, nil, &scratch)
				for range 5 {
					lo := r.IntN(n)
					rows := 1 + r.IntN(n-lo)
					part := make([]float32, rows*e)
					Attention(part, e, q[lo*e:], e, k, e, v, e, rows, n, e, 0.25, nil, nil, &scratch)
					if !sameBits(part, whole[lo*e:(lo+rows)*e]) {
						t.Fatalf("s=%d e=%d: queries %d to %d differ alone", n, e, lo, lo+rows)
					}
				}
				// The same sequence with excluded keys between its own.
				long := 2*n + 3
				k2, v2, mask := randoms(r, long*e), randoms(r, long*e), make([]uint8, long)
				at := r.Perm(long)[:n]
				for _, j := range at {
					mask[j] = 1
				}
				i := 0
				for j := range long {
					if mask[j] != 0 {
						copy(k2[j*e:], k[i*e:(i+1)*e])
						copy(v2[j*e:], v[i*e:(i+1)*e])
						i++
					}
				}
				got := make([]float32, n*e)
				Attention(got, e, q, e, k2, e, v2, e, n, long, e, 0.25, mask, nil, &scratch)
				if !sameBits(got, whole) {
					t.Fatalf("s=%d e=%d: excluded keys change the bits", n, e)
				}
			}
		}
	})
}

func TestAttentionSpecial(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		const n, e = 21, 8
		r := rand.New(rand.NewPCG(21, 22))
		q, k, v := randoms(r, n*e), randoms(r, n*e), randoms(r, n*e)
		var scratch Scratch[float32]
		z, pattern := make([]float32, n*e), make([]float32, n*n)
		Attention(z, e, q, e, k, e, v, e, n, n, e, 1, make([]uint8, n), pattern, &scratch)
		for i, v := range append(append([]float32(nil), z...), pattern...) {
			if v != 0 {
				t.Fatalf("no visible key: value %d is %v, want 0", i, v)
			}
		}
		// NaN in an excluded key does not count; in a visible one it does.
		mask := make([]uint8, n)
		for j := range mask {
			mask[j] = 1
		}
		mask[4] = 0
		k[4*e], v[4*e] = float32(math.NaN()), float32(math.NaN())
		q[7*e] = float32(math.NaN())
		Attention(z, e, q, e, k, e, v, e, n, n, e, 1, mask, pattern, &scratch)
		for i, v := range z {
			if nan := i/e == 7; nan != (v != v) {
				t.Fatalf("value %d of query %d is %v", i%e, i/e, v)
			}
		}
	})
}

func TestNoAllocation(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(23, 24))
		const m, in, out, heads = 20, 64, 50, 2
		w, x, bias, dst := Pack(out, in, randoms(r, out*in)), randoms(r, m*in), randoms(r, out), make([]float32, m*out)
		z, mask := make([]float32, m*in), make([]uint8, m)
		mask[0], mask[3] = 1, 1
		gamma := randoms(r, in)
		var scratch Scratch[float32]
		var panels Panels[float32]
		scores := make([]float32, m*2*m)
		const e = in / heads
		for name, f := range map[string]func(){
			"Linear":    func() { Linear(dst, out, x, in, m, w, bias) },
			"Attention": func() { Attention(z, in, x, in, x, in, x, in, m, m, e, 1, mask, nil, &scratch) },
			"LayerNorm": func() { LayerNorm(z, x, in, gamma, gamma, 1e-5) },
			"Softmax":   func() { Softmax(z) },
			"Panels": func() {
				panels.Transpose(e, 1, Rows[float32]{x, in, m, mask}, Rows[float32]{x[e:], in, m, nil})
				panels.Multiply(scores, 2*m, x, in, m, e, m, false)
				panels.Stack(e, 2, Rows[float32]{x, in, m, nil})
				panels.MultiplyTransposed(z, in, scores, 2*m, m, m, e, true)
			},
			"LayerNormGrad": func() { LayerNormGrad(z, z, x, in, gamma, 1e-5) },
			"GELUTanhGrad":  func() { GELUTanhGrad(z, z, x) },
			"SoftmaxGrad":   func() { SoftmaxGrad(z, x, z, in, m, in) },
			"Rotate":        func() { Rotate(z, in, m, heads, e, e/2, x[:m*e/2], x[:m*e/2]) },
			"Dot":           func() { z[0] = Dot(x, z) },
			"GELU":          func() { GELU(z) },
			"Add":           func() { Add(z, x) },
		} {
			if n := allocations(f); n != 0 {
				t.Errorf("%s allocates %v times a call", name, n)
			}
		}
	})
}

func TestLengthChecks(t *testing.T) {
	w := Pack(3, 2, make([]float32, 6))
	x := make([]float32, 8)
	var s Scratch[float32]
	var p Panels[float32]
	for name, f := range map[string]func(){
		"Pack short":           func() { Pack(3, 2, x[:5]) },
		"Linear dst short":     func() { Linear(x[:5], 3, x, 2, 2, w, nil) },
		"Linear x short":       func() { Linear(x, 3, x[:3], 2, 2, w, nil) },
		"Linear stride":        func() { Linear(x, 2, x, 2, 2, w, nil) },
		"Linear bias":          func() { Linear(x, 3, x, 2, 2, w, x[:2]) },
		"Linear negative":      func() { Linear(x, 3, x, 2, -1, w, nil) },
		"Columns out of range": func() { w.Columns(0, 4) },
		"Columns off panel":    func() { w.Columns(1, 3) },
		"Add":                  func() { Add(x, x[:3]) },
		"LayerNorm rows":       func() { LayerNorm(x, x, 3, x[:3], x[:3], 0) },
		"LayerNorm gamma":      func() { LayerNorm(x, x, 4, x[:3], x[:4], 0) },
		"LayerNorm zero":       func() { LayerNorm(x[:0], x[:0], 0, x[:0], x[:0], 0) },
		"Attention mask":       func() { Attention(x, 2, x, 2, x, 2, x, 2, 2, 2, 2, 1, make([]uint8, 3), nil, &s) },
		"Attention pattern":    func() { Attention(x, 2, x, 2, x, 2, x, 2, 2, 2, 2, 1, nil, x[:3], &s) },
		"Attention keys short": func() { Attention(x, 2, x, 2, x[:3], 2, x, 2, 2, 2, 2, 1, nil, nil, &s) },
		"Stack short":          func() { p.Stack(3, 1, Rows[float32]{x, 3, 3, nil}) },
		"Stack mask":           func() { p.Stack(2, 1, Rows[float32]{x, 2, 3, make([]uint8, 2)}) },
		"Transpose stride":     func() { p.Transpose(3, 1, Rows[float32]{x, 2, 2, nil}) },
		"Multiply depth":       func() { p.Stack(2, 1, Rows[float32]{x, 2, 3, nil}); p.Multiply(x, 2, x, 4, 1, 4, 2, false) },
		"Multiply columns":     func() { p.Stack(2, 1, Rows[float32]{x, 2, 3, nil}); p.Multiply(x, 3, x, 3, 1, 3, 3, false) },
		"Multiply negative":    func() { p.Stack(2, 1, Rows[float32]{x, 2, 3, nil}); p.Multiply(x, 2, x, 2, 1, -1, 2, false) },
		"Multiply short":       func() { p.Stack(2, 1, Rows[float32]{x, 2, 3, nil}); p.Multiply(x[:3], 2, x, 2, 2, 2, 2, false) },
		"MultiplyTransposed": func() {
			p.Stack(2, 1, Rows[float32]{x, 2, 3, nil})
			p.MultiplyTransposed(x, 2, x[:5], 2, 2, 3, 2, false)
		},
		"SoftmaxRows":            func() { SoftmaxRows(x, 3, 3, 3) },
		"SoftmaxGrad":            func() { SoftmaxGrad(x, x[:3], x, 2, 2, 2) },
		"GELUGrad":               func() { GELUGrad(x, x[:3], x) },
		"SiLUGrad":               func() { SiLUGrad(x[:3], x, x) },
		"LayerNormGrad rows":     func() { LayerNormGrad(x, x, x, 3, x[:3], 0) },
		"LayerNormGrad gamma":    func() { LayerNormGrad(x, x, x, 4, x[:3], 0) },
		"LayerNormStats mean":    func() { LayerNormStats(x[:1], x[:2], x, 4, 0) },
		"RMSNorm dst":            func() { RMSNorm(x[:4], x, 4, x[:4], 0) },
		"Normalize divisor":      func() { Normalize(x, x, 4, nil, x[:1]) },
		"Affine beta":            func() { Affine(x, x, 4, x[:4], x[:3]) },
		"AddScaled":              func() { AddScaled(x, 1, x[:3]) },
		"Dot":                    func() { Dot(x, x[:3]) },
		"Rotate half":            func() { Rotate(x, 4, 2, 2, 2, 2, x[:4], x[:4]) },
		"Rotate angles":          func() { Rotate(x, 4, 2, 2, 2, 1, x[:1], x[:2]) },
		"Attention values short": func() { Attention(x, 2, x, 2, x, 2, x[:3], 2, 2, 2, 2, 1, nil, nil, &s) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if message, ok := recover().(string); !ok || !strings.HasPrefix(message, "kernel: ") {
					t.Errorf("recovered %v", message)
				}
			}()
			f()
			t.Error("no panic")
		})
	}
}

// allocations returns the fewest allocations of ten runs: a pool may lose what is
// put into it, and does under the race detector.
func allocations(f func()) float64 {
	fewest := math.Inf(1)
	for range 10 {
		fewest = min(fewest, testing.AllocsPerRun(1, f))
	}
	return fewest
}
