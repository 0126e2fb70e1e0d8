package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// builtin are the folders of the models that the host embeds; each has both
// tokenizer.json and vocab.txt.
const (
	english = "../../core/builtin/sentiment-en"
	chinese = "../../core/builtin/sentiment-zh"
)

// texts generates texts from ordinary words and from everything that
// normalization has rules about.
func texts() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.SampledFrom([]string{
			" ", "  ", "\t", "\r\n", "\u00a0", "\u3000", "\u2028", "\u200b", "\u00ad", "\x00", "\ufffd",
			"the", "Film", "unbelievably", "don't", "...", "$5", "[MASK]", "[CLS]", "[mask]", "##s",
			"İ", "ﬁ", "ẞ", "Σίσυφος", "café", "cafe\u0301", "a\u0316\u0301", "\u0301", "\u0958",
			"한국어", "\u1112\u1161\u11ab", "中文", "𠀀", "ひらがな", "😀", "👨‍👩‍👧", "नमस्ते", "مرحبا", "\u0378",
		}),
		rapid.StringN(0, 6, -1),
		rapid.StringMatching(`[a-zA-Z]{1,12}`),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), rapid.SampledFrom([]string{"", " "}).Draw(t, "between"))
	})
}

// TestLaws checks what holds for every tokenizer and every text.
func TestLaws(t *testing.T) {
	for _, c := range []struct {
		name string
		dir  string
		slow bool
	}{
		{"english/tokenizer.json", english, false},
		{"english/vocab.txt", english, true},
		{"chinese/tokenizer.json", chinese, false},
		{"chinese/vocab.txt", chinese, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := openFolder(t, c.dir, c.slow)
			normalizer := tok.normalizer
			rapid.Check(t, func(t *rapid.T) {
				s := texts().Draw(t, "text")
				e, err := tok.Encode(s, Options{})
				if err != nil {
					t.Fatal(err)
				}
				checkTokens(t, tok, s, e)
				for _, token := range e.Tokens {
					if id, ok := tok.ID(token.Text); !ok || id != token.ID {
						t.Errorf("the token %q has the id %d, not %d", token.Text, id, token.ID)
					}
					if unk, _ := tok.UnkID(); token.Special || token.ID == unk {
						continue
					}
					var slice text.Text
					slice.Reset(s[token.Start:token.End], false)
					if tok.prepare != nil {
						tok.prepare.Normalize(&slice)
					}
					normalizer.Normalize(&slice)
					if !strings.Contains(string(slice.Bytes), strings.TrimPrefix(token.Text, "##")) {
						t.Errorf("%q does not hold the token %q", s[token.Start:token.End], token.Text)
					}
				}
			})
		})
	}
}

// checkTokens checks what Encode returned for s with no options: that the spans
// are in order and on rune boundaries, that bytes and runes agree, that words
// are in order, and that AppendIDs finds the same. A span that is empty has no place
// in that order: RoBERTa's trimming takes a space from the front of a token also
// where it was put there before a character that the token holds a part of, which
// leaves nothing in front of the character's other parts.
func checkTokens(t interface{ Errorf(string, ...any) }, tok *Tokenizer, s string, e *Encoding) {
	if !slices.Equal(tok.AppendIDs(nil, s), e.IDs()) {
		t.Errorf("%q: AppendIDs and Encode differ", s)
	}
	start, end, word := 0, 0, 0
	for i, token := range e.Tokens {
		if token.Special && token.Start == token.End {
			continue // of the template
		}
		if token.Start > token.End || token.End > len(s) {
			t.Errorf("%q: token %d has the span %d to %d", s, i, token.Start, token.End)
			return
		}
		empty := token.Start == token.End
		if !empty && (token.Start < start || token.End < end) {
			t.Errorf("%q: token %d begins or ends before the one before it", s, i)
		}
		if !utf8.ValidString(s[:token.Start]) || !utf8.ValidString(s[:token.End]) {
			t.Errorf("%q: token %d cuts a rune", s, i)
		}
		if token.RuneStart != utf8.RuneCountInString(s[:token.Start]) || token.RuneEnd != utf8.RuneCountInString(s[:token.End]) {
			t.Errorf("%q: token %d has byte and rune offsets that differ", s, i)
		}
		if token.Special != (token.Word < 0) || !token.Special && token.Word < word {
			t.Errorf("%q: token %d is of the word %d, after %d", s, i, token.Word, word)
		}
		if !empty {
			start, end = token.Start, token.End
		}
		word = max(word, token.Word)
	}
}

// TestTruncationLaws checks that truncation keeps the limit, cuts from the side
// that the tokenizer has, and says what it cut.
func TestTruncationLaws(t *testing.T) {
	sides := []*Tokenizer{right: openFolder(t, english, false), left: openFolder(t, english, false)}
	sides[left].cutSide = left
	rapid.Check(t, func(t *rapid.T) {
		tok := rapid.SampledFrom(sides).Draw(t, "tokenizer")
		s, pair := texts().Draw(t, "text"), texts().Draw(t, "pair")
		o := Options{
			MaxLength:  rapid.IntRange(3, 20).Draw(t, "limit"),
			Truncation: rapid.SampledFrom([]Strategy{LongestFirst, OnlyFirst, OnlySecond}).Draw(t, "strategy"),
		}
		if rapid.Bool().Draw(t, "two") {
			o.Pair = &pair
		}
		cut, err := tok.Encode(s, o)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := tok.Encode(s, Options{Pair: o.Pair})
		if err != nil {
			t.Fatal(err)
		}
		if len(cut.Tokens)+len(cut.Dropped) != len(whole.Tokens) {
			t.Fatalf("%d tokens stay and %d go, of %d", len(cut.Tokens), len(cut.Dropped), len(whole.Tokens))
		}
		if len(cut.Tokens) > o.MaxLength && (o.Truncation == LongestFirst || len(cut.Dropped) > 0) {
			t.Fatalf("%d tokens stay", len(cut.Tokens))
		}
		if len(cut.Dropped) > 0 && len(cut.Tokens) < o.MaxLength {
			t.Fatalf("%d tokens stay, and %d went for nothing", len(cut.Tokens), len(cut.Dropped))
		}
		for sequence := range 2 {
			of := func(tokens []Token) (list []Token) {
				for _, token := range tokens {
					if token.Sequence == sequence && (token.Start < token.End) {
						list = append(list, token)
					}
				}
				return list
			}
			first, last := of(cut.Tokens), of(cut.Dropped)
			if tok.cutSide == left {
				first, last = last, first
			}
			if !slices.Equal(append(first, last...), of(whole.Tokens)) {
				t.Fatalf("sequence %d is not its kept and its dropped tokens", sequence)
			}
		}
	})
}

// TestRulesAgree checks that both rule sets agree on ordinary text.
func TestRulesAgree(t *testing.T) {
	for _, dir := range []string{english, chinese} {
		fast, slow := openFolder(t, dir, false), openFolder(t, dir, true)
		ordinary := rapid.StringMatching(`([A-Za-z]{1,10}|[0-9]{1,4}|[.,!?'"-]| |中文|很好|酒店|É|ñ|ü){0,20}`)
		rapid.Check(t, func(t *rapid.T) {
			s := ordinary.Draw(t, "text")
			a, err := fast.Encode(s, Options{})
			if err != nil {
				t.Fatal(err)
			}
			b, err := slow.Encode(s, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a.Tokens, b.Tokens) {
				t.Fatalf("tokenizer.json gives %v, vocab.txt %v", a.Tokens, b.Tokens)
			}
		})
	}
}

// TestConcurrent uses one tokenizer from several goroutines; the race detector
// watches.
func TestConcurrent(t *testing.T) {
	tok := openFolder(t, english, false)
	want := tok.AppendIDs(nil, "A gripping film, İstanbul.")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if got := tok.AppendIDs(nil, "A gripping film, İstanbul."); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
					return
				}
			}
		})
	}
	group.Wait()
}

// TestLinear checks that the time for long texts does not explode: each of
// these would take hours if it were quadratic in the length of a word or text.
func TestLinear(t *testing.T) {
	for _, slow := range []bool{false, true} {
		tok := openFolder(t, english, slow)
		for name, s := range map[string]string{
			"words":     strings.Repeat("unbelievably good film, ", 20_000),
			"one word":  strings.Repeat("a", 1_000_000),
			"brackets":  strings.Repeat("[", 200_000),
			"marks":     "e" + strings.Repeat("\u0301\u0316", 100_000),
			"hangul":    strings.Repeat("한", 100_000),
			"specials":  strings.Repeat("[MASK]", 20_000),
			"ideograph": strings.Repeat("中", 100_000),
		} {
			e, err := tok.Encode(s, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Tokens) < 3 {
				t.Errorf("%s: %d tokens", name, len(e.Tokens))
			}
		}
	}
}
