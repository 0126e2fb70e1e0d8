package attention_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/plugins/attention"
	"github.com/xai-go/xai/sdk/sdktest"
)

// TestConformance runs the conformance kit. Its formulas have no attention, so that
// the axioms have nothing to look at.
func TestConformance(t *testing.T) {
	skipped := []string{
		"declaration/verify", "declaration/description", "determinism/instance",
		"axioms/linear", "axioms/exact", "axioms/dummy", "axioms/symmetry", "axioms/interaction", "axioms/efficiency",
		"inputs/beyond-limits", "resources/handles", "resources/fuel", "resources/progress", "resources/log",
	}
	for _, m := range attention.Methods() {
		want := slices.Clone(skipped)
		if m.Info().Name == "attention-flow" { // which reports its flows
			want = slices.DeleteFunc(want, func(id string) bool { return id == "resources/progress" })
		}
		if m.Info().Name == "chefer" { // of which only full-lrp, of a logit, reads hidden states; the kit explains probabilities
			want = append(want, "resources/needs")
		}
		t.Run(m.Info().Name, func(t *testing.T) {
			r := sdktest.Check(t.Context(), sdktest.Method(m), sdktest.Options{})
			var got []string
			for _, result := range r.Results {
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
