package attention

import (
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
