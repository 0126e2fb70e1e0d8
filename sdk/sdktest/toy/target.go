package toy

import (
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// target is the output of a class, or the difference of two.
type target struct {
	output sdk.Output
	class  int
	minus  int // −1 where nothing is subtracted
}

// parseTarget reads CLASS, label:NAME or A - B. It is ENAME for a class that
// there is not.
func parseTarget(expr string, output sdk.Output, labels []string) (target, error) {
	t := target{output: output, minus: -1}
	switch output {
	case "":
		t.output = sdk.Prob
	case sdk.Logit, sdk.Prob, sdk.LogProb:
	default:
		return t, invalid("the output " + strconv.Quote(string(output)) + " is neither logit, prob nor logprob")
	}
	var ok bool
	if t.class, ok = parseClass(expr, labels); ok {
		return t, nil
	}
	if a, b, found := strings.Cut(expr, " - "); found {
		if t.class, ok = parseClass(a, labels); ok {
			if t.minus, ok = parseClass(b, labels); ok {
				return t, nil
			}
		}
	}
	return t, sdk.NewError(sdk.EName, "the model has no target "+strconv.Quote(expr)+": the classes are "+strings.Join(labels, ", "))
}

func parseClass(name string, labels []string) (int, bool) {
	name = strings.TrimSpace(name)
	label, forced := strings.CutPrefix(name, "label:")
	if i, err := strconv.Atoi(name); err == nil && !forced {
		return i, i >= 0 && i < len(labels)
	}
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for i, l := range labels {
			if same(l, label) {
				return i, true
			}
		}
	}
	return 0, false
}

// describe returns the target as methods see it.
func (t target) describe(labels []string, logits []float64) sdk.Target {
	d := sdk.Target{Kind: sdk.KindClass, Expr: strconv.Itoa(t.class), Index: t.class, Label: labels[t.class], Output: t.output, Value: t.value(logits), Positions: []int{0}}
	if t.minus >= 0 {
		d.Kind = sdk.KindDifference
		d.Expr += " - " + strconv.Itoa(t.minus)
		d.Second, d.SecondLabel = t.minus, labels[t.minus]
		d.Label += " - " + d.SecondLabel
	}
	return d
}

// outputs returns the outputs of the classes on a scale.
func outputs(logits []float64, output sdk.Output) []float64 {
	out := make([]float64, len(logits))
	switch output {
	case sdk.Prob:
		return num.Softmax(out, logits)
	case sdk.LogProb:
		z := num.LogSumExp(logits)
		for i, v := range logits {
			out[i] = v - z
		}
		return out
	}
	copy(out, logits)
	return out
}

// value reads the target from the logits.
func (t target) value(logits []float64) float64 {
	out := outputs(logits, t.output)
	if t.minus >= 0 {
		return out[t.class] - out[t.minus]
	}
	return out[t.class]
}

// slope returns the gradient of the target at the logits: of the class c it is
// δ for a logit, p·(δ − p) for a probability and δ − p for its logarithm.
func (t target) slope(logits []float64) []float64 {
	out := make([]float64, len(logits))
	p := outputs(logits, sdk.Prob)
	add := func(class int, sign float64) {
		for i := range out {
			delta := 0.0
			if i == class {
				delta = 1
			}
			switch t.output {
			case sdk.Logit:
				out[i] += float64(sign * delta)
			case sdk.Prob:
				out[i] += float64(float64(sign*p[class]) * (delta - p[i]))
			case sdk.LogProb:
				out[i] += float64(sign * (delta - p[i]))
			}
		}
	}
	add(t.class, 1)
	if t.minus >= 0 {
		add(t.minus, -1)
	}
	return out
}

// argmax is the index of the largest, the first of equals.
func argmax(v []float64) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}
