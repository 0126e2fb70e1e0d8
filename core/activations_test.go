package core_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/sdk"
)

// TestActivationsPad holds a batch of texts to each by itself: the same bits,
// and zeros behind the shorter ones.
func TestActivationsPad(t *testing.T) {
	m := goldenModel(t, "bert-text", "f32")
	texts := []core.Input{{Text: "the film was good , and the plot was thin"}, {Text: "great"}, {Text: "the film"}}
	r := core.ActivationsRequest{
		Inputs: texts, GradOf: "0 - 1",
		Points: []string{"blocks.*.attn.hook_pattern,resid_post1[t=-2:]", "hidden_states[1][b=2,t=0]", "hook_cls_logits", "attentions[0][...,:2]"},
	}
	all, err := m.Activations(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range texts {
		r.Inputs = texts[i : i+1]
		r.Points[1] = "hidden_states[1][b=0,t=0]"
		one, err := m.Activations(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if one.Objective.Values[0] != all.Objective.Values[i] {
			t.Errorf("the objective of text %d is %v alone and %v in the batch", i, one.Objective.Values[0], all.Objective.Values[i])
		}
		for k, a := range one.Tensors {
			b := all.Tensors[k]
			if strings.Contains(b.Name, "b=2") { // one sequence: the axis is gone
				if i == 2 && (!slices.Equal(a.F32, b.F32) || !slices.Equal(b.Axes, []string{"D"})) {
					t.Errorf("%s differs from the last text's", b.Name)
				}
				continue
			}
			if b.Shape[0] != 3 || a.Shape[0] != 1 {
				t.Fatalf("%s has the shapes %v and %v", a.Name, a.Shape, b.Shape)
			}
			compare(t, a, b, i)
		}
	}
	if len(all.Rows[0].Tokens) <= len(all.Rows[2].Tokens) {
		t.Fatal("the texts are as long as each other")
	}
}

// compare compares row i of a batch with the only row of another one.
func compare(t *testing.T, one, all core.Activation, i int) {
	t.Helper()
	size := len(all.F32) / all.Shape[0]
	for k, v := range all.F32[i*size : (i+1)*size] {
		// The indices of value k, and its place in the smaller tensor.
		rest, at, inside := k, 0, true
		stride := 1
		for axis := len(all.Shape) - 1; axis > 0; axis-- {
			index := rest % all.Shape[axis]
			rest /= all.Shape[axis]
			inside = inside && index < one.Shape[axis]
			at += index * stride
			stride *= one.Shape[axis]
		}
		want := float32(0)
		if inside {
			want = one.F32[at]
		}
		if v != want {
			t.Fatalf("%s of text %d: value %d is %v, want %v", all.Name, i, k, v, want)
		}
	}
}

// TestActivationsTokens reads the one point that is no activation.
func TestActivationsTokens(t *testing.T) {
	m := goldenModel(t, "bert-text", "f32")
	x, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: []core.Input{{Text: "the film was good"}, {Text: "great"}}, Points: []string{"hook_tokens,hook_tokens[1,t=:2]"}})
	if err != nil {
		t.Fatal(err)
	}
	all, part := x.Tensors[0], x.Tensors[1]
	if !slices.Equal(all.Shape, []int{2, 6}) || !slices.Equal(part.Shape, []int{2}) || !slices.Equal(part.IDs, all.IDs[6:8]) {
		t.Errorf("%v and %v", all, part)
	}
	for i, token := range x.Rows[0].Tokens {
		if all.IDs[i] != int64(token.ID) {
			t.Errorf("token %d is %d, want %d", i, all.IDs[i], token.ID)
		}
	}
	if all.IDs[11] != 0 {
		t.Errorf("padding is %d", all.IDs[11])
	}
	// An index from the end is of each sequence, as it is of activations.
	x, err = m.Activations(t.Context(), core.ActivationsRequest{Inputs: []core.Input{{Text: "the film was good"}, {Text: "great"}}, Points: []string{"hook_tokens[t=-1],hook_tokens[t=-2:]"}})
	if err != nil {
		t.Fatal(err)
	}
	if last, two := x.Tensors[0], x.Tensors[1]; !slices.Equal(last.IDs, []int64{all.IDs[5], all.IDs[8]}) || !slices.Equal(two.IDs, []int64{all.IDs[4], all.IDs[5], all.IDs[7], all.IDs[8]}) {
		t.Errorf("the last tokens of %v are %v and %v", all.IDs, last, two)
	}
}

// TestActivationsPatch holds the workflow of a clean and a corrupt run: a patch
// of all that passes a layer makes one into the other, a patch of what the other
// run has at the same place changes nothing.
func TestActivationsPatch(t *testing.T) {
	m := goldenModel(t, "bert-text", "f32")
	clean, corrupt := []core.Input{{Text: "the film was good"}}, []core.Input{{Text: "the film was dull"}}
	logits := func(in []core.Input, edits ...string) []float32 {
		t.Helper()
		x, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: in, Points: []string{"logits"}, Edits: edits})
		if err != nil {
			t.Fatal(err)
		}
		return x.Tensors[0].F32
	}
	path := filepath.Join(t.TempDir(), "clean.safetensors")
	x, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: clean, Points: []string{"blocks.*.hook_resid_pre", "hook_embed"}})
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	for _, a := range x.Tensors {
		tensors = append(tensors, safetensors.Tensor{Name: a.Name, Shape: a.Shape, Data: a.F32})
	}
	writeTensors(t, path, tensors...)
	want, other := logits(clean), logits(corrupt)
	if slices.Equal(want, other) {
		t.Fatal("both texts have the same logits")
	}
	if got := logits(corrupt, "resid_pre1=patch:"+path); !slices.Equal(got, want) {
		t.Errorf("with all of the stream patched: %v, want %v", got, want)
	}
	if got := logits(clean, "resid_pre1[t=2:4]=patch:"+path); !slices.Equal(got, want) {
		t.Errorf("patched with itself: %v, want %v", got, want)
	}
	if got := logits(corrupt, "resid_pre1[t=0]=patch:"+path); slices.Equal(got, want) || slices.Equal(got, other) {
		t.Errorf("a patch of one position gives %v", got)
	}
}

// TestActivationsRefuses holds that requests without a meaning are refused with
// the kind of error and a word that says why.
func TestActivationsRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.safetensors")
	writeTensors(t, file, safetensors.Tensor{Name: "x", Shape: []int{3}, Data: []float32{1, 2, 3}})
	bert, gpt := goldenModel(t, "bert-text", "f32"), goldenModel(t, "gpt2-text", "f32")
	qa, regression := bertQA(t), goldenModel(t, "bert-tokcls", "f32")
	points := []string{"logits"}
	for _, c := range []struct {
		name  string
		model *core.Model
		r     core.ActivationsRequest
		kind  core.Kind
		says  string
	}{
		{"no points", bert, core.ActivationsRequest{}, core.KindUsage, "no point"},
		{"unknown point", bert, core.ActivationsRequest{Points: []string{"blocks.0.hook_resid_pr"}}, core.KindUsage, "no point blocks.0.hook_resid_pr"},
		{"syntax", bert, core.ActivationsRequest{Points: []string{"logits["}}, core.KindUsage, "byte"},
		{"empty", bert, core.ActivationsRequest{Points: []string{"hook_embed[t=90:95]"}}, core.KindUsage, "selects nothing"},
		{"no such sequence", bert, core.ActivationsRequest{Points: []string{"hook_embed[b=3]"}}, core.KindUsage, "selects nothing"},
		{"an edit of the input", bert, core.ActivationsRequest{Points: points, Edits: []string{"hook_tokens=3"}}, core.KindUsage, "hook_tokens"},
		{"no such token", bert, core.ActivationsRequest{Points: []string{"hook_tokens[t=90]"}}, core.KindUsage, "selects nothing"},
		{"unknown class", bert, core.ActivationsRequest{Points: points, GradOf: "nosuch"}, core.KindUsage, "no class"},
		{"a token of a classifier", bert, core.ActivationsRequest{Points: points, GradOf: "token:3@1"}, core.KindUsage, "does not apply"},
		{"a class of a language model", gpt, core.ActivationsRequest{Points: points, GradOf: "3"}, core.KindUsage, "a language model has no classes"},
		{"no such token", gpt, core.ActivationsRequest{Points: points, GradOf: "token:9999@0"}, core.KindUsage, "no token"},
		{"no such position", gpt, core.ActivationsRequest{Points: points, GradOf: "token:9@77"}, core.KindUsage, "outside"},
		{"no such logit", gpt, core.ActivationsRequest{Points: points, GradOf: "logits[1,0,0]"}, core.KindUsage, "outside"},
		{"no single logit", gpt, core.ActivationsRequest{Points: points, GradOf: "logits[0,0]"}, core.KindUsage, "index for each axis"},
		{"three terms", gpt, core.ActivationsRequest{Points: points, GradOf: "token:1@0 - token:2@0 - token:3@0"}, core.KindUsage, "difference of two"},
		{"a start of a language model", gpt, core.ActivationsRequest{Points: points, GradOf: "start@1"}, core.KindUsage, "causal-lm"},
		{"a token of a span", qa, core.ActivationsRequest{Points: []string{"start_logits"}, GradOf: "token:1@1"}, core.KindUsage, "question-answering"},
		{"unknown output", bert, core.ActivationsRequest{Points: points, GradOf: "0", Output: "log"}, core.KindUsage, "unknown output"},
		{"no edit", bert, core.ActivationsRequest{Points: points, Edits: []string{"pattern0"}}, core.KindUsage, "POINT=zero"},
		{"no such file", bert, core.ActivationsRequest{Points: points, Edits: []string{"pattern0=patch:" + file + "x"}}, core.KindInput, "does not exist"},
		{"no such tensor", bert, core.ActivationsRequest{Points: points, Edits: []string{"pattern0=patch:" + file}}, core.KindInput, "no tensor"},
		{"another shape", bert, core.ActivationsRequest{Points: points, Edits: []string{"resid_pre0=patch:" + file + "#x"}}, core.KindUsage, "shape"},
		{"a class of a classifier of tokens", regression, core.ActivationsRequest{Points: points, GradOf: "0"}, core.KindUsage, "names no position"},
		{"no class at a position", regression, core.ActivationsRequest{Points: points, GradOf: "9@1"}, core.KindUsage, "class 9 does not exist"},
		{"a token of a classifier of tokens", regression, core.ActivationsRequest{Points: points, GradOf: "token:3@1"}, core.KindUsage, "does not apply"},
		{"a class beyond the tokens", regression, core.ActivationsRequest{Points: points, GradOf: "2@77"}, core.KindUsage, "outside"},
	} {
		c.r.Inputs = []core.Input{{Text: "the film was good"}}
		if c.model.Tokenizer() == nil {
			c.r.Inputs = []core.Input{{Raw: &core.Raw{IDs: []int32{3, 4, 5}}}}
		}
		_, err := c.model.Activations(t.Context(), c.r)
		if err == nil || core.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestActivationsMemory holds that what cannot fit is refused before it begins.
func TestActivationsMemory(t *testing.T) {
	host := newHost(t, core.Options{Memory: 3 << 20})
	m := open(t, host, filepath.Join("..", "testdata", "conformance", "models", "gpt2-text"))
	raw := &core.Raw{IDs: make([]int32, 64)}
	var rows []core.Input
	for range 100 {
		rows = append(rows, core.Input{Raw: raw})
	}
	_, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: rows, Points: []string{"*"}})
	if core.KindOf(err) != core.KindInput || err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("%v", err)
	}
}

// TestPaddedMemory: what sequences are padded to counts, before it begins; of
// token ids, too.
func TestPaddedMemory(t *testing.T) {
	m := open(t, newHost(t, core.Options{Memory: 8 << 20}), filepath.Join("..", "testdata", "conformance", "models", "bert-text"))
	long := core.Input{Raw: &core.Raw{IDs: make([]int32, 60)}}
	short := core.Input{Raw: &core.Raw{IDs: make([]int32, 1)}}
	for _, c := range []struct {
		points string
		short  int
		says   string // empty where it fits
	}{
		{"pattern0", 20, ""},
		{"pattern0", 150, "padded to the longest sequence, need 8."},    // 4·60·60 values of 4 bytes for each
		{"pattern0", 140, "the weights and the activations, padded to"}, // which fit without the weights
		{"hook_tokens", 20, ""},
		{"hook_tokens", 9000, "padded to the longest sequence, need 8."}, // twice 60 values of 8 bytes
	} {
		inputs := append(slices.Repeat([]core.Input{short}, c.short), long)
		_, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: inputs, Points: []string{c.points}})
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s of %d sequences: %v", c.points, len(inputs), err)
		}
	}
}

// TestEditMemory: the tensors of edits count before they are read, and those that
// several edits take are read once.
func TestEditMemory(t *testing.T) {
	m := open(t, newHost(t, core.Options{Memory: 4 << 20}), filepath.Join("..", "testdata", "conformance", "models", "bert-text"))
	file := filepath.Join(t.TempDir(), "x.safetensors")
	writeTensors(t, file,
		safetensors.Tensor{Name: "big", Shape: []int{1, 12000, 48}, Data: make([]float32, 12000*48)},
		safetensors.Tensor{Name: "half", Shape: []int{1, 6000, 48}, Data: make([]float32, 6000*48)},
	)
	for edit, want := range map[string]struct {
		kind core.Kind
		says string
	}{
		"resid_pre0=patch:" + file + "#big":               {core.KindInput, "the tensors of the edits need 4.4 MiB"},
		"blocks.*.hook_resid_pre=patch:" + file + "#half": {core.KindUsage, "shape"}, // which they do not have, once they are read
		"blocks.0.attn.hook_z=patch:" + file + "#big":     {core.KindUsage, "shape"}, // which is said first
	} {
		_, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: []core.Input{{Text: "the film"}}, Points: []string{"logits"}, Edits: []string{edit}})
		if core.KindOf(err) != want.kind || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v", edit, err)
		}
	}
}

// TestTargets holds what target expressions mean to the logits themselves.
func TestTargets(t *testing.T) {
	gpt, qa := goldenModel(t, "gpt2-text", "f64"), bertQA(t)
	context := "the film was good"
	question := []core.Input{{Text: "how ?", Pair: &context}}
	text := []core.Input{{Text: "the film was good"}, {Text: "the film"}}
	for _, c := range []struct {
		model  *core.Model
		in     []core.Input
		target string
		same   string // as this sum of logits
	}{
		{gpt, text, "token:40@2", "logits[0,2,40] + logits[1,2,40]"},
		{gpt, text, "token:40@-1 - token:41@0", "logits[0,-1,40] + logits[1,-1,40] - logits[0,0,41] - logits[1,0,41]"},
		{gpt, text, "token:t@0", "logits[0,0,83] + logits[1,0,83]"},
		{qa, question, "start@4 - end@-2", "start_logits[0,4] - end_logits[0,-2]"},
		{goldenModel(t, "bert-tokcls", "f64"), []core.Input{{Raw: &core.Raw{IDs: []int32{3, 4, 5}}}}, "label_1@2 - 0@-2", "logits[0,2,1] - logits[0,1,0]"},
	} {
		for _, output := range []sdk.Output{sdk.Logit, sdk.Prob, sdk.LogProb} {
			var got [2]*core.Activations
			for i, target := range []string{c.target, c.same} {
				x, err := c.model.Activations(t.Context(), core.ActivationsRequest{Inputs: c.in, Points: []string{"hook_embed"}, GradOf: target, Output: output})
				if err != nil {
					t.Fatalf("%s: %v", target, err)
				}
				got[i] = x
			}
			if !slices.Equal(got[0].Objective.Values, got[1].Objective.Values) || !slices.Equal(got[0].Tensors[1].F64, got[1].Tensors[1].F64) {
				t.Errorf("%s of %s: %v, and of %s %v", output, c.target, got[0].Objective.Values, c.same, got[1].Objective.Values)
			}
		}
	}
}

// TestPoints holds the list of points to what can be asked for.
func TestPoints(t *testing.T) {
	host := newHost(t, core.Options{})
	for model, matches := range map[string]int{"bert-seqcls": 4, "gpt2-lm": 4, "xlnet-lm": 7} { // a star crosses the dots of both streams
		ref := filepath.Join("..", "testdata", "conformance", "models", model)
		all, err := host.Points(ref, "")
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Name != "hook_tokens" || all[0].DType != "int32" {
			t.Errorf("%s begins with %+v", model, all[0])
		}
		some, err := host.Points(ref, "blocks.*.attn.hook_pattern, embed")
		if err != nil || len(some) != matches || some[0].Name != "hook_embed" {
			t.Errorf("%s: %d points, %v", model, len(some), err)
		}
		if _, err := host.Points(ref, "nosuch*"); core.KindOf(err) != core.KindUsage {
			t.Errorf("%s: %v", model, err)
		}
	}
}

// TestActivationsNothing refuses what could only mislead: an edit of nothing,
// which would leave the answer as it was, and a gradient of nothing.
func TestActivationsNothing(t *testing.T) {
	m := goldenModel(t, "bert-text", "f32")
	texts := []core.Input{{Text: "the film was good , and the plot was thin"}, {Text: "great"}}
	for _, r := range []core.ActivationsRequest{
		{Inputs: texts[1:], Points: []string{"logits"}, Edits: []string{"resid_pre1[t=9]=zero"}},
		{Inputs: texts[1:], Points: []string{"logits"}, Edits: []string{"pattern0[s=-9]=mean"}},
		{Inputs: texts, Points: []string{"logits"}, Edits: []string{"resid_pre1[b=1,t=9]=zero"}},
		{Inputs: texts, Points: []string{"hook_tokens"}, GradOf: "0"},
	} {
		if _, err := m.Activations(t.Context(), r); core.KindOf(err) != core.KindUsage {
			t.Errorf("%v, %q: %v", r.Points, r.Edits, err)
		}
	}
	if _, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: texts, Points: []string{"logits"}, Edits: []string{"resid_pre1[t=9]=zero"}}); err != nil {
		t.Errorf("an edit of the longer text alone: %v", err)
	}
}
