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
// share of what the machine can do in float32, which 8 bits may exceed.
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
			weight, bias := random[float32](shape.in*shape.out), random[float32](shape.out)
			formats := []struct {
				name   string
				layers []*Linear[float32]
			}{{name: "f32"}, {name: "int8"}}
			for range memory / (4 * shape.in * shape.out) {
				formats[0].layers = append(formats[0].layers, FromWeights(kernel.Pack(shape.out, shape.in, weight), bias))
				formats[1].layers = append(formats[1].layers, FromWeights(kernel.PackInt8(shape.out, shape.in, weight), bias))
			}
			for _, m := range []int{1, 4, 8, 16, 32, 64, 128, 512, 2048} {
				for _, format := range formats {
					b.Run(fmt.Sprintf("threads=%d/in=%d/out=%d/m=%d/%s", threads, shape.in, shape.out, m, format.name), func(b *testing.B) {
						x, dst := random[float32](m*shape.in), random[float32](m*shape.out)
						var times []time.Duration
						for i := 0; b.Loop(); i++ {
							start := time.Now()
							if err := Multiply(b.Context(), pool, Product[float32]{Layer: format.layers[i%len(format.layers)], Dst: dst, Ldd: shape.out, X: x, Ldx: shape.in, M: m}); err != nil {
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
}
