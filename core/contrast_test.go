package core_test

import (
	"math"
	"path/filepath"
	"slices"
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

// TestPathsAreNotSaturated: near the end of a probability's scale the gradient at the
// input is told to be flat, and a mean of gradients on a path to there is not, whether
// it is multiplied up to a sum or not.
func TestPathsAreNotSaturated(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, filepath.Join("..", "testdata", "conformance", "models", "gpt2-text"))
	for _, c := range []struct {
		method string
		params map[string]string
		want   bool
	}{
		{"saliency", nil, true},
		{"input-x-gradient", nil, true},
		{"smoothgrad", map[string]string{"num_samples": "2"}, true},
		{"integrated-gradients", nil, false},
		{"integrated-gradients", map[string]string{"multiply": "false"}, false},
		{"gradient-shap", map[string]string{"num_samples": "4", "multiply": "false"}, false},
	} {
		x, err := host.Explain(t.Context(), model, core.Request{
			Input: core.Input{Text: "the film was"}, Target: "token:5", // of 397 that are as likely
			Runtime: core.RuntimeNative, Method: c.method, Params: c.params,
		})
		if err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(x.Doubts, func(d core.Doubt) bool { return d.Code == core.DoubtSaturated })
		if got != c.want {
			t.Errorf("%s %v of %v: a doubt of saturation: %v, want %v", c.method, c.params, x.Target.Value, got, c.want)
		}
	}
}
