package lime

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
)

type word struct {
	Text  string
	Start int
}

func spelled(units []sdk.Unit) []word {
	var words []word
	for _, u := range units {
		words = append(words, word{u.Text, u.Spans[0].Start})
	}
	return words
}

// The words are what CPython 3.11 gives for the reference's IndexedString:
// re.split of (EXPRESSION)|$, less what the expression matches.
func TestWordsAreThoseOfPython(t *testing.T) {
	for name, c := range map[string]struct {
		text, expression string
		want             []word
	}{
		"apostrophes, accents, numbers": {"it's naïve: l'été, 42 ½ ² _x_", `\W+`, []word{{"it", 0}, {"s", 3}, {"naïve", 5}, {"l", 13}, {"été", 15}, {"42", 22}, {"½", 25}, {"²", 28}, {"_x_", 31}}},
		"combining marks separate":      {"हिन्दी भाषा", `\W+`, []word{{"ह", 0}, {"न", 6}, {"द", 12}, {"भ", 19}, {"ष", 25}}},
		"decomposed accents separate":   {"cafe\u0301 x", `\W+`, []word{{"cafe", 0}, {"x", 7}}},
		"han":                           {"我喜欢。电影!", `\W+`, []word{{"我喜欢", 0}, {"电影", 12}}},
		"numerals":                      {"Ⅷ ① 三 ٣", `\W+`, []word{{"Ⅷ", 0}, {"①", 4}, {"三", 8}, {"٣", 12}}},
		"a symbol separates":            {"a😀b", `\W+`, []word{{"a", 0}, {"b", 5}}},
		"a newline ends the text":       {"a b\n", ` `, []word{{"a", 0}, {"b", 2}}},
		"a newline inside a word":       {"x\ny z", ` `, []word{{"x\ny", 0}, {"z", 4}}},
		"a newline ends a word":         {"a\n b", ` `, []word{{"a\n", 0}, {"b", 3}}},
		"a newline alone is no word":    {"a \n b\n\n", ` `, []word{{"a", 0}, {"b\n", 4}}},
		"a class":                       {"a, b;c", `[,; ]+`, []word{{"a", 0}, {"b", 3}, {"c", 5}}},
		"a negated class":               {"don't stop-it", `[^\w']+`, []word{{"don't", 0}, {"stop", 6}, {"it", 11}}},
		"a class with a negated escape": {"a_b c", `[\W_]+`, []word{{"a", 0}, {"b", 2}, {"c", 4}}},
		"digits":                        {"a1b22c", `\d+`, []word{{"a", 0}, {"b", 2}, {"c", 5}}},
		"white space":                   {"a\u3000b\u00a0c\x1cd", `\s+`, []word{{"a", 0}, {"b", 4}, {"c", 7}, {"d", 9}}},
		"a bracket and a hyphen":        {"a-b]c", `[]-]`, []word{{"a", 0}, {"b", 2}, {"c", 4}}},
		"an escaped point":              {"xx.yy", `\.`, []word{{"xx", 0}, {"yy", 3}}},
		"ranges":                        {"foo.BAR9q", `[A-Z0-9.]+`, []word{{"foo", 0}, {"q", 8}}},
		"a control character":           {"a\tb", `\t`, []word{{"a", 0}, {"b", 2}}},
		"an escaped caret":              {"x^y", `[\^]`, []word{{"x", 0}, {"y", 2}}},
		"a backslash":                   {`a\b`, `\\`, []word{{"a", 0}, {"b", 2}}},
		"empty":                         {"", `\W+`, nil},
		"punctuation alone":             {"?!", `\W+`, nil},
		"a newline":                     {"\n", ` `, nil},
	} {
		t.Run(name, func(t *testing.T) {
			separator, err := parseClass(c.expression)
			if err != nil {
				t.Fatal(err)
			}
			got := spelled(ownUnits([]string{c.text}, settings{split: separator}))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClassRefuses(t *testing.T) {
	for _, expression := range []string{
		"", "+", `\`, `\b`, `\1`, `\é`, `ab`, `\W*`, `\W+?`, `\W++`, `(\W+)`, `a|b`, `.`, `^`, `$`, `[`, `[]`, `[^]`, `[a`, `[b-a]`, `[a-\w]`, `[\b]`, "\xff",
	} {
		if _, err := parseClass(expression); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
			t.Errorf("%q: error %v, want EINVAL", expression, err)
		}
	}
}

func FuzzParseClass(f *testing.F) {
	for _, expression := range []string{`\W+`, `[^\w']+`, `[]-]`, `[A-Z0-9.]+`, `\\`, `[a-`, "\xff"} {
		f.Add(expression, "it's\n\xff 42")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		separator, err := parseClass(expression)
		if err != nil {
			return
		}
		end := 0
		for _, u := range ownUnits([]string{text}, settings{split: separator}) {
			s := u.Spans[0]
			if s.Start < end || s.End <= s.Start || s.End > len(text) || u.Text != text[s.Start:s.End] {
				t.Fatalf("the unit %+v does not follow byte %d of %q", u, end, text)
			}
			for _, r := range u.Text {
				if separator.contains(r) {
					t.Fatalf("the word %q holds a separator", u.Text)
				}
			}
			end = s.End
		}
	})
}

func TestCharacters(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		bow  bool
		want []sdk.Unit
	}{
		"by position": {"aéa", false, []sdk.Unit{
			{Text: "a", Spans: []sdk.Span{{Start: 0, End: 1}}},
			{Text: "é", Spans: []sdk.Span{{Start: 1, End: 3}}},
			{Text: "a", Spans: []sdk.Span{{Start: 3, End: 4}}},
		}},
		"by spelling": {"a a", true, []sdk.Unit{
			{Text: "a", Spans: []sdk.Span{{Start: 0, End: 1}, {Start: 2, End: 3}}},
			{Text: " ", Spans: []sdk.Span{{Start: 1, End: 2}}},
		}},
		"not UTF-8": {"\xffa", false, []sdk.Unit{
			{Text: "\xff", Spans: []sdk.Span{{Start: 0, End: 1}}},
			{Text: "a", Spans: []sdk.Span{{Start: 1, End: 2}}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := ownUnits([]string{c.text}, settings{chars: true, bow: c.bow})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBagOfWordsJoinsTexts(t *testing.T) {
	separator, err := parseClass(`\W+`)
	if err != nil {
		t.Fatal(err)
	}
	got := ownUnits([]string{"the cat", "The cat, the"}, settings{bow: true, split: separator})
	want := []sdk.Unit{
		{Text: "the", Spans: []sdk.Span{{Start: 0, End: 3}, {Sequence: 1, Start: 9, End: 12}}},
		{Text: "cat", Spans: []sdk.Span{{Start: 4, End: 7}, {Sequence: 1, Start: 4, End: 7}}},
		{Text: "The", Spans: []sdk.Span{{Sequence: 1, Start: 0, End: 3}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
