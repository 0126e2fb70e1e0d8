package text

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

var forms = []struct {
	name       string
	form       norm.Form
	normalizer Normalizer
}{
	{"NFC", norm.NFC, NFC{}}, {"NFD", norm.NFD, NFD{}}, {"NFKC", norm.NFKC, NFKC{}}, {"NFKD", norm.NFKD, NFKD{}},
}

// checkSpans checks the invariants of Text.Spans against the original text.
func checkSpans(t interface{ Fatalf(string, ...any) }, text *Text, original string) {
	if len(text.Spans) != len(text.Bytes) {
		t.Fatalf("%q: %d spans for %d bytes", original, len(text.Spans), len(text.Bytes))
	}
	var last Span
	for i, span := range text.Spans {
		if span.Start < last.Start || span.End < last.End || span.Start > span.End || int(span.End) > len(original) {
			t.Fatalf("%q: byte %d has the span %v after %v", original, i, span, last)
		}
		if !utf8.ValidString(original[span.Start:span.End]) {
			t.Fatalf("%q: the span %v cuts a rune", original, span)
		}
		last = span
	}
}

// TestFormsEveryRune normalizes every rune by itself and beside letters.
func TestFormsEveryRune(t *testing.T) {
	for _, f := range forms {
		var text Text
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if !utf8.ValidRune(r) || r > 0x20000 && r < 0x2F800 || r > 0x2FA20 {
				continue
			}
			s := "a" + string(r) + "b"
			text.Reset(s, true)
			f.normalizer.Normalize(&text)
			want := f.form.String(s)
			if (f.form == norm.NFKC || f.form == norm.NFKD) && within(r, olderCompatibility) {
				want = s // the library does not know it
			}
			if string(text.Bytes) != want {
				t.Fatalf("%s of %U is %q, want %q", f.name, r, text.Bytes, want)
			}
			checkSpans(t, &text, s)
		}
	}
}

// TestForms normalizes runs of runes that reorder and compose.
func TestForms(t *testing.T) {
	runes := []rune("aeoqKÅé가각힣각豈ﬁʼnḋǰ\u0041\u030A\u0301\u0316\u0323\u0307\u0345\u0344\u0338\u093c\u0928\u0958\u3099か\U0001D15E\U00011131\U00011127")
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := rapid.StringOfN(rapid.SampledFrom(runes), 0, 25, -1).Draw(t, "text")
				var text Text
				text.Reset(s, true)
				f.normalizer.Normalize(&text)
				if want := f.form.String(s); string(text.Bytes) != want {
					t.Fatalf("got %q, want %q", text.Bytes, want)
				}
				checkSpans(t, &text, s)
				var untracked Text
				untracked.Reset(s, false)
				f.normalizer.Normalize(&untracked)
				if string(untracked.Bytes) != string(text.Bytes) {
					t.Fatalf("without spans: %q, with: %q", untracked.Bytes, text.Bytes)
				}
			})
		})
	}
}

// TestNormalizers shows each normalizer and where its output stands: the parts
// of the original that the runes of the output span.
func TestNormalizers(t *testing.T) {
	for _, c := range []struct {
		name       string
		normalizer Normalizer
		text, want string
		spans      string // separated by |
	}{
		{"lower case", Lowercase{}, "AİΣ", "ai\u0307σ", "A|İ|İ|Σ"},
		{"lower case of ASCII", Lowercase{}, "aB1", "ab1", "a|B|1"},
		{"NFD", NFD{}, "é한", "e\u0301\u1112\u1161\u11ab", "é|é|한|한|한"},
		{"NFC", NFC{}, "e\u0301x", "éx", "e\u0301|x"},
		{"NFKD", NFKD{}, "ﬁ", "fi", "ﬁ|ﬁ"},
		{"NFD reorders", NFD{}, "é\u0316", "e\u0316\u0301", "é|\u0316|\u0316"},
		{"more marks than a stream-safe text has", NFD{}, "é" + strings.Repeat("\u0301", 40), "e" + strings.Repeat("\u0301", 41), "é|é" + strings.Repeat("|\u0301", 40)},
		{"accents", StripAccents{}, "e\u0301é", "eé", "e|é"},
		{"strip", Strip{Left: true, Right: true}, " \u3000a b\n", "a b", "a| |b"},
		{"strip left", Strip{Left: true}, " a ", "a ", "a| "},
		{"strip all", Strip{Left: true, Right: true}, " \t", "", ""},
		{"replace", Replace{Literal("ab"), "xyz"}, "cabab", "cxyzxyz", "c|b|b|b|b|b|b"},
		{"replace at the start", Replace{Literal(" "), "▁"}, " a", "▁a", " |a"},
		{"remove", Replace{Literal(" "), ""}, "a b", "ab", "a|b"},
		{"sequence", Normalizers{NFD{}, Lowercase{}, StripAccents{}}, "É", "e", "É"},
		{"BERT", Bert{CleanText: true, ChineseChars: true, StripAccents: true, Lowercase: true},
			"É\u00ad中\t\u00a0\u0378", "e 中   \u0378", "É|中|中|中|\t|\u00a0|\u0378"},
		{"BERT keeps ideographs of extension E before U+2B920", Bert{ChineseChars: true}, "\U0002B820\U0002B920", "\U0002B820 \U0002B920 ", "\U0002B820|\U0002B920|\U0002B920|\U0002B920"},
		{"BERT by newer tables", Bert{CleanText: true, CleanMore: true}, "a\u0378", "a", "a"},
		{"BERT keeps what Unicode 8 did not know", Bert{CleanText: true, StripAccents: true}, "\u08e2\u07fd", "\u08e2\u07fd", "\u08e2|\u07fd"},
		{"slow BERT", SlowBert{ChineseChars: true, StripAccents: true, Lowercase: true},
			"É\u00ad\U0002B820\u0378\u08e2\u07fd\u2028", "e \U0002B820 \u2028", "É|\U0002B820|\U0002B820|\U0002B820|\u2028"},
		{"slow BERT composes", SlowBert{}, "e\u0301 x\x0b", "é x", "e\u0301| |x"},
		{"slow BERT spares words", SlowBert{Lowercase: true, StripAccents: true, NeverSplit: NewSet([]string{"É!", "", "x"})},
			"É É! E\u0301! É", "e É! É! e", "É| |É|!| |E\u0301|!| |É"},
		{"lower case but", LowercaseExcept{func(b []byte, i int) int {
			if strings.HasPrefix(string(b[i:]), "[M]") {
				return i + 3
			}
			return i
		}}, "A[M]İ[m]", "a[M]i\u0307[m]", "A|[|M|]|İ|İ|[|m|]"},
		{"lower case but, ASCII", LowercaseExcept{func(b []byte, i int) int {
			if b[i] == 'X' {
				return i + 1
			}
			return i
		}}, "AXBX", "aXbX", "A|X|B|X"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var text Text
			text.Reset(c.text, true)
			c.normalizer.Normalize(&text)
			if string(text.Bytes) != c.want {
				t.Fatalf("got %q, want %q", text.Bytes, c.want)
			}
			checkSpans(t, &text, c.text)
			var spans []string
			for i := range string(text.Bytes) {
				spans = append(spans, c.text[text.Spans[i].Start:text.Spans[i].End])
			}
			if got := strings.Join(spans, "|"); got != c.spans {
				t.Errorf("spans %q, want %q", got, c.spans)
			}
			text.Reset(c.text, false)
			c.normalizer.Normalize(&text)
			if string(text.Bytes) != c.want {
				t.Errorf("without spans: %q, want %q", text.Bytes, c.want)
			}
		})
	}
}

func TestPreTokenizers(t *testing.T) {
	for _, c := range []struct {
		name         string
		preTokenizer PreTokenizer
		text         string
		want         []string
	}{
		{"BERT", BertPreTokenizer{}, " it's $5—ok\u2028no ", []string{"it", "'", "s", "$", "5", "—", "ok", "no"}},
		{"BERT: a symbol is no punctuation", BertPreTokenizer{}, "€5", []string{"€5"}},
		{"BERT keeps what Unicode 8 did not know", BertPreTokenizer{}, "a\u061db", []string{"a\u061db"}},
		{"empty", BertPreTokenizer{}, "", nil},
		{"white space", WhitespaceSplit{}, "a,b\u3000c\x1cd", []string{"a,b", "c\x1cd"}},
		{"words and the rest", Whitespace{}, "it's  a_1—é\u0301 $$", []string{"it", "'", "s", "a_1", "—", "é\u0301", "$$"}},
		{"Removed", Punctuation{Removed}, "the-final--countdown", []string{"the", "final", "countdown"}},
		{"Isolated", Punctuation{Isolated}, "the-final--countdown", []string{"the", "-", "final", "-", "-", "countdown"}},
		{"MergedWithPrevious", Punctuation{MergedWithPrevious}, "-the-final--countdown", []string{"-", "the-", "final-", "-", "countdown"}},
		{"MergedWithNext", Punctuation{MergedWithNext}, "the-final--countdown-", []string{"the", "-final", "-", "-countdown", "-"}},
		{"Contiguous", Punctuation{Contiguous}, "--the-final--countdown", []string{"--", "the", "-", "final", "--", "countdown"}},
		{"sequence", PreTokenizers{WhitespaceSplit{}, Punctuation{MergedWithPrevious}}, "a- b-", []string{"a-", "b-"}},
		{"Python's white space", SlowSplit{}, "a\x1cb\u2028c d,", []string{"a", "b", "c", "d,"}},
		{"slow BERT", SlowBertPreTokenizer{NewSet([]string{"a!"})}, "a! b! a\u061db", []string{"a!", "b", "!", "a", "\u061d", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var text Text
			text.Reset(c.text, false)
			text.Words = []Range{{0, len(text.Bytes)}}
			c.preTokenizer.PreTokenize(&text)
			var got []string
			for _, w := range text.Words {
				got = append(got, string(text.Bytes[w.Start:w.End]))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestClasses compares the table with the Unicode tables it is made of.
func TestClasses(t *testing.T) {
	for r := rune(0); r < tabled+0x1000; r++ {
		c := classOf(r)
		for what, pair := range map[string][2]bool{
			"space":      {c&space != 0, unicode.IsSpace(r)},
			"separator":  {c&separator != 0, unicode.Is(unicode.Zs, r)},
			"control":    {c&control != 0, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co)},
			"unassigned": {c&unassigned != 0, unicode.Is(unicode.Cn, r)},
			"punct":      {c&punct != 0, unicode.IsPunct(r) || strings.ContainsRune("$+<=>^`|~", r)},
			"nonspacing": {c&nonspacing != 0, unicode.Is(unicode.Mn, r)},
			"combining":  {c&frozenCombining != 0, unicode.IsMark(r) != within(r, olderCombining)},
		} {
			if pair[0] != pair[1] {
				t.Fatalf("%U: %s is %v", r, what, pair[0])
			}
		}
	}
	for _, r := range []rune{'a', '_', '5', 'é', '中', '\u0301', '\u200d', 'Ⅷ', 'ⓐ'} {
		if !IsWord(r) {
			t.Errorf("%q does not match \\w", r)
		}
	}
	for _, r := range []rune{' ', '-', '€', '½', '😀'} {
		if IsWord(r) {
			t.Errorf("%q matches \\w", r)
		}
	}
}

// within says whether r is in one of the ranges.
func within(r rune, ranges [][2]rune) bool {
	return slices.ContainsFunc(ranges, func(in [2]rune) bool { return in[0] <= r && r <= in[1] })
}

func TestResetInvalid(t *testing.T) {
	var text Text
	text.Reset("a\xff\xe4\xb8中", true)
	if got := string(text.Bytes); got != "a\ufffd\ufffd\ufffd中" {
		t.Errorf("got %q, want a replacement for each bad byte", got)
	}
	if want := (Span{2, 3}); text.Spans[4] != want {
		t.Errorf("the second replacement has the span %v, want %v", text.Spans[4], want)
	}
}
