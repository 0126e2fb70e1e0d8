package core

import (
	"cmp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
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
	kept    []string    // the texts up to where truncation cut them, blank before where it did
	from    []int       // where in each text begins what truncation left
	tokens  []sdk.Token // special tokens included
	dropped []sdk.Token // what truncation cut
	row     row
}

// textBytes is the memory that a byte of a text may take while it is tokenised: with
// a token for each, the most that was measured is 247.
const textBytes = 256

// texts returns the texts of an input. They are refused where they are not UTF-8,
// and where a budget of memory does not suffice to tokenise them.
func (in Input) texts(memory int64) ([]string, error) {
	texts := []string{in.Text}
	if in.Pair != nil {
		texts = append(texts, *in.Pair)
	}
	need := int64(0)
	for _, text := range texts {
		need += int64(len(text)) * textBytes
	}
	if need > memory {
		return nil, input("the text", &engine.MemoryError{What: "its tokens", Need: need, Budget: memory}, "")
	}
	for _, text := range texts {
		if at := invalidUTF8(text); at >= 0 {
			return nil, &Error{Kind: KindInput, Msg: "the text is not valid UTF-8 at byte " + strconv.Itoa(at), Hint: "convert it, for example with iconv -f LATIN1 -t UTF-8"}
		}
	}
	return texts, nil
}

// Encode tokenises the texts of an input, however many tokens they have.
func (h *Host) Encode(t *tokenizer.Tokenizer, in Input) (*tokenizer.Encoding, error) {
	if _, err := in.texts(cmp.Or(h.options.Memory, engine.DefaultMemory)); err != nil {
		return nil, err
	}
	enc, err := t.Encode(in.Text, tokenizer.Options{Pair: in.Pair})
	return enc, input("the text", err, "")
}

// encode tokenises an input, with the special tokens around it.
func (m *Model) encode(in Input) (*encoded, error) { return m.encodeAs(in, false) }

// encodeAs tokenises an input; explained has it done as explain needs it.
func (m *Model) encodeAs(in Input, explained bool) (*encoded, error) {
	if in.Raw != nil {
		return m.encodeRaw(in.Raw)
	}
	if m.tokenizer == nil {
		return nil, &Error{Kind: KindInput, Msg: "the model " + m.id + " has no tokenizer, so it reads no text", Hint: "put tokenizer.json or vocab.txt into its folder, or give token ids with --inputs"}
	}
	texts, err := in.texts(m.memory)
	if err != nil {
		return nil, err
	}
	e := &encoded{texts: texts}
	o := m.encoding(in.Pair, 0)
	o.NoSpecial = o.NoSpecial && explained
	enc, err := m.tokenizer.Encode(in.Text, o)
	if err != nil {
		return nil, input("the text", err, "")
	}
	if len(enc.Tokens) == 0 { // no text, and a tokenizer that adds no special tokens
		id, ok := m.tokenizer.BosID()
		if !ok {
			return nil, &Error{Kind: KindInput, Msg: "the text has no tokens, and the model needs one to begin with", Hint: "give a text"}
		}
		text, _ := m.tokenizer.Token(id)
		enc.Tokens = []tokenizer.Token{{ID: id, Text: text, Word: -1, Special: true}}
	}
	e.tokens = tokens(enc.Tokens)
	e.dropped = tokens(enc.Dropped)
	e.row = rowOf(enc)
	for s, text := range e.texts {
		from, to := keptBytes(text, s, e)
		e.kept = append(e.kept, strings.Repeat(" ", from)+text[from:to])
		e.from = append(e.from, from)
	}
	return e, nil
}

// keptBytes is how much of a text truncation left: all of it, or from the end of
// the last token that it cut before the others, and to the end of the last one
// that it did not cut.
func keptBytes(text string, sequence int, e *encoded) (from, to int) {
	first, last := len(text), 0
	for _, t := range e.tokens {
		if t.Sequence == sequence && !t.Special {
			first, last = min(first, t.Start), max(last, t.End)
		}
	}
	to = len(text)
	for _, t := range e.dropped {
		switch {
		case t.Sequence != sequence:
		case t.Start < first && last > 0:
			from = min(max(from, t.End), first)
		default:
			to = last
		}
	}
	return from, to
}

// units partitions the tokens into units, of which none reaches into what
// truncation cut before them.
func (e *encoded) units(policy string) []sdk.Unit {
	units := makeUnits(policy, e.kept, e.tokens)
	for i := range units {
		if span := &units[i].Spans[0]; span.Start < e.from[span.Sequence] {
			span.Start = e.from[span.Sequence]
			units[i].Text = e.kept[span.Sequence][span.Start:span.End]
		}
	}
	return units
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

// explainable refuses what has nothing to explain.
func (m *Model) explainable(in Input) error {
	if raw := in.Raw; raw != nil {
		if (streams{raw.Targets, raw.Hidden, raw.Memory, raw.Memories}).given() {
			return &Error{Kind: KindInput, Msg: "methods explain plain rows of tokens, and this one has perm_mask, target_mapping or mems", Hint: "leave them out"}
		}
		return nil
	}
	if m.engine.Info().Task == arch.QuestionAnswering && in.Pair == nil {
		return m.noContext()
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
