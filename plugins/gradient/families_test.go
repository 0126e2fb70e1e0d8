package gradient

import (
	"math"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// TestFamilies runs every method on a classifier of each architecture, at the word
// embeddings and inside: integrated gradients sum to what lies between the input
// and the baseline at each place, and all that draw samples are within their
// errors of what they estimate.
func TestFamilies(t *testing.T) {
	ids := []int64{7, 31, 16, 90, 44, 12, 55, 8}
	for _, model := range []string{"bert-seqcls", "roberta-seqcls", "distilbert-seqcls", "gpt2-seqcls", "xlnet-seqcls"} {
		t.Run(model, func(t *testing.T) {
			h, m := methodtest.Model(t, model, "f32", Saliency{}, InputXGradient{}, IntegratedGradients{}, SmoothGrad{}, GradientSHAP{})
			explain := func(method string, p params) *core.Explanation {
				t.Helper()
				return methodtest.Explain(t, h, m, core.Request{Input: methodtest.Row(ids), Method: method, Params: p, Target: "1", Output: sdk.Logit})
			}
			for _, layer := range []string{"", "hidden_states[1]", "blocks.0.hook_mlp_out", "blocks.1.attn.hook_v"} {
				x := explain("integrated-gradients", params{"layer": layer, "baseline": "average", "max_gap": "0.001"})
				sum, whole := num.Sum(methodtest.Values(x)), float64(x.Target.Value-*x.Target.Baseline)
				if math.Abs(sum-whole) > 0.002*math.Abs(whole)+1e-5 {
					t.Errorf("at %q the values sum to %v, and the target is %v above the baseline", layer, sum, whole)
				}
			}
			if x := explain("integrated-gradients", params{"max_gap": "0.001"}); math.Abs(float64(x.Diagnostics["relative_gap"])) > 0.001 {
				t.Errorf("with the defaults the gap is %v of what it should be", x.Diagnostics["relative_gap"])
			}
			want := methodtest.Values(explain("integrated-gradients", params{"baseline": "average", "max_gap": "0.001"}))
			x := explain("gradient-shap", params{"baseline": "average", "num_samples": "200"})
			for i, v := range methodtest.Values(x) {
				if err := float64(x.Attributions[0].Stderr[i]); math.Abs(v-want[i]) > 6*err+1e-5 {
					t.Errorf("token %d: expected gradients are %v ± %v, and integrated ones %v", i, v, err, want[i])
				}
			}
			for _, layer := range []string{"", "hidden_states[1]"} { // from other random tokens in each sample
				x := explain("gradient-shap", params{"baseline": "vocabulary", "layer": layer, "num_samples": "200"})
				again := explain("gradient-shap", params{"baseline": "vocabulary", "layer": layer, "num_samples": "200", "max_stderr": "1e-9"})
				sum, off := 0.0, 0.0
				for i, v := range methodtest.Values(x) {
					if v != methodtest.Values(again)[i] {
						t.Errorf("token %d is %v, and in rounds %v", i, v, methodtest.Values(again)[i])
					}
					sum, off = sum+v, off+float64(x.Attributions[0].Stderr[i])
				}
				if whole := float64(x.Target.Value - *x.Target.Baseline); off == 0 || math.Abs(sum-whole) > 3*off {
					t.Errorf("at %q expected gradients sum to %v ± %v, and the target is %v above random tokens", layer, sum, off, whole)
				}
			}
			want = methodtest.Values(explain("saliency", params{}))
			for i, v := range methodtest.Values(explain("smoothgrad", params{"stdevs": "1e-6", "num_samples": "4"})) {
				if math.Abs(v-want[i]) > 1e-3*want[i] {
					t.Errorf("token %d: with hardly any noise SmoothGrad is %v, and the gradient %v", i, v, want[i])
				}
			}
			explain("input-x-gradient", params{"layer": "blocks.1.attn.hook_z[h=1]"})
			for layer, want := range map[string]string{"hidden_states": "several points", "attentions[0]": "one row of values for each", "pooled": "layer=pooled", "nosuch": "layer=nosuch names no point", "blocks.99.hook_out": "layer=blocks.99.hook_out names no point", "hidden_states[99]": "layer=hidden_states[99] names no point"} {
				for _, method := range []string{"saliency", "integrated-gradients"} {
					r := core.Request{Input: methodtest.Row(ids), Method: method, Params: params{"layer": layer}, Runtime: core.RuntimeNative}
					if _, err := h.Explain(t.Context(), m, r); err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%s at %s: error %v, want one with %q", method, layer, err, want)
					}
				}
			}
		})
	}
}

// TestTextsAsBaselines: texts of any length stand for the input, token by token, and
// what they leave is padded.
func TestTextsAsBaselines(t *testing.T) {
	for model, pad := range map[string]string{"bert-text": "[PAD]", "gpt2-text": ""} {
		h, m := methodtest.Model(t, model, "f32", GradientSHAP{}, IntegratedGradients{})
		target := "1"
		if model == "gpt2-text" {
			target = "token:5 - token:70"
		}
		explain := func(method string, p params) (*core.Explanation, error) {
			return h.Explain(t.Context(), m, core.Request{
				Input: core.Input{Text: "the music is great"}, Method: method, Params: p, Target: target, Output: sdk.Logit, Runtime: core.RuntimeNative,
			})
		}
		value := func(p params) float64 {
			t.Helper()
			p["num_samples"] = "4"
			x, err := explain("gradient-shap", p)
			if err != nil {
				t.Fatal(err)
			}
			return float64(*x.Target.Baseline)
		}
		long := strings.Repeat("the music is great ", 9)
		if got, want := value(params{"baseline_text": long}), value(params{"baseline_text": "the music is great"}); math.Abs(got-want) > 1e-5 {
			t.Errorf("%s: a text that goes on as the input begins is %v, want %v", model, got, want)
		}
		mean := (value(params{"baseline_text": "the music"}) + value(params{"baseline_text": long})) / 2
		if got := value(params{"baseline_text": "the music\n" + long}); math.Abs(got-mean) > 1e-5 {
			t.Errorf("%s: two texts are %v, want %v", model, got, mean)
		}
		if pad != "" {
			padded := value(params{"baseline_text": "the music" + strings.Repeat(" "+pad, 2)})
			if got := value(params{"baseline_text": "the music"}); math.Abs(got-padded) > 1e-5 {
				t.Errorf("%s: a short text is %v, and padded %v", model, got, padded)
			}
		}
		if _, err := explain("integrated-gradients", params{"baseline_text": long}); err == nil || !strings.Contains(err.Error(), "tokens and the input") {
			t.Errorf("%s: one path from a text of another length: %v", model, err)
		}
		if _, err := explain("gradient-shap", params{"baseline": "vocabulary", "compat": "captum"}); err == nil || !strings.Contains(err.Error(), "needs compat=none") {
			t.Errorf("%s: the reference's vocabulary: %v", model, err)
		}
	}
}
