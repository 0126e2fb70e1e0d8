package gradient

import (
	"math"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// result turns values of tokens into an explanation.
type result struct {
	request *sdk.Request
	how     string // reduction
	units   []sdk.Unit
	own     bool // units are not the request's
	sizes   bool // the values of components are, which say how much and not which way
	over    string
}

// newResult returns what the values of a request run over: its units, or these
// and the special tokens.
func newResult(r *sdk.Request, how string) *result {
	s := &result{request: r, how: how, units: r.Units, over: sdk.OverUnits}
	if r.Params.String(paramSpecial) == "keep" {
		return s
	}
	if r.Text == "" && r.TextPair == nil { // token ids, whose units are the tokens
		s.over = sdk.OverTokens
		return s
	}
	s.units, s.own = game.WithSpecial(r), true
	return s
}

// sums returns the values of units from those of tokens.
func (s *result) sums(tokens []float64) []float64 {
	if s.over == sdk.OverTokens {
		return tokens
	}
	out := make([]float64, len(s.units))
	for i, u := range s.units {
		for _, t := range u.Tokens {
			out[i] += tokens[t]
		}
	}
	return out
}

// tokens returns the value of each token from those of its components. A token
// that is marked to be kept has none.
func (s *result) tokens(values []float64) []float64 { return s.reduced(s.how, values) }

func (s *result) reduced(how string, values []float64) []float64 {
	out := make([]float64, len(s.request.Tokens))
	width := len(values) / len(out)
	for i, t := range s.request.Tokens {
		if !t.Fixed {
			out[i] = reduced(how, values[i*width:(i+1)*width])
		}
	}
	return out
}

// explanation returns the result that attributes to each component the value that
// it has.
func (s *result) explanation(values []float64) *sdk.Explanation {
	tokens := s.tokens(values)
	e := &sdk.Explanation{
		Attributions: []sdk.Attribution{
			{Name: "attributions", Over: s.over, Values: s.sums(tokens)},
			{Name: "token_attributions", Over: sdk.OverTokens, Values: tokens},
		},
	}
	if s.sizes || s.how == reduceL1 || s.how == reduceL2 {
		diagnose(e, "unsigned", 1)
	}
	if s.own {
		e.Units = s.units
	}
	if s.request.Params.Bool(paramDetailed) {
		n := len(tokens)
		e.Tensors = []sdk.NamedTensor{{
			Name: paramDetailed, Axes: []string{"token", "component"},
			Tensor: *sdk.NewTensor(values, n, len(values)/n),
		}}
	}
	return e
}

// cancels adds the diagnostic surviving_share where the components of a gradient are
// summed: the magnitudes of the sums as a part of those of the components. Next to
// nothing is left of a gradient at the input of a layer norm, which ignores what all
// components have in common; the host's doubt says so.
func (s *result) cancels(e *sdk.Explanation, gradient []float64) {
	if s.how != reduceSum && s.how != reduceMean {
		return
	}
	sums, sizes := reduced(reduceL1, s.reduced(reduceSum, gradient)), reduced(reduceL1, s.reduced(reduceL1, gradient))
	if sizes > 0 {
		diagnose(e, "surviving_share", sums/sizes)
	}
}

// diagnose adds a diagnostic.
func diagnose(e *sdk.Explanation, name string, value float64) {
	e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: name, Value: value})
}

// complete adds the baseline, and how far the values of all components are from
// adding up to what the target is above it: completeness_gap, and relative_gap, the
// gap as a part of that.
func (s *result) complete(e *sdk.Explanation, values []float64, baseline float64) {
	e.Baseline = &baseline
	gap := game.Gap(values, s.request.Target.Value, baseline)
	e.Diagnostics = append(e.Diagnostics, gap)
	if whole := s.request.Target.Value - baseline; whole != 0 {
		diagnose(e, "relative_gap", math.Abs(gap.Value/whole))
	}
}

// The parts of what the target is above its baseline, and of the magnitudes of all
// tokens, by which the sum of integrated values may be off before more steps are
// suggested.
const (
	toleratedGap  = 0.05
	toleratedPart = 0.01
)

// suggest adds the diagnostic suggested_steps where the sum of integrated values is
// off: how many of the steps of the rule should do. Where none would there is no such.
func (s *result) suggest(e *sdk.Explanation, values []float64, baseline float64, rule string, n int) {
	whole := s.request.Target.Value - baseline
	magnitude := reduced(reduceL1, s.reduced(reduceSum, values))
	tolerated := max(float64(toleratedGap*math.Abs(whole)), float64(toleratedPart*magnitude))
	gap := math.Abs(num.Sum(values) - whole)
	if gap <= tolerated {
		return
	}
	if n = enough(rule, n, gap/tolerated, s.request.Params.String(paramCompat) == captum); n > 0 {
		diagnose(e, "suggested_steps", float64(n))
	}
}
