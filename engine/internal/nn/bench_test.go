package nn

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// BenchmarkLinear runs the matrix products of BERT base as a forward does: with
// other weights at every call, so that no cache holds them. It reports the rate
// of the median call, which other work on the machine moves little, and its
// share of what the machine can do.
func BenchmarkLinear(b *testing.B) {
	const memory = 128 << 20 // of weights, beyond the caches
	for _, threads := range []int{1, 2} {
		peak := kernel.Peak(threads)
		var pool *parallel.Pool
		if threads > 1 {
			pool = parallel.New(threads)
			defer pool.Close()
		}
		for _, shape := range []struct{ in, out int }{{768, 768}, {768, 2304}, {768, 3072}, {3072, 768}} {
			layers := make([]*Linear[float32], memory/(4*shape.in*shape.out))
			weight, bias := random[float32](shape.in*shape.out), random[float32](shape.out)
			for i := range layers {
				layers[i] = NewLinear(shape.out, shape.in, weight, bias)
			}
			for _, m := range []int{1, 4, 8, 16, 32, 64, 128, 512, 2048} {
				b.Run(fmt.Sprintf("threads=%d/in=%d/out=%d/m=%d", threads, shape.in, shape.out, m), func(b *testing.B) {
					x, dst := random[float32](m*shape.in), random[float32](m*shape.out)
					var times []time.Duration
					for i := 0; b.Loop(); i++ {
						start := time.Now()
						if err := Multiply(b.Context(), pool, Product[float32]{Layer: layers[i%len(layers)], Dst: dst, Ldd: shape.out, X: x, Ldx: shape.in, M: m}); err != nil {
							b.Fatal(err)
						}
						times = append(times, time.Since(start))
					}
					slices.Sort(times)
					rate := 2 * float64(m*shape.in*shape.out) / float64(times[len(times)/2])
					b.ReportMetric(rate, "GFLOP/s")
					b.ReportMetric(100*rate/peak, "%peak")
				})
			}
		}
	}
}
