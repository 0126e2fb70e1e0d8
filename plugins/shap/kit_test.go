package shap_test

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// short are the checks of the kit without inputs that take a method of many
// coalitions seconds.
var short = []string{
	"declaration", "parameters", "results", "determinism", "axioms", "errors",
	"inputs/empty", "inputs/one-token", "inputs/sentences", "inputs/pair", "inputs/token-ids", "inputs/combining", "inputs/beyond-limits",
}

// TestConformance runs the conformance kit: all values add up, and those of a linear
// model are its weights.
func TestConformance(t *testing.T) {
	for _, c := range []struct {
		method sdk.Method
		params map[string]string
		only   []string
	}{
		{shap.Kernel{}, map[string]string{"num_samples": "1024"}, nil},
		{shap.Partition{}, nil, nil},
		{shap.Permutation{}, map[string]string{"num_samples": "3"}, nil},
		{shap.Sampling{}, nil, short},
		{shap.Exact{}, nil, slices.Concat(short, []string{"inputs/long", "resources/handles"})},
	} {
		t.Run(c.method.Info().Name, func(t *testing.T) {
			options := sdktest.Options{Exact: true, Additive: true, Params: c.params, Only: c.only}
			for _, result := range sdktest.Check(t.Context(), sdktest.Method(c.method), options).Results {
				if small := result.Status == sdktest.Skip; result.ID == "inputs/long" && small != (c.method == shap.Exact{}) {
					t.Errorf("%s: %v: %s", result.ID, result.Status, result.Got) // 2ⁿ coalitions are refused
				}
				if result.Status == sdktest.Fail {
					t.Errorf("%s: %s", result.ID, result.Got)
				}
			}
		})
	}
}
