package kernel

import "fmt"

// The norms in pieces, for a caller that reads or edits what lies between:
// [LayerNorm] is [LayerNormStats], [Normalize] and [Affine] one after the other,
// bit for bit, and [RMSNorm] is [RMSNormStats], [Normalize] and [Affine].

// LayerNormStats computes mean[r] and divisor[r] = √(var + eps) of each row of
// x, [len(x)/d, d].
func LayerNormStats[T Float](mean, divisor, x []T, d int, eps float64) {
	checkRows("layer norm", d, len(x), len(x))
	checkPerRow("mean", len(mean), len(x), d)
	checkPerRow("divisor", len(divisor), len(x), d)
	if x, ok := any(x).([]float32); ok {
		active.Load().stats(any(mean).([]float32), any(divisor).([]float32), x, d, float32(eps))
		return
	}
	stats(mean, divisor, x, d, T(eps))
}

// RMSNormStats computes divisor[r] = √(mean(x²) + eps) of each row of x,
// [len(x)/d, d].
func RMSNormStats[T Float](divisor, x []T, d int, eps float64) {
	checkRows("RMS norm", d, len(x), len(x))
	checkPerRow("divisor", len(divisor), len(x), d)
	if x, ok := any(x).([]float32); ok {
		active.Load().stats(nil, any(divisor).([]float32), x, d, float32(eps))
		return
	}
	stats(nil, divisor, x, d, T(eps))
}

// Normalize computes (x − mean[r])·(1/divisor[r]) for each row r of x,
// [len(x)/d, d], into dst; a nil mean is 0. dst may be x.
func Normalize[T Float](dst, x []T, d int, mean, divisor []T) {
	checkRows("normalize", d, len(x), len(dst))
	if mean != nil {
		checkPerRow("mean", len(mean), len(x), d)
	}
	checkPerRow("divisor", len(divisor), len(x), d)
	if x, ok := any(x).([]float32); ok {
		active.Load().normalize(any(dst).([]float32), x, d, any(mean).([]float32), any(divisor).([]float32))
		return
	}
	normalize(dst, x, d, mean, divisor)
}

// Affine computes x·gamma + beta for each row of x, [len(x)/d, d], into dst; a
// nil beta is 0. dst may be x.
func Affine[T Float](dst, x []T, d int, gamma, beta []T) {
	checkRows("affine", d, len(x), len(dst))
	checkWeights(d, len(gamma))
	if beta != nil {
		checkWeights(d, len(beta))
	}
	if x, ok := any(x).([]float32); ok {
		active.Load().affine(any(dst).([]float32), x, d, any(gamma).([]float32), any(beta).([]float32))
		return
	}
	affine(dst, x, d, gamma, beta)
}

// RMSNorm computes x/√(mean(x²) + eps)·gamma for each row of x, [len(x)/d, d],
// into dst (Zhang and Sennrich 2019). gamma is used as it is given: where a
// model means 1 + gamma, the caller adds the 1. dst may be x.
func RMSNorm[T Float](dst, x []T, d int, gamma []T, eps float64) {
	checkRows("RMS norm", d, len(x), len(dst))
	checkWeights(d, len(gamma))
	if x, ok := any(x).([]float32); ok {
		active.Load().rmsNorm(any(dst).([]float32), x, d, any(gamma).([]float32), float32(eps))
		return
	}
	rmsNorm(dst, x, d, gamma, T(eps))
}

// LayerNormGrad computes the gradient of a loss at the input x of [LayerNorm]
// from dy, the gradient at its output. For each row, with the statistics of x,
// n = (x − mean)/divisor and g = dy·gamma,
//
//	dx = (g − mean(g) − n·mean(g·n))/divisor
//
// dx may be dy or x.
func LayerNormGrad[T Float](dx, dy, x []T, d int, gamma []T, eps float64) {
	checkRows("gradient of layer norm", d, len(x), len(dx), len(dy))
	checkWeights(d, len(gamma))
	if x, ok := any(x).([]float32); ok {
		active.Load().layerNormGrad(any(dx).([]float32), any(dy).([]float32), x, d, any(gamma).([]float32), float32(eps))
		return
	}
	normGrad(dx, dy, x, d, gamma, T(eps), true)
}

// RMSNormGrad computes the gradient at the input x of [RMSNorm] from dy, the
// gradient at its output: that of [LayerNormGrad] without the means of x and g.
// dx may be dy or x.
func RMSNormGrad[T Float](dx, dy, x []T, d int, gamma []T, eps float64) {
	checkRows("gradient of RMS norm", d, len(x), len(dx), len(dy))
	checkWeights(d, len(gamma))
	if x, ok := any(x).([]float32); ok {
		active.Load().rmsNormGrad(any(dx).([]float32), any(dy).([]float32), x, d, any(gamma).([]float32), float32(eps))
		return
	}
	normGrad(dx, dy, x, d, gamma, T(eps), false)
}

// NormalizeGrad computes the gradients at the inputs of [Normalize] from dn, the
// gradient at its output n: for each row,
//
//	dx = (dn − mean(dn))/divisor     ddivisor = −Σ dn·n/divisor
//
// or dx = dn/divisor where centred is false: where mean is nil. It is for a
// divisor that was edited; where the divisor depends on x, its gradient adds
// ddivisor·n/d to dx, whichever the norm is. ddivisor may be nil. dx may be dn.
func NormalizeGrad[T Float](dx, ddivisor, dn, n []T, d int, divisor []T, centred bool) {
	checkRows("gradient of normalize", d, len(n), len(dx), len(dn))
	checkPerRow("divisor", len(divisor), len(n), d)
	if ddivisor != nil {
		checkPerRow("ddivisor", len(ddivisor), len(n), d)
	}
	for r, divisor := range divisor {
		to, from := dx[r*d:(r+1)*d], dn[r*d:(r+1)*d]
		if ddivisor != nil {
			ddivisor[r] = -Dot(from, n[r*d:(r+1)*d]) / divisor
		}
		mean := T(0)
		if centred {
			for _, v := range from {
				mean += v
			}
			mean /= T(d)
		}
		scale := 1 / divisor
		for i, v := range from {
			to[i] = (v - mean) * scale
		}
	}
}

// checkRows panics unless n values are rows of d, and so many are in the other
// slices.
func checkRows(what string, d, n int, others ...int) {
	if d <= 0 || n%d != 0 {
		panic(fmt.Sprintf("kernel: %s of %d values in rows of %d", what, n, d))
	}
	for _, other := range others {
		if other != n {
			panic(fmt.Sprintf("kernel: %s of %d values beside %d", what, n, other))
		}
	}
}

// checkPerRow panics unless got is a value for each row of d of n values.
func checkPerRow(name string, got, n, d int) {
	if got != n/d {
		panic(fmt.Sprintf("kernel: %s has %d values for %d rows", name, got, n/d))
	}
}

// checkWeights panics unless n weights serve rows of d values.
func checkWeights(d, n int) {
	if n != d {
		panic(fmt.Sprintf("kernel: %d weights for rows of %d values", n, d))
	}
}
