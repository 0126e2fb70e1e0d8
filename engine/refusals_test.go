package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/point"
)

// TestPointErrors: what cannot be read, edited or differentiated is refused
// before anything is computed.
func TestPointErrors(t *testing.T) {
	m := openGolden(t, "xlnet-lm")
	in := engine.Input{IDs: []int32{5, 6, 7}}
	targets := in
	targets.Targets = [][]int{{1}}
	z := selectPoint(t, m, in, "blocks.1.attn.hook_z")
	other := selectPoint(t, m, targets, "blocks.1.attn.hook_z")
	cut := z
	cut.Ranges = z.Ranges[1:]
	objective := func(int, []float64, []float64) float64 { return 0 }
	edit := func(s point.Selection, values int, shape ...int) engine.ForwardOption {
		return engine.Edits(point.Edit{Selection: s, Values: make([]float64, values), Shape: shape})
	}
	for name, c := range map[string]struct {
		option engine.ForwardOption
		says   string
	}{
		"a name of the other graph":  {engine.Capture(selectPoint(t, m, targets, "blocks.1.g.attn.hook_z")), "graph"},
		"a node of the other graph":  {engine.Capture(other), "graph"},
		"an edit of the other graph": {edit(other, 1), "graph"},
		"too few ranges":             {engine.Capture(cut), "3 ranges for 4 axes"},
		"the ids":                    {engine.Capture(selectPoint(t, m, in, "hook_tokens")), "is the input itself"},
		"a gradient of the ids":      {engine.Gradients(objective, selectPoint(t, m, in, "hook_tokens")), "has no gradient"},
		"no objective":               {engine.Gradients(nil, z), "objective"},
		"an edit of a term":          {edit(selectPoint(t, m, in, "blocks.0.attn.hook_scores_content"), 1), "cannot be edited"},
		"too few values":             {edit(z, 3, 1, 1, 1, 4), "[1 1 1 4]"},
		"another length":             {edit(z, 2, 1, 2, 1, 1), "axis T has 3 values"},
	} {
		var wrong *point.MismatchError
		if _, err := m.Forward(t.Context(), in, c.option); !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.Forward(t.Context(), targets, engine.Capture(other)); err != nil {
		t.Errorf("a point of the graph itself: %v", err)
	}
}

// TestPastErrors: what was not kept by this model and to the end is not
// continued, and nothing is kept in one place by two sequences.
func TestPastErrors(t *testing.T) {
	m := openGolden(t, "gpt2-lm")
	ids := []int32{5, 6, 7}
	kept := func(m *engine.Model, opts ...engine.ForwardOption) *engine.Past {
		past := &engine.Past{}
		forward(t, m, engine.Input{IDs: ids, Keep: []*engine.Past{past}}, opts...)
		return past
	}
	whole, longer := kept(m), kept(m)
	longer.Length++
	first := engine.Capture(selectPoint(t, m, engine.Input{}, "blocks.0.hook_resid_post"))
	two := engine.Input{IDs: []int32{1, 2}, Lengths: []int{1, 1}}
	both, read := two, two
	both.Keep = []*engine.Past{whole, whole}
	read.Past, read.Keep = []*engine.Past{whole, whole}, []*engine.Past{nil, whole}
	alone := func(past *engine.Past) engine.Input {
		return engine.Input{IDs: []int32{1}, Past: []*engine.Past{past}}
	}
	for name, c := range map[string]struct {
		in    engine.Input
		field string
	}{
		"another length":        {alone(longer), "Past"},
		"another number format": {alone(kept(openGolden(t, "gpt2-lm", engine.WithDType(engine.F64)))), "Past"},
		"some layers":           {alone(kept(m, engine.WithoutLogits(), first)), "Past"},
		"two sequences":         {both, "Keep"},
		"read and grown":        {read, "Past"},
		"a hidden token":        {engine.Input{IDs: ids, Mask: []uint8{1, 0, 1}, Keep: []*engine.Past{{}}}, "Mask"},
		"too many":              {engine.Input{IDs: ids, Past: []*engine.Past{nil, nil}}, "Past"},
	} {
		var wrong *engine.InputError
		if _, err := m.Forward(t.Context(), c.in); !errors.As(err, &wrong) || wrong.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	forward(t, m, alone(whole))
}

// TestGenerateErrors: models that predict no next token generate nothing.
func TestGenerateErrors(t *testing.T) {
	for _, model := range []string{"gpt2-seqcls", "bert-mlm", "xlnet-lm"} {
		var unsupported *checkpoint.UnsupportedError
		if _, err := openGolden(t, model).Generate(t.Context(), []int32{1}, engine.Generation{Tokens: 1}); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", model, err)
		}
	}
	m := openGolden(t, "gpt2-lm")
	for _, g := range []engine.Generation{{}, {Tokens: 1, Temperature: -1}, {Tokens: 1, TopK: -1}, {Tokens: 1, TopP: 1.5}} {
		var option *engine.OptionError
		if _, err := m.Generate(t.Context(), []int32{1}, g); !errors.As(err, &option) {
			t.Errorf("%+v: %v", g, err)
		}
	}
}
