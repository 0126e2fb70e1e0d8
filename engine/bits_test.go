package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
)

// cut returns the sequences of an input that are listed, in that order.
func cut(in engine.Input, info engine.Info, sequences ...int) (out engine.Input) {
	token, memory := []int{0}, []int{0}
	for i, n := range in.Lengths {
		token = append(token, token[i]+n)
		if in.MemoryLengths != nil {
			memory = append(memory, memory[i]+in.MemoryLengths[i])
		}
	}
	if in.Memories != nil {
		out.Memories = make([][]float32, len(in.Memories))
	}
	for _, i := range sequences {
		lo, hi := token[i], token[i+1]
		out.Lengths = append(out.Lengths, hi-lo)
		out.IDs = append(out.IDs, in.IDs[lo:hi]...)
		if in.TypeIDs != nil {
			out.TypeIDs = append(out.TypeIDs, in.TypeIDs[lo:hi]...)
		}
		if in.Mask != nil {
			out.Mask = append(out.Mask, in.Mask[lo:hi]...)
		}
		if in.Reads != nil {
			out.Reads = append(out.Reads, in.Reads[i])
		}
		if in.Targets != nil {
			out.Targets = append(out.Targets, in.Targets[i])
		}
		if in.PermMask != nil {
			out.PermMask = append(out.PermMask, in.PermMask[i])
		}
		if in.MemoryLengths != nil {
			out.MemoryLengths = append(out.MemoryLengths, in.MemoryLengths[i])
			for l, rows := range in.Memories {
				out.Memories[l] = append(out.Memories[l], rows[memory[i]*info.Hidden:memory[i+1]*info.Hidden]...)
			}
		}
	}
	return out
}

// bits is all that a forward gives of one sequence.
type bits struct {
	logits            []float64
	values, gradients [][]float64
}

func bitsOf(out *engine.Output, sequence int) (b bits) {
	all := out.Logits.Float64()
	b.logits = all[out.Starts[sequence]*out.Classes : out.Starts[sequence+1]*out.Classes]
	for _, v := range out.Values {
		b.values = append(b.values, v.Sequences[sequence].Float64())
	}
	for _, g := range out.Gradients {
		b.gradients = append(b.gradients, g.Sequences[sequence].Float64())
	}
	return b
}

// same reports where two forwards differ in a sequence. What one of them was
// not asked for is not compared.
func same(t *testing.T, what string, points []point.Selection, got, want bits) {
	t.Helper()
	if !slices.Equal(got.logits, want.logits) {
		t.Errorf("%s: other logits", what)
	}
	for i, p := range points {
		if got.values != nil && !slices.Equal(got.values[i], want.values[i]) {
			t.Errorf("%s: another value of %s", what, p.Name)
		}
		if got.gradients != nil && !slices.Equal(got.gradients[i], want.gradients[i]) {
			t.Errorf("%s: another gradient at %s", what, p.Name)
		}
	}
}

// shortOf returns a model with hardly more memory than a forward needs.
func shortOf(t *testing.T, fsys fs.FS, in engine.Input, opts ...engine.ForwardOption) *engine.Model {
	t.Helper()
	for memory := int64(1 << 19); ; memory *= 2 {
		m, err := engine.Open(t.Context(), fsys, engine.WithThreads(2), engine.WithMemory(memory))
		if err == nil {
			if _, err = m.Forward(t.Context(), in, opts...); err == nil {
				t.Cleanup(m.Close)
				return m
			}
			m.Close()
		}
		if refused := new(engine.MemoryError); !errors.As(err, &refused) {
			t.Fatal(err)
		}
	}
}

// TestBits: what a forward gives of a sequence, logits, values and gradients, is
// the same bits whatever else is in the batch, in any order, on any number of
// threads, with little memory, and with what saves work or memory on and off.
func TestBits(t *testing.T) {
	for i, k := range kinds() {
		fsys := k.folder(t, 7)
		m := open(t, fsys, engine.WithThreads(1))
		info := m.Info()
		others := map[string]*engine.Model{
			"2 threads": open(t, fsys, engine.WithThreads(2)), "4 threads": open(t, fsys, engine.WithThreads(4)), "8 threads": open(t, fsys, engine.WithThreads(8)),
		}
		forms := inputs(info)
		if k.first {
			forms = []with{forms[0], forms[len(forms)-1]}
		} else {
			forms = forms[i%len(forms):][:1]
		}
		for _, w := range forms {
			in := w.input(info, 8, 7, 1, 12, 30)
			if i == 10 || i == 15 { // attention in several blocks: GPT-2 and a causal XLNet
				in = w.input(info, 8, 3, 200, 5)
			}
			n := len(in.Lengths)
			var points []point.Selection
			for _, p := range differentiable(m, in) {
				if p.Point.Axes[0].Letter == "B" {
					points = append(points, p)
				}
			}
			objective := quadratic(3)
			all := []engine.ForwardOption{engine.Capture(points...), engine.Gradients(objective, points...)}
			whole := forward(t, m, in, all...)
			var want []bits
			for s := range n {
				want = append(want, bitsOf(whole, s))
			}
			check := func(what string, m *engine.Model, opts ...engine.ForwardOption) {
				t.Helper()
				out, err := m.Forward(t.Context(), in, opts...)
				if err != nil {
					t.Errorf("%s, %v, %s: %v", k.name, w, what, err)
					return
				}
				for s := range n {
					same(t, fmt.Sprintf("%s, %v, %s, sequence %d", k.name, w, what, s), points, bitsOf(out, s), want[s])
				}
			}
			check("captures alone", m, engine.Capture(points...))
			check("computed again", m, append(all, engine.Recompute())...)
			for name, option := range map[string]engine.ForwardOption{
				"all rows": engine.AllRows(), "separately": engine.Separately(), "every token": engine.EveryToken(),
			} {
				check(name, m, option)
			}
			for name, other := range others {
				check(name, other, all...)
			}
			check("nothing asked for", others["2 threads"])
			check("little memory", shortOf(t, fsys, in, all...), all...)
			order := []int{2, 0, 1}
			turned := cut(in, info, order...)
			turnedOut := forward(t, others["2 threads"], turned, engine.Capture(points...), engine.Gradients(
				func(i int, x, g []float64) float64 { return objective(order[i], x, g) }, points...))
			for place, s := range order {
				same(t, fmt.Sprintf("%s, %v, sequence %d in another batch", k.name, w, s), points, bitsOf(turnedOut, place), want[s])
				alone := forward(t, m, cut(in, info, s), engine.Capture(points...), engine.Gradients(
					func(_ int, x, g []float64) float64 { return objective(s, x, g) }, points...))
				same(t, fmt.Sprintf("%s, %v, sequence %d alone", k.name, w, s), points, bitsOf(alone, 0), want[s])
			}
		}
	}
}
