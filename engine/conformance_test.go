package engine_test

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/golden"
)

// onEveryKernel runs a test in float32 on each kernel family that the machine
// has, and in float64.
func onEveryKernel(t *testing.T, f func(t *testing.T, dtype engine.DType)) {
	selected := kernel.Family()
	t.Cleanup(func() {
		if err := kernel.Select(selected); err != nil {
			t.Fatal(err)
		}
	})
	for _, family := range kernel.Families() {
		t.Run(family, func(t *testing.T) {
			if err := kernel.Select(family); err != nil {
				t.Fatal(err)
			}
			f(t, engine.F32)
		})
	}
	t.Run("f64", func(t *testing.T) { f(t, engine.F64) })
}

// TestConformance holds every architecture to the reference implementation:
// logits, hidden states, attention patterns and gradients, each at the
// tolerance of its case.
func TestConformance(t *testing.T) {
	for _, name := range []string{
		"bert_seqcls", "bert_seqcls_ids_only", "bert_tokcls", "bert_qa", "bert_mlm",
		"distilbert_seqcls", "distilbert_mlm", "roberta_seqcls", "roberta_mlm",
		"gpt2_lm", "gpt2_lm_ids_only", "gpt2_seqcls",
		"xlnet_seqcls", "xlnet_lm_plain", "xlnet_lm_two_stream",
	} {
		t.Run(name, func(t *testing.T) {
			onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
				forwardCase(t, golden.Load(t, name), dtype)
			})
		})
	}
}

// reference is a model beside the case that it is held to.
type reference struct {
	*golden.Case
	model    *engine.Model
	in       engine.Input
	batch    int
	length   int
	compared map[string]bool
}

// named returns the point that a name or an alias stands for.
func (r *reference) named(t *testing.T, name string) point.Selection {
	t.Helper()
	return selectPoint(t, r.model, r.in, name)
}

func selectPoint(t testing.TB, m *engine.Model, in engine.Input, name string) point.Selection {
	t.Helper()
	selections, err := point.Resolve(m.Graph(in), m.Info(), name)
	if err != nil || len(selections) != 1 {
		t.Fatalf("%s: %d points, %v", name, len(selections), err)
	}
	return selections[0]
}

var element = regexp.MustCompile(`^(hidden_states|attentions|embeddings)\.(\d+)`)

// alias returns the name of an output of the reference implementation, in whose
// tuples the cases count with dots; empty for outputs that are no points.
func alias(output string) string {
	if !element.MatchString(output) {
		return ""
	}
	return element.ReplaceAllString(output, "$1[$2]")
}

func forwardCase(t *testing.T, c *golden.Case, dtype engine.DType) {
	m := openGolden(t, c.Model, engine.WithDType(dtype), engine.WithThreads(2))
	shape := c.Inputs["input_ids"].Shape
	r := &reference{Case: c, model: m, batch: shape[0], length: shape[1], compared: map[string]bool{}}
	r.in = engine.Input{
		IDs:     int32s(c.Ints(t, "input_ids")),
		Lengths: slices.Repeat([]int{r.length}, r.batch),
		TypeIDs: int32s(c.Ints(t, "token_type_ids")),
		Mask:    bytesOf(c.Ints(t, "attention_mask")),
	}
	r.streams(t)
	var names []string
	var captures []point.Selection
	for name := range c.Outputs {
		if p := alias(name); p != "" {
			names, captures = append(names, name), append(captures, r.named(t, p))
		}
	}
	out, err := m.Forward(t.Context(), r.in, engine.Capture(captures...))
	if err != nil {
		t.Fatal(err)
	}
	r.logits(t, out, dtype)
	for i, name := range names {
		r.compare(t, name, joined(out.Values[i]), dtype)
	}
	r.gradients(t, dtype)
	for name := range c.Outputs {
		if !r.compared[name] {
			t.Errorf("%s is not compared", name)
		}
	}
}

// streams reads the inputs of XLNet's query stream.
func (r *reference) streams(t *testing.T) {
	if mask := r.Floats(t, "perm_mask"); mask != nil {
		for i := range r.batch {
			var hidden []uint8
			for _, v := range mask[i*r.length*r.length : (i+1)*r.length*r.length] {
				hidden = append(hidden, uint8(v))
			}
			r.in.PermMask = append(r.in.PermMask, hidden)
		}
	}
	mapping := r.Floats(t, "target_mapping")
	if mapping == nil {
		return
	}
	for row := range slices.Chunk(mapping, r.length) {
		if at := len(r.in.Targets) - 1; at < 0 || len(r.in.Targets[at]) == r.Inputs["target_mapping"].Shape[1] {
			r.in.Targets = append(r.in.Targets, nil)
		}
		at := len(r.in.Targets) - 1
		r.in.Targets[at] = append(r.in.Targets[at], slices.Index(row, 1))
	}
}

// logits compares what the head gives, and the targets of the case.
func (r *reference) logits(t *testing.T, out *engine.Output, dtype engine.DType) {
	all := out.Logits.Float64()
	if _, spans := r.Outputs["start_logits"]; spans {
		var start, end []float64
		for pair := range slices.Chunk(all, 2) {
			start, end = append(start, pair[0]), append(end, pair[1])
		}
		r.compare(t, "start_logits", start, dtype)
		r.compare(t, "end_logits", end, dtype)
		return
	}
	r.compare(t, "logits", slices.Clone(all), dtype)
}

// target is one of the logits whose sum the case differentiates.
type target struct{ row, class int }

// targets returns the targets of a sequence: rows of the sequence and classes.
func (r *reference) targets(t *testing.T, sequence int) (all []target) {
	width := r.Inputs["target"].Shape[1]
	for row := range slices.Chunk(r.Ints(t, "target"), width) {
		if int(row[0]) != sequence {
			continue
		}
		switch {
		case r.Outputs["start_logits"].Shape != nil: // [sequence, position]
			all = append(all, target{int(row[1]), 0})
		case width == 2: // [sequence, class]
			all = append(all, target{0, int(row[1])})
		default: // [sequence, position, class]
			all = append(all, target{int(row[1]), int(row[2])})
		}
	}
	return all
}

// objective is the sum of the targets' logits, or of their log-probabilities:
// over the classes, or over the positions where a span begins.
func (r *reference) objective(t *testing.T, logarithm bool) engine.Objective {
	classes := r.model.Info().Outputs
	byPosition := r.Outputs["start_logits"].Shape != nil
	return func(sequence int, logits, grad []float64) float64 {
		sum := 0.0
		for _, target := range r.targets(t, sequence) {
			at := target.row*classes + target.class
			sum += logits[at]
			grad[at]++
			if !logarithm {
				continue
			}
			var over []int
			if byPosition {
				for i := target.class; i < len(logits); i += classes {
					over = append(over, i)
				}
			} else {
				for i := range classes {
					over = append(over, target.row*classes+i)
				}
			}
			var x []float64
			for _, i := range over {
				x = append(x, logits[i])
			}
			norm := logSumExp(x)
			sum -= norm
			for _, i := range over {
				grad[i] -= math.Exp(logits[i] - norm)
			}
		}
		return sum
	}
}

// gradients compares the targets of the case and their gradients.
func (r *reference) gradients(t *testing.T, dtype engine.DType) {
	for _, kind := range []string{"logit", "logprob"} {
		if _, ok := r.Outputs["target_"+kind]; !ok {
			continue
		}
		var names []string
		selections := []point.Selection{r.named(t, "embeddings[0]")}
		prefix := "grad_" + kind + "."
		names = append(names, prefix+"embeddings.0")
		for name := range r.Outputs {
			if output, ok := strings.CutPrefix(name, prefix); ok && output != "embeddings.0" {
				names, selections = append(names, name), append(selections, r.named(t, alias(output)))
			}
		}
		for _, opts := range [][]engine.ForwardOption{nil, {engine.Recompute()}} {
			opts = append(opts, engine.Gradients(r.objective(t, kind == "logprob"), selections...))
			out, err := r.model.Forward(t.Context(), r.in, opts...)
			if err != nil {
				t.Fatal(err)
			}
			got := 0.0
			for _, v := range out.Objectives {
				got += v
			}
			want := 0.0
			for _, v := range r.Want(t, "target_"+kind) {
				want += v
			}
			golden.Close(t, "target_"+kind, []float64{got}, []float64{want}, 2*r.tolerance("target_"+kind, dtype))
			r.compared["target_"+kind] = true
			for i, name := range names {
				values := joined(out.Gradients[i])
				if name == prefix+"embeddings.0" && r.Outputs[name].Shape[0] != r.batch { // time first
					values = timeFirst(values, r.batch, r.length)
				}
				r.compare(t, name, values, dtype)
			}
		}
	}
}

func (r *reference) tolerance(name string, dtype engine.DType) float64 {
	if dtype == engine.F64 {
		return r.Outputs[name].F64Atol
	}
	return r.Outputs[name].F32Atol
}

// compare holds values to an output of the case. Rows whose value is an
// accident of the reference's arithmetic are left out.
func (r *reference) compare(t *testing.T, name string, got []float64, dtype engine.DType) {
	t.Helper()
	r.compared[name] = true
	want := r.Want(t, name)
	var undefined [][2]int
	r.Get(t, "undefined_query_rows", &undefined)
	if len(want) == len(got) {
		shape := r.Outputs[name].Shape
		for _, u := range undefined {
			for i := range got {
				if sequence, row, ok := place(shape, i, r.length); ok && sequence == u[0] && row == u[1] {
					got[i], want[i] = 0, 0
				}
			}
		}
	}
	golden.Close(t, name, got, want, r.tolerance(name, dtype))
}

// place returns the sequence and the token that a value of an output belongs
// to: its shape is [B,T,…] or [B,H,T,S].
func place(shape []int, i, length int) (sequence, row int, ok bool) {
	switch {
	case len(shape) == 3 && shape[1] == length:
		return i / (shape[1] * shape[2]), i / shape[2] % shape[1], true
	case len(shape) == 4:
		return i / (shape[1] * shape[2] * shape[3]), i / shape[3] % shape[2], true
	}
	return 0, 0, false
}

// joined returns the values of all sequences.
func joined(a engine.Activation) (all []float64) {
	for _, s := range a.Sequences {
		all = append(all, s.Float64()...)
	}
	return all
}

// timeFirst turns [B,T,D] into [T,B,D].
func timeFirst(x []float64, batch, length int) []float64 {
	d := len(x) / (batch * length)
	out := make([]float64, 0, len(x))
	for t := range length {
		for b := range batch {
			out = append(out, x[(b*length+t)*d:(b*length+t+1)*d]...)
		}
	}
	return out
}

func openGolden(t testing.TB, model string, opts ...engine.Option) *engine.Model {
	t.Helper()
	m, err := engine.Open(t.Context(), golden.ModelFS(t, model), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func logSumExp(x []float64) float64 {
	top, sum := slices.Max(x), 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

func int32s(x []int64) []int32 {
	if x == nil {
		return nil
	}
	y := make([]int32, len(x))
	for i, v := range x {
		y[i] = int32(v)
	}
	return y
}

func bytesOf(x []int64) []uint8 {
	if x == nil {
		return nil
	}
	y := make([]uint8, len(x))
	for i, v := range x {
		y[i] = uint8(v)
	}
	return y
}
