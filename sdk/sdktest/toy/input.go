package toy

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
)

// The policies that cut a text into units.
const (
	UnitsToken    = "token"
	UnitsWord     = "word"
	UnitsSentence = "sentence"
)

// Input is what is to be explained, and how. The zero value of every field but
// Text or IDs stands for the default.
type Input struct {
	Text     string
	TextPair *string
	IDs      []int32    // raw token ids, special ones included, in the place of a text
	Units    string     // UnitsToken, UnitsWord or UnitsSentence; words
	Target   string     // an expression; the class with the largest logit
	Output   sdk.Output // Prob
	Seed     uint64
	Params   sdk.Params
}

// Open returns a session on the input: the model as a method sees it in its
// explanation, and the request that the method gets. A text of which nothing is
// left is no error here; it has no units.
func (m *Model) Open(in Input) (*Session, error) {
	s := &Session{model: m, known: make(map[digest][]float64)}
	s.request = sdk.Request{Text: in.Text, Seed: in.Seed, Params: in.Params}
	switch {
	case in.IDs != nil && (in.Text != "" || in.TextPair != nil):
		return nil, invalid("an input is a text or token ids, not both")
	case in.IDs != nil:
		if err := m.readable("the input", in.IDs); err != nil {
			return nil, err
		}
		s.raw, s.byToken = true, true
		s.base.ids = slices.Clone(in.IDs)
		for i, id := range in.IDs {
			t := sdk.Token{ID: id, Text: m.tokenizer.spell(id), Special: special(id)}
			s.request.Tokens = append(s.request.Tokens, t)
			if !t.Special {
				s.request.Units = append(s.request.Units, sdk.Unit{Text: t.Text, Tokens: []int{i}})
			}
		}
	default:
		if err := s.openText(in); err != nil {
			return nil, err
		}
	}
	s.target = target{output: sdk.Prob, minus: -1}
	logits := run(m.network, s.base, nil, nil).logits
	expr := in.Target
	if expr == "" {
		expr = strconv.Itoa(argmax(logits))
	}
	var err error
	if s.target, err = parseTarget(expr, in.Output, m.info.Labels); err != nil {
		return nil, err
	}
	s.request.Target = s.target.describe(m.info.Labels, logits)
	return s, nil
}

// openText cuts the texts into tokens and units.
func (s *Session) openText(in Input) error {
	texts := []string{in.Text}
	if in.TextPair != nil {
		texts = append(texts, *in.TextPair)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return invalid("the text is not UTF-8")
		}
	}
	s.base, s.request.Tokens = s.model.encode(texts)
	// What was cut off is no part of the request.
	for i := range texts {
		end := len(texts[i])
		if s.model.cuts(texts) {
			end = 0
			for _, t := range s.request.Tokens {
				if t.Sequence == i {
					end = max(end, t.End)
				}
			}
		}
		texts[i] = texts[i][:end]
	}
	s.texts = texts
	s.request.Text = texts[0]
	if len(texts) == 2 {
		s.request.TextPair = &texts[1]
	}
	switch in.Units {
	case UnitsToken, UnitsWord, UnitsSentence, "":
	default:
		return invalid("the units " + strconv.Quote(in.Units) + " are neither token, word nor sentence")
	}
	s.byToken = in.Units == UnitsToken
	s.request.Units = units(in.Units, texts, s.request.Tokens)
	return nil
}

// readable checks that ids are of the vocabulary, some, and not too many.
func (m *Model) readable(name string, ids []int32) error {
	if len(ids) == 0 {
		return invalid(name + " holds no token")
	}
	if m.positions > 0 && len(ids) > m.positions {
		return outside(name + " has " + strconv.Itoa(len(ids)) + " tokens, and the model reads " + strconv.Itoa(m.positions))
	}
	for i, id := range ids {
		if id < 0 || int(id) >= m.network.vocabulary() {
			return outside("token " + strconv.Itoa(i) + " of " + name + " is " + strconv.Itoa(int(id)) + ", and the vocabulary has " + strconv.Itoa(m.network.vocabulary()))
		}
	}
	return nil
}

// encode returns the tokens of texts, special ones included: [CLS] a [SEP], or
// [CLS] a [SEP] b [SEP]. Of texts that are too long it cuts the end off, of the
// longer one first.
func (m *Model) encode(texts []string) (row, []sdk.Token) {
	parts := m.parts(texts)
	r := row{}
	var tokens []sdk.Token
	add := func(t sdk.Token, sequence int) {
		tokens = append(tokens, t)
		r.ids = append(r.ids, t.ID)
		if len(texts) > 1 {
			r.types = append(r.types, uint8(sequence))
		}
	}
	mark := func(id int32, sequence int) {
		add(sdk.Token{ID: id, Text: specials[id], Special: true}, sequence)
	}
	mark(clsID, 0)
	for i, part := range parts {
		for _, t := range part {
			add(t, i)
		}
		mark(sepID, i)
	}
	return r, tokens
}

// parts returns the tokens of each text, as many as the model reads.
func (m *Model) parts(texts []string) [][]sdk.Token {
	var parts [][]sdk.Token
	total := 1 + len(texts)
	for i, text := range texts {
		parts = append(parts, m.tokenizer.tokens(text, i))
		total += len(parts[i])
	}
	if over := total - m.positions; m.positions > 0 && over > 0 {
		long, short := &parts[0], &parts[len(parts)-1]
		for ; over > 0; over-- {
			if len(*short) > len(*long) {
				long, short = short, long
			}
			*long = (*long)[:len(*long)-1]
		}
	}
	return parts
}

// cuts reports whether texts are longer than the model reads.
func (m *Model) cuts(texts []string) bool {
	total := 1 + len(texts)
	for i, text := range texts {
		total += len(m.tokenizer.tokens(text, i))
	}
	return m.positions > 0 && total > m.positions
}

// units partitions the tokens that are not special.
func units(policy string, texts []string, tokens []sdk.Token) []sdk.Unit {
	var out []sdk.Unit
	ended := false // a sentence, unless signs follow
	for i, t := range tokens {
		if t.Special {
			continue
		}
		fresh := tokens[i-1].Special
		switch policy {
		case UnitsToken:
			fresh = true
		case UnitsSentence:
			sign, _ := utf8.DecodeRuneInString(t.Text)
			fresh = fresh || ended && !unicode.IsPunct(sign)
			ended = strings.ContainsAny(t.Text, ".!?。！？") || ended && !fresh
		default:
			fresh = fresh || !strings.HasPrefix(t.Text, continued)
		}
		if fresh {
			out = append(out, sdk.Unit{Spans: []sdk.Span{{Sequence: t.Sequence, Start: t.Start}}})
		}
		u := &out[len(out)-1]
		u.Tokens = append(u.Tokens, i)
		u.Spans[0].End = t.End
		u.Text = texts[t.Sequence][u.Spans[0].Start:t.End]
	}
	return out
}
