package num

import "math"

const (
	log2e = 1.44269504088896338700e+00 // 1/ln 2
	// ln 2 = ln2Hi + ln2Lo: the low 21 bits of ln2Hi are zero, so that
	// k·ln2Hi is exact for every exponent k.
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10

	expOverflow  = 7.09782712893383973096e+02  // ln of the largest float64
	expUnderflow = -7.45133219101941108420e+02 // ln of half the smallest
)

// Exp returns eˣ, within 1 unit in the last place. Exp(NaN) is NaN.
//
// The argument is reduced to x = k·ln 2 + r with |r| ≤ ln 2/2, and
// eʳ = 1 + r + r²·(1/2! + r/3! + …) is summed with the rounding error of 1 + r
// carried along.
func Exp(x float64) float64 {
	switch {
	case x != x:
		return math.NaN()
	case x > expOverflow:
		return math.Inf(1)
	case x < expUnderflow:
		return 0
	}
	k, r, tail := reduceExp(x)
	s := 1 + r
	return scale(s+((r-(s-1))+tail), k)
}

// Expm1 returns eˣ − 1, within 1 unit in the last place also where x is near 0.
func Expm1(x float64) float64 {
	switch {
	case x != x:
		return math.NaN()
	case x > expOverflow:
		return math.Inf(1)
	case x < -38: // e⁻³⁸ is less than half a unit in the last place of 1
		return -1
	case math.Abs(x) < 0x1p-54: // and −0 stays −0
		return x
	}
	k, r, tail := reduceExp(x)
	// eˣ − 1 = 2ᵏ·((1 − 2⁻ᵏ) + r + tail).
	if k == 0 {
		return r + tail
	}
	one := 1 - scale(1, -k)
	s := one + r
	return scale(s+((r-(s-one))+tail), k)
}

// reduceExp returns k and r, with |r| ≤ ln 2/2 and a little, and tail such that
// eˣ = 2ᵏ·(1 + r + tail) to more bits than a float64 has. x is finite and in the
// range of Exp.
func reduceExp(x float64) (k int, r, tail float64) {
	n := math.Floor(float64(x*log2e) + 0.5)
	hi := x - float64(n*ln2Hi) // exact
	lo := float64(n * ln2Lo)
	r = hi - lo
	e := (hi - r) - lo // what r lost
	// Taylor's series to r¹³/13!; the next term is below 2⁻⁵⁷.
	q := 1./39916800 + float64(r*(1./479001600+float64(r*(1./6227020800))))
	q = 1./3628800 + float64(r*q)
	q = 1./362880 + float64(r*q)
	q = 1./40320 + float64(r*q)
	q = 1./5040 + float64(r*q)
	q = 1./720 + float64(r*q)
	q = 1./120 + float64(r*q)
	q = 1./24 + float64(r*q)
	q = 1./6 + float64(r*q)
	q = 1./2 + float64(r*q)
	return int(n), r, float64(r*r*q) + (e + float64(e*r))
}

// scale returns y·2ᵏ for y in [1/8, 2) and k in [−1075, 1074], rounded once, and
// infinite where that overflows.
func scale(y float64, k int) float64 {
	switch {
	case k > 1000:
		return float64(float64(y*0x1p1000) * power(k-1000))
	case k < -1000:
		return float64(float64(y*0x1p-1000) * power(k+1000))
	}
	return float64(y * power(k))
}

// power returns 2ᵏ for k in [−1022, 1023].
func power(k int) float64 { return math.Float64frombits(uint64(k+1023) << 52) }

// Tanh returns the hyperbolic tangent of x, within 3 units in the last place.
//
//	tanh x = −m/(m + 2) with m = e⁻²ˣ − 1 for x < 1, else 1 − 2/(m + 2) with m = e²ˣ − 1
func Tanh(x float64) float64 {
	a := math.Abs(x)
	var t float64
	switch {
	case x != x:
		return math.NaN()
	case a < 0x1p-28: // tanh x = x − x³/3 + …
		return x
	case a < 1:
		m := Expm1(float64(-2 * a))
		t = -m / (m + 2)
	case a < 22:
		m := Expm1(float64(2 * a))
		t = 1 - 2/(m+2)
	default:
		t = 1
	}
	return math.Copysign(t, x)
}

// Sigmoid returns the logistic function 1/(1 + e⁻ˣ), within 2 units in the last
// place. It computes eˣ/(1 + eˣ) for negative x, where e⁻ˣ may overflow.
func Sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + Exp(-x))
	}
	e := Exp(x)
	return e / (1 + e)
}
