package engine_test

import (
	"errors"
	"testing"

	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/virtual"
)

// TestOperations holds the count of a graph to the formulas of its shape.
func TestOperations(t *testing.T) {
	openVirtual := func(name string) (*engine.Model, virtual.Shape) {
		shape, err := virtual.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := shape.Folder(false)
		if err != nil {
			t.Fatal(err)
		}
		return open(t, folder), shape
	}
	bert, bertShape := openVirtual("bert-tiny")
	gpt2, gpt2Shape := openVirtual("gpt2-tiny")
	xlnet := openGolden(t, "xlnet-lm")

	in := engine.Input{IDs: make([]int32, 20), Lengths: []int{3, 12, 5}}
	last := in
	last.Reads = [][]int{{2}, {11}, {4}}
	pattern, err := point.Resolve(bert.Graph(in), bert.Info(), "blocks.1.attn.hook_pattern")
	if err != nil {
		t.Fatal(err)
	}
	// An XLNet of 3 layers, width 40, feed-forward 72 and 240 words: the five
	// products of attention, one of them over 2·12 relative positions, the
	// feed-forward, three products of queries, and the logits.
	const square, keys = 2 * 40 * 40, 3*3 + 12*12 + 5*5
	stream := 3 * float64(20*(4*square+2*2*40*72)+24*square+3*2*40*keys)

	past := new(engine.Past)
	forward(t, gpt2, engine.Input{IDs: make([]int32, 7), Keep: []*engine.Past{past}})

	for _, c := range []struct {
		name string
		m    *engine.Model
		in   engine.Input
		opts []engine.ForwardOption
		want float64
	}{
		{"classifier", bert, in, nil, model.Operations(bertShape, model.Classifier, true, 3, 12, 5)},
		{"classifier, all rows", bert, in, []engine.ForwardOption{engine.AllRows()}, model.Operations(bertShape, model.Classifier, false, 3, 12, 5)},
		// All queries and patterns of the last layer, for the patterns' sake.
		{"classifier, patterns", bert, in, []engine.ForwardOption{engine.Capture(pattern...)},
			model.Operations(bertShape, model.Classifier, true, 3, 12, 5) + 17*2*32*32 + 4*32*(3*2+12*11+5*4)},
		{"language model", gpt2, in, nil, model.Operations(gpt2Shape, model.All, false, 3, 12, 5)},
		{"language model, last token", gpt2, last, nil, model.Operations(gpt2Shape, model.Last, true, 3, 12, 5)},
		// One token, which sees itself and seven before.
		{"language model, continued", gpt2, engine.Input{IDs: make([]int32, 1), Past: []*engine.Past{past}}, nil,
			2 * (2*(4*32*32+2*32*96) + 4*32*8 + 32*211)},
		{"permutation language model", xlnet, in, nil, stream + 20*2*40*240},
	} {
		got, err := c.m.Operations(c.in, c.opts...)
		if err != nil || got != c.want {
			t.Errorf("%s: %v (%v), want %v", c.name, got, err, c.want)
		}
	}
	if _, err := bert.Operations(engine.Input{IDs: []int32{211}}); !errors.As(err, new(*engine.InputError)) {
		t.Errorf("a token that the model does not have: %v", err)
	}
}
