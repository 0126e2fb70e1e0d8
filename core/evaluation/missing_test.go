package evaluation

import (
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/sdk"
)

// TestMissing: what was asked for and is not measured is told with its reason, and
// what a preset asks for of every text is not.
func TestMissing(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	text := Text{Input: core.Input{Text: "the plot is thin"}}
	empty, marked := text, text
	empty.Marked = true
	marked.Marked, marked.Ranges = true, []Range{{4, 8}}
	given := text
	given.Scores = []float64{1, 2, 3, 4}
	one, two := []Method{{Name: "leave-one-out"}}, []Method{{Name: "leave-one-out"}, {Name: "feature-ablation"}}
	deep := []Method{{Name: "input-x-gradient", Params: map[string]string{"layer": "resid_pre1"}}}
	wide := []Method{{Name: "input-x-gradient", Params: map[string]string{"layer": "blocks.0.mlp.hook_post"}}}
	flat := []Method{{Name: "input-x-gradient"}}
	const ofOne = "what noise on the embeddings does to leave-one-out is not measured: it does not say"
	for name, c := range map[string]struct {
		text     Text
		methods  []Method
		measures []string // of captum where there are none
		says     []string
	}{
		"no rationale":         {text, one, []string{Plausibility}, []string{"no text has a rationale"}},
		"an empty rationale":   {empty, one, []string{Plausibility}, []string{"mark none of their units"}},
		"a rationale":          {marked, one, []string{Plausibility}, nil},
		"one method":           {text, one, []string{Agreements}, []string{"between methods, and there is one"}},
		"two methods":          {text, two, []string{Agreements}, nil},
		"no embeddings":        {text, one, []string{Embedding, Sparsity}, []string{ofOne}},
		"none of one":          {text, append(flat, one...), []string{Embedding}, []string{ofOne}},
		"embeddings":           {text, flat, []string{Embedding}, nil},
		"inside of the model":  {text, deep, []string{Embedding}, []string{"of a point inside of the model"}},
		"of another width":     {text, wide, []string{Embedding}, []string{"of a point inside of the model"}},
		"scores":               {given, nil, []string{Embedding}, []string{"its scores were given"}},
		"what captum asks for": {text, one, nil, []string{ofOne}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Preset("captum")
			if err != nil {
				t.Fatal(err)
			}
			s.Random, s.Samples, s.NoiseSamples = 0, 2, 2
			if c.measures != nil {
				s.Measures = c.measures
			}
			var got []string
			_, err = Run(t.Context(), h, m, []Text{c.text}, Options{Settings: s, Methods: c.methods, Runtime: core.RuntimeNative, Log: func(_ sdk.Level, message string) { got = append(got, message) }})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(c.says) {
				t.Fatalf("%q, want %q", got, c.says)
			}
			for i, says := range c.says {
				if !strings.Contains(got[i], says) {
					t.Errorf("%q, want %q", got[i], says)
				}
			}
		})
	}
}

// TestUnread: tokens that the model does not know are counted, and told once.
func TestUnread(t *testing.T) {
	h, m := openModel(t, "bert-text", "f32")
	s, err := Preset("eraser")
	if err != nil {
		t.Fatal(err)
	}
	s.Measures, s.Random = []string{Sparsity}, 0
	english, chinese := Text{Input: core.Input{Text: "the plot is thin"}}, Text{Input: core.Input{Text: "酒店非常干净。"}}
	for name, c := range map[string]struct {
		texts []Text
		says  string
	}{
		"none": {[]Text{english, english}, ""},
		"one":  {[]Text{chinese}, "tokens are unknown to the model"},
		"some": {[]Text{english, chinese, english}, "in 1 of 3 texts "},
		"many": {[]Text{chinese, english, chinese}, "in 2 of 3 texts "},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			e, err := Run(t.Context(), h, m, c.texts, Options{Settings: s, Methods: []Method{{Name: "leave-one-out"}}, Runtime: core.RuntimeNative, Log: func(_ sdk.Level, message string) { got = append(got, message) }})
			if err != nil {
				t.Fatal(err)
			}
			if c.says == "" && len(got) > 0 || c.says != "" && (len(got) != 1 || !strings.Contains(got[0], c.says)) {
				t.Errorf("%q, want one that says %q", got, c.says)
			}
			for i, text := range c.texts {
				if n := e.Texts[i].Unknown; (n > 0) != (text.Input.Text == chinese.Input.Text) {
					t.Errorf("text %d has %d unknown tokens", i, n)
				}
			}
		})
	}
}
