package attention

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/sdk"
)

// cases are those of the attention of reference implementations.
var cases = []string{"attn_bert_a", "attn_bert_b", "attn_distil", "attn_gpt2"}

// reference is a case with the attention that the reference recorded.
type reference struct {
	*golden.Case
	model *recorded
}

func load(t *testing.T, name string) *reference {
	c := golden.Load(t, name)
	shape := c.Outputs["attentions"].Shape
	return &reference{c, &recorded{layers: shape[0], heads: shape[1], n: shape[2], a: c.Want(t, "attentions"), gradient: c.Want(t, "attention_gradients")}}
}

// explain runs a method on the recorded attention.
func (g *reference) explain(t *testing.T, m sdk.Method, changes ...any) *sdk.Explanation {
	t.Helper()
	e, err := m.Explain(t.Context(), g.model, request(g.model.n, m, changes...))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// near compares values with an output of the case at the tolerance of float64.
func (g *reference) near(t *testing.T, name string, got []float64) {
	t.Helper()
	golden.Close(t, name, got, g.Want(t, name), g.Outputs[name].F64Atol)
}

func eachCase(t *testing.T, test func(t *testing.T, g *reference)) {
	for _, name := range cases {
		t.Run(name, func(t *testing.T) { test(t, load(t, name)) })
	}
}

func TestReferenceAttention(t *testing.T) {
	eachCase(t, func(t *testing.T, g *reference) {
		g.near(t, "raw_attention_last_mean", result(g.explain(t, Attention{}), "attention"))
		e := g.explain(t, Attention{}, paramAll, true)
		g.near(t, "raw_attention_last_mean", result(e, "attention"))
		g.near(t, "attentions", result(e, "attentions"))
		g.near(t, "attention_entropy", result(e, "entropy"))
	})
}

func TestReferenceRollout(t *testing.T) {
	eachCase(t, func(t *testing.T, g *reference) {
		last := func(name string) []float64 {
			all := g.Want(t, name)
			return all[len(all)-g.model.n*g.model.n:]
		}
		for _, fusion := range []string{fusionMean, fusionMax, fusionMin} {
			name := "rollout." + fusion
			for _, compat := range []string{compatNone, compatAbnar} {
				e := g.explain(t, Rollout{}, paramCompat, compat, paramFusion, fusion, paramSteps, true)
				g.near(t, name, result(e, "rollout_steps"))
				golden.Close(t, name, result(e, "rollout"), last(name), g.Outputs[name].F64Atol)
			}
			e := g.explain(t, Rollout{}, paramCompat, compatAbnar, paramFusion, fusion, paramResidual, false, paramSteps, true)
			g.near(t, name+".noresidual", result(e, "rollout_steps"))
			for ratio, text := range map[float64]string{0: "0.0", 0.3: "0.3", 0.9: "0.9"} {
				name := fusion + ".discard" + text
				g.near(t, "rollout_vit."+name, result(g.explain(t, Rollout{}, paramFusion, fusion, paramDiscard, ratio), "rollout"))
				g.near(t, "rollout_vit_as_coded."+name, result(g.explain(t, Rollout{}, paramCompat, compatViT, paramFusion, fusion, paramDiscard, ratio), "rollout"))
			}
		}
	})
}

func TestReferenceFlow(t *testing.T) {
	found := 0
	eachCase(t, func(t *testing.T, g *reference) {
		if _, ok := g.Outputs["flow"]; !ok {
			return
		}
		found++
		e := g.explain(t, Flow{}, paramQueries, queriesAll)
		g.near(t, "flow", result(e, "flow"))
		g.near(t, "flow_unnormalised", result(e, "max_flow"))
	})
	if found == 0 {
		t.Fatal("no case has flows")
	}
}

func TestReferenceRelevance(t *testing.T) {
	eachCase(t, func(t *testing.T, g *reference) {
		e := g.explain(t, Chefer{}, paramSteps, true, paramAll, true)
		g.near(t, "generic_relevance", result(e, "relevance_steps"))
		at := 0 // of the classifier's token, or the last one of a causal model
		if g.Model == "gpt2-text" {
			at = g.model.n - 1
		}
		g.near(t, "generic_relevance_cls", result(e, "relevance")[at*g.model.n:][:g.model.n])
		g.near(t, "attention_x_gradient", result(e, "attention_x_gradient"))
		g.near(t, "attcat_like_head_importance_abs", result(e, "head_importance"))
		g.near(t, "grad_rollout_added_eye", result(g.explain(t, Chefer{}, paramVariant, variantRollout), "relevance"))
		g.near(t, "attention_x_gradient_mean_last_relu", result(g.explain(t, Chefer{}, paramVariant, variantProduct), "relevance"))
		if _, ok := g.Outputs["chefer_lrp.attn_gradcam"]; ok {
			// Their script scales the matrix to 0 … 1 and blanks the first entry.
			cam := result(g.explain(t, Chefer{}, paramVariant, variantCAM), "relevance")
			low, high := slices.Min(cam), slices.Max(cam)
			row := cam[:g.model.n]
			for i, v := range row {
				row[i] = (v - low) / (high - low)
			}
			row[0] = 0
			g.near(t, "chefer_lrp.attn_gradcam", row)
		}
	})
}
