package core

import (
	"math"
	"strings"
	"testing"

	"github.com/xai-go/xai/sdk"
)

func TestParseTarget(t *testing.T) {
	labels := []string{"NEGATIVE", "Positive", "1", "A - B", "positively"}
	tests := []struct {
		expr         string
		class, minus int
	}{
		{"0", 0, -1},
		{"1", 1, -1},
		{"label:1", 2, -1},
		{"NEGATIVE", 0, -1},
		{"positive", 1, -1},
		{"A - B", 3, -1},
		{"Positive - NEGATIVE", 1, 0},
		{"A - B - 0", 3, 0},
		{"1 - 0", 1, 0},
		{"label:1 - label:A - B", 2, 3},
	}
	for _, test := range tests {
		t.Run(test.expr, func(t *testing.T) {
			got, err := parseTarget(test.expr, "", labels, singleLabel)
			if err != nil {
				t.Fatal(err)
			}
			if got.class != test.class || got.minus != test.minus {
				t.Errorf("class %d minus %d, want %d minus %d", got.class, got.minus, test.class, test.minus)
			}
		})
	}
}

func TestParseTargetRefuses(t *testing.T) {
	tests := []struct {
		expr   string
		output sdk.Output
		h      head
		want   string
	}{
		{"5", "", singleLabel, "class 5 does not exist"},
		{"-1", "", singleLabel, "class -1 does not exist"},
		{"POSITVE", "", singleLabel, "no class"},
		{"token:5@1", "", singleLabel, "does not apply"},
		{"0", "odds", singleLabel, "unknown output"},
		{"0", sdk.Prob, regression, "no probabilities"},
		{"0 - nobody", "", singleLabel, "nobody"},
	}
	for _, test := range tests {
		t.Run(test.expr+" "+string(test.output), func(t *testing.T) {
			_, err := parseTarget(test.expr, test.output, []string{"NEGATIVE", "POSITIVE"}, test.h)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one that says %q", err, test.want)
			}
			if KindOf(err) != KindUsage {
				t.Errorf("kind %d, want KindUsage", KindOf(err))
			}
		})
	}
}

func TestTargetValue(t *testing.T) {
	logits := []float64{1, 2, 4}
	z := math.Exp(1) + math.Exp(2) + math.Exp(4)
	tests := []struct {
		name string
		t    target
		h    head
		want float64
	}{
		{"logit", target{output: sdk.Logit, class: 2, minus: -1}, singleLabel, 4},
		{"prob", target{output: sdk.Prob, class: 2, minus: -1}, singleLabel, math.Exp(4) / z},
		{"logprob", target{output: sdk.LogProb, class: 0, minus: -1}, singleLabel, 1 - math.Log(z)},
		{"difference of probs", target{output: sdk.Prob, class: 2, minus: 0}, singleLabel, (math.Exp(4) - math.Exp(1)) / z},
		{"multi-label prob", target{output: sdk.Prob, class: 1, minus: -1}, multiLabel, 1 / (1 + math.Exp(-2))},
		{"multi-label logprob", target{output: sdk.LogProb, class: 1, minus: -1}, multiLabel, -math.Log1p(math.Exp(-2))},
		{"regression", target{output: sdk.Logit, class: 0, minus: -1}, regression, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.t.value(logits, test.h); math.Abs(got-test.want) > 1e-15*10 {
				t.Errorf("value %.17g, want %.17g", got, test.want)
			}
		})
	}
}
