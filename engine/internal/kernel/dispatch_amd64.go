//go:build !purego

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go -C _gen run . -isa avx512 -pkg kernel -out ../avx512_amd64.s -stubs ../avx512_amd64.go
//go:generate go -C _gen run . -isa avx2 -pkg kernel -out ../avx2_amd64.s -stubs ../avx2_amd64.go

var (
	tiledAVX512 = &tiled{rows: 12, columns: 32, gemm: gemmAVX512, transpose: transposeAVX512, softmax: softmaxAVX512}
	tiledAVX2   = &tiled{rows: 6, columns: 16, gemm: gemmAVX2, transpose: transposeAVX2, softmax: softmaxAVX2}
)

var avx512 = &family{
	name:      "avx512",
	columns:   tiledAVX512.columns,
	linear:    tiledAVX512.linear,
	attention: tiledAVX512.attention,
	add:       func(dst, x []float32) { addAVX512(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)) },
	layerNorm: func(dst, x []float32, d int, gamma, beta []float32, eps float32) {
		if len(x) > 0 {
			layerNormAVX512(&dst[0], &x[0], len(x)/d, d, &gamma[0], &beta[0], eps)
		}
	},
	softmax: func(x []float32, ld, rows, n int) { softmaxAVX512(&x[0], ld, rows, n) },
	gelu:    func(x []float32) { geluAVX512(unsafe.SliceData(x), len(x)) },
	gate: func(x []float32, linear, cubic float64) {
		gateAVX512(unsafe.SliceData(x), len(x), float32(linear), float32(cubic))
	},
	sigmoid: func(x []float32) { sigmoidAVX512(unsafe.SliceData(x), len(x)) },
	tanh:    func(x []float32) { tanhAVX512(unsafe.SliceData(x), len(x)) },
	relu:    func(x []float32) { reluAVX512(unsafe.SliceData(x), len(x)) },
	peak: func(n int) float64 {
		peakAVX512(n)
		return float64(n) * 24 * 16 * 2
	},
}

var avx2 = &family{
	name:      "avx2",
	columns:   tiledAVX2.columns,
	linear:    tiledAVX2.linear,
	attention: tiledAVX2.attention,
	add:       func(dst, x []float32) { addAVX2(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)) },
	layerNorm: func(dst, x []float32, d int, gamma, beta []float32, eps float32) {
		if len(x) > 0 {
			layerNormAVX2(&dst[0], &x[0], len(x)/d, d, &gamma[0], &beta[0], eps)
		}
	},
	softmax: func(x []float32, ld, rows, n int) { softmaxAVX2(&x[0], ld, rows, n) },
	gelu:    func(x []float32) { geluAVX2(unsafe.SliceData(x), len(x)) },
	gate: func(x []float32, linear, cubic float64) {
		gateAVX2(unsafe.SliceData(x), len(x), float32(linear), float32(cubic))
	},
	sigmoid: func(x []float32) { sigmoidAVX2(unsafe.SliceData(x), len(x)) },
	tanh:    func(x []float32) { tanhAVX2(unsafe.SliceData(x), len(x)) },
	relu:    func(x []float32) { reluAVX2(unsafe.SliceData(x), len(x)) },
	peak: func(n int) float64 {
		peakAVX2(n)
		return float64(n) * 12 * 8 * 2
	},
}

// available returns the families that this processor can run, the fastest
// first. The tests of the cpu package include that the operating system saves
// the wide registers.
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
