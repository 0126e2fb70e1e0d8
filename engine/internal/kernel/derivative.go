package kernel

import "fmt"

// The derivatives of the activations: dx = dy·f′(x), where x is what the
// activation was applied to. dx may be dy or x. The errors below are those of
// f′(x); the product with dy adds a rounding. f′(x) may be flushed to 0 where it
// is smaller than 2⁻¹¹⁸. An infinite x has the limit of f′, and NaN gives NaN.

// GELUGrad computes dx = dy·f′(x) for [GELU]: f′(x) = Φ(x) + x·φ(x). The error
// is at most 6 ulp of the larger of the two terms, whose sum cancels near the
// x < 0 where f′ is 0.
func GELUGrad[T Float](dx, dy, x []T) {
	checkLengths("gradient of GELU", len(x), len(dx), len(dy))
	if x, ok := any(x).([]float32); ok {
		active.Load().geluGrad(any(dx).([]float32), any(dy).([]float32), x)
		return
	}
	geluGrad(dx, dy, x)
}

// GELUTanhGrad computes dx = dy·f′(x) for [GELUTanh]: with
// z = 2·√(2/π)·(x + 0.044715·x³), f′(x) = σ(z) + x·z′·σ(z)·σ(−z). The error is
// at most 5 ulp of the larger of the two terms, and 2.5·|z| more where z < 0:
// that is what rounding z means.
func GELUTanhGrad[T Float](dx, dy, x []T) {
	gateDerivative(dx, dy, x, geluTanhLinear, geluTanhCubic)
}

// QuickGELUGrad computes dx = dy·f′(x) for [QuickGELU]: with z = 1.702·x,
// f′(x) = σ(z) + z·σ(z)·σ(−z). The error is bounded like that of [GELUTanhGrad].
func QuickGELUGrad[T Float](dx, dy, x []T) { gateDerivative(dx, dy, x, quickGELULinear, 0) }

// SiLUGrad computes dx = dy·f′(x) for [SiLU]: f′(x) = σ(x) + x·σ(x)·σ(−x). The
// error is at most 5 ulp of the larger of the two terms.
func SiLUGrad[T Float](dx, dy, x []T) { gateDerivative(dx, dy, x, 1, 0) }

func gateDerivative[T Float](dx, dy, x []T, linear, cubic float64) {
	checkLengths("gradient of a gate", len(x), len(dx), len(dy))
	if x, ok := any(x).([]float32); ok {
		active.Load().gateGrad(any(dx).([]float32), any(dy).([]float32), x, linear, cubic)
		return
	}
	gateGrad(dx, dy, x, linear, cubic)
}

// SigmoidGrad computes dx = dy·f′(x) for [Sigmoid]: f′(x) = σ(x)·σ(−x). The
// error is at most 5 ulp.
func SigmoidGrad[T Float](dx, dy, x []T) {
	checkLengths("gradient of sigmoid", len(x), len(dx), len(dy))
	if x, ok := any(x).([]float32); ok {
		active.Load().sigmoidGrad(any(dx).([]float32), any(dy).([]float32), x)
		return
	}
	sigmoidGrad(dx, dy, x)
}

// TanhGrad computes dx = dy·f′(x) for [Tanh]: f′(x) = 1 − tanh²(x), taken as
// 4·σ(2x)·σ(−2x), which loses nothing where tanh is close to 1. The error is at
// most 5 ulp.
func TanhGrad[T Float](dx, dy, x []T) {
	checkLengths("gradient of tanh", len(x), len(dx), len(dy))
	if x, ok := any(x).([]float32); ok {
		active.Load().tanhGrad(any(dx).([]float32), any(dy).([]float32), x)
		return
	}
	tanhGrad(dx, dy, x)
}

// ReLUGrad computes dx = dy where x > 0, and 0 where x ≤ 0 whatever dy is.
func ReLUGrad[T Float](dx, dy, x []T) {
	checkLengths("gradient of ReLU", len(x), len(dx), len(dy))
	if x, ok := any(x).([]float32); ok {
		active.Load().reluGrad(any(dx).([]float32), any(dy).([]float32), x)
		return
	}
	reluGrad(dx, dy, x)
}

// SoftmaxGrad computes the gradient at the scores of a softmax from dpattern,
// the gradient at its result, which is pattern: for each of the rows, all
// [rows, n] with row stride ld,
//
//	dscore = pattern·(dpattern − Σ pattern·dpattern)
//
// dscore may be dpattern or pattern. Where pattern is 0 behind a multiple of 16,
// finite values of dpattern change no bit of the others.
func SoftmaxGrad[T Float](dscore, pattern, dpattern []T, ld, rows, n int) {
	checkMatrix("dscore", len(dscore), rows, n, ld)
	checkMatrix("pattern", len(pattern), rows, n, ld)
	checkMatrix("dpattern", len(dpattern), rows, n, ld)
	if rows == 0 || n == 0 {
		return
	}
	if p, ok := any(pattern).([]float32); ok {
		active.Load().softmaxGrad(any(dscore).([]float32), p, any(dpattern).([]float32), ld, rows, n)
		return
	}
	softmaxGrad(dscore, pattern, dpattern, ld, rows, n)
}

// checkLengths panics unless all lengths are n.
func checkLengths(what string, n int, others ...int) {
	for _, other := range others {
		if other != n {
			panic(fmt.Sprintf("kernel: %s of %d values beside %d", what, n, other))
		}
	}
}
