package tape

import (
	"math"
	"testing"

	"github.com/xai-go/xai/engine/arch"
)

// TestRelevanceInSinglePrecision: a network too large for double precision passes
// the same relevance back in single precision, to about three digits.
func TestRelevanceInSinglePrecision(t *testing.T) {
	objective := func(_ int, x, grad []float64) float64 {
		grad[0] = 1
		return x[0]
	}
	for _, name := range []string{"bert-seqcls", "gpt2-lm"} {
		for _, point := range []string{"hook_embed", "blocks.0.attn.hook_k", "blocks.1.hook_resid_mid"} {
			of := func(dtype arch.DType) []float64 {
				n, a := loadGolden(t, name, dtype)
				w := workload{lengths: []int{12}, reads: 1, gradient: point, rule: LRPAlpha1, threads: 1}
				b, req := w.batch(n, a.Info)
				size := b.Size()
				size.Threads = 1
				out := output(a.Info, b, req)
				if err := n.Plan(req).Runner(size, nil).Forward(t.Context(), nil, b, objective, out); err != nil {
					t.Fatal(err)
				}
				return out.Gradients[0].Sequences[0].Float64()
			}
			got, want := of(arch.F32), of(arch.F64)
			largest := 0.0
			for _, v := range want {
				largest = max(largest, math.Abs(v))
			}
			if largest == 0 {
				t.Fatalf("%s: no relevance at %s", name, point)
			}
			for i, v := range want {
				if !(math.Abs(got[i]-v) < 5e-3*largest) {
					t.Errorf("%s: at %s, value %d is %v, want %v", name, point, i, got[i], v)
				}
			}
		}
	}
}
