package gradient

import (
	"context"
	"math"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// maxSteps bounds the places on the path.
const maxSteps = 4096

// IntegratedGradients integrates the gradient along the straight line from a
// baseline to the input: Sundararajan, Taly and Yan, "Axiomatic Attribution for
// Deep Networks", ICML 2017. The zero value is ready, and safe for concurrent use.
type IntegratedGradients struct{}

// Info implements sdk.Method.
func (IntegratedGradients) Info() sdk.Info {
	own := []sdk.Param{
		{
			Name: "n_steps", Aliases: []string{"steps", "num_steps"}, Type: sdk.Int, Default: int64(50), Min: sdk.Bound(1), Max: sdk.Bound(maxSteps),
			Doc: "places on the path from the baseline to the input, each a gradient",
		},
		{
			Name: "ig_method", Aliases: []string{"method"}, Type: sdk.Enum, Default: gaussLegendre,
			Values: []string{gaussLegendre, riemannLeft, riemannRight, riemannMiddle, trapezoid, riemannTrapezoid},
			Doc:    "the rule of integration; riemann_trapezoid is another name of trapezoid, whose weights sum to 1, and to (n-1)/n under compat=captum",
		},
		{
			Name: paramBaseline, Aliases: []string{"baselines"}, Type: sdk.Enum, Default: baseAuto,
			Values: []string{baseAuto, baseZero, basePad, baseMask, baseAverage, baseToken, baseText, "0"},
			Doc:    "what the path comes from: zero vectors (0 too), the padding or the mask token, the mean word embedding of the vocabulary, a token or a text; auto is text or token where one is given, else zero, but on XLNet average",
		},
	}
	own = append(own, baselineParams("the text of baseline=text: of as many tokens as the input, or of one, which stands at every position")...)
	own = append(own, sdk.Param{
		Name: "max_gap", Type: sdk.Float, Default: 0.0, Min: sdk.Bound(0), Max: sdk.Bound(1),
		Doc: "double n_steps, up to 4096, until the attributions sum to value - baseline but for this part of it; 0 does not",
	}, multiply())
	return sdk.Info{
		Name:    "integrated-gradients",
		Version: "1.0.0",
		Summary: "The gradient's integral on the way from a baseline to the input",
		Source:  "Sundararajan, Taly, Yan 2017, arXiv:1703.01365; captum IntegratedGradients and LayerIntegratedGradients",
		Needs:   []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedEmbeddings, sdk.NeedActivations, sdk.NeedPatch},
		Params:  common(reduceSum, own...),
	}
}

// Explain implements sdk.Method. The attribution of a component is the difference
// of the input and the baseline there, times the mean of the gradient on the line
// between them. Their sum is what the target is above its value at the baseline. With
// multiply=false it is that mean alone, which is a slope, and no sum is promised.
func (IntegratedGradients) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	p := r.Params
	n, rule := p.Int("n_steps"), p.String("ig_method")
	if n < 2 && (rule == trapezoid || rule == riemannTrapezoid) {
		return nil, invalid("the trapezoidal rule has two ends: use n_steps=2 or more")
	}
	if !p.Bool(paramMultiply) && p.Float("max_gap") > 0 {
		return nil, invalid("max_gap has no effect with multiply=false, whose values have no sum to miss: leave it out, or use more n_steps")
	}
	automatic := zeroOr(m.Info())
	if p.String(paramCompat) == captum {
		automatic = baseZero
	}
	names, err := kinds(p, false, automatic)
	if err != nil {
		return nil, err
	}
	f, err := newField(m, r)
	if err != nil {
		return nil, err
	}
	if _, err := f.read(ctx, false); err != nil {
		return nil, err
	}
	all, err := f.baselines(ctx, names[0], false)
	if err != nil {
		return nil, err
	}
	b := all[0]
	s := newResult(r, p.String(paramReduce))
	var half []float64 // the values with half of the steps
	for {
		values, err := f.integrate(ctx, b.values, rule, n, p.String(paramCompat) == captum)
		if err != nil {
			return nil, err
		}
		if !p.Bool(paramMultiply) {
			e := s.explanation(values)
			s.cancels(e, values)
			diagnose(e, "n_steps", float64(n))
			return e, nil
		}
		gap, whole := math.Abs(num.Sum(values)-(r.Target.Value-b.output)), math.Abs(r.Target.Value-b.output)
		if limit := p.Float("max_gap"); limit > 0 && gap > float64(limit*whole) && n < maxSteps {
			n = min(2*n, maxSteps)
			half = s.sums(s.tokens(values))
			continue
		}
		e := s.explanation(values)
		s.complete(e, values, b.output)
		s.suggest(e, values, b.output, rule, n)
		diagnose(e, "n_steps", float64(n))
		if half != nil {
			change := 0.0
			for i, v := range e.Attributions[0].Values {
				change = max(change, math.Abs(v-half[i]))
			}
			diagnose(e, "half_steps_difference", change)
		}
		return e, nil
	}
}

// integrate returns the attribution of each component: the gradient's mean on the way
// from the baseline, times the difference from it unless multiply=false.
func (f *field) integrate(ctx context.Context, from []float64, rule string, n int, asCaptum bool) ([]float64, error) {
	places, weights := quadrature(rule, n, asCaptum)
	mean := make([]float64, f.size())
	f.done, f.total = 0, n
	err := f.walk(ctx, n, func(i int, row []float64) {
		for j, b := range from {
			row[j] = b + float64(places[i]*(f.values[j]-b))
		}
	}, func(i int, gradient []float64) {
		for j, g := range gradient {
			mean[j] += float64(weights[i] * g)
		}
	})
	if err != nil {
		return nil, err
	}
	if f.request.Params.Bool(paramMultiply) {
		for j, b := range from {
			mean[j] = float64(mean[j] * (f.values[j] - b))
		}
	}
	return mean, nil
}
