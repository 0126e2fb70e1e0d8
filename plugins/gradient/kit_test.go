package gradient_test

import (
	"strings"
	"testing"

	"github.com/xai-go/xai/plugins/gradient"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// TestConformance runs the conformance kit, with few steps and samples, and again
// at a point inside of the model. The bounds of parameters take 10,000 samples, and
// so their time: only the methods without any are run at theirs.
func TestConformance(t *testing.T) {
	const values = "parameters/values"
	all := []string{"declaration", "parameters/unknown", "parameters/aliases", "parameters/defaults", "results", "determinism", "axioms", "inputs", "errors", "resources"}
	inside := []string{"declaration/needs", "results", "determinism/repeat", "inputs", "errors", "resources/needs"}
	for name, c := range map[string]struct {
		method  sdk.Method
		options sdktest.Options
		checks  []string
	}{
		"saliency":             {gradient.Saliency{}, sdktest.Options{}, append(all, values)},
		"input-x-gradient":     {gradient.InputXGradient{}, sdktest.Options{Exact: true}, append(all, values)},
		"integrated-gradients": {gradient.IntegratedGradients{}, sdktest.Options{Exact: true, Additive: true, Tolerance: 1e-3, Params: map[string]string{"n_steps": "16"}}, all},
		"smoothgrad":           {gradient.SmoothGrad{}, sdktest.Options{Params: map[string]string{"num_samples": "6"}}, all},
		"gradient-shap":        {gradient.GradientSHAP{}, sdktest.Options{Exact: true, Params: map[string]string{"num_samples": "12"}}, all},

		"saliency inside":             {gradient.Saliency{}, sdktest.Options{Params: map[string]string{"layer": "blocks.0.hook_out"}}, inside},
		"input-x-gradient inside":     {gradient.InputXGradient{}, sdktest.Options{Params: map[string]string{"layer": "hidden_states[1]"}}, inside},
		"integrated-gradients inside": {gradient.IntegratedGradients{}, sdktest.Options{Params: map[string]string{"layer": "hidden_states[0]", "n_steps": "4"}}, inside},
		"smoothgrad inside":           {gradient.SmoothGrad{}, sdktest.Options{Params: map[string]string{"layer": "hidden_states[1]", "num_samples": "4"}}, inside},
		"gradient-shap inside":        {gradient.GradientSHAP{}, sdktest.Options{Params: map[string]string{"layer": "hidden_states[1]", "num_samples": "6"}}, inside},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.Only = c.checks
			r := sdktest.Check(t.Context(), sdktest.Method(c.method), c.options)
			if !r.OK() {
				var b strings.Builder
				if err := r.WriteText(&b); err != nil {
					t.Fatal(err)
				}
				t.Error(b.String())
			}
		})
	}
}
