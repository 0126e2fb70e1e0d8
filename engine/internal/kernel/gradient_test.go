package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// derivatives are the derivatives of the activations, with what they belong to.
var derivatives = []struct {
	name   string
	narrow func(dx, dy, x []float32)
	wide   func(dx, dy, x []float64)
	of     func(x []float64)       // the activation
	terms  func(x float64) float64 // the size of the larger of the terms of f′(x)
	ulps   float64                 // bound on the error of f′, in units in the last place of the larger term,
	tail   func(x float64) float64 // plus this exponent z in size, which exp(z) magnifies the rounding of
}{
	{"GELU", GELUGrad[float32], GELUGrad[float64], GELU[float64], func(x float64) float64 {
		return max(math.Erfc(-x/math.Sqrt2)/2, math.Abs(x)*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi))
	}, 6, flat},
	{"GELUTanh", GELUTanhGrad[float32], GELUTanhGrad[float64], GELUTanh[float64], func(x float64) float64 {
		return gateTerms(x, geluTanhLinear, geluTanhCubic)
	}, 5, func(x float64) float64 { return 2.5 * min(1.6*x+0.0714*x*x*x, 0) }},
	{"QuickGELU", QuickGELUGrad[float32], QuickGELUGrad[float64], QuickGELU[float64], func(x float64) float64 {
		return gateTerms(x, quickGELULinear, 0)
	}, 5, func(x float64) float64 { return 2.5 * min(1.702*x, 0) }},
	{"SiLU", SiLUGrad[float32], SiLUGrad[float64], SiLU[float64], func(x float64) float64 { return gateTerms(x, 1, 0) }, 5, flat},
	{"Sigmoid", SigmoidGrad[float32], SigmoidGrad[float64], Sigmoid[float64], func(x float64) float64 { return logistic(x) * logistic(-x) }, 5, flat},
	{"Tanh", TanhGrad[float32], TanhGrad[float64], Tanh[float64], func(x float64) float64 { return 4 * logistic(2*x) * logistic(-2*x) }, 5, flat},
	{"ReLU", ReLUGrad[float32], ReLUGrad[float64], ReLU[float64], func(float64) float64 { return 1 }, 0, flat},
}

func flat(float64) float64 { return 0 }

func gateTerms(x, linear, cubic float64) float64 {
	z := linear*x + cubic*x*x*x
	slope := math.Abs(x) * (linear + 3*cubic*x*x)
	if math.IsInf(x, 0) {
		return max(x, 0)
	}
	return max(logistic(z), slope*logistic(z)*logistic(-z))
}

// activationInputs are numbers of every exponent, and many of those where
// activations bend.
func activationInputs() []float32 {
	x := append([]float32(nil), specials...)
	for bits := uint32(0); bits < 0x7f800000; bits += 9973 {
		x = append(x, math.Float32frombits(bits), -math.Float32frombits(bits))
	}
	for v := float32(-20); v < 20; v += 1.0 / 1024 {
		x = append(x, v)
	}
	return x
}

func TestDerivatives(t *testing.T) {
	x := activationInputs()
	ones := make([]float32, len(x))
	for i := range ones {
		ones[i] = 1
	}
	for _, c := range derivatives {
		t.Run(c.name, func(t *testing.T) {
			want := make([]float64, len(x))
			c.wide(want, widen(ones), widen(x))
			eachFamily(t, func(t *testing.T) {
				got := make([]float32, len(x))
				c.narrow(got, ones, x)
				worst, at := 0.0, 0
				for i, x := range x {
					size := max(math.Abs(want[i]), c.terms(float64(x)))
					if e := errorIn(got[i], want[i], size, 0x1p-118); e > worst {
						worst, at = e, i
					}
					bound := c.ulps + math.Abs(c.tail(float64(x)))
					if e := errorIn(got[i], want[i], size, 0x1p-118); e > bound {
						t.Fatalf("at %v: got %v, want %v, off by %.1f ulp, more than %.1f", x, got[i], want[i], e, bound)
					}
				}
				t.Logf("largest error %.2f ulp, at %v", worst, x[at])

				// What comes down is a factor, rounded once, wherever the values
				// lie, and the result may take the place of either input.
				r := rand.New(rand.NewPCG(41, 42))
				for n := range 70 {
					start := r.IntN(len(x) - n)
					part, dy := x[start:start+n], randoms(r, n)
					want := make([]float32, n)
					for i := range want {
						want[i] = got[start+i] * dy[i]
						if c.name == "ReLU" && part[i] <= 0 {
							want[i] = 0
						}
					}
					for place := range 3 {
						dst := newGuarded(n, r.IntN(16))
						a, b := dy, part
						switch place {
						case 1:
							copy(dst.values, dy)
							a = dst.values
						case 2:
							copy(dst.values, part)
							b = dst.values
						}
						c.narrow(dst.values, a, b)
						dst.check(t, nil)
						for i, v := range dst.values {
							same := math.Float32bits(v) == math.Float32bits(want[i]) || v != v && want[i] != want[i]
							if Family() == "generic" {
								// The derivative is not rounded before the product.
								same = same || math.Abs(float64(v)-float64(want[i])) <= 0x1p-23*math.Abs(float64(v))+0x1p-148
							}
							if !same {
								t.Fatalf("%d values from %d, place %d: [%d] is %v, want %v", n, start, place, i, v, want[i])
							}
						}
					}
				}
			})
		})
	}
}

// errorIn returns the distance of got from want in units in the last place of a
// number of the given size, and +Inf where one is NaN or infinite and the other
// is not. Numbers smaller than flushed count as 0.
func errorIn(got float32, want, size, flushed float64) float64 {
	g := float64(got)
	if got == float32(want) || g != g && want != want || math.Abs(want) < flushed && math.Abs(g) <= flushed {
		return 0
	}
	_, exponent := math.Frexp(size)
	e := math.Abs(g-want) / math.Ldexp(1, max(exponent-24, -149))
	if e != e {
		return math.Inf(1)
	}
	return e
}

// TestDerivativeValues holds the float64 loops, which are the oracle of all
// others, to values computed with 45 digits.
func TestDerivativeValues(t *testing.T) {
	for _, c := range []struct {
		name     string
		x, value float64
	}{
		{"GELU", 1, 1.083315470587686298383062738567598577307},
		{"GELU", -3, -0.01194564720418392700015524332076805635168},
		{"GELU", -10, -7.618400096464814085679300147525884151724e-22},
		{"GELU", -0.75, 0.0007742782607648956283087644599653189730199},
		{"GELUTanh", 1, 1.082964083845782555139642418669600758172},
		{"GELUTanh", -3, -0.01158416663096972620354646167791393937792},
		{"GELUTanh", -0.75, 0.001061743862585702342281723159277954890524},
		{"GELUTanh", -5, -0.000001546361987532594595584972180398450198517},
		{"QuickGELU", 2, 1.073815354308541931823330798683725876779},
		{"QuickGELU", -2, -0.07381535430854193182333079868372587677921},
		{"QuickGELU", -0.75, 0.0004284665331425343726716835267037302866775},
		{"SiLU", 1, 0.9276705118714867317885739854077452999874},
		{"SiLU", -1.25, 0.006319155084687581240870042471788925393604},
		{"SiLU", -20, -0.00000003916191866064678329161502997838254927549},
		{"Sigmoid", -2, 0.1049935854035065173486241847604253612293},
		{"Sigmoid", 30, 9.357622968838423302763293165131387718083e-14},
		{"Tanh", 0.5, 0.7864477329659274101496989343436361024891},
		{"Tanh", -9, 0.0000000609199171232322919412330418641739811257},
		{"Tanh", 20, 1.699341702116635583692882810382210535371e-17},
		{"ReLU", -1, 0},
		{"ReLU", 1, 1},
		{"GELU", math.Inf(-1), 0}, {"GELU", math.Inf(1), 1},
		{"GELUTanh", math.Inf(-1), 0}, {"GELUTanh", math.Inf(1), 1},
		{"SiLU", math.Inf(-1), 0}, {"SiLU", math.Inf(1), 1},
		{"Tanh", math.Inf(-1), 0}, {"Sigmoid", math.Inf(1), 0},
	} {
		for _, d := range derivatives {
			if d.name != c.name {
				continue
			}
			dx := []float64{0}
			d.wide(dx, []float64{1}, []float64{c.x})
			if !(math.Abs(dx[0]-c.value) <= 2e-14*math.Abs(c.value)+1e-16*d.terms(max(-50, min(c.x, 50)))) {
				t.Errorf("%s′(%v) = %v, want %v", c.name, c.x, dx[0], c.value)
			}
		}
	}
}

// slope returns the change of f along u at x, in float64: the central difference
// with Richardson's extrapolation.
func slope(f func(x []float64) []float64, x, u []float64) []float64 {
	difference := func(h float64) []float64 {
		lower, upper := make([]float64, len(x)), make([]float64, len(x))
		for i := range x {
			lower[i], upper[i] = x[i]-h*u[i], x[i]+h*u[i]
		}
		y, z := f(upper), f(lower)
		for i := range y {
			y[i] = (y[i] - z[i]) / (2 * h)
		}
		return y
	}
	const h = 1.0 / 512
	wide, narrow := difference(h), difference(h/2)
	for i := range narrow {
		narrow[i] += (narrow[i] - wide[i]) / 3
	}
	return narrow
}

// TestGradientsAreGradients compares the float64 loops with differences of what
// they are the gradients of.
func TestGradientsAreGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	const d, rows, eps = 23, 3, 1e-5
	const n = d * rows
	normals := func() []float64 { return widen(randoms(r, n)) }
	gamma, beta := normals()[:d], normals()[:d]
	cos, sin := normals()[:rows*5], normals()[:rows*5]
	divisor := []float64{0.5, 2, 3}
	applied := func(f func(x []float64)) func(x []float64) []float64 {
		return func(x []float64) []float64 {
			y := append([]float64(nil), x...)
			f(y)
			return y
		}
	}
	softmaxed := make([]float64, n)
	cases := map[string]struct {
		f    func(x []float64) []float64
		grad func(dy, x []float64) []float64
	}{
		"LayerNorm": {applied(func(x []float64) { LayerNorm(x, x, d, gamma, beta, eps) }),
			func(dy, x []float64) []float64 { LayerNormGrad(dy, dy, x, d, gamma, eps); return dy }},
		"RMSNorm": {applied(func(x []float64) { RMSNorm(x, x, d, gamma, eps) }),
			func(dy, x []float64) []float64 { RMSNormGrad(dy, dy, x, d, gamma, eps); return dy }},
		"Normalize": {applied(func(x []float64) {
			mean := make([]float64, rows)
			LayerNormStats(mean, make([]float64, rows), x, d, eps)
			Normalize(x, x, d, mean, divisor)
		}), func(dy, x []float64) []float64 {
			NormalizeGrad(dy, nil, dy, x, d, divisor, true)
			return dy
		}},
		"SoftmaxRows": {applied(func(x []float64) { SoftmaxRows(x, d, rows, d) }), func(dy, x []float64) []float64 {
			copy(softmaxed, x)
			SoftmaxRows(softmaxed, d, rows, d)
			SoftmaxGrad(dy, softmaxed, dy, d, rows, d)
			return dy
		}},
		"Rotate": {applied(func(x []float64) { Rotate(x, d, rows, 2, 11, 5, cos, sin) }), func(dy, _ []float64) []float64 {
			RotateBack(dy, d, rows, 2, 11, 5, cos, sin)
			return dy
		}},
	}
	for _, c := range derivatives {
		cases[c.name] = struct {
			f    func(x []float64) []float64
			grad func(dy, x []float64) []float64
		}{applied(c.of), func(dy, x []float64) []float64 { c.wide(dy, dy, x); return dy }}
	}
	for name, c := range cases {
		for range 20 {
			x, u, v := normals(), normals(), normals()
			want, size := 0.0, 0.0
			for i, y := range slope(c.f, x, u) {
				want += y * v[i]
				size += math.Abs(y * v[i])
			}
			got := Dot(c.grad(append([]float64(nil), v...), x), u)
			if name == "ReLU" {
				for i := range x { // the differences must not reach over the bend
					if math.Abs(x[i]) < 0.02 {
						want = got
					}
				}
			}
			if !(math.Abs(got-want) <= 1e-6*size) {
				t.Errorf("%s: the change along u is %v, the differences give %v", name, got, want)
			}
		}
	}
}

// TestNormalizeGrad: with the gradient that the divisor passes on, the pieces
// give the gradient of the whole.
func TestNormalizeGrad(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 46))
	const d, rows, eps = 19, 4, 1e-3
	x, dy, gamma := widen(randoms(r, rows*d)), widen(randoms(r, rows*d)), widen(randoms(r, d))
	for _, centred := range []bool{true, false} {
		want, mean, divisor := make([]float64, rows*d), make([]float64, rows), make([]float64, rows)
		if centred {
			LayerNormGrad(want, dy, x, d, gamma, eps)
			LayerNormStats(mean, divisor, x, d, eps)
		} else {
			RMSNormGrad(want, dy, x, d, gamma, eps)
			RMSNormStats(divisor, x, d, eps)
			mean = nil
		}
		n, got, ddivisor := make([]float64, rows*d), make([]float64, rows*d), make([]float64, rows)
		Normalize(n, x, d, mean, divisor)
		Affine(got, dy, d, gamma, nil)
		NormalizeGrad(got, ddivisor, got, n, d, divisor, centred)
		for r := range rows {
			AddScaled(got[r*d:(r+1)*d], ddivisor[r]/d, n[r*d:(r+1)*d])
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= 1e-12) {
				t.Fatalf("centred %v: value %d is %v, want %v", centred, i, got[i], want[i])
			}
		}
	}
}

var rowLengths = []int{1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 129, 300, 768}

// TestNormGrads holds the gradients of the norms to float64, on rows that do not
// know of each other.
func TestNormGrads(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(47, 48))
		for _, c := range []struct {
			name   string
			narrow func(dx, dy, x []float32, d int, gamma []float32, eps float64)
			wide   func(dx, dy, x []float64, d int, gamma []float64, eps float64)
			stats  func(x []float64, d int) (mean, divisor []float64)
		}{
			{"LayerNormGrad", LayerNormGrad[float32], LayerNormGrad[float64], func(x []float64, d int) (mean, divisor []float64) {
				mean, divisor = make([]float64, len(x)/d), make([]float64, len(x)/d)
				LayerNormStats(mean, divisor, x, d, 1e-5)
				return mean, divisor
			}},
			{"RMSNormGrad", RMSNormGrad[float32], RMSNormGrad[float64], func(x []float64, d int) (mean, divisor []float64) {
				divisor = make([]float64, len(x)/d)
				RMSNormStats(divisor, x, d, 1e-5)
				return make([]float64, len(x)/d), divisor
			}},
		} {
			for _, d := range rowLengths {
				rows := 1 + r.IntN(6)
				x, dy, gamma := randoms(r, rows*d), randoms(r, rows*d), randoms(r, d)
				for i := range x {
					x[i] = 3*x[i] + 2
				}
				dx := newGuarded(rows*d, r.IntN(16))
				c.narrow(dx.values, dy, x, d, gamma, 1e-5)
				dx.check(t, nil)
				want := make([]float64, rows*d)
				c.wide(want, widen(dy), widen(x), d, widen(gamma), 1e-5)
				_, divisor := c.stats(widen(x), d)
				for i, want := range want {
					// Both sums are off by some roundings of their largest terms;
					// x − mean is off by some of x, which the divisor magnifies.
					largest, off := 0.0, 0.0
					for j := range d {
						largest = max(largest, math.Abs(float64(dy[i/d*d+j]*gamma[j])))
						off = max(off, math.Abs(float64(x[i/d*d+j])))
					}
					off = 1 + off/divisor[i/d]
					bound := 16 * epsilon * off * off * largest / divisor[i/d]
					if got := float64(dx.values[i]); !(math.Abs(got-want) <= bound) {
						t.Fatalf("%s, d=%d: value %d is %v, want %v ± %v", c.name, d, i, got, want, bound)
					}
				}
				for place, again := range [][]float32{append([]float32(nil), dy...), append([]float32(nil), x...)} {
					if place == 0 {
						c.narrow(again, again, x, d, gamma, 1e-5)
					} else {
						c.narrow(again, dy, again, d, gamma, 1e-5)
					}
					if !sameBits(again, dx.values) {
						t.Fatalf("%s, d=%d: in place %d differs", c.name, d, place)
					}
				}
				for i := range rows {
					one := make([]float32, d)
					c.narrow(one, dy[i*d:(i+1)*d], x[i*d:(i+1)*d], d, gamma, 1e-5)
					if !sameBits(one, dx.values[i*d:(i+1)*d]) {
						t.Fatalf("%s, d=%d: row %d differs alone", c.name, d, i)
					}
				}
				// A number that is none spoils its row and no other.
				bad := r.IntN(rows * d)
				for _, special := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					for _, in := range [][]float32{x, dy} {
						kept := in[bad]
						in[bad] = float32(special)
						c.narrow(dx.values, dy, x, d, gamma, 1e-5)
						in[bad] = kept
						for i, v := range dx.values {
							finite := !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
							if i/d != bad/d && !finite || i == bad && finite {
								t.Fatalf("%s, d=%d: %v at %d makes value %d %v", c.name, d, special, bad, i, v)
							}
						}
					}
				}
			}
		}
	})
}

// TestNormPieces holds the norms in pieces to the norms, bit for bit, and RMSNorm
// to float64.
func TestNormPieces(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(49, 50))
		for _, d := range rowLengths {
			rows := 1 + r.IntN(9)
			x, gamma, beta := randoms(r, rows*d), randoms(r, d), randoms(r, d)
			for i := range x {
				x[i] = 3*x[i] + 5
			}
			mean, divisor, dst := newGuarded(rows, r.IntN(16)), newGuarded(rows, r.IntN(16)), newGuarded(rows*d, r.IntN(16))
			check := func(name string, whole []float32, mean []float32, beta []float32) {
				Normalize(dst.values, x, d, mean, divisor.values)
				dst.check(t, nil)
				Affine(dst.values, dst.values, d, gamma, beta)
				dst.check(t, nil)
				if !sameBits(dst.values, whole) {
					t.Fatalf("%s, d=%d: the pieces give %v, the whole %v", name, d, dst.values, whole)
				}
			}
			whole := make([]float32, rows*d)
			LayerNorm(whole, x, d, gamma, beta, 1e-5)
			LayerNormStats(mean.values, divisor.values, x, d, 1e-5)
			mean.check(t, nil)
			divisor.check(t, nil)
			check("LayerNorm", whole, mean.values, beta)
			for i := range rows {
				row, sum, square := x[i*d:(i+1)*d], 0.0, 0.0
				for _, v := range row {
					sum += float64(v)
				}
				for _, v := range row {
					square += (float64(v) - sum/float64(d)) * (float64(v) - sum/float64(d))
				}
				largest := momentsOf(row).largest
				if got, want := float64(mean.values[i]), sum/float64(d); !(math.Abs(got-want) <= 16*epsilon*largest) {
					t.Fatalf("d=%d: the mean is %v, want %v", d, got, want)
				}
				if got, want := float64(divisor.values[i]), math.Sqrt(square/float64(d)+1e-5); !(math.Abs(got-want) <= 16*epsilon*(want+largest)) {
					t.Fatalf("d=%d: the divisor is %v, want %v", d, got, want)
				}
			}

			RMSNorm(whole, x, d, gamma, 1e-5)
			RMSNormStats(divisor.values, x, d, 1e-5)
			divisor.check(t, nil)
			check("RMSNorm", whole, nil, nil)
			want := make([]float64, rows*d)
			RMSNorm(want, widen(x), d, widen(gamma), 1e-5)
			for i, want := range want {
				if got := float64(whole[i]); !(math.Abs(got-want) <= float64(8+d/32)*epsilon*math.Abs(want)) {
					t.Fatalf("RMSNorm, d=%d: value %d is %v, want %v", d, i, got, want)
				}
			}
			again := append([]float32(nil), x...)
			RMSNorm(again, again, d, gamma, 1e-5)
			if !sameBits(again, whole) {
				t.Fatalf("RMSNorm, d=%d: in place differs", d)
			}
			one := make([]float32, d)
			RMSNorm(one, x[(rows-1)*d:], d, gamma, 1e-5)
			if !sameBits(one, whole[(rows-1)*d:]) {
				t.Fatalf("RMSNorm, d=%d: the last row differs alone", d)
			}
		}
	})
}

func TestSoftmaxGrad(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(51, 52))
		for _, n := range append([]int{0, 5, 20, 385}, rowLengths...) {
			rows, ld := r.IntN(10), n+r.IntN(4)
			p, dp := randoms(r, rows*n), randoms(r, rows*n)
			SoftmaxRows(p, n, rows, n)
			p, dp = strided(p, rows, n, ld), strided(dp, rows, n, ld)
			ds := newGuarded(rows*ld, r.IntN(16))
			SoftmaxGrad(ds.values, p, dp, ld, rows, n)
			ds.check(t, func(i int) bool { return i%ld < n })
			for row := range rows {
				p, dp, ds := p[row*ld:row*ld+n], dp[row*ld:row*ld+n], ds.values[row*ld:row*ld+n]
				sum, size := 0.0, 0.0
				for i := range p {
					sum += float64(p[i]) * float64(dp[i])
					size += math.Abs(float64(p[i]) * float64(dp[i]))
				}
				for i := range p {
					want := float64(p[i]) * (float64(dp[i]) - sum)
					bound := epsilon * float64(p[i]) * (float64(n/8+8)*size + 3*math.Abs(float64(dp[i])))
					if !(math.Abs(float64(ds[i])-want) <= bound) && Family() != "generic" || !(math.Abs(float64(ds[i])-want) <= 8*bound) {
						t.Fatalf("n=%d: value %d is %v, want %v ± %v", n, i, ds[i], want, bound)
					}
				}
				alone := make([]float32, n)
				SoftmaxGrad(alone, p, dp, n, 1, n)
				if !sameBits(alone, ds) {
					t.Fatalf("n=%d: row %d differs alone", n, row)
				}
			}
			SoftmaxGrad(dp, p, dp, ld, rows, n)
			for row := range rows {
				if !sameBits(dp[row*ld:row*ld+n], ds.values[row*ld:row*ld+n]) {
					t.Fatalf("n=%d: row %d differs in place", n, row)
				}
			}
		}
	})
}

// TestVectors holds the operations on vectors to a rounding each.
func TestVectors(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(53, 54))
		for n := range 300 {
			x, y, a := randoms(r, n), randoms(r, n), float32(r.NormFloat64())
			for i := range min(n, len(specials)) {
				x[r.IntN(n)] = specials[i]
			}
			dst := newGuarded(n, r.IntN(16))
			run := func(name string, f func(), want func(i int) float64) {
				copy(dst.values, y)
				f()
				dst.check(t, nil)
				for i, got := range dst.values {
					want := want(i)
					if w := float32(want); got == w || got != got && w != w {
						continue
					}
					if size := math.Abs(want) + math.Abs(float64(a)*float64(x[i])); !(math.Abs(float64(got)-want) <= 2*epsilon*size+0x1p-149) {
						t.Fatalf("%s, n=%d: value %d is %v, want %v", name, n, i, got, want)
					}
				}
			}
			run("Mul", func() { Mul(dst.values, x) }, func(i int) float64 { return float64(y[i]) * float64(x[i]) })
			run("Scale", func() { Scale(dst.values, a) }, func(i int) float64 { return float64(y[i]) * float64(a) })
			run("AddScaled", func() { AddScaled(dst.values, a, x) }, func(i int) float64 { return float64(y[i]) + float64(a)*float64(x[i]) })

			x = randoms(r, n)
			want, size := 0.0, 0.0
			for i := range x {
				want += float64(x[i]) * float64(y[i])
				size += math.Abs(float64(x[i]) * float64(y[i]))
			}
			got := Dot(x, y)
			if !(math.Abs(float64(got)-want) <= float64(n+1)*epsilon*size) {
				t.Fatalf("Dot, n=%d: %v, want %v", n, got, want)
			}
			moved := newGuarded(n, r.IntN(16))
			copy(moved.values, x)
			if again := Dot(moved.values, y); again != got {
				t.Fatalf("Dot, n=%d: %v elsewhere in memory, %v before", n, again, got)
			}
		}
	})
}

func TestRotate(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(55, 56))
		for range 200 {
			rows, heads, half := r.IntN(5), r.IntN(4), r.IntN(70)
			e := 2*half + r.IntN(5)
			ld := heads*e + r.IntN(4)
			x := newGuarded(rows*ld, r.IntN(16))
			before := randoms(r, rows*heads*e)
			for i := range rows {
				copy(x.values[i*ld:], before[i*heads*e:(i+1)*heads*e])
			}
			cos, sin := make([]float32, rows*half), make([]float32, rows*half)
			for i := range cos {
				angle := r.NormFloat64()
				cos[i], sin[i] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
			inside := func(i int) bool { return i%ld < heads*e }
			Rotate(x.values, ld, rows, heads, e, half, cos, sin)
			x.check(t, inside)
			close := func(name string, got float32, want float64) {
				if !(math.Abs(float64(got)-want) <= 16*epsilon) {
					t.Fatalf("%s: heads=%d e=%d half=%d: %v, want %v", name, heads, e, half, got, want)
				}
			}
			for i := range rows {
				for h := range heads {
					from, to := before[(i*heads+h)*e:][:e], x.values[i*ld+h*e:][:e]
					for j := range half {
						a, b, c, s := float64(from[j]), float64(from[half+j]), float64(cos[i*half+j]), float64(sin[i*half+j])
						close("first", to[j], a*c-b*s)
						close("second", to[half+j], b*c+a*s)
					}
					if !sameBits(to[2*half:], from[2*half:]) {
						t.Fatalf("e=%d half=%d: what is not to turn became %v", e, half, to[2*half:])
					}
				}
			}
			RotateBack(x.values, ld, rows, heads, e, half, cos, sin)
			x.check(t, inside)
			for i := range rows {
				for j := range heads * e {
					close("back", x.values[i*ld+j], float64(before[i*heads*e+j]))
				}
			}
		}
	})
}
