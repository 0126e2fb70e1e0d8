package num

import "math"

// LogSumExp returns ln Σ e^xᵢ = m + ln Σ e^(xᵢ − m) with m the largest xᵢ, which
// neither overflows nor loses the small terms. It is −Inf for no elements.
func LogSumExp(x []float64) float64 {
	m := largest(x)
	if math.IsInf(m, 0) || m != m {
		return m
	}
	e := make([]float64, len(x))
	for i, v := range x {
		e[i] = Exp(v - m)
	}
	return m + Log(Sum(e))
}

// Softmax writes e^xᵢ / Σ e^xⱼ to dst and returns dst, which may be x. It panics
// where the lengths differ. The results are NaN where x holds a NaN or +Inf, or
// −Inf alone.
func Softmax(dst, x []float64) []float64 {
	if len(dst) != len(x) {
		panic("num: Softmax into a vector of another length")
	}
	m := largest(x)
	for i, v := range x {
		dst[i] = Exp(v - m)
	}
	total := Sum(dst)
	for i := range dst {
		dst[i] /= total
	}
	return dst
}

// largest returns the largest element, NaN where one is, −Inf where none is.
func largest(x []float64) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		m = max(m, v)
	}
	return m
}
