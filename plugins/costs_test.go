package plugins_test

import (
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/sdk"
)

// TestCosts: what a method asks of the model is what its card says, for 12 units that
// are tokens: rows, and those of them whose gradient is asked for. Random coalitions
// come up more than once, so that less is evaluated, but not much.
func TestCosts(t *testing.T) {
	const n = 12
	ids := []int64{7, 31, 16, 90, 44, 12, 55, 8, 61, 23, 70, 38}
	type params = map[string]string
	inside := func(p params) params { p["layer"] = "blocks.0.hook_out"; return p }
	cases := map[string][]struct {
		params                params
		evaluations, backward int
	}{
		"attention":         {{params{}, 1, 0}},
		"attention-rollout": {{params{}, 1, 0}},
		"attention-flow":    {{params{}, 1, 0}},
		"chefer":            {{params{}, 1, 1}, {params{"variant": "lrp"}, 2, 2}, {params{"variant": "partial-lrp"}, 1, 1}, {params{"variant": "full-lrp"}, 1, 1}, {params{"variant": "attn-gradcam"}, 1, 1}},

		"saliency":         {{params{}, 1, 1}, {inside(params{}), 1, 1}},
		"input-x-gradient": {{params{}, 1, 1}, {inside(params{}), 1, 1}},
		"integrated-gradients": {
			{params{}, 50 + 3, 50}, {inside(params{}), 50 + 4, 50}, {params{"n_steps": "20", "multiply": "false"}, 20 + 3, 20},
			{params{"n_steps": "4", "ig_method": "riemann_left", "max_gap": "1e-6"}, 4*(2<<10-1) + 3, 4 * (2<<10 - 1)}, // 4, 8, …, 4096
		},
		"smoothgrad": {{params{}, 50 + 1, 50}, {params{"compat": "captum"}, 5 + 1, 5}, {inside(params{}), 50 + 1, 50}},
		"gradient-shap": {
			{params{}, 100 + 1 + 2*2, 100}, {inside(params{}), 100 + 1 + 2*3, 100}, {params{"compat": "captum"}, 5 + 1 + 2, 5},
			{params{"baseline": "vocabulary"}, 100 + 1 + 50*2, 100}, {inside(params{"baseline": "vocabulary"}), 100 + 1 + 50*3, 100},
		},

		"lime":             {{params{"fill": "zero"}, 1000 + 1, 0}},
		"feature-ablation": {{params{"fill": "zero"}, n + 2, 0}},
		"leave-one-out":    {{params{"fill": "zero"}, n + 2, 0}, {params{"fill": "zero", "direction": "in"}, n + 2, 0}},
		"occlusion":        {{params{"fill": "zero"}, n - 3 + 3, 0}, {params{"fill": "zero", "window": "5", "stride": "2"}, 4 + 3, 0}},

		"exact-shap":       {{params{"fill": "zero"}, 1 << n, 0}},
		"kernel-shap":      {{params{"fill": "zero"}, 2*n + 2050, 0}},
		"permutation-shap": {{params{"fill": "zero"}, 20*n - 18, 0}},
		"sampling-shap":    {{params{"fill": "zero"}, 2*n + 2048, 0}},
		"partition-shap":   {{params{"fill": "zero", "hierarchy": "balanced", "fixed_context": "0"}, 2 * n, 0}, {params{"fill": "zero", "hierarchy": "balanced", "fixed_context": "1"}, 2 * n, 0}},
	}
	var all []sdk.Method
	for _, f := range catalog.Families {
		all = append(all, f.Methods...)
	}
	h, m := methodtest.Model(t, "bert-seqcls", "f32", all...)
	for _, method := range all {
		name := method.Info().Name
		if cases[name] == nil {
			t.Errorf("no costs of %s", name)
		}
		for _, c := range cases[name] {
			x := methodtest.Explain(t, h, m, core.Request{Input: methodtest.Row(ids), Method: name, Params: c.params, Target: "1", Output: sdk.Logit})
			evaluations, backward := int(x.Diagnostics[core.DiagEvaluations]), int(x.Diagnostics[core.DiagGradients])
			random := name == "permutation-shap" || name == "sampling-shap"
			if backward != c.backward || evaluations > c.evaluations || evaluations < c.evaluations && !(random && 10*evaluations >= 8*c.evaluations) {
				t.Errorf("%s %v: %d evaluations and %d gradients, want %d and %d", name, c.params, evaluations, backward, c.evaluations, c.backward)
			}
		}
	}
	// A balanced hierarchy of 8: 2(n² − 1)/3 + 2.
	x := methodtest.Explain(t, h, m, core.Request{
		Input: methodtest.Row(ids[:8]), Method: "partition-shap", Params: params{"fill": "zero", "hierarchy": "balanced"}, Target: "1", Output: sdk.Logit,
	})
	if got := x.Diagnostics[core.DiagEvaluations]; got != 44 {
		t.Errorf("partition-shap of 8 units: %v evaluations, want 44", got)
	}
}
