package attention_test

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/attention"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// runs are what the reference computed, and what asks for it: a tensor, or the
// attributions of all but the special tokens.
var runs = []struct {
	output, method, tensor string
	params                 map[string]string
}{
	{"raw_attention_last_mean", "attention", "attention", nil},
	{"attentions", "attention", "attentions", map[string]string{"all": "true"}},
	{"attention_entropy", "attention", "entropy", map[string]string{"all": "true"}},
	{"rollout.mean", "attention-rollout", "rollout_steps", map[string]string{"steps": "true"}},
	{"rollout.max", "attention-rollout", "rollout_steps", map[string]string{"steps": "true", "fusion": "max"}},
	{"rollout.min", "attention-rollout", "rollout_steps", map[string]string{"steps": "true", "fusion": "min"}},
	{"rollout.max.noresidual", "attention-rollout", "rollout_steps", map[string]string{"steps": "true", "fusion": "max", "compat": "abnar", "residual": "false"}},
	{"rollout_vit.mean.discard0.3", "attention-rollout", "rollout", map[string]string{"discard_ratio": "0.3"}},
	{"rollout_vit.max.discard0.9", "attention-rollout", "rollout", map[string]string{"discard_ratio": "0.9", "fusion": "max"}},
	{"rollout_vit_as_coded.mean.discard0.9", "attention-rollout", "rollout", map[string]string{"compat": "vit-explain"}},
	{"rollout_vit_as_coded.max.discard0.3", "attention-rollout", "rollout", map[string]string{"compat": "vit-explain", "fusion": "max", "discard_ratio": "0.3"}},
	{"flow", "attention-flow", "flow", map[string]string{"queries": "all"}},
	{"flow_unnormalised", "attention-flow", "max_flow", map[string]string{"queries": "all"}},
	{"generic_relevance", "chefer", "relevance_steps", map[string]string{"steps": "true"}},
	{"attention_x_gradient", "chefer", "attention_x_gradient", map[string]string{"all": "true"}},
	{"attcat_like_head_importance_abs", "chefer", "head_importance", nil},
	{"grad_rollout_added_eye", "chefer", "relevance", map[string]string{"variant": "grad-rollout"}},
	{"attention_x_gradient_mean_last_relu", "chefer", "relevance", map[string]string{"variant": "attention-x-gradient"}},
	{"chefer_lrp.rollout.start0", "chefer", "relevance", map[string]string{"variant": "lrp"}},
	{"chefer_lrp.rollout.start1", "chefer", "relevance", map[string]string{"variant": "lrp", "start_layer": "1"}},
	{"chefer_lrp.lrp.start0", "chefer", "", map[string]string{"variant": "lrp"}},
	{"chefer_lrp.lrp.start1", "chefer", "", map[string]string{"variant": "lrp", "start_layer": "1"}},
	{"chefer_lrp.lrp_last_layer", "chefer", "", map[string]string{"variant": "partial-lrp"}},
	{"chefer_lrp.full_lrp", "chefer", "", map[string]string{"variant": "full-lrp"}},
	{"chefer_lrp.full_lrp_cls_kept", "chefer", "token_relevance", map[string]string{"variant": "full-lrp"}},
}

// TestReferenceThroughEngine compares the methods, on models that the engine runs,
// with what the reference computed.
func TestReferenceThroughEngine(t *testing.T) {
	for _, name := range []string{"attn_bert_a", "attn_bert_b", "attn_distil", "attn_gpt2"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				var target int
				if err := json.Unmarshal(c.Config["target"], &target); err != nil {
					t.Fatal(err)
				}
				causal := name == "attn_gpt2" // whose target is the next token, at the last position
				expr := strconv.Itoa(target)
				if causal {
					expr = "token:" + expr + "@-1"
				}
				h, m := methodtest.Model(t, c.Model, dtype, attention.Methods()...)
				if _, ok := c.Outputs["chefer_lrp.attn_relevance.0"]; ok {
					x := methodtest.Explain(t, h, m, core.Request{
						Input: methodtest.Row(c.Ints(t, "input_ids")), Method: "chefer", Params: map[string]string{"variant": "lrp", "all": "true"},
						Target: expr, Output: sdk.Logit,
					})
					all := values(t, x, "attention_relevance")
					for l := range m.Info().Layers {
						name := "chefer_lrp.attn_relevance." + strconv.Itoa(l)
						want := c.Outputs[name]
						tolerance := want.F32Atol
						if dtype == "f64" {
							tolerance = want.F64Atol
						}
						size := want.Shape[0] * want.Shape[1] * want.Shape[2]
						golden.Close(t, name, all[l*size:(l+1)*size], c.Want(t, name), tolerance)
					}
				}
				for _, run := range runs {
					want, ok := c.Outputs[run.output]
					if !ok {
						continue
					}
					x := methodtest.Explain(t, h, m, core.Request{
						Input: methodtest.Row(c.Ints(t, "input_ids")), Method: run.method, Params: run.params,
						Target: expr, Output: sdk.Logit,
					})
					tolerance := want.F32Atol
					if dtype == "f64" {
						tolerance = want.F64Atol
					}
					row := methodtest.Values(x)
					if run.tensor == "" {
						n := len(row)
						golden.Close(t, run.output, row[1:n-1], c.Want(t, run.output)[1:n-1], tolerance)
						continue
					}
					golden.Close(t, run.output, values(t, x, run.tensor), c.Want(t, run.output), tolerance)
					if run.output == "rollout.mean" && causal {
						last := c.Want(t, run.output)
						golden.Close(t, "attributions", row, last[len(last)-len(row):], tolerance)
					} else if run.output == "rollout.mean" {
						n := want.Shape[2]
						cls := c.Want(t, run.output)[(want.Shape[0]-1)*n*n:][:n]
						golden.Close(t, "attributions", row[1:n-1], cls[1:n-1], tolerance)
						if row[0] != 0 || row[n-1] != 0 {
							t.Errorf("special tokens have %v and %v", row[0], row[n-1])
						}
					}
				}
			})
		}
	}
}

func values(t *testing.T, x *core.Explanation, name string) []float64 {
	t.Helper()
	for _, tensor := range x.Tensors {
		if tensor.Name == name {
			out := make([]float64, len(tensor.Values))
			for i, v := range tensor.Values {
				out[i] = float64(v)
			}
			return out
		}
	}
	t.Fatalf("no tensor %s", name)
	return nil
}

// TestArchitectures: every family of models has the powers, and the row that is
// attributed is the one that its classifier reads.
func TestArchitectures(t *testing.T) {
	ids := []int64{5, 17, 31, 44, 9}
	for model, at := range map[string]int{"bert-seqcls": 0, "distilbert-seqcls": 0, "roberta-seqcls": 0, "gpt2-seqcls": 4, "xlnet-seqcls": 4} {
		t.Run(model, func(t *testing.T) {
			h, m := methodtest.Model(t, model, "f64", attention.Methods()...)
			for method, tensor := range map[string]string{"attention": "attention", "attention-rollout": "rollout", "attention-flow": "flow", "chefer": "relevance"} {
				x := methodtest.Explain(t, h, m, core.Request{Input: methodtest.Row(ids), Method: method, Output: sdk.Logit})
				if !x.Unsigned(x.Attributions[0].Name) {
					t.Errorf("%s: its values are sizes", method)
				}
				row := values(t, x, tensor)[at*len(ids):][:len(ids)]
				if method == "chefer" {
					row[at]-- // the identity
				}
				for i, v := range methodtest.Values(x) {
					if v != row[i] && !x.Input.Tokens[i].Special {
						t.Errorf("%s: token %d has %v, and the matrix %v", method, i, v, row[i])
					}
				}
				if method == "attention-rollout" && num.Sum(row) < 1-1e-12 || num.Sum(row) == 0 {
					t.Errorf("%s: the row is %v", method, row)
				}
			}
		})
	}
}

// TestTwoStreams: where a target is read from queries that the content's keys do not
// see, every method refuses, however it asks for layers.
func TestTwoStreams(t *testing.T) {
	h, m := methodtest.Model(t, "xlnet-lm", "f64", attention.Methods()...)
	for method, params := range map[string][]map[string]string{
		"attention":         {nil, {"layer": "0"}, {"layers": "mean"}},
		"attention-rollout": {nil},
		"attention-flow":    {nil},
		"chefer":            {nil, {"variant": "attn-gradcam"}},
	} {
		for _, p := range params {
			_, err := h.Explain(t.Context(), m, core.Request{Input: methodtest.Row([]int64{5, 17, 31}), Method: method, Params: p, Output: sdk.Logit, Runtime: core.RuntimeNative})
			if !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) || !strings.Contains(err.Error(), "two streams") {
				t.Errorf("%s %v: %v", method, p, err)
			}
		}
	}
}

// TestLRPOfArchitectures: relevance by LRP goes from the target to the tokens of
// every model whose layers the rule is defined for, and adds up to the gradient
// at the logit that it starts from; another model refuses it in a sentence.
func TestLRPOfArchitectures(t *testing.T) {
	ids := []int64{5, 17, 31, 44, 9}
	for _, model := range []string{"bert-seqcls", "distilbert-seqcls", "roberta-seqcls", "gpt2-seqcls", "xlnet-seqcls"} {
		t.Run(model, func(t *testing.T) {
			h, m := methodtest.Model(t, model, "f64", attention.Methods()...)
			for _, variant := range []string{"lrp", "partial-lrp", "full-lrp"} {
				r := core.Request{Input: methodtest.Row(ids), Method: "chefer", Params: map[string]string{"variant": variant}, Output: sdk.Logit, Runtime: core.RuntimeNative}
				if model == "xlnet-seqcls" {
					_, err := h.Explain(t.Context(), m, r)
					const want = "no relevance is passed back through the attention of this model (xlnet) by LRP: " +
						"the rule is not defined for relative positions, which the attention of this model has; " +
						"use variant=generic, grad-rollout, attn-gradcam or attention-x-gradient"
					if !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) || !strings.HasSuffix(err.Error(), want) {
						t.Errorf("%s: %v", variant, err)
					}
					continue
				}
				x := methodtest.Explain(t, h, m, r)
				if variant != "full-lrp" {
					continue
				}
				if x.Unsigned(x.Attributions[0].Name) {
					t.Error("the relevance of tokens has signs")
				}
				if sum := num.Sum(values(t, x, "token_relevance")); math.Abs(sum-1) > 1e-5 {
					t.Errorf("the relevance of the tokens adds up to %v", sum)
				}
			}
		})
	}
}
