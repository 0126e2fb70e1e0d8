package attention_test

import (
	"context"
	"encoding/json"
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

// runs are what the reference computed, and what asks for it.
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
}

// TestReferenceThroughEngine compares the methods, on models that the engine runs,
// with what the reference computed.
func TestReferenceThroughEngine(t *testing.T) {
	for _, name := range []string{"attn_bert_a", "attn_bert_b", "attn_distil"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				var target int
				if err := json.Unmarshal(c.Config["target"], &target); err != nil {
					t.Fatal(err)
				}
				h, m := methodtest.Model(t, c.Model, dtype, attention.Methods()...)
				for _, run := range runs {
					want, ok := c.Outputs[run.output]
					if !ok {
						continue
					}
					x := methodtest.Explain(t, h, m, core.Request{
						Input: methodtest.Row(c.Ints(t, "input_ids")), Method: run.method, Params: run.params,
						Target: strconv.Itoa(target), Output: sdk.Logit,
					})
					tolerance := want.F32Atol
					if dtype == "f64" {
						tolerance = want.F64Atol
					}
					golden.Close(t, run.output, values(t, x, run.tensor), c.Want(t, run.output), tolerance)
					row := methodtest.Values(x)
					if run.output == "rollout.mean" {
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

// TestReferenceCausal is the same for the next token of a causal model, which
// reads the last position.
func TestReferenceCausal(t *testing.T) {
	for _, dtype := range []string{"f32", "f64"} {
		t.Run(dtype, func(t *testing.T) {
			c := golden.Load(t, "attn_gpt2")
			_, m := methodtest.Model(t, c.Model, dtype)
			ids := c.Ints(t, "input_ids")
			a, err := m.Activations(t.Context(), core.ActivationsRequest{
				Inputs: []core.Input{methodtest.Row(ids)}, Points: []string{"attentions[0],attentions[1],attentions[2]", "attentions[-1][h=0,t=0]"}, GradOf: "token:33@-1",
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range runs {
				i := 0
				for ; attention.Methods()[i].Info().Name != run.method; i++ {
				}
				method := attention.Methods()[i]
				r := &sdk.Request{Target: sdk.Target{Positions: []int{len(ids) - 1}}, Progress: func(int, int) error { return nil }}
				for i := range ids {
					r.Tokens = append(r.Tokens, sdk.Token{})
					r.Units = append(r.Units, sdk.Unit{Tokens: []int{i}})
				}
				if r.Params, err = core.ParseParams(method.Info(), run.params); err != nil {
					t.Fatal(err)
				}
				e, err := method.Explain(t.Context(), captured{a}, r)
				if err != nil {
					t.Fatal(err)
				}
				tolerance := c.Outputs[run.output].F32Atol
				if dtype == "f64" {
					tolerance = c.Outputs[run.output].F64Atol
				}
				for _, tensor := range e.Tensors {
					if tensor.Name == run.tensor {
						golden.Close(t, run.output, doubles(&tensor.Tensor), c.Want(t, run.output), tolerance)
					}
				}
			}
		})
	}
}

func doubles(t *sdk.Tensor) []float64 {
	if v, ok := t.Data.([]float64); ok {
		return v
	}
	out := make([]float64, t.Len())
	for i, v := range t.Data.([]float32) {
		out[i] = float64(v)
	}
	return out
}

// captured is a model whose attention the engine computed.
type captured struct{ a *core.Activations }

func (captured) Info() sdk.ModelInfo { return sdk.ModelInfo{} }

func (m captured) Forward(context.Context, *sdk.Forward) (sdk.Reply, error) { return m, nil }

func (m captured) Gradient(context.Context, *sdk.Forward, []string) (sdk.Reply, error) {
	return m, nil
}

func (m captured) Tensor(name string, index int) (*sdk.Tensor, error) {
	wanted := "attentions[" + strconv.Itoa(index) + "]"
	if strings.HasSuffix(name, "[h=0,t=0]") {
		wanted = "attentions[-1][h=0,t=0]"
	}
	if one, ok := strings.CutSuffix(name, "[-1]"); ok {
		wanted, name = "attentions[2]", one
	}
	if strings.HasPrefix(name, "grad(") {
		wanted = "grad(" + wanted + ")"
	}
	for _, t := range m.a.Tensors {
		if t.Name == wanted && t.F64 != nil {
			return sdk.NewTensor(t.F64, t.Shape...), nil
		}
		if t.Name == wanted {
			return sdk.NewTensor(t.F32, t.Shape...), nil
		}
	}
	return nil, sdk.NewError(sdk.ERange, "no tensor "+wanted)
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
