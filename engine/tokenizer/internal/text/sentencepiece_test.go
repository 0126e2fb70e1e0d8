package text

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// compile encodes normalization rules as SentencePiece does.
func compile(rules map[string]string) []byte {
	var forms []byte
	values := make(map[string]uint32)
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		values[key] = uint32(len(forms))
		forms = append(append(forms, rules[key]...), 0)
	}
	units, used := make([]uint32, 256), make([]bool, 256)
	used[0] = true
	taken := make(map[uint32]bool) // where children of some node are
	// place puts the children of the node for prefix beside one another, and
	// returns where.
	var place func(prefix string) uint32
	place = func(prefix string) uint32 {
		var labels []byte
		for key := range values {
			if rest, ok := strings.CutPrefix(key, prefix); ok {
				label := byte(0) // of the value
				if rest != "" {
					label = rest[0]
				}
				if !slices.Contains(labels, label) {
					labels = append(labels, label)
				}
			}
		}
		base := uint32(0)
		for ; ; base++ {
			for int(base|0xFF) >= len(units) {
				units, used = append(units, make([]uint32, 256)...), append(used, make([]bool, 256)...)
			}
			if !taken[base] && !slices.ContainsFunc(labels, func(c byte) bool { return used[base^uint32(c)] }) {
				break
			}
		}
		taken[base] = true
		for _, c := range labels {
			used[base^uint32(c)] = true
		}
		for _, c := range labels {
			at := base ^ uint32(c)
			if c == 0 {
				units[at] = 1<<31 | values[prefix]
				continue
			}
			child := prefix + string([]byte{c})
			children := place(child)
			units[at] = (at^children)<<10 | uint32(c)
			if _, ok := values[child]; ok {
				units[at] |= 1 << 8
			}
		}
		return base
	}
	root := place("")
	units[0] = root << 10
	data := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, unit := range units {
		data = binary.LittleEndian.AppendUint32(data, unit)
	}
	return append(data, forms...)
}

func mustCharsmap(t interface{ Fatal(...any) }, rules map[string]string) *Charsmap {
	m, err := ParseCharsmap(compile(rules))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCharsmap compares a table with the map that it was made of.
func TestCharsmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.MapOfN(rapid.StringMatching(`[abé中]{1,4}`), rapid.StringMatching(`[xyß]{0,3}`), 1, 12).Draw(t, "rules")
		m := mustCharsmap(t, rules)
		s := rapid.StringMatching(`[abcé中]{0,6}`).Draw(t, "text")
		longest, shortest := "", ""
		for n := range len(s) {
			if _, ok := rules[s[:n+1]]; ok {
				if longest = s[:n+1]; shortest == "" {
					shortest = longest
				}
			}
		}
		if form, n := m.Longest([]byte(s)); n != len(longest) || string(form) != rules[longest] {
			t.Fatalf("Longest(%q) = %q, %d, want %q", s, form, n, longest)
		}
		if form, n := m.Shortest([]byte(s)); n != len(shortest) || string(form) != rules[shortest] {
			t.Fatalf("Shortest(%q) = %q, %d, want %q", s, form, n, shortest)
		}
	})
	if got := mustCharsmap(t, map[string]string{"a": "xxx", "bc": "y"}).Growth(); got != 3 {
		t.Errorf("Growth() = %v, want 3", got)
	}
}

func TestCharsmapErrors(t *testing.T) {
	good := compile(map[string]string{"a": "x", "ab": "y"})
	change := func(at int, unit uint32) []byte {
		data := slices.Clone(good)
		binary.LittleEndian.PutUint32(data[4+4*at:], unit)
		return data
	}
	size := len(good) - len("x\x00y\x00")
	value := slices.IndexFunc(make([]struct{}, size/4-1), func(struct{}) bool { return false })
	for i := range size/4 - 1 {
		if binary.LittleEndian.Uint32(good[4+4*i:])>>31 == 1 {
			value = i
		}
	}
	// A unit whose child over a is itself makes keys without end.
	endless := binary.LittleEndian.AppendUint32(nil, 4*256)
	for i := range uint32(256) {
		unit := uint32(0)
		if i == 'a' {
			unit = 'a' | 'a'<<10
		}
		endless = binary.LittleEndian.AppendUint32(endless, unit)
	}
	for _, c := range []struct {
		name    string
		data    []byte
		want    string
		unusual bool
	}{
		{"nothing", nil, "is cut off", false},
		{"cut off", good[:100], "has a trie of 1024 bytes in 96", false},
		{"no trie", make([]byte, 8), "has a trie of 0 bytes in 4", false},
		{"form beyond the end", change(value, 1<<31|1000), "has a normalized form at byte 1000 of 4", false},
		{"form is not UTF-8", append(slices.Clone(good[:size]), 'x', 0, 0xFF, 0), "has a normalized form at byte 2 that is not UTF-8", false},
		{"long keys", compile(map[string]string{strings.Repeat("a", 65): "x"}), "unusually large normalization rules: keys of more than 64 bytes", true},
		{"endless keys", endless, "unusually large normalization rules: keys of more than 64 bytes", true},
		{"long forms", compile(map[string]string{"a": strings.Repeat("x", 257)}), "unusually large normalization rules: forms of more than 256 bytes", true},
		{"large", make([]byte, 4<<20+1), "unusually large normalization rules: 4194305 bytes", true},
	} {
		_, err := ParseCharsmap(c.data)
		if err == nil || err.Error() != c.want || errors.Is(err, ErrUnusual) != c.unusual {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// FuzzCharsmap reads arbitrary tables and looks arbitrary text up.
func FuzzCharsmap(f *testing.F) {
	f.Add(compile(map[string]string{"a": "x", "ab": "y", "é": "e", "ﬁ": "fi"}), "abé ﬁ")
	f.Add(compile(map[string]string{"\r\n": "\n", "e\u0301": "é"}), "e\u0301\r\n")
	f.Fuzz(func(t *testing.T, data []byte, s string) {
		m, err := ParseCharsmap(data)
		if err != nil || !utf8.ValidString(s) {
			return
		}
		for i := range s {
			m.Longest([]byte(s[i:]))
			m.Shortest([]byte(s[i:]))
		}
		for _, n := range []Normalizer{
			Precompiled{m}, NewSentencePiece(m, []string{"b", "ab"}, Spaces{Squeeze: true, Prefix: true, Escape: true}),
			NewSentencePiece(m, nil, Spaces{}),
		} {
			var text Text
			text.Reset(s, true)
			n.Normalize(&text)
			if !utf8.Valid(text.Bytes) {
				t.Fatalf("%q becomes %q", s, text.Bytes)
			}
			checkSpans(t, &text, s)
			if limit := (len(s) + 1) * int(3*m.Growth()+3); len(text.Bytes) > limit {
				t.Fatalf("%q becomes %d bytes", s, len(text.Bytes))
			}
		}
	})
}

// spelled returns what became of s, with the part of s that each stretch of
// equal spans stands for in brackets.
func spelled(text *Text, s string) string {
	var b strings.Builder
	for i := 0; i < len(text.Bytes); {
		end := i + 1
		for end < len(text.Bytes) && text.Spans[end] == text.Spans[i] {
			end++
		}
		b.Write(text.Bytes[i:end])
		if part := s[text.Spans[i].Start:text.Spans[i].End]; part != string(text.Bytes[i:end]) {
			b.WriteString("[" + part + "]")
		}
		i = end
	}
	return b.String()
}

func TestSentencePiece(t *testing.T) {
	rules := mustCharsmap(t, map[string]string{
		"\t": " ", "ﬁ": "fi", "e\u0301": "é", "e": "e", "\u200b": "", "▁": " ", "½": "1 2", "AB": "X",
	})
	usual := Spaces{Squeeze: true, Prefix: true, Escape: true}
	for _, c := range []struct {
		name   string
		spaces Spaces
		text   string
		want   string
	}{
		{"empty", usual, "", ""},
		{"spaces alone", usual, " \t ", ""},
		{"words", usual, " a  b ", "▁[]a▁[  ]b"},
		{"longest key", usual, "e\u0301ex", "▁[]é[e\u0301]ex"},
		{"expanded", usual, "ﬁ", "▁[]fi[ﬁ]"},
		{"expanded to words", usual, "a½", "▁[]a1▁2[½]"},
		{"dropped", usual, "a\u200b\u200bb", "▁[]a[a\u200b\u200b]b"},
		{"dropped at the beginning", usual, "\u200ba", "▁[\u200b]a"},
		{"dropped at the end", usual, "a\u200b ", "▁[]a[a\u200b]"},
		{"user-defined", usual, "ABBA▁▁c", "▁[]X[AB]BA▁▁c"},
		{"spaces are kept", Spaces{Prefix: true, Escape: true}, " a ", "▁[]▁[ ]a▁[ ]"},
		{"spaces are spaces", Spaces{Squeeze: true}, " a  b ", "a [  ]b"},
		{"inside", Spaces{Squeeze: true, Escape: true, Inside: true}, "  a", "▁[  ]a"},
		{"inside, without a space", Spaces{Squeeze: true, Escape: true, Inside: true}, "\ta", "a"},
	} {
		n := NewSentencePiece(rules, []string{"BA", "BA▁▁"}, c.spaces)
		var text Text
		text.Reset(c.text, true)
		n.Normalize(&text)
		if got := spelled(&text, c.text); got != c.want {
			t.Errorf("%s: %q becomes %s, want %s", c.name, c.text, got, c.want)
		}
	}
}

func TestPrecompiled(t *testing.T) {
	rules := mustCharsmap(t, map[string]string{
		"\r": " ", "\n": " ", "ﬁ": "fi", "e\u0301": "é", "\u200b": "", "か\u3099": "が", "A": "X", "AB": "Y",
	})
	for _, c := range []struct{ name, text, want string }{
		{"ASCII", "bcA", "bcX[A]"},
		{"a cluster as a whole", "\r\na", " [\r\n]a"},
		{"a short cluster, by what it begins with", "ﬁ\u0301", "f[ﬁ]i[\u0301]"},
		{"a cluster of six bytes, rune by rune", "か\u3099", "か\u3099"},
		{"composed", "e\u0301", "é[e\u0301]"},
		{"dropped", "a\u200bb", "ab"},
		{"clusters end between letters", "AB", "X[A]B"},
	} {
		var text Text
		text.Reset(c.text, true)
		Precompiled{rules}.Normalize(&text)
		if got := spelled(&text, c.text); got != c.want {
			t.Errorf("%s: %q becomes %s, want %s", c.name, c.text, got, c.want)
		}
	}
}

func TestMetaspace(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     Metaspace
		text  string
		words []Range
		want  []string
	}{
		{"usual", Metaspace{'▁', PrependAlways, true}, "a  b ", []Range{{0, 5}}, []string{"▁a", "▁", "▁b", "▁"}},
		{"each word", Metaspace{'▁', PrependAlways, true}, "a b", []Range{{0, 1}, {2, 3}}, []string{"▁a", "▁b"}},
		{"the first", Metaspace{'▁', PrependFirst, true}, "a b", []Range{{0, 1}, {2, 3}}, []string{"▁a", "b"}},
		{"not the first", Metaspace{'▁', PrependFirst, true}, " a", []Range{{1, 2}}, []string{"a"}},
		{"never", Metaspace{'▁', PrependNever, true}, "a b", []Range{{0, 3}}, []string{"a", "▁b"}},
		{"there already", Metaspace{'▁', PrependAlways, true}, "▁a▁ b", []Range{{0, 9}}, []string{"▁a", "▁", "▁b"}},
		{"whole", Metaspace{'▁', PrependAlways, false}, "a b", []Range{{0, 3}}, []string{"▁a▁b"}},
		{"another mark", Metaspace{'_', PrependAlways, true}, "a b", []Range{{0, 3}}, []string{"_a", "_b"}},
	} {
		var text Text
		text.Reset(c.text, true)
		text.Words = append(text.Words, c.words...)
		c.m.PreTokenize(&text)
		var got []string
		for _, w := range text.Words {
			got = append(got, string(text.Bytes[w.Start:w.End]))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		checkSpans(t, &text, c.text)
	}
}

func TestUnicodeScripts(t *testing.T) {
	for s, want := range map[string][]string{
		"abc. Δx":       {"abc", ". ", "Δ", "x"},
		"どこで生れ。ー":       {"どこで生れ", "。", "ー"},
		"  a":           {"a"},
		" ":             nil,
		"Apples are りん": {"Apples are ", "りん"},
	} {
		var text Text
		text.Reset(s, false)
		text.Words = append(text.Words, Range{0, len(s)})
		UnicodeScripts{}.PreTokenize(&text)
		var got []string
		for _, w := range text.Words {
			got = append(got, string(text.Bytes[w.Start:w.End]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestSlowSentencePiece(t *testing.T) {
	all := SlowXLNet{RemoveSpace: true, StripAccents: true, Lowercase: true}
	for _, c := range []struct {
		name       string
		normalizer Normalizer
		text, want string
	}{
		{"spaces", SlowXLNet{RemoveSpace: true}, "\x1c a\t\u3000b\u2028", "a [\t\u3000]b"},
		{"nothing but spaces", SlowXLNet{RemoveSpace: true}, " \n", ""},
		{"quotation", SlowXLNet{}, "``a'' '''", "\"[``]a\"[''] \"['']'"},
		{"accents", SlowXLNet{StripAccents: true}, "Éﬁ\u0e31", "E[É]fi[ﬁ]\u0e31"},
		{"a final sigma", all, "ΑΣ Σ ΑΣ.Α 𝚨𝚺", "α[Α]ς[Σ] σ[Σ] α[Α]σ[Σ].α[Α] α[𝚨]ς[𝚺]"},
		{"a capital dotted i", SlowLowercase{}, "İΣ", "i\u0307[İ]ς[Σ]"},
		{"▁ to spaces", SlowSpaces{Prefix: true}, "a▁b", "▁[]a [▁]b"},
		{"no prefix", SlowSpaces{}, "a▁b", "a [▁]b"},
		{"nothing", SlowSpaces{Prefix: true}, "", ""},
		{"control characters", Nmt{}, "a\x01\tb\u200e", "a [\t]b [\u200e]"},
		{"prepend", Prepend{"▁"}, "ab", "▁a[a]b"},
		{"prepend to nothing", Prepend{"▁"}, "", ""},
	} {
		var text Text
		text.Reset(c.text, true)
		c.normalizer.Normalize(&text)
		if got := spelled(&text, c.text); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.name, c.text, got, c.want)
		}
		checkSpans(t, &text, c.text)
	}
}
