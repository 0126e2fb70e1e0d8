package game

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
)

func TestCertain(t *testing.T) {
	for name, c := range map[string]struct {
		values, stderr []float64
		want           float64
	}{
		"all":           {[]float64{1, -3, 2}, []float64{0.1, 0.1, 0.1}, 3},
		"ties":          {[]float64{1, 1, 3}, []float64{0, 0, 0}, 1},
		"none":          {[]float64{1, 1.1}, []float64{0.1, 0.1}, 0},
		"a small one's": {[]float64{1, 0.8, 0.7}, []float64{0.01, 0.01, 0.5}, 0},
		"one left out":  {[]float64{9, 0, 4}, []float64{0.1, math.NaN(), 0.1}, 3},
		"the first":     {[]float64{9, 5, 4}, []float64{0.1, 1.5, 0.1}, 1},
	} {
		d := Certain(c.values, c.stderr)
		if worst := d[0].Value; math.IsNaN(worst) || slices.ContainsFunc(c.stderr, func(e float64) bool { return e > worst }) {
			t.Errorf("%s: the largest error of %v is said to be %v", name, c.stderr, worst)
		}
		if d[1].Name != "certain_top" || d[1].Value != c.want {
			t.Errorf("%s: %+v, want %v", name, d[1], c.want)
		}
	}
}

// TestMost: the default is no bound where max_stderr is, but for a reference's.
func TestMost(t *testing.T) {
	for _, c := range []struct {
		stderr       float64
		compat       string
		limit, usual int
		want         int
	}{
		{0, "none", 5000, 10, 10}, {0.1, "none", 5000, 10, 1000}, {0.1, "none", 500, 10, 500}, {0.1, "none", 5, 10, 10}, {0.1, "captum", 5000, 10, 10},
	} {
		if got := Most(sdk.Params{ParamMaxStderr: c.stderr, "compat": c.compat}, c.usual, c.limit); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestTokens: the tokens of a text are players with their places in it, and are dropped
// one by one; those of token ids are the request's units.
func TestTokens(t *testing.T) {
	r := &sdk.Request{
		Text:   "unlike",
		Tokens: []sdk.Token{{Text: "[CLS]", Special: true}, {Text: "un", End: 2}, {Text: "##like", Start: 2, End: 6}, {Text: "x", Start: 6, End: 7, Fixed: true}},
		Units:  []sdk.Unit{{Text: "unlike", Spans: []sdk.Span{{End: 6}}, Tokens: []int{1, 2}}},
		Params: sdk.Params{ParamFill: "auto", ParamMaskString: "", ParamFillToken: int64(-1), ParamFillBy: "unit", ParamSpecial: "keep"},
	}
	g, err := New(noModel{}, r)
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Unit{
		{Text: "un", Spans: []sdk.Span{{End: 2}}, Tokens: []int{1}},
		{Text: "##like", Spans: []sdk.Span{{Start: 2, End: 6}}, Tokens: []int{2}},
	}
	tokens := g.Tokens()
	if diff := cmp.Diff(want, tokens.Players); diff != "" {
		t.Error(diff)
	}
	for _, u := range tokens.over {
		if u.Spans != nil {
			t.Error("a token is dropped from the text")
		}
	}
	r.Params[ParamSpecial] = "replace"
	if g, err = New(noModel{}, r); err != nil {
		t.Fatal(err)
	}
	if n := len(g.Tokens().Players); n != 3 {
		t.Errorf("%d players with special tokens", n)
	}
	r.Text = ""
	r.Params[ParamSpecial] = "keep"
	if g, err = New(noModel{}, r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Units, g.Tokens().Players); diff != "" {
		t.Error(diff)
	}
}

type noModel struct{ sdk.Model }

func (noModel) Info() sdk.ModelInfo { return sdk.ModelInfo{} }

// TestAutomatic: auto is zero where no token is known that could take another's place.
func TestAutomatic(t *testing.T) {
	id := int32(0)
	text := &sdk.Request{Text: "a", Tokens: []sdk.Token{{ID: 7}}}
	pair := &sdk.Request{TextPair: new(string), Tokens: []sdk.Token{{ID: 7}}}
	ids := &sdk.Request{Tokens: []sdk.Token{{ID: 7}}}
	embeddings := &sdk.Request{Tokens: []sdk.Token{{ID: -1}}}
	for name, c := range map[string]struct {
		r    *sdk.Request
		m    sdk.ModelInfo
		want sdk.FillKind
	}{
		"a text":                          {text, sdk.ModelInfo{MaskToken: "[MASK]"}, sdk.FillMask},
		"a text, no mask":                 {text, sdk.ModelInfo{}, sdk.FillDelete},
		"a pair, no mask":                 {pair, sdk.ModelInfo{}, sdk.FillDelete},
		"ids":                             {ids, sdk.ModelInfo{MaskToken: "[MASK]"}, sdk.FillMask},
		"ids, a token that begins a text": {ids, sdk.ModelInfo{SpecialIDs: []int32{1}}, sdk.FillDelete},
		"ids, a padding token":            {ids, sdk.ModelInfo{PadID: &id}, sdk.FillDelete},
		"ids, no tokenizer":               {ids, sdk.ModelInfo{}, sdk.FillZero},
		"embeddings":                      {embeddings, sdk.ModelInfo{MaskToken: "[MASK]"}, sdk.FillZero},
		"embeddings, without a tokenizer": {embeddings, sdk.ModelInfo{}, sdk.FillZero},
	} {
		if got := Automatic(c.r, c.m); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
