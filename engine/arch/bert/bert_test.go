package bert

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// tiny returns a random network.
func tiny[T kernel.Float](hidden, heads, intermediate, layers, positions int) *network[T] {
	random := rand.New(rand.NewPCG(1, 1))
	values := func(n int) []T {
		x := make([]T, n)
		for i := range x {
			x[i] = T(random.NormFloat64()) / 4
		}
		return x
	}
	linear := func(out, in int) *nn.Linear[T] { return nn.NewLinear(out, in, values(out*in), values(out)) }
	norm := func() *nn.LayerNorm[T] { return nn.NewLayerNorm(values(hidden), values(hidden), 1e-12) }
	n := &network[T]{
		config: config{
			Info: arch.Info{
				Hidden: hidden, Heads: heads, Layers: layers, Vocabulary: 9, Types: 2, Positions: positions,
				Labels: []string{"a", "b"}, DType: arch.F32,
			},
			intermediate: intermediate,
		},
		word: values(9 * hidden), position: values(positions * hidden), types: values(2 * hidden), embedNorm: norm(),
		head: head[T]{linear(hidden, hidden), kernel.Tanh[T], linear(2, hidden)},
	}
	if _, ok := any(T(0)).(float64); ok {
		n.DType = arch.F64
	}
	for range layers {
		n.layers = append(n.layers, layer[T]{
			query: linear(hidden, hidden), keyValue: linear(2*hidden, hidden), output: linear(hidden, hidden), outputNorm: norm(),
			up: linear(intermediate, hidden), activation: kernel.GELU[T], down: linear(hidden, intermediate), downNorm: norm(),
		})
	}
	return n
}

// TestRunnerBytes holds a runner to the memory that it says it takes, on its
// first forward and, which is none, on later ones.
func TestRunnerBytes(t *testing.T) {
	selected := kernel.Family()
	defer kernel.Select(selected)
	for _, family := range kernel.Families() {
		if err := kernel.Select(family); err != nil {
			t.Fatal(err)
		}
		t.Run(family, func(t *testing.T) { testRunnerBytes(t, tiny[float32](64, 2, 130, 1, 700), family != "generic") })
		t.Run(family+" narrow heads", func(t *testing.T) { testRunnerBytes(t, tiny[float32](66, 22, 10, 1, 700), family != "generic") })
	}
	t.Run("f64", func(t *testing.T) { testRunnerBytes(t, tiny[float64](64, 2, 130, 1, 700), false) })
}

// testRunnerBytes tests one network. The plain loops pack nothing, so that only
// tiled kernels come near to what is said.
func testRunnerBytes[T kernel.Float](t *testing.T, n *network[T], tiled bool) {
	for _, lengths := range [][]int{{5}, {128}, {400}, {1, 1, 1}, {300, 40, 90}} {
		for _, threads := range []int{1, 3} {
			pool := parallel.New(threads)
			defer pool.Close()
			shared := pool
			if threads == 1 {
				shared = nil
			}
			b := arch.Batch{Starts: []int{0}}
			size := arch.Size{Threads: threads}
			for _, n := range lengths {
				b.IDs = append(b.IDs, make([]int32, n)...)
				b.Starts = append(b.Starts, len(b.IDs))
				size.Longest = max(size.Longest, n)
			}
			size.Rows = len(b.IDs)
			out := &arch.Output{Classes: 2, Logits: make([]float64, 2*len(lengths))}

			var before, first, second runtime.MemStats
			runtime.ReadMemStats(&before)
			r := n.NewRunner(size)
			if err := r.Forward(t.Context(), shared, b, out); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&first)
			if err := r.Forward(t.Context(), shared, b, out); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&second)
			// The slack is for size classes of the allocator, closures and the
			// list of jobs.
			const slack = 32 << 10
			said := n.RunnerBytes(size)
			if took := int64(second.TotalAlloc - before.TotalAlloc); took > said+slack {
				t.Errorf("%v tokens, %d threads: %d bytes taken, %d said", lengths, threads, took, said)
			} else if tiled && threads == 1 && said > 2*took+4*slack {
				t.Errorf("%v tokens: %d bytes said, only %d taken", lengths, said, took)
			}
			if took := second.TotalAlloc - first.TotalAlloc; threads == 1 && took > slack {
				t.Errorf("%v tokens: a second forward allocates %d bytes", lengths, took)
			}
		}
	}
}
