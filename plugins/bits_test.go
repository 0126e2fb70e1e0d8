package plugins_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
)

// settings are what each method runs with beside its defaults, so that the bits of
// what those leave out are compared too.
var settings = map[string]map[string]string{
	"attention":            {"all": "true"},
	"attention-flow":       {"queries": "all"},
	"attention-rollout":    {"fusion": "max", "discard_ratio": "0.3", "steps": "true"},
	"chefer":               {"variant": "lrp", "steps": "true"},
	"exact-shap":           {"interactions": "shapley-taylor", "top_labels": "2"},
	"feature-ablation":     {"fill_token": "7", "special": "replace"},
	"gradient-shap":        {"baseline": "vocabulary,average", "num_samples": "12", "stdevs": "0.1"},
	"input-x-gradient":     {"layer": "blocks.0.hook_out", "reduce": "l2", "embedding_attributions": "true"},
	"integrated-gradients": {"baseline": "mask", "ig_method": "trapezoid", "n_steps": "7", "layer": "blocks.0.hook_out"},
	"kernel-shap":          {"num_samples": "30", "l1_reg": "aic"},
	"leave-one-out":        {"direction": "in"},
	"lime":                 {"compat": "lime", "num_samples": "80", "num_features": "3"},
	"occlusion":            {"window": "2", "stride": "2", "fill": "average"},
	"partition-shap":       {"compat": "shap", "max_evals": "40"},
	"permutation-shap":     {"order": "tree", "max_evals": "60"},
	"saliency":             {"compat": "captum"},
	"sampling-shap":        {"max_stderr": "0.05", "num_samples": "200"},
	"smoothgrad":           {"variant": "vargrad", "num_samples": "8", "stdevs": "0.3"},
}

// TestModulesGiveTheBitsOfTheirSources runs every built-in method as the embedded
// module and in process, on a model that the binary embeds: values, errors, tensors
// and diagnostics are the same to the last bit.
func TestModulesGiveTheBitsOfTheirSources(t *testing.T) {
	b := plugins.Builtin()
	host, err := core.New(core.Options{Methods: core.Builtin(b), BuiltinOnly: true, Threads: 1, Cache: -1, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	model, err := host.OpenModel(t.Context(), "builtin:sentiment-en")
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(b.Native)), slices.Sorted(maps.Keys(settings))); diff != "" {
		t.Fatalf("the methods, and those with a setting: %s", diff)
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		for kind, params := range map[string]map[string]string{"default": nil, "other": settings[name]} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var output sdk.Output
				if params["variant"] == "lrp" { // which starts with a logit
					output = sdk.Logit
				}
				explain := func(runtime string) string {
					x, err := host.Explain(t.Context(), model, core.Request{
						Input: core.Input{Text: "Not a bad film, but long."}, Method: name, Params: params, Output: output, Seed: 7, Runtime: runtime,
					})
					if err != nil {
						t.Fatal(err)
					}
					x.Method.Runtime, x.Provenance = "", core.Provenance{}
					text, err := json.MarshalIndent(x, "", " ")
					if err != nil {
						t.Fatal(err)
					}
					return string(text)
				}
				if diff := cmp.Diff(explain(core.RuntimeNative), explain(core.RuntimeWASM)); diff != "" {
					t.Errorf("in process (-), and as a module (+):\n%s", diff)
				}
			})
		}
	}
}
