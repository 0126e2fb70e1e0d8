package evaluation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/sdk"
)

const film = "the plot is thin ; however , every scene looks great !"

// settings are those of a preset, with fewer draws.
func settings(t *testing.T, preset string, measures ...string) Settings {
	t.Helper()
	s, err := Preset(preset)
	if err != nil {
		t.Fatal(err)
	}
	s.Random, s.Samples, s.NoiseSamples, s.Neighbours, s.Bootstrap = 3, 20, 3, 2, 200
	if len(measures) > 0 {
		s.Measures = measures
	}
	return s
}

// lime is a method with few samples.
var lime = Method{Name: "lime", Params: map[string]string{"num_samples": "60"}}

// evaluate runs lime in process. Results have measures that are listed, and no other.
func evaluate(t *testing.T, h *core.Host, m *core.Model, texts []Text, o Options) *Evaluation {
	t.Helper()
	if len(o.Methods) == 0 && !texts[0].scored() {
		o.Methods = []Method{lime}
	}
	o.Runtime = core.RuntimeNative
	e, err := Run(t.Context(), h, m, texts, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Aggregate {
		for name := range s.Measures {
			if !slices.ContainsFunc(Measures, func(m MeasureInfo) bool { return m.Name == name }) {
				t.Errorf("the measure %s is not listed", name)
			}
		}
	}
	return e
}

// plain returns the numbers of a result.
func plain(values []core.Float) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// form is the JSON form of an evaluation without what need not repeat.
func form(t *testing.T, e *Evaluation) string {
	t.Helper()
	same := *e
	same.Provenance.WallSeconds, same.Runs = 0, Runs{}
	same.Texts, same.Aggregate = slices.Clone(e.Texts), slices.Clone(e.Aggregate)
	for i := range same.Texts {
		same.Texts[i].Methods = slices.Clone(same.Texts[i].Methods)
		for k := range same.Texts[i].Methods {
			same.Texts[i].Methods[k].Runs = Runs{}
		}
	}
	for i := range same.Aggregate {
		same.Aggregate[i].Runs = Runs{}
	}
	b, err := json.Marshal(&same)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRepeats: the seed decides the result, and what the model remembers does
// not; a second evaluation has it run nothing.
func TestRepeats(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	texts := []Text{{Input: core.Input{Text: film}}, {Input: core.Input{Text: "an unforgettable journey"}}}
	o := Options{Settings: settings(t, "eraser"), Seed: 3}
	a := evaluate(t, h, m, texts, o)
	if a.Runs.Explaining.Ran == 0 || a.Runs.Measuring.Ran == 0 || a.Runs.Measuring.Asked <= a.Runs.Measuring.Ran {
		t.Errorf("rows: %+v", a.Runs)
	}
	b := evaluate(t, h, m, texts, o)
	if ran := b.Runs.Explaining.Ran + b.Runs.Measuring.Ran; ran != 0 {
		t.Errorf("the same again ran %d rows", ran)
	}
	if diff := cmp.Diff(form(t, a), form(t, b)); diff != "" {
		t.Errorf("the same seed gives another result:\n%s", diff)
	}
	o.Seed = 4
	if form(t, evaluate(t, h, m, texts, o)) == form(t, a) {
		t.Error("another seed gives the same result")
	}
}

// TestShares: whatever asks for a variant of a text, a method or a measure, in
// whichever window, the model runs it once; and each method says what was run for it.
func TestShares(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	run := func(text string, methods ...string) *Evaluation {
		t.Helper()
		o := Options{Settings: settings(t, "eraser"), Units: core.UnitsToken}
		for _, typed := range methods {
			name, fill, _ := strings.Cut(typed, ":")
			method := Method{Label: typed, Name: name, Params: map[string]string{}}
			if fill != "" {
				method.Params["fill"] = fill
			}
			o.Methods = append(o.Methods, method)
		}
		before := m.Rows()
		e := evaluate(t, h, m, []Text{{Input: core.Input{Text: text}}}, o)
		if ran := e.Runs.Explaining.Ran + e.Runs.Measuring.Ran; ran != m.Rows()-before {
			t.Errorf("%v: %d rows are said to have run, and %d have", methods, ran, m.Rows()-before)
		}
		var sum Runs
		for i, r := range e.Texts[0].Methods {
			sum.plus(r.Runs)
			for what, rows := range map[string]Rows{"explain": r.Runs.Explaining, "measure": r.Runs.Measuring} {
				if rows.Ran > rows.Asked || rows.Asked == 0 {
					t.Errorf("%s: %+v to %s", r.Method, rows, what)
				}
			}
			if r.Runs != e.Aggregate[i].Runs {
				t.Errorf("%s: %+v over all texts", r.Method, e.Aggregate[i].Runs)
			}
		}
		if whole := e.Runs.Measuring.Ran - sum.Measuring.Ran; e.Runs.Explaining != sum.Explaining || whole < 0 || whole > int64(len(e.Texts[0].Windows)) {
			t.Errorf("%v: %+v in all, and %+v of the methods", methods, e.Runs, sum)
		}
		return e
	}
	// Four units have sixteen variants, and no two of them are the same text.
	e := run("the plot looks great", "exact-shap:delete", "kernel-shap:delete", "permutation-shap:delete", "sampling-shap:delete", "partition-shap:delete", "lime:delete", "feature-ablation:delete", "leave-one-out", "occlusion:delete")
	if ran := e.Runs.Explaining.Ran + e.Runs.Measuring.Ran; ran != 16 {
		t.Errorf("%d rows run of 16 that there are", ran)
	}
	for _, s := range e.Aggregate[1:] {
		if s.Runs.Explaining.Ran+s.Runs.Measuring.Ran != 0 {
			t.Errorf("%s ran what was known: %+v", s.Method, s.Runs)
		}
	}
	// What each unit does alone is both a method and a measure.
	e = run("an unforgettable journey through forgotten villages", "leave-one-out", "feature-ablation:delete", "attention")
	loo, ablation, attention := e.Aggregate[0].Runs, e.Aggregate[1].Runs, e.Aggregate[2].Runs
	if n := int64(len(e.Texts[0].Methods[0].Units)); loo.Explaining.Ran == 0 || loo.Explaining.Ran > n+1 || ablation.Explaining.Ran != 0 || ablation.Measuring.Ran != 0 || ablation.Explaining.Asked < n {
		t.Errorf("%d units: %+v, then %+v", n, loo, ablation)
	}
	// Random orders and sets that are dropped are the same for all methods.
	if n := int64(len(e.Texts[0].Methods[0].Units)); attention.Measuring.Asked > 2*(n+1) {
		t.Errorf("%d rows to measure one order of %d units", attention.Measuring.Asked, n)
	}
	// Windows of the same text are the same to the model.
	sentence := strings.Repeat("scene ", 60) + ".\n"
	first := run(sentence, "leave-one-out")
	twice := run(sentence+sentence, "leave-one-out")
	if len(twice.Texts[0].Windows) < 2 {
		t.Fatalf("%d windows", len(twice.Texts[0].Windows))
	}
	if first.Runs.Explaining.Ran == 0 || twice.Runs.Explaining.Ran != 0 {
		t.Errorf("%+v for a window, %+v for it twice", first.Runs, twice.Runs)
	}
}

// TestLeads: among methods the best of each measure is known, and those that are
// not certainly worse.
func TestLeads(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	var texts []Text
	for _, text := range []string{film, "an unforgettable journey through forgotten villages", "the film was surprisingly good", "every scene looks great"} {
		texts = append(texts, Text{Input: core.Input{Text: text}})
	}
	s := settings(t, "eraser", Faithfulness, LeaveOneOut, Sparsity)
	e := evaluate(t, h, m, texts, Options{Settings: s, Methods: []Method{
		{Name: "leave-one-out"}, {Label: "again", Name: "leave-one-out"}, {Name: "attention"},
	}})
	at := func(k int, name string) Measure { return e.Aggregate[k].Measures[name] }
	if best, same, worse := at(0, looKendall), at(1, looKendall), at(2, looKendall); !best.Best || best.Behind != nil || best.Mean != 1 ||
		same.Best || !same.Leads() || same.Behind.Mean != 0 || worse.Leads() || worse.Behind.Mean != best.Mean-worse.Mean || !(worse.Behind.Low > 0) {
		t.Errorf("%+v, %+v, %+v", best, same, worse)
	}
	for _, name := range []string{comprehensiveness, sufficiency, logOdds, logOddsRatio, deletion, insertion, decisionFlip, looKendall} {
		leads := 0
		for k := range e.Aggregate {
			v := at(k, name)
			if v.Best {
				leads++
			}
			if v.Behind != nil && v.Behind.Mean < 0 || v.Best == (v.Behind != nil) {
				t.Errorf("%s of %s: %+v", name, e.Aggregate[k].Method, v)
			}
		}
		if leads != 1 {
			t.Errorf("%d methods are the best by %s", leads, name)
		}
	}
	if v := at(0, gini); v.Best || v.Behind != nil {
		t.Errorf("a sparse explanation is no better: %+v", v)
	}
}

// TestGiven: an explanation that is given is measured as it is where the method
// runs, and so are its scores as a list, by units or by tokens.
func TestGiven(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	o := Options{Settings: settings(t, "eraser"), Units: core.UnitsToken}
	text := core.Input{Text: film}
	want := evaluate(t, h, m, []Text{{Input: text}}, o).Texts[0].Methods[0]
	x, err := h.Explain(t.Context(), m, core.Request{Input: text, Method: "lime", Params: lime.Params, Units: core.UnitsToken, Runtime: core.RuntimeNative})
	if err != nil {
		t.Fatal(err)
	}
	scores := plain(x.Attributions[0].Values)
	tokens := make([]float64, len(x.Input.Tokens))
	for i, u := range x.Input.Units {
		tokens[u.Tokens[0]] = scores[i]
	}
	for what, given := range map[string]Text{
		"explanation": {Input: text, Given: x},
		"units":       {Input: text, Scores: scores},
		"tokens":      {Input: text, Scores: tokens},
	} {
		got := evaluate(t, h, m, []Text{given}, o).Texts[0].Methods[0]
		got.Method, got.Runs = want.Method, want.Runs
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-run +given):\n%s", what, diff)
		}
	}
	for what, scores := range map[string][]float64{"too few": scores[1:3], "NaN": append([]float64{math.NaN()}, scores[1:]...)} {
		if _, err := Run(t.Context(), h, m, []Text{{Input: text, Scores: scores}}, o); core.KindOf(err) != core.KindInput {
			t.Errorf("%s: %v", what, err)
		}
	}
	short, negative := *x, *x
	short.Attributions = slices.Clone(x.Attributions)
	short.Attributions[0].Values = x.Attributions[0].Values[:3]
	negative.Input.Units = slices.Clone(x.Input.Units)
	negative.Input.Units[0].Tokens = []int{-1}
	for what, given := range map[string]*core.Explanation{"fewer scores than units": &short, "a token before the first": &negative} {
		if _, err := Run(t.Context(), h, m, []Text{{Input: text, Given: given}}, o); core.KindOf(err) != core.KindInput {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Run(t.Context(), h, m, []Text{{Input: text, Scores: scores}, {Input: text}}, o); core.KindOf(err) != core.KindInput {
		t.Errorf("scores for one of two texts: %v", err)
	}
}

// TestWindows: a text that does not fit is read in windows that fit, which hold
// all of it; its output is their mean, and a score counts in proportion.
func TestWindows(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	long := strings.Repeat("The film was good, and the plot is thin. ", 12) + strings.Repeat("scene ", 90) + "."
	e := evaluate(t, h, m, []Text{{Input: core.Input{Text: long}}}, Options{Settings: settings(t, "eraser", Faithfulness, LeaveOneOut)})
	x := e.Texts[0]
	if len(x.Windows) < 3 || x.Dropped != 0 {
		t.Fatalf("%d windows, %d tokens dropped", len(x.Windows), x.Dropped)
	}
	at, weights, value := 0, 0.0, 0.0
	var scores []float64
	for _, w := range x.Windows {
		if w.Start != at || w.Tokens > m.MaxTokens() {
			t.Errorf("window %+v after byte %d, of at most %d tokens", w, at, m.MaxTokens())
		}
		at, weights = w.End, weights+w.Weight
		part := core.Input{Text: long[w.Start:w.End]}
		p, err := m.Predict(t.Context(), []core.Input{part}, core.PredictOptions{})
		if err != nil {
			t.Fatal(err)
		}
		value += w.Weight * p.Rows[0].Readouts[0].Probs[x.Target.Index]
		own, err := h.Explain(t.Context(), m, core.Request{Input: part, Method: "lime", Params: lime.Params, Target: x.Target.Expr, Runtime: core.RuntimeNative})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range own.Attributions[0].Values {
			scores = append(scores, w.Weight*float64(v))
		}
	}
	if at != len(long) || math.Abs(weights-1) > 1e-12 || math.Abs(value-float64(x.Target.Value)) > 1e-12 {
		t.Errorf("windows end at %d of %d, weigh %v, and say %v for %v", at, len(long), weights, value, x.Target.Value)
	}
	if diff := cmp.Diff(scores, plain(x.Methods[0].Scores)); diff != "" {
		t.Errorf("scores:\n%s", diff)
	}
	for _, u := range x.Methods[0].Units {
		if long[u.Start:u.End] != u.Text {
			t.Errorf("unit %q at %q", u.Text, long[u.Start:u.End])
		}
	}
	if first, all := float64(x.Methods[0].Curves.Deletion[0]), float64(x.Target.Value); first != all {
		t.Errorf("the curve begins at %v, not %v", first, all)
	}
	// Cut instead, there is one window, and the rest is not read.
	s := settings(t, "eraser", Faithfulness)
	s.Long = LongCut
	if x := evaluate(t, h, m, []Text{{Input: core.Input{Text: long}}}, Options{Settings: s}).Texts[0]; len(x.Windows) != 1 || x.Dropped == 0 {
		t.Errorf("cut: %d windows, %d dropped", len(x.Windows), x.Dropped)
	}
}

// TestPlausibility: scores that are the rationale have all measures 1; those of
// its opposite have none of the spans.
func TestPlausibility(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	mark := strings.Index(film, "looks great")
	text := Text{Input: core.Input{Text: film}, Marked: true, Ranges: []Range{{mark, mark + len("looks great")}}}
	good, bad := text, text
	for _, unit := range strings.Fields(film) {
		v := 0.0
		if unit == "looks" || unit == "great" {
			v = 1
		}
		good.Scores, bad.Scores = append(good.Scores, v), append(bad.Scores, -v)
	}
	s := settings(t, "eraser", Plausibility)
	s.Top = TopTruth
	e := evaluate(t, h, m, []Text{good}, Options{Settings: s})
	for _, name := range []string{auprc, tokenF1, iouF1} {
		if v := e.Texts[0].Methods[0].Values[name]; v != 1 {
			t.Errorf("%s of the rationale itself is %v", name, v)
		}
		if v := e.Texts[0].Methods[0].Random[name]; !(v.Mean < 1) {
			t.Errorf("%s at random is %v", name, v.Mean)
		}
	}
	e = evaluate(t, h, m, []Text{good, bad}, Options{Settings: s})
	if v := e.Aggregate[0].Measures[iouF1]; v.Mean != 0.5 || v.Low != 0 || v.High != 1 || v.Texts != 2 {
		t.Errorf("over a good and a bad one: %+v", v)
	}
	unmarked := evaluate(t, h, m, []Text{{Input: text.Input, Scores: good.Scores}}, Options{Settings: s})
	if len(unmarked.Texts[0].Methods[0].Values) != 0 {
		t.Errorf("nobody marked anything: %v", unmarked.Texts[0].Methods[0].Values)
	}
	if got := meanShare([]Text{text}); math.Abs(got-2.0/12) > 1e-15 {
		t.Errorf("%v of the words are marked", got)
	}
}

// TestCounts: what ferret removes.
func TestCounts(t *testing.T) {
	s := settings(t, "ferret")
	for _, c := range []struct {
		n, positive int
		want        []int
	}{
		{20, 20, []int{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}},
		{20, 5, []int{2, 4, 5}},
		{4, 4, []int{1, 2, 3, 4}},
		{4, 0, nil},
	} {
		ks, shares := s.counts(c.n, c.positive)
		if !slices.Equal(ks, c.want) || len(shares) != len(ks) {
			t.Errorf("%d of %d units: %v at %v, want %v", c.positive, c.n, ks, shares, c.want)
		}
	}
	h, m := openModel(t, "bert-text", "f32")
	none := evaluate(t, h, m, []Text{{Input: core.Input{Text: "good film"}, Scores: []float64{-1, -2}}}, Options{Settings: s}).Texts[0].Methods[0]
	if none.Values[comprehensiveness] != 0 || none.Values[sufficiency] != 1 {
		t.Errorf("without a positive score: %v", none.Values)
	}
}

// slope attributes the gradient to each component of each token's embedding.
type slope struct{}

func (slope) Info() sdk.Info {
	return sdk.Info{
		Name: "slope", Version: "1.0.0", Needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedEmbeddings},
		Params: []sdk.Param{{Name: paramDetailed, Type: sdk.Bool, Default: false, Doc: "return all components"}},
	}
}

func (slope) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	n := len(r.Tokens)
	keep := make([]uint8, n)
	for i := range keep {
		keep[i] = 1
	}
	reply, err := sdk.Gradient(ctx, m, &sdk.Forward{Masks: sdk.NewTensor(keep, 1, n)}, "embeddings")
	if err != nil {
		return nil, err
	}
	t, err := reply.Tensor(sdk.Grad("embeddings"), 0)
	if err != nil {
		return nil, err
	}
	g, err := sdk.Values[float32](t)
	if err != nil {
		return nil, err
	}
	wide, tokens := make([]float64, len(g)), make([]float64, n)
	for i, v := range g {
		wide[i] = float64(v)
		tokens[i/(len(g)/n)] += float64(v)
	}
	e := &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverTokens, Values: tokens}}}
	if r.Params.Bool(paramDetailed) {
		e.Tensors = []sdk.NamedTensor{{Name: paramDetailed, Axes: []string{"token", "component"}, Tensor: *sdk.NewTensor(wide, n, len(g)/n)}}
	}
	return e, nil
}

const slopeRegistry = `
schema = 1
[[method]]
name = "slope"
kind = "wasm"
url = "builtin:slope.wasm"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
abi = "1.0"
version = "1.0.0"
needs = ["forward", "gradients", "embeddings"]
summary = "the gradient"
[method.limits]
memory = "64MiB"
timeout = "60s"
fuel = "10G"
forwards = 1000
output = "16MiB"
log = "64KiB"
[method.params.embedding_attributions]
type = "bool"
default = false
doc = "return all components"
`

// TestNoise: a method that attributes to embeddings is measured on them, too. The
// gradient is nearly faithful to small noise, and small noise nearly leaves it.
func TestNoise(t *testing.T) {
	host, err := core.New(core.Options{
		Models:  map[string]fs.FS{"bert-text": golden.ModelFS(t, "bert-text")},
		Methods: core.Builtin{Registry: []byte(slopeRegistry), Native: map[string]sdk.Method{"slope": slope{}}}, BuiltinOnly: true, Threads: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	m, err := host.OpenModel(t.Context(), "builtin:bert-text")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	o := Options{Settings: settings(t, "captum", Embedding, Sensitivity), Methods: []Method{{Name: "slope"}}, Output: sdk.Logit}
	o.Noise = 1e-3
	got := evaluate(t, host, m, []Text{{Input: core.Input{Text: film}}}, o).Texts[0].Methods[0].Values
	if v := float64(got[embeddingInfidelity]); !(v > 0 && v < 1e-6) {
		t.Errorf("infidelity %v", v)
	}
	if v := float64(got[embeddingSensitivity]); !(v > 0 && v < 0.1) {
		t.Errorf("sensitivity %v", v)
	}
	if v := float64(got[sensitivityMax]); !(v > 0) {
		t.Errorf("sensitivity to a missing unit %v", v)
	}
}

// TestUnmoved: a text of one unit has no neighbours, nor has a pair of texts, so that
// nothing is said of how stable its explanation is.
func TestUnmoved(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	pair := "every scene looks great"
	o := Options{Settings: settings(t, "eraser", Sensitivity), Methods: []Method{{Name: "leave-one-out"}}}
	for what, c := range map[string]struct {
		input core.Input
		want  bool
	}{
		"one unit":  {core.Input{Text: "good"}, false},
		"two units": {core.Input{Text: "good film"}, true},
		"a pair":    {core.Input{Text: film, Pair: &pair}, false},
	} {
		if v, ok := evaluate(t, h, m, []Text{{Input: c.input}}, o).Texts[0].Methods[0].Values[sensitivityMax]; ok != c.want || ok && !(v > 0) {
			t.Errorf("%s: %v %v", what, v, ok)
		}
	}
}

func TestRefused(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	text := []Text{{Input: core.Input{Text: film}}}
	for what, change := range map[string]func(*Options){
		"measures":   func(o *Options) { o.Measures = []string{"faithful"} },
		"no measure": func(o *Options) { o.Measures = nil },
		"fill":       func(o *Options) { o.Fill = "token" },
		"shares":     func(o *Options) { o.Shares = []float64{0.5, 1.5} },
		"none":       func(o *Options) { o.Shares = nil },
		"rule":       func(o *Options) { o.Rule = "up" },
		"steps":      func(o *Options) { o.Steps = -1 },
		"top":        func(o *Options) { o.Top = "0" },
		"long":       func(o *Options) { o.Long = "skip" },
		"noise":      func(o *Options) { o.Noise = math.NaN() },
		"confidence": func(o *Options) { o.Confidence = 1 },
		"twice":      func(o *Options) { o.Methods = []Method{lime, lime} },
		"nothing":    func(o *Options) { o.Methods = nil },
		"method":     func(o *Options) { o.Methods = []Method{{Name: "lyme"}} },
		"target":     func(o *Options) { o.Target = "nothing" },
	} {
		o := Options{Settings: settings(t, "eraser"), Methods: []Method{lime}, Runtime: core.RuntimeNative}
		change(&o)
		if _, err := Run(t.Context(), h, m, text, o); core.KindOf(err) != core.KindUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, h, m, text, Options{Settings: settings(t, "eraser"), Methods: []Method{lime}, Runtime: core.RuntimeNative}); core.KindOf(err) != core.KindInterrupted {
		t.Errorf("interrupted: %v", err)
	}
}

func TestReadCorpus(t *testing.T) {
	texts, err := ReadCorpus(strings.NewReader("\xef\xbb\xbf"+`{"text": "größer ist gut", "label": 1, "rationale": [[12, 15]]}

{"id": "b", "text": "größer ist gut", "rationale_runes": [[11, 14]], "target": "POSITIVE", "other": {}}
{"text": "größer ist gut", "evidences": [{"start": 11, "end": 14, "text": "gut"}], "scores": [1, 2, 3]}
{"text": "a", "text_pair": "b", "rationale": []}
{"text": "质量差", "rationale": [[3, 9]], "other": {"text": 1, "text": 2, "Text": [{"id": 1, "id": 2}]}, "more": 1, "more": 2}`), "corpus", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair := "b"
	same := core.Input{Text: "größer ist gut"}
	gut := []Range{{13, 16}}
	want := []Text{
		{ID: "1", Input: same, Label: "1", Marked: true, Ranges: []Range{{12, 15}}},
		{ID: "b", Input: same, Target: "POSITIVE", Marked: true, Ranges: gut},
		{ID: "4", Input: same, Marked: true, Ranges: gut, Scores: []float64{1, 2, 3}},
		{ID: "5", Input: core.Input{Text: "a", Pair: &pair}, Marked: true},
		{ID: "6", Input: core.Input{Text: "质量差"}, Marked: true, Ranges: []Range{{3, 9}}},
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for bad, message := range map[string]string{
		"":                                       "holds no text",
		"[]":                                     "line 1: it is no such object",
		"{}":                                     `line 1: it has no "text"`,
		"{\"text\": \"a\"}\n{\"text\": 1}":       "line 2: it is no such object",
		`{"text": "abc", "rationale": [[2, 4]]}`: "outside of the text",
		`{"text": "abc", "rationale_runes": [[-1, 2]]}`:                       "outside of the text",
		`{"text": "abc", "rationale": [], "evidences": []}`:                   "more than one way",
		`{"text": "abc", "evidences": [{"start": 1}]}`:                        `no "start" and "end"`,
		`{"text": "abc", "evidences": [{"start": 1, "end": 2, "text": "c"}]}`: "is not the text that is there",
		`{"text": "abc", "rationale": [[1]]}`:                                 "not [start, end]",
		`{"text": "abc", "rationale": [[0, 1, 2]]}`:                           "not [start, end]",
		`{"text": " \n"}`:                                            "line 1: the text is empty",
		`{"text": "abc", "scores": [1, "NaN"]}`:                      `"scores" cannot have the JSON type string`,
		`{"text": "abc", "rationale": [null]}`:                       "not [start, end]",
		`{"text": "abc", "rationale": [[2, 1]]}`:                     "outside of the text",
		`{"text": "abc", "rationale": [[1e99, 2]]}`:                  "no such object",
		`{"text": "abc", "scores": [1, null]}`:                       "one of its scores is null",
		`{"text": "abc", "scores": [NaN]}`:                           "no such object",
		`{"text": "abc"} {}`:                                         "no such object",
		"{\"text\": \"\xff\"}":                                       "is not UTF-8",
		`{"id": 7, "text": "a"}` + "\n" + `{"id": "7", "text": "b"}`: `line 2: the id "7" is that of line 1`,

		`{"text": "a"}` + "\n" + `{"text": "b", "label": 1, "label": 2}`:                `line 2: it says "label" twice: keep one of them`,
		`{"text": "a", "Text": "b"}`:                                                    `it says "text" twice`,
		`{"text": "abc", "evidences": [{"start": 0, "end": 1, "end": 2}]}`:              `it says "end" twice`,
		`{"text": "abc", "evidences": [{"start": 0, "end": 1}], "evidences": []}`:       `it says "evidences" twice`,
		`{"annotation_id": "a", "evidences": [[{"start_token": 0, "START_TOKEN": 1}]]}`: `it says "start_token" twice`,
		`{"text": "größer", "rationale": [[0, 3]]}`:                                     `line 1: its rationale [0, 3] cuts a character in two: give offsets in bytes, or those in characters as "rationale_runes"`,
		`{"text": "质量差", "rationale": [[0, 3], [4, 6]]}`:                                "its rationale [4, 6] cuts",
	} {
		if _, err := ReadCorpus(strings.NewReader(bad), "corpus", nil, nil); core.KindOf(err) != core.KindInput || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", bad, err, message)
		}
	}
	if _, err := ReadCorpus(strings.NewReader(strings.Repeat("x", maxLine+1)), "corpus", nil, nil); err == nil || !strings.Contains(err.Error(), "16 MiB") {
		t.Errorf("a long line: %v", err)
	}
}

// TestUnknownKeys: what a line has and nothing reads is said once, with what it may
// have been meant to be.
func TestUnknownKeys(t *testing.T) {
	for corpus, want := range map[string][]string{
		`{"text": "a", "rationales": [[0, 1]]}` + "\n" + `{"text": "b", "rationales": []}`: {`corpus, line 1: the key "rationales" is not read; did you mean "rationale"?`},
		`{"text": "a"}` + "\n" + `{"text": "b", "colour": 1, "\u001b[2J": 2}`: {
			`corpus, line 2: the key "\x1b[2J" is not read`, `corpus, line 2: the key "colour" is not read`,
		},
		`{"Text": "a", "id": 1, "text_pair": null, "label": "x", "target": "0", "scores": [1], "evidences": []}`: nil,
		`{"text": "a", "rationale_runes": []}`:                     nil,
		`{"annotation_id": "a", "evidences": [], "query": "Why?"}`: nil,
		`{"text": "a", "k1": 1, "k2": 1, "k3": 1, "k4": 1, "k5": 1, "k6": 1, "k7": 1, "k8": 1, "k9": 1}`: {
			`corpus, line 1: the key "k1" is not read`, `corpus, line 1: the key "k2" is not read`,
			`corpus, line 1: the key "k3" is not read`, `corpus, line 1: the key "k4" is not read`,
			`corpus, line 1: the key "k5" is not read`, `corpus, line 1: the key "k6" is not read`,
			`corpus, line 1: the key "k7" is not read`, `corpus, line 1: the key "k8" is not read`,
		},
	} {
		var got []string
		warn := func(message string) { got = append(got, message) }
		if _, err := ReadCorpus(strings.NewReader(corpus), "corpus", fstest.MapFS{"a": {Data: []byte("a")}}, warn); err != nil {
			t.Errorf("%s: %v", corpus, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", corpus, diff)
		}
	}
	var fields []string
	for field := range reflect.TypeFor[line]().Fields() {
		fields = append(fields, field.Tag.Get("json"))
	}
	if slices.Sort(fields); !slices.Equal(fields, slices.Sorted(slices.Values(keys))) {
		t.Errorf("a line has the keys %v", fields)
	}
}

// TestReadERASER reads lines of ERASER's release with their documents.
func TestReadERASER(t *testing.T) {
	const review = "a dull  story .\ngrößer\u00a0als \x1cnie .\n"
	documents := fstest.MapFS{"neg_1.txt": {Data: []byte(review)}, "latin.txt": {Data: []byte("caf\xe9")}, "folder/x": {Data: []byte("x")}}
	read := func(line string, documents fs.FS) ([]Text, error) {
		return ReadCorpus(strings.NewReader(line), "val.jsonl", documents, nil)
	}
	line := `{"annotation_id": "neg_1.txt", "classification": "NEG", "docids": null, "query": "What?", "evidences": [` +
		`[{"docid": "neg_1.txt", "start_token": 1, "end_token": 3, "start_sentence": 0, "end_sentence": 1, "text": "dull story"}], ` +
		`[{"docid": "neg_1.txt", "start_token": 4, "end_token": 7, "text": "größer als nie"}]]}`
	got, err := read(line, documents)
	want := []Text{{ID: "neg_1.txt", Input: core.Input{Text: review}, Label: "NEG", Marked: true, Ranges: []Range{{2, 13}, {16, 34}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	if marked := got[0].Input.Text[16:34]; marked != "größer\u00a0als \x1cnie" {
		t.Errorf("marked %q", marked)
	}
	if got, err = read(`{"annotation_id": "x", "docids": ["neg_1.txt"], "evidences": []}`, documents); err != nil || got[0].Input.Text != review || !got[0].Marked || got[0].Ranges != nil {
		t.Errorf("without evidences: %v, %v", got, err)
	}
	for bad, message := range map[string]string{
		`{"annotation_id": "neg_2.txt"}`:                                          "cannot be read",
		`{"annotation_id": "../neg_1.txt"}`:                                       "is missing",
		`{"annotation_id": "folder"}`:                                             "cannot be read",
		`{"annotation_id": "latin.txt"}`:                                          "is not UTF-8",
		`{"annotation_id": "neg_1.txt", "evidences": [{"start": 1}]}`:             "no annotation of ERASER's",
		`{"annotation_id": "neg_1.txt", "evidences": [[{"docid": "neg_1.txt"}]]}`: `no "start_token"`,
		`{"annotation_id": "neg_1.txt", "evidences": [[{"docid": "neg_1.txt", "start_token": 7, "end_token": 9}]]}`:      "outside of the document, which has 8",
		`{"annotation_id": "neg_1.txt", "evidences": [[{"docid": "neg_1.txt", "start_token": 2, "end_token": 2}]]}`:      "outside of the document",
		strings.Replace(line, "dull story", "dull plot", 1):                                                              "is not the text that is there",
		strings.Replace(line, `[{"docid": "neg_1.txt", "start_token": 4`, `[{"docid": "latin.txt", "start_token": 4`, 1): "several documents",
		`{"annotation_id": "neg_1.txt", "evidences": [[{"start_token": 1, "end_token": 2}]]}`:                            "name no document",
	} {
		if _, err := read(bad, documents); core.KindOf(err) != core.KindInput || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", bad, err, message)
		}
	}
	if _, err := read(line, nil); core.KindOf(err) != core.KindInput || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("without documents: %v", err)
	}
}

func TestReadScores(t *testing.T) {
	for text, want := range map[string][]Scores{
		"[1, -2.5]":       {{List: []float64{1, -2.5}}},
		"[1]\n[2, 3]":     {{List: []float64{1}}, {List: []float64{2, 3}}},
		"[[1], [2, 3e0]]": {{List: []float64{1}}, {List: []float64{2, 3}}},
	} {
		got, err := ReadScores(strings.NewReader(text), "scores")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
	for _, bad := range []string{"", "1", "{}", "[1", `["a"]`, "null", "[1, null]", "[[1], [null]]", "[1, [2]]"} {
		if _, err := ReadScores(strings.NewReader(bad), "scores"); core.KindOf(err) != core.KindInput {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestLargeCorpora: as many ranges as a line holds, in code points of a long text, are
// found at once; a document that is no file is refused, and so are more bytes of
// documents than the bound, of which a corpus may name one again and again.
func TestLargeCorpora(t *testing.T) {
	const n = 200_000
	var line strings.Builder
	fmt.Fprintf(&line, `{"text": "%s", "rationale_runes": [[0, 1]`, strings.Repeat("ö ", n))
	for i := range n {
		fmt.Fprintf(&line, ", [%d, %d]", 2*i, 2*i+1)
	}
	texts, err := ReadCorpus(strings.NewReader(line.String()+"]}"), "corpus", nil, nil)
	if err != nil || len(texts[0].Ranges) != n+1 || texts[0].Ranges[n] != (Range{3*n - 3, 3*n - 1}) {
		t.Fatal(err)
	}
	if share := meanShare(texts); share != 1 {
		t.Errorf("%g of the words are marked, want all", share)
	}
	documents := fstest.MapFS{"pipe": {Mode: fs.ModeNamedPipe}, "long": {Data: bytes.Repeat([]byte("a "), maxLine/2)}}
	if _, err := ReadCorpus(strings.NewReader(`{"annotation_id": "pipe"}`), "corpus", documents, nil); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("a pipe: %v", err)
	}
	line.Reset()
	for i := range maxText/maxLine + 1 {
		fmt.Fprintf(&line, `{"annotation_id": "%d", "docids": ["long"]}`+"\n", i)
	}
	if _, err := ReadCorpus(strings.NewReader(line.String()), "corpus", documents, nil); err == nil || !strings.Contains(err.Error(), "line 17: the texts have more than 256 MiB") {
		t.Errorf("many documents: %v", err)
	}
}

// TestOverlap: a stretch overlaps merged ranges where it overlaps one of them.
func TestOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) Range {
			start := rapid.IntRange(0, 20).Draw(t, "start")
			return Range{start, start + rapid.IntRange(0, 6).Draw(t, "length")}
		})
		ranges := rapid.SliceOfN(draw, 0, 8).Draw(t, "ranges")
		unit := draw.Filter(func(r Range) bool { return r.End > r.Start }).Draw(t, "unit")
		want := slices.ContainsFunc(ranges, func(r Range) bool { return unit.Start < r.End && r.Start < unit.End })
		if got := overlap(merged(ranges), unit); got != want {
			t.Fatalf("%v of %v: %t, want %t", unit, ranges, got, want)
		}
	})
}

// TestManyVariants: variants that are too many to be remembered at once get what each
// gets alone, and sets of units that are too many are refused.
func TestManyVariants(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	d, err := open(t.Context(), m, core.Input{Text: film}, &Options{Units: core.UnitsWord}, "", LongWindows)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	p := &players{document: d}
	p.add(d.windows[0].Request().Units, d.windows[0])
	of := func(v int) []bool { return p.without(v % p.n) }
	fill := sdk.Fill{Kind: sdk.FillDelete}
	variants := maxKept/(p.n+perVariant) + 3
	got, err := p.evaluate(t.Context(), variants, of, fill)
	if err != nil || len(got) != variants {
		t.Fatalf("%d of %d: %v", len(got), variants, err)
	}
	for _, v := range []int{0, 1, variants - 4, variants - 3, variants - 1} {
		alone, err := p.together(t.Context(), [][]bool{of(v)}, fill)
		if err != nil || got[v].value != alone[0].value {
			t.Errorf("variant %d: %g, and alone %g: %v", v, got[v].value, alone[0].value, err)
		}
	}
	p.n = maxDrawn/100 + 1
	if _, err := p.drop(t.Context(), &Settings{Samples: 100}, nil); core.KindOf(err) != core.KindInput {
		t.Errorf("too many sets: %v", err)
	}
}

func FuzzReadCorpus(f *testing.F) {
	f.Add([]byte(`{"text": "größer", "rationale_runes": [[2, 4]], "label": 1, "scores": [1e3]}`))
	f.Add([]byte(`{"text": "abc", "evidences": [{"start": 1, "end": 2, "text": "b"}]}`))
	f.Add([]byte(`{"annotation_id": "a", "evidences": [[{"docid": "a", "start_token": 1, "end_token": 2, "text": "b"}]]}`))
	documents := fstest.MapFS{"a": {Data: []byte("a b\u00a0größer\n")}}
	f.Fuzz(func(t *testing.T, data []byte) {
		texts, err := ReadCorpus(bytes.NewReader(data), "corpus", documents, nil)
		if err != nil {
			return
		}
		for _, x := range texts {
			for _, r := range x.Ranges {
				if marked := x.Input.Text[r.Start:r.End]; !utf8.ValidString(marked) {
					t.Errorf("%q cuts characters of %q in two", marked, x.Input.Text)
				}
			}
		}
		meanShare(texts)
	})
}

func FuzzReadScores(f *testing.F) {
	f.Add([]byte(`[[1, 2], [3]]`))
	f.Add([]byte(`{"schema": "xai.explanation/1"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := ReadScores(bytes.NewReader(data), "scores"); err != nil && core.KindOf(err) != core.KindInput {
			t.Error(err)
		}
	})
}

// TestSpansOverTexts holds the score of spans over a corpus to ERASER's, which leaves
// texts of which nothing is predicted out of the precision.
func TestSpansOverTexts(t *testing.T) {
	s := settings(t, "eraser", "plausibility")
	s.Positive, s.Bootstrap = true, 0
	truth := []bool{true, true, false, false, true, false}
	r := &run{Options: Options{Settings: s}, share: 0.5, result: &Evaluation{}}
	var matches []metric.Match
	for _, scores := range [][]float64{{3, 2, 0, 0, 1, 0}, {-1, -2, -3, -4, -5, -6}, {0, 0, 3, 2, 1, 0}, {3, 0, 0, 2, 0, 0}} {
		values := map[string]float64{}
		r.plausible(truth, scores, metric.Order(scores), values)
		result := Result{Values: map[string]core.Float{}}
		for name, v := range values {
			result.Values[name] = core.Float(v)
		}
		r.result.Texts = append(r.result.Texts, TextResult{Methods: []Result{result}})
		chosen := make([]bool, len(truth))
		for _, i := range metric.Order(scores)[:3] {
			chosen[i] = scores[i] > 0
		}
		matches = append(matches, metric.PartialMatch(metric.Spans(truth), metric.Spans(chosen), overlapThreshold))
	}
	_, want := metric.IOUF1(matches)
	if got := r.measureOf(t.Context(), 0, iouF1).Mean; math.Abs(float64(got)-want) > 1e-15 {
		t.Errorf("%v, want %v", got, want)
	}
	if m := r.measureOf(t.Context(), 0, iouPrecision); m.Texts != 3 {
		t.Errorf("the precision is of %d texts, not of the 3 of which anything is predicted", m.Texts)
	}
}
