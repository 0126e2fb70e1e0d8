package shap

import (
	"context"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

// The parameters of the reference's masker of texts.
const (
	paramHierarchy = "hierarchy"
	paramSegments  = "segments"
	paramCollapse  = "collapse"

	segmentsOffsets = "offsets"
	collapseAuto    = "auto"
)

const textCompatDoc = "shap: the players are the segments that the reference's masker cuts the text into, and a masked text is written and tokenised as there; its hierarchy, defaults and way to count"

// textParams declares the parameters of hierarchies and of the reference's masker of
// texts.
func textParams() []sdk.Param {
	return []sdk.Param{
		{
			Name: paramHierarchy, Type: sdk.Enum, Default: hierarchyClauses, Values: []string{hierarchyClauses, hierarchySHAP, hierarchyBalanced},
			Compat: map[string]any{compatSHAP: hierarchySHAP},
			Doc:    "clauses: sentences of clauses of words, by the punctuation of every script; shap: the reference's, which knows that of English; balanced: halves of halves",
		},
		{
			Name: paramSegments, Type: sdk.Enum, Default: segmentsOffsets, Values: []string{segmentsOffsets, "tokens"},
			Doc: "compat=shap: the players' texts as the reference reads them from a fast tokenizer (offsets) or a slow one (tokens)",
		},
		{
			Name: paramCollapse, Aliases: []string{"collapse_mask_token"}, Type: sdk.Enum, Default: collapseAuto, Values: []string{collapseAuto, "true", "false"},
			Doc: "compat=shap: one mask for neighbours that are dropped together; auto is true unless the mask is the tokenizer's mask token",
		},
	}
}

// textProblem returns the problem of a method that, under compat=shap, has the
// players of the reference's masker of texts; and what builds their hierarchy.
func textProblem(m sdk.Model, r *sdk.Request) (*problem, func() *tree, error) {
	if r.Params.String(paramCompat) == compatSHAP && ofText(r) {
		s, err := newSegments(m, r)
		if err != nil {
			return nil, nil, err
		}
		g, err := newProblem(s, len(s.text), s.fixed, r, maxPlayers)
		if err == nil && slices.Contains(s.unseen, true) {
			g.unseen = s.unseen
		}
		return g, s.tree, err
	}
	if r.Params.String(paramSegments) != segmentsOffsets || r.Params.String(paramCollapse) != collapseAuto {
		return nil, nil, invalid("segments and collapse need compat=shap and a text: they are of the reference's masker of texts; leave them out")
	}
	units, err := game.New(m, r)
	if err != nil {
		return nil, nil, err
	}
	g, err := newProblem(units, len(units.Players), nil, r, maxPlayers)
	return g, func() *tree { return hierarchy(r.Params.String(paramHierarchy), r, units.Players) }, err
}

// ofText reports whether a request is of a text, and not of token ids.
func ofText(r *sdk.Request) bool { return r.Text != "" || r.TextPair != nil }

// segments are the players of the reference's masker of texts: one a token, special
// ones among them, which take part in every coalition. A coalition is a text, in
// which a mask takes the place of those that do not take part; it is tokenised anew.
type segments struct {
	model    sdk.Model
	text     []string
	fixed    []bool
	unseen   []bool // dropped with a mask in their place, and thought never to be
	units    []sdk.Unit
	mask     string
	collapse bool
	pieces   bool // they are spelled as SentencePiece does
	// separator is the token that keeps texts apart, where there is one.
	separator string
}

// newSegments cuts a text as the reference does.
func newSegments(m sdk.Model, r *sdk.Request) (*segments, error) {
	p := r.Params
	fill, mask := p.String(game.ParamFill), p.String(game.ParamMaskString)
	switch {
	case r.TextPair != nil:
		return nil, sdk.NewError(sdk.EUnsupported, "compat=shap reads one text, as the reference's masker does, and the input is a pair: use compat=none")
	case p.String(game.ParamSpecial) != "keep":
		return nil, invalid("special=replace has no effect with compat=shap, whose special tokens take part in every coalition: leave it out")
	case p.String(game.ParamFillBy) != "unit":
		return nil, invalid("fill_by=token has no effect with compat=shap, which writes and tokenises every text anew: leave it out")
	case game.FillToken(p) >= 0:
		return nil, invalid("fill_token has no effect with compat=shap, which masks texts: use fill=text with mask_string")
	case fill != "auto" && fill != "mask" && fill != "text":
		return nil, invalid("fill=" + fill + " is none that compat=shap knows: use fill=mask, or fill=text with mask_string")
	case fill == "mask" && mask != "":
		return nil, invalid("mask_string has no effect with fill=mask: use fill=text")
	case fill == "mask" && m.Info().MaskToken == "":
		return nil, sdk.NewError(sdk.EUnsupported, "the tokenizer has no mask token: use fill=auto or fill=text")
	}
	s := &segments{model: m, mask: mask}
	if mask == "" && fill != "text" {
		s.mask = m.Info().MaskToken
	}
	s.collapse = s.mask == "" || mask != ""
	if s.mask == "" {
		s.mask = "..."
	}
	if collapse := p.String(paramCollapse); collapse != collapseAuto {
		s.collapse = collapse == "true"
	}
	if s.cut(r, p.String(paramSegments) == "tokens"); len(s.text) == 0 {
		return nil, game.NoUnits()
	}
	return s, nil
}

// cut sets the players. Of a fast tokenizer, the reference has offsets: a segment
// begins where its token does and ends where the next one begins, so that white space
// belongs to the token before it, and special tokens are empty. Of a slow one it has
// the tokens alone, and writes a space before each that begins a word; special tokens
// are empty there too, the one for unknown words among them, but not those that mask
// or, ahead of the last token, keep texts apart.
//
// The reference tells special tokens at the ends from how many an empty text has: half
// of them are before the text, and half behind it. Of XLNet, which has two behind it,
// it keeps the first token of the text, whatever that is, and does not keep the
// separator unless that has a text of its own.
func (s *segments) cut(r *sdk.Request, slow bool) {
	s.pieces = slow && slices.ContainsFunc(r.Tokens, func(t sdk.Token) bool { return strings.Contains(t.Text, "▁") })
	info := s.model.Info()
	before, after := around(r.Tokens)
	for i, t := range r.Tokens {
		text := ""
		inText := t.Start < t.End // and not put around it by the tokenizer
		switch {
		case slow && t.Special && separates(t.Text) && i+1 < len(r.Tokens):
			text = t.Text
			if !s.pieces && i > 0 {
				text = " " + text
			}
		case slow && (!inText && t.Special || slices.Contains(info.SpecialIDs, t.ID) && t.Text != info.MaskToken):
		case slow && s.pieces:
			text = t.Text
			if rest, ok := strings.CutPrefix(text, "_"); ok { // which the reference takes for SentencePiece's mark
				text = " " + rest
			}
		case slow:
			if text = strings.TrimPrefix(t.Text, "##"); text == t.Text && text != "" && i > 0 {
				text = " " + text
			}
		default:
			end := t.End
			if i+1 < len(r.Tokens) {
				end = max(end, r.Tokens[i+1].Start)
			}
			text = r.Text[t.Start:end]
		}
		u := sdk.Unit{Text: t.Text, Tokens: []int{i}}
		if inText {
			u.Text = strings.TrimFunc(r.Text[t.Start:t.End], game.IsSpace)
			u.Spans = []sdk.Span{{Start: t.Start, End: t.End}}
		}
		fixed := t.Fixed || i < before || i >= len(r.Tokens)-after
		separator := t.Special && separates(t.Text)
		if separator {
			s.separator = t.Text
			fixed = fixed || text == t.Text
		}
		s.text, s.fixed, s.units = append(s.text, text), append(s.fixed, fixed), append(s.units, u)
		s.unseen = append(s.unseen, separator && !fixed)
	}
}

// around returns how many tokens the reference keeps at the beginning and the end:
// those that the tokenizer puts there, but half of them at each end where that can be.
func around(tokens []sdk.Token) (before, after int) {
	put := func(t sdk.Token) bool { return t.Start >= t.End && t.Special }
	for before < len(tokens) && put(tokens[before]) {
		before++
	}
	for after < len(tokens)-before && put(tokens[len(tokens)-1-after]) {
		after++
	}
	if all := before + after; all%2 == 0 {
		return all / 2, all / 2
	}
	return before, after
}

// separates reports whether a special token keeps texts apart.
func separates(token string) bool { return token == "[SEP]" || token == "</s>" || token == "<sep>" }

// Forward implements players.
func (s *segments) Forward(ctx context.Context, keep []uint8) (sdk.Reply, error) {
	texts := make([]string, len(keep)/len(s.text))
	for i := range texts {
		texts[i] = s.write(keep[i*len(s.text) : (i+1)*len(s.text)])
	}
	return s.model.Forward(ctx, &sdk.Forward{Texts: texts})
}

// write returns the text of a coalition: white space is made single spaces, and none
// is left at the ends.
func (s *segments) write(keep []uint8) string {
	var b strings.Builder
	masked := false // by the mask before
	for i, k := range keep {
		if k == 1 || s.fixed[i] {
			b.WriteString(s.text[i])
			masked = false
			continue
		}
		if !s.collapse || !masked {
			b.WriteString(" " + s.mask)
		}
		masked = true
	}
	text := b.String()
	if s.pieces {
		text = strings.ReplaceAll(text, "▁", " ")
	}
	return strings.Join(strings.FieldsFunc(text, game.IsSpace), " ")
}

// Explanation implements players.
func (s *segments) Explanation(values, stderr []float64) *sdk.Explanation {
	return &sdk.Explanation{
		Units:        s.units,
		Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: values, Stderr: stderr}},
	}
}

// tree returns the reference's hierarchy of the segments.
func (s *segments) tree() *tree { return mergeTree(mergeTokens(s.text), s.separator) }

// mergeTokens returns the tokens that the reference's hierarchy scores: segments
// without white space around them, marked as a continuation where they begin with
// [A-z] and the segment before them ends in a character of a word.
func mergeTokens(segments []string) []string {
	tokens := make([]string, len(segments))
	for i, s := range segments {
		tokens[i] = strings.TrimFunc(s, game.IsSpace)
		if i > 0 && tokens[i-1] != "" && s != "" && 'A' <= s[0] && s[0] <= 'z' && !endsOutside(segments[i-1]) {
			tokens[i] = "##" + tokens[i]
		}
	}
	return tokens
}

// endsOutside reports whether Python's re matches ^.*\W$: the last character is none
// of a word, or it is a line break after one, and no line breaks come before.
func endsOutside(s string) bool {
	last, n := utf8.DecodeLastRuneInString(s)
	if n == 0 {
		return false
	}
	head := s[:len(s)-n]
	if !game.IsWord(last) && !strings.Contains(head, "\n") {
		return true
	}
	if last != '\n' {
		return false
	}
	last, n = utf8.DecodeLastRuneInString(head)
	return n > 0 && !game.IsWord(last) && !strings.Contains(head[:len(head)-n], "\n")
}

// mergeTree returns the reference's hierarchy: of all neighbours, the first that have
// the best score are joined, again and again. A separator token keeps two texts apart.
func mergeTree(tokens []string, separator string) *tree {
	t := &tree{leaves: len(tokens)}
	balanced := make([]bool, len(tokens))
	groups := make([]group, len(tokens))
	for i, s := range tokens {
		balanced[i] = s != "(" && s != ")"
		groups[i] = group{from: i, until: i + 1, node: i}
	}
	m := merger{tokens, balanced, separator}
	for len(groups) > 1 {
		best, score := 0, math.Inf(-1)
		for i := range len(groups) - 1 {
			if s := m.score(groups[i], groups[i+1]); s > score {
				best, score = i, s
			}
		}
		a, b := groups[best], groups[best+1]
		groups[best] = group{from: a.from, until: b.until, node: t.join(a.node, b.node)}
		groups = append(groups[:best+1], groups[best+2:]...)
		if tokens[a.from] == "(" && tokens[b.until-1] == ")" {
			balanced[a.from], balanced[b.until-1] = true, true
		}
	}
	return t
}

// group is a stretch of tokens that a node of the tree has.
type group struct{ from, until, node int }

func (g group) size() int { return g.until - g.from }

// merger scores the joining of groups as the reference does.
type merger struct {
	tokens    []string
	balanced  []bool
	separator string
}

func (m merger) score(a, b group) float64 {
	start, before := m.tokens[a.from], m.tokens[a.until-1]
	after, end := m.tokens[b.from], m.tokens[b.until-1]
	score := 0.0
	if m.separator != "" && before == m.separator && after == m.separator {
		return math.Inf(-1)
	}
	if strings.HasPrefix(after, "##") {
		score += 20
	}
	ending := func(s string) bool { return s == "t" || s == "s" }
	if after == "'" && (b.size() == 1 || b.size() == 2 && ending(m.tokens[b.from+1])) {
		score += 15
	}
	if before == "'" && ending(after) {
		score += 15
	}
	control := func(s string) bool { return strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") }
	if control(start) != control(end) {
		score -= 1000
	}
	if after == "(" && !m.balanced[b.from] {
		score -= 100
	}
	if before == ")" && !m.balanced[a.until-1] {
		score -= 100
	}
	if start == "(" {
		score -= 2
	}
	connects := func(s string) bool { return s == "but" || s == "and" || s == "or" }
	if connects(before) || connects(after) {
		score -= 2
	}
	reach := func(held bool, cost float64) {
		if held && b.size() > 1 {
			score -= cost
		} else if held {
			score--
		}
	}
	if before == "," {
		score -= 10
	}
	reach(after == ",", 10)
	final := func(s string) bool { return s == "." || s == "?" || s == "!" }
	if final(before) {
		score -= 20
	}
	reach(final(after), 20)
	return score - float64(a.size()+b.size())
}
