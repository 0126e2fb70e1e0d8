//go:build !purego

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go -C _gen run . -isa avx512 -pkg kernel -out ../avx512_amd64.s -stubs ../avx512_amd64.go
//go:generate go -C _gen run . -isa avx2 -pkg kernel -out ../avx2_amd64.s -stubs ../avx2_amd64.go

var avx512 = (&assembly{
	lanes: 16, rows: 12,
	gemm: gemmAVX512, transpose: transposeAVX512, gather: gatherAVX512,
	softmax: softmaxAVX512, layerNorm: layerNormAVX512, add: addAVX512,
	gelu: geluAVX512, gate: gateAVX512, sigmoid: sigmoidAVX512, tanh: tanhAVX512, relu: reluAVX512,
	peak: peakAVX512,
}).family("avx512")

var avx2 = (&assembly{
	lanes: 8, rows: 6,
	gemm: gemmAVX2, transpose: transposeAVX2, gather: gatherAVX2,
	softmax: softmaxAVX2, layerNorm: layerNormAVX2, add: addAVX2,
	gelu: geluAVX2, gate: gateAVX2, sigmoid: sigmoidAVX2, tanh: tanhAVX2, relu: reluAVX2,
	peak: peakAVX2,
}).family("avx2")

// available returns the families that this processor can run, the fastest
// first. The flags of package cpu include that the operating system saves the
// wide registers.
func available() []*family {
	families := []*family{generic}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 {
		families = append([]*family{avx2}, families...)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL {
			families = append([]*family{avx512}, families...)
		}
	}
	return families
}

// assembly is the generated code for one instruction set; its functions are
// documented where they are declared.
type assembly struct {
	lanes int // float32 values in a vector
	rows  int // of the largest tile of gemm

	gemm      func(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)
	transpose func(dst, src *float32, ld, fours int, scale float32)
	gather    func(dst, src *float32, ld, rows int)
	softmax   func(x *float32, ld, rows, n int)
	layerNorm func(dst, x *float32, rows, d int, gamma, beta *float32, eps float32)
	add       func(dst, x *float32, n int)
	gelu      func(x *float32, n int)
	gate      func(x *float32, n int, linear, cubic float32)
	sigmoid   func(x *float32, n int)
	tanh      func(x *float32, n int)
	relu      func(x *float32, n int)
	peak      func(n int)
}

// columns is the width of a panel: two vectors.
func (a *assembly) columns() int { return 2 * a.lanes }

// family returns the kernels that the code makes.
func (a *assembly) family(name string) *family {
	elementwise := func(f func(x *float32, n int)) func(x []float32) {
		return func(x []float32) { f(unsafe.SliceData(x), len(x)) }
	}
	return &family{
		name:      name,
		columns:   a.columns(),
		linear:    a.linear,
		attention: a.attention,
		add:       func(dst, x []float32) { a.add(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)) },
		layerNorm: func(dst, x []float32, d int, gamma, beta []float32, eps float32) {
			a.layerNorm(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)/d, d, &gamma[0], &beta[0], eps)
		},
		softmax: func(x []float32, ld, rows, n int) { a.softmax(&x[0], ld, rows, n) },
		gelu:    elementwise(a.gelu),
		gate: func(x []float32, linear, cubic float64) {
			a.gate(unsafe.SliceData(x), len(x), float32(linear), float32(cubic))
		},
		sigmoid: elementwise(a.sigmoid),
		tanh:    elementwise(a.tanh),
		relu:    elementwise(a.relu),
		peak: func(n int) float64 {
			a.peak(n)
			return float64(n) * float64(2*a.rows*a.lanes) * 2
		},
	}
}
