package core

import (
	"reflect"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/sdk"
)

// FuzzTargets holds that what a target says of itself selects it again.
func FuzzTargets(f *testing.F) {
	gpt := openGolden(f, "gpt2-text", Options{})
	tokenizer := gpt.tokenizer
	labels := []string{"NEGATIVE", "Positive", "1", "A - B", "O", "a@1"}
	grammars := []grammar{
		{task: arch.SequenceClassification, labels: labels, outputs: len(labels)},
		{task: arch.SequenceClassification, labels: labels[:1], outputs: 1, head: regression},
		{task: arch.TokenClassification, labels: labels, outputs: len(labels)},
		{task: arch.QuestionAnswering, labels: []string{"start", "end"}, outputs: 2},
		{task: arch.MaskedLM, outputs: 397, tokenizer: tokenizer},
		{task: arch.CausalLM, outputs: 397, tokenizer: tokenizer},
		{task: arch.PermutationLM, outputs: 397, tokenizer: tokenizer, behind: true},
		{task: arch.CausalLM, outputs: 10},
	}
	for i := range grammars {
		for _, expr := range []string{
			"", "0", "label:1", "A - B", "positive - NEGATIVE", "1@-1", "a@1@2 - O@0", "start@3", "end@-2", "span:1-2", "span:1-2 - start@0",
			"token:5", "token: river@-1", "token:5@1 - token:6@2", "continuation: a - b", "continuation:a - continuation: b", "step:1: good", "continuation:\xff",
		} {
			f.Add(expr, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, expr string, kind uint8) {
		g := grammars[int(kind)%len(grammars)]
		for _, output := range []sdk.Output{"", sdk.Logit} {
			a, err := g.parse(expr, output)
			if err != nil {
				if a != nil {
					t.Error("there is a target beside an error")
				}
				continue
			}
			b, err := g.parse(a.expr, output)
			if err != nil || !reflect.DeepEqual(a, b) {
				t.Errorf("%q is %+v, and %q is %+v: %v", expr, a, a.expr, b, err)
			}
			for _, p := range a.parts {
				for _, k := range p.cells {
					if class := a.branches[p.branch].cells[k].class; class < 0 || class >= g.outputs {
						t.Errorf("%q is of the logit %d", expr, class)
					}
				}
			}
		}
	})
}

// FuzzUnits holds that units that are given as spans say themselves again.
func FuzzUnits(f *testing.F) {
	for _, units := range []string{"word", "spans:", "spans:0-5", "spans:0-5,6-12", "spans:1:0-5+7-9,0-3", "spans:5-0", "spans:0-999999999", "spans:+", "spans:0-1,,"} {
		f.Add(units)
	}
	f.Fuzz(func(t *testing.T, text string) {
		units, err := parseUnits(text)
		if err != nil || units == nil {
			return
		}
		var spans [][]Span
		for _, u := range units {
			var list []Span
			for _, s := range u.Spans {
				if s.Start >= s.End || s.Start < 0 {
					t.Fatalf("%q has the span %+v", text, s)
				}
				list = append(list, Span(s))
			}
			spans = append(spans, list)
		}
		again, err := parseUnits(SpanUnits(spans))
		if err != nil || !reflect.DeepEqual(units, again) {
			t.Errorf("%q is %v, and again %v: %v", text, units, again, err)
		}
		long := &encoded{texts: []string{"a film"}, kept: []string{"a film"}, from: []int{0}, tokens: []sdk.Token{{Start: 0, End: 1}, {Start: 2, End: 6}}}
		if long.choose(units) == nil {
			for _, u := range units {
				if len(u.Tokens) == 0 || u.Text == "" {
					t.Errorf("%q chooses %+v", text, u)
				}
			}
		}
	})
}
