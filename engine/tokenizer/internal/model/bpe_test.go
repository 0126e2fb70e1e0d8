package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// plainBPE is BPE as it is written down, over strings: the next merge is looked
// for among all pairs, every time.
type plainBPE struct {
	ids   map[string]int32
	ranks map[[2]string]int
	o     BPEOptions
}

// encode returns the tokens of a word, and for each the runes that it spans.
func (m plainBPE) encode(word string) (tokens []string, spans [][2]int) {
	runes := []rune(word)
	var unknown []bool
	for i, r := range runes {
		s := string(r)
		if i > 0 {
			s = m.o.Prefix + s
		}
		if i == len(runes)-1 {
			s += m.o.Suffix
		}
		_, known := m.ids[s]
		bytes := []string{}
		for _, b := range []byte(s) {
			token := fmt.Sprintf("<0x%02X>", b)
			if _, ok := m.ids[token]; ok {
				bytes = append(bytes, token)
			}
		}
		switch n := len(tokens); {
		case known || m.o.Slow:
			bytes = []string{s}
		case m.o.ByteFallback && len(bytes) == len(s):
		case m.o.Unknown == NoUnknown:
			bytes = nil
		case m.o.FuseUnknown && n > 0 && unknown[n-1]:
			spans[n-1][1]++
			bytes = nil
		default:
			tokens, spans, unknown = append(tokens, "<unk>"), append(spans, [2]int{i, i + 1}), append(unknown, true)
			continue
		}
		for _, token := range bytes {
			tokens, spans, unknown = append(tokens, token), append(spans, [2]int{i, i + 1}), append(unknown, false)
		}
	}
	for {
		best, rank := -1, math.MaxInt
		for i := range max(len(tokens), 1) - 1 {
			if r, ok := m.ranks[[2]string{tokens[i], tokens[i+1]}]; ok && r < rank {
				best, rank = i, r
			}
		}
		if best < 0 {
			return tokens, spans
		}
		left, right := tokens[best], tokens[best+1]
		for i := best; i+1 < len(tokens); i++ {
			if tokens[i] != left || tokens[i+1] != right {
				continue
			}
			tokens[i] += right[len(m.o.Prefix):]
			spans[i][1] = spans[i+1][1]
			tokens, spans = slices.Delete(tokens, i+1, i+2), slices.Delete(spans, i+1, i+2)
			if !m.o.Slow {
				break
			}
		}
	}
}

// TestBPE compares the model with plainBPE, over lists of merges in any order,
// for words short and long enough for both ways of finding the next merge.
func TestBPE(t *testing.T) {
	const letters = "abcé"
	rapid.Check(t, func(t *rapid.T) {
		o := BPEOptions{
			Unknown:      rapid.SampledFrom([]int32{0, NoUnknown}).Draw(t, "unknown"),
			FuseUnknown:  rapid.Bool().Draw(t, "fuse"),
			ByteFallback: rapid.Bool().Draw(t, "bytes"),
			IgnoreMerges: rapid.Bool().Draw(t, "ignore"),
			Slow:         rapid.Bool().Draw(t, "slow"),
			Prefix:       rapid.SampledFrom([]string{"", "##"}).Draw(t, "prefix"),
			Suffix:       rapid.SampledFrom([]string{"", "</w>"}).Draw(t, "suffix"),
		}
		if o.Slow { // the slow tokenizers have none of these
			o.FuseUnknown, o.ByteFallback, o.IgnoreMerges, o.Prefix = false, false, false, ""
		}
		v := NewVocabulary()
		plain := plainBPE{ids: make(map[string]int32), ranks: make(map[[2]string]int), o: o}
		add := func(token string) {
			if _, ok := plain.ids[token]; !ok {
				id := int32(len(plain.ids))
				plain.ids[token] = id
				v.Add(token, id)
			}
		}
		add("<unk>")
		var parts []string
		for _, r := range letters {
			for _, s := range []string{"", o.Prefix} {
				for _, e := range []string{"", o.Suffix} {
					if rapid.IntRange(0, 9).Draw(t, "known") > 0 {
						add(s + string(r) + e)
						parts = append(parts, s+string(r)+e)
					}
				}
			}
			if o.ByteFallback {
				for _, b := range []byte(string(r)) {
					add(fmt.Sprintf("<0x%02X>", b))
				}
			}
		}
		if len(parts) == 0 {
			return
		}
		var merges [][2]string
		for range rapid.IntRange(0, 20).Draw(t, "merges") {
			left := rapid.SampledFrom(parts).Draw(t, "left")
			right := rapid.SampledFrom(parts).Draw(t, "right")
			if len(right) < len(o.Prefix) {
				continue
			}
			made := left + right[len(o.Prefix):]
			if !o.Slow || rapid.Bool().Draw(t, "listed") {
				add(made)
			}
			parts = append(parts, made)
			merges = append(merges, [2]string{left, right})
		}
		merges = rapid.Permutation(merges).Draw(t, "order")
		m := NewBPE(v, o)
		for i, pair := range merges {
			if err := m.Merge(pair[0], pair[1]); err != nil {
				t.Fatal(err)
			}
			plain.ranks[pair] = i
		}
		for range 3 {
			word := rapid.StringOfN(rapid.SampledFrom([]rune(letters+"x")), 1, 80, -1).Draw(t, "word")
			at := []int{}
			for i := range word {
				at = append(at, i)
			}
			at = append(at, len(word))
			want := []Piece{}
			if id, ok := plain.ids[word]; ok && o.IgnoreMerges {
				want = append(want, Piece{id, 0, len(word)})
			} else {
				tokens, spans := plain.encode(word)
				for i, token := range tokens {
					id, ok := plain.ids[token]
					if !ok {
						id = o.Unknown
					}
					if id != NoUnknown {
						want = append(want, Piece{id, at[spans[i][0]], at[spans[i][1]]})
					}
				}
			}
			kept := Piece{7, 8, 9}
			for range 2 { // the second time, the model knows the word
				if got := m.Append([]Piece{kept}, []byte(word)); !slices.Equal(got, append([]Piece{kept}, want...)) {
					t.Fatalf("%q: got %v, want %v", word, got, want)
				}
			}
		}
	})
}

// TestBPESharedID checks that a word is not taken for another token of its id.
func TestBPESharedID(t *testing.T) {
	v := NewVocabulary()
	for token, id := range map[string]int32{"a": 0, "b": 1, "ab": 2} {
		v.Add(token, id)
	}
	v.Add("ba", 2)
	m := NewBPE(v, BPEOptions{Unknown: NoUnknown})
	if err := m.Merge("a", "b"); err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]int{"ab": 1, "ba": 2} {
		for range 2 {
			if got := m.Append(nil, []byte(word)); len(got) != want {
				t.Errorf("%s: %d tokens, want %d", word, len(got), want)
			}
		}
	}
}

func TestBPEMergeErrors(t *testing.T) {
	v := NewVocabulary()
	for i, token := range []string{"a", "b", "##b", "é"} {
		v.Add(token, int32(i))
	}
	for _, c := range []struct {
		prefix, left, right, want string
	}{
		{"", "a", "b", `needs "ab", which is not in the vocabulary`},
		{"", "c", "b", `needs "c", which is not in the vocabulary`},
		{"", "a", "c", `needs "c", which is not in the vocabulary`},
		{"##", "a", "##b", `needs "ab", which is not in the vocabulary`},
		{"##", "a", "b", `has "b", which is shorter than the prefix "##"`},
		{"#", "a", "é", `needs "a\xa9", which is not in the vocabulary`},
	} {
		err := NewBPE(v, BPEOptions{Prefix: c.prefix}).Merge(c.left, c.right)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %s: got %v, want %s", c.left, c.right, err, c.want)
		}
	}
}

// TestBPELinear would run for hours if the time grew with the square of the
// length of a word.
func TestBPELinear(t *testing.T) {
	for _, slow := range []bool{false, true} {
		v := NewVocabulary()
		m := ""
		for i := range 12 {
			v.Add(strings.Repeat("a", 1<<i), int32(i))
		}
		v.Add("b", 12)
		b := NewBPE(v, BPEOptions{Unknown: NoUnknown, Slow: slow})
		for i := range 11 {
			m = strings.Repeat("a", 1<<i)
			if err := b.Merge(m, m); err != nil {
				t.Fatal(err)
			}
		}
		n := 1 << 18
		if pieces := b.Append(nil, []byte(strings.Repeat("a", n))); len(pieces) != n>>11 {
			t.Errorf("%d pieces, want %d", len(pieces), n>>11)
		}
		if pieces := b.Append(nil, []byte(strings.Repeat("ab", n))); len(pieces) != 2*n {
			t.Errorf("%d pieces, want %d", len(pieces), 2*n)
		}
	}
}
