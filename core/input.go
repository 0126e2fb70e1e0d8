package core

import (
	"context"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

// Input is one input: a text, perhaps with a second one, or raw token ids.
type Input struct {
	Text string
	Pair *string
	Raw  *Raw // takes the place of the texts
}

// encoded is an input as the model reads it.
type encoded struct {
	raw     bool
	texts   []string    // the original texts: one, or two of a pair
	kept    []string    // the texts up to where truncation cut them
	tokens  []sdk.Token // special tokens included
	dropped []sdk.Token // what truncation cut
	row     row
}

// encode tokenises an input.
func (m *Model) encode(in Input) (*encoded, error) {
	if in.Raw != nil {
		return m.encodeRaw(in.Raw)
	}
	if m.tokenizer == nil {
		return nil, &Error{Kind: KindInput, Msg: "the model " + m.id + " has no tokenizer, so it reads no text", Hint: "put tokenizer.json or vocab.txt into its folder, or give token ids with --inputs"}
	}
	e := &encoded{texts: []string{in.Text}}
	if in.Pair != nil {
		e.texts = append(e.texts, *in.Pair)
	}
	for _, text := range e.texts {
		if at := invalidUTF8(text); at >= 0 {
			return nil, &Error{Kind: KindInput, Msg: "the text is not valid UTF-8 at byte " + strconv.Itoa(at), Hint: "convert it, for example with iconv -f LATIN1 -t UTF-8"}
		}
	}
	enc, err := m.tokenizer.Encode(in.Text, tokenizer.Options{Pair: in.Pair, MaxLength: m.maxTokens()})
	if err != nil {
		return nil, input("the text", err, "")
	}
	e.tokens = tokens(enc.Tokens)
	e.dropped = tokens(enc.Dropped)
	e.row = rowOf(enc, in.Pair != nil)
	for s, text := range e.texts {
		e.kept = append(e.kept, text[:keptBytes(text, s, e)])
	}
	return e, nil
}

// keptBytes is how much of a text truncation left: all of it, or up to the end
// of its last token.
func keptBytes(text string, sequence int, e *encoded) int {
	cut := len(text)
	for _, t := range e.dropped {
		if t.Sequence == sequence {
			cut = 0
			break
		}
	}
	if cut > 0 {
		return cut
	}
	for _, t := range e.tokens {
		if t.Sequence == sequence && !t.Special {
			cut = max(cut, t.End)
		}
	}
	return cut
}

// tokens converts the tokenizer's tokens to the vocabulary of methods.
func tokens(in []tokenizer.Token) []sdk.Token {
	out := make([]sdk.Token, len(in))
	for i, t := range in {
		out[i] = sdk.Token{
			ID: t.ID, Text: t.Text, Sequence: t.Sequence,
			Start: t.Start, End: t.End, RuneStart: t.RuneStart, RuneEnd: t.RuneEnd,
			Special: t.Special,
		}
	}
	return out
}

// invalidUTF8 returns where the text stops being UTF-8, −1 where it never does.
func invalidUTF8(text string) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// explainable refuses texts that hold nothing to explain.
func explainable(in Input) error {
	if in.Raw != nil {
		return nil
	}
	text := in.Text
	if in.Pair != nil {
		text += *in.Pair
	}
	if text == "" {
		return &Error{Kind: KindInput, Msg: "the text is empty", Hint: "give a text as an argument, with --file, or on standard input"}
	}
	nothing := strings.IndexFunc(text, func(r rune) bool {
		return !unicode.IsSpace(r) && !unicode.Is(unicode.C, r)
	}) < 0
	if nothing {
		return &Error{Kind: KindInput, Msg: "the text holds only spaces and control characters", Hint: "give a text with at least one word"}
	}
	return nil
}

// Prediction is a model's output on a batch of inputs.
type Prediction struct {
	Labels []string       // the model's classes
	Kind   string         // "classification", "multi-label" or "regression"
	Rows   []PredictedRow // one an input
}

// PredictedRow is a model's output on one input.
type PredictedRow struct {
	Logits  []float64
	Probs   []float64 // nil for a regression
	Class   int       // the largest logit
	Tokens  []sdk.Token
	Dropped []sdk.Token // what truncation cut
}

// Predict runs the model on each input.
func (m *Model) Predict(ctx context.Context, inputs []Input) (*Prediction, error) {
	p := &Prediction{Labels: m.labels, Kind: [...]string{"classification", "multi-label", "regression"}[m.head]}
	var rows []row
	for _, in := range inputs {
		e, err := m.encode(in)
		if err != nil {
			return nil, err
		}
		rows = append(rows, e.row)
		p.Rows = append(p.Rows, PredictedRow{Tokens: e.tokens, Dropped: e.dropped})
	}
	logits, err := m.run(ctx, rows, nil)
	if err != nil {
		return nil, err
	}
	for i, l := range logits {
		p.Rows[i].Logits = l
		p.Rows[i].Class = argmax(l)
		if m.head != regression {
			p.Rows[i].Probs = probs(l, m.head)
		}
	}
	return p, nil
}
