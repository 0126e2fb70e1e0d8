package num

import "math"

// Log returns the natural logarithm of x, within 1 unit in the last place.
// Log(0) is −Inf; of a negative number or a NaN it is NaN.
//
// With x = 2ᵏ·(1 + f), √½ ≤ 1 + f < √2 and s = f/(2 + f),
//
//	ln(1 + f) = 2·artanh s = f − s·(f − R), R = 2s²/3 + 2s⁴/5 + …
//
// where the leading f is exact, so that few roundings reach the result.
func Log(x float64) float64 {
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case x > math.MaxFloat64:
		return x
	}
	fraction, k := math.Frexp(x) // in [½, 1)
	if fraction < math.Sqrt2/2 {
		fraction = float64(fraction * 2)
		k--
	}
	f := fraction - 1
	s := f / (2 + f)
	z := float64(s * s)
	// The next term is below 2⁻⁶⁰.
	p := 2./21 + float64(z*(2./23))
	p = 2./19 + float64(z*p)
	p = 2./17 + float64(z*p)
	p = 2./15 + float64(z*p)
	p = 2./13 + float64(z*p)
	p = 2./11 + float64(z*p)
	p = 2./9 + float64(z*p)
	p = 2./7 + float64(z*p)
	p = 2./5 + float64(z*p)
	p = 2./3 + float64(z*p)
	low := float64(s * (f - float64(z*p)))
	if k == 0 {
		return f - low
	}
	n := float64(k)
	return float64(n*ln2Hi) - ((low - float64(n*ln2Lo)) - f)
}

// Log1p returns ln(1 + x), within 2 units in the last place also where x is
// near 0. Log1p(−1) is −Inf; below that it is NaN.
//
// With u the rounded 1 + x, ln(1 + x) = ln u + (1 + x − u)/u (Goldberg, "What
// every computer scientist should know about floating-point arithmetic", 1991,
// theorem 4, in its additive form).
func Log1p(x float64) float64 {
	switch {
	case math.Abs(x) < 0x1p-54: // and −0 stays −0
		return x
	case x > 0x1p60 || !(x > -1):
		return Log(1 + x)
	}
	u := 1 + x
	lost := x - (u - 1)
	if x > 1 {
		lost = 1 - (u - x)
	}
	return Log(u) + lost/u
}
