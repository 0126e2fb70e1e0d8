package core

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/sdk"
)

// undoubted is an explanation that nothing speaks against.
func undoubted() *Explanation {
	baseline := Float(0.5)
	return &Explanation{
		Method:       MethodRef{Name: "m", Needs: []sdk.Need{sdk.NeedForward}, Params: map[string]any{"num_samples": int64(100)}},
		Input:        InputRef{Tokens: make([]Token, 5), Units: []Unit{{Tokens: []int{1}}, {Tokens: []int{2}}, {Tokens: []int{3}}}},
		Target:       Target{Output: "prob", Value: 0.95, Baseline: &baseline},
		Attributions: []Attribution{{Name: "attributions", Over: "units", Values: []Float{0.3, 0.2, -0.05}, Stderr: []Float{0.01, 0.01, 0.01}}},
		Diagnostics: Diagnostics{
			"evaluations": 100, "r2": 0.9, "max_stderr": 0.01, "certain_top": 3, "effective_samples": 50, "unsplit": 0, "special_share": 0.2,
		},
	}
}

// TestDoubts: each rule finds what it looks for, and not what is just within its
// bound.
func TestDoubts(t *testing.T) {
	baseline := func(x *Explanation, value, baseline Float) { x.Target.Value, x.Target.Baseline = value, &baseline }
	scores := func(x *Explanation, v ...Float) { x.Attributions[0].Values, x.Attributions[0].Stderr = v, nil }
	stages := func(x *Explanation, v ...Float) {
		x.Sanity = &Sanity{}
		for _, v := range v {
			x.Sanity.Stages = append(x.Sanity.Stages, SanityStage{Values: v, Magnitudes: v})
		}
	}
	without := func(x *Explanation, names ...string) {
		for _, name := range names {
			delete(x.Diagnostics, name)
		}
	}
	many := []Float{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
	for _, c := range []struct {
		name string
		make func(x *Explanation)
		want []DoubtCode
		text string // of the first
	}{
		{"nothing", func(x *Explanation) {}, nil, ""},
		{"nothing but scores", func(x *Explanation) { x.Diagnostics, x.Target.Baseline = nil, nil }, nil, ""},
		{"no attributions", func(x *Explanation) { x.Attributions = nil }, nil, ""},
		{"zeros", func(x *Explanation) { scores(x, 0, 0, 0) }, []DoubtCode{DoubtZero}, "All scores are zero"},
		{"one zero", func(x *Explanation) { scores(x, 0, 0.1, 0) }, nil, ""},
		{"equal", func(x *Explanation) { scores(x, 0.1, 0.1, 0.1) }, []DoubtCode{DoubtEqual}, "the same"},
		{"equal but for the sign", func(x *Explanation) { scores(x, 0.1, -0.1, 0.1) }, nil, ""},
		{"one unit", func(x *Explanation) { scores(x, 0.3) }, []DoubtCode{DoubtOneUnit}, "one unit"},
		{"one unit beside fixed ones", func(x *Explanation) {
			x.Input.Tokens[2].Fixed, x.Input.Tokens[3].Fixed = true, true
		}, []DoubtCode{DoubtOneUnit}, "one unit"},
		{"tokens, special ones without a score", func(x *Explanation) {
			x.Attributions[0].Over = sdk.OverTokens
			x.Input.Tokens[0].Special, x.Input.Tokens[4].Special = true, true
			scores(x, 0, 0.1, 0.1, 0.1, 0)
		}, []DoubtCode{DoubtEqual}, ""},

		{"flat", func(x *Explanation) { baseline(x, 0.97, 0.9703) }, []DoubtCode{DoubtFlat}, "0.9703, is almost the same"},
		{"flat below zero", func(x *Explanation) { x.Target.Output = "logit"; baseline(x, -2, -2.01) }, []DoubtCode{DoubtFlat}, ""},
		{"an infinite baseline", func(x *Explanation) { x.Target.Output = "logit"; baseline(x, 2, Float(math.Inf(1))) }, nil, ""},
		{"nothing at all", func(x *Explanation) { baseline(x, 0, 0) }, []DoubtCode{DoubtFlat}, ""},
		{"across zero", func(x *Explanation) { x.Target.Output = "logit"; baseline(x, 0.001, -0.001) }, nil, ""},
		{"leaning", func(x *Explanation) { baseline(x, 0.96, 0.72) }, []DoubtCode{DoubtLeaning}, "is 0.72 already, of 0.96 with it"},
		{"leaning less", func(x *Explanation) { baseline(x, 0.96, 0.71) }, nil, ""},
		{"leaning the other way", func(x *Explanation) { baseline(x, 0.5, 0.9) }, nil, ""},
		{"leaning logit", func(x *Explanation) { x.Target.Output = "logit"; baseline(x, 0.96, 0.8) }, nil, ""},

		{"saturated", func(x *Explanation) { x.Target.Value = 0.99; x.Method.Needs = []sdk.Need{sdk.NeedGradients} }, []DoubtCode{DoubtSaturated}, "0.99, is near the end"},
		{"saturated at 0", func(x *Explanation) {
			x.Target.Value, x.Target.Baseline = 0.005, nil
			x.Method.Needs = []sdk.Need{sdk.NeedGradients}
		}, []DoubtCode{DoubtSaturated}, ""},
		{"not yet saturated", func(x *Explanation) { x.Target.Value = 0.989; x.Method.Needs = []sdk.Need{sdk.NeedGradients} }, nil, ""},
		{"saturated difference", func(x *Explanation) {
			x.Target.Kind, x.Target.Value, x.Target.Baseline = sdk.KindDifference, -0.995, nil
			x.Method.Needs = []sdk.Need{sdk.NeedGradients}
		}, []DoubtCode{DoubtSaturated}, "The difference of probabilities, -0.995, is near the end"},
		{"a difference that is not saturated", func(x *Explanation) {
			x.Target.Kind, x.Target.Value, x.Target.Baseline = sdk.KindDifference, -0.3, nil
			x.Method.Needs = []sdk.Need{sdk.NeedGradients}
		}, nil, ""},
		{"saturated logit", func(x *Explanation) {
			x.Target.Value, x.Target.Output = 5, "logit"
			x.Method.Needs = []sdk.Need{sdk.NeedGradients}
		}, nil, ""},
		{"saturated without gradients", func(x *Explanation) { x.Target.Value = 0.999 }, nil, ""},
		{"saturated at the end of a path", func(x *Explanation) {
			x.Target.Value, x.Diagnostics["relative_gap"] = 0.999, 0
			x.Method.Needs = []sdk.Need{sdk.NeedGradients}
		}, nil, ""},
		{"saturated at the end of a path, without its sum", func(x *Explanation) {
			x.Target.Value, x.Target.Baseline, x.Method.Params["baseline"] = 0.999, nil, "zero"
			x.Method.Needs = []sdk.Need{sdk.NeedGradients}
		}, nil, ""},

		{"gap", func(x *Explanation) {
			without(x, "r2")
			x.Diagnostics["relative_gap"], x.Diagnostics["completeness_gap"] = 0.06, 0.027
		}, []DoubtCode{DoubtGap}, "add up to 0.45, by which the input moves the output, and miss it by 6 %"},
		{"tolerable gap", func(x *Explanation) { without(x, "r2"); x.Diagnostics["relative_gap"] = 0.05 }, nil, ""},
		{"gap of a surrogate", func(x *Explanation) { x.Diagnostics["completeness_gap"] = -0.4 }, nil, ""},
		{"together", func(x *Explanation) { without(x, "r2"); x.Diagnostics["completeness_gap"] = -0.4 }, []DoubtCode{DoubtTogether}, "add up to 0.05, and the whole input moves the output by 0.45"},
		{"together, whatever r² says", func(x *Explanation) {
			without(x, "effective_samples", "max_stderr", "certain_top")
			x.Diagnostics["completeness_gap"] = -0.4
		}, []DoubtCode{DoubtTogether}, "add up to 0.05"},
		{"samples, judged by r²", func(x *Explanation) {
			without(x, "effective_samples")
			x.Diagnostics["completeness_gap"] = -0.4
		}, nil, ""},
		{"mostly alone", func(x *Explanation) { without(x, "r2"); x.Diagnostics["completeness_gap"] = -0.2 }, nil, ""},
		{"fidelity", func(x *Explanation) { x.Diagnostics["r2"] = 0.42 }, []DoubtCode{DoubtFidelity}, "42 %"},
		{"no fidelity", func(x *Explanation) { x.Diagnostics["r2"] = -1.07 }, []DoubtCode{DoubtFidelity}, "no better than a constant (r² -1.07)"},
		{"just enough fidelity", func(x *Explanation) { x.Diagnostics["r2"] = 0.5 }, nil, ""},
		{"unknown fidelity", func(x *Explanation) { x.Diagnostics["r2"] = Float(math.NaN()) }, nil, ""},

		{"noise", func(x *Explanation) { x.Attributions[0].Stderr = []Float{0.15, 0.01, 0.01} }, []DoubtCode{DoubtNoise}, "0.3, is no more than 2 standard errors"},
		{"order, as the method says", func(x *Explanation) { x.Diagnostics["certain_top"] = 0 }, []DoubtCode{DoubtOrder}, ""},
		{"order, by the errors", func(x *Explanation) {
			without(x, "certain_top")
			x.Attributions[0].Stderr = []Float{0.04, 0.04, 0}
		}, []DoubtCode{DoubtOrder}, ""},
		{"a certain order, by the errors", func(x *Explanation) {
			without(x, "certain_top")
			x.Attributions[0].Stderr = []Float{0.03, 0.03, 0}
		}, nil, ""},
		{"stopped", func(x *Explanation) { x.Method.Params["max_stderr"] = 0.009 }, []DoubtCode{DoubtStopped}, "standard error of 0.01, and 0.009 was asked for"},
		{"reached", func(x *Explanation) { x.Method.Params["max_stderr"] = 0.01 }, nil, ""},
		{"not asked for", func(x *Explanation) { x.Method.Params["max_stderr"] = 0.0 }, nil, ""},
		{"stopped at a gap", func(x *Explanation) {
			without(x, "r2")
			x.Method.Params["max_gap"], x.Diagnostics["relative_gap"] = 0.01, 0.02
		}, []DoubtCode{DoubtStopped}, "a gap of 2 %, and 1 %"},
		{"unsplit", func(x *Explanation) { x.Diagnostics["unsplit"] = 0.03 }, []DoubtCode{DoubtUnsplit}, "0.03 of the scores"},
		{"little unsplit", func(x *Explanation) { x.Diagnostics["unsplit"] = 0.02 }, nil, ""},
		{"samples of one unit", func(x *Explanation) {
			x.Diagnostics["effective_samples"] = 1.782
			x.Attributions[0].Values, x.Attributions[0].Stderr = x.Attributions[0].Values[:1], x.Attributions[0].Stderr[:1]
		}, []DoubtCode{DoubtOneUnit, DoubtSamples}, "1.782 effective samples for 1 unit:"},
		{"a penalty on one unit", func(x *Explanation) {
			x.Method.Params["alpha"] = 1.0
			x.Diagnostics["effective_samples"], x.Diagnostics["completeness_gap"] = 1.782, -0.4
			x.Attributions[0].Values, x.Attributions[0].Stderr = x.Attributions[0].Values[:1], x.Attributions[0].Stderr[:1]
		}, []DoubtCode{DoubtOneUnit, DoubtSamples}, "with alpha=0, or by leave-one-out"},
		{"a selection that left none", func(x *Explanation) {
			scores(x, 0, 0, 0)
			without(x, "effective_samples")
			x.Diagnostics["r2"], x.Diagnostics["max_stderr"], x.Diagnostics["completeness_gap"] = -0.05, 0, -0.4
		}, []DoubtCode{DoubtZero}, "All scores are zero"},
		{"samples", func(x *Explanation) { x.Diagnostics["effective_samples"] = 5.9 }, []DoubtCode{DoubtSamples}, "5.9 effective samples for 3 units"},
		{"enough samples", func(x *Explanation) { x.Diagnostics["effective_samples"] = 6 }, nil, ""},

		{"attention", func(x *Explanation) {
			x.Method.Needs = []sdk.Need{sdk.NeedForward, sdk.NeedAttentions}
			scores(x, 0.3, 0.2, 0.1)
		}, []DoubtCode{DoubtAttention}, ""},
		{"attention and gradients", func(x *Explanation) {
			x.Method.Needs = []sdk.Need{sdk.NeedGradients, sdk.NeedAttentions}
			scores(x, 0.3, 0.2, 0.1)
		}, nil, ""},
		{"an effect of attention", func(x *Explanation) { x.Method.Needs = []sdk.Need{sdk.NeedForward, sdk.NeedAttentions} }, nil, ""},
		{"special", func(x *Explanation) { x.Diagnostics["special_share"] = 0.5 }, []DoubtCode{DoubtSpecial}, "50 %"},
		{"exact, of units that act together", func(x *Explanation) {
			scores(x, 0.3, 0.2, -0.05)
			baseline(x, 0.95, 0.5)
			without(x, "max_stderr", "certain_top")
			x.Diagnostics["r2"], x.Diagnostics["completeness_gap"] = -1.4, 1e-17
		}, nil, ""},
		{"sampled, of units that act together", func(x *Explanation) {
			x.Diagnostics["r2"], x.Diagnostics["completeness_gap"] = -1.4, 0
		}, []DoubtCode{DoubtFidelity}, "no better than a constant"},
		{"cancelled", func(x *Explanation) { x.Diagnostics["surviving_share"] = 0.9e-5 }, []DoubtCode{DoubtCancelled}, "rounding alone"},
		{"a sum that is something", func(x *Explanation) { x.Diagnostics["surviving_share"] = 1e-5 }, nil, ""},

		{"rounding", func(x *Explanation) { x.Diagnostics[DiagFloat32Attributed] = 0.031 }, []DoubtCode{DoubtRounding}, "by up to 0.031, and the largest is 0.3"},
		{"little rounding", func(x *Explanation) { x.Diagnostics[DiagFloat32Attributed] = 0.03 }, nil, ""},
		{"cut", func(x *Explanation) { x.Input.Dropped = make([]Token, 1) }, []DoubtCode{DoubtCut}, "1 token did not fit the model, which did not read it"},
		{"cut more", func(x *Explanation) { x.Input.Dropped = make([]Token, 4) }, []DoubtCode{DoubtCut}, "4 tokens did not fit the model, which did not read them"},
		{"variants", func(x *Explanation) { x.Diagnostics[DiagTruncated] = 2 }, []DoubtCode{DoubtVariants}, "2 variants of the text were too long"},
		{"unknown", func(x *Explanation) { x.Diagnostics[DiagUnknown] = 3 }, []DoubtCode{DoubtUnknown}, "3 of 5 tokens"},

		{"insensitive", func(x *Explanation) { scores(x, many...); stages(x, 0.1, 0.5) }, []DoubtCode{DoubtInsensitive}, "rank correlation 0.50"},
		{"sensitive in the end", func(x *Explanation) { scores(x, many...); stages(x, 1, 0.49) }, nil, ""},
		{"of few, all the same", func(x *Explanation) { stages(x, 1, 1) }, []DoubtCode{DoubtInsensitive}, ""},
		{"of few, the same by chance", func(x *Explanation) { stages(x, 0.5, 1) }, nil, ""},
		{"sensitive in sign", func(x *Explanation) {
			scores(x, many...)
			stages(x, 1)
			x.Sanity.Stages[0].Values = -1
		}, nil, ""},
		{"not to be compared", func(x *Explanation) { scores(x, many...); stages(x, Float(math.NaN())) }, nil, ""},

		{"several", func(x *Explanation) {
			baseline(x, 0.96, 0.9)
			x.Diagnostics["r2"], x.Diagnostics["certain_top"], x.Diagnostics[DiagUnknown] = 0.1, 0, 1
		}, []DoubtCode{DoubtLeaning, DoubtFidelity, DoubtOrder, DoubtUnknown}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := undoubted()
			c.make(x)
			got := doubts(x)
			if got == nil {
				t.Error("nil, which JSON would have as null")
			}
			var codes []DoubtCode
			for _, d := range got {
				codes = append(codes, d.Code)
				if !slices.Contains(doubtOrder, d.Code) {
					t.Errorf("%s has no place in the order", d.Code)
				}
				if d.Text == "" || !strings.HasSuffix(d.Text, ".") || strings.Contains(d.Text, "%!") {
					t.Errorf("%s: %q is no sentence", d.Code, d.Text)
				}
			}
			if !slices.Equal(codes, c.want) {
				t.Fatalf("doubts %v, want %v", got, c.want)
			}
			if len(got) > 0 && !slices.ContainsFunc(got, func(d Doubt) bool { return strings.Contains(d.Text, c.text) }) {
				t.Errorf("%q, want %q in one of them", got, c.text)
			}
		})
	}
}

// TestUnsigned: an attribution says itself what it is, or the explanation does, or
// the parameters and the needs of the method.
func TestUnsigned(t *testing.T) {
	positive := []Attribution{{Name: "attributions", Values: []Float{0.5, 0}}, {Name: "other", Values: []Float{0.5, -1}}}
	for _, c := range []struct {
		name string
		x    Explanation
		of   string
		want bool
	}{
		{"nothing said", Explanation{Attributions: positive}, "attributions", false},
		{"said", Explanation{Diagnostics: Diagnostics{"unsigned": 1}}, "attributions", true},
		{"said of all", Explanation{Diagnostics: Diagnostics{"unsigned": 1}}, "class.0", true},
		{"said of another", Explanation{Diagnostics: Diagnostics{"unsigned": 1, "class.1.unsigned": 0}}, "class.1", false},
		{"said against the parameters", Explanation{Diagnostics: Diagnostics{"unsigned": 0}, Method: MethodRef{Params: map[string]any{"reduce": "l2"}}}, "attributions", false},
		{"norm", Explanation{Method: MethodRef{Params: map[string]any{"reduce": "l2"}}}, "attributions", true},
		{"sum", Explanation{Method: MethodRef{Params: map[string]any{"reduce": "sum", "abs": false}}}, "attributions", false},
		{"magnitudes", Explanation{Method: MethodRef{Params: map[string]any{"reduce": "sum", "abs": true}}}, "attributions", true},
		{"attention", Explanation{Method: MethodRef{Needs: []sdk.Need{sdk.NeedAttentions}}, Attributions: positive}, "attributions", true},
		{"attention with a sign", Explanation{Method: MethodRef{Needs: []sdk.Need{sdk.NeedAttentions}}, Attributions: positive}, "other", false},
	} {
		if got := c.x.Unsigned(c.of); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestRankCorrelations(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name               string
		a, b               []float64
		values, magnitudes float64
	}{
		{"same", []float64{1, -3, 2}, []float64{10, -30, 20}, 1, 1},
		{"other signs", []float64{1, -3, 2}, []float64{-1, 3, -2}, -1, 1},
		{"a constant beside another", []float64{1, 1}, []float64{2, 2}, 1, 1},
		{"a constant beside none", []float64{1, 1}, []float64{1, 2}, 0, 0},
		{"none beside a constant", []float64{1, -1}, []float64{1, 1}, 0, 1},
		{"other units", []float64{1, 2}, []float64{1, 2, 3}, nan, nan},
		{"one", []float64{1}, []float64{1}, nan, nan},
		{"not finite", []float64{1, 2}, []float64{nan, 2}, nan, nan},
		{"infinite", []float64{1, math.Inf(1)}, []float64{1, 2}, nan, nan},
		{"ties", []float64{1, 1, 2}, []float64{1, 2, 3}, math.Sqrt(3) / 2, math.Sqrt(3) / 2},
	} {
		values, magnitudes := rankCorrelations(c.a, c.b)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 || math.IsNaN(a) && math.IsNaN(b) }
		if !near(values, c.values) || !near(magnitudes, c.magnitudes) {
			t.Errorf("%s: %v and %v, want %v and %v", c.name, values, magnitudes, c.values, c.magnitudes)
		}
	}
}
