package core

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
)

// stepwise is an explanation of a continuation and its n steps that nothing speaks
// against.
func stepwise(n int) *Explanation {
	x := undoubted()
	x.Target.Output = "logprob"
	x.Target.Value, *x.Target.Baseline = -1, -4
	for i := range n {
		baseline := Float(-2)
		x.Target.Steps = append(x.Target.Steps, Step{Text: fmt.Sprintf(" w%d", i), Value: -0.5, Baseline: &baseline})
		a := x.Attributions[0]
		a.Name = fmt.Sprintf("step.%d", i)
		x.Attributions = append(x.Attributions, a)
		x.Diagnostics[a.Name+".r2"], x.Diagnostics[a.Name+".effective_samples"] = 0.9, 50
	}
	return x
}

// TestDoubtsOfSteps: what is wrong with a step is said with its number, and once of
// however many steps.
func TestDoubtsOfSteps(t *testing.T) {
	zero := func(x *Explanation, steps ...int) {
		for _, i := range steps {
			x.Attributions[1+i].Values, x.Attributions[1+i].Stderr = []Float{0, 0, 0}, nil
		}
	}
	flat := func(x *Explanation, steps ...int) {
		for _, i := range steps {
			x.Target.Steps[i].Value = *x.Target.Steps[i].Baseline
		}
	}
	const isZero = "All scores are zero: by this method and its settings, no part of the input moves the output."
	for name, c := range map[string]struct {
		make func(x *Explanation)
		want []string
	}{
		"nothing":  {func(x *Explanation) {}, nil},
		"one step": {func(x *Explanation) { zero(x, 1) }, []string{`zero: In step 1 (" w1"), all scores are zero: by this method and its settings, no part of the input moves the output.`}},
		"some":     {func(x *Explanation) { zero(x, 1, 3) }, []string{`zero: In 2 of 4 steps, as in step 1 (" w1"), all scores are zero: by this method and its settings, no part of the input moves the output.`}},
		"all":      {func(x *Explanation) { zero(x, 0, 1, 2, 3) }, []string{`zero: In all 4 steps, as in step 0 (" w0"), all scores are zero: by this method and its settings, no part of the input moves the output.`}},
		"the total too": {func(x *Explanation) {
			zero(x, -1, 1, 2)
		}, []string{"zero: " + isZero + " The same is true of 2 of 4 steps."}},
		"the total and a step": {func(x *Explanation) { zero(x, -1, 2) }, []string{"zero: " + isZero + " The same is true of step 2."}},
		"the total alone":      {func(x *Explanation) { zero(x, -1) }, []string{"zero: " + isZero}},
		"a baseline of its own": {func(x *Explanation) { flat(x, 2) }, []string{
			`flat: In step 2 (" w2"), the output without the input, -2, is almost the same: the scores say little. Another fill or baseline may say more.`,
		}},
		"diagnostics of its own": {func(x *Explanation) {
			x.Diagnostics["step.3.r2"] = 0.2
			x.Diagnostics["step.30.r2"], x.Diagnostics["step.x.r2"], x.Diagnostics["step.-1.r2"] = 0.2, 0.2, 0.2
		}, []string{`fidelity: In step 3 (" w3"), added up, the scores foretell 20 % of how the output varies between parts of the input (r² 0.20): units act together, of which one score each says little.`}},
		"in the order of codes": {func(x *Explanation) {
			x.Diagnostics["step.0.r2"] = -1
			x.Diagnostics[DiagUnknown] = 1
			zero(x, 2)
			flat(x, 1)
		}, []string{
			`zero: In step 2 (" w2"), all scores are zero: by this method and its settings, no part of the input moves the output.`,
			`flat: In step 1 (" w1"), the output without the input, -2, is almost the same: the scores say little. Another fill or baseline may say more.`,
			`fidelity: In step 0 (" w0"), added up, the scores foretell what the model says of parts of the input no better than a constant (r² -1.00): units act together.`,
			"unknown: 1 of 5 tokens are unknown to the model, which cannot tell them apart.",
		}},
		"what is of all is said once": {func(x *Explanation) {
			x.Method.Needs = []sdk.Need{sdk.NeedForward, sdk.NeedAttentions}
			for i := range x.Attributions {
				x.Attributions[i].Values = []Float{0.3, 0.2, 0.1}
			}
			x.Input.Dropped, x.Diagnostics[DiagFloat32Attributed] = make([]Token, 1), 0.2
		}, []string{
			"attention: Attention says what the model reads, not what changes its answer, nor which way.",
			"rounding: In 8 bits a score is off by up to 0.2, and the largest is 0.3: float32 is exact.",
			"cut: 1 token did not fit the model, which did not read it: no score speaks of it.",
		}},
		"a long token": {func(x *Explanation) { x.Target.Steps[1].Text = strings.Repeat("w", 99); zero(x, 1) }, []string{"zero: In step 1, all scores are zero: by this method and its settings, no part of the input moves the output."}},
		"steps that were not asked for": {func(x *Explanation) {
			x.Attributions = x.Attributions[:1]
			flat(x, 0, 1)
		}, nil},
		"a single step": {func(x *Explanation) {
			x.Attributions, x.Target.Steps = x.Attributions[:2], x.Target.Steps[:1]
			zero(x, -1, 0)
		}, []string{"zero: " + isZero}},
	} {
		t.Run(name, func(t *testing.T) {
			x := stepwise(4)
			c.make(x)
			before := fmt.Sprint(x.Attributions, x.Diagnostics, x.Target)
			var got []string
			for _, d := range doubts(x) {
				got = append(got, string(d.Code)+": "+d.Text)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if fmt.Sprint(x.Attributions, x.Diagnostics, x.Target) != before {
				t.Error("the explanation is another now")
			}
		})
	}
}
