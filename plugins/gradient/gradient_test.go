package gradient

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
)

// relu returns the positive part of x and its slope.
func relu(x float64) (float64, float64) {
	if x > 0 {
		return x, 1
	}
	return 0, 0
}

// The toy models of captum's tests.

// basicModel is 1 − relu(1−x) of each number, summed.
func basicModel(x []float64) (y float64, slope []float64) {
	for _, v := range x {
		r, s := relu(1 - v)
		y += 1 - r
		slope = append(slope, s)
	}
	return y, slope
}

// basicModel2 is relu(relu(x₀) − 1 − relu(x₁)).
func basicModel2(x []float64) (float64, []float64) {
	a, da := relu(x[0])
	b, db := relu(x[1])
	y, s := relu(a - 1 - b)
	return y, []float64{s * da, -s * db}
}

// basicModel3 is relu(relu(x₀−1) − relu(x₁)): the same function, computed in
// another way.
func basicModel3(x []float64) (float64, []float64) {
	a, da := relu(x[0] - 1)
	b, db := relu(x[1])
	y, s := relu(a - b)
	return y, []float64{s * da, -s * db}
}

// multiLayer is the first output of a network of one hidden layer: the hidden
// numbers are the sum of the inputs − 10, and three times that sum + 1; the output
// is their sum − 1.
func multiLayer(x []float64) (float64, []float64) {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	a, da := relu(sum - 10)
	b, db := relu(sum + 1)
	return a + 3*b - 1, slices.Repeat([]float64{da + 3*db}, len(x))
}

// TestPublishedNumbers holds the methods to what captum's own tests expect of its
// toy models.
func TestPublishedNumbers(t *testing.T) {
	m := newCurve(basicModel, 1, 2, 3, 0, -1, 7)
	near(t, "saliency", m.explain(t, Saliency{}, "compat", "captum").Attributions[0].Values, []float64{0, 0, 0, 1, 1, 0}, 0)
	near(t, "input-x-gradient", m.explain(t, InputXGradient{}).Attributions[0].Values, []float64{0, 0, 0, 0, -1, 0}, 0)

	// relu(relu(x−1)·2 − relu(z)·3)[1] of x = 1.5, 2, 34.3 and z = 3, 3.5, 23.2: it
	// is 0, and so is its gradient.
	multi := newCurve(func(x []float64) (float64, []float64) {
		a, da := relu(x[1] - 1)
		b, db := relu(x[4])
		y, s := relu(2*a - 3*b)
		return y, []float64{0, 2 * s * da, 0, 0, -3 * s * db, 0}
	}, 1.5, 2, 34.3, 3, 3.5, 23.2)
	near(t, "saliency", multi.explain(t, Saliency{}, "abs", true).Attributions[0].Values, make([]float64, 6), 0)

	for name, f := range map[string]function{"BasicModel2": basicModel2, "BasicModel3": basicModel3} {
		for _, rule := range []string{gaussLegendre, riemannLeft, riemannRight, riemannMiddle, riemannTrapezoid} {
			e := newCurve(f, 3, 1).explain(t, IntegratedGradients{}, "compat", "captum", "ig_method", rule, "n_steps", 1500)
			near(t, name+" "+rule, e.Attributions[0].Values, []float64{1.5, -0.5}, 0.05)
		}
		e := newCurve(f, 3, 1).explain(t, GradientSHAP{}, "compat", "captum", "num_samples", 10_000)
		near(t, name+" expected gradients", e.Attributions[0].Values, []float64{1.5, -0.5}, 5*slices.Max(e.Attributions[0].Stderr))
	}
	for _, x := range []float64{1, 0, -1} {
		e := newCurve(basicModel, x).explain(t, IntegratedGradients{})
		near(t, "BasicModel", []float64{e.Attributions[0].Values[0], diagnostic(t, e, "completeness_gap")}, []float64{min(x, 1), 0}, 1e-12)
	}
	// A gradient that does not change between 10/sum and 1 of the way; the sum is
	// what the output changes by.
	e := newCurve(multiLayer, 0, 100, 0).explain(t, IntegratedGradients{}, "n_steps", 1500)
	near(t, "BasicModel_MultiLayer", e.Attributions[0].Values, []float64{0, 390, 0}, 0.05)
}

// TestImplementationInvariance: two networks that are the same function have the
// same attributions.
func TestImplementationInvariance(t *testing.T) {
	for _, x := range [][]float64{{3, 1}, {1.5, 0.25}, {0.5, 1}, {4, -2}} {
		for _, method := range []sdk.Method{Saliency{}, InputXGradient{}, IntegratedGradients{}, SmoothGrad{}, GradientSHAP{}} {
			var values [][]float64
			for _, f := range []function{basicModel2, basicModel3} {
				m := newCurve(f, x...)
				m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25}, sdk.FillMask: {-0.5}}
				values = append(values, m.explain(t, method).Attributions[0].Values)
			}
			if diff := cmp.Diff(values[0], values[1]); diff != "" {
				t.Errorf("%s at %v: %s", method.Info().Name, x, diff)
			}
		}
	}
}

func TestQuadrature(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 7, 10, 50, 101, 1000, maxSteps} {
		places, weights := quadrature(gaussLegendre, n, false)
		for i := range places {
			if !(places[i] > 0 && places[i] < 1) || i > 0 && !(places[i] > places[i-1]) || !(weights[i] > 0) {
				t.Fatalf("%d places: place %d is %v, with the weight %v", n, i, places[i], weights[i])
			}
		}
		for degree := range min(2*n, 40) {
			integral := 0.0
			for i, x := range places {
				integral += weights[i] * math.Pow(x, float64(degree))
			}
			if want := 1 / float64(degree+1); math.Abs(integral-want) > 1e-13 {
				t.Errorf("%d places: ∫x^%d is %v, want %v", n, degree, integral, want)
			}
		}
	}
	for rule, c := range map[string]struct {
		captum          bool
		places, weights []float64
	}{
		riemannLeft:      {false, []float64{0, 0.25, 0.5, 0.75}, []float64{0.25, 0.25, 0.25, 0.25}},
		riemannRight:     {false, []float64{0.25, 0.5, 0.75, 1}, []float64{0.25, 0.25, 0.25, 0.25}},
		riemannMiddle:    {false, []float64{0.125, 0.375, 0.625, 0.875}, []float64{0.25, 0.25, 0.25, 0.25}},
		trapezoid:        {false, []float64{0, 1. / 3, 2. / 3, 1}, []float64{1. / 6, 1. / 3, 1. / 3, 1. / 6}},
		riemannTrapezoid: {true, []float64{0, 1. / 3, 2. / 3, 1}, []float64{0.125, 0.25, 0.25, 0.125}},
	} {
		places, weights := quadrature(rule, 4, c.captum)
		near(t, rule, places, c.places, 1e-16)
		near(t, rule, weights, c.weights, 1e-16)
	}
}

// sentence is a model of [CLS] a b c [SEP] in two components a token, where the
// second word has the tokens b and c, and d is marked to be kept.
func sentence() *curve {
	m := newCurve(nil, 9, 9, 1, 2, 3, 4, 5, 6, 7, 7, 8, 8)
	m.width = 2
	m.tokens = []sdk.Token{
		{Text: "[CLS]", Special: true}, {Text: "a", Start: 0, End: 1}, {Text: "b", Start: 2, End: 3}, {Text: "##c", Start: 3, End: 4},
		{Text: "d", Fixed: true, Start: 5, End: 6}, {Text: "[SEP]", Special: true},
	}
	m.fills = map[sdk.FillKind][]float64{sdk.FillPad: {0.5, -0.5}, sdk.FillMask: {0, 0}, sdk.FillAverage: {0, 0}}
	m.f = func(x []float64) (y float64, slope []float64) {
		slope = make([]float64, len(x))
		for j, v := range x {
			y += float64(j+1) * v
			slope[j] = float64(j + 1)
		}
		return y, slope
	}
	return m
}

// words makes a request's units two words.
func words(r *sdk.Request) *sdk.Request {
	r.Text = "a bc d"
	r.Units = []sdk.Unit{
		{Text: "a", Spans: []sdk.Span{{Start: 0, End: 1}}, Tokens: []int{1}},
		{Text: "bc", Spans: []sdk.Span{{Start: 2, End: 4}}, Tokens: []int{2, 3}},
	}
	return r
}

// TestUnits: a unit has the sum of its tokens, a special token is one where it is
// replaced, and what is marked to be kept has nothing.
func TestUnits(t *testing.T) {
	for name, c := range map[string]struct {
		method        sdk.Method
		changes       []any
		units, tokens []float64
	}{
		"saliency":          {Saliency{}, []any{"reduce", "sum"}, []float64{7, 26}, []float64{3, 7, 11, 15, 0, 23}},
		"mean":              {Saliency{}, []any{"reduce", "mean"}, []float64{3.5, 13}, []float64{1.5, 3.5, 5.5, 7.5, 0, 11.5}},
		"norm":              {Saliency{}, nil, []float64{5, math.Sqrt(61) + math.Sqrt(113)}, []float64{math.Sqrt(5), 5, math.Sqrt(61), math.Sqrt(113), 0, math.Sqrt(265)}},
		"special":           {Saliency{}, []any{"reduce", "sum", "special", "replace"}, []float64{3, 7, 26, 23}, []float64{3, 7, 11, 15, 0, 23}},
		"input-x-gradient":  {InputXGradient{}, nil, []float64{11, 122}, []float64{27, 11, 39, 83, 0, 184}},
		"ig":                {IntegratedGradients{}, nil, []float64{11, 122}, []float64{0, 11, 39, 83, 0, 0}},
		"ig, pad":           {IntegratedGradients{}, []any{"baseline", "pad"}, []float64{11.5, 123}, []float64{0, 11.5, 39.5, 83.5, 0, 0}},
		"ig, all":           {IntegratedGradients{}, []any{"special", "replace"}, []float64{27, 11, 122, 184}, []float64{27, 11, 39, 83, 0, 184}},
		"ig, pad all":       {IntegratedGradients{}, []any{"baseline", "pad", "special", "replace"}, []float64{27.5, 11.5, 123, 184.5}, []float64{27.5, 11.5, 39.5, 83.5, 0, 184.5}},
		"smoothgrad":        {SmoothGrad{}, []any{"reduce", "sum"}, []float64{7, 26}, []float64{3, 7, 11, 15, 0, 23}},
		"vargrad":           {SmoothGrad{}, []any{"variant", "vargrad"}, []float64{0, 0}, []float64{0, 0, 0, 0, 0, 0}},
		"gradient-shap":     {GradientSHAP{}, []any{"num_samples", 6}, []float64{11, 122}, []float64{0, 11, 39, 83, 0, 0}},
		"gradient-shap pad": {GradientSHAP{}, []any{"num_samples", 4, "baseline", "pad,zero"}, []float64{11.25, 122.5}, []float64{0, 11.25, 39.25, 83.25, 0, 0}},
	} {
		for _, single := range []bool{false, true} {
			m := sentence()
			m.single = single
			e, err := c.method.Explain(t.Context(), m, words(m.request(c.method, append(c.changes, "embedding_attributions", true)...)))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			near(t, name, e.Attributions[0].Values, c.units, 1e-4)
			near(t, name+", tokens", e.Attributions[1].Values, c.tokens, 1e-4)
			if special := slices.Contains(c.changes, any("replace")); special != (e.Units != nil) || special && len(e.Units) != 4 {
				t.Errorf("%s: the units are %v", name, e.Units)
			}
			if e.Baseline != nil {
				near(t, name+", gap", []float64{diagnostic(t, e, "completeness_gap")}, []float64{0}, 1e-3)
			}
			tensor := e.Tensors[0]
			if tensor.Name != "embedding_attributions" || !slices.Equal(tensor.Shape, []int{6, 2}) || !slices.Equal(tensor.Axes, []string{"token", "component"}) {
				t.Errorf("%s: the tensor %s of %v is %v", name, tensor.Name, tensor.Axes, tensor.Shape)
			}
		}
	}
}

// TestTokenIDs: the units of token ids are the tokens, and special ones have none.
func TestTokenIDs(t *testing.T) {
	m := sentence()
	r := words(m.request(Saliency{}, "reduce", "sum", "special", "replace"))
	r.Text = ""
	e, err := Saliency{}.Explain(t.Context(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	if a := e.Attributions[0]; a.Over != sdk.OverTokens || e.Units != nil || !slices.Equal(a.Values, []float64{3, 7, 11, 15, 0, 23}) {
		t.Errorf("%v over %s", a.Values, a.Over)
	}
}

// TestBaselineTexts: a text of as many tokens stands position by position, one of
// one token at every position, and special tokens keep their embeddings.
func TestBaselineTexts(t *testing.T) {
	m := sentence()
	m.texts = map[string][]float64{
		"x y z": {-1, -1, 1, 0, 2, 0, 3, 0, -1, -1, -2, -2},
		"x":     {1, 0},
		"more":  {1, 0, 1, 0},
	}
	for text, want := range map[string][]float64{
		"x y z": {9, 9, 1, 0, 2, 0, 3, 0, 7, 7, 8, 8},
		"x":     {9, 9, 1, 0, 1, 0, 1, 0, 7, 7, 8, 8},
	} {
		var first []float64
		m.seen = func(x []float64) { first = x }
		e := m.explain(t, IntegratedGradients{}, "baseline_text", text, "ig_method", "riemann_left", "n_steps", 1)
		near(t, text, first, want, 0)
		y, _ := m.f(want)
		near(t, text, []float64{*e.Baseline}, []float64{y}, 1e-9)
		m.explain(t, IntegratedGradients{}, "baseline", "text", "baseline_text", text, "special", "replace", "ig_method", "riemann_left", "n_steps", 1)
		if want = append([]float64{-1, -1}, want[2:]...); text == "x" {
			want[0], want[1] = 1, 0
		}
		near(t, text+", all", first[:10], want[:10], 0)
	}
	m.seen = nil
	_, err := IntegratedGradients{}.Explain(t.Context(), m, m.request(IntegratedGradients{}, "baseline_text", "more"))
	if !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) || !strings.Contains(err.Error(), `"more" has 2 tokens and the input 6`) {
		t.Errorf("a text of two tokens: %v", err)
	}
	// Several texts take turns.
	e := m.explain(t, GradientSHAP{}, "baseline_text", "x y z\n\nx\n", "num_samples", 40)
	near(t, "texts", e.Attributions[1].Values, []float64{0, 3 + 8 - 3, 5*(3-1.5) + 6*4, 7*(5-2) + 8*6, 0, 0}, 1e-9)
}

// TestRefused lists what is refused, with the reason.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		method sdk.Method
		change []any
		want   string
	}{
		"one end":            {IntegratedGradients{}, []any{"ig_method", "trapezoid", "n_steps", 1}, "use n_steps=2"},
		"no text":            {IntegratedGradients{}, []any{"baseline", "text"}, "give baseline_text"},
		"no token":           {IntegratedGradients{}, []any{"baseline", "token"}, "give baseline_token"},
		"a text unread":      {IntegratedGradients{}, []any{"baseline", "zero", "baseline_text", "x"}, "no effect with baseline=zero"},
		"a token unread":     {IntegratedGradients{}, []any{"baseline", "pad", "baseline_token", 3}, "no effect with baseline=pad"},
		"both":               {IntegratedGradients{}, []any{"baseline_text", "x", "baseline_token", 3}, "exclude each other"},
		"no such baseline":   {GradientSHAP{}, []any{"baseline", "zero,nought"}, `"nought"`},
		"auto among others":  {GradientSHAP{}, []any{"baseline", "auto,zero"}, `"auto"`},
		"twice":              {GradientSHAP{}, []any{"baseline", "zero, pad, zero"}, "zero twice"},
		"no fill":            {IntegratedGradients{}, []any{"baseline", "mask"}, "use baseline=zero"},
		"empty lines":        {GradientSHAP{}, []any{"baseline_text", "\n\n"}, "empty lines alone"},
		"too few":            {GradientSHAP{}, []any{"num_samples", 3, "baseline", "zero,average"}, "use 4 or more, baseline=zero"},
		"too few, one":       {GradientSHAP{}, []any{"num_samples", 1, "baseline", "zero"}, "use 2 or more"},
		"no variance":        {SmoothGrad{}, []any{"num_samples", 1, "variant", "vargrad"}, "use num_samples=2 or more"},
		"a missing layer":    {Saliency{}, []any{"layer", "blocks.7.hook_out"}, "layer=blocks.7.hook_out names no point: "},
		"a long layer":       {InputXGradient{}, []any{"layer", strings.Repeat("a", 256)}, "layer has 256 bytes"},
		"an output":          {GradientSHAP{}, []any{"layer", "logits"}, "layer=logits has not one row of values for each"},
		"a token too large":  {IntegratedGradients{}, []any{"baseline_token", 9}, "baseline_token=9 is no token of the model, whose ids are 0 to 8"},
		"too many":           {SmoothGrad{}, []any{"num_samples", 1_000_000_000}, "use at most"},
		"a precision":        {SmoothGrad{}, []any{"compat", "captum", "max_stderr", 0.1}, "max_stderr needs compat=none"},
		"and of paths":       {GradientSHAP{}, []any{"compat", "captum", "max_stderr", 0.1}, "max_stderr needs compat=none"},
		"too many, expected": {GradientSHAP{}, []any{"num_samples", 1_000_000_000}, "use at most"},
	} {
		m := newCurve(basicModel, 1, 2)
		m.fills = map[sdk.FillKind][]float64{sdk.FillPad: {0}, sdk.FillAverage: {0}}
		_, err := c.method.Explain(t.Context(), m, m.request(c.method, c.change...))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	m := newCurve(basicModel)
	if _, err := (Saliency{}).Explain(t.Context(), m, m.request(Saliency{})); err == nil || !strings.Contains(err.Error(), "no units") {
		t.Errorf("without tokens: error %v", err)
	}
}

// TestNotFinite: gradients that are no numbers are refused.
func TestNotFinite(t *testing.T) {
	for _, method := range []sdk.Method{Saliency{}, InputXGradient{}, IntegratedGradients{}, SmoothGrad{}, GradientSHAP{}} {
		m := newCurve(basicModel, 1, 2)
		m.fills = map[sdk.FillKind][]float64{sdk.FillMask: {0}, sdk.FillAverage: {0}}
		r := m.request(method)
		m.f = func([]float64) (float64, []float64) { return 1, []float64{0, math.NaN()} }
		if _, err := method.Explain(t.Context(), m, r); err == nil || !strings.Contains(err.Error(), "not a finite number") {
			t.Errorf("%s: error %v", method.Info().Name, err)
		}
	}
}

// TestBlocks: rows that do not fit into one call are asked for in several, with the
// same result, and progress says how far they are.
func TestBlocks(t *testing.T) {
	const size = blockCells / 3
	x := make([]float64, size)
	for j := range x {
		x[j] = float64(j%7) / 8
	}
	m := newCurve(func(x []float64) (float64, []float64) {
		slope := make([]float64, len(x))
		for j, v := range x {
			slope[j] = v * v
		}
		return 0, slope
	}, x...)
	m.width, m.tokens = size, m.tokens[:1]
	r := m.request(IntegratedGradients{}, "n_steps", 8, "embedding_attributions", true)
	var done []int
	r.Progress = func(n, total int) error {
		done = append(done, n)
		if total != 8 {
			t.Errorf("a total of %d", total)
		}
		return nil
	}
	e, err := IntegratedGradients{}.Explain(t.Context(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.rows, []int{3, 3, 2}) || !slices.Equal(done, []int{3, 6, 8}) {
		t.Errorf("calls of %v rows, progress %v", m.rows, done)
	}
	for j, v := range e.Tensors[0].Data.([]float64) {
		if want := x[j] * x[j] * x[j] / 3; math.Abs(v-want) > 1e-12 {
			t.Fatalf("component %d has %v, want %v", j, v, want)
		}
	}
	cancelled := errors.New("cancelled")
	r.Progress = func(int, int) error { return cancelled }
	if _, err := (IntegratedGradients{}).Explain(t.Context(), m, r); !errors.Is(err, cancelled) {
		t.Errorf("a run whose user gave up ends with %v", err)
	}
}

// TestStopsAtThePrecision: max_stderr ends sampling where the errors are small
// enough, and num_samples bounds it.
func TestStopsAtThePrecision(t *testing.T) {
	f := func(x []float64) (float64, []float64) {
		return math.Exp(x[0]) + x[0]*x[1], []float64{math.Exp(x[0]) + x[1], x[0]}
	}
	for _, c := range []struct {
		method sdk.Method
		limit  float64
		reduce string
	}{{SmoothGrad{}, 0.05, "sum"}, {SmoothGrad{}, 0.05, "l2"}, {GradientSHAP{}, 0.01, "sum"}} {
		m := newCurve(f, 0.5, -1)
		m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25}, sdk.FillMask: {-0.5}}
		e := m.explain(t, c.method, "max_stderr", c.limit, "num_samples", 10_000, "reduce", c.reduce)
		n := diagnostic(t, e, "samples")
		if largest := slices.Max(e.Attributions[0].Stderr); largest > c.limit || largest != diagnostic(t, e, "max_stderr") || n >= 10_000 || n < 16 {
			t.Errorf("%s, %s: %v samples with the errors %v", c.method.Info().Name, c.reduce, n, e.Attributions[0].Stderr)
		}
		// The values are those of so many samples.
		same := m.explain(t, c.method, "num_samples", int(n), "reduce", c.reduce)
		if diff := cmp.Diff(e.Attributions[0].Values, same.Attributions[0].Values); diff != "" {
			t.Errorf("%s: %s", c.method.Info().Name, diff)
		}
		// The default of num_samples is no bound of the precision.
		usual := m.explain(t, c.method, "reduce", c.reduce)
		limit, samples := diagnostic(t, usual, "max_stderr")/3, diagnostic(t, usual, "samples")
		e = m.explain(t, c.method, "max_stderr", limit, "reduce", c.reduce)
		if largest, n := diagnostic(t, e, "max_stderr"), diagnostic(t, e, "samples"); largest > limit || n <= samples {
			t.Errorf("%s, %s: an error of %v with %v samples, and %v was asked for", c.method.Info().Name, c.reduce, largest, n, limit)
		}
		e = m.explain(t, c.method, "max_stderr", 1e-9, "reduce", c.reduce)
		if n := diagnostic(t, e, "samples"); n != 100*samples {
			t.Errorf("%s, %s: %v samples for what is out of reach", c.method.Info().Name, c.reduce, n)
		}
		e = m.explain(t, c.method, "max_stderr", 1e-9, "num_samples", 40, "reduce", c.reduce)
		if n := diagnostic(t, e, "samples"); n != 40 {
			t.Errorf("%s: %v samples of 40", c.method.Info().Name, n)
		}
	}
}

// TestZeroAsANumber: other libraries write the baseline of zeros as 0.
func TestZeroAsANumber(t *testing.T) {
	m := newCurve(func(x []float64) (float64, []float64) { return x[0] * x[0], []float64{2 * x[0]} }, 3)
	for _, method := range []sdk.Method{IntegratedGradients{}, GradientSHAP{}} {
		want := m.explain(t, method, "baseline", "zero")
		if diff := cmp.Diff(want.Attributions, m.explain(t, method, "baseline", "0").Attributions); diff != "" {
			t.Errorf("%s: %s", method.Info().Name, diff)
		}
	}
}

// TestGap: the sum that is off is said, warned of, and mended by max_gap.
func TestGap(t *testing.T) {
	m := newCurve(func(x []float64) (float64, []float64) {
		return math.Tanh(20 * (x[0] - 0.9)), []float64{20 * (1 - math.Pow(math.Tanh(20*(x[0]-0.9)), 2))}
	}, 1)
	run := func(changes ...any) *sdk.Explanation {
		e, err := IntegratedGradients{}.Explain(t.Context(), m, m.request(IntegratedGradients{}, changes...))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	suggested := func(e *sdk.Explanation) int {
		for _, d := range e.Diagnostics {
			if d.Name == "suggested_steps" {
				return int(d.Value)
			}
		}
		return 0
	}
	e := run("n_steps", 4)
	gap, relative := diagnostic(t, e, "completeness_gap"), diagnostic(t, e, "relative_gap")
	whole, sum := m.request(IntegratedGradients{}).Target.Value-*e.Baseline, e.Attributions[0].Values[0]
	near(t, "gap", []float64{gap, relative}, []float64{sum - whole, math.Abs(sum-whole) / whole}, 1e-12)
	if n := suggested(e); relative < 0.05 || n <= 4 {
		t.Errorf("a gap of %v, and %d steps are suggested", relative, n)
	}
	e = run("n_steps", 4, "max_gap", 0.001)
	if n := diagnostic(t, e, "n_steps"); diagnostic(t, e, "relative_gap") > 0.001 || n <= 4 || n > 256 || suggested(e) != 0 {
		t.Errorf("%v steps, and a gap of %v", n, diagnostic(t, e, "relative_gap"))
	}
	if change := diagnostic(t, e, "half_steps_difference"); change == 0 || change > 0.1*whole {
		t.Errorf("the last doubling changed %v", change)
	}
	if n := suggested(run("n_steps", 200)); n != 0 {
		t.Errorf("%d steps are suggested", n)
	}
	// Whatever the rule, the steps that are suggested are enough.
	for rule, first := range map[string]int{gaussLegendre: 3, riemannLeft: 3, riemannRight: 3, riemannMiddle: 6, trapezoid: 3} {
		for _, compat := range []string{"none", "captum"} {
			n := suggested(run("ig_method", rule, "n_steps", first, "compat", compat, "special", "keep", "baseline", "zero"))
			if n <= first {
				t.Errorf("%s, compat=%s: %d steps are suggested", rule, compat, n)
				continue
			}
			if more := suggested(run("ig_method", rule, "n_steps", n, "compat", compat, "special", "keep", "baseline", "zero")); more != 0 {
				t.Errorf("%s, compat=%s: with %d steps %d are suggested", rule, compat, n, more)
			}
		}
	}
}

func TestCertain(t *testing.T) {
	rows := func(columns ...[]float64) (rows [][]float64) {
		for i := range columns[0] {
			var row []float64
			for _, c := range columns {
				row = append(row, c[i])
			}
			rows = append(rows, row)
		}
		return rows
	}
	steady, other, together := []float64{5, 5, 5, 5}, []float64{1, 4, 2, 3}, []float64{-1.5, -4.5, -2.5, -3.5}
	for name, c := range map[string]struct {
		rows [][]float64
		want int
	}{
		"all":               {rows(steady, []float64{1, 1, 1, 1}), 2},
		"none":              {rows(other, []float64{3, 1, 4, 2}), 0},
		"the first":         {rows(steady, other, []float64{3, 1, 4, 2}), 1},
		"equal":             {rows(steady, steady), 0},
		"varying alike":     {rows(other, together), 2},
		"one":               {rows(steady), 1},
		"beyond the second": {rows([]float64{10, 10, 10, 10}, []float64{9, 9, 9, 9}, []float64{0, 16, 0, 16}), 0},
	} {
		values := make([]float64, len(c.rows[0]))
		for _, row := range c.rows {
			for j, v := range row {
				values[j] += v / float64(len(c.rows))
			}
		}
		if got, err := certain(t.Context(), values, c.rows, 1); got != c.want || err != nil {
			t.Errorf("%s: %d of %v, error %v", name, got, values, err)
		}
	}
}

func TestStderr(t *testing.T) {
	near(t, "one distribution", []float64{stderr([]float64{1, 2, 3, 4}, 1)}, []float64{math.Sqrt(5. / 3 / 4)}, 1e-15)
	// Two of them, 1 and 3 and 12 and 14: each mean has the variance 2/2.
	near(t, "two in turn", []float64{stderr([]float64{1, 12, 3, 14}, 2)}, []float64{math.Sqrt(0.25*1 + 0.25*1)}, 1e-15)
	near(t, "two with too few", []float64{stderr([]float64{1, 12, 3}, 2)}, []float64{stderr([]float64{1, 12, 3}, 1)}, 0)
}

// TestCancelling: gradients whose components cancel, as those at the input of a
// layer norm do, say so where they are summed.
func TestCancelling(t *testing.T) {
	m := newCurve(func(x []float64) (float64, []float64) { return x[0] - x[1], []float64{1, -1 + 1e-9} }, 3, 1)
	m.width, m.tokens = 2, m.tokens[:1]
	for _, method := range []sdk.Method{Saliency{}, SmoothGrad{}} {
		for reduce, summed := range map[string]bool{"sum": true, "mean": true, "l1": false, "l2": false} {
			e, err := method.Explain(t.Context(), m, m.request(method, "reduce", reduce))
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(e.Diagnostics, func(d sdk.Diagnostic) bool {
				return d.Name == "surviving_share" && math.Abs(d.Value-0.5e-9) < 1e-12
			}) != summed {
				t.Errorf("%s, %s: %+v", method.Info().Name, reduce, e.Diagnostics)
			}
		}
	}
}

// TestUnsigned: values that are sizes say so.
func TestUnsigned(t *testing.T) {
	m := newCurve(basicModel, 1, 2)
	for _, c := range []struct {
		method sdk.Method
		change []any
		want   bool
	}{
		{Saliency{}, nil, true},
		{Saliency{}, []any{"reduce", "sum"}, false},
		{Saliency{}, []any{"reduce", "sum", "abs", true}, true},
		{InputXGradient{}, nil, false},
		{InputXGradient{}, []any{"reduce", "l1"}, true},
		{IntegratedGradients{}, []any{"reduce", "mean"}, false},
		{SmoothGrad{}, nil, true},
		{SmoothGrad{}, []any{"reduce", "sum"}, false},
		{SmoothGrad{}, []any{"reduce", "sum", "variant", "vargrad"}, true},
		{SmoothGrad{}, []any{"reduce", "mean", "variant", "smoothgrad_sq"}, true},
	} {
		e, err := c.method.Explain(t.Context(), m, m.request(c.method, c.change...))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(e.Diagnostics, sdk.Diagnostic{Name: "unsigned", Value: 1}) != c.want {
			t.Errorf("%s %v: %+v", c.method.Info().Name, c.change, e.Diagnostics)
		}
	}
}
