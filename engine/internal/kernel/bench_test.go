package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// BenchmarkPeak reports what the other benchmarks' rates are shares of.
func BenchmarkPeak(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			best := 0.0
			for b.Loop() {
				best = max(best, Peak(threads))
			}
			b.ReportMetric(best, "GFLOP/s")
		})
	}
}

// BenchmarkLinear runs the layers of the default model (128, 512) and of BERT
// base (768, 3072) on one thread.
func BenchmarkLinear(b *testing.B) {
	for _, layer := range []struct{ in, out int }{{128, 128}, {128, 384}, {128, 512}, {512, 128}, {768, 768}, {768, 2304}, {768, 3072}, {3072, 768}, {1024, 1024}} {
		r := rand.New(rand.NewPCG(1, 2))
		w, bias := Pack(layer.out, layer.in, randoms(r, layer.out*layer.in)), randoms(r, layer.out)
		for _, m := range []int{1, 16, 32, 128, 512, 2048} {
			b.Run(fmt.Sprintf("in=%d/out=%d/m=%d", layer.in, layer.out, m), func(b *testing.B) {
				x, dst := randoms(r, m*layer.in), make([]float32, m*layer.out)
				for b.Loop() {
					Linear(dst, layer.out, x, layer.in, m, w, bias)
				}
				rate(b, 2*float64(m)*float64(layer.in)*float64(layer.out))
			})
		}
	}
}

func rate(b *testing.B, operations float64) {
	b.ReportMetric(operations*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func BenchmarkAttention(b *testing.B) {
	for _, c := range []struct{ tokens, head, heads int }{{10, 32, 4}, {20, 32, 4}, {32, 32, 4}, {40, 32, 4}, {16, 64, 12}, {32, 64, 12}, {128, 64, 12}, {512, 64, 12}} {
		b.Run(fmt.Sprintf("tokens=%d/head=%d", c.tokens, c.head), func(b *testing.B) {
			r := rand.New(rand.NewPCG(3, 4))
			d := c.head * c.heads
			qkv, z := randoms(r, c.tokens*3*d), make([]float32, c.tokens*d)
			var scratch Scratch[float32]
			for b.Loop() {
				Attention(z, d, qkv, 3*d, qkv[d:], 3*d, qkv[2*d:], 3*d, c.tokens, c.tokens, c.head,
					float32(1/math.Sqrt(float64(c.head))), nil, nil, &scratch)
			}
			rate(b, 4*float64(c.tokens)*float64(c.tokens)*float64(c.head))
		})
	}
}

func BenchmarkElementwise(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	const rows, d = 64, 512
	x, y, gamma, beta := randoms(r, rows*d), make([]float32, rows*d), randoms(r, d), randoms(r, d)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"GELU", func() { copy(y, x); GELU(y) }},
		{"GELUTanh", func() { copy(y, x); GELUTanh(y) }},
		{"SiLU", func() { copy(y, x); SiLU(y) }},
		{"Sigmoid", func() { copy(y, x); Sigmoid(y) }},
		{"Tanh", func() { copy(y, x); Tanh(y) }},
		{"ReLU", func() { copy(y, x); ReLU(y) }},
		{"Add", func() { Add(y, x) }},
		{"Copy", func() { copy(y, x) }},
		{"GELUGrad", func() { GELUGrad(y, x, x) }},
		{"GELUTanhGrad", func() { GELUTanhGrad(y, x, x) }},
		{"SigmoidGrad", func() { SigmoidGrad(y, x, x) }},
		{"ReLUGrad", func() { ReLUGrad(y, x, x) }},
		{"Mul", func() { copy(y, x); Mul(y, x) }},
		{"AddScaled", func() { AddScaled(y, 1e-3, x) }},
		{"Dot", func() { Dot(y, x) }},
		{"LayerNormGrad/d=512", func() { LayerNormGrad(y, x, x, 512, gamma, 1e-12) }},
		{"RMSNorm/d=512", func() { RMSNorm(y, x, 512, gamma, 1e-6) }},
		{"RMSNormGrad/d=512", func() { RMSNormGrad(y, x, x, 512, gamma, 1e-6) }},
		{"SoftmaxGrad/n=512", func() { SoftmaxGrad(y, x, x, 512, rows, 512) }},
		{"Rotate/e=64", func() { Rotate(y, 512, rows, 8, 64, 32, x[:rows*32], x[:rows*32]) }},
		{"LayerNorm/d=128", func() { LayerNorm(y, x, 128, gamma[:128], beta[:128], 1e-12) }},
		{"LayerNorm/d=512", func() { LayerNorm(y, x, 512, gamma, beta, 1e-12) }},
		{"Softmax/n=20", func() {
			copy(y, x)
			for i := 0; i+20 <= len(y); i += 20 {
				Softmax(y[i : i+20])
			}
		}},
		{"Softmax/n=512", func() {
			copy(y, x)
			for i := 0; i < len(y); i += 512 {
				Softmax(y[i : i+512])
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4 * rows * d)
			for b.Loop() {
				c.f()
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/(rows*d), "ns/value")
		})
	}
}
