package kernel

import "math"

// stabilizer keeps quotients finite.
const stabilizer = 1e-9

// Divide computes dst = r/(z + 10⁻⁹), and 0 where z is 0, each in double
// precision and rounded once. dst may be r or z.
func Divide[T Float](dst, r, z []T) {
	for i, v := range z {
		dst[i] = T(quotient(float64(r[i]), float64(v)))
	}
}

// Keep computes dst = x·r/(x + 10⁻⁹), and 0 where x is 0, as [Divide] does, and
// returns the sums, in double precision, of that and of what r has more. dst may
// be r or x.
func Keep[T Float](dst, r, x []T) (kept, lost float64) {
	for i, v := range x {
		v, all := float64(v), float64(r[i])
		q := quotient(all, v)
		dst[i] = T(v * q)
		kept += float64(v * q)
		if v == 0 {
			lost += all
		} else {
			lost += float64(q * stabilizer)
		}
	}
	return kept, lost
}

func quotient(r, z float64) float64 {
	if z == 0 {
		return 0
	}
	if d := z + stabilizer; d != 0 {
		return r / d
	}
	return r / stabilizer
}

// Share returns by what to multiply values whose sum is a so that it becomes the
// share of sum that a has beside b, by their sizes. Quotients are those of
// [Divide].
func Share(a, b, sum float64) float64 {
	return quotient(float64(quotient(math.Abs(a), math.Abs(a)+math.Abs(b))*sum), a)
}

// ShareSum shares r out between the terms of x + y: to a = x·r/(x + y) and
// b = y·r/(x + y), each scaled so that their sums over all values are to each
// other as |Σa| and |Σb|, and together Σr. Sums and quotients are in double
// precision, from the first value to the last. a and b overlap nothing.
func ShareSum[T Float](a, b, r, x, y []T) {
	var sumA, sumB, sum float64
	each := func(i int) (u, v float64) {
		u, v = float64(x[i]), float64(y[i])
		q := quotient(float64(r[i]), u+v)
		return float64(u * q), float64(v * q)
	}
	for i := range r {
		u, v := each(i)
		sumA, sumB, sum = sumA+u, sumB+v, sum+float64(r[i])
	}
	scaleA, scaleB := Share(sumA, sumB, sum), Share(sumB, sumA, sum)
	for i := range r {
		u, v := each(i)
		a[i], b[i] = T(u*scaleA), T(v*scaleB)
	}
}
