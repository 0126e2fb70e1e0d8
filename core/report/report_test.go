package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

// unit is a word with its score.
type unit struct {
	text  string
	value float64
}

// explain builds the explanation of a text with scores for words in the order
// in which they stand there.
func explain(text string, units ...unit) *core.Explanation {
	e := &core.Explanation{
		Schema:     core.Schema,
		Model:      core.ModelRef{ID: "builtin:sentiment-en", Architecture: "bert", Task: "sequence-classification"},
		Method:     core.MethodRef{Name: "lime", Version: "1.0.0", Runtime: "wasm", Params: map[string]any{"num_samples": int64(1000)}},
		Input:      core.InputRef{Text: text, InputIDs: []int32{2, 17, 3}, Tokens: []core.Token{}, Units: []core.Unit{}, Dropped: []core.Token{}},
		Target:     core.Target{Kind: "class", Index: 1, Label: "POSITIVE", Output: "prob", Value: 0.972},
		Tensors:    []core.Tensor{},
		Provenance: core.Provenance{XAI: "0.1.0", Kernel: "avx2", DType: "f32", WallSeconds: 0.213, Sandbox: "64 MiB, 60 s, no files, no network"},
		Diagnostics: core.Diagnostics{
			"evaluations": 1000, "unique_evaluations": 412, "cache_hits": 0, "r2": 0.91234, "intercept": 0.25,
		},
	}
	a := core.Attribution{Name: "attributions", Over: "units"}
	at := 0
	for _, u := range units {
		i := strings.Index(text[at:], u.text)
		if i < 0 {
			panic("no " + u.text + " in the text")
		}
		start := at + i
		at = start + len(u.text)
		e.Input.Units = append(e.Input.Units, core.Unit{Text: u.text, Start: start, End: at, Tokens: []int{}})
		a.Values = append(a.Values, core.Float(u.value))
	}
	e.Attributions = []core.Attribution{a}
	return e
}

var film = []unit{
	{"A", 0.01}, {"gripping", 0.31}, {",", 0}, {"beautifully", 0.41}, {"shot", 0.05}, {"film", -0.025},
	{"with", 0}, {"one", -0.03}, {"dull", -0.38}, {"stretch", -0.11}, {".", 0.004},
}

const filmText = "A gripping, beautifully shot film\nwith one dull\tstretch.\n"

func classes(negative, positive float64) *core.Prediction {
	return &core.Prediction{
		Task: arch.SequenceClassification, Labels: []string{"NEGATIVE", "POSITIVE"},
		Rows: []core.PredictedRow{{Readouts: []core.Readout{{Logits: []float64{math.Log(negative), math.Log(positive)}, Probs: []float64{negative, positive}, Class: 1}}}},
	}
}

func render(t *testing.T, term Term, e *core.Explanation, c *core.Prediction) string {
	t.Helper()
	var b bytes.Buffer
	if err := term.Explanation(&b, e, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTermGolden(t *testing.T) {
	baseline := core.Float(0.51)
	e := explain(filmText, film...)
	e.Target.Baseline = &baseline
	for _, v := range e.Attributions[0].Values {
		e.Attributions[0].Stderr = append(e.Attributions[0].Stderr, core.Float(math.Abs(float64(v))/30+0.001))
	}
	for name, term := range map[string]Term{
		"film_truecolour": {Width: 80, Level: TrueColour},
		"film_256":        {Width: 80, Level: Colour256},
		"film_16":         {Width: 80, Level: Colour16},
		"film_plain":      {Width: 80},
		"film_narrow":     {Width: 30, Level: TrueColour},
		"film_top":        {Width: 100, Top: 3},
	} {
		golden(t, name+".txt", render(t, term, e, classes(0.028, 0.972)))
	}

	other := explain("酒店非常干净,服务也很好。", unit{"酒店", 0.1}, unit{"非常", -0.04}, unit{"干净", 0.3}, unit{",", 0}, unit{"服务", 0.05}, unit{"也", 0}, unit{"很好", 0.22}, unit{"。", 0})
	other.Target.Label, other.Target.Output, other.Target.Value = "正面", "logit", 2.037
	golden(t, "chinese.txt", render(t, Term{Width: 30}, other, nil))

	pair := explain("A man walks.", unit{"man", 0.2}, unit{"walks", -1.25})
	second := "Nobody walks.\n\nNobody."
	pair.Input.TextPair = &second
	pair.Input.Units = append(pair.Input.Units, core.Unit{ // one unit with two spans
		Text: "Nobody", Sequence: 1, End: 6, Spans: []core.Span{{Sequence: 1, End: 6}, {Sequence: 1, Start: 15, End: 21}},
	})
	pair.Attributions[0].Values = append(pair.Attributions[0].Values, 2.5)
	pair.Attributions = append(pair.Attributions, core.Attribution{Name: "class.0", Over: "units", Values: []core.Float{-0.5, 1e-7, core.Float(math.NaN())}})
	pair.Diagnostics["class.0.local_pred"] = 0.125
	pair.Target = core.Target{Kind: "difference", Label: "A - B", Output: "logit", Value: 3}
	golden(t, "pair.txt", render(t, Term{}, pair, classes(0.25, 0.75)))
}

func TestTermShowsWhatWasCut(t *testing.T) {
	text := "kept words " + strings.Repeat("lost ", 300)
	e := explain(text, unit{"kept", 1}, unit{"words", -1})
	for i := range 300 {
		start := 11 + 5*i
		e.Input.Dropped = append(e.Input.Dropped, core.Token{Text: "lost", Start: start, End: start + 4})
	}
	got := render(t, Term{Width: 120}, e, nil)
	if !strings.Contains(got, "\n  … 300 tokens did not fit the model and were not explained: lost lost lost lost lost lost … lost lost\n") {
		t.Errorf("the cut is not announced:\n%s", got)
	}
	if n := strings.Count(got, "lost"); n != 8 {
		t.Errorf("the text that was cut is shown (%d times lost):\n%s", n, got)
	}

	e = explain("lost kept words", unit{"kept", 1}, unit{"words", -1})
	e.Input.Dropped = []core.Token{{Text: "gone", Start: 0, End: 4}}
	if got := render(t, Term{Width: 120}, e, nil); strings.Contains(got, "lost") || !strings.Contains(got, "\n  kept[+1.00] words[-1.00]\n") {
		t.Errorf("the beginning that was cut is shown:\n%s", got)
	}
}

// TestTermDoubts: each doubt has its own mark, but for what stands below the text
// already.
func TestTermDoubts(t *testing.T) {
	e := explain("good", unit{"good", 0.5})
	if got := render(t, Term{}, e, nil); strings.Contains(got, "!") {
		t.Errorf("without a doubt it says\n%s", got)
	}
	e.Doubts = []core.Doubt{
		{Code: core.DoubtOneUnit, Text: "There is one unit alone."},
		{Code: core.DoubtFlat, Text: "The output without the input is almost the same: another fill \x1b[31mor baseline may say more."},
		{Code: core.DoubtCut, Text: "3 tokens did not fit."},
	}
	const want = `
  ! There is one unit alone.
  ! The output without the input
    is almost the same: another
    fill ␛[31mor baseline may
    say more.
`
	if got := render(t, Term{Width: 34}, e, nil); !strings.Contains(got, want) || strings.Contains(got, "did not fit") {
		t.Errorf("it says\n%s", got)
	}
}

// TestTermSizes: the legend does not say of a size that it raises or lowers anything.
func TestTermSizes(t *testing.T) {
	e := explain("A good film", unit{"good", 0.5}, unit{"film", 0.25})
	for _, level := range []Level{NoColour, TrueColour} {
		for _, unsigned := range []bool{false, true} {
			e.Diagnostics["unsigned"] = 0
			if unsigned {
				e.Diagnostics["unsigned"] = 1
			}
			got := strings.Join(strings.Fields(render(t, Term{Level: level}, e, nil)), " ")
			signed := strings.Contains(got, "[-] lowers it;") || strings.Contains(got, "raises the")
			if size := strings.Contains(got, "does not say whether it raises or lowers it"); size != unsigned || signed == unsigned || strings.Contains(got, "unsigned") {
				t.Errorf("unsigned %t:\n%s", unsigned, got)
			}
		}
	}
}

// TestTermSizesAreBare: a size has no sign, and what knows no class names none.
func TestTermSizesAreBare(t *testing.T) {
	e := explain("A good film", unit{"good", 0.5}, unit{"film", 0.25})
	e.Method.Needs = []sdk.Need{sdk.NeedAttentions}
	for _, c := range []struct {
		needs []sdk.Need
		class bool
	}{
		{[]sdk.Need{sdk.NeedAttentions}, false},
		{[]sdk.Need{sdk.NeedAttentions, sdk.NeedGradients}, true},
		{[]sdk.Need{sdk.NeedGradients}, true},
	} {
		e.Method.Needs, e.Diagnostics["unsigned"] = c.needs, 1
		got := strings.Join(strings.Fields(render(t, Term{}, e, nil)), " ")
		if strings.Contains(got, "+") || !strings.Contains(got, "good[0.500]") || !strings.Contains(got, "1 0.500 █") {
			t.Errorf("%v: a size has a sign:\n%s", c.needs, got)
		}
		if class := strings.Contains(got, "matters to the probability of POSITIVE"); class != c.class || class == strings.Contains(got, "knows no class") {
			t.Errorf("%v: the legend says\n%s", c.needs, got)
		}
	}
}

// TestTermSteps: what the host words has no line of its own below a step.
func TestTermSteps(t *testing.T) {
	e := explain("A good film", unit{"good", 0.5}, unit{"film", 0.25})
	e.Attributions = append(e.Attributions, core.Attribution{Name: "step.0", Over: "units", Values: []core.Float{0.5, 0.25}})
	e.Diagnostics["step.0.unsigned"], e.Diagnostics["step.0.r2"] = 1, 0.5
	e.Tensors = []core.Tensor{{Name: "interactions", Axes: []string{"unit", "unit"}}, {Name: "other"}}
	got := render(t, Term{}, e, nil)
	if strings.Contains(got, "unsigned") || !strings.Contains(got, "r2 0.5") || !strings.Contains(got, "1  0.500  █") {
		t.Errorf("it says\n%s", got)
	}
	if !strings.Contains(got, "  also: interactions [unit, unit], other [] (in --format json or safetensors)\n") {
		t.Errorf("it hides tensors:\n%s", got)
	}
}

// TestTermClasses: a further class has its value and its baseline beside its scores.
func TestTermClasses(t *testing.T) {
	e := explain("A good film", unit{"good", 0.5}, unit{"film", 0.25})
	low := core.Float(0.4)
	e.Attributions = append(e.Attributions,
		core.Attribution{Name: "class.0", Over: "units", Values: []core.Float{0.5, 0.25}, Target: &core.Target{Label: "BAD\x1b", Value: 0.0277, Baseline: &low}},
		core.Attribution{Name: "class.2", Over: "units", Values: []core.Float{0.5, 0.25}, Target: &core.Target{Index: 2, Value: 0.125}},
	)
	e.Diagnostics["class.0.r2"] = 0.5
	got := render(t, Term{}, e, nil)
	for _, want := range []string{"\n  BAD␛ (class.0) = 0.0277\n", "\n  baseline 0.4 · r2 0.5\n", "\n  class.2 = 0.125\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
}

// TestScalar: a target at a token names it.
func TestScalar(t *testing.T) {
	tokens := []core.Token{{Text: "[CLS]"}, {Text: "the"}, {Text: " film\x1b"}, {}}
	for _, c := range []struct{ kind, expr, label, want string }{
		{"class", "1", "POSITIVE", `POSITIVE`},
		{"class", "3@1", "LABEL_3", `LABEL_3 at token 1 ("the")`},
		{"class", "3@-3", "LABEL_3", `LABEL_3 at token 1 ("the")`},
		{"class", "3@3", "LABEL_3", `LABEL_3 at token 3`},
		{"class", "3@9", "LABEL_3", `LABEL_3 at token 9`},
		{"class", "0", " ", `class 0`},
		{"start", "start@2", "start", `start at token 2 ("film␛")`},
		{"span", "span:1-2", "the film", `"the film"`},
		{"token", "token:5@-1", " good", `" good"`},
		{"token", "token:5@1", "good", `"good" at token 1 ("the")`},
		{"continuation", "continuation:good@1", "good@1", `"good@1"`},
		{"difference", "1 - 0", "A - B", `A - B`},
		{"difference", "start@1 - end@2", "start - end", `start at token 1 ("the") - end at token 2 ("film␛")`},
		{"difference", "token:5@1 - token:6@-1", `"a" - "b"`, `"a" at token 1 ("the") - "b"`},
		{"difference", "1@1 - 2@3", "A - a - B", `A - a - B, at token 1 ("the") - at token 3`},
	} {
		if got := scalar(&core.Target{Kind: c.kind, Expr: c.expr, Label: c.label, Output: "prob"}, tokens); got != "probability of "+c.want {
			t.Errorf("%s: %s, want %s", c.expr, got, c.want)
		}
	}
}

// TestBlankLabels: a class without a label has a name all the same.
func TestBlankLabels(t *testing.T) {
	classes := classesOf([]string{"", "b"}, core.Readout{Logits: []float64{1, 2}})
	if classes[0].label != "b" || classes[1].label != "class 0" {
		t.Errorf("%+v", classes)
	}
	if got := title(core.Attribution{Name: sdk.ClassName(0)}, &core.Target{}, classes); got != "class 0 (class.0)" {
		t.Error(got)
	}
}

// TestTermSanity shows how the scores change with the model.
func TestTermSanity(t *testing.T) {
	e := explain("A good film", unit{"A", -0.1}, unit{"good", 0.5}, unit{"film", 0.25})
	e.Sanity = &core.Sanity{Stages: []core.SanityStage{
		{Down: "head", Values: 0.5, Magnitudes: 1}, {Down: "layer.0", Values: -1, Magnitudes: -0.5},
		{Down: "embeddings", Values: core.Float(math.NaN()), Magnitudes: core.Float(math.NaN())},
	}}
	golden(t, "sanity.txt", render(t, Term{Width: 60}, e, nil))
}

// TestTermDev: who reads a report sees that nothing held its method to a hash.
func TestTermDev(t *testing.T) {
	const said = "lime 1.0.0 as it lay on the disk, held to no hash and no grant"
	e := explain("good", unit{"good", 1})
	if got := render(t, Term{Width: 120}, e, nil); strings.Contains(got, "held to no hash") {
		t.Errorf("of a pinned method it says\n%s", got)
	}
	e.Provenance.Dev = true
	if got := render(t, Term{Width: 120}, e, nil); !strings.Contains(got, said) {
		t.Errorf("no %q in\n%s", said, got)
	}
}

// TestTermInt8: what 8 bits change stands in a line of its own.
func TestTermInt8(t *testing.T) {
	e := explain("A fine film", unit{"fine", 0.5}, unit{"film", -0.1})
	plain := render(t, Term{}, e, nil)
	if strings.Contains(plain, "8 bits") {
		t.Errorf("a model in float32 mentions 8 bits:\n%s", plain)
	}
	e.Diagnostics["float32_value"], e.Diagnostics["float32_variants"] = 0.968, 64
	e.Diagnostics["float32_change_mean"], e.Diagnostics["float32_change_largest"] = 0.0012, 0.0075
	const want = "  8 bits: 0.972 instead of 0.968 in float32\n  64 variants off by 0.0012 on average, 0.0075 at most\n"
	if got := render(t, Term{}, e, nil); !strings.Contains(got, want) || strings.Contains(got, "float32 variants") {
		t.Errorf("no line %q in\n%s", want, got)
	}
	e.Diagnostics["float32_variants"], e.Diagnostics["float32_attribution_change"] = 5, 0.003
	if got := render(t, Term{Width: 120}, e, nil); !strings.Contains(got, "0.0075 at most\n  scores by 0.003 at most\n") {
		t.Errorf("the change of scores is missing in\n%s", got)
	}
}

func TestTermLong(t *testing.T) {
	got := render(t, Term{}, explain(strings.Repeat("\n", 1000)+"dull", unit{"dull", 1}), nil)
	if n := strings.Count(got, "\n"); n > maxLines+20 || !strings.Contains(got, "\n  … and 601 more lines\n") {
		t.Errorf("a text of 1001 lines is drawn with %d", n)
	}
}

func TestTermRawTokens(t *testing.T) {
	e := explain("")
	for i, s := range []string{"[CLS]", "dull", "film"} {
		e.Input.Units = append(e.Input.Units, core.Unit{Text: s, Tokens: []int{i}})
	}
	e.Attributions[0].Values = []core.Float{0, -2, 1}
	if got := render(t, Term{}, e, nil); !strings.Contains(got, "\n  [CLS] dull[-2.00] film[+1.00]\n") {
		t.Errorf("raw tokens are not spelt:\n%s", got)
	}
}

func TestTermTokens(t *testing.T) {
	e := explain("gripping")
	e.Input.Tokens = []core.Token{{Text: "[CLS]", Special: true}, {Text: "grip", End: 4}, {Text: "##ping", Start: 4, End: 8}, {Text: "[SEP]", Special: true}}
	e.Attributions[0] = core.Attribution{Name: "attributions", Over: "tokens", Values: []core.Float{0, 1, -0.5, 0.25}}
	got := render(t, Term{}, e, nil)
	for _, want := range []string{"\n  grip[+1.00]ping[-0.50]\n", "##ping\n", "[SEP]\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "[CLS]") {
		t.Errorf("a special token that has no score is listed:\n%s", got)
	}
}

// TestTermHostile checks that nothing that a text, a label or a method says can
// reach the terminal as a control.
func TestTermHostile(t *testing.T) {
	var evil strings.Builder
	for r := rune(0); r <= 0xFFFF; r++ {
		if hidden(r) {
			evil.WriteString("x")
			evil.WriteRune(r)
		}
	}
	evil.WriteString("\x1b[31m\x1b]0;title\a\u202etxt.exe\U000E0041 \xff\xfe")
	s := evil.String()
	e := explain(s, unit{s, 0.5})
	e.Target.Label, e.Model.ID, e.Method.Name, e.Method.Version, e.Provenance.Sandbox, e.Provenance.Kernel = s, s, s, s, s, s
	e.Diagnostics[s] = 1
	e.Target.Kind, e.Target.Steps = "continuation", []core.Step{{Text: s}}
	e.Input.Dropped = []core.Token{{Text: s, Start: len(s), End: len(s)}}
	e.Attributions = append(e.Attributions, core.Attribution{Name: s, Over: s, Values: []core.Float{1}}, core.Attribution{Name: "step.0", Over: s, Values: []core.Float{1}})
	p := &core.Prediction{Labels: []string{s}, Rows: []core.PredictedRow{{Readouts: []core.Readout{{Logits: []float64{1}}}, Dropped: []core.Token{{Text: s}}}}}
	var predicted, encoded bytes.Buffer
	if err := (Term{}).Prediction(&predicted, p, false); err != nil {
		t.Fatal(err)
	}
	if err := (Term{}).Encoding(&encoded, &tokenizer.Encoding{Tokens: []tokenizer.Token{{Text: s}}}); err != nil {
		t.Fatal(err)
	}
	token := core.Token{Text: s}
	choice := core.Choice{Token: s, Text: s}
	for _, p := range []*core.Prediction{
		{Task: arch.TokenClassification, Labels: []string{s}, Rows: []core.PredictedRow{{Tokens: []core.Token{token}, Readouts: []core.Readout{{Logits: []float64{1}, Probs: []float64{1}}}}}},
		{Task: arch.QuestionAnswering, Rows: []core.PredictedRow{{Spans: []core.Answer{{Text: s}}}}},
		{Task: arch.MaskedLM, Rows: []core.PredictedRow{{Tokens: []core.Token{token, token}, Readouts: []core.Readout{{Top: []core.Choice{choice}}, {Position: 1, Top: []core.Choice{{Token: s}}}}}}},
	} {
		if err := (Term{}).Prediction(&predicted, p, false); err != nil {
			t.Fatal(err)
		}
	}
	var activations bytes.Buffer
	if err := (Term{}).Activations(&activations, &core.Activations{Objective: &core.Objective{Expr: s, Values: []float64{1}}, Tensors: []core.Activation{{Name: s, Tensor: engine.Tensor{Shape: []int{}, F32: []float32{1}}}}}); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"activations": activations.String(), "lines": Lines(s),
		"explanation": render(t, Term{}, e, p), "prediction": predicted.String(), "encoding": encoded.String(), "line": Line(s),
	} {
		if !utf8.ValidString(got) {
			t.Errorf("%s: the output is not UTF-8", name)
		}
		for _, r := range strings.ReplaceAll(got, "\n", "") {
			if hidden(r) && (r != '\t' || name != "lines") {
				t.Errorf("%s: %U reaches the terminal", name, r)
			}
		}
	}
}

func TestVisible(t *testing.T) {
	for _, c := range []struct{ name, given, want string }{
		{"plain", "é", "é"},
		{"escape", "\x1b", "␛"},
		{"nul", "\x00", "␀"},
		{"delete", "\x7f", "␡"},
		{"C1", "\u009b", "<U+009B>"},
		{"bidirectional override", "\u202e", "<U+202E>"},
		{"byte order mark", "\ufeff", "<U+FEFF>"},
		{"line separator", "\u2028", "<U+2028>"},
		{"invalid byte", "\xff", "\ufffd"},
		{"family", "👩‍👩‍👧", "👩‍👩‍👧"},
		{"flag of Scotland", "🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F", "🏴\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F"},
		{"tags without a flag", "a\U000E0067", "a<U+E0067>"},
		{"Arabic number sign", "\u0600", "\u0600"},
		{"a pile of marks", "e" + strings.Repeat("\u0301", 1000), "e" + strings.Repeat("\u0301", maxRunes-1)},
		{"non-joiner", "می\u200cخواهم", "می\u200cخواهم"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := visible(c.given); got != c.want {
				t.Errorf("visible(%q) = %q, want %q", c.given, got, c.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		name, text string
		width      int
		want       []string
	}{
		{"empty", "", 10, []string{""}},
		{"fits", "one two", 10, []string{"one two"}},
		{"between words", "one two three", 8, []string{"one two", "three"}},
		{"several spaces hang over", "one     two", 5, []string{"one", "two"}},
		{"own lines and blank ones", "one\n\n  two\r\nthree\n", 10, []string{"one", "", "  two", "three"}},
		{"a long word", "abcdefghij kl", 4, []string{"abcd", "efgh", "ij", "kl"}},
		{"no space in Chinese", "酒店非常干净", 5, []string{"酒店", "非常", "干净"}},
		{"no line begins with a full stop", "酒店非常。", 8, []string{"酒店非", "常。"}},
		{"wide characters", "ab酒", 3, []string{"ab", "酒"}},
		{"combining marks", "e\u0301e\u0301e\u0301 a", 3, []string{"e\u0301e\u0301e\u0301", "a"}},
		{"an emoji of many runes", "👩‍👩‍👧👩‍👩‍👧", 2, []string{"👩‍👩‍👧", "👩‍👩‍👧"}},
		{"a tab", "a\tb", 20, []string{"a       b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, l := range wrap(cells(c.text, nil, 1, nil), c.width) {
				var b strings.Builder
				for _, c := range l {
					b.WriteString(c.text)
				}
				got = append(got, b.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCells(t *testing.T) {
	scores := func(text string, spans ...span) []float64 {
		var out []float64
		for _, c := range cells(text, spans, 2, nil) {
			if math.IsNaN(c.score) {
				c.score = -9 // NaN is not equal to itself
			}
			out = append(out, c.score)
		}
		return out
	}
	for _, c := range []struct {
		name  string
		text  string
		spans []span
		want  []float64
	}{
		{"one", "ab c", []span{{0, 2, 1}}, []float64{0.5, 0.5, -9, -9}},
		{"in any order", "ab", []span{{1, 2, 2}, {0, 1, -2}}, []float64{-1, 1}},
		{"several tokens of one character", "é!", []span{{0, 1, 1}, {1, 2, 0.5}}, []float64{0.75, -9}},
		{"equal spans", "é", []span{{0, 2, 1}, {0, 2, 1}}, []float64{1}},
		{"a span that ends inside a cluster", "e\u0301x", []span{{0, 1, 2}}, []float64{1, -9}},
		{"nested", "abc", []span{{0, 3, 1}, {1, 2, 1}}, []float64{0.5, 1, 0.5}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, scores(c.text, c.spans...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDetectLevel(t *testing.T) {
	for _, c := range []struct {
		name     string
		env      map[string]string
		terminal bool
		want     Level
	}{
		{"pipe", map[string]string{"TERM": "xterm-256color", "COLORTERM": "truecolor"}, false, NoColour},
		{"terminal", map[string]string{"TERM": "xterm"}, true, Colour16},
		{"256", map[string]string{"TERM": "xterm-256color"}, true, Colour256},
		{"truecolor", map[string]string{"TERM": "xterm-256color", "COLORTERM": "truecolor"}, true, TrueColour},
		{"24bit", map[string]string{"TERM": "screen", "COLORTERM": "24bit"}, true, TrueColour},
		{"direct", map[string]string{"TERM": "xterm-direct"}, true, TrueColour},
		{"NO_COLOR", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, true, NoColour},
		{"empty NO_COLOR", map[string]string{"TERM": "xterm", "NO_COLOR": ""}, true, Colour16},
		{"NO_COLOR against force", map[string]string{"TERM": "xterm", "NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, true, NoColour},
		{"forced pipe", map[string]string{"TERM": "xterm-256color", "CLICOLOR_FORCE": "1"}, false, Colour256},
		{"not forced", map[string]string{"TERM": "xterm", "CLICOLOR_FORCE": "0"}, false, NoColour},
		{"CLICOLOR=0", map[string]string{"TERM": "xterm", "CLICOLOR": "0"}, true, NoColour},
		{"dumb", map[string]string{"TERM": "dumb"}, true, NoColour},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := DetectLevel(func(k string) string { return c.env[k] }, c.terminal); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// TestPalette checks what the colours promise: text that can be read on every
// shade, and signs that stay apart under the two common colour blindnesses.
func TestPalette(t *testing.T) {
	for i := -100; i <= 100; i++ {
		c := shade(float64(i) / 100)
		if r := contrast(c, c.ink()); r < 4.5 {
			t.Errorf("contrast of %.2f is %.2f", float64(i)/100, r)
		}
		_, quantised := c.index256()
		if r := contrast(quantised, quantised.ink()); r < 4.5 {
			t.Errorf("contrast of %.2f in 256 colours is %.2f", float64(i)/100, r)
		}
	}
	// Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
	for name, m := range map[string][3][3]float64{
		"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
		"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	} {
		seen := func(c rgb) (out [3]float64) {
			for i := range out {
				for k := range c {
					out[i] += m[i][k] * math.Pow(float64(c[k])/255, 2.2)
				}
			}
			return out
		}
		for _, v := range []float64{0.25, 0.5, 1} {
			a, b := seen(shade(v)), seen(shade(-v))
			d := math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
			if d < 0.15*v {
				t.Errorf("%s: ±%.2f are %.3f apart", name, v, d)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	e := explain("<b> & \u202e \x01", unit{"<b>", math.Pi})
	e.Attributions[0].Values = append(e.Attributions[0].Values, core.Float(math.Inf(-1)))
	var b bytes.Buffer
	if err := JSON(&b, e); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{`"text":"<b> & ` + "\u202e" + ` \u0001"`, `"values":[3.141592653589793,"-Infinity"]`, `"tensors":[]`, `"baseline":null`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "}\n") {
		t.Errorf("not one line: %q", got)
	}
	var back core.Explanation
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := JSON(&again, back); err != nil {
		t.Fatal(err)
	}
	// Parameters read back as float64, which print alike.
	if diff := cmp.Diff(got, again.String()); diff != "" {
		t.Errorf("does not survive a round trip:\n%s", diff)
	}
}

func TestCSV(t *testing.T) {
	e := explain("=SUM(A1) 日本 said \"a, b\"\nand - more", unit{"=SUM(A1)", 0.1}, unit{"日本", -1e-300}, unit{"\"a, b\"\nand", 2}, unit{"-", math.NaN()}, unit{"more", 1.0 / 3})
	e.Attributions[0].Stderr = []core.Float{0.25, 0, 1, 2, 3}
	e.Input.Tokens = []core.Token{{Text: "[CLS]", Special: true}}
	e.Attributions = append(e.Attributions, core.Attribution{Name: "per-token", Over: "tokens", Values: []core.Float{7}})
	var b bytes.Buffer
	if err := CSV(&b, e); err != nil {
		t.Fatal(err)
	}
	want := "attribution,over,index,sequence,text,start,end,rune_start,rune_end,value,stderr\r\n" +
		"attributions,units,0,0,'=SUM(A1),0,8,0,8,0.1,0.25\r\n" +
		"attributions,units,1,0,日本,9,15,9,11,-1e-300,0\r\n" +
		"attributions,units,2,0,\"\"\"a, b\"\"\nand\",21,31,17,27,2,1\r\n" +
		"attributions,units,3,0,-,32,33,28,29,NaN,2\r\n" +
		"attributions,units,4,0,more,34,38,30,34,0.3333333333333333,3\r\n" +
		"per-token,tokens,0,0,[CLS],,,,,7,\r\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := records[3][4]; got != "\"a, b\"\nand" {
		t.Errorf("a quoted field reads back as %q", got)
	}
}

func TestSafetensors(t *testing.T) {
	e := explain(filmText, film...)
	e.Attributions[0].Stderr = make([]core.Float, len(film))
	e.Attributions[0].Stderr[1] = 0.125
	e.Tensors = []core.Tensor{{Name: "rollout", Axes: []string{"query", "key"}, Shape: []int{1, 2}, Values: []core.Float{0.5, core.Float(math.Inf(1))}}}
	var b bytes.Buffer
	if err := Safetensors(&b, e); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := f.ReadI64("input_ids")
	if diff := cmp.Diff([]int64{2, 17, 3}, ids); err != nil || diff != "" {
		t.Error(err, diff)
	}
	values, err := f.ReadF64("attributions")
	if err != nil || len(values) != len(film) || values[1] != 0.31 {
		t.Errorf("attributions = %v, %v", values, err)
	}
	stderr, err := f.ReadF64("attributions.stderr")
	if err != nil || stderr[1] != 0.125 {
		t.Errorf("stderr = %v, %v", stderr, err)
	}
	rollout, _ := f.Tensor("rollout")
	if diff := cmp.Diff([]int{1, 2}, rollout.Shape); diff != "" {
		t.Error(diff)
	}
	var rest core.Explanation
	if err := json.Unmarshal([]byte(f.Metadata()["explanation"]), &rest); err != nil {
		t.Fatal(err)
	}
	if rest.Input.Text != filmText || rest.Attributions[0].Name != "attributions" || rest.Attributions[0].Values != nil {
		t.Errorf("metadata = %+v", rest)
	}
	if e.Attributions[0].Values == nil || e.Tensors[0].Values == nil {
		t.Error("writing changed the explanation")
	}
}

func TestPredictionJSON(t *testing.T) {
	row := core.PredictedRow{
		Readouts: []core.Readout{{Logits: []float64{-1, 1.5}, Probs: []float64{0.25, 0.75}, Class: 1}},
		Tokens:   []core.Token{{ID: 2, Text: "[CLS]"}, {ID: 9, Text: "好"}},
	}
	for _, c := range []struct {
		name  string
		p     core.Prediction
		batch bool
		want  string
	}{
		{
			"one", core.Prediction{Labels: []string{"N", "P"}, Rows: []core.PredictedRow{row}}, false,
			`{"logits":[-1,1.5],"probs":[0.25,0.75],"labels":["N","P"],"label":"P","input_ids":[2,9],"tokens":["[CLS]","好"]}`,
		}, {
			"batch of one", core.Prediction{Labels: []string{"N", "P"}, Rows: []core.PredictedRow{row}}, true,
			`{"logits":[[-1,1.5]],"probs":[[0.25,0.75]],"labels":[["N","P"]],"label":["P"],"input_ids":[[2,9]],"tokens":[["[CLS]","好"]]}`,
		}, {
			"regression", core.Prediction{Labels: []string{"score"}, Rows: []core.PredictedRow{{Readouts: []core.Readout{{Logits: []float64{3}}}}}}, false,
			`{"logits":[3],"probs":null,"labels":["score"],"label":null,"input_ids":[],"tokens":[]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			if err := PredictionJSON(&b, &c.p, c.batch, false); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want+"\n", b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTasksJSON holds the JSON form of each task: one row, and a batch.
func TestTasksJSON(t *testing.T) {
	tokens := []core.Token{{ID: 2, Text: "a"}, {ID: 9, Text: "b"}}
	readouts := []core.Readout{{Logits: []float64{1, 2}, Probs: []float64{0.25, 0.75}, Class: 1}, {Position: 1, Logits: []float64{3, 2}, Probs: []float64{0.5, 0.5}}}
	top := func(position int) core.Readout {
		return core.Readout{Position: position, Top: []core.Choice{{ID: 7, Token: "Ġx", Text: " x", Logit: 2, Prob: 0.5}, {ID: 8, Token: "y", Logit: 1, Prob: 0.25}}}
	}
	const (
		read  = `,"input_ids":[2,9],"tokens":["a","b"]}`
		batch = `,"input_ids":[[2,9]],"tokens":[["a","b"]]}`
	)
	for _, c := range []struct {
		name      string
		p         core.Prediction
		all       bool
		one, rows string
	}{
		{
			"tokens", core.Prediction{Task: arch.TokenClassification, Labels: []string{"O", "P"}, Rows: []core.PredictedRow{{Tokens: tokens, Readouts: readouts}}}, false,
			`{"logits":[[1,2],[3,2]],"probs":[[0.25,0.75],[0.5,0.5]],"labels":["O","P"],"label":["P","O"]` + read,
			`{"logits":[[[1,2],[3,2]]],"probs":[[[0.25,0.75],[0.5,0.5]]],"labels":[["O","P"]],"label":[["P","O"]]` + batch,
		}, {
			"spans", core.Prediction{Task: arch.QuestionAnswering, Labels: []string{"start", "end"}, Rows: []core.PredictedRow{{
				Tokens: tokens, Readouts: readouts, Spans: []core.Answer{
					{Tokens: [2]int{0, 1}, Span: &core.Span{Sequence: 1, Start: 3, End: 5}, Text: "ab", StartLogit: 1, EndLogit: 2, Prob: 0.5}, {Tokens: [2]int{1, 1}},
				},
			}}}, false,
			`{"logits":[[1,2],[3,2]],"probs":[[0.25,0.75],[0.5,0.5]],"labels":["start","end"],"spans":[{"text":"ab","start":3,"end":5,"tokens":[0,1],"start_logit":1,"end_logit":2,"prob":0.5},{"text":"","start":null,"end":null,"tokens":[1,1],"start_logit":0,"end_logit":0,"prob":0}]` + read,
			"",
		}, {
			"next token", core.Prediction{Task: arch.CausalLM, Rows: []core.PredictedRow{{Tokens: tokens, Readouts: []core.Readout{top(1)}}}}, false,
			`{"logits":[2,1],"probs":[0.5,0.25],"labels":[" x","y"],"ids":[7,8]` + read,
			`{"logits":[[2,1]],"probs":[[0.5,0.25]],"labels":[[" x","y"]],"ids":[[7,8]]` + batch,
		}, {
			"masks", core.Prediction{Task: arch.MaskedLM, Rows: []core.PredictedRow{{Tokens: tokens, Readouts: []core.Readout{top(1)}}}}, false,
			`{"logits":[[2,1]],"probs":[[0.5,0.25]],"labels":[[" x","y"]],"ids":[[7,8]],"positions":[1]` + read,
			`{"logits":[[[2,1]]],"probs":[[[0.5,0.25]]],"labels":[[[" x","y"]]],"ids":[[[7,8]]],"positions":[[1]]` + batch,
		}, {
			"every logit", core.Prediction{Task: arch.CausalLM, Rows: []core.PredictedRow{{Tokens: tokens, Readouts: readouts}}}, true,
			`{"logits":[[1,2],[3,2]],"probs":[[0.25,0.75],[0.5,0.5]],"labels":null,"positions":[0,1]` + read,
			"",
		},
	} {
		for _, form := range []struct {
			batch bool
			want  string
		}{{false, c.one}, {true, c.rows}} {
			var b strings.Builder
			if err := PredictionJSON(&b, &c.p, form.batch, c.all); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(form.want+"\n", b.String()); form.want != "" && diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
	}
}

// TestActivationsForms holds the file and both summaries of the same values.
func TestActivationsForms(t *testing.T) {
	a := &core.Activations{
		Model: "m", DType: "f32", Kernel: "generic",
		Rows:      []core.ActivationsRow{{Tokens: []core.Token{{ID: 5}, {ID: 6}}}, {Tokens: []core.Token{{ID: 7}}, Dropped: []core.Token{{ID: 8}}}},
		Objective: &core.Objective{Expr: "1", Output: sdk.Logit, Values: []float64{0.5, -1}},
		Tensors: []core.Activation{
			{Name: "x", Axes: []string{"B", "T"}, Tensor: engine.Tensor{Shape: []int{2, 2}, F32: []float32{3, -4, 0, float32(math.Inf(-1))}}},
			{Name: "y[0,1]", Tensor: engine.Tensor{Shape: []int{}, F64: []float64{0.25}}},
			{Name: "hook_tokens", Axes: []string{"B", "T"}, Tensor: engine.Tensor{Shape: []int{2, 2}}, IDs: []int64{5, 6, 7, 0}},
		},
	}
	var file, text, term bytes.Buffer
	if err := ActivationsSafetensors(&file, a); err != nil {
		t.Fatal(err)
	}
	st, err := safetensors.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"input_ids", "hook_tokens"} {
		if ids, err := st.ReadI64(name); err != nil || !slices.Equal(ids, []int64{5, 6, 7, 0}) {
			t.Errorf("%s is %v, %v", name, ids, err)
		}
	}
	if x, err := st.ReadF32("x"); err != nil || !slices.Equal(x, a.Tensors[0].F32) {
		t.Errorf("x is %v, %v", x, err)
	}
	want := map[string]string{
		"schema": ActivationsSchema, "model": `"m"`, "dtype": `"f32"`, "kernel": `"generic"`, "lengths": "[2,1]", "dropped": "[0,1]",
		"axes": `{"hook_tokens":["B","T"],"x":["B","T"],"y[0,1]":[]}`, "target": `{"expr":"1","output":"logit","values":[0.5,-1]}`,
	}
	if diff := cmp.Diff(want, st.Metadata()); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if err := ActivationsJSON(&text, a); err != nil {
		t.Fatal(err)
	}
	const first = `{"model":"m","tensors":[{"name":"x","axes":["B","T"],"shape":[2,2],"min":-4,"mean":-0.3333333333333333,"max":3,"norm":5,"not_finite":1},`
	if !strings.HasPrefix(text.String(), first) {
		t.Errorf("JSON: %s", text.String())
	}
	if err := (Term{}).Activations(&term, a); err != nil {
		t.Fatal(err)
	}
	golden(t, "activations.txt", term.String())
	none := summarize(core.Activation{Tensor: engine.Tensor{Shape: []int{2}, F32: []float32{float32(math.Inf(1)), float32(math.NaN())}}})
	for _, v := range []core.Float{none.Min, none.Mean, none.Max, none.Norm} {
		if !math.IsNaN(float64(v)) || none.Other != 2 {
			t.Errorf("of no finite value the summary is %+v", none)
		}
	}
}

// TestSummaryMemory: what may be most of the memory is not copied to be summed
// up.
func TestSummaryMemory(t *testing.T) {
	a := core.Activation{Tensor: engine.Tensor{Shape: []int{1 << 20}, F32: make([]float32, 1<<20)}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	summarize(a)
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("the summary of 4 MiB allocates %d bytes", after.TotalAlloc-before.TotalAlloc)
	}
}

func TestPredictionTerm(t *testing.T) {
	var labels []string
	var readout core.Readout
	for i := range 28 {
		labels = append(labels, "a long label "+string(rune('a'+i%26)))
		readout.Logits = append(readout.Logits, float64(i))
		readout.Probs = append(readout.Probs, float64(i)/378)
	}
	row := core.PredictedRow{Readouts: []core.Readout{readout}}
	regression := &core.Prediction{Labels: []string{"score"}, Rows: []core.PredictedRow{{Readouts: []core.Readout{{Logits: []float64{-2.34567}}}}}}
	var b strings.Builder
	for _, p := range []*core.Prediction{{Labels: labels, Rows: []core.PredictedRow{row}}, {Labels: labels[:2], Rows: []core.PredictedRow{row, row}}, regression} {
		if err := (Term{Width: 60}).Prediction(&b, p, false); err != nil {
			t.Fatal(err)
		}
		b.WriteString("--\n")
	}
	golden(t, "predictions.txt", b.String())
}

func TestEncoding(t *testing.T) {
	e := &tokenizer.Encoding{Tokens: []tokenizer.Token{
		{ID: 2, Text: "[CLS]", Word: -1, Special: true},
		{ID: 9, Text: "很好", Start: 0, End: 6, RuneEnd: 2, Word: 0},
		{ID: 8, Text: "##!", Start: 6, End: 7, RuneStart: 2, RuneEnd: 3, Word: 1, Sequence: 1, Type: 1},
	}}
	var b strings.Builder
	if err := EncodingJSON(&b, e); err != nil {
		t.Fatal(err)
	}
	want := `{"ids":[2,9,8],"tokens":["[CLS]","很好","##!"],"offsets":[[0,0],[0,6],[6,7]],"rune_offsets":[[0,0],[0,2],[2,3]],` +
		`"word_ids":[null,0,1],"type_ids":[0,0,1],"special":[true,false,false]}` + "\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := EncodingJSON(&b, &tokenizer.Encoding{}); err != nil || !strings.HasPrefix(b.String(), `{"ids":[],"tokens":[],`) {
		t.Errorf("no tokens are %s, %v", b.String(), err)
	}
	b.Reset()
	if err := (Term{}).Encoding(&b, e); err != nil {
		t.Fatal(err)
	}
	golden(t, "encoding.txt", b.String())
}

func TestSigned(t *testing.T) {
	for _, c := range []struct {
		scale, v float64
		want     string
	}{
		{0.412, 0.412, "+0.412"}, {0.412, -0.0004, " 0.000"}, {0.412, -0.0006, "-0.001"}, {2.5, 2.5, "+2.50"}, {25, -25.04, "-25.0"},
		{1234, 1234.4, "+1234"}, {0.00012, 0.00012, "+0.000120"}, {1e-9, 1e-9, "+1.00e-09"}, {1e12, -1e12, "-1.00e+12"}, {1, 0, " 0.00"},
		{1, math.NaN(), "NaN"}, {1, math.Inf(-1), "-Inf"},
	} {
		if got := signed(c.v, decimals(c.scale)); got != c.want {
			t.Errorf("signed(%v) at %v = %q, want %q", c.v, c.scale, got, c.want)
		}
	}
}
