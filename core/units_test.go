package core

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
)

// tokensAt cuts a text into tokens at the bars.
func tokensAt(marked string) (string, []sdk.Token) {
	var text strings.Builder
	var out []sdk.Token
	for part := range strings.SplitSeq(marked, "|") {
		start := text.Len()
		text.WriteString(part)
		if trimmed := strings.TrimSpace(part); trimmed != "" {
			start += strings.Index(part, trimmed)
			out = append(out, sdk.Token{Text: trimmed, Start: start, End: start + len(trimmed)})
		}
	}
	return text.String(), out
}

func TestMakeUnits(t *testing.T) {
	tests := []struct {
		name, policy, marked string
		want                 []string
	}{
		{"words and punctuation", UnitsWord, "A| grip|ping|,| film|.", []string{"A", "gripping", ",", "film", "."}},
		{"a contraction is one word", UnitsWord, "is|n|'|t| it", []string{"isn't", "it"}},
		{"every ideograph", UnitsWord, "酒|店|很|好|。", []string{"酒", "店", "很", "好", "。"}},
		{"a token over two words joins them", UnitsWord, "New York| is", []string{"New York", "is"}},
		{"sentences", UnitsSentence, "It| rains|.| We| stay|.", []string{"It rains.", "We stay."}},
		{"tokens", UnitsToken, "grip|ping| film", []string{"grip", "ping", "film"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text, tokens := tokensAt(test.marked)
			var got []string
			seen := make([]int, len(tokens))
			for _, u := range makeUnits(test.policy, []string{text}, tokens) {
				got = append(got, u.Text)
				for _, i := range u.Tokens {
					seen[i]++
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("units (-want +got):\n%s", diff)
			}
			for i, n := range seen {
				if n != 1 {
					t.Errorf("token %d is in %d units, want exactly one", i, n)
				}
			}
		})
	}
}

func TestMakeUnitsLeavesFixedTokensOut(t *testing.T) {
	text, tokens := tokensAt("a| b| c")
	tokens[1].Fixed = true
	tokens = append([]sdk.Token{{Text: "[CLS]", Special: true}}, tokens...)
	got := makeUnits(UnitsWord, []string{text}, tokens)
	want := []sdk.Unit{
		{Text: "a", Spans: []sdk.Span{{Start: 0, End: 1}}, Tokens: []int{1}},
		{Text: "c", Spans: []sdk.Span{{Start: 4, End: 5}}, Tokens: []int{3}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("units (-want +got):\n%s", diff)
	}
}

func TestEditKeepsWhatStandsBetweenUnits(t *testing.T) {
	texts := []string{"a dull, dull film", "yes"}
	units := []sdk.Unit{
		{Spans: []sdk.Span{{Sequence: 0, Start: 2, End: 6}, {Sequence: 0, Start: 8, End: 12}}},
		{Spans: []sdk.Span{{Sequence: 1, Start: 0, End: 3}}},
	}
	pieces, err := layout(texts, units)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		keep []uint8
		fill string
		a, b string
	}{
		{"all kept", []uint8{1, 1}, "", texts[0], texts[1]},
		{"every occurrence deleted", []uint8{0, 1}, "", "a ,  film", "yes"},
		{"replaced", []uint8{0, 0}, "[MASK]", "a [MASK], [MASK] film", "[MASK]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := edit([2][]byte{}, texts, pieces, test.keep, test.fill)
			if string(got[0]) != test.a || string(got[1]) != test.b {
				t.Errorf("edit = %q, %q, want %q, %q", got[0], got[1], test.a, test.b)
			}
		})
	}
}

// TestAfter checks that edits leave out what truncation cut before a text, and
// the units in it.
func TestAfter(t *testing.T) {
	texts := []string{"    a b", "c"} // cut before " a"
	unit := func(start, end int) sdk.Unit { return sdk.Unit{Spans: []sdk.Span{{Start: start, End: end}}} }
	pieces, err := layout(texts, []sdk.Unit{unit(0, 2), unit(4, 5), unit(6, 7)})
	if err != nil {
		t.Fatal(err)
	}
	got := edit([2][]byte{}, texts, after([]int{3, 0}, pieces), []uint8{0, 1, 0}, "x")
	if string(got[0]) != " a x" || string(got[1]) != "c" {
		t.Errorf("got %q and %q", got[0], got[1])
	}
}

func TestLayoutRefuses(t *testing.T) {
	tests := []struct {
		name string
		span sdk.Span
	}{
		{"past the end", sdk.Span{Start: 0, End: 100}},
		{"before the start", sdk.Span{Start: -1, End: 1}},
		{"backwards", sdk.Span{Start: 3, End: 2}},
		{"another text", sdk.Span{Sequence: 1, Start: 0, End: 1}},
		{"half a character", sdk.Span{Start: 0, End: 1}},
		{"overlap", sdk.Span{Start: 3, End: 6}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			units := []sdk.Unit{{Spans: []sdk.Span{test.span}}, {Spans: []sdk.Span{{Start: 4, End: 5}}}}
			if _, err := layout([]string{"é bcd"}, units); err == nil {
				t.Errorf("layout accepted the span %v", test.span)
			}
		})
	}
}
