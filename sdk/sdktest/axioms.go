package sdktest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

var axiomChecks = []check{
	{"axioms/linear", "On a linear model the values rank the words as their weights do, and are nearly proportional to them (of a method that needs gradients, their magnitudes may be).", (*kit).linear},
	{"axioms/exact", "On a linear model the values are its weights, where the author claims that.", (*kit).exact},
	{"axioms/dummy", "A word that the model does not read has the value 0, within the standard error or a twentieth of the largest value.", (*kit).dummy},
	{"axioms/symmetry", "Two words that the model treats alike have the same value, within five standard errors or a tenth of the largest value.", (*kit).symmetry},
	{"axioms/interaction", "Two words that matter only together have larger values than those that hardly matter.", (*kit).interaction},
	{"axioms/efficiency", "The values sum to the target's value minus its baseline, where the author claims that.", (*kit).efficiency},
}

// weights are those of the linear model, in the order of its text.
var weights = []toy.Term{
	{Coef: 1.5, Words: []string{"good"}}, {Coef: -1.25, Words: []string{"dull"}}, {Coef: 3, Words: []string{"superb"}}, {Coef: 0.5, Words: []string{"okay"}},
	{Coef: -2, Words: []string{"awful"}}, {Coef: 1, Words: []string{"fine"}}, {Coef: 2.25, Words: []string{"great"}}, {Coef: -0.5, Words: []string{"slow"}},
}

// The models of the axioms, with their texts.
var (
	linear     = toy.Formula(0.25, weights...)
	linearText = "good dull superb okay awful fine great slow"

	unread     = toy.Formula(-0.5, toy.Term{Coef: 2, Words: []string{"good"}}, toy.Term{Coef: -3, Words: []string{"not", "good"}}, toy.Term{Coef: 1, Words: []string{"film", "rain"}})
	unreadText = "rain good grey not film"

	alike     = toy.Formula(0, toy.Term{Coef: 1.5, Words: []string{"left"}}, toy.Term{Coef: 1.5, Words: []string{"right"}}, toy.Term{Coef: -1, Words: []string{"left", "right"}}, toy.Term{Coef: 2, Words: []string{"sun"}})
	alikeText = "left cold sun right"

	product     = toy.Formula(0, toy.Term{Coef: 3, Words: []string{"storm", "sea"}}, toy.Term{Coef: 0.25, Words: []string{"calm"}}, toy.Term{Coef: -0.25, Words: []string{"day"}})
	productText = "calm storm grey sea day"
)

// onFormula explains the first class of a formula, on the scale of its logit. The
// verdict is set where there is nothing to look at.
func (k *kit) onFormula(m *toy.Model, text string) (*explanation, *verdict) {
	if _, v := k.reference(); v != nil {
		return nil, v
	}
	s, err := m.Open(toy.Input{Text: text, Target: "0", Output: sdk.Logit})
	if err != nil {
		return nil, &verdict{Fail, err.Error()}
	}
	x := k.explain(job{session: s})
	wrong := k.failure(x)
	if code := codeOf(x.err); wrong != "" && k.inside() && (code == sdk.EName || code == sdk.EUnsupported) {
		return nil, &verdict{Skip, "the method looks inside of models, where this one has nothing: " + x.err.Error()}
	}
	if wrong != "" {
		return nil, &verdict{Fail, wrong}
	}
	return x, nil
}

// words returns the value and the standard error of each word of a text whose
// tokens are its words, the latter 0 where there are none.
func (x *explanation) words() (values, stderr []float64, err error) {
	a := x.Attributions[0]
	at := func(i int) (float64, float64) {
		if a.Stderr == nil {
			return a.Values[i], 0
		}
		return a.Values[i], a.Stderr[i]
	}
	for i, t := range x.request.Tokens {
		if t.Special {
			continue
		}
		place := i
		if a.Over == sdk.OverUnits {
			place = slices.IndexFunc(unitsOf(x.Explanation, x.request), func(u sdk.Unit) bool {
				if len(u.Tokens) > 0 {
					return slices.Equal(u.Tokens, []int{i})
				}
				return slices.Equal(u.Spans, []sdk.Span{{Start: t.Start, End: t.End}})
			})
		}
		if place < 0 {
			return nil, nil, fmt.Errorf("the method's own units are not the words of the text: none is %q", t.Text)
		}
		v, e := at(place)
		values, stderr = append(values, v), append(stderr, e)
	}
	return values, stderr, nil
}

// wordsOf is onFormula and words.
func (k *kit) wordsOf(m *toy.Model, text string) (values, stderr []float64, v *verdict) {
	x, v := k.onFormula(m, text)
	if v != nil {
		return nil, nil, v
	}
	values, stderr, err := x.words()
	if err != nil {
		return nil, nil, &verdict{Skip, err.Error()}
	}
	return values, stderr, nil
}

// listed words the values of a text's words.
func listed(text string, values []float64) string {
	var out []string
	for i, w := range strings.Fields(text) {
		out = append(out, fmt.Sprintf("%s %.4g", w, values[i]))
	}
	return strings.Join(out, ", ")
}

func largest(values []float64) float64 {
	m := 0.0
	for _, v := range values {
		m = max(m, math.Abs(v))
	}
	return m
}

// coefficients returns the weights of the linear model.
func coefficients() []float64 {
	var out []float64
	for _, t := range weights {
		out = append(out, t.Coef)
	}
	return out
}

func (k *kit) linear() verdict {
	values, _, v := k.wordsOf(linear, linearText)
	if v != nil {
		return *v
	}
	want := coefficients()
	if wrong := proportional(values, want); wrong == "" {
		return passed("")
	} else if !slices.Contains(k.info.Needs, sdk.NeedGradients) {
		return failed("%s: %s, for the weights %s", wrong, listed(linearText, values), listed(linearText, want))
	}
	for _, list := range [][]float64{values, want} {
		for i, v := range list {
			list[i] = math.Abs(v)
		}
	}
	if wrong := proportional(values, want); wrong != "" {
		return failed("%s, by magnitude too: %s, for the weights %s", wrong, listed(linearText, values), listed(linearText, want))
	}
	return passed("the magnitudes are proportional to those of the weights")
}

// proportional returns what keeps values from being those wanted times a positive
// number: another order, or a cosine below 0.98.
func proportional(values, want []float64) string {
	for i := range values {
		for j := range values {
			if want[i] > want[j]+1e-9 && !(values[i] > values[j]) {
				return "the order is another"
			}
		}
	}
	if c := num.Dot(values, want) / math.Sqrt(num.Dot(values, values)*num.Dot(want, want)); !(c >= 0.98) {
		return fmt.Sprintf("the cosine is %.3f", c)
	}
	return ""
}

func (k *kit) exact() verdict {
	values, _, v := k.wordsOf(linear, linearText)
	if v != nil {
		return *v
	}
	gap, scale := 0.0, 0.0
	for i, w := range coefficients() {
		gap, scale = max(gap, math.Abs(values[i]-w)), max(scale, math.Abs(w))
		if math.IsNaN(values[i]) {
			gap = math.Inf(1)
		}
	}
	if !k.options.Exact {
		return skipped("not claimed; the largest gap is %.3g", gap)
	}
	if gap > k.options.Tolerance*scale {
		return failed("the largest gap is %.3g: %s, for the weights %s", gap, listed(linearText, values), listed(linearText, coefficients()))
	}
	return passed("")
}

func (k *kit) dummy() verdict {
	values, stderr, v := k.wordsOf(unread, unreadText)
	if v != nil {
		return *v
	}
	const grey = 2
	if limit := max(5*stderr[grey], largest(values)/20); !(math.Abs(values[grey]) <= limit) {
		return failed("%s, where grey is not read", listed(unreadText, values))
	}
	return passed("")
}

func (k *kit) symmetry() verdict {
	values, stderr, v := k.wordsOf(alike, alikeText)
	if v != nil {
		return *v
	}
	const left, right = 0, 3
	gap := math.Abs(values[left] - values[right])
	if limit := max(5*math.Hypot(stderr[left], stderr[right]), largest(values)/10); !(gap <= limit) {
		return failed("%s, where left and right are alike", listed(alikeText, values))
	}
	return passed("")
}

func (k *kit) interaction() verdict {
	values, _, v := k.wordsOf(product, productText)
	if v != nil {
		return *v
	}
	const storm, sea = 1, 3
	for i, v := range values {
		if i != storm && i != sea && !(math.Abs(v) < min(values[storm], values[sea])) {
			return failed("%s, where storm and sea make up the target", listed(productText, values))
		}
	}
	return passed("")
}

func (k *kit) efficiency() verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	if k.options.Additive && k.first.Baseline == nil {
		return failed("the method returns no baseline")
	}
	if k.first.Baseline == nil {
		return skipped("not claimed, and the method returns no baseline")
	}
	runs := []*explanation{k.first}
	if !k.inside() {
		x, v := k.onFormula(unread, unreadText)
		if v != nil {
			return *v
		}
		runs = append(runs, x)
	}
	got := ""
	for _, x := range runs {
		if x.Baseline == nil {
			return failed("the method returns no baseline for %q", x.request.Text)
		}
		values := x.Attributions[0].Values
		sum, want := num.Sum(values), x.request.Target.Value-*x.Baseline
		scale := max(math.Abs(x.request.Target.Value), math.Abs(*x.Baseline), largest(values))
		got = fmt.Sprintf("the values of %q sum to %.6g, and the target's value minus its baseline is %.6g", x.request.Text, sum, want)
		if k.options.Additive && !(math.Abs(sum-want) <= k.options.Tolerance*scale) {
			return failed("%s", got)
		}
	}
	if !k.options.Additive {
		return skipped("not claimed; %s", got)
	}
	return passed("")
}
