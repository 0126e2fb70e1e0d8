package lime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

func explain(t testing.TB, m *toy, r *sdk.Request) *sdk.Explanation {
	t.Helper()
	e, err := Method{}.Explain(context.Background(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// text returns a text of n different words.
func text(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d ", i)
	}
	return b.String()
}

// TestLinearModelsAreRecovered is the law that the method rests on: without a
// penalty, the surrogate of a linear model is that model, on any sample that
// tells its features apart. A unit without influence gets 0, and units of equal
// influence get equal weights.
func TestLinearModelsAreRecovered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "units")
		// Hundredths, so that what is not 0 stands out from rounding.
		weight := rapid.Map(rapid.IntRange(-400, 400), func(i int) float64 { return float64(i) / 100 })
		weights := rapid.SliceOfN(weight, n, n).Draw(t, "weights")
		weights[rapid.IntRange(0, n-1).Draw(t, "dummy")] = 0
		intercept := weight.Draw(t, "intercept")
		r := request(text(n), rapid.Uint64().Draw(t, "seed"), params(
			"num_samples", 40*n, "alpha", 0.0, "kernel_width", rapid.Float64Range(20, 100).Draw(t, "width"),
			"compat", rapid.SampledFrom([]string{"none", "lime"}).Draw(t, "compat"),
			"num_features", n, "feature_selection", rapid.SampledFrom([]string{auto, selectNone, selectHighest, selectForward}).Draw(t, "selection")))
		e, err := Method{}.Explain(context.Background(), linear(r, intercept, weights), r)
		if err != nil {
			t.Fatal(err)
		}
		a := e.Attributions[0]
		for j, w := range weights {
			if math.Abs(a.Values[j]-w) > 1e-8 {
				t.Errorf("unit %d has the weight %v, want %v", j, a.Values[j], w)
			}
			if a.Stderr[j] > 1e-8 {
				t.Errorf("unit %d has the standard error %v, want 0", j, a.Stderr[j])
			}
		}
		d := diagnostics(e)
		if math.Abs(d["intercept"]-intercept) > 1e-8 || *e.Baseline != intercept || d["r2"] < 1-1e-9 {
			t.Errorf("intercept %v, baseline %v, R² %v; want %v, %v, 1", d["intercept"], *e.Baseline, d["r2"], intercept, intercept)
		}
	})
}

// TestPenaltyShrinks: with α = 1 the weights of a linear model come out a little
// smaller, less so with more samples.
func TestPenaltyShrinks(t *testing.T) {
	weights := []float64{1, -2, 0.5, 0, 3}
	worst := func(samples int) float64 {
		r := request(text(5), 1, params("num_samples", samples))
		values := explain(t, linear(r, 0.5, weights), r).Attributions[0].Values
		gap := 0.0
		for j, w := range weights {
			if math.Abs(values[j]) > math.Abs(w) && w != 0 {
				t.Errorf("%d samples: unit %d has the weight %v, beyond %v", samples, j, values[j], w)
			}
			gap = max(gap, math.Abs(values[j]-w))
		}
		return gap
	}
	few, many := worst(100), worst(2000)
	if !(many < few/4) || many > 0.05 {
		t.Errorf("the weights are off by %v with 100 samples and by %v with 2000", few, many)
	}
}

// curved is a model that is not linear, symmetric in its first two units.
func curved(r *sdk.Request) *toy {
	return &toy{request: r, outputs: func(_ int, k []uint8) (float64, []float64) {
		x := make([]float64, len(k))
		for j, v := range k {
			x[j] = float64(v)
		}
		y := x[0]*x[1] + x[0]*x[2] + x[1]*x[2] - x[3]*(1-x[2]) + 0.5*x[4]
		return y, []float64{y, -y}
	}}
}

// TestStandardErrorsAreThoseOfTheSample compares them with how much the weights
// move from seed to seed. Under a narrow kernel the input has nearly all the
// weight, and as it is no draw it must not count.
func TestStandardErrorsAreThoseOfTheSample(t *testing.T) {
	const runs, n = 200, 5
	for _, c := range []struct {
		width, alpha float64
		samples      int
	}{{25, 1, 300}, {25, 0, 300}, {8, 1, 1000}, {5, 0, 1000}} {
		sum, square, stderr := make([]float64, n), make([]float64, n), make([]float64, n)
		for seed := range runs {
			r := request(text(n), uint64(seed), params("num_samples", c.samples, "kernel_width", c.width, "alpha", c.alpha))
			a := explain(t, curved(r), r).Attributions[0]
			for j, v := range a.Values {
				sum[j] += v
				square[j] += v * v
				stderr[j] += a.Stderr[j] / runs
			}
		}
		for j := range n {
			mean := sum[j] / runs
			deviation := math.Sqrt((square[j]/runs - mean*mean) * runs / (runs - 1))
			if ratio := stderr[j] / deviation; ratio < 0.8 || ratio > 1.25 {
				t.Errorf("%+v, unit %d: the mean standard error is %v and the weights deviate by %v", c, j, stderr[j], deviation)
			}
		}
		if gap, noise := math.Abs(sum[0]-sum[1])/runs, math.Hypot(stderr[0], stderr[1])/math.Sqrt(runs); gap > 4*noise {
			t.Errorf("%+v: symmetric units differ by %v on average, with the standard error %v", c, gap, noise)
		}
	}
}

func TestTheSeedDecides(t *testing.T) {
	for _, compat := range []string{"none", "lime"} {
		run := func(seed uint64) []float64 {
			r := request(text(5), seed, params("num_samples", 100, "compat", compat))
			return explain(t, curved(r), r).Attributions[0].Values
		}
		if diff := cmp.Diff(run(1), run(1)); diff != "" {
			t.Errorf("compat=%s: the same seed gives other bits: %s", compat, diff)
		}
		if cmp.Equal(run(1), run(2)) {
			t.Errorf("compat=%s: another seed gives the same sample", compat)
		}
	}
}

func TestNeighbourhoodIsThatOfThePaper(t *testing.T) {
	const n, features = 6001, 6
	r := request(text(features), 3, params())
	h, err := newSample(settings{samples: n}, r, features)
	if err != nil {
		t.Fatal(err)
	}
	sizes, drops := make([]int, features+1), make([]int, features)
	for i := range n {
		size := 0
		for j, keep := range h.row(i) {
			if keep == 0 {
				size++
				drops[j]++
			}
		}
		sizes[size]++
	}
	if sizes[0] != 1 {
		t.Errorf("%d rows keep everything, want the first alone", sizes[0])
	}
	for size, count := range sizes[1:] { // 1000 each, give or take √(6000·1/6·5/6) = 29
		if count < 850 || count > 1150 {
			t.Errorf("%d rows drop %d features, want about 1000", count, size+1)
		}
	}
	for j, count := range drops { // 3.5 of 6 on average
		if count < 3350 || count > 3650 {
			t.Errorf("feature %d is dropped %d times, want about 3500", j, count)
		}
	}
}

// TestMaxStderr: a sample stops growing when it is large enough, at the beginning
// of the one that has all of num_samples, and its weights have that precision.
func TestMaxStderr(t *testing.T) {
	const all = 4000
	run := func(bound float64) (*sdk.Explanation, *toy, []uint8) {
		r := request(text(6), 9, params("num_samples", all, "max_stderr", bound))
		m := curved(r)
		var keep []uint8
		evaluate := m.outputs
		m.outputs = func(row int, k []uint8) (float64, []float64) {
			keep = append(keep, k...)
			return evaluate(row, k)
		}
		return explain(t, m, r), m, keep
	}
	whole, _, wholeRows := run(0)
	stop := diagnostics(whole)["max_stderr"]
	if worst := slices.Max(whole.Attributions[0].Stderr); stop != worst || stop == 0 {
		t.Fatalf("the largest standard error is said to be %v, and is %v", stop, worst)
	}
	coarse, _, rows := run(4 * stop)
	d := diagnostics(coarse)
	if d["max_stderr"] > 4*stop || d["max_stderr"] <= stop {
		t.Errorf("the standard errors are up to %v, want at most %v", d["max_stderr"], 4*stop)
	}
	baseline := make([]uint8, 6)
	first := (firstRound + 2*6) * 6
	samples := slices.Concat(rows[:first], rows[first+6:]) // but for the baseline, behind the first round
	if !slices.Equal(rows[first:first+6], baseline) || len(samples) >= all*6 || len(samples)%first != 0 {
		t.Errorf("%d rows were asked for, and the one behind the first round is %v", len(rows)/6, rows[first:first+6])
	}
	if !slices.Equal(samples, wholeRows[:len(samples)]) {
		t.Error("the sample that stopped is no beginning of the whole one")
	}
	if tight, _, rows := run(stop / 100); len(rows) != len(wholeRows) || diagnostics(tight)["max_stderr"] != stop {
		t.Errorf("a bound that is not reached took %d rows, and num_samples are %d", len(rows)/6-1, all)
	}
	// The default of num_samples does not bound it, but for another it is the same.
	for samples, most := range map[int]int{1000: 100_000, 1001: 1001} {
		r := request(text(6), 9, params("num_samples", samples, "max_stderr", stop))
		m := curved(r)
		e := explain(t, m, r)
		if got := diagnostics(e)["max_stderr"]; (got <= stop) != (most > 1001) {
			t.Errorf("num_samples=%d: an error of %v, and %v was asked for", samples, got, stop)
		}
	}
	if _, err := resolve(&sdk.Request{Params: params("compat", "lime", "max_stderr", 0.1)}, sdk.ModelInfo{}); err == nil {
		t.Error("the reference's sample has no rounds, and max_stderr is taken")
	}
}

// TestSpecialTokens: under special=replace they are features like the words, which
// are then dropped token by token; of a row of ids the results run over its tokens.
func TestSpecialTokens(t *testing.T) {
	r := request("so it is", 1, params("num_samples", 200, "alpha", 0.0, "special", "replace"))
	for i := range r.Tokens {
		r.Tokens[i].ID = int32(i)
	}
	n := len(r.Units)
	special := sdk.Token{ID: 99, Text: "[SEP]", Special: true}
	r.Tokens = append(r.Tokens, special)
	weights := []float64{1, -2, 3, 0.5}
	m := linear(r, 0.25, weights)
	e := explain(t, m, r)
	if last := e.Units[n]; len(e.Units) != n+1 || last.Text != "[SEP]" || !slices.Equal(last.Tokens, []int{n}) || len(e.Units[0].Spans) != 1 {
		t.Errorf("the units are %+v", e.Units)
	}
	for i, u := range m.asked.Over {
		if u.Spans != nil || len(u.Tokens) == 0 {
			t.Errorf("feature %d is dropped as %+v, not by its tokens", i, u)
		}
	}
	values := e.Attributions[0].Values
	for j, w := range weights {
		if math.Abs(values[j]-w) > 1e-8 {
			t.Errorf("the weights are %v, want %v", values, weights)
		}
	}
	r = request("so it is", 1, r.Params)
	r.Tokens, r.Text = append(r.Tokens, special), ""
	for i := range r.Units {
		r.Units[i].Spans = nil
	}
	e = explain(t, m, r)
	if a := e.Attributions[0]; e.Units != nil || a.Over != sdk.OverTokens || !slices.Equal(a.Values, values) || len(a.Stderr) != n+1 {
		t.Errorf("of token ids it is %+v over %+v", a, e.Units)
	}
	r.Params["compat"] = "lime"
	if _, err := (Method{}).Explain(t.Context(), m, r); err == nil || !strings.Contains(err.Error(), "need compat=none") {
		t.Errorf("the reference has no special tokens, and the error is %v", err)
	}
}

// TestCertain: three values whose errors leave the order of the last two open.
func TestCertain(t *testing.T) {
	for _, c := range []struct {
		values, stderr []float64
		want           float64
	}{
		{[]float64{1, -9, 1.1}, []float64{0.1, 0.1, 0.1}, 1},
		{[]float64{1, -9, 2}, []float64{0.1, 0.1, 0.1}, 3},
		{[]float64{1, -9, 2}, []float64{0.1, 9, 0.1}, 0},
		{[]float64{2}, []float64{0}, 1},
		{[]float64{2, -2}, []float64{0, 0}, 0},
	} {
		if d := game.Certain(c.values, c.stderr); d[1].Name != "certain_top" || d[1].Value != c.want {
			t.Errorf("%v: %+v, want %v", c.values, d, c.want)
		}
	}
}

func TestDistances(t *testing.T) {
	h := newNeighbourhood(3, 4)
	copy(h.row(1), []uint8{1, 0, 0, 0})
	copy(h.row(2), []uint8{0, 0, 0, 0})
	for metric, want := range map[string][]float64{
		cosine:    {0, 50, 100},
		euclidean: {0, 100 * math.Sqrt(3), 200},
		manhattan: {0, 300, 400},
	} {
		if diff := cmp.Diff(want, h.distances(metric)); diff != "" {
			t.Errorf("%s: %s", metric, diff)
		}
	}
}

func TestFeaturesAreTheUnits(t *testing.T) {
	for name, c := range map[string]struct {
		params sdk.Params
		units  []word // nil where the request's serve
		fill   sdk.Fill
	}{
		"default":                     {params(), nil, sdk.Fill{Kind: sdk.FillMask}},
		"bag of words":                {params("bow", true), []word{{"to", 0}, {"be", 3}, {"To", 6}}, sdk.Fill{Kind: sdk.FillMask}},
		"mask_string":                 {params("mask_string", "…"), nil, sdk.Fill{Kind: sdk.FillText, Text: "…"}},
		"fill text":                   {params("fill", "text"), nil, sdk.Fill{Kind: sdk.FillText, Text: "UNKWORDZ"}},
		"fill pad":                    {params("fill", "pad"), nil, sdk.Fill{Kind: sdk.FillPad}},
		"fill zero":                   {params("fill", "zero"), nil, sdk.Fill{Kind: sdk.FillZero}},
		"fill hide":                   {params("fill", "hide"), nil, sdk.Fill{Kind: sdk.FillHide}},
		"fill average":                {params("fill", "average"), nil, sdk.Fill{Kind: sdk.FillAverage}},
		"fill token":                  {params("fill_token", int64(7)), nil, sdk.Fill{Kind: sdk.FillToken, Token: 7}},
		"compat":                      {params("compat", "lime"), []word{{"to", 0}, {"be", 3}, {"To", 6}}, sdk.Fill{Kind: sdk.FillDelete}},
		"compat by position":          {params("compat", "lime", "bow", false), []word{{"to", 0}, {"be", 3}, {"To", 6}, {"be", 9}}, sdk.Fill{Kind: sdk.FillText, Text: "UNKWORDZ"}},
		"compat with a fill":          {params("compat", "lime", "fill", "mask"), []word{{"to", 0}, {"be", 3}, {"To", 6}}, sdk.Fill{Kind: sdk.FillMask}},
		"compat, characters":          {params("compat", "lime", "char_level", true), []word{{"t", 0}, {"o", 1}, {" ", 2}, {"b", 3}, {"e", 4}, {"T", 6}}, sdk.Fill{Kind: sdk.FillDelete}},
		"compat, a splitter":          {params("compat", "lime", "split_expression", "[ t]"), []word{{"o", 0 + 1}, {"be", 3}, {"To", 6}}, sdk.Fill{Kind: sdk.FillDelete}},
		"compat, characters replaced": {params("compat", "lime", "char_level", true, "bow", false), []word{{"t", 0}, {"o", 1}, {" ", 2}, {"b", 3}, {"e", 4}, {" ", 5}, {"T", 6}, {"o", 7}, {" ", 8}, {"b", 9}, {"e", 10}}, sdk.Fill{Kind: sdk.FillText, Text: "\x00"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.params["num_samples"] = int64(50)
			r := request("to be To be", 1, c.params)
			m := linear(r, 0, nil)
			e := explain(t, m, r)
			if diff := cmp.Diff(c.units, spelled(e.Units)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(e.Units, m.asked.Over); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.fill, m.asked.Fill); diff != "" {
				t.Error(diff)
			}
			want := len(c.units)
			if c.units == nil {
				want = len(r.Units)
			}
			if a := e.Attributions[0]; len(a.Values) != want || len(a.Stderr) != want || a.Name != "attributions" || a.Over != sdk.OverUnits {
				t.Errorf("attribution %+v, want one over %d units", a, want)
			}
		})
	}
}

func TestFillWithoutMaskToken(t *testing.T) {
	r := request("one two", 1, params())
	m := linear(r, 0, nil)
	m.info.MaskToken = ""
	explain(t, m, r)
	if m.asked.Fill.Kind != sdk.FillDelete {
		t.Errorf("fill %d, want delete", m.asked.Fill.Kind)
	}
}

func TestBagOfWordsKeepsTokens(t *testing.T) {
	r := request("a b a", 1, params("bow", true))
	e := explain(t, linear(r, 0, []float64{1, 2}), r)
	want := []sdk.Unit{
		{Text: "a", Spans: []sdk.Span{{Start: 0, End: 1}, {Start: 4, End: 5}}, Tokens: []int{0, 2}},
		{Text: "b", Spans: []sdk.Span{{Start: 2, End: 3}}, Tokens: []int{1}},
	}
	if diff := cmp.Diff(want, e.Units); diff != "" {
		t.Error(diff)
	}
}

func TestPresets(t *testing.T) {
	for name, c := range map[string]struct {
		params        sdk.Params
		samples, used int
	}{
		"default":             {params(), 1000, 20},
		"compat":              {params("compat", "lime"), 5000, 10},
		"compat, explicit":    {params("compat", "lime", "num_samples", 1000, "num_features", 20), 1000, 20},
		"num_features":        {params("num_features", 3), 1000, 3},
		"none keeps all":      {params("num_features", 3, "feature_selection", "none"), 1000, 20},
		"lasso":               {params("num_features", 3, "feature_selection", "lasso_path"), 1000, 3},
		"highest weights":     {params("num_features", 3, "feature_selection", "highest_weights"), 1000, 3},
		"more than there are": {params("num_features", 50), 1000, 20},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(text(20), 1, c.params)
			weights := make([]float64, 20)
			for j := range weights {
				weights[j] = math.Pow(3, float64(j))
			}
			m := linear(r, 1, weights)
			a := explain(t, m, r).Attributions[0]
			if got := m.asked.Units.Shape[0] - 1; got != c.samples {
				t.Errorf("%d samples, want %d", got, c.samples)
			}
			for j, v := range a.Values {
				if used := v != 0; used != (j >= 20-c.used) { // the largest weights come last
					t.Errorf("unit %d has the weight %v, and %d units may have one", j, v, c.used)
				}
			}
		})
	}
}

func TestConstantModel(t *testing.T) {
	for _, selection := range []string{selectNone, selectHighest, selectForward, selectLasso} {
		t.Run(selection, func(t *testing.T) {
			r := request(text(4), 1, params("num_features", 2, "feature_selection", selection))
			e := explain(t, linear(r, 0.1, nil), r)
			if diff := cmp.Diff(make([]float64, 4), e.Attributions[0].Values); diff != "" {
				t.Error(diff)
			}
			if d := diagnostics(e); d["intercept"] != 0.1 || d["local_pred"] != 0.1 || d["r2"] != 1 {
				t.Errorf("diagnostics %v, want an intercept and a prediction of 0.1 with R² 1", d)
			}
		})
	}
}

func TestOneUnit(t *testing.T) {
	for _, compat := range []string{"none", "lime"} {
		r := request("word", 1, params("compat", compat, "alpha", 0.0))
		e := explain(t, linear(r, 0.25, []float64{0.5}), r)
		if v := e.Attributions[0].Values; len(v) != 1 || math.Abs(v[0]-0.5) > 1e-12 {
			t.Errorf("compat=%s: values %v, want 0.5", compat, v)
		}
		if v := e.Attributions[0].Stderr[0]; v != 0 {
			t.Errorf("compat=%s: standard error %v, want 0: every variant is the same", compat, v)
		}
	}
}

func TestTopLabels(t *testing.T) {
	for name, c := range map[string]struct {
		k     int
		names []string
	}{
		"one":                 {1, []string{"attributions", "class.0"}},
		"more than there are": {9, []string{"attributions", "class.0", "class.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(text(3), 1, params("top_labels", c.k))
			e := explain(t, linear(r, 1, []float64{1, 2, 3}), r)
			var names []string
			for _, a := range e.Attributions {
				names = append(names, a.Name)
			}
			if diff := cmp.Diff(c.names, names); diff != "" {
				t.Error(diff)
			}
			if len(names) > 2 {
				for j, v := range e.Attributions[2].Values {
					if w := -e.Attributions[1].Values[j]; v != w {
						t.Errorf("class.1 gives unit %d %v, want %v", j, v, w)
					}
				}
			}
			if _, ok := diagnostics(e)["class.0.r2"]; !ok {
				t.Error("no diagnostic class.0.r2")
			}
		})
	}
}

func TestErrors(t *testing.T) {
	long := strings.Repeat("w ", maxFeatures+1)
	for name, c := range map[string]struct {
		text   string
		params sdk.Params
		change func(m *toy, r *sdk.Request)
		code   sdk.Errno
		says   string
	}{
		"no units":                      {"", params(), nil, sdk.EInvalid, "no units"},
		"no words":                      {"?!", params("compat", "lime"), nil, sdk.EInvalid, "no words"},
		"no text":                       {"", params("compat", "lime"), nil, sdk.EUnsupported, "token ids"},
		"too many features":             {long, params(), nil, sdk.EInvalid, "at most 2000"},
		"too many cells":                {text(1000), params("num_samples", 100_000), nil, sdk.EInvalid, "use at most 33554"},
		"char_level without compat":     {"a b", params("char_level", true), nil, sdk.EInvalid, "needs compat=lime"},
		"a splitter without compat":     {"a b", params("split_expression", `\s+`), nil, sdk.EInvalid, "needs compat=lime"},
		"a splitter and char_level":     {"a b", params("compat", "lime", "char_level", true, "split_expression", `\s+`), nil, sdk.EInvalid, "exclude"},
		"a splitter that is too much":   {"a b", params("compat", "lime", "split_expression", `a|b`), nil, sdk.EInvalid, "not supported"},
		"a mask_string without effect":  {"a b", params("fill", "pad", "mask_string", "x"), nil, sdk.EInvalid, "no effect"},
		"top_labels and regression":     {"a b", params("top_labels", 2), func(_ *toy, r *sdk.Request) { r.Target.Kind = "regression" }, sdk.EInvalid, "classifier"},
		"an output that is not finite":  {"a b", params(), func(m *toy, _ *sdk.Request) { m.outputs = constant(math.NaN()) }, sdk.EInvalid, "not a finite number"},
		"an output that is infinite":    {"a b", params(), func(m *toy, _ *sdk.Request) { m.outputs = constant(math.Inf(-1)) }, sdk.EInvalid, "not a finite number"},
		"an error of the model":         {"a b", params(), func(m *toy, _ *sdk.Request) { m.request = &sdk.Request{} }, sdk.EInvalid, "does not fit"},
		"a class that is not finite":    {"a b", params("top_labels", 1), func(m *toy, _ *sdk.Request) { m.outputs = classNaN }, sdk.EInvalid, "not a finite number"},
		"a distribution without output": {"a b", params("top_labels", 1), func(m *toy, _ *sdk.Request) { m.outputs = classNone }, sdk.EInternal, "variants"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(c.text, 1, c.params)
			m := linear(r, 0, nil)
			if c.change != nil {
				c.change(m, r)
			}
			_, err := Method{}.Explain(context.Background(), m, r)
			var e *sdk.Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.says) {
				t.Errorf("error %v, want %v that says %q", err, c.code, c.says)
			}
		})
	}
}

func constant(v float64) func(int, []uint8) (float64, []float64) {
	return func(int, []uint8) (float64, []float64) { return v, []float64{0, 0} }
}

func classNaN(int, []uint8) (float64, []float64) { return 0, []float64{0, math.NaN()} }

func classNone(int, []uint8) (float64, []float64) { return 0, nil }

func TestErrorsOfTheHostPass(t *testing.T) {
	r := request("a b", 1, params())
	broken := errors.New("no more random bytes")
	r.Rand = iotest.ErrReader(broken)
	if _, err := (Method{}).Explain(context.Background(), linear(r, 0, nil), r); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the random stream", err)
	}
	r.Rand = strings.NewReader("short")
	if _, err := (Method{}).Explain(context.Background(), linear(r, 0, nil), r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r = request("a b", 1, params())
	if _, err := (Method{}).Explain(ctx, linear(r, 0, nil), r); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// TestInfo holds the declaration to what Explain reads.
func TestInfo(t *testing.T) {
	info := Method{}.Info()
	names := make(map[string]bool)
	for _, p := range info.Params {
		for _, name := range append([]string{p.Name}, p.Aliases...) {
			if names[name] {
				t.Errorf("the name %s is taken twice", name)
			}
			names[name] = true
		}
		if p.Doc == "" {
			t.Errorf("%s has no documentation", p.Name)
		}
		for preset, v := range p.Compat {
			if reflect.TypeOf(v) != reflect.TypeOf(p.Default) || preset != "lime" {
				t.Errorf("%s has the default %v under %s and %v elsewhere", p.Name, v, preset, p.Default)
			}
		}
		if p.Type == sdk.Enum && !strings.Contains(" "+strings.Join(p.Values, " ")+" ", fmt.Sprintf(" %s ", p.Default)) {
			t.Errorf("the default of %s is none of its values", p.Name)
		}
	}
	for _, alias := range []string{"nsamples", "n_samples"} {
		if p, ok := info.Param(alias); !ok || p.Name != "num_samples" {
			t.Errorf("%s is no alias of num_samples", alias)
		}
	}
}

// BenchmarkExplain leaves out the model, which answers from a table.
func BenchmarkExplain(b *testing.B) {
	for _, n := range []int{17, 250} {
		for _, c := range []struct {
			name   string
			params sdk.Params
		}{
			{"all", params("num_samples", 1000)},
			{"forward10", params("num_samples", 1000, "num_features", 10, "feature_selection", selectForward)},
			{"lasso10", params("num_samples", 1000, "num_features", 10, "feature_selection", selectLasso)},
			{"compat", params("num_samples", 1000, "compat", "lime")},
		} {
			b.Run(fmt.Sprintf("1000x%d/%s", n, c.name), func(b *testing.B) {
				answers := toyReply{sdk.ReplyTarget: sdk.NewTensor(make([]float64, 1001), 1001)}
				y, _ := sdk.Values[float64](answers[sdk.ReplyTarget])
				for i := range y {
					y[i] = math.Sin(float64(i))
				}
				for b.Loop() {
					r := request(text(n), 1, c.params)
					if _, err := (Method{}).Explain(context.Background(), table{answers}, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// table is a model that has its answers ready.
type table struct{ reply sdk.Reply }

func (table) Info() sdk.ModelInfo { return sdk.ModelInfo{MaskToken: "[MASK]"} }

func (m table) Forward(context.Context, *sdk.Forward) (sdk.Reply, error) { return m.reply, nil }
