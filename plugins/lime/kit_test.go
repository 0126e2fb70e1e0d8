package lime_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/plugins/lime"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

// TestConformance runs the conformance kit, with the penalty and without: a linear
// model is then explained by its weights.
func TestConformance(t *testing.T) {
	// What a process in another language or a module has, and what LIME does not
	// promise.
	skipped := []string{
		"declaration/verify", "declaration/description", "determinism/instance", "axioms/efficiency",
		"resources/handles", "resources/fuel", "resources/progress", "resources/log",
	}
	for name, c := range map[string]struct {
		options sdktest.Options
		skipped string // beside these
	}{
		"defaults":   {sdktest.Options{}, "axioms/exact"},
		"no penalty": {sdktest.Options{Exact: true, Params: map[string]string{"ridge_alpha": "0"}, Only: []string{"axioms"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := sdktest.Check(t.Context(), sdktest.Method(lime.Method{}), c.options)
			var want, got []string
			for _, result := range r.Results {
				if result.ID == c.skipped {
					want = append(want, result.ID)
				}
				for _, id := range skipped {
					if result.ID == id {
						want = append(want, id)
					}
				}
				if result.Status == sdktest.Skip {
					got = append(got, result.ID)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || !r.OK() {
				var b strings.Builder
				if err := r.WriteText(&b); err != nil {
					t.Fatal(err)
				}
				t.Errorf("skipped: %s%s", diff, b.String())
			}
		})
	}
}

// TestKitIsTheHost: in the kit a method has the random stream, and so the bits,
// that the host gives it.
func TestKitIsTheHost(t *testing.T) {
	params, err := sdktest.Params(lime.Method{}.Info(), map[string]string{"num_samples": "20"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := toy.Transformer(2).Open(toy.Input{Text: "A gripping film, and more than a film.", Seed: 7, Params: params, Output: sdk.LogProb})
	if err != nil {
		t.Fatal(err)
	}
	want, err := native.Explain(t.Context(), lime.Method{}, s, s.Request())
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := sdktest.Method(lime.Method{}).Explain(t.Context(), s, s.Request())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
