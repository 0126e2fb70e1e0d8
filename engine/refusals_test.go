package engine_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
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
	sizes := selectPoint(t, open(t, kinds()[14].folder(t, 1)), in, "blocks.1.attn.hook_z")
	forged := func(name string) point.Selection {
		s := selectPoint(t, m, in, name)
		s.Point.Differentiable, s.Point.Editable = true, true
		return s
	}
	bert := openGolden(t, "bert-seqcls")
	mean := point.Edit{Selection: selectPoint(t, bert, in, "pooler_output"), Op: point.Mean}
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
		"a model of other sizes":     {engine.Capture(sizes), "graph"},
		"its edit":                   {edit(sizes, 1), "graph"},
		"its gradient":               {engine.Gradients(objective, sizes), "graph"},
		"too few ranges":             {engine.Capture(cut), "3 ranges for 4 axes"},
		"the ids":                    {engine.Capture(selectPoint(t, m, in, "hook_tokens")), "is the input itself"},
		"a gradient of the ids":      {engine.Gradients(objective, selectPoint(t, m, in, "hook_tokens")), "has no gradient"},
		"a forged gradient":          {engine.Gradients(objective, forged("hook_tokens")), "has no gradient"},
		"a forged edit":              {edit(forged("blocks.0.attn.hook_scores_content"), 1), "cannot be edited"},
		"no operation":               {engine.Edits(point.Edit{Selection: z, Op: point.Mean + 1, Values: []float64{0}}), "operation 4"},
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
	var wrong *point.MismatchError
	if _, err := bert.Forward(t.Context(), in, engine.Edits(mean)); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "no positions") {
		t.Errorf("a mean over nothing: %v", err)
	}
	if _, err := m.Forward(t.Context(), targets, engine.Capture(other)); err != nil {
		t.Errorf("a point of the graph itself: %v", err)
	}
}

// TestPastErrors: what was not kept by this model and to the end is not
// continued, and nothing is kept in one place by two sequences.
func TestPastErrors(t *testing.T) {
	m, tuned := open(t, kinds()[10].folder(t, 1), engine.WithThreads(1)), open(t, kinds()[10].folder(t, 2))
	ids := []int32{5, 6, 7}
	kept := func(m *engine.Model) *engine.Past {
		past := &engine.Past{}
		forward(t, m, engine.Input{IDs: ids, Keep: []*engine.Past{past}})
		return past
	}
	whole, broken := kept(m), kept(m)
	ctx, cancel := context.WithCancel(t.Context())
	stop := engine.Progress(func(int, int) { cancel() })
	long := engine.Input{IDs: make([]int32, 400), Lengths: []int{200, 200}, Keep: []*engine.Past{broken, nil}}
	if _, err := m.Forward(ctx, long, stop); !errors.Is(err, context.Canceled) {
		t.Fatalf("a forward that is cancelled half way: %v", err)
	}
	first := engine.Capture(selectPoint(t, m, engine.Input{}, "blocks.0.hook_resid_post"))
	two := engine.Input{IDs: []int32{1, 2}, Lengths: []int{1, 1}}
	both, read := two, two
	both.Keep = []*engine.Past{whole, whole}
	read.Past, read.Keep = []*engine.Past{whole, whole}, []*engine.Past{nil, whole}
	alone := func(past *engine.Past) engine.Input {
		return engine.Input{IDs: []int32{1}, Past: []*engine.Past{past}}
	}
	keep := engine.Input{IDs: ids, Keep: []*engine.Past{{}}}
	for name, c := range map[string]struct {
		in    engine.Input
		opts  []engine.ForwardOption
		field string
	}{
		"another checkpoint":    {alone(kept(tuned)), nil, "Past"},
		"a copy of it":          {alone(kept(tuned).Fork()), nil, "Past"},
		"another number format": {alone(kept(open(t, kinds()[10].folder(t, 1), engine.WithDType(engine.F64)))), nil, "Past"},
		"not to the end":        {alone(broken), nil, "Past"},
		"no layer":              {keep, []engine.ForwardOption{engine.WithoutLogits()}, "Keep"},
		"some layers":           {keep, []engine.ForwardOption{engine.WithoutLogits(), first}, "Keep"},
		"two sequences":         {both, nil, "Keep"},
		"read and grown":        {read, nil, "Past"},
		"a hidden token":        {engine.Input{IDs: ids, Mask: []uint8{1, 0, 1}, Keep: []*engine.Past{{}}}, nil, "Mask"},
		"too many":              {engine.Input{IDs: ids, Past: []*engine.Past{nil, nil}}, nil, "Past"},
	} {
		var wrong *engine.InputError
		if _, err := m.Forward(t.Context(), c.in, c.opts...); !errors.As(err, &wrong) || wrong.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	mean := point.Edit{Selection: selectPoint(t, m, engine.Input{}, "blocks.1.hook_resid_pre"), Op: point.Mean}
	var wrong *point.MismatchError
	if _, err := m.Forward(t.Context(), alone(whole), engine.Edits(mean)); !errors.As(err, &wrong) {
		t.Errorf("the mean of positions some of which are past: %v", err)
	}
	forward(t, m, alone(whole))
	forward(t, m, alone(whole.Fork()))
}

// TestGenerateErrors: models that predict no next token generate nothing.
func TestGenerateErrors(t *testing.T) {
	for _, model := range []string{"gpt2-seqcls", "bert-mlm", "xlnet-lm"} {
		var unsupported *checkpoint.UnsupportedError
		if _, err := openGolden(t, model).Generate(t.Context(), []int32{1}, engine.Generation{MaxTokens: 1}); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", model, err)
		}
	}
	huge := open(t, overflow(t, kinds()[10].folder(t, 1), "transformer.ln_f.bias"))
	if got, err := huge.Generate(t.Context(), []int32{1}, engine.Generation{MaxTokens: 1}); !errors.Is(err, engine.ErrNotFinite) {
		t.Errorf("logits that overflow give %+v, %v", got, err)
	}
	m := openGolden(t, "gpt2-lm")
	for _, g := range []engine.Generation{{}, {MaxTokens: 1, Temperature: -1}, {MaxTokens: 1, TopK: -1}, {MaxTokens: 1, TopP: 1.5}} {
		var option *engine.OptionError
		if _, err := m.Generate(t.Context(), []int32{1}, g); !errors.As(err, &option) {
			t.Errorf("%+v: %v", g, err)
		}
	}
}

// overflow returns a folder in which the last value of a tensor is the largest
// that there is.
func overflow(t *testing.T, fsys fstest.MapFS, name string) fstest.MapFS {
	t.Helper()
	data := fsys[checkpoint.WeightsFile].Data
	f, err := safetensors.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	for _, n := range f.Names() {
		info, _ := f.Tensor(n)
		values, err := f.ReadF32(n)
		if err != nil {
			t.Fatal(err)
		}
		if n == name {
			values[len(values)-1] = math.MaxFloat32
		}
		tensors = append(tensors, safetensors.Tensor{Name: n, Shape: info.Shape, Data: values})
	}
	var weights bytes.Buffer
	if err := safetensors.Write(&weights, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{checkpoint.ConfigFile: fsys[checkpoint.ConfigFile], checkpoint.WeightsFile: {Data: weights.Bytes()}}
}
