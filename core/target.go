package core

import (
	"strconv"
	"strings"

	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// head says how a classifier's logits become probabilities.
type head int

const (
	singleLabel head = iota // softmax over the classes
	multiLabel              // a sigmoid a class
	regression              // the logit is the output
)

// target selects one scalar of a classifier's logits: the output of a class, or
// the difference of two.
type target struct {
	expr   string // with indices of classes
	output sdk.Output
	class  int
	minus  int // the class that is subtracted; -1 where there is none
}

// parseTarget reads the target expression of a classifier: CLASS, label:NAME
// or A - B. An integer is an index; anything else is a label, matched exactly,
// then by case folding. The output defaults to the probability of a class and
// to the logit of a regression.
func parseTarget(expr string, output sdk.Output, labels []string, h head) (target, error) {
	switch output {
	case "":
		output = sdk.Prob
		if h == regression {
			output = sdk.Logit
		}
	case sdk.Logit:
	case sdk.Prob, sdk.LogProb:
		if h == regression {
			return target{}, usage("a regression model has no probabilities", "use --output logit")
		}
	default:
		return target{}, usage("unknown output "+strconv.Quote(string(output)), "use logit, prob or logprob")
	}
	t := target{output: output, minus: -1}
	var err error
	if t.class, err = parseClass(expr, labels); err == nil {
		t.expr = strconv.Itoa(t.class)
		return t, nil
	}
	for at := 0; ; {
		i := strings.Index(expr[at:], " - ")
		if i < 0 {
			return target{}, err
		}
		i += at
		a, errA := parseClass(expr[:i], labels)
		b, errB := parseClass(expr[i+len(" - "):], labels)
		if errA == nil && errB == nil {
			t.class, t.minus = a, b
			t.expr = strconv.Itoa(a) + " - " + strconv.Itoa(b)
			return t, nil
		}
		if err = errA; err == nil {
			err = errB
		}
		at = i + len(" - ")
	}
}

// parseClass resolves the name of one class.
func parseClass(name string, labels []string) (int, error) {
	name = strings.TrimSpace(name)
	for _, prefix := range []string{"token:", "start@", "end@", "span:", "continuation:"} {
		if strings.HasPrefix(name, prefix) {
			return 0, usage("target "+prefix+"… does not apply to a classifier", "name a class: "+strings.Join(labels, ", "))
		}
	}
	label, forced := strings.CutPrefix(name, "label:")
	if !forced {
		if i, err := strconv.Atoi(name); err == nil {
			if i < 0 || i >= len(labels) {
				return 0, usage("class "+name+" does not exist: the model has "+strconv.Itoa(len(labels))+" classes", "use 0 to "+strconv.Itoa(len(labels)-1))
			}
			return i, nil
		}
	}
	for i, l := range labels {
		if l == label {
			return i, nil
		}
	}
	found := -1
	for i, l := range labels {
		if strings.EqualFold(l, label) {
			if found >= 0 {
				return 0, usage("label "+strconv.Quote(label)+" matches more than one class", "spell it exactly: "+strings.Join(labels, ", "))
			}
			found = i
		}
	}
	if found >= 0 {
		return found, nil
	}
	hint := "the classes are " + strings.Join(labels, ", ")
	if near, ok := nearest.Of(label, labels); ok {
		hint = "did you mean " + near + "? " + hint
	}
	return 0, usage("the model has no class "+strconv.Quote(label), hint)
}

// argmax is the class with the largest logit, the first of equals: what is
// explained when no target is named.
func argmax(logits []float64) int {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return best
}

// value reads the target from one row of logits.
func (t target) value(logits []float64, h head) float64 {
	outputs := logits
	switch t.output {
	case sdk.Prob:
		outputs = probs(logits, h)
	case sdk.LogProb:
		outputs = logProbs(logits, h)
	}
	v := outputs[t.class]
	if t.minus >= 0 {
		v -= outputs[t.minus]
	}
	return v
}

// probs returns the probabilities of one row of logits.
func probs(logits []float64, h head) []float64 {
	out := make([]float64, len(logits))
	switch h {
	case multiLabel:
		for i, v := range logits {
			out[i] = num.Sigmoid(v)
		}
	case singleLabel:
		num.Softmax(out, logits)
	default:
		copy(out, logits)
	}
	return out
}

// logProbs returns the logarithms of the probabilities, accurate where the
// probabilities themselves vanish.
func logProbs(logits []float64, h head) []float64 {
	out := make([]float64, len(logits))
	switch h {
	case multiLabel: // log σ(v) = −log(1+e^−v)
		for i, v := range logits {
			out[i] = -num.LogSumExp([]float64{0, -v})
		}
	case singleLabel:
		z := num.LogSumExp(logits)
		for i, v := range logits {
			out[i] = v - z
		}
	default:
		copy(out, logits)
	}
	return out
}

// describe returns the target as methods and reports see it.
func (t target) describe(labels []string, h head, value float64) sdk.Target {
	d := sdk.Target{Kind: "class", Expr: t.expr, Index: t.class, Label: labels[t.class], Output: t.output, Value: value}
	switch {
	case t.minus >= 0:
		d.Kind = "difference"
		d.Label += " - " + labels[t.minus]
	case h == regression:
		d.Kind = "regression"
	}
	return d
}
