package shap

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// The hierarchies of a text.
const (
	hierarchyClauses  = "clauses"
	hierarchySHAP     = "shap"
	hierarchyBalanced = "balanced"
)

// tree is a binary hierarchy of players. Nodes below leaves are players; node
// leaves+k joins the two nodes children[k], which have lower numbers. The last node
// is the root.
type tree struct {
	leaves   int
	children [][2]int
}

// root returns the node of all players.
func (t *tree) root() int { return t.leaves + len(t.children) - 1 }

// sizes returns how many players each node has.
func (t *tree) sizes() []int {
	sizes := make([]int, t.leaves+len(t.children))
	for i := range sizes {
		if sizes[i] = 1; i >= t.leaves {
			c := t.children[i-t.leaves]
			sizes[i] = sizes[c[0]] + sizes[c[1]]
		}
	}
	return sizes
}

// join adds a node.
func (t *tree) join(a, b int) int {
	t.children = append(t.children, [2]int{a, b})
	return t.root()
}

// members marks the players of a node.
func (t *tree) members(node int, mask []uint8) {
	for node >= t.leaves {
		c := t.children[node-t.leaves]
		t.members(c[0], mask)
		node = c[1]
	}
	mask[node] = 1
}

// shuffle visits the players in a random order that keeps the players of each node
// together.
func (t *tree) shuffle(r *num.Rand, visit func(leaf int)) {
	stack := []int{t.root()}
	for len(stack) > 0 {
		node := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if node < t.leaves {
			visit(node)
			continue
		}
		c := t.children[node-t.leaves]
		if r.IntN(2) == 0 {
			c[0], c[1] = c[1], c[0]
		}
		stack = append(stack, c[1], c[0])
	}
}

// linkage returns the tree as scipy writes it: for each node that joins two its
// children, a height, here its share of the players, and how many they are.
func (t *tree) linkage() []float64 {
	sizes := t.sizes()
	var rows []float64
	for k, c := range t.children {
		size := float64(sizes[t.leaves+k])
		rows = append(rows, float64(c[0]), float64(c[1]), size/float64(t.leaves), size)
	}
	return rows
}

// hierarchy returns the hierarchy of a request's players.
func hierarchy(kind string, r *sdk.Request, players []sdk.Unit) *tree {
	parts := partsOf(r, players)
	switch kind {
	case hierarchySHAP:
		return mergeTree(mergeTokens(segmentsOf(parts)), "")
	case hierarchyBalanced:
		return splitTree(len(parts), func(int) int { return 0 })
	}
	return splitTree(len(parts), func(i int) int { return boundary(parts[i], parts[i+1]) })
}

// part is a player as it stands in the text.
type part struct {
	text    string
	before  string // what stands between it and the player before it
	joined  bool   // to the player before it, as a part of the same word
	text2   bool   // it belongs to the second text
	special bool
}

// partsOf returns the players in the text, in their order. Where there is no text,
// what joins them is told by how the vocabulary spells them.
func partsOf(r *sdk.Request, players []sdk.Unit) []part {
	texts := []string{r.Text, ""}
	if r.TextPair != nil {
		texts[1] = *r.TextPair
	}
	parts := make([]part, len(players))
	marked := false // by a mark, the vocabulary says where words begin
	for _, t := range r.Tokens {
		marked = marked || strings.HasPrefix(t.Text, "Ġ") || strings.HasPrefix(t.Text, "▁")
	}
	at, sequence := 0, 0
	for i, p := range players {
		s, ok := spanOf(r, p)
		if !ok {
			spelled := p.Text
			if len(p.Tokens) > 0 {
				token := r.Tokens[p.Tokens[0]]
				spelled = token.Text
				parts[i].special = token.Special
			}
			bare := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(spelled, "##"), "Ġ"), "▁")
			parts[i].text = bare
			parts[i].joined = i > 0 && (strings.HasPrefix(spelled, "##") || marked && bare == spelled)
			if !parts[i].joined {
				parts[i].before = " "
			}
			continue
		}
		if s.Sequence != sequence {
			at, sequence = 0, s.Sequence
		}
		text := texts[s.Sequence]
		parts[i].text2 = s.Sequence == 1
		parts[i].before = text[min(at, s.Start):s.Start]
		parts[i].text = text[s.Start:s.End]
		if trimmed := strings.TrimLeftFunc(parts[i].text, unicode.IsSpace); len(trimmed) > 0 && len(trimmed) < len(parts[i].text) {
			// A token that begins with the white space before its word.
			parts[i].before += parts[i].text[:len(parts[i].text)-len(trimmed)]
			parts[i].text = trimmed
		}
		parts[i].joined = i > 0 && parts[i].before == ""
		at = s.End
	}
	return parts
}

// spanOf returns where a player stands in the texts.
func spanOf(r *sdk.Request, p sdk.Unit) (sdk.Span, bool) {
	if len(p.Spans) > 0 {
		return p.Spans[0], true
	}
	if !ofText(r) || len(p.Tokens) == 0 {
		return sdk.Span{}, false
	}
	first, last := r.Tokens[p.Tokens[0]], r.Tokens[p.Tokens[len(p.Tokens)-1]]
	return sdk.Span{Sequence: first.Sequence, Start: first.Start, End: last.End}, first.Start < last.End
}

// How strongly two neighbours are held apart.
const (
	withinWord = iota
	atPunctuation
	betweenWords
	betweenClauses
	betweenSentences
	betweenTexts
)

// boundary returns how strongly two neighbours are held apart. Sentences and clauses
// end as Unicode's properties of characters say, in every script.
func boundary(a, b part) int {
	if a.special || b.special || a.text2 != b.text2 {
		return betweenTexts
	}
	if strings.Count(b.before, "\n") > 1 || strings.ContainsRune(b.before, '\u2029') {
		return betweenSentences
	}
	last, first := lastRune(a.text), firstRune(b.text)
	switch {
	case opens(last):
		return atPunctuation
	case unicode.IsPunct(first) && !opens(first) && !dashes(first):
		return atPunctuation // it closes what came before
	case ends(last) && (!b.joined || last != '.'):
		return betweenSentences
	case strings.Contains(b.before, "\n"):
		return betweenClauses
	case unicode.Is(unicode.Terminal_Punctuation, last) && !b.joined, closes(last), opens(first):
		return betweenClauses
	case dashes(last) || dashes(first):
		if b.joined {
			return withinWord // a compound
		}
		return betweenClauses
	case unicode.Is(unicode.Terminal_Punctuation, last) && last > unicode.MaxLatin1:
		return betweenClauses // of a script that sets no spaces
	case b.joined && !(unspaced(last) && unspaced(first)):
		return withinWord
	}
	return betweenWords
}

// unspaced reports whether r is of a script that sets no spaces between words.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// ends reports whether a sentence ends with r.
func ends(r rune) bool { return unicode.Is(unicode.Sentence_Terminal, r) }

func opens(r rune) bool  { return unicode.In(r, unicode.Ps, unicode.Pi) }
func closes(r rune) bool { return unicode.In(r, unicode.Pe, unicode.Pf) }
func dashes(r rune) bool { return unicode.Is(unicode.Pd, r) }

// lastRune returns what a part ends with, but for brackets and quotes that close
// after the end of a sentence.
func lastRune(s string) rune {
	r, n := utf8.DecodeLastRuneInString(s)
	for len(s) > n && (closes(r) || r == '"' || r == '\'') {
		before, m := utf8.DecodeLastRuneInString(s[:len(s)-n])
		if !ends(before) {
			break
		}
		s, r, n = s[:len(s)-n], before, m
	}
	return r
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// splitTree returns the tree over n players that splits each part at its strongest
// boundary, and of equals at that nearest to its middle. strength is told of the
// boundary after each player.
func splitTree(n int, strength func(i int) int) *tree {
	t := &tree{leaves: n}
	apart := make([]int, max(n-1, 0))
	for i := range apart {
		apart[i] = strength(i)
	}
	var split func(from, until int) int
	split = func(from, until int) int {
		if until-from == 1 {
			return from
		}
		best := from
		for i := from; i < until-1; i++ {
			middle := func(i int) int { return max(from+until-2*(i+1), 2*(i+1)-from-until) }
			if apart[i] > apart[best] || apart[i] == apart[best] && middle(i) < middle(best) {
				best = i
			}
		}
		left := split(from, best+1)
		return t.join(left, split(best+1, until))
	}
	if n > 0 {
		split(0, n)
	}
	return t
}

// segmentsOf returns the text of each part up to the next one.
func segmentsOf(parts []part) []string {
	segments := make([]string, len(parts))
	for i, p := range parts {
		segments[i] = p.text
		if i+1 < len(parts) && !parts[i+1].joined {
			segments[i] += " "
		}
	}
	return segments
}
