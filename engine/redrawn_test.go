package engine_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
)

// TestRedrawn takes models of every kind apart from the top down: each step
// changes what the model answers, is the same for the same seed at any number of
// threads, leaves the model that it is made of alone, and gives its memory back.
func TestRedrawn(t *testing.T) {
	for _, k := range kinds() {
		for _, dtype := range []engine.DType{engine.F32, engine.F64, engine.BF16, engine.INT8} {
			if dtype != engine.F32 && !k.first {
				continue
			}
			t.Run(k.name+","+string(dtype), func(t *testing.T) {
				fsys := k.folder(t, 3)
				open := func(threads int) *engine.Model {
					m, err := engine.Open(t.Context(), fsys, engine.WithThreads(threads), engine.WithDType(dtype))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(m.Close)
					return m
				}
				one, three := open(1), open(3)
				in := with{types: true, targets: true}.input(one.Info(), 4, 5, 9)
				logits := func(m *engine.Model) []float64 {
					t.Helper()
					out, err := m.Forward(t.Context(), in)
					if err != nil {
						t.Fatal(err)
					}
					if out.Logits.F64 != nil {
						return out.Logits.F64
					}
					wide := make([]float64, len(out.Logits.F32))
					for i, v := range out.Logits.F32 {
						wide[i] = float64(v)
					}
					return wide
				}
				redraw := func(m *engine.Model, block int, seed uint64) *engine.Model {
					t.Helper()
					copied, err := m.Redrawn(t.Context(), block, seed)
					if err != nil {
						t.Fatal(err)
					}
					return copied
				}
				whole := logits(one)
				before, err := one.Memory(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				var copies []*engine.Model
				digests := map[string]bool{}
				last, lastThree := one, three
				for block := one.Info().Layers; block >= -1; block-- {
					next := redraw(last, block, 7)
					nextThree := redraw(lastThree, block, 7)
					copies = append(copies, next)
					t.Cleanup(nextThree.Close)
					got := logits(next)
					if slices.Equal(got, logits(last)) {
						t.Errorf("block %d: nothing changed", block)
					}
					if slices.ContainsFunc(got, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
						t.Errorf("block %d: %v", block, got)
					}
					if !slices.Equal(got, logits(nextThree)) {
						t.Errorf("block %d: other bits with more threads", block)
					}
					other := redraw(last, block, 8)
					if slices.Equal(got, logits(other)) {
						t.Errorf("block %d: the seed changes nothing", block)
					}
					other.Close()
					digest, err := next.Digest(t.Context())
					if err != nil || digests[digest] {
						t.Errorf("block %d: digest %s, %v", block, digest, err)
					}
					digests[digest] = true
					last, lastThree = next, nextThree
				}
				if !slices.Equal(logits(one), whole) {
					t.Error("the model itself changed")
				}
				if m, err := one.Memory(t.Context(), in); err != nil || m.Weights <= before.Weights {
					t.Errorf("the copies take no memory: %d bytes of weights before, %d with them, %v", before.Weights, m.Weights, err)
				}
				slices.Reverse(copies)
				for _, c := range copies {
					c.Close()
					c.Close()
				}
				if m, err := one.Memory(t.Context(), in); err != nil || m.Weights != before.Weights {
					t.Errorf("%d bytes of weights before, %d once the copies are closed, %v", before.Weights, m.Weights, err)
				}
				if _, err := last.Forward(t.Context(), in); !errors.Is(err, engine.ErrClosed) {
					t.Errorf("a closed copy answers: %v", err)
				}
				if !slices.Equal(logits(one), whole) {
					t.Error("closing a copy changed the model")
				}
			})
		}
	}
}

// TestRedrawnGradients: a copy has gradients of its own, and what the way back
// packs for it is given back too.
func TestRedrawnGradients(t *testing.T) {
	k := kinds()[0]
	m, err := engine.Open(t.Context(), k.folder(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	in := with{}.input(m.Info(), 4, 6)
	gradient := func(m *engine.Model) []float32 {
		t.Helper()
		out, err := m.Forward(t.Context(), in, engine.Gradients(quadratic(5), selectPoint(t, m, in, "embed")))
		if err != nil {
			t.Fatal(err)
		}
		return out.Gradients[0].Sequences[0].F32
	}
	whole := slices.Clone(gradient(m))
	before, err := m.Memory(t.Context(), in, engine.Gradients(quadratic(5), selectPoint(t, m, in, "embed")))
	if err != nil {
		t.Fatal(err)
	}
	copied, err := m.Redrawn(t.Context(), 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(gradient(copied), whole) {
		t.Error("the gradient is that of the model itself")
	}
	copied.Close()
	if after, err := m.Memory(t.Context(), in, engine.Gradients(quadratic(5), selectPoint(t, m, in, "embed"))); err != nil || after.Weights != before.Weights {
		t.Errorf("%d bytes of weights before, %d after, %v", before.Weights, after.Weights, err)
	}
	if !slices.Equal(gradient(m), whole) {
		t.Error("the model itself changed")
	}
}

// TestRedrawnRefused: a copy that does not fit, or of a block that there is not,
// is refused.
func TestRedrawnRefused(t *testing.T) {
	k := kinds()[0]
	fsys := k.folder(t, 3)
	m, err := engine.Open(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, block := range []int{-2, m.Info().Layers + 1} {
		if _, err := m.Redrawn(t.Context(), block, 0); err == nil {
			t.Errorf("block %d was redrawn", block)
		}
	}
	memory, err := m.Memory(t.Context(), with{}.input(m.Info(), 4, 1))
	if err != nil {
		t.Fatal(err)
	}
	tight, err := engine.Open(t.Context(), fsys, engine.WithMemory(memory.Weights+10))
	if err != nil {
		t.Fatal(err)
	}
	defer tight.Close()
	if _, err := tight.Redrawn(t.Context(), 0, 0); err == nil {
		t.Error("a copy was made that does not fit")
	} else if _, ok := errors.AsType[*engine.MemoryError](err); !ok {
		t.Errorf("refused with %v", err)
	}
}
