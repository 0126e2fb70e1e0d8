package kernel

import "math"

// The loops that gradients need: specification, fallback and oracle like those
// of generic.go.

// stats is the specification of LayerNormStats, and with a nil mean that of
// RMSNormStats.
func stats[T Float](mean, divisor, x []T, d int, eps T) {
	for r := range divisor {
		m, div := statistics(x[r*d:(r+1)*d], eps, mean != nil)
		divisor[r] = div
		if mean != nil {
			mean[r] = m
		}
	}
}

// statistics returns the mean of a row and the root of its variance plus eps, or
// of its mean square where it is not to be centred.
func statistics[T Float](row []T, eps T, centred bool) (mean, divisor T) {
	var sum, square T
	if centred {
		for _, v := range row {
			sum += v
		}
	}
	mean = sum / T(len(row))
	for _, v := range row {
		square += T((v - mean) * (v - mean))
	}
	return mean, T(math.Sqrt(float64(square/T(len(row)) + eps)))
}

// normalize is the specification of Normalize.
func normalize[T Float](dst, x []T, d int, mean, divisor []T) {
	for r, divisor := range divisor {
		m, scale := T(0), 1/divisor
		if mean != nil {
			m = mean[r]
		}
		row, out := x[r*d:(r+1)*d], dst[r*d:(r+1)*d]
		for i, v := range row {
			out[i] = (v - m) * scale
		}
	}
}

// affine is the specification of Affine.
func affine[T Float](dst, x []T, d int, gamma, beta []T) {
	for r := 0; r < len(x); r += d {
		row, out := x[r:r+d], dst[r:r+d]
		for i, v := range row {
			out[i] = T(v * gamma[i])
			if beta != nil {
				out[i] += beta[i]
			}
		}
	}
}

// rmsNorm is the specification of RMSNorm.
func rmsNorm[T Float](dst, x []T, d int, gamma []T, eps T) {
	for r := 0; r < len(x); r += d {
		row, out := x[r:r+d], dst[r:r+d]
		_, divisor := statistics(row, eps, false)
		scale := 1 / divisor
		for i, v := range row {
			out[i] = v * scale * gamma[i]
		}
	}
}

// layerNormGrad and rmsNormGrad are the specifications of LayerNormGrad and
// RMSNormGrad.
func layerNormGrad[T Float](dx, dy, x []T, d int, gamma []T, eps T) {
	normGrad(dx, dy, x, d, gamma, eps, true)
}

func rmsNormGrad[T Float](dx, dy, x []T, d int, gamma []T, eps T) {
	normGrad(dx, dy, x, d, gamma, eps, false)
}

func normGrad[T Float](dx, dy, x []T, d int, gamma []T, eps T, centred bool) {
	for r := 0; r < len(x); r += d {
		row, up, out := x[r:r+d], dy[r:r+d], dx[r:r+d]
		mean, divisor := statistics(row, eps, centred)
		scale := 1 / divisor
		var sum, product T // of g, and of g·n
		for i, v := range row {
			g := T(up[i] * gamma[i])
			sum += g
			product += T(g * ((v - mean) * scale))
		}
		if !centred {
			sum = 0
		}
		sum /= T(d)
		product /= T(d)
		for i, v := range row {
			g := T(up[i] * gamma[i])
			out[i] = (g - sum - T((v-mean)*scale*product)) * scale
		}
	}
}

// softmaxGrad is the specification of SoftmaxGrad.
func softmaxGrad[T Float](dscore, pattern, dpattern []T, ld, rows, n int) {
	for r := range rows {
		p, dp, ds := pattern[r*ld:r*ld+n], dpattern[r*ld:r*ld+n], dscore[r*ld:r*ld+n]
		sum := dot(p, dp)
		for i, v := range p {
			ds[i] = v * (dp[i] - sum)
		}
	}
}

// geluGrad is the specification of GELUGrad.
func geluGrad[T Float](dx, dy, x []T) {
	for i, v := range x {
		v := float64(v)
		density := math.Exp(-v*v/2) / math.Sqrt(2*math.Pi)
		if density > 0 { // an infinite v times 0 is no number
			density *= v
		}
		dx[i] = T(float64(dy[i]) * (math.Erfc(-v/math.Sqrt2)/2 + density))
	}
}

// gateGrad is the specification of GELUTanhGrad, QuickGELUGrad and SiLUGrad:
// with z = linear·x + cubic·x³, f′(x) = σ(z) + x·z′·σ(z)·σ(−z).
func gateGrad[T Float](dx, dy, x []T, linear, cubic float64) {
	for i, v := range x {
		v := float64(v)
		v = max(-1e30, min(v, 1e30)) // an infinite v times 0 is no number
		cube := float64(cubic * v * v * v)
		z := float64(linear*v) + cube
		slope := logistic(z) * logistic(-z)
		dx[i] = T(float64(dy[i]) * (logistic(z) + float64(slope*(float64(linear*v)+float64(3*cube)))))
	}
}

// sigmoidGrad is the specification of SigmoidGrad.
func sigmoidGrad[T Float](dx, dy, x []T) {
	for i, v := range x {
		dx[i] = T(float64(dy[i]) * logistic(float64(v)) * logistic(-float64(v)))
	}
}

// tanhGrad is the specification of TanhGrad.
func tanhGrad[T Float](dx, dy, x []T) {
	for i, v := range x {
		z := 2 * float64(v)
		dx[i] = T(float64(dy[i]) * (4 * logistic(z) * logistic(-z)))
	}
}

// reluGrad is the specification of ReLUGrad.
func reluGrad[T Float](dx, dy, x []T) {
	for i, v := range x {
		switch {
		case v > 0:
			dx[i] = dy[i]
		case v <= 0:
			dx[i] = 0
		default:
			dx[i] = v // NaN
		}
	}
}

// mul is the specification of Mul.
func mul[T Float](dst, x []T) {
	for i, v := range x {
		dst[i] *= v
	}
}

// scale is the specification of Scale.
func scale[T Float](dst []T, a T) {
	for i := range dst {
		dst[i] *= a
	}
}

// addScaled is the specification of AddScaled.
func addScaled[T Float](dst []T, a T, x []T) {
	for i, v := range x {
		dst[i] += T(a * v)
	}
}

// dot is the specification of Dot, with the sum taken in ascending order.
func dot[T Float](x, y []T) T {
	var sum T
	for i, v := range x {
		sum += T(v * y[i])
	}
	return sum
}

// rotate is the specification of Rotate and, with back, of RotateBack.
func rotate[T Float](x []T, ld, rows, heads, e, half int, cos, sin []T, back bool) {
	for r := range rows {
		c, s := cos[r*half:(r+1)*half], sin[r*half:(r+1)*half]
		for h := range heads {
			head := x[r*ld+h*e:][:2*half]
			first, second := head[:half], head[half:]
			for i, a := range first {
				b, sine := second[i], s[i]
				if back {
					sine = -sine
				}
				first[i] = T(a*c[i]) - T(b*sine)
				second[i] = T(b*c[i]) + T(a*sine)
			}
		}
	}
}
