package gradient

import (
	"math"
	"strconv"

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

// cancels warns where the components of every gradient sum to nothing but rounding.
func (s *result) cancels(gradient []float64) {
	if s.how != reduceSum && s.how != reduceMean || s.request.Log == nil {
		return
	}
	sums, sizes := reduced(reduceL1, s.reduced(reduceSum, gradient)), reduced(reduceL1, s.reduced(reduceL1, gradient))
	if sizes > 0 && sums < float64(1e-5*sizes) {
		s.request.Log(sdk.Warning, "the components of the gradient cancel, so that their sum is rounding alone: a layer norm ignores what all components have in common; use reduce=l2 or l1")
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
// tokens, by which the sum of integrated values may be off before the user is
// warned.
const (
	toleratedGap  = 0.05
	toleratedPart = 0.01
)

// warn warns where the sum of integrated values is off, and says how many of the
// steps of a rule should do.
func (s *result) warn(values []float64, baseline float64, kind, rule string, n int) {
	sum, whole := num.Sum(values), s.request.Target.Value-baseline
	magnitude := reduced(reduceL1, s.reduced(reduceSum, values))
	tolerated := max(float64(toleratedGap*math.Abs(whole)), float64(toleratedPart*magnitude))
	gap := math.Abs(sum - whole)
	if gap <= tolerated || s.request.Log == nil {
		return
	}
	asCaptum := s.request.Params.String(paramCompat) == captum
	remedy := "use another ig_method, such as gausslegendre"
	if n = enough(rule, n, gap/tolerated, asCaptum); n > 0 {
		remedy = "use n_steps=" + strconv.Itoa(n) + ", or max_gap=0.01, which finds how many"
	}
	if kind == baseZero {
		remedy += "; where that does not help, baseline=average, as some models jump at zero vectors"
	}
	s.request.Log(sdk.Warning, "the attributions sum to "+number(sum)+", and the target is "+number(whole)+" above its value at the baseline: "+remedy)
}

// number words a number for a sentence.
func number(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }
