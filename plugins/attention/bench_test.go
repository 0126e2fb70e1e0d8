package attention

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/xai-go/xai/sdk/num"
)

// randomAttention returns patterns whose scores are scale times normal numbers.
func randomAttention(seed uint64, layers, heads, n int, scale float64, causal bool) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]float64, 0, layers*heads*n*n)
	for range layers * heads {
		for i := range n {
			row := make([]float64, n)
			for j := range row {
				row[j] = float64(scale * r.NormFloat64())
			}
			if causal {
				num.Softmax(row[:i+1], row[:i+1])
				clear(row[i+1:])
			} else {
				num.Softmax(row, row)
			}
			out = append(out, row...)
		}
	}
	return out
}

func BenchmarkFlow(b *testing.B) {
	for _, c := range []struct {
		layers, n int
		scale     float64
		queries   string
	}{{12, 32, 1, "all"}, {12, 32, 4, "all"}, {12, 64, 4, "all"}, {12, 128, 4, "target"}, {12, 256, 1, "target"}, {12, 256, 4, "target"}} {
		b.Run(fmt.Sprintf("%d/%d/%v/%s", c.layers, c.n, c.scale, c.queries), func(b *testing.B) {
			m := &recorded{layers: c.layers, heads: 12, n: c.n, a: randomAttention(1, c.layers, 12, c.n, c.scale, false)}
			for b.Loop() {
				if _, err := (Flow{}).Explain(b.Context(), m, request(c.n, Flow{}, paramQueries, c.queries)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRollout(b *testing.B) {
	m := &recorded{layers: 12, heads: 12, n: 512, a: randomAttention(1, 12, 12, 512, 1, false)}
	for b.Loop() {
		if _, err := (Rollout{}).Explain(b.Context(), m, request(512, Rollout{})); err != nil {
			b.Fatal(err)
		}
	}
}
