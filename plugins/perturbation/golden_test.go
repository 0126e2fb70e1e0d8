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
	for _, name := range []string{"pert_bert_a", "pert_bert_long", "pert_distil", "pert_gpt2"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				var target int
				var output sdk.Output
				var fill int32
				for key, v := range map[string]any{"target": &target, "output": &output, "mask_id": &fill} {
					if err := json.Unmarshal(c.Config[key], v); err != nil {
						t.Fatal(err)
					}
				}
				h, m := methodtest.Model(t, c.Model, dtype, perturbation.FeatureAblation{}, perturbation.Occlusion{}, perturbation.LeaveOneOut{})
				expr := strconv.Itoa(target)
				if name == "pert_gpt2" { // whose target is the next token
					expr = "token:" + expr + "@-1"
				}
				explain := func(method string, params map[string]string) *core.Explanation {
					params["fill_token"] = strconv.Itoa(int(fill))
					return methodtest.Explain(t, h, m, core.Request{
						Input: methodtest.Row(c.Ints(t, "input_ids")), Method: method, Params: params,
						Target: expr, Output: output,
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
				value := func(name string, got core.Float) {
					t.Helper()
					tolerance := c.Outputs[name].F32Atol
					if dtype == "f64" {
						tolerance = c.Outputs[name].F64Atol
					}
					golden.Close(t, name, []float64{float64(got)}, c.Want(t, name)[target:target+1], tolerance)
				}
				value("output", x.Target.Value)
				value("output_baseline", *x.Target.Baseline)
				near("feature_ablation", methodtest.Values(explain("leave-one-out", map[string]string{"fill": "token"}))...)
				if name != "pert_gpt2" { // which has no mask token
					h, m := methodtest.Model(t, c.Model, dtype, perturbation.FeatureAblation{})
					x := methodtest.Explain(t, h, m, core.Request{
						Input: methodtest.Row(c.Ints(t, "input_ids")), Method: "feature-ablation", Target: expr, Output: output,
					})
					near("feature_ablation", methodtest.Values(x)...)
				}
				var text string
				if err := json.Unmarshal(c.Config["text"], &text); err != nil {
					t.Fatal(err)
				}
				words := methodtest.Explain(t, h, m, core.Request{
					Input: core.Input{Text: text}, Method: "feature-ablation", Params: map[string]string{"fill_by": "token", "fill_token": strconv.Itoa(int(fill))},
					Target: expr, Output: output,
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

// TestOneByOne compares leaving one out, and adding one in, of the cases of Shapley
// values, with their definitions.
func TestOneByOne(t *testing.T) {
	for _, name := range []string{"shap_ids_bert_a", "shap_ids_bert_b", "shap_ids_gpt2"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				var fill int
				if err := json.Unmarshal(c.Config["mask_id"], &fill); err != nil {
					t.Fatal(err)
				}
				targets, output := []string{"0", "1", "2"}, sdk.Prob
				if name == "shap_ids_gpt2" {
					targets, output = []string{"token:5@-1", "token:70@-1", "token:200@-1"}, sdk.Logit
				}
				h, m := methodtest.Model(t, c.Model, dtype, perturbation.LeaveOneOut{})
				for want, direction := range map[string]string{"leave_one_out": "out", "add_one_in": "in"} {
					got := make([]float64, len(c.Ints(t, "input_ids"))*len(targets))
					for i, target := range targets {
						x := methodtest.Explain(t, h, m, core.Request{
							Input: methodtest.Row(c.Ints(t, "input_ids")), Method: "leave-one-out", Target: target, Output: output,
							Params: map[string]string{"direction": direction, "fill": "token", "fill_token": strconv.Itoa(fill)},
						})
						for token, v := range methodtest.Values(x) {
							got[token*len(targets)+i] = v
						}
					}
					tolerance := c.Outputs[want].F32Atol
					if dtype == "f64" {
						tolerance = c.Outputs[want].F64Atol
					}
					golden.Close(t, want, got, c.Want(t, want), tolerance)
				}
			})
		}
	}
}
