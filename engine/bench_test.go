package engine_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
)

// BenchmarkForward measures whole forwards and reports tokens per second and
// the arithmetic rate of the matrix products that a full forward has.
func BenchmarkForward(b *testing.B) {
	b.Run("sentiment-en", func(b *testing.B) {
		fsys := os.DirFS("../core/builtin/sentiment-en")
		for _, threads := range []int{1, 2} {
			m := open(b, fsys, engine.WithThreads(threads))
			benchmarkForward(b, m, 512, slices.Repeat([]int{17}, 1000)...)
			benchmarkForward(b, m, 512, 17)
		}
	})
	b.Run("base", func(b *testing.B) {
		base := shape{vocabulary: 1000, positions: 512, hidden: 768, layers: 12, heads: 12, intermediate: 3072, classes: 2}
		fsys := base.onDisk(b)
		for _, threads := range []int{1, 2} {
			m := open(b, fsys, engine.WithThreads(threads))
			for _, lengths := range [][]int{{16}, {128}, slices.Repeat([]int{128}, 8), slices.Repeat([]int{32}, 32), {512}} {
				benchmarkForward(b, m, base.intermediate, lengths...)
			}
			m.Close()
		}
	})
}

func benchmarkForward(b *testing.B, m *engine.Model, intermediate int, lengths ...int) {
	b.Run(fmt.Sprintf("batch=%d,tokens=%d/threads=%d", len(lengths), lengths[0], m.Threads()), func(b *testing.B) {
		info := m.Info()
		in := engine.Input{Lengths: lengths}
		flops := 0
		for _, n := range lengths {
			for i := range n {
				in.IDs = append(in.IDs, int32((i*31+7)%info.Vocabulary))
			}
			d := info.Hidden
			flops += info.Layers * n * (8*d*d + 4*d*intermediate + 4*n*d)
		}
		forward(b, m, in)
		for b.Loop() {
			forward(b, m, in)
		}
		seconds := b.Elapsed().Seconds() / float64(b.N)
		b.ReportMetric(float64(len(in.IDs))/seconds, "tokens/s")
		b.ReportMetric(float64(flops)/seconds/1e9, "GFLOP/s")
	})
}
