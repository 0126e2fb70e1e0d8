package core_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/sdk"
)

// TestContrastsAreComplete: integrated gradients of a difference of two
// continuations add up to what lies between the input and the baseline, at the word
// embeddings and inside of the model, of both kinds of models that go on.
func TestContrastsAreComplete(t *testing.T) {
	host := newHost(t, core.Options{})
	for name, model := range map[string]*core.Model{
		"gpt2":  open(t, host, filepath.Join("..", "testdata", "conformance", "models", "gpt2-text")),
		"xlnet": xlnet(t, core.Options{}),
	} {
		for _, layer := range []string{"", "blocks.0.hook_out"} {
			for _, output := range []sdk.Output{sdk.LogProb, sdk.Prob} {
				x, err := host.Explain(t.Context(), model, core.Request{
					Input: core.Input{Text: "the film was"}, Target: "continuation: good film - continuation: bad", Output: output, Runtime: core.RuntimeNative,
					Method: "integrated-gradients", Params: map[string]string{"baseline": "average", "layer": layer, "max_gap": "0.001", "special": "replace"},
				})
				if err != nil {
					t.Errorf("%s at %q: %v", name, layer, err)
					continue
				}
				sum := 0.0
				for _, v := range x.Attributions[0].Values {
					sum += float64(v)
				}
				whole := float64(x.Target.Value - *x.Target.Baseline)
				if math.Abs(sum-whole) > 0.002*math.Abs(whole)+1e-5 || whole == 0 {
					t.Errorf("%s at %q: %s sums to %v, and the target is %v above the baseline", name, layer, output, sum, whole)
				}
			}
		}
		for method, want := range map[string]string{"saliency": "", "input-x-gradient": "", "smoothgrad": "", "gradient-shap": "", "attention-rollout": "two continuations", "chefer": "two continuations"} {
			params := map[string]string{}
			if want != "" {
				params["position"] = "0"
			}
			_, err := host.Explain(t.Context(), model, core.Request{
				Input: core.Input{Text: "the film was"}, Target: "continuation: good film - continuation: bad", Runtime: core.RuntimeNative, Method: method, Params: params,
			})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %s: error %v, want %q", name, method, err, want)
			}
		}
	}
}
