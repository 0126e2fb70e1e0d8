package engine_test

import (
	"strconv"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/golden"
)

// logit is the objective of the logit of a class in the first row that the head
// reads.
func logit(class int) engine.Objective {
	return func(_ int, logits, grad []float64) float64 {
		grad[class] = 1
		return logits[class]
	}
}

// TestRelevance holds relevance by LRP to the reference implementation: at the
// attention of each layer, and at the output of the embeddings, in which the
// sum over each token's values is taken.
func TestRelevance(t *testing.T) {
	for _, name := range []string{"attn_bert_a", "attn_bert_b"} {
		t.Run(name, func(t *testing.T) {
			onEveryKernel(t, func(t *testing.T, dtype engine.DType) { relevanceCase(t, golden.Load(t, name), dtype) })
		})
	}
}

func relevanceCase(t *testing.T, c *golden.Case, dtype engine.DType) {
	m := openGolden(t, c.Model, engine.WithDType(dtype), engine.WithThreads(2))
	n := c.Inputs["input_ids"].Shape[1]
	in := engine.Input{
		IDs:     int32s(c.Ints(t, "input_ids")),
		Lengths: []int{n},
		TypeIDs: int32s(c.Ints(t, "token_type_ids")),
		Mask:    bytesOf(c.Ints(t, "attention_mask")),
	}
	selections := []point.Selection{selectPoint(t, m, in, "hidden_states[0]")}
	layers := m.Info().Layers
	for l := range layers {
		selections = append(selections, selectPoint(t, m, in, "attentions["+strconv.Itoa(l)+"]"))
	}
	target, err := strconv.Atoi(string(c.Config["target"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range [][]engine.ForwardOption{nil, {engine.Recompute()}} {
		opts = append(opts, engine.Gradients(logit(target), selections...), engine.Propagate(engine.LRPAlpha1))
		out, err := m.Forward(t.Context(), in, opts...)
		if err != nil {
			t.Fatal(err)
		}
		compare := func(name string, got []float64) {
			name = "chefer_lrp." + name
			worst := golden.Close(t, name, got, c.Want(t, name), tolerance(c, name, dtype))
			t.Logf("%s: off by %.3g of %.3g", name, worst, tolerance(c, name, dtype))
		}
		compare("logits", out.Logits.Float64())
		sums := make([]float64, n)
		for i, v := range joined(out.Gradients[0]) {
			sums[i/m.Info().Hidden] += v
		}
		compare("full_lrp_cls_kept", sums)
		sums[0] = 0
		compare("full_lrp", sums)
		for l := range layers {
			compare("attn_relevance."+strconv.Itoa(l), joined(out.Gradients[1+l]))
		}
	}
}

func tolerance(c *golden.Case, name string, dtype engine.DType) float64 {
	if dtype == engine.F64 {
		return c.Outputs[name].F64Atol
	}
	return c.Outputs[name].F32Atol
}
