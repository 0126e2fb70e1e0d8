package core

import (
	"math"
	"slices"
	"testing"

	"github.com/xai-go/xai/sdk"
)

// TestClassesOfAttributions: an attribution that a method names after a class has that
// class as its target, with its value on the scale of the target and the baseline that
// the method says; any other name has none.
func TestClassesOfAttributions(t *testing.T) {
	m := openBuiltin(t, Options{})
	for _, output := range []sdk.Output{sdk.Prob, sdk.LogProb, sdk.Logit} {
		s := started(t, m, Request{Input: Input{Text: "A gripping film."}, Output: output})
		values := make([]float64, len(s.units))
		result := &sdk.Explanation{Diagnostics: []sdk.Diagnostic{{Name: "class.0.baseline", Value: 0.25}, {Name: "class.0.r2", Value: 0.5}, {Name: "class.2.baseline", Value: 3}, {Name: "other.baseline", Value: 4}}}
		for _, name := range []string{"attributions", "class.1", "class.0", "class.2", "class.01", "class.-1", "class.", "class.0.error_std", "other"} {
			result.Attributions = append(result.Attributions, sdk.Attribution{Name: name, Over: sdk.OverUnits, Values: values})
		}
		x := s.explanation(s.request(), result)
		if err := x.fill(result, s, ""); err != nil {
			t.Fatal(err)
		}
		of := make(map[string]*Target)
		for _, a := range x.Attributions {
			if of[a.Name] = a.Target; a.Target != nil && a.Name != "class.0" && a.Name != "class.1" {
				t.Errorf("%s is of %+v", a.Name, a.Target)
			}
		}
		zero, one := of["class.0"], of["class.1"]
		if zero == nil || one == nil {
			t.Fatalf("%s: the classes have no targets", output)
		}
		if one.Value != x.Target.Value || one.Label != "POSITIVE" || one.Expr != "1" || one.Kind != sdk.KindClass || one.Index != 1 || one.Output != string(output) || one.Baseline != nil || !slices.Equal(one.Positions, x.Target.Positions) {
			t.Errorf("%s: %+v, and the target is %+v", output, one, x.Target)
		}
		if zero.Label != "NEGATIVE" || zero.Expr != "0" || zero.Value >= one.Value || zero.Baseline == nil || *zero.Baseline != 0.25 {
			t.Errorf("%s: %+v", output, zero)
		}
		if output == sdk.Prob && math.Abs(float64(zero.Value+one.Value)-1) > 1e-12 {
			t.Errorf("%v and %v are no probabilities of two classes", zero.Value, one.Value)
		}
		_, moved := x.Diagnostics["class.0.baseline"]
		if moved || x.Diagnostics["class.0.r2"] != 0.5 || x.Diagnostics["class.2.baseline"] != 3 || x.Diagnostics["other.baseline"] != 4 {
			t.Errorf("the diagnostics are %v", x.Diagnostics)
		}
	}
}
