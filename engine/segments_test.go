package engine_test

import (
	"errors"
	"math"
	"testing"

	"github.com/xai-go/xai/engine"
)

// TestSegmentErrors: what an input says of earlier segments, and of what is read
// and predicted, is refused where it cannot be.
func TestSegmentErrors(t *testing.T) {
	x, g := openGolden(t, "xlnet-lm"), openGolden(t, "gpt2-lm")
	rows := func(n int) (all [][]float32) {
		for range x.Info().Layers {
			all = append(all, make([]float32, n*x.Info().Hidden))
		}
		return all
	}
	ids := []int32{5, 6, 7}
	past := &engine.Past{}
	forward(t, g, engine.Input{IDs: make([]int32, g.Info().Length-1), Keep: []*engine.Past{past}})
	for name, c := range map[string]struct {
		m     *engine.Model
		in    engine.Input
		field string
	}{
		"huge memories":           {x, engine.Input{IDs: ids, Memories: rows(2), MemoryLengths: []int{math.MaxInt}}, "MemoryLengths"},
		"negative memories":       {x, engine.Input{IDs: ids, Memories: rows(2), MemoryLengths: []int{-1}}, "MemoryLengths"},
		"memories that overflow":  {x, engine.Input{IDs: ids, Lengths: []int{1, 1, 1}, Memories: rows(2), MemoryLengths: []int{2, math.MaxInt, 2}}, "MemoryLengths"},
		"fewer memories":          {x, engine.Input{IDs: ids, Memories: rows(2), MemoryLengths: []int{3}}, "Memories"},
		"more memories":           {x, engine.Input{IDs: ids, Memories: rows(2), MemoryLengths: []int{1}}, "Memories"},
		"lengths alone":           {x, engine.Input{IDs: ids, MemoryLengths: []int{1}}, "Memories"},
		"memories alone":          {x, engine.Input{IDs: ids, Memories: rows(1)}, "MemoryLengths"},
		"memories of some layers": {x, engine.Input{IDs: ids, Memories: rows(1)[1:], MemoryLengths: []int{1}}, "Memories"},
		"memories of GPT-2":       {g, engine.Input{IDs: ids, Memories: rows(1), MemoryLengths: []int{1}}, "Memories"},
		"a negative target":       {x, engine.Input{IDs: ids, Targets: [][]int{{-1}}}, "Targets"},
		"a target too far":        {x, engine.Input{IDs: ids, Targets: [][]int{{3}}}, "Targets"},
		"a huge target":           {x, engine.Input{IDs: ids, Targets: [][]int{{math.MaxInt}}}, "Targets"},
		"targets of one":          {x, engine.Input{IDs: ids, Lengths: []int{1, 2}, Targets: [][]int{{0}}}, "Targets"},
		"targets of GPT-2":        {g, engine.Input{IDs: ids, Targets: [][]int{{0}}}, "Targets"},
		"a negative read":         {g, engine.Input{IDs: ids, Reads: [][]int{{0, -1}}}, "Reads"},
		"a huge read":             {g, engine.Input{IDs: ids, Reads: [][]int{{math.MaxInt}}}, "Reads"},
		"reads beside targets":    {x, engine.Input{IDs: ids, Reads: [][]int{{0}}, Targets: [][]int{{0}}}, "Reads"},
		"beyond the positions":    {g, engine.Input{IDs: ids, Past: []*engine.Past{past}}, "Lengths"},
		"a past of XLNet":         {x, engine.Input{IDs: ids, Past: []*engine.Past{past}}, "Past"},
	} {
		_, err := c.m.Forward(t.Context(), c.in)
		var refused *engine.InputError
		if !errors.As(err, &refused) || refused.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The last position is still there, reads may be empty and so may batches.
	forward(t, g, engine.Input{IDs: ids[:1], Past: []*engine.Past{past}})
	out := forward(t, g, engine.Input{IDs: ids, Lengths: []int{1, 2}, Reads: [][]int{{}, {1}}}, engine.Gradients(quadratic(1), selectPoint(t, g, engine.Input{}, "embed")))
	if len(out.Starts) != 3 || out.Starts[1] != 0 || out.Logits.Shape[0] != 1 || out.Objectives[0] != 0 || out.Objectives[1] == 0 {
		t.Errorf("starts %v, objectives %v", out.Starts, out.Objectives)
	}
	if out := forward(t, x, engine.Input{IDs: ids, Targets: [][]int{{}}}); out.Logits.Len() != 0 {
		t.Errorf("no targets give %d logits", out.Logits.Len())
	}
	if out := forward(t, x, engine.Input{}, engine.Gradients(quadratic(1), selectPoint(t, x, engine.Input{}, "embed"))); len(out.Objectives) != 0 {
		t.Errorf("no sequences give %d objectives", len(out.Objectives))
	}
}

// TestNaNStays: embeddings of NaN spoil the logits of their own sequence, and no
// other's, and hidden ones nothing.
func TestNaNStays(t *testing.T) {
	m := open(t, odd.model(t), engine.WithThreads(2))
	d := odd.hidden
	in := engine.Input{Embeds: make([]float32, 5*d), Lengths: []int{2, 3}, Mask: []uint8{1, 1, 1, 0, 1}}
	for i := range in.Embeds {
		in.Embeds[i] = float32(i%7) / 5
	}
	want := forward(t, m, in)
	in.Embeds[3*d] = float32(math.NaN())
	if got := forward(t, m, in); !equalBits(numbers(got), numbers(want)) {
		t.Errorf("a hidden NaN changes %v to %v", numbers(want), numbers(got))
	}
	in.Embeds[4*d] = float32(math.NaN())
	got := forward(t, m, in, engine.Gradients(quadratic(1), selectPoint(t, m, in, "embed")))
	if !equalBits(got.Row(0), want.Row(0)) || !math.IsNaN(got.Row(1)[0]) || math.IsNaN(got.Objectives[0]) || !math.IsNaN(got.Objectives[1]) {
		t.Errorf("logits %v and %v, objectives %v", got.Row(0), got.Row(1), got.Objectives)
	}
	for _, g := range got.Gradients[0].Sequences[0].Float64() {
		if math.IsNaN(g) {
			t.Fatal("a NaN of one sequence reaches another's gradient")
		}
	}
}
