package attention

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
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
	m := &recorded{layers: shape[0], heads: shape[1], n: shape[2], a: c.Want(t, "attentions"), gradient: c.Want(t, "attention_gradients")}
	if _, ok := c.Outputs["chefer_lrp.attn_relevance.0"]; ok {
		for l := range m.layers {
			m.relevance = append(m.relevance, c.Want(t, "chefer_lrp.attn_relevance."+strconv.Itoa(l))...)
		}
		m.tokens = c.Want(t, "chefer_lrp.full_lrp_cls_kept")
	}
	return &reference{c, m}
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

// TestReferenceLRP compares with Chefer, Gur and Wolf's program of 2021, CVPR, on
// the relevance that it recorded. It sets the first entry of the row that it
// returns to the smallest of the row, or to 0.
func TestReferenceLRP(t *testing.T) {
	found := 0
	eachCase(t, func(t *testing.T, g *reference) {
		if g.model.relevance == nil {
			return
		}
		found++
		const all = "chefer_lrp."
		units := func(e *sdk.Explanation) []float64 { return e.Attributions[0].Values }
		for _, start := range []string{"0", "1"} {
			at, err := strconv.Atoi(start)
			if err != nil {
				t.Fatal(err)
			}
			e := g.explain(t, Chefer{}, paramVariant, variantLRP, paramStart, at, paramSteps, true, paramAll, true)
			g.near(t, all+"rollout.start"+start, result(e, "relevance"))
			steps, n := result(e, "relevance_steps"), g.model.n
			g.near(t, all+"rollout.start"+start, steps[len(steps)-n*n:])
			golden.Close(t, "the relevance of attention", result(e, "attention_relevance"), g.model.relevance, 0)
			want := g.Want(t, all+"lrp.start"+start)
			golden.Close(t, "lrp.start"+start, units(e), want[1:], g.Outputs[all+"lrp.start"+start].F64Atol)
			if share := diagnostic(e, "special_share"); math.Abs(share-want[0]/num.Sum(want)) > 1e-9 {
				t.Errorf("the first token has a share of %v of %v", share, want)
			}
		}
		e := g.explain(t, Chefer{}, paramVariant, variantPartial)
		want := g.Want(t, all+"lrp_last_layer")
		golden.Close(t, "lrp_last_layer", result(e, "relevance")[1:g.model.n], want[1:], g.Outputs[all+"lrp_last_layer"].F64Atol)
		e = g.explain(t, Chefer{}, paramVariant, variantFull)
		g.near(t, all+"full_lrp_cls_kept", result(e, "token_relevance"))
		golden.Close(t, "full_lrp", units(e), g.Want(t, all+"full_lrp")[1:], g.Outputs[all+"full_lrp"].F64Atol)
	})
	if found < 2 {
		t.Fatalf("%d cases have relevance by LRP", found)
	}
}
