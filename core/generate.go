package core

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
)

// Generation says how a text is continued; its zero value takes the most
// probable token every time.
type Generation struct {
	Tokens      int     // at most so many, above 0
	Temperature float64 // logits are divided by it; 0 draws nothing at random
	TopK        int     // only the K most probable tokens may be drawn; 0 is no bound
	TopP        float64 // only the most probable ones that together have P; 0 is no bound
	Seed        uint64
	// Text receives the text as it grows, in pieces of whole characters.
	Text func(piece string) error
}

// Generated is a continuation.
type Generated struct {
	Prompt   []Token // what the model read
	IDs      []int32
	Tokens   []string  // as the vocabulary has them
	Text     string    // that the ids stand for, behind the prompt
	LogProbs []float64 // of each token, by the model itself: before temperature and bounds
}

// Generate continues a text, or a row of token ids, with a causal language
// model. It ends early where the model ends its text or has no further position.
func (m *Model) Generate(ctx context.Context, in Input, g Generation) (*Generated, error) {
	if task := m.engine.Info().Task; task != arch.CausalLM {
		return nil, &Error{Kind: KindInput, Msg: "only causal language models generate, and the model " + m.id + " does " + task, Hint: "leave --generate out"}
	}
	e, err := m.encode(in)
	if err != nil {
		return nil, err
	}
	if len(e.dropped) > 0 {
		return nil, m.tooLong(len(e.tokens) + len(e.dropped))
	}
	if r := in.Raw; r != nil && (r.IDs == nil || r.Mask != nil || r.PositionIDs != nil || r.TypeIDs != nil) {
		return nil, &Error{Kind: KindInput, Msg: "a row to continue has input_ids alone", Hint: "leave the other inputs out, and cut padding off"}
	}
	out := &Generated{Prompt: tokenRefs(e.tokens)}
	w := m.grow(e.row.ids, g.Text)
	var stop []int32
	if m.tokenizer != nil {
		if id, ok := m.tokenizer.EosID(); ok {
			stop = append(stop, id)
		}
	}
	result, err := m.engine.Generate(ctx, e.row.ids, engine.Generation{
		MaxTokens: g.Tokens, Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, Stop: stop, Seed: g.Seed,
		OnToken: func(id int32, _ float64) error {
			w.ids = append(w.ids, id)
			return w.emit(false)
		},
	})
	if err != nil {
		return nil, engineError(m.id, err)
	}
	if err := w.emit(true); err != nil {
		return nil, err
	}
	out.IDs, out.LogProbs, out.Text = result.IDs, result.LogProbs, w.text.String()
	for _, id := range out.IDs {
		out.Tokens = append(out.Tokens, m.token(id))
	}
	return out, nil
}

// growing is the text of a row of tokens that grows.
type growing struct {
	model *Model
	ids   []int32
	// The text of ids[:read] is written. What comes before decides whether a
	// token begins with a space, so that new tokens are decoded behind those of
	// the last piece: ids[from:read].
	from, read int
	text       strings.Builder
	write      func(string) error // may be nil
}

func (m *Model) grow(prompt []int32, write func(string) error) *growing {
	return &growing{model: m, ids: slices.Clone(prompt), read: len(prompt), write: write}
}

// emit writes what is new. What ends inside of a character waits for the
// character's end, unless last says that there is none.
func (g *growing) emit(last bool) error {
	if g.model.tokenizer == nil {
		return nil
	}
	join := g.model.tokenizer.Join
	before, all := join(g.ids[g.from:g.read], true), join(g.ids[g.from:], true)
	if len(all) <= len(before) || !last && strings.HasSuffix(all, string(utf8.RuneError)) {
		return nil
	}
	piece := all[len(before):]
	g.from, g.read = g.read, len(g.ids)
	g.text.WriteString(piece)
	if g.write == nil {
		return nil
	}
	return g.write(piece)
}
