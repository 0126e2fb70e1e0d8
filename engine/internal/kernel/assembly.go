//go:build (amd64 || arm64) && !purego

package kernel

import "unsafe"

// assembly is the code for one instruction set; its functions are documented
// where they are declared. A function that an instruction set lacks is nil: its
// family keeps the loop of generic.go.
type assembly struct {
	lanes int // float32 values in a vector
	rows  int // of the largest tile of gemm

	gemm      func(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)
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

	gemmTransposed func(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)
	stackRows      func(dst, src *float32, ld, rows, width int, scale float32)
}

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
	return &f
}
