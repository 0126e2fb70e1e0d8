//go:build !purego

package kernel

import "golang.org/x/sys/cpu"

//go:generate go -C _gen run . -isa avx512 -pkg kernel -out ../avx512_amd64.s -stubs ../avx512_amd64.go
//go:generate go -C _gen run . -isa avx512 -set grad -pkg kernel -out ../grad_avx512_amd64.s -stubs ../grad_avx512_amd64.go
//go:generate go -C _gen run . -isa avx512 -set half -pkg kernel -out ../half_avx512_amd64.s -stubs ../half_avx512_amd64.go
//go:generate go -C _gen run . -isa avx512 -set int8 -pkg kernel -out ../int8_avx512_amd64.s -stubs ../int8_avx512_amd64.go
//go:generate go -C _gen run . -isa avx2 -pkg kernel -out ../avx2_amd64.s -stubs ../avx2_amd64.go
//go:generate go -C _gen run . -isa avx2 -set grad -pkg kernel -out ../grad_avx2_amd64.s -stubs ../grad_avx2_amd64.go
//go:generate go -C _gen run . -isa avx2 -set half -pkg kernel -out ../half_avx2_amd64.s -stubs ../half_avx2_amd64.go
//go:generate go -C _gen run . -isa avx2 -set int8 -pkg kernel -out ../int8_avx2_amd64.s -stubs ../int8_avx2_amd64.go

var avx512 = (&assembly{
	lanes: 16, rows: 12,
	gemm: gemmAVX512, transpose: transposeAVX512,
	softmax: softmaxAVX512, layerNorm: layerNormAVX512, add: addAVX512,
	gelu: geluAVX512, gate: gateAVX512, sigmoid: sigmoidAVX512, tanh: tanhAVX512, relu: reluAVX512,
	peak:           peakAVX512,
	gemmTransposed: gemmTransposedAVX512, stackRows: stackAVX512,
	gemmBF16: gemmBF16AVX512, gemmF16: gemmF16AVX512,
	integers: integersAVX512(),
	gradients: &gradients{
		layerNormStats: layerNormStatsAVX512, rmsNormStats: rmsNormStatsAVX512, normalize: normalizeAVX512,
		affine: affineAVX512, gain: gainAVX512, rmsNorm: rmsNormAVX512,
		layerNormGrad: layerNormGradAVX512, rmsNormGrad: rmsNormGradAVX512, softmaxGrad: softmaxGradAVX512,
		geluGrad: geluGradAVX512, gateGrad: gateGradAVX512, sigmoidGrad: sigmoidGradAVX512, tanhGrad: tanhGradAVX512, reluGrad: reluGradAVX512,
		mul: mulAVX512, scale: scaleAVX512, addScaled: addScaledAVX512, dot: dotAVX512, rotate: rotateAVX512,
	},
}).family("avx512")

var avx2 = (&assembly{
	lanes: 8, rows: 6,
	gemm: gemmAVX2, transpose: transposeAVX2,
	softmax: softmaxAVX2, layerNorm: layerNormAVX2, add: addAVX2,
	gelu: geluAVX2, gate: gateAVX2, sigmoid: sigmoidAVX2, tanh: tanhAVX2, relu: reluAVX2,
	peak:           peakAVX2,
	gemmTransposed: gemmTransposedAVX2, stackRows: stackAVX2,
	gemmBF16: gemmBF16AVX2, gemmF16: gemmF16AVX2,
	integers: &integers{2, gemmWordsAVX2, quantizeWordsAVX2},
	gradients: &gradients{
		layerNormStats: layerNormStatsAVX2, rmsNormStats: rmsNormStatsAVX2, normalize: normalizeAVX2,
		affine: affineAVX2, gain: gainAVX2, rmsNorm: rmsNormAVX2,
		layerNormGrad: layerNormGradAVX2, rmsNormGrad: rmsNormGradAVX2, softmaxGrad: softmaxGradAVX2,
		geluGrad: geluGradAVX2, gateGrad: gateGradAVX2, sigmoidGrad: sigmoidGradAVX2, tanhGrad: tanhGradAVX2, reluGrad: reluGradAVX2,
		mul: mulAVX2, scale: scaleAVX2, addScaled: addScaledAVX2, dot: dotAVX2, rotate: rotateAVX2,
	},
}).family("avx2")

// The code for weights of 8 bits, which give the same bits: by products of four
// bytes, or by those of two words.
var (
	bytesAVX512 = &integers{4, gemmBytesAVX512, quantizeBytesAVX512}
	wordsAVX512 = &integers{2, gemmWordsAVX512, quantizeWordsAVX512}
)

// integersAVX512 returns the faster code that the processor has.
func integersAVX512() *integers {
	if cpu.X86.HasAVX512VNNI {
		return bytesAVX512
	}
	return wordsAVX512
}

// available returns the families that this processor can run, the fastest
// first. The flags of package cpu include that the operating system saves the
// wide registers.
func available() []*family {
	families := []*family{generic}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2 && cpu.X86.HasF16C {
		families = append([]*family{avx2}, families...)
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
			families = append([]*family{avx512}, families...)
		}
	}
	return families
}
