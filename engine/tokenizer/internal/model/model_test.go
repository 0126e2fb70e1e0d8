package model

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTrie compares a trie with a map.
func TestTrie(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.StringMatching(`[abé中]{0,6}`), 0, 200).Draw(t, "strings")
		trie, want := NewTrie(), make(map[string]int32)
		for i, s := range entries {
			trie.Insert(s, int32(i))
			want[s] = int32(i)
		}
		s := rapid.StringMatching(`[abcé中]{0,8}`).Draw(t, "text")
		longest, least := "", ""
		found := false
		for n := 1; n <= len(s); n++ {
			id, ok := want[s[:n]]
			if got, gotOK := trie.ID(s[:n]); gotOK != ok || ok && got != id {
				t.Fatalf("ID(%q) = %d, %v, want %d, %v", s[:n], got, gotOK, id, ok)
			}
			if ok {
				longest = s[:n]
				if !found || id < want[least] {
					least, found = s[:n], true
				}
			}
		}
		if id, n := trie.Longest(Root, []byte(s)); n != len(longest) || n > 0 && id != want[longest] {
			t.Fatalf("Longest(%q) = %d, %d, want %q", s, id, n, longest)
		}
		if id, n := trie.Least([]byte(s)); n != len(least) || n > 0 && id != want[least] {
			t.Fatalf("Least(%q) = %d, %d, want %q", s, id, n, least)
		}
	})
}

func TestVocabulary(t *testing.T) {
	v := NewVocabulary()
	v.Add("a", 0)
	v.Add("b", 1)
	v.Add("c", 1) // a second token for the id
	v.Add("a", 2) // a new id for a token
	for token, want := range map[string]int32{"a": 2, "b": 1, "c": 1} {
		if id, ok := v.ID(token); !ok || id != want {
			t.Errorf("ID(%q) = %d, %v, want %d", token, id, ok, want)
		}
	}
	if token, ok := v.Token(1); !ok || token != "b" {
		t.Errorf("Token(1) = %q, want the first, b", token)
	}
	if token, ok := v.Token(0); ok {
		t.Errorf("Token(0) = %q, want none", token)
	}
	if v.Size() != 3 {
		t.Errorf("Size() = %d, want 3", v.Size())
	}
}

// TestWordPiece compares the model with the algorithm as it is written down: of
// all the substrings from the end of the last token on, the longest that is in
// the vocabulary.
func TestWordPiece(t *testing.T) {
	const unknown = 0
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"##", "", "é"}).Draw(t, "prefix")
		v, ids := NewVocabulary(), make(map[string]int32)
		v.Add("[UNK]", unknown)
		for i, token := range rapid.SliceOfN(rapid.StringMatching(`(##|é)?[abé]{1,4}`), 0, 30).Draw(t, "tokens") {
			v.Add(token, int32(i+1))
			ids[token] = int32(i + 1)
		}
		limit := rapid.IntRange(0, 12).Draw(t, "limit")
		word := rapid.StringMatching(`[abé]{1,14}`).Draw(t, "word")

		want := []Piece{}
		for start := 0; start < len(word); {
			end := len(word)
			for ; end > start; end-- {
				part := word[start:end]
				if start > 0 {
					part = prefix + part
				}
				if id, ok := ids[part]; ok {
					want = append(want, Piece{id, start, end})
					break
				}
			}
			if end == start {
				want = nil
				break
			}
			start = end
		}
		if want == nil || len([]rune(word)) > limit {
			want = []Piece{{unknown, 0, len(word)}}
		}
		kept := Piece{7, 8, 9}
		got := NewWordPiece(v, unknown, prefix, limit).Append([]Piece{kept}, []byte(word))
		if !slices.Equal(got, append([]Piece{kept}, want...)) {
			t.Fatalf("%q: got %v, want %v", word, got, want)
		}
	})
}

// TestWordPieceLinear would run for hours if the time grew with the square of
// the length of a word.
func TestWordPieceLinear(t *testing.T) {
	v := NewVocabulary()
	for i, token := range []string{"[UNK]", "a", "##a", "##aa"} {
		v.Add(token, int32(i))
	}
	m := NewWordPiece(v, 0, "##", 1<<30)
	n := 2_000_001
	if pieces := m.Append(nil, []byte(strings.Repeat("a", n))); len(pieces) != 1+n/2 {
		t.Errorf("%d pieces, want %d", len(pieces), 1+n/2)
	}
	if pieces := m.Append(nil, []byte(strings.Repeat("a", n)+"b")); len(pieces) != 1 || pieces[0].ID != 0 {
		t.Errorf("%d pieces, want one unknown", len(pieces))
	}
}
