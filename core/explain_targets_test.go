package core_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/sdk"
)

// TestSteps: each token of a continuation is explained by the evaluations that the
// whole takes, and where a method is linear in the target their scores sum up to
// the whole's.
func TestSteps(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, filepath.Join("..", "testdata", "conformance", "models", "gpt2-text"))
	r := core.Request{
		Input: core.Input{Text: "the film was good"}, Target: "continuation: and not dull", Runtime: core.RuntimeNative, Seed: 3,
		Params: map[string]string{"num_samples": "200"},
	}
	whole, err := host.Explain(t.Context(), model, r)
	if err != nil {
		t.Fatal(err)
	}
	r.Steps = true
	steps, err := host.Explain(t.Context(), open(t, host, model.ID()), r)
	if err != nil {
		t.Fatal(err)
	}
	n := len(steps.Target.Steps)
	if n < 3 || len(whole.Target.Steps) != n || len(steps.Attributions) != n+1 || len(whole.Attributions) != 1 {
		t.Fatalf("%d steps, %d of the whole, %d attributions", n, len(whole.Target.Steps), len(steps.Attributions))
	}
	if !slices.Equal(whole.Attributions[0].Values, steps.Attributions[0].Values) {
		t.Error("steps change the whole's values")
	}
	sum, value, baseline := make([]float64, len(steps.Input.Units)), 0.0, 0.0
	for i, step := range steps.Target.Steps {
		a := steps.Attributions[i+1]
		for k, v := range a.Values {
			sum[k] += float64(v)
		}
		value += float64(step.Value)
		baseline += float64(*step.Baseline)
		if step.Baseline == nil || whole.Target.Steps[i].Baseline != nil {
			t.Errorf("step %d has no baseline, or has one where it was not explained", i)
		}
	}
	for k, v := range steps.Attributions[0].Values {
		if math.Abs(sum[k]-float64(v)) > 1e-9 {
			t.Errorf("unit %d has %v, and its steps %v", k, v, sum[k])
		}
	}
	if math.Abs(value-float64(steps.Target.Value)) > 1e-9 || math.Abs(baseline-float64(*steps.Target.Baseline)) > 1e-9 {
		t.Errorf("the steps sum up to %v and %v, and the whole is %v and %v", value, baseline, steps.Target.Value, *steps.Target.Baseline)
	}
	if a, b := whole.Diagnostics["forwards"], steps.Diagnostics["forwards"]; a != b || a == 0 {
		t.Errorf("%v rows are run for the whole, and %v for its steps too", a, b)
	}
	if a, b := whole.Diagnostics["evaluations"], steps.Diagnostics["evaluations"]; b != a*core.Float(n+1) {
		t.Errorf("%v evaluations, and %v with %d steps", a, b, n)
	}
	again, err := steps.Again(nil)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := host.Verify(t.Context(), model, steps, again); err != nil || !v.SameBits {
		t.Errorf("%+v, %v", v, err)
	}
	r.Target = ""
	if _, err := host.Explain(t.Context(), model, r); core.KindOf(err) != core.KindUsage {
		t.Errorf("steps of a token: %v", err)
	}
}

// TestTokensOfContinuations: units stay those of the text, whichever they are.
func TestTokensOfContinuations(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, filepath.Join("..", "testdata", "conformance", "models", "gpt2-text"))
	for _, params := range []map[string]string{{"special": "replace", "fill": "zero"}, {"fill": "delete"}, {"fill_by": "token", "fill": "delete"}, {"fill": "hide"}} {
		for _, units := range []string{core.UnitsToken, core.UnitsWord, "spans:0-8,13-17"} {
			params["num_samples"] = "30"
			x, err := host.Explain(t.Context(), model, core.Request{
				Input: core.Input{Text: "the film was good"}, Target: "continuation: and not dull", Runtime: core.RuntimeNative, Units: units, Params: params,
			})
			if err != nil {
				t.Errorf("%v, %s: %v", params, units, err)
				continue
			}
			fixed := 0
			for i, token := range x.Input.Tokens {
				if !token.Fixed {
					continue
				}
				fixed++
				if slices.ContainsFunc(x.Input.Units, func(u core.Unit) bool { return slices.Contains(u.Tokens, i) }) {
					t.Errorf("%v, %s: token %d is fixed and in a unit", params, units, i)
				}
			}
			if fixed < len(x.Target.Steps) || len(x.Target.Steps) == 0 {
				t.Errorf("%v, %s: %d tokens are fixed", params, units, fixed)
			}
		}
	}
}

// TestTargetsOfNothing: where the whole text is dropped, a target inside of it is read
// at the token that begins a text, as one at the end is.
func TestTargetsOfNothing(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, filepath.Join("..", "testdata", "conformance", "models", "gpt2-text"))
	baselines := make(map[string]core.Float)
	for _, target := range []string{"token:5@0", "token:5@2", "token:5@-1"} {
		x, err := host.Explain(t.Context(), model, core.Request{
			Input: core.Input{Text: "the film was good"}, Method: "leave-one-out", Target: target, Output: sdk.Logit, Runtime: core.RuntimeNative, Units: core.UnitsSentence,
		})
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		baselines[target] = *x.Target.Baseline
	}
	for target, baseline := range baselines {
		if baseline != baselines["token:5@-1"] {
			t.Errorf("%s has the baseline %v, want %v", target, baseline, baselines["token:5@-1"])
		}
	}
}

// TestSpecialTokensOfTasks: special tokens are dropped where they take part, also
// where the units are words.
func TestSpecialTokensOfTasks(t *testing.T) {
	host := newHost(t, core.Options{})
	qa := open(t, host, withVocabulary(t, "bert-qa", "bert-text", "vocab.txt"))
	pair := "the film was good ."
	r := core.Request{
		Input: core.Input{Text: "was it good ?", Pair: &pair}, Target: "start@6", Output: sdk.Logit, Runtime: core.RuntimeNative,
		Params: map[string]string{"special": "replace", "num_samples": "60"},
	}
	for _, fill := range []string{"mask", "zero", "hide"} {
		r.Params["fill"] = fill
		x, err := host.Explain(t.Context(), qa, r)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(x.Input.Units); n != len(x.Input.Tokens) || n != len(x.Attributions[0].Values) || x.Attributions[0].Values[0] == 0 {
			t.Errorf("%s: %d units of %d tokens, %v", fill, n, len(x.Input.Tokens), x.Attributions[0].Values)
		}
	}
}

// TestTwoStreamsOfTexts: XLNet explains the token that predict says comes next.
func TestTwoStreamsOfTexts(t *testing.T) {
	host := newHost(t, core.Options{})
	model := xlnet(t, core.Options{})
	p, err := model.Predict(t.Context(), []core.Input{{Text: "the film was"}}, core.PredictOptions{})
	if err != nil {
		t.Fatal(err)
	}
	best := p.Rows[0].Readouts[0].Top[0]
	for _, target := range []string{"", "continuation: good film"} {
		x, err := host.Explain(t.Context(), model, core.Request{
			Input: core.Input{Text: "the film was"}, Target: target, Runtime: core.RuntimeNative, Params: map[string]string{"num_samples": "40", "fill": "delete"}, Steps: target != "",
		})
		if err != nil {
			t.Fatal(err)
		}
		if target == "" && (x.Target.Index != int(best.ID) || math.Abs(float64(x.Target.Value)-best.Prob) > 1e-6) {
			t.Errorf("%+v is explained, and predict says %+v", x.Target, best)
		}
		if !slices.ContainsFunc(x.Attributions[0].Values, func(v core.Float) bool { return v != 0 }) {
			t.Errorf("nothing counts: %v", x.Attributions[0].Values)
		}
		sum := 0.0
		for _, s := range x.Target.Steps {
			sum += float64(s.Value)
		}
		if target != "" && math.Abs(sum-float64(x.Target.Value)) > 1e-9 {
			t.Errorf("%v of steps %+v", x.Target.Value, x.Target.Steps)
		}
	}
}
