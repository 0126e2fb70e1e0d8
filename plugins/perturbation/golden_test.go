package perturbation_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/plugins/perturbation"
	"github.com/xai-go/xai/sdk"
)

// TestReference compares ablation and occlusion, through the engine, with what
// captum computed. The windows of its occlusion cover special tokens too.
func TestReference(t *testing.T) {
	for _, name := range []string{"pert_bert_a", "pert_bert_long", "pert_distil"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				var target int
				var output sdk.Output
				for key, v := range map[string]any{"target": &target, "output": &output} {
					if err := json.Unmarshal(c.Config[key], v); err != nil {
						t.Fatal(err)
					}
				}
				h, m := methodtest.Model(t, c.Model, dtype, perturbation.FeatureAblation{}, perturbation.Occlusion{}, perturbation.LeaveOneOut{})
				explain := func(method string, params map[string]string) *core.Explanation {
					return methodtest.Explain(t, h, m, core.Request{
						Input: methodtest.Row(c.Ints(t, "input_ids")), Method: method, Params: params,
						Target: strconv.Itoa(target), Output: output,
					})
				}
				near := func(name string, got ...float64) {
					t.Helper()
					tolerance := c.Outputs[name].F32Atol
					if dtype == "f64" {
						tolerance = c.Outputs[name].F64Atol
					}
					golden.Close(t, name, got, c.Want(t, name), tolerance)
				}
				x := explain("feature-ablation", map[string]string{})
				near("feature_ablation", methodtest.Values(x)...)
				if got, want := float64(x.Target.Value), c.Want(t, "output")[target]; got-want > 1e-6 || want-got > 1e-6 {
					t.Errorf("the target is %v, want %v", got, want)
				}
				if got, want := float64(*x.Target.Baseline), c.Want(t, "output_baseline")[target]; got-want > 1e-6 || want-got > 1e-6 {
					t.Errorf("the baseline is %v, want %v", got, want)
				}
				near("feature_ablation", methodtest.Values(explain("leave-one-out", map[string]string{"fill": "mask"}))...)
				var text string
				if err := json.Unmarshal(c.Config["text"], &text); err != nil {
					t.Fatal(err)
				}
				words := methodtest.Explain(t, h, m, core.Request{
					Input: core.Input{Text: text}, Method: "feature-ablation", Params: map[string]string{"fill_by": "token"},
					Target: strconv.Itoa(target), Output: output,
				})
				ofTokens := make([]float64, len(words.Input.Tokens))
				for i, u := range words.Input.Units {
					for _, at := range u.Tokens {
						ofTokens[at] = methodtest.Values(words)[i]
					}
				}
				near("feature_ablation_words", ofTokens...)
				for _, size := range [][2]string{{"1", "1"}, {"2", "1"}, {"3", "1"}, {"3", "2"}} {
					x := explain("occlusion", map[string]string{"window": size[0], "stride": size[1], "special": "replace"})
					near("occlusion.w"+size[0]+".s"+size[1], methodtest.Values(x)...)
				}
			})
		}
	}
}
