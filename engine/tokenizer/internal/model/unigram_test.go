package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// scored draws a vocabulary over a few letters; its first token is unknown.
func scored(t *rapid.T) []Scored {
	tokens := []Scored{{Token: "<unk>", Kind: Reserved}}
	for _, token := range rapid.SliceOfNDistinct(rapid.StringMatching(`[abé▁]{1,4}`), 0, 20, rapid.ID[string]).Draw(t, "tokens") {
		tokens = append(tokens, Scored{
			Token: token, ID: int32(len(tokens)),
			// Whole scores make ties, and no rounding.
			Score: float64(rapid.IntRange(-6, 0).Draw(t, "score")),
			Kind:  rapid.SampledFrom([]Kind{Normal, Normal, Normal, Reserved, Unused}).Draw(t, "kind"),
		})
	}
	return tokens
}

// best returns the best way to cut s into tokens, found by trying all, with a
// rune alone as unknown where it is no token. Of equal ones it returns that
// whose last token is longest, then the one before, and so on.
func best(s string, find func(string) (score float64, ok bool), unknown float64) ([]string, float64) {
	var parts []string
	top := math.Inf(-1)
	if s == "" {
		return nil, 0
	}
	for i := range s {
		last := s[i:]
		score, ok := find(last)
		if !ok {
			if len([]rune(last)) > 1 {
				continue
			}
			score = unknown
		}
		before, sum := best(s[:i], find, unknown)
		if sum+score > top {
			parts, top = append(slices.Clone(before), last), sum+score
		}
	}
	return parts, top
}

// TestUnigram compares the model with the definition.
func TestUnigram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := scored(t)
		word := rapid.StringMatching(`[abéc▁]{1,9}`).Draw(t, "word")
		library := rapid.Bool().Draw(t, "tokenizers library")
		find := func(s string) (float64, bool) {
			for _, token := range tokens {
				if token.Token == s && (library || token.Kind == Normal) {
					return token.Score, true
				}
			}
			return 0, false
		}
		var m *Unigram
		smallest := math.Inf(1)
		if library {
			for i := range tokens {
				tokens[i].Kind = Normal
				smallest = min(smallest, tokens[i].Score)
			}
			m = NewUnigram(tokens, 0, false)
		} else {
			for _, token := range tokens {
				if token.Kind == Normal {
					smallest = min(smallest, token.Score)
				}
			}
			m = NewSentencePieceUnigram(tokens, 0, false)
			if math.IsInf(smallest, 1) {
				smallest = 0 // nothing to compare with
			}
		}
		var want []string
		parts, _ := best(word, find, smallest-10)
		known := true
		for _, part := range parts {
			_, ok := find(part)
			if !ok && !known {
				want[len(want)-1] += part
			} else {
				want = append(want, part)
			}
			known = ok
		}
		var got []string
		kept := Piece{0, 0, 1} // of another word
		pieces := m.Append([]Piece{kept}, []byte(word))
		if pieces[0] != kept {
			t.Fatalf("the pieces before are now %v", pieces[0])
		}
		end := 0
		for _, p := range pieces[1:] {
			if p.Start != end {
				t.Fatalf("%v leaves a gap", pieces)
			}
			end = p.End
			got = append(got, word[p.Start:p.End])
			if id, ok := m.Vocabulary().ID(word[p.Start:p.End]); ok && p.ID != id || !ok && p.ID != 0 {
				t.Fatalf("%q has the id %d", word[p.Start:p.End], p.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", word, got, want)
		}
	})
}

// ids returns the ids of the tokens of a word.
func ids(m Model, word string) (ids []int32) {
	for _, p := range m.Append(nil, []byte(word)) {
		ids = append(ids, p.ID)
	}
	return ids
}

// TestUnigramRounding shows that sums of scores are rounded as either library
// does, which decides between paths that are almost or altogether equal.
func TestUnigramRounding(t *testing.T) {
	tokens := []Scored{
		{Token: "<unk>", Score: -1}, {Token: "a", ID: 1, Score: -1}, {Token: "b", ID: 2, Score: -1 + 0x1p-26},
		{Token: "ab", ID: 3, Score: -2},
	}
	if got := ids(NewUnigram(tokens, 0, false), "ab"); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("in double precision: %v, want a and b", got)
	}
	tokens[2].Score = float64(float32(tokens[2].Score))
	if got := ids(NewUnigram(tokens, 0, false), "ab"); !slices.Equal(got, []int32{3}) {
		t.Errorf("a tie: %v, want ab", got)
	}
	m := NewSentencePieceUnigram([]Scored{
		{Token: "<unk>", Kind: Reserved}, {Token: "▁", ID: 1, Score: -1}, {Token: "a", ID: 2, Score: -1},
		{Token: "▁a", ID: 3, Score: -1.5}, {Token: "x", ID: 4, Score: -1 << 24},
	}, 0, false)
	if got := ids(m, "▁a"); !slices.Equal(got, []int32{3}) {
		t.Errorf("%v, want ▁a", got)
	}
	m.After([]byte("x")) // 2²⁴ + 1 is no number in single precision
	if got := ids(m, "▁a"); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("after a large score: %v, want ▁ and a", got)
	}
	if got := ids(m, "a▁a"); !slices.Equal(got, []int32{2, 3}) {
		t.Errorf("%v: what does not begin with ▁ follows nothing", got)
	}
}

// withBytes returns tokens with those of all bytes from the id 100 on.
func withBytes(tokens ...Scored) []Scored {
	for c := range 256 {
		tokens = append(tokens, Scored{Token: fmt.Sprintf("<0x%02X>", c), ID: int32(100 + c), Kind: Reserved})
	}
	return tokens
}

func TestByteFallback(t *testing.T) {
	tokens := withBytes(Scored{Token: "<unk>", Kind: Reserved}, Scored{Token: "a", ID: 1, Score: -1})
	for name, m := range map[string]Model{
		"SentencePiece": NewSentencePieceUnigram(tokens, 0, true),
		"BPE":           NewSentencePieceBPE(tokens, 0, true),
	} {
		want := []Piece{{1, 0, 1}, {100 + 0xC3, 1, 3}, {100 + 0xA9, 1, 3}, {100 + 0xC3, 3, 5}, {100 + 0xA9, 3, 5}}
		if got := m.Append(nil, []byte("aéé")); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	want := []Piece{{1, 0, 1}, {100 + 0xC3, 1, 5}, {100 + 0xA9, 1, 5}, {100 + 0xC3, 1, 5}, {100 + 0xA9, 1, 5}}
	if got := NewUnigram(tokens, 0, true).Append(nil, []byte("aéé")); !slices.Equal(got, want) {
		t.Errorf("tokenizers library: got %v, want %v", got, want)
	}
	tokens[2+0xA9].Token = "other"
	if got := NewUnigram(tokens, 0, true).Append(nil, []byte("aéé")); !slices.Equal(got, []Piece{{1, 0, 1}, {0, 1, 5}}) {
		t.Errorf("without all bytes: %v", got)
	}
}

// TestSentencePieceBPE compares the model with the algorithm as it is written
// down: merge the best of all neighbours, the leftmost of equals, again and
// again.
func TestSentencePieceBPE(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := scored(t)
		for i := range tokens {
			tokens[i].Kind = min(tokens[i].Kind, Reserved)
		}
		word := rapid.StringMatching(`[abéc▁]{1,12}`).Draw(t, "word")
		score := make(map[string]float64)
		for _, token := range tokens {
			if token.Kind != Reserved {
				score[token.Token] = token.Score
			}
		}
		want := strings.Split(word, "")
		for {
			at, top := -1, 0.0
			for i := range len(want) - 1 {
				if s, ok := score[want[i]+want[i+1]]; ok && (at < 0 || s > top) {
					at, top = i, s
				}
			}
			if at < 0 {
				break
			}
			want = slices.Replace(want, at, at+2, want[at]+want[at+1])
		}
		m := NewSentencePieceBPE(tokens, 0, false)
		var got []string
		for _, p := range m.Append(nil, []byte(word)) {
			got = append(got, word[p.Start:p.End])
		}
		var merged []string
		unknown := false
		for _, part := range want {
			_, ok := m.Vocabulary().ID(part)
			if !ok && unknown {
				merged[len(merged)-1] += part
			} else {
				merged = append(merged, part)
			}
			unknown = !ok
		}
		if !slices.Equal(got, merged) {
			t.Fatalf("%q: got %q, want %q", word, got, merged)
		}
	})
}

func TestSentencePieceBPEKinds(t *testing.T) {
	m := NewSentencePieceBPE([]Scored{
		{Token: "<unk>", Kind: Reserved}, {Token: "a", ID: 1}, {Token: "b", ID: 2}, {Token: "ab", ID: 3, Score: -1, Kind: Unused},
		{Token: "abb", ID: 4, Score: -2}, {Token: "[b]", ID: 5, Kind: UserDefined}, {Token: "[b]a", ID: 6, Score: -1},
	}, 0, false)
	for word, want := range map[string][]int32{
		"ab":   {1, 2},    // what is not to be used falls apart
		"abb":  {4},       // but may be passed through
		"[b]a": {5, 1},    // user-defined tokens never merge
		"b[]b": {2, 0, 2}, // unknown runes are one
	} {
		if got := ids(m, word); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", word, got, want)
		}
	}
}

func TestDigitComma(t *testing.T) {
	tokens := []Scored{{Token: "<unk>", Kind: Reserved}}
	for _, token := range []string{"▁", "▁1,", "1,", ",", "▁1", "▁12", "2", "2,", "a,", "٣,", "٣"} {
		tokens = append(tokens, Scored{Token: token, ID: int32(len(tokens)), Score: -1})
	}
	m := &DigitComma{Model: NewSentencePieceUnigram(tokens, 0, false), Prefix: true}
	for word, want := range map[string][]Piece{
		"▁1,":   {{5, 0, 4}, {4, 4, 5}},
		"▁1,2,": {{5, 0, 4}, {4, 4, 5}, {7, 5, 6}, {4, 6, 7}},
		"1,":    {{0, 0, 1}, {4, 1, 2}}, // 1 is only a token after ▁
		"a,":    {{9, 0, 2}},
		"٣,":    {{11, 0, 2}, {4, 2, 3}},
		"2,▁":   {{7, 0, 1}, {4, 1, 2}, {1, 2, 5}},
	} {
		if got := m.Append(nil, []byte(word)); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", word, got, want)
		}
	}
}
