//go:build !purego

package kernel

var neon = (&assembly{
	lanes: 4, rows: 8,
	gemm: gemmNEON, gemmTransposed: gemmTransposedNEON, gemmBF16: gemmBF16NEON, gemmF16: gemmF16NEON,
	transpose: transposeNEON, stackRows: stackNEON,
	softmax: softmaxNEON, layerNorm: layerNormNEON, add: addNEON,
	gelu: geluNEON, gate: gateNEON, sigmoid: sigmoidNEON, tanh: tanhNEON, relu: reluNEON,
	peak: peakNEON,
	gradients: &gradients{
		layerNormStats: layerNormStatsNEON, rmsNormStats: rmsNormStatsNEON, normalize: normalizeNEON,
		affine: affineNEON, gain: gainNEON, rmsNorm: rmsNormNEON,
		layerNormGrad: layerNormGradNEON, rmsNormGrad: rmsNormGradNEON, softmaxGrad: softmaxGradNEON,
		geluGrad: geluGradNEON, gateGrad: gateGradNEON, sigmoidGrad: sigmoidGradNEON, tanhGrad: tanhGradNEON, reluGrad: reluGradNEON,
		mul: mulNEON, scale: scaleNEON, addScaled: addScaledNEON, dot: dotNEON, rotate: rotateNEON,
	},
}).family("neon")

// available returns the families of this processor, the fastest first: every
// processor that Go runs on has NEON.
func available() []*family { return []*family{neon, generic} }
