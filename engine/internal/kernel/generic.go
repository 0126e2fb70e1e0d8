package kernel

import "math"

// The loops of this file are the specification of every kernel, the fallback
// where no assembly is available, and the oracle of the tests. A product that
// enters a sum is rounded explicitly, T(a*b), so that the compiler fuses
// nothing and the bits are the same on every architecture. The functions of
// package math are evaluated in float64.

// genericColumns is the panel width of the generic family: four columns by two
// rows of sums fit the registers that the Go compiler has.
const genericColumns = 4

// linear is the specification of Linear: the product with w, and its bias.
func linear[T Float](dst []T, ldd int, x []T, ldx, m int, w *Weights[T], bias []T) {
	product(dst, ldd, x, ldx, false, m, w.panels, w.in, w.in, w.out, bias, false)
}

// product is the specification of the products with packed matrices:
//
//	dst[r, c] = (Σ_i x[r, i]·B[i, c]) + bias[c]
//
// with the sum taken in ascending i < in. With add it begins with what dst
// holds, and with transposed x[i, r] takes the place of x[r, i]. bias may be
// nil. panels holds ⌈out/4⌉ or more panels of [stride, 4] values, of which in
// rows count.
func product[T Float](dst []T, ldd int, x []T, ldx int, transposed bool, m int, panels []T, stride, in, out int, bias []T, add bool) {
	row, step := ldx, 1
	if transposed {
		row, step = 1, ldx
	}
	for c := 0; c < out; c += genericColumns {
		panel := panels[c*stride:][:in*genericColumns]
		var b [genericColumns]T
		if bias != nil {
			copy(b[:], bias[c:])
		}
		n := min(genericColumns, out-c)
		begin := func(r int) (sum [genericColumns]T) {
			if add {
				copy(sum[:], dst[r*ldd+c:r*ldd+c+n])
			}
			return sum
		}
		finish := func(r int, sum [genericColumns]T) {
			for i, v := range b {
				sum[i] += v
			}
			copy(dst[r*ldd+c:r*ldd+c+n], sum[:])
		}
		r := 0
		for ; r+2 <= m; r += 2 {
			x0, x1 := x[r*row:], x[(r+1)*row:]
			s0, s1 := begin(r), begin(r+1)
			s00, s01, s02, s03, s10, s11, s12, s13 := s0[0], s0[1], s0[2], s0[3], s1[0], s1[1], s1[2], s1[3]
			for i, w := 0, panel; len(w) >= genericColumns; i, w = i+step, w[genericColumns:] {
				a0, a1 := x0[i], x1[i]
				s00 += T(a0 * w[0])
				s01 += T(a0 * w[1])
				s02 += T(a0 * w[2])
				s03 += T(a0 * w[3])
				s10 += T(a1 * w[0])
				s11 += T(a1 * w[1])
				s12 += T(a1 * w[2])
				s13 += T(a1 * w[3])
			}
			finish(r, [genericColumns]T{s00, s01, s02, s03})
			finish(r+1, [genericColumns]T{s10, s11, s12, s13})
		}
		if r < m {
			x0, sum := x[r*row:], begin(r)
			s0, s1, s2, s3 := sum[0], sum[1], sum[2], sum[3]
			for i, w := 0, panel; len(w) >= genericColumns; i, w = i+step, w[genericColumns:] {
				a := x0[i]
				s0 += T(a * w[0])
				s1 += T(a * w[1])
				s2 += T(a * w[2])
				s3 += T(a * w[3])
			}
			finish(r, [genericColumns]T{s0, s1, s2, s3})
		}
	}
}

// interleave is the specification of the packing of rows as columns: the n rows
// of rows, of in values each at stride ld, are multiplied by scale and become
// the first n columns of panel, [in, columns].
func interleave[T Float](panel []T, columns int, rows []T, ld, n, in int, scale T) {
	for r := range n {
		for i, v := range rows[r*ld : r*ld+in] {
			panel[i*columns+r] = scale * v
		}
	}
}

// stack is the specification of the packing of rows as rows: the n rows of
// rows, of width values each at stride ld, are multiplied by scale and become
// those of panel, [n, columns], with zeros past width.
func stack[T Float](panel []T, columns int, rows []T, ld, n, width int, scale T) {
	for r := range n {
		to := panel[r*columns : (r+1)*columns]
		for i, v := range rows[r*ld : r*ld+width] {
			to[i] = scale * v
		}
		clear(to[width:])
	}
}

// add is the specification of Add.
func add[T Float](dst, x []T) {
	for i, v := range x {
		dst[i] += v
	}
}

// layerNorm is the specification of LayerNorm.
func layerNorm[T Float](dst, x []T, d int, gamma, beta []T, eps T) {
	for r := 0; r < len(x); r += d {
		row, out := x[r:r+d], dst[r:r+d]
		mean, divisor := statistics(row, eps, true)
		scale := 1 / divisor
		for i, v := range row {
			out[i] = T((v-mean)*scale*gamma[i]) + beta[i]
		}
	}
}

// softmax is the specification of Softmax, for rows of n values at stride ld.
func softmax[T Float](x []T, ld, rows, n int) {
	for r := range rows {
		row := x[r*ld : r*ld+n]
		largest := T(math.Inf(-1))
		for _, v := range row {
			largest = max(largest, v)
		}
		if math.IsInf(float64(largest), -1) {
			clear(row)
			continue
		}
		var sum T
		for i, v := range row {
			row[i] = T(math.Exp(float64(v - largest)))
			sum += row[i]
		}
		scale := 1 / sum
		for i := range row {
			row[i] *= scale
		}
	}
}

// gelu is the specification of GELU. The complementary error function keeps
// the relative accuracy of the tail where x is negative.
func gelu[T Float](x []T) {
	for i, v := range x {
		if v := float64(v); !math.IsInf(v, -1) {
			x[i] = T(v / 2 * math.Erfc(-v/math.Sqrt2))
		} else {
			x[i] = 0
		}
	}
}

// The exponents of the gates: x·σ(linear·x + cubic·x³).
const (
	// x/2·(1 + tanh(u)) = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³).
	geluTanhLinear  = 2 * 0.797884560802865355879892119868763737
	geluTanhCubic   = geluTanhLinear * 0.044715
	quickGELULinear = 1.702
)

// gate is the specification of GELUTanh, QuickGELU and SiLU:
// x·σ(linear·x + cubic·x³).
func gate[T Float](x []T, linear, cubic float64) {
	for i, v := range x {
		v := float64(v)
		z := float64(linear * v)
		if cubic != 0 {
			z += float64(cubic * v * v * v)
		}
		if !math.IsInf(v, -1) {
			x[i] = T(v * logistic(z))
		} else {
			x[i] = 0
		}
	}
}

// sigmoid is the specification of Sigmoid.
func sigmoid[T Float](x []T) {
	for i, v := range x {
		x[i] = T(logistic(float64(v)))
	}
}

// logistic returns 1/(1 + exp(−x)) without loss where x is negative.
func logistic(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// tanh is the specification of Tanh.
func tanh[T Float](x []T) {
	for i, v := range x {
		x[i] = T(math.Tanh(float64(v)))
	}
}

// relu is the specification of ReLU.
func relu[T Float](x []T) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}
