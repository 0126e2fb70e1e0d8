package core_test

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/sdk"
)

// goldenModel opens a model of the golden cases.
func goldenModel(t *testing.T, name, dtype string) *core.Model {
	t.Helper()
	host := newHost(t, core.Options{DType: dtype, Threads: 2})
	return open(t, host, filepath.Join("..", "testdata", "conformance", "models", name))
}

// inputsOf writes the inputs of a case to a file, as --inputs reads them.
func inputsOf(t *testing.T, c *golden.Case) []core.Input {
	t.Helper()
	var tensors []safetensors.Tensor
	for name, array := range c.Inputs {
		switch name {
		case "input_ids", "attention_mask", "token_type_ids", "position_ids":
			tensors = append(tensors, safetensors.Tensor{Name: name, Shape: array.Shape, Data: c.Ints(t, name)})
		case "perm_mask", "target_mapping", "inputs_embeds":
			tensors = append(tensors, safetensors.Tensor{Name: name, Shape: array.Shape, Data: c.Floats(t, name)})
		}
	}
	return readInputs(t, tensors...)
}

func readInputs(t *testing.T, tensors ...safetensors.Tensor) []core.Input {
	t.Helper()
	path := filepath.Join(t.TempDir(), "inputs.safetensors")
	writeTensors(t, path, tensors...)
	inputs, err := core.ReadInputs(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return inputs
}

// alias is the name under which an output of the reference implementation is
// asked for: hidden_states.3 is hidden_states[3].
func alias(output string) string {
	parts := strings.Split(output, ".")
	if len(parts) == 1 {
		return output
	}
	return strings.Join(append([]string{parts[0] + "[" + parts[1] + "]"}, parts[2:]...), ".")
}

// sumOfLogits is the target of a case as an expression.
func sumOfLogits(t *testing.T, c *golden.Case) string {
	logits := "logits"
	if _, ok := c.Outputs["start_logits"]; ok {
		logits = "start_logits"
	}
	var terms []string
	for row := range slices.Chunk(c.Ints(t, "target"), c.Inputs["target"].Shape[1]) {
		terms = append(terms, logits+strings.ReplaceAll(fmt.Sprint(row), " ", ","))
	}
	return strings.Join(terms, " + ")
}

// TestReference runs golden cases from files of inputs to what a caller sees,
// all asked for by the reference implementation's own names: predictions, hidden
// states, patterns, and gradients of sums of logits.
func TestReference(t *testing.T) {
	for _, name := range []string{
		"bert_seqcls", "bert_tokcls", "bert_qa", "bert_mlm", "distilbert_seqcls", "distilbert_mlm", "roberta_seqcls", "roberta_mlm",
		"gpt2_lm", "gpt2_seqcls", "xlnet_seqcls", "xlnet_lm_plain", "xlnet_lm_two_stream",
	} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				m := goldenModel(t, c.Model, dtype)
				r := &referenceCase{Case: c, model: m, inputs: inputsOf(t, c), f64: dtype == "f64", compared: map[string]bool{}}
				r.run(t)
			})
		}
	}
}

type referenceCase struct {
	*golden.Case
	model    *core.Model
	inputs   []core.Input
	f64      bool
	compared map[string]bool
}

func (r *referenceCase) run(t *testing.T) {
	r.predictions(t)
	var points []string
	for output := range r.Outputs {
		if !strings.HasPrefix(output, "grad_") && !strings.HasPrefix(output, "target_") {
			points = append(points, alias(output))
		}
	}
	r.activations(t, core.ActivationsRequest{Points: points}, "")
	for _, output := range []sdk.Output{sdk.Logit, sdk.LogProb} {
		prefix := "grad_" + string(output) + "."
		var points []string
		for name := range r.Outputs {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				points = append(points, alias(rest))
			}
		}
		x := r.activations(t, core.ActivationsRequest{Points: points, GradOf: sumOfLogits(t, r.Case), Output: output}, prefix)
		want := 0.0
		for _, v := range r.Want(t, "target_"+string(output)) {
			want += v
		}
		got := 0.0
		for _, v := range x.Objective.Values {
			got += v
		}
		golden.Close(t, "target_"+string(output), []float64{got}, []float64{want}, 2*r.tolerance("target_"+string(output)))
		r.compared["target_"+string(output)] = true
	}
	for name := range r.Outputs {
		if !r.compared[name] {
			t.Errorf("%s is not compared", name)
		}
	}
}

func (r *referenceCase) tolerance(name string) float64 {
	if r.f64 {
		return r.Outputs[name].F64Atol
	}
	return r.Outputs[name].F32Atol
}

// predictions compares all logits of a prediction.
func (r *referenceCase) predictions(t *testing.T) {
	p, err := r.model.Predict(t.Context(), r.inputs, core.PredictOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	var logits []float64
	for _, row := range p.Rows {
		for _, readout := range row.Readouts {
			logits = append(logits, readout.Logits...)
		}
	}
	if _, spans := r.Outputs["start_logits"]; !spans {
		r.compare(t, "logits", logits)
		return
	}
	for column, name := range []string{"start_logits", "end_logits"} {
		var got []float64
		for pair := range slices.Chunk(logits, 2) {
			got = append(got, pair[column])
		}
		r.compare(t, name, got)
	}
}

// activations asks for points and compares those of the reference.
func (r *referenceCase) activations(t *testing.T, request core.ActivationsRequest, prefix string) *core.Activations {
	request.Inputs = r.inputs
	x, err := r.model.Activations(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]core.Activation{}
	for _, a := range x.Tensors {
		byName[a.Name] = a
	}
	for name := range r.Outputs {
		output := strings.TrimPrefix(name, prefix)
		asked := alias(output)
		if prefix != "" {
			asked = "grad(" + asked + ")"
		}
		a, ok := byName[asked]
		if !ok || prefix != "" && output == name {
			continue
		}
		values, shape := a.Float64(), r.Outputs[name].Shape
		if prefix != "" && output == "embeddings.0" && strings.HasPrefix(r.Name, "xlnet") { // the reference's is time first
			values, shape = swapped(values, a.Shape), []int{shape[1], shape[0], shape[2]}
		}
		if !slices.Equal(a.Shape, shape) {
			t.Errorf("%s has shape %v, want %v", name, a.Shape, shape)
		}
		r.compare(t, name, values)
	}
	return x
}

// compare leaves out the rows whose values are an accident of the reference's
// arithmetic: queries that see no key.
func (r *referenceCase) compare(t *testing.T, name string, got []float64) {
	t.Helper()
	r.compared[name] = true
	want, shape := r.Want(t, name), r.Outputs[name].Shape
	var undefined [][2]int
	r.Get(t, "undefined_query_rows", &undefined)
	got = slices.Clone(got)
	if len(got) == len(want) && len(shape) > 2 {
		rows := len(shape) - 2 // the axis of the queries: [B,T,D], [B,H,T,S]
		inner := shape[len(shape)-1]
		outer := len(got) / shape[0]
		for i := range got {
			if slices.Contains(undefined, [2]int{i / outer, i / inner % shape[rows]}) {
				got[i], want[i] = 0, 0
			}
		}
	}
	golden.Close(t, name, got, want, r.tolerance(name))
}

// swapped exchanges the first two axes.
func swapped(x []float64, shape []int) []float64 {
	b, n, d := shape[0], shape[1], shape[2]
	out := make([]float64, 0, len(x))
	for i := range n {
		for k := range b {
			out = append(out, x[(k*n+i)*d:(k*n+i+1)*d]...)
		}
	}
	return out
}

// TestReferenceMemories feeds the second segment of a text the memories of the
// first one, as mems.N.
func TestReferenceMemories(t *testing.T) {
	c := golden.Load(t, "xlnet_lm_mems")
	m := goldenModel(t, c.Model, "f64")
	ids := c.Inputs["segment2"]
	tensors := []safetensors.Tensor{{Name: "input_ids", Shape: ids.Shape, Data: c.Ints(t, "segment2")}}
	for l := range m.Engine().Info().Layers {
		name := fmt.Sprintf("seg1.mems.%d", l)
		shape := c.Outputs[name].Shape // time first
		tensors = append(tensors, safetensors.Tensor{
			Name: fmt.Sprintf("mems.%d", l), Shape: []int{shape[1], shape[0], shape[2]}, Data: swapped(c.Want(t, name), shape),
		})
	}
	var points []string
	for name := range maps.Keys(c.Outputs) {
		if output, ok := strings.CutPrefix(name, "seg2."); ok {
			points = append(points, alias(output))
		}
	}
	x, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: readInputs(t, tensors...), Points: points})
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Tensors) != len(points) {
		t.Errorf("%d tensors for %d points", len(x.Tensors), len(points))
	}
	for _, a := range x.Tensors {
		name := "seg2." + strings.NewReplacer("[", ".", "]", "").Replace(a.Name)
		// Memories are stored as float32 here and as float64 in the reference.
		golden.Close(t, name, a.Float64(), c.Want(t, name), math.Max(c.Outputs[name].F64Atol, c.Outputs[name].F32Atol))
	}
}
