//go:build (amd64 || arm64) && !purego

package kernel

import "unsafe"

// assembly is the code for one instruction set; its functions are documented
// where they are declared. A function that an instruction set lacks is nil: its
// family keeps the loop of generic.go.
type assembly struct {
	lanes int // float32 values in a vector
	rows  int // of the largest tile of gemm

	gemm      microkernel[float32]
	transpose func(dst, src *float32, ld, fours int, scale float32)
	softmax   func(x *float32, ld, rows, n int)
	layerNorm func(dst, x *float32, rows, d int, gamma, beta *float32, eps float32)
	add       func(dst, x *float32, n int)
	gelu      func(x *float32, n int)
	gate      func(x *float32, n int, linear, cubic float32)
	sigmoid   func(x *float32, n int)
	tanh      func(x *float32, n int)
	relu      func(x *float32, n int)
	peak      func(n int)

	gemmTransposed microkernel[float32]
	stackRows      func(dst, src *float32, ld, rows, width int, scale float32)

	gemmBF16, gemmF16 microkernel[uint16]

	integers *integers // nil where products of float32 take their place

	gradients *gradients
}

// gradients is the code that gradients need beside the products, for one
// instruction set.
type gradients struct {
	layerNormStats func(mean, divisor, x *float32, rows, d int, eps float32)
	rmsNormStats   func(divisor, x *float32, rows, d int, eps float32)
	normalize      func(dst, x *float32, rows, d int, mean *float32, step int, divisor *float32)
	affine         func(dst, x *float32, rows, d int, gamma, beta *float32)
	gain           func(dst, x *float32, rows, d int, gamma *float32)
	rmsNorm        func(dst, x *float32, rows, d int, gamma *float32, eps float32)
	layerNormGrad  func(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)
	rmsNormGrad    func(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)
	softmaxGrad    func(ds, p, dp *float32, ld, rows, n int)
	geluGrad       func(dx, dy, x *float32, n int)
	gateGrad       func(dx, dy, x *float32, n int, linear, cubic float32)
	sigmoidGrad    func(dx, dy, x *float32, n int)
	tanhGrad       func(dx, dy, x *float32, n int)
	reluGrad       func(dx, dy, x *float32, n int)
	mul            func(dst, x *float32, n int)
	scale          func(x *float32, n int, a float32)
	addScaled      func(dst, x *float32, n int, a float32)
	dot            func(x, y *float32, n int) float32
	rotate         func(x *float32, ld, rows, heads, e, half int, cos, sin *float32, sign float32)
}

// integers is the code for weights of 8 bits.
type integers struct {
	group    int // inputs that lie together: 4 bytes of activations, or 2 words
	gemm     func(rows, tiles, k int, x *uint32, ldx int, panel *uint32, dst *float32, ldd, columns int, bias *float32, next *uint32)
	quantize func(dst *uint32, stride int, x *float32, ldx, rows, n int)
}

// microkernel is the product of tiles of rows with a panel of numbers of type E.
type microkernel[E float32 | uint16] func(rows, tiles, k int, x *float32, ldx int, panel *E, dst *float32, ldd, columns int, add bool, bias *float32, next *E)

// columns is the width of a panel: two vectors.
func (a *assembly) columns() int { return 2 * a.lanes }

// family returns the kernels that the code makes, with the loops of generic.go
// for what it lacks.
func (a *assembly) family(name string) *family {
	f := *generic
	f.name = name
	f.columns = a.columns()
	f.lanes = a.lanes
	f.linear = a.linear
	if a.gemmBF16 != nil {
		f.linear16 = a.linear16
	}
	a.enter8(&f)
	f.product = a.product
	f.interleave = a.interleave
	f.stack = a.stack
	f.add = func(dst, x []float32) { a.add(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)) }
	f.layerNorm = func(dst, x []float32, d int, gamma, beta []float32, eps float32) {
		a.layerNorm(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)/d, d, &gamma[0], &beta[0], eps)
	}
	f.softmax = func(x []float32, ld, rows, n int) { a.softmax(&x[0], ld, rows, n) }
	elementwise := func(f func(x *float32, n int)) func(x []float32) {
		return func(x []float32) { f(unsafe.SliceData(x), len(x)) }
	}
	f.gelu = elementwise(a.gelu)
	f.gate = func(x []float32, linear, cubic float64) {
		a.gate(unsafe.SliceData(x), len(x), float32(linear), float32(cubic))
	}
	f.sigmoid = elementwise(a.sigmoid)
	f.tanh = elementwise(a.tanh)
	f.relu = elementwise(a.relu)
	f.peak = func(n int) float64 {
		a.peak(n)
		return float64(n) * float64(2*a.rows*a.lanes) * 2
	}
	if a.gradients != nil {
		a.gradients.enter(&f)
	}
	return &f
}

// enter8 puts the code for weights of 8 bits in place of the loops of f.
func (a *assembly) enter8(f *family) {
	if a.integers == nil {
		f.product8 = product8Float32
		return
	}
	f.group = a.integers.group
	f.quantize = func(words []uint32, stride int, x []float32, ldx, m, n, _ int) {
		a.integers.quantize(&words[0], stride, &x[0], ldx, m, n)
	}
	f.product8 = a.product8
}

// enter puts the code in place of the loops of f.
func (g *gradients) enter(f *family) {
	f.stats = func(mean, divisor, x []float32, d int, eps float32) {
		if mean == nil {
			g.rmsNormStats(unsafe.SliceData(divisor), unsafe.SliceData(x), len(divisor), d, eps)
		} else {
			g.layerNormStats(unsafe.SliceData(mean), unsafe.SliceData(divisor), unsafe.SliceData(x), len(divisor), d, eps)
		}
	}
	f.normalize = func(dst, x []float32, d int, mean, divisor []float32) {
		from, step := unsafe.SliceData(mean), 4
		if mean == nil {
			from, step = &zero, 0
		}
		g.normalize(unsafe.SliceData(dst), unsafe.SliceData(x), len(divisor), d, from, step, unsafe.SliceData(divisor))
	}
	f.affine = func(dst, x []float32, d int, gamma, beta []float32) {
		if beta == nil {
			g.gain(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)/d, d, &gamma[0])
		} else {
			g.affine(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)/d, d, &gamma[0], &beta[0])
		}
	}
	f.rmsNorm = func(dst, x []float32, d int, gamma []float32, eps float32) {
		g.rmsNorm(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)/d, d, &gamma[0], eps)
	}
	normGrad := func(code func(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)) func(dx, dy, x []float32, d int, gamma []float32, eps float32) {
		return func(dx, dy, x []float32, d int, gamma []float32, eps float32) {
			code(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), len(x)/d, d, &gamma[0], eps)
		}
	}
	f.layerNormGrad = normGrad(g.layerNormGrad)
	f.rmsNormGrad = normGrad(g.rmsNormGrad)
	f.softmaxGrad = func(dscore, pattern, dpattern []float32, ld, rows, n int) {
		g.softmaxGrad(&dscore[0], &pattern[0], &dpattern[0], ld, rows, n)
	}
	derivative := func(code func(dx, dy, x *float32, n int)) func(dx, dy, x []float32) {
		return func(dx, dy, x []float32) {
			code(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), len(x))
		}
	}
	f.geluGrad = derivative(g.geluGrad)
	f.gateGrad = func(dx, dy, x []float32, linear, cubic float64) {
		g.gateGrad(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), len(x), float32(linear), float32(cubic))
	}
	f.sigmoidGrad = derivative(g.sigmoidGrad)
	f.tanhGrad = derivative(g.tanhGrad)
	f.reluGrad = derivative(g.reluGrad)
	f.mul = func(dst, x []float32) { g.mul(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)) }
	f.scale = func(dst []float32, a float32) { g.scale(unsafe.SliceData(dst), len(dst), a) }
	f.addScaled = func(dst []float32, a float32, x []float32) {
		g.addScaled(unsafe.SliceData(dst), unsafe.SliceData(x), len(x), a)
	}
	f.dot = func(x, y []float32) float32 { return g.dot(unsafe.SliceData(x), unsafe.SliceData(y), len(x)) }
	f.rotate = func(x []float32, ld, rows, heads, e, half int, cos, sin []float32, back bool) {
		sign := float32(1)
		if back {
			sign = -1
		}
		g.rotate(&x[0], ld, rows, heads, e, half, &cos[0], &sin[0], sign)
	}
}

// zero is the mean of rows that are not centred.
var zero float32
