package engine_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/internal/kernel"
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

// TestForwardConformance holds the forward pass to the reference
// implementation: logits, hidden states and attention patterns, each at the
// tolerance of its case.
func TestForwardConformance(t *testing.T) {
	for _, name := range []string{"bert_seqcls", "bert_seqcls_ids_only", "distilbert_seqcls"} {
		t.Run(name, func(t *testing.T) {
			onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
				forwardCase(t, golden.Load(t, name), dtype)
			})
		})
	}
}

func forwardCase(t *testing.T, c *golden.Case, dtype engine.DType) {
	m, err := engine.Open(t.Context(), golden.ModelFS(t, c.Model), engine.WithDType(dtype), engine.WithThreads(2))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	shape := c.Inputs["input_ids"].Shape
	batch, length := shape[0], shape[1]
	in := engine.Input{
		IDs:     int32s(c.Ints(t, "input_ids")),
		Lengths: slices.Repeat([]int{length}, batch),
		TypeIDs: int32s(c.Ints(t, "token_type_ids")),
	}
	for _, v := range c.Ints(t, "attention_mask") {
		in.Mask = append(in.Mask, uint8(v))
	}
	out, err := m.Forward(t.Context(), in, engine.HiddenStates(), engine.Attentions())
	if err != nil {
		t.Fatal(err)
	}

	var undefined [][2]int // rows whose value is an accident of the reference
	c.Get(t, "undefined_query_rows", &undefined)
	compare := func(name string, got []float64, undefinedAt func(sequence, row int) []int) {
		t.Helper()
		want := c.Want(t, name)
		for _, u := range undefined {
			for _, i := range undefinedAt(u[0], u[1]) {
				got[i], want[i] = 0, 0
			}
		}
		tolerance := c.Outputs[name].F32Atol
		if dtype == engine.F64 {
			tolerance = c.Outputs[name].F64Atol
		}
		golden.Close(t, name, got, want, tolerance)
	}
	none := func(int, int) []int { return nil }
	compared := 0
	for name := range c.Outputs {
		kind, index, _ := strings.Cut(name, ".")
		layer, _ := strconv.Atoi(index)
		switch kind {
		case "logits":
			compare(name, out.Logits, none)
		case "target_logit", "target_logprob":
			var got []float64
			for target := range slices.Chunk(c.Ints(t, "target"), 2) {
				row := out.Row(int(target[0]))
				v := row[target[1]]
				if kind == "target_logprob" {
					v -= logSumExp(row)
				}
				got = append(got, v)
			}
			compare(name, got, none)
		case "hidden_states":
			width := m.Info().Hidden
			compare(name, slices.Clone(out.HiddenStates[layer].Float64()), func(sequence, row int) (at []int) {
				for j := range width {
					at = append(at, (sequence*length+row)*width+j)
				}
				return at
			})
		case "attentions":
			var got []float64
			for _, pattern := range out.Attentions[layer] {
				got = append(got, pattern.Float64()...)
			}
			heads := m.Info().Heads
			compare(name, got, func(sequence, row int) (at []int) {
				for h := range heads {
					for j := range length {
						at = append(at, ((sequence*heads+h)*length+row)*length+j)
					}
				}
				return at
			})
		default: // gradients
			continue
		}
		compared++
	}
	if want := 1 + 2 + 2*m.Info().Layers + 1; compared != want {
		t.Errorf("compared %d outputs, want %d", compared, want)
	}
	if got, want := fmt.Sprint(out.HiddenStates[0].Shape), fmt.Sprint([]int{batch * length, m.Info().Hidden}); got != want {
		t.Errorf("hidden states of shape %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(out.Attentions[0][0].Shape), fmt.Sprint([]int{m.Info().Heads, length, length}); got != want {
		t.Errorf("attentions of shape %s, want %s", got, want)
	}
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
