// Package lime explains a prediction by a linear model that imitates the model
// near the input: Ribeiro, Singh and Guestrin, "Why Should I Trust You?",
// KDD 2016.
//
// The features are the units of the request, or the distinct ones among them,
// or, under compat=lime, the words that the authors' own implementation
// (github.com/marcotcr/lime, lime_text.py and lime_base.py) cuts the text into,
// with its defaults and its random stream. A sample of variants of the input
// with features dropped is evaluated, weighted by a kernel on its distance from
// the input, and fitted by a weighted ridge regression on the features that a
// selection leaves.
//
// Beyond the reference it returns standard errors, the weighted R² and the
// model's value with every feature dropped, and its samples come from the run's
// seed alone, so that two runs agree.
package lime

import (
	"context"
	"slices"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// Method is LIME for text. The zero value is ready, and safe for concurrent
// use.
type Method struct{}

// Methods returns the methods of the family.
func Methods() []sdk.Method { return []sdk.Method{Method{}} }

// Explain implements sdk.Method. The attribution of a unit is its weight in the
// linear model: what keeping it adds to the target. A unit that the selection
// left out has the weight 0 and no standard error (NaN). The baseline is the
// target with every feature dropped; it takes no part in the fit.
func (Method) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := resolve(r, m.Info())
	if err != nil {
		return nil, err
	}
	own, over, err := features(r, s)
	if err != nil {
		return nil, err
	}
	n := len(r.Units)
	if own != nil {
		n = len(own)
	}
	if err := s.checkSize(n); err != nil {
		return nil, err
	}
	usual := s.samples
	if usual == usualSamples {
		s.samples = game.Most(r.Params, usual, min(maxSamples, maxCells/n))
	}
	h, err := newSample(s, r, n)
	if err != nil {
		return nil, err
	}
	ev := evaluations{model: m, forward: sdk.Forward{Over: over, Fill: s.fill}, target: r.Target, classes: s.topLabels > 0}
	f, err := s.approximate(ctx, h, &ev, usual)
	if err != nil {
		return nil, err
	}
	e := &sdk.Explanation{
		Units:       own,
		Baseline:    &ev.baseline,
		Diagnostics: []sdk.Diagnostic{{Name: sdk.DiagEffective, Value: effective(f.weights)}},
	}
	f.surrogate.report(e, "attributions", "", n)
	a := e.Attributions[0]
	e.Diagnostics = append(e.Diagnostics, game.Gap(a.Values, ev.y[0], ev.baseline))
	e.Diagnostics = append(e.Diagnostics, game.Certain(a.Values, a.Stderr)...)
	for _, class := range ev.scores.top(s.topLabels) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		y := ev.scores.column(class)
		regression, err := f.regression.WithTarget(y)
		if err != nil {
			return nil, sdk.NewError(sdk.EInternal, err.Error())
		}
		surrogate, err := s.fit(h.neighbourhood, f.weights, y, regression)
		if err != nil {
			return nil, err
		}
		name := sdk.ClassName(class)
		surrogate.report(e, name, name+".", n)
		e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: name + ".baseline", Value: ev.empty[class]})
	}
	game.SpreadTokens(r, e)
	return e, nil
}

// fitted is the surrogate of a sample, with the weights of the sample's rows and the
// regression that it comes from.
type fitted struct {
	weights    []float64
	regression *num.Regression
	surrogate  *surrogate
}

// approximate evaluates the sample and fits the surrogate to it. Under max_stderr the
// sample grows until the errors are small enough, or it has as many rows as there may be:
// more than usual only as far as there is room for the outputs of all classes.
func (s settings) approximate(ctx context.Context, h *sample, ev *evaluations, usual int) (fitted, error) {
	for most := s.samples; ; {
		if err := ev.run(ctx, h.neighbourhood); err != nil {
			return fitted{}, err
		}
		if most > usual && ev.classes {
			most = max(h.n, min(most, maxScores/ev.scores.count))
		}
		f := fitted{weights: kernel(h.distances(s.metric), s.width)}
		var err error
		if f.regression, err = num.NewRegression(h.keep, h.n, h.features, ev.y, f.weights); err != nil {
			return f, sdk.NewError(sdk.EInternal, err.Error())
		}
		if f.surrogate, err = s.fit(h.neighbourhood, f.weights, ev.y, f.regression); err != nil {
			return f, err
		}
		if h.n == most || slices.Max(f.surrogate.stderr) <= s.maxStderr {
			return f, nil
		}
		if err := h.extend(min(2*h.n, most)); err != nil {
			return f, err
		}
	}
}

// evaluations are what the model says of the samples.
type evaluations struct {
	model    sdk.Model
	forward  sdk.Forward // but for its rows
	target   sdk.Target
	classes  bool      // scores is wanted
	y        []float64 // the target's value, of each sample
	scores   classes   // of each sample
	empty    []float64 // the outputs of every class with every feature dropped
	baseline float64   // the target's value with every feature dropped
}

// run evaluates the samples that are new, and first of all the baseline, behind
// them.
func (ev *evaluations) run(ctx context.Context, h *neighbourhood) error {
	f, done := ev.forward, len(ev.y)
	rows := h.n - done
	keep := h.keep[done*h.features:]
	if done == 0 {
		rows++
		keep = append(keep, make([]uint8, h.features)...)
	}
	f.Units = sdk.NewTensor(keep, rows, h.features)
	reply, err := ev.model.Forward(ctx, &f)
	if err != nil {
		return err
	}
	y, err := game.Column(reply, sdk.ReplyTarget, rows)
	if err != nil {
		return err
	}
	var scores classes
	if ev.classes {
		scores.rows = rows
		if scores.values, scores.count, err = game.Classes(reply, ev.target, rows); err != nil {
			return err
		}
	}
	if done == 0 {
		ev.baseline, ev.empty = y[h.n], slices.Clone(scores.values[h.n*scores.count:])
	}
	ev.y = append(ev.y, y[:h.n-done]...)
	ev.scores.count = scores.count
	ev.scores.values = append(ev.scores.values, scores.values[:(h.n-done)*scores.count]...)
	ev.scores.rows = h.n
	return ctx.Err()
}

// features returns the features that are no units of the request, the reference's
// own words or the distinct units, nil where the units serve; and as what the host
// drops them, nil for the request's units.
func features(r *sdk.Request, s settings) (own, over []sdk.Unit, err error) {
	if s.compat {
		if r.Text == "" && (r.TextPair == nil || *r.TextPair == "") {
			return nil, nil, sdk.NewError(sdk.EUnsupported, "compat=lime reads words from a text and the input has none: use compat=none for raw token ids")
		}
		texts := []string{r.Text}
		if r.TextPair != nil {
			texts = append(texts, *r.TextPair)
		}
		if own = ownUnits(texts, s); len(own) == 0 {
			return nil, nil, invalid("the text has no words between its separators: give a text with words, another split_expression or char_level=true")
		}
		return own, own, nil
	}
	players, over := game.Players(r)
	if len(players) == 0 {
		return nil, nil, game.NoUnits()
	}
	if s.special {
		own = players
	}
	if !s.bow {
		return own, over, nil
	}
	own = bagOfWords(players)
	if over == nil {
		return own, own, nil
	}
	return own, game.ByToken(own), nil
}

// classes are the outputs of every class, on the scale of the target.
type classes struct {
	rows, count int
	values      []float64 // [rows,count]
}

// top returns the k classes with the largest output on the input, or all of
// them, the largest first and the lower index first of equals.
func (c classes) top(k int) []int { return game.Largest(c.values[:c.count], k) }

// column returns the outputs of one class.
func (c classes) column(class int) []float64 {
	out := make([]float64, c.rows)
	for i := range out {
		out[i] = c.values[i*c.count+class]
	}
	return out
}
