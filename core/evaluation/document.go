package evaluation

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

// document is a text as the model reads it: one window, or several of a text
// that is longer than the model reads. Its output is the mean of the windows'
// outputs, weighted by their tokens:
//
//	F(x) = Σ w f(x_w)
//
// so that the values of a method that is linear in the output are w times its
// values on each window. The windows stay as they are cut: a unit that is removed
// lets nothing move from one into another.
type document struct {
	windows []*window
	output  outcome // of the unchanged text
	common  []*common
}

// common is what methods that score the same units share: sets of units that are
// dropped, each unit left out alone, and random orders with what they get. Where
// only units of positive scores count, so does how many these are.
type common struct {
	of       *players
	positive int
	drops    *drops
	alone    []float64
	orders   [][]int
	values   []map[string]float64
}

// asked returns how many rows were asked of the windows, each of which has asked
// for itself first.
func (d *document) asked() int64 {
	rows := len(d.windows)
	for _, w := range d.windows {
		rows += w.Asked()
	}
	return int64(rows)
}

// window is a stretch of a document.
type window struct {
	*core.Variants
	start, end int // bytes of the text
	weight     float64
	input      core.Input
}

// outcome is what the model says of a variant: the value of the target, and the
// probabilities of the classes, nil where there are none.
type outcome struct {
	value float64
	probs []float64
}

// predicted is the class with the largest probability.
func (o outcome) predicted() int {
	best := 0
	for i, p := range o.probs {
		if p > o.probs[best] {
			best = i
		}
	}
	return best
}

// open prepares a text: it cuts it into windows, and settles the target on all of
// them together, which is the class that is most probable on the whole unless one
// is named.
func open(ctx context.Context, m *core.Model, in core.Input, o *Options, target, long string) (*document, error) {
	spans := []Range{{0, len(in.Text)}}
	if in.Raw == nil && in.Pair == nil && long == LongWindows && m.Info().Task == arch.SequenceClassification {
		var err error
		if spans, err = windows(m, in.Text); err != nil {
			return nil, err
		}
	}
	d := &document{}
	tokens := 0
	for _, span := range spans {
		w := &window{start: span.Start, end: span.End, input: in}
		if len(spans) > 1 {
			w.input = core.Input{Text: in.Text[span.Start:span.End]}
		}
		var err error
		if w.Variants, err = m.Variants(ctx, core.Request{Input: w.input, Target: target, Output: o.Output, Units: o.Units}); err != nil {
			return nil, err
		}
		w.weight = float64(len(w.Request().Tokens))
		tokens += len(w.Request().Tokens)
		d.windows = append(d.windows, w)
	}
	for _, w := range d.windows {
		w.weight /= float64(tokens)
	}
	var err error
	if d.output, err = d.whole(ctx); err != nil {
		return nil, err
	}
	if target == "" && len(d.windows) > 1 && d.output.probs != nil { // each window has settled on its own
		return open(ctx, m, in, o, strconv.Itoa(d.output.predicted()), long)
	}
	return d, nil
}

// target describes the target, with its value on the whole text.
func (d *document) target() core.Target {
	t := d.windows[0].Request().Target
	return core.Target{Expr: t.Expr, Kind: t.Kind, Index: t.Index, Label: t.Label, Output: string(t.Output), Value: core.Float(d.output.value)}
}

// whole evaluates the unchanged text.
func (d *document) whole(ctx context.Context) (outcome, error) {
	p := &players{document: d}
	for _, w := range d.windows {
		p.add(w.Request().Units, w)
	}
	out, err := p.evaluate(ctx, 1, func(int) []bool { return p.without() }, sdk.Fill{Kind: sdk.FillDelete})
	if err != nil {
		return outcome{}, err
	}
	return out[0], nil
}

// windows cuts a text into stretches that fit the model: one where all of it
// does. They end with a sentence where sentences fit, with a word where they do
// not.
func windows(m *core.Model, text string) ([]Range, error) {
	tok, limit := m.Tokenizer(), m.MaxTokens()
	if tok == nil || limit == 0 {
		return []Range{{0, len(text)}}, nil
	}
	counts := func(s string) (int, error) {
		e, err := tok.Encode(s, tokenizer.Options{})
		if err != nil {
			return 0, input("the text: "+err.Error(), "")
		}
		return len(e.Tokens), nil
	}
	if n, err := counts(text); err != nil || n <= limit {
		return []Range{{0, len(text)}}, err
	}
	var out []Range
	start, end := 0, 0 // the window under construction
	finish := func() {
		if strings.ContainsFunc(text[start:end], func(r rune) bool { return !unicode.IsSpace(r) && !unicode.Is(unicode.C, r) }) {
			out = append(out, Range{start, end})
		}
		start = end
	}
	// add lengthens the window by a piece, or ends it first, and cuts a piece
	// that fits no window.
	var add func(piece string, words bool) error
	add = func(piece string, words bool) error {
		n, err := counts(text[start : end+len(piece)])
		if err != nil {
			return err
		}
		if n <= limit {
			end += len(piece)
			return nil
		}
		if n, err = counts(piece); err != nil {
			return err
		}
		if n > limit && words {
			return input("a word of the text has "+strconv.Itoa(n)+" tokens, and the model reads "+strconv.Itoa(limit), "evaluate the beginning alone with --long cut")
		}
		if n > limit {
			for state, rest := -1, piece; rest != ""; {
				var word string
				word, rest, state = uniseg.FirstWordInString(rest, state)
				if err := add(word, true); err != nil {
					return err
				}
			}
			return nil
		}
		finish()
		end += len(piece)
		return nil
	}
	for state, rest := -1, text; rest != ""; {
		var sentence string
		sentence, rest, state = uniseg.FirstSentenceInString(rest, state)
		if err := add(sentence, false); err != nil {
			return nil, err
		}
	}
	finish()
	return out, nil
}

// players are units of a document with a score each.
type players struct {
	*document
	units  [][]sdk.Unit // of each window
	own    []bool       // they are not the units of the window's request
	scores []float64
	n      int
}

// add appends the units of the next window.
func (p *players) add(units []sdk.Unit, w *window) {
	p.units, p.own = append(p.units, units), append(p.own, !slices.EqualFunc(units, w.Request().Units, sameUnit))
	p.n += len(units)
}

// sameUnit reports whether two units are the same stretches of the text.
func sameUnit(a, b sdk.Unit) bool {
	return slices.Equal(a.Spans, b.Spans) && slices.Equal(a.Tokens, b.Tokens)
}

// sameUnits reports whether two methods have scored the same units.
func sameUnits(a, b *players) bool {
	return slices.EqualFunc(a.units, b.units, func(x, y []sdk.Unit) bool { return slices.EqualFunc(x, y, sameUnit) })
}

// maxKept bounds what is remembered at once of which units variants have, in bytes, and
// perVariant is what each takes besides its units.
const (
	maxKept    = 4 << 20
	perVariant = 64
)

// evaluate returns what the model says of variants of the document: keep says
// which units the v-th of them has, and is asked for one after the other.
func (p *players) evaluate(ctx context.Context, variants int, keep func(v int) []bool, fill sdk.Fill) ([]outcome, error) {
	out := make([]outcome, 0, variants)
	most := max(1, maxKept/(p.n+perVariant))
	for first := 0; first < variants; first += most {
		kept := make([][]bool, min(most, variants-first))
		for i := range kept {
			kept[i] = keep(first + i)
		}
		some, err := p.together(ctx, kept, fill)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// together evaluates variants at once: keep says which units each of them has. Each
// window is read once for each set of its units.
func (p *players) together(ctx context.Context, keep [][]bool, fill sdk.Fill) ([]outcome, error) {
	out := make([]outcome, len(keep))
	first := 0
	for w, units := range p.units {
		rows, places := distinct(keep, first, len(units))
		first += len(units)
		f := &sdk.Forward{Units: rows, Fill: fill}
		if p.own[w] {
			f.Over = units
		}
		window := p.windows[w]
		answers, err := window.outcomes(ctx, f)
		if err != nil {
			return nil, err
		}
		for v, place := range places {
			answer := answers[place]
			out[v].value += window.weight * answer.value
			if answer.probs != nil && out[v].probs == nil {
				out[v].probs = make([]float64, len(answer.probs))
			}
			for c, x := range answer.probs {
				out[v].probs[c] += window.weight * x
			}
		}
	}
	return out, nil
}

// distinct returns the sets that variants have of n units, from the first on, each once,
// [sets,n]; and which of them each variant has.
func distinct(keep [][]bool, first, n int) (rows *sdk.Tensor, places []int) {
	var all []uint8
	places = make([]int, len(keep))
	known := make(map[string]int)
	for v, kept := range keep {
		row := make([]uint8, n)
		for i := range row {
			if kept[first+i] {
				row[i] = 1
			}
		}
		place, ok := known[string(row)]
		if !ok {
			place = len(known)
			known[string(row)] = place
			all = append(all, row...)
		}
		places[v] = place
	}
	return sdk.NewTensor(all, len(known), n), places
}

// outcomes returns what the model says of the rows that f asks for.
func (w *window) outcomes(ctx context.Context, f *sdk.Forward) ([]outcome, error) {
	reply, err := w.Forward(ctx, f)
	if err != nil {
		return nil, modelError(err)
	}
	values, err := reply.Tensor(sdk.ReplyTarget, 0)
	if err != nil {
		return nil, err
	}
	target, err := sdk.Values[float64](values)
	if err != nil {
		return nil, err
	}
	out := make([]outcome, len(target))
	for i, v := range target {
		out[i].value = v
	}
	classes := len(w.Info().Labels)
	if classes == 0 || w.Request().Target.Kind == sdk.KindRegression {
		return out, nil
	}
	t, err := reply.Tensor(sdk.ReplyProbs, 0)
	if err != nil || len(t.Shape) != 2 || t.Shape[1] != classes {
		return out, nil // of a model that does not classify texts
	}
	probs, err := sdk.Values[float64](t)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].probs = probs[i*classes : (i+1)*classes]
	}
	return out, nil
}
