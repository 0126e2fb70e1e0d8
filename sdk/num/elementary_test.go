package num_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/xai-go/xai/sdk/num"
)

// precision of the references, in bits.
const precision = 200

func bigFloat(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

func op(f func(z, x, y *big.Float) *big.Float, x, y *big.Float) *big.Float {
	return f(new(big.Float).SetPrec(precision), x, y)
}

func add(x, y *big.Float) *big.Float { return op((*big.Float).Add, x, y) }
func sub(x, y *big.Float) *big.Float { return op((*big.Float).Sub, x, y) }
func mul(x, y *big.Float) *big.Float { return op((*big.Float).Mul, x, y) }
func quo(x, y *big.Float) *big.Float { return op((*big.Float).Quo, x, y) }

// bigExpm1 is the Taylor series at x/2ʰ, doubled h times by
// e²ʸ − 1 = (eʸ − 1)·(eʸ − 1 + 2), which loses nothing near 0.
func bigExpm1(x *big.Float) *big.Float {
	halvings := 0
	if e := x.MantExp(nil); e > -8 {
		halvings = e + 8
	}
	y := new(big.Float).SetMantExp(x, -halvings)
	sum, term := bigFloat(0), bigFloat(1)
	for n := 1.0; n < 40; n++ {
		term = quo(mul(term, y), bigFloat(n))
		sum = add(sum, term)
	}
	for range halvings {
		sum = mul(sum, add(sum, bigFloat(2)))
	}
	return sum
}

func bigExp(x *big.Float) *big.Float {
	if x.Sign() < 0 {
		return quo(bigFloat(1), bigExp(new(big.Float).Neg(x)))
	}
	return add(bigExpm1(x), bigFloat(1))
}

// bigLog is one step of Halley's method, which triples the digits of guess.
func bigLog(x *big.Float, guess float64) *big.Float {
	y := bigFloat(guess)
	e := bigExp(y)
	step := quo(sub(x, e), add(x, e))
	return add(y, add(step, step))
}

// bigLog1p is the same of 1 + x, for x near 0.
func bigLog1p(x *big.Float, guess float64) *big.Float {
	y := bigFloat(guess)
	m := bigExpm1(y)
	step := quo(sub(x, m), add(add(x, m), bigFloat(2)))
	return add(y, add(step, step))
}

// ulps is the distance of got from want in units of the last place of want.
func ulps(got float64, want *big.Float) float64 {
	w, _ := want.Float64()
	if math.IsInf(w, 0) || math.IsNaN(got) || math.IsInf(got, 0) {
		if got == w {
			return 0
		}
		return math.Inf(1)
	}
	unit := math.Nextafter(math.Abs(w), math.Inf(1)) - math.Abs(w)
	d, _ := quo(sub(bigFloat(got), want), bigFloat(unit)).Float64()
	return math.Abs(d)
}

func TestElementaryFunctions(t *testing.T) {
	// span draws uniformly, scales draws the exponent uniformly.
	span := func(low, high float64) func(*rand.Rand) float64 {
		return func(r *rand.Rand) float64 { return low + (high-low)*r.Float64() }
	}
	scales := func(low, high int, negative bool) func(*rand.Rand) float64 {
		return func(r *rand.Rand) float64 {
			x := math.Ldexp(1+r.Float64(), low+r.IntN(high-low))
			if negative && r.IntN(2) == 0 {
				x = -x
			}
			return x
		}
	}
	one := bigFloat(1)
	expm1 := func(x float64) *big.Float { return bigExpm1(bigFloat(x)) }
	exp := func(x float64) *big.Float { return bigExp(bigFloat(x)) }
	log := func(x float64) *big.Float {
		// math.Log is wrong for subnormal numbers on amd64.
		fraction, exponent := math.Frexp(x)
		return bigLog(bigFloat(x), math.Log(fraction)+float64(exponent)*math.Ln2)
	}
	log1p := func(x float64) *big.Float { return bigLog1p(bigFloat(x), math.Log1p(x)) }
	tanh := func(x float64) *big.Float {
		m := bigExpm1(bigFloat(2 * x))
		return quo(m, add(m, bigFloat(2)))
	}
	sigmoid := func(x float64) *big.Float { return quo(one, add(one, bigExp(bigFloat(-x)))) }

	tests := []struct {
		name  string
		f     func(float64) float64
		want  func(float64) *big.Float
		draw  func(*rand.Rand) float64
		bound float64 // in units of the last place; what the documentation promises
	}{
		{"Exp around zero", num.Exp, exp, span(-2, 2), 1},
		{"Exp", num.Exp, exp, span(-708, 709.78), 1},
		{"Exp subnormal", num.Exp, exp, span(-745, -708), 1},
		{"Exp of small numbers", num.Exp, exp, scales(-60, 1, true), 1},
		{"Expm1 around zero", num.Expm1, expm1, span(-2, 2), 1},
		{"Expm1", num.Expm1, expm1, span(-40, 709.78), 1},
		{"Expm1 of small numbers", num.Expm1, expm1, scales(-70, 1, true), 1},
		{"Log around one", num.Log, log, span(0.5, 2), 1},
		{"Log near one", num.Log, log, func(r *rand.Rand) float64 { return 1 + scales(-52, -8, true)(r) }, 1},
		{"Log", num.Log, log, scales(-1074, 1023, false), 1},
		{"Log1p around zero", num.Log1p, log1p, span(-0.99, 3), 2},
		{"Log1p of small numbers", num.Log1p, log1p, scales(-70, -1, true), 2},
		{"Log1p of large numbers", num.Log1p, log1p, scales(0, 100, false), 2},
		{"Tanh", num.Tanh, tanh, span(-24, 24), 3},
		{"Tanh around zero", num.Tanh, tanh, span(-1.5, 1.5), 3},
		{"Tanh of small numbers", num.Tanh, tanh, scales(-70, 0, true), 3},
		{"Sigmoid", num.Sigmoid, sigmoid, span(-740, 40), 2},
		{"Sigmoid around zero", num.Sigmoid, sigmoid, span(-5, 5), 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			worst, at := 0.0, 0.0
			for range 500 {
				x := test.draw(r)
				if d := ulps(test.f(x), test.want(x)); !(d <= worst) {
					worst, at = d, x
				}
			}
			if worst > test.bound {
				w, _ := test.want(at).Float64()
				t.Errorf("at %v: got %v, want %v: %.3f units in the last place, more than %v", at, test.f(at), w, worst, test.bound)
			}
			t.Logf("worst: %.3f units in the last place, at %v", worst, at)
		})
	}
}

func TestSpecialValues(t *testing.T) {
	inf, nan, negativeZero := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	tests := []struct {
		name    string
		f       func(float64) float64
		x, want float64
	}{
		{"Exp(0)", num.Exp, 0, 1},
		{"Exp(+Inf)", num.Exp, inf, inf},
		{"Exp(-Inf)", num.Exp, -inf, 0},
		{"Exp(NaN)", num.Exp, nan, nan},
		{"Exp of the last finite argument", num.Exp, 7.09782712893383973096e+02, 1.7976931348622732e+308},
		{"Exp just above it", num.Exp, math.Nextafter(7.09782712893383973096e+02, inf), inf},
		{"Exp of the last non-zero argument", num.Exp, -7.4513321910194110842e+02, 5e-324},
		{"Exp just below it", num.Exp, math.Nextafter(-7.4513321910194110842e+02, -inf), 0},
		{"Expm1(-0)", num.Expm1, negativeZero, negativeZero},
		{"Expm1(+Inf)", num.Expm1, inf, inf},
		{"Expm1(-Inf)", num.Expm1, -inf, -1},
		{"Expm1(NaN)", num.Expm1, nan, nan},
		{"Log(0)", num.Log, 0, -inf},
		{"Log(-0)", num.Log, negativeZero, -inf},
		{"Log(1)", num.Log, 1, 0},
		{"Log(-1)", num.Log, -1, nan},
		{"Log(-Inf)", num.Log, -inf, nan},
		{"Log(+Inf)", num.Log, inf, inf},
		{"Log(NaN)", num.Log, nan, nan},
		{"Log of the smallest number", num.Log, 5e-324, -744.4400719213812},
		{"Log1p(-0)", num.Log1p, negativeZero, negativeZero},
		{"Log1p(-1)", num.Log1p, -1, -inf},
		{"Log1p(-2)", num.Log1p, -2, nan},
		{"Log1p(-Inf)", num.Log1p, -inf, nan},
		{"Log1p(+Inf)", num.Log1p, inf, inf},
		{"Log1p(NaN)", num.Log1p, nan, nan},
		{"Tanh(-0)", num.Tanh, negativeZero, negativeZero},
		{"Tanh(+Inf)", num.Tanh, inf, 1},
		{"Tanh(-Inf)", num.Tanh, -inf, -1},
		{"Tanh(NaN)", num.Tanh, nan, nan},
		{"Sigmoid(0)", num.Sigmoid, 0, 0.5},
		{"Sigmoid(+Inf)", num.Sigmoid, inf, 1},
		{"Sigmoid(-Inf)", num.Sigmoid, -inf, 0},
		{"Sigmoid(NaN)", num.Sigmoid, nan, nan},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := test.f(test.x)
			if math.Float64bits(got) != math.Float64bits(test.want) && !(math.IsNaN(got) && math.IsNaN(test.want)) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
