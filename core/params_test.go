package core

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
)

var testInfo = sdk.Info{Name: "m", Params: []sdk.Param{
	{Name: "num_samples", Aliases: []string{"nsamples"}, Type: sdk.Int, Default: int64(1000), Min: sdk.Bound(10), Max: sdk.Bound(100), Compat: map[string]any{"lime": int64(50)}},
	{Name: "compat", Type: sdk.Enum, Default: "none", Values: []string{"none", "lime"}},
	{Name: "kernel_width", Type: sdk.Float, Default: 25.0, Min: sdk.Bound(1e-6)},
	{Name: "bow", Type: sdk.Bool, Default: false},
	{Name: "fill", Type: sdk.Enum, Default: "mask", Values: []string{"mask", "delete"}},
	{Name: "mask_string", Type: sdk.String, Default: ""},
}}

func TestParseParams(t *testing.T) {
	got, err := ParseParams(testInfo, map[string]string{"nsamples": "20", "kernel_width": "5", "bow": "true", "mask_string": "[MASK]"})
	if err != nil {
		t.Fatal(err)
	}
	want := sdk.Params{"num_samples": int64(20), "kernel_width": 5.0, "bow": true, "compat": "none", "fill": "mask", "mask_string": "[MASK]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
}

func TestParseParamsTakesDefaultsOfThePreset(t *testing.T) {
	tests := []struct {
		name  string
		given map[string]string
		want  int64
	}{
		{"no preset", nil, 1000},
		{"the preset", map[string]string{"compat": "lime"}, 50},
		{"what the user typed wins", map[string]string{"compat": "lime", "num_samples": "20"}, 20},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseParams(testInfo, test.given)
			if err != nil {
				t.Fatal(err)
			}
			if got["num_samples"] != test.want {
				t.Errorf("num_samples %v, want %d", got["num_samples"], test.want)
			}
		})
	}
}

func TestParseParamsRefuses(t *testing.T) {
	tests := []struct {
		name  string
		given map[string]string
		want  string
	}{
		{"unknown", map[string]string{"num_sample": "5"}, "no parameter"},
		{"not a number", map[string]string{"num_samples": "many"}, "num_samples"},
		{"a fraction", map[string]string{"num_samples": "10.5"}, "num_samples"},
		{"too small", map[string]string{"num_samples": "9"}, "num_samples"},
		{"too large", map[string]string{"num_samples": "101"}, "num_samples"},
		{"not finite", map[string]string{"kernel_width": "inf"}, "kernel_width"},
		{"not a number at all", map[string]string{"kernel_width": "nan"}, "kernel_width"},
		{"neither true nor false", map[string]string{"bow": "maybe"}, "bow"},
		{"not in the list", map[string]string{"fill": "masc"}, "fill"},
		{"twice", map[string]string{"num_samples": "20", "nsamples": "20"}, "the same"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseParams(testInfo, test.given)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one that names %q", err, test.want)
			}
			if KindOf(err) != KindUsage {
				t.Errorf("kind %d, want KindUsage", KindOf(err))
			}
		})
	}
}

// TestParamsSayWhatTheyAre: what is no number, or in no list, is answered with what the
// parameter means.
func TestParamsSayWhatTheyAre(t *testing.T) {
	info := sdk.Info{Name: "m", Params: []sdk.Param{
		{Name: "num_samples", Type: sdk.Int, Default: int64(0), Doc: "coalitions; 0 is 2n+2048"},
		{Name: "preset", Type: sdk.Enum, Default: "none", Values: []string{"none", "shap"}, Doc: "captum's draws are not replayed"},
	}}
	for _, test := range []struct{ name, value, want string }{
		{"num_samples", "auto", "it must be an integer: coalitions; 0 is 2n+2048"},
		{"num_samples", "1.5", "it must be an integer"},
		{"preset", "captum", "it must be one of none, shap: captum's draws are not replayed"},
		{"preset", "shpa", "did you mean shap? it must be one of none, shap"},
	} {
		_, err := ParseParams(info, map[string]string{test.name: test.value})
		if e, ok := errors.AsType[*Error](err); !ok || e.Hint != test.want {
			t.Errorf("%s=%s: %v, want the hint %q", test.name, test.value, err, test.want)
		}
	}
}

// TestParamsOfOtherLibraries: a name that is an argument elsewhere gets what there is
// for it here, ahead of what is spelt alike.
func TestParamsOfOtherLibraries(t *testing.T) {
	evaluations := sdk.Info{Name: "m", Params: []sdk.Param{{Name: "max_evals", Type: sdk.Int, Default: int64(500)}, {Name: "batch_size", Type: sdk.Int, Default: int64(0)}}}
	for _, test := range []struct {
		info       sdk.Info
		name, want string
	}{
		{testInfo, "target", "--target"},
		{testInfo, "labels", "--target"},
		{testInfo, "random_state", "--seed"},
		{testInfo, "seed", "--seed"},
		{testInfo, "link", "--output"},
		{testInfo, "feature_mask", "--units"},
		{testInfo, "internal_batch_size", "batched by the host"},
		{testInfo, "perturbations_per_eval", "batched by the host"},
		{testInfo, "batch_size", "batched by the host"},
		{testInfo, "return_convergence_delta", "completeness_gap"},
		{testInfo, "num_sample", "did you mean num_samples?"},
		{evaluations, "nsamples", "did you mean max_evals?"},
		{evaluations, "num_samples", "did you mean max_evals?"},
		{testInfo, "mask_strings", "did you mean mask_string?"},
		{testInfo, "colour", "see xai methods info m"},
	} {
		_, err := ParseParams(test.info, map[string]string{test.name: "5"})
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(e.Hint, test.want) || !strings.HasSuffix(e.Hint, "see xai methods info m") {
			t.Errorf("%s: %v, want a hint at %q", test.name, err, test.want)
		}
	}
	if _, err := ParseParams(evaluations, map[string]string{"batch_size": "5"}); err != nil {
		t.Errorf("a parameter of the method: %v", err)
	}
}

func TestBoundsReadAsTheyAreTyped(t *testing.T) {
	tests := []struct {
		name     string
		kind     sdk.ParamType
		min, max float64
		want     string
	}{
		{"a large integer", sdk.Int, -1, 1<<31 - 1, "an integer from -1 to 2147483647"},
		{"a power of two", sdk.Int, 2, 1 << 20, "an integer from 2 to 1048576"},
		{"a small fraction", sdk.Float, 1e-9, 1e9, "a number from 1e-09 to 1000000000"},
		{"beyond what is whole", sdk.Float, 0, 1e300, "a number from 0 to 1e+300"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			info := sdk.Info{Name: "m", Params: []sdk.Param{{Name: "n", Type: test.kind, Min: &test.min, Max: &test.max}}}
			_, err := ParseParams(info, map[string]string{"n": "-2"})
			e, ok := errors.AsType[*Error](err)
			if !ok || !strings.HasSuffix(e.Hint, test.want) {
				t.Errorf("error %v, want one whose hint ends with %q", err, test.want)
			}
		})
	}
}
