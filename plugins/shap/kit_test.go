package shap_test

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// TestConformance runs the conformance kit: all values add up, and those of a linear
// model are its weights.
func TestConformance(t *testing.T) {
	for _, c := range []struct {
		method  sdk.Method
		params  map[string]string
		refused []string // checks with inputs that the method has to refuse
	}{
		{shap.Kernel{}, map[string]string{"num_samples": "1024"}, nil},
		{shap.Partition{}, nil, nil},
		{shap.Permutation{}, map[string]string{"num_samples": "3"}, nil},
		{shap.Sampling{}, map[string]string{"num_samples": "4098"}, nil},
		{shap.Exact{}, map[string]string{"max_evals": "16384"}, []string{"inputs/long", "resources/handles"}},
	} {
		t.Run(c.method.Info().Name, func(t *testing.T) {
			options := sdktest.Options{Exact: true, Additive: true, Params: c.params}
			for _, result := range sdktest.Check(t.Context(), sdktest.Method(c.method), options).Results {
				refused := slices.Contains(c.refused, result.ID)
				if refused != (result.Status == sdktest.Fail) {
					t.Errorf("%s: %s: %s", result.ID, result.Status, result.Got)
				}
			}
		})
	}
}
