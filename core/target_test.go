package core

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine/arch"
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
			got, err := grammar{task: arch.SequenceClassification, labels: labels, outputs: len(labels)}.parse(test.expr, "")
			if err != nil {
				t.Fatal(err)
			}
			classes := []int{-1, -1}
			for i, p := range got.parts {
				classes[i] = got.branches[0].cells[p.cells[0]].class
			}
			if classes[0] != test.class || classes[1] != test.minus {
				t.Errorf("class %d minus %d, want %d minus %d", classes[0], classes[1], test.class, test.minus)
			}
			kind, second, label := sdk.KindClass, 0, ""
			if test.minus >= 0 {
				kind, second, label = sdk.KindDifference, test.minus, labels[test.minus]
			}
			if got.kind != kind || got.index != test.class || got.second != second || got.secondLabel != label {
				t.Errorf("it is a %s of %d and of %d, %q", got.kind, got.index, got.second, got.secondLabel)
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
		{"POSITIVE - positive", "", singleLabel, "takes something from itself"},
		{" label:NEGATIVE - 0", sdk.Logit, multiLabel, `"label:NEGATIVE - 0" takes`},
		{"0 - 0", "", regression, "takes something from itself"},
	}
	for _, test := range tests {
		t.Run(test.expr+" "+string(test.output), func(t *testing.T) {
			_, err := grammar{task: arch.SequenceClassification, labels: []string{"NEGATIVE", "POSITIVE"}, head: test.h}.parse(test.expr, test.output)
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
		name   string
		expr   string
		output sdk.Output
		h      head
		want   float64
	}{
		{"logit", "2", sdk.Logit, singleLabel, 4},
		{"prob", "2", "", singleLabel, math.Exp(4) / z},
		{"logprob", "0", sdk.LogProb, singleLabel, 1 - math.Log(z)},
		{"difference of probs", "2 - 0", sdk.Prob, singleLabel, (math.Exp(4) - math.Exp(1)) / z},
		{"multi-label prob", "1", sdk.Prob, multiLabel, 1 / (1 + math.Exp(-2))},
		{"multi-label logprob", "1", sdk.LogProb, multiLabel, -math.Log1p(math.Exp(-2))},
		{"regression", "0", "", regression, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			target, err := grammar{task: arch.SequenceClassification, labels: []string{"a", "b", "c"}, outputs: 3, head: test.h}.parse(test.expr, test.output)
			if err != nil {
				t.Fatal(err)
			}
			c := scale{output: target.output, head: test.h, classes: 3}
			if got := target.value(logits, c); math.Abs(got-test.want) > 1e-15*10 {
				t.Errorf("value %.17g, want %.17g", got, test.want)
			}
			// What is kept of the answers of other models says the same.
			target.whole = false
			var spots []spot
			for _, cell := range target.branches[0].cells {
				spots = append(spots, spot{class: cell.class})
			}
			if got := target.value(c.read(nil, logits, spots), c); math.Abs(got-test.want) > 1e-15*10 {
				t.Errorf("value %.17g of what is kept, want %.17g", got, test.want)
			}
		})
	}
}

// TestClassLabels: a class whose label is blank is named by its number, in what people
// read and not in what selects it.
func TestClassLabels(t *testing.T) {
	g := grammar{task: arch.SequenceClassification, labels: []string{"", "good", " \t"}, outputs: 3}
	got, err := g.parse("0 - 1", "")
	if err != nil || got.label != "class 0 - good" || got.expr != "0 - 1" || got.secondLabel != "good" {
		t.Errorf("%+v, %v", got, err)
	}
	if one, err := g.parse("2", ""); err != nil || one.label != " \t" || one.named() != `the class "class 2"` {
		t.Errorf("%+v, %v", one, err)
	}
	_, err = g.parse("bad", "")
	if e, ok := errors.AsType[*Error](err); !ok || e.Hint != "the classes are class 0, good, class 2" {
		t.Errorf("%+v", err)
	}
}
