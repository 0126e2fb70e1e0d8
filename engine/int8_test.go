package engine_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/golden"
)

// TestInt8Bits holds models in 8 bits to the promise that those in float32 keep:
// a sequence's bits do not depend on threads, on the batch, on what is captured,
// nor on what saves work.
func TestInt8Bits(t *testing.T) {
	selected := kernel.Family()
	t.Cleanup(func() {
		if err := kernel.Select(selected); err != nil {
			t.Fatal(err)
		}
	})
	for _, family := range kernel.Families() {
		if err := kernel.Select(family); err != nil {
			t.Fatal(err)
		}
		for i, k := range kinds() {
			if family == "generic" && i > 3 {
				break // plain loops
			}
			fsys := k.folder(t, 5)
			m := open(t, fsys, engine.WithDType(engine.INT8), engine.WithThreads(1))
			two := open(t, fsys, engine.WithDType(engine.INT8), engine.WithThreads(2))
			forms := inputs(m.Info())
			in := forms[i%len(forms)].input(m.Info(), 8, 7, 1, 12, 30)
			points := differentiable(m, in)
			points = slices.DeleteFunc(points, func(p point.Selection) bool { return p.Point.Axes[0].Letter != "B" })
			whole := forward(t, m, in, engine.Capture(points...))
			for s := range in.Lengths {
				want := bitsOf(whole, s)
				if slices.ContainsFunc(want.logits, math.IsNaN) {
					t.Fatalf("%s: logits %v", k.name, want.logits)
				}
				what := fmt.Sprintf("%s, %s, sequence %d, ", family, k.name, s)
				same(t, what+"alone", points, bitsOf(forward(t, two, cut(in, m.Info(), s), engine.Capture(points...)), 0), want)
				same(t, what+"two threads", points, bitsOf(forward(t, two, in, engine.Capture(points...)), s), want)
				want.values = nil
				for name, option := range map[string]engine.ForwardOption{"plain": engine.Capture(), "all rows": engine.AllRows(), "separately": engine.Separately(), "every token": engine.EveryToken()} {
					same(t, what+name, nil, bitsOf(forward(t, two, in, option), s), want)
				}
			}
		}
	}
}

// TestInt8Golden bounds how far models in 8 bits are from the reference
// implementation: of these small ones with random weights, whose layers sum few
// products, a tenth of the largest logit.
func TestInt8Golden(t *testing.T) {
	for _, name := range []string{"bert_seqcls", "bert_mlm", "distilbert_seqcls", "roberta_seqcls", "gpt2_lm", "xlnet_seqcls"} {
		c := golden.Load(t, name)
		m := openGolden(t, c.Model, engine.WithDType(engine.INT8))
		exact := openGolden(t, c.Model)
		in := randomIDs(m, 9, 6)
		got, want := forward(t, m, in).Logits.Float64(), forward(t, exact, in).Logits.Float64()
		largest, off := 0.0, 0.0
		for i := range want {
			largest, off = max(largest, math.Abs(want[i])), max(off, math.Abs(got[i]-want[i]))
		}
		t.Logf("%s: %.4f of the largest logit", name, off/largest)
		if off == 0 || !(off < 0.1*largest) {
			t.Errorf("%s: logits are off by %v, and the largest is %v", name, off, largest)
		}
	}
}

// randomIDs returns an input of sequences of some lengths.
func randomIDs(m *engine.Model, lengths ...int) engine.Input {
	in := engine.Input{Lengths: lengths}
	for _, n := range lengths {
		for i := range n {
			in.IDs = append(in.IDs, int32((i*31+7*n)%m.Info().Vocabulary))
		}
	}
	return in
}

// TestInt8Refuses: a model in 8 bits goes in steps and has no gradients.
func TestInt8Refuses(t *testing.T) {
	m := open(t, odd.model(t), engine.WithDType(engine.INT8))
	if m.Info().DType != engine.INT8 {
		t.Errorf("the number format is %q", m.Info().DType)
	}
	in := randomIDs(m, 5)
	p := selectPoint(t, m, in, "hidden_states[1]")
	_, err := m.Forward(t.Context(), in, engine.Gradients(quadratic(1), p))
	var refused *point.MismatchError
	if !errors.As(err, &refused) || refused.Name != p.Name || !strings.Contains(refused.Reason, "open it as f32") {
		t.Errorf("gradients of a model in 8 bits: %v", err)
	}
}

// TestInt8Memory: a model in 8 bits needs a quarter of the memory for its
// blocks, and says so before it reads a weight.
func TestInt8Memory(t *testing.T) {
	s := shape{vocabulary: 10, positions: 10, hidden: 64, layers: 4, heads: 4, intermediate: 256, classes: 2}
	fsys := s.model(t)
	blocks := int64(s.layers * (4*s.hidden*s.hidden + 2*s.hidden*s.intermediate))
	needs := func(d engine.DType) int64 {
		_, err := engine.Open(t.Context(), fsys, engine.WithDType(d), engine.WithMemory(1))
		var short *engine.MemoryError
		if !errors.As(err, &short) {
			t.Fatal(err)
		}
		return short.Need
	}
	outputs := int64(s.layers * (5*s.hidden + s.intermediate))
	if f32, int8 := needs(engine.F32), needs(engine.INT8); f32-int8 != 3*blocks-8*outputs {
		t.Errorf("float32 needs %d bytes, and 8 bits %d: %d less, want %d", f32, int8, f32-int8, 3*blocks-8*outputs)
	}
}
