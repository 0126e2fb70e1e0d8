package gradient

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// The parameters of baselines.
const (
	paramBaseline = "baseline"
	paramToken    = "baseline_token"
	paramText     = "baseline_text"
)

// The baselines.
const (
	baseAuto    = "auto"
	baseZero    = "zero"
	basePad     = "pad"
	baseMask    = "mask"
	baseAverage = "average"
	baseToken   = "token"
	baseText    = "text"
	// baseVocabulary is another row of random tokens for each sample, in a method
	// that has samples.
	baseVocabulary = "vocabulary"
)

// fills are the policies by which the host puts a baseline in the place of tokens.
var fills = map[string]sdk.FillKind{
	baseZero: sdk.FillZero, basePad: sdk.FillPad, baseMask: sdk.FillMask, baseAverage: sdk.FillAverage, baseToken: sdk.FillToken, baseText: sdk.FillText,
}

// baselineParams declares the token and the text of a baseline.
func baselineParams(text string) []sdk.Param {
	return []sdk.Param{
		{
			Name: paramToken, Type: sdk.Int, Default: int64(-1), Min: sdk.Bound(-1), Max: sdk.Bound(1<<31 - 1),
			Doc: "the id of the token of baseline=token; -1 is none",
		},
		{Name: paramText, Type: sdk.String, Default: "", Doc: text},
	}
}

// paramMultiply is the parameter of methods that go a path.
const paramMultiply = "multiply"

// multiply declares it.
func multiply() sdk.Param {
	return sdk.Param{
		Name: paramMultiply, Aliases: []string{"multiply_by_inputs"}, Type: sdk.Bool, Default: true,
		Doc: "multiply the mean gradient of each component by what lies between the baseline and the input; false: return that mean itself, a slope, whose values do not add up to value - baseline",
	}
}

// kinds returns the baselines of a request, several where a comma separates their
// names. What no baseline would read is refused.
func kinds(p sdk.Params, several bool, automatic ...string) ([]string, error) {
	names := []string{p.String(paramBaseline)}
	if several {
		names = strings.Split(names[0], ",")
	}
	for i, name := range names {
		if names[i] = strings.TrimSpace(name); names[i] == "0" {
			names[i] = baseZero
		}
	}
	if slices.Equal(names, []string{baseAuto}) {
		names = nil
		if p.String(paramText) != "" {
			names = append(names, baseText)
		}
		if p.Int(paramToken) >= 0 {
			names = append(names, baseToken)
		}
		if names == nil {
			names = automatic
		}
		if len(names) > 1 && !several {
			return nil, invalid("baseline_text and baseline_token exclude each other: give one of them, or baseline=text or token")
		}
	}
	for i, name := range names {
		_, known := fills[name]
		known = known || several && name == baseVocabulary
		switch {
		case !known: // auto beside others, or no name at all; an enum has no such values
			return nil, invalid("baseline=" + p.String(paramBaseline) + " names no baseline with " + strconv.Quote(name) + ": write auto, or some of zero, pad, mask, average, token, text and vocabulary, separated by commas")
		case slices.Contains(names[:i], name):
			return nil, invalid("baseline names " + name + " twice")
		}
	}
	text, token := slices.Contains(names, baseText), slices.Contains(names, baseToken)
	switch {
	case text && p.String(paramText) == "":
		return nil, invalid("baseline=text needs a text: give baseline_text")
	case token && p.Int(paramToken) < 0:
		return nil, invalid("baseline=token needs the id of a token: give baseline_token")
	case !text && p.String(paramText) != "":
		return nil, invalid("baseline_text has no effect with baseline=" + p.String(paramBaseline) + ": use baseline=text")
	case !token && p.Int(paramToken) >= 0:
		return nil, invalid("baseline_token has no effect with baseline=" + p.String(paramBaseline) + ": use baseline=token")
	}
	return names, nil
}

// zeroOr returns the baseline of zero vectors, or the average where the model has a
// jump there. Where nothing is added to the word embeddings ahead of the first layer
// norm, as in XLNet, shrinking them all changes nothing until they are zero, and then
// everything: no rule integrates over that.
func zeroOr(m sdk.ModelInfo) string {
	if m.Architecture == "xlnet" {
		return baseAverage
	}
	return baseZero
}

// baseline is a field to compare the input's with.
type baseline struct {
	values []float64
	output float64 // the target's value
}

// baselines returns those of a kind: one, or one for each line of the text where
// several are asked for.
func (f *field) baselines(ctx context.Context, kind string, several bool) ([]baseline, error) {
	p := f.request.Params
	fill := sdk.Fill{Kind: fills[kind]}
	texts := []string{""}
	switch {
	case kind == baseToken:
		if err := game.CheckToken(paramToken, p.Int(paramToken), f.model.Info()); err != nil {
			return nil, err
		}
		fill.Token = int32(p.Int(paramToken))
	case kind == baseText && several:
		texts = strings.FieldsFunc(p.String(paramText), func(c rune) bool { return c == '\n' || c == '\r' })
		if len(texts) == 0 {
			return nil, invalid("baseline_text holds empty lines alone: give a text, or several, one a line")
		}
	case kind == baseText:
		texts = []string{p.String(paramText)}
	}
	var all []baseline
	for _, text := range texts {
		words, width, err := []float64(nil), 0, error(nil)
		if kind == baseText {
			words, width, err = f.text(ctx, text, several)
		} else {
			words, width, err = f.filled(ctx, kind, fill)
		}
		if err != nil {
			return nil, err
		}
		b, err := f.baselineOf(ctx, words, width)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// filled returns word embeddings with the fill in the place of every token, but
// of those that are kept.
func (f *field) filled(ctx context.Context, kind string, fill sdk.Fill) (words []float64, width int, err error) {
	reply, err := f.model.Forward(ctx, &sdk.Forward{Masks: f.mask(0), Fill: fill, Points: []string{embeddings}})
	if errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) && kind != baseZero && kind != baseText {
		return nil, 0, sdk.NewError(sdk.EUnsupported, "baseline="+kind+" is not to be had for this model and input: use baseline=zero")
	}
	if err != nil {
		return nil, 0, err
	}
	if words, width, err = f.words(reply, f.tokens); err != nil || f.request.Params.String(paramSpecial) == "keep" {
		return words, width, err
	}
	// What took a token's place is the same at every place.
	source := slices.IndexFunc(f.request.Tokens, func(t sdk.Token) bool { return !t.Special && !t.Fixed })
	if source < 0 && kind != baseZero {
		return nil, 0, invalid("the input has special tokens alone, so that no other can take their places: use baseline=zero")
	}
	for i, t := range f.request.Tokens {
		switch at := words[i*width : (i+1)*width]; {
		case !t.Special || t.Fixed:
		case kind == baseZero:
			clear(at)
		default:
			copy(at, words[source*width:(source+1)*width])
		}
	}
	return words, width, nil
}

// text returns the word embeddings of a text, position by position, or those of
// its only token at every position. With fitted, a text of any other length is cut,
// or padded.
func (f *field) text(ctx context.Context, text string, fitted bool) (words []float64, width int, err error) {
	reply, err := f.model.Forward(ctx, &sdk.Forward{Texts: []string{text}, Points: []string{embeddings}})
	if err != nil {
		return nil, 0, err
	}
	t, err := reply.Tensor(embeddings, 0)
	if err != nil {
		return nil, 0, err
	}
	if len(t.Shape) != 3 {
		return nil, 0, sdk.NewError(sdk.EInternal, "the host's word embeddings are no array of rows, tokens and components")
	}
	if count := t.Shape[1]; count != f.tokens {
		words, width, err := f.filled(ctx, baseText, sdk.Fill{Kind: sdk.FillText, Text: text})
		if errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) && fitted {
			return f.fitted(ctx, text)
		}
		if errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
			return nil, 0, invalid("the baseline " + strconv.Quote(text) + " has " + strconv.Itoa(count) + " tokens and the input " + strconv.Itoa(f.tokens) +
				", special ones included: give a text of as many, or of one token, which stands at every position")
		}
		return words, width, err
	}
	if words, width, err = f.words(reply, f.tokens); err != nil {
		return nil, 0, err
	}
	kept, _, err := f.filled(ctx, baseZero, sdk.Fill{Kind: sdk.FillZero})
	if err != nil {
		return nil, 0, err
	}
	for i, t := range f.request.Tokens {
		if t.Fixed || t.Special && f.request.Params.String(paramSpecial) == "keep" {
			copy(words[i*width:(i+1)*width], kept[i*width:(i+1)*width])
		}
	}
	return words, width, nil
}

// tokenIDs is the point of the ids of a row's tokens.
const tokenIDs = "hook_tokens"

// fitted returns the word embeddings of a text's tokens, special ones aside, at the
// places of the input's that are changed, from the first on. Places that are left
// have the padding token, or zero vectors where there is none.
func (f *field) fitted(ctx context.Context, text string) (words []float64, width int, err error) {
	words, width, err = f.filled(ctx, basePad, sdk.Fill{Kind: sdk.FillPad})
	if errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
		words, width, err = f.filled(ctx, baseZero, sdk.Fill{Kind: sdk.FillZero})
	}
	if err != nil {
		return nil, 0, err
	}
	reply, err := f.model.Forward(ctx, &sdk.Forward{Texts: []string{text}, Points: []string{embeddings, tokenIDs}})
	if err != nil {
		return nil, 0, err
	}
	t, err := reply.Tensor(tokenIDs, 0)
	if err != nil {
		return nil, 0, err
	}
	ids, err := sdk.Values[int64](t)
	if err != nil {
		return nil, 0, err
	}
	source, _, err := f.words(reply, len(ids)) // all tokens of the row
	if err != nil {
		return nil, 0, err
	}
	special := f.model.Info().SpecialIDs
	if r := f.request; r.Text != "" || r.TextPair != nil { // the text goes on as the request's does
		for i := f.tokens - 1; i >= 0 && r.Tokens[i].Fixed && len(ids) > 0; i-- {
			ids = ids[:len(ids)-1]
		}
	}
	at := 0
	for i, id := range ids {
		if slices.Contains(special, int32(id)) {
			continue
		}
		for at < f.tokens && (!f.changed(at) || f.request.Tokens[at].Special) {
			at++
		}
		if at == f.tokens {
			break
		}
		copy(words[at*width:(at+1)*width], source[i*width:(i+1)*width])
		at++
	}
	return words, width, nil
}

// drawn returns n baselines of tokens that are drawn from the whole vocabulary but
// its special ones, in the place of each token that is changed.
func (f *field) drawn(ctx context.Context, random *num.MT19937, n int) ([]baseline, error) {
	info := f.model.Info()
	if info.Vocabulary <= len(info.SpecialIDs) {
		return nil, sdk.NewError(sdk.EUnsupported, "the host does not say how many tokens the vocabulary has: use other baselines than vocabulary")
	}
	rows := make([][]int32, n)
	for i := range rows {
		rows[i] = make([]int32, f.tokens)
		for j, t := range f.request.Tokens {
			if t.ID < 0 {
				return nil, sdk.NewError(sdk.EUnsupported, "the input is embeddings and no tokens: use other baselines than vocabulary")
			}
			rows[i][j] = t.ID
			if f.changed(j) {
				id := int32(random.RandInt(0, int64(info.Vocabulary-len(info.SpecialIDs)), 1)[0])
				for _, s := range info.SpecialIDs { // ascending
					if s <= id {
						id++
					}
				}
				rows[i][j] = id
			}
		}
	}
	reply, err := f.model.Forward(ctx, &sdk.Forward{IDs: rows, Points: []string{embeddings}})
	if err != nil {
		return nil, err
	}
	t, err := reply.Tensor(embeddings, 0)
	if err != nil {
		return nil, err
	}
	if len(t.Shape) != 3 || t.Shape[0] != n || t.Shape[1] != f.tokens {
		return nil, sdk.NewError(sdk.EInternal, "the host's word embeddings are not those of the rows that were asked for")
	}
	at := &field{point: embeddings, tokens: f.tokens, width: t.Shape[2]}
	words := make([]float64, n*at.size())
	for i := range n {
		if err := at.row(t, i, words[i*at.size():(i+1)*at.size()]); err != nil {
			return nil, err
		}
	}
	return f.baselinesOf(ctx, words, at.width)
}

// words returns the word embeddings in a reply of one row.
func (f *field) words(reply sdk.Reply, tokens int) ([]float64, int, error) {
	t, err := reply.Tensor(embeddings, 0)
	if err != nil {
		return nil, 0, err
	}
	if len(t.Shape) != 3 || t.Shape[0] != 1 || t.Shape[1] != tokens {
		return nil, 0, sdk.NewError(sdk.EInternal, "the host's word embeddings are not those of the input's tokens")
	}
	if t.Len() > maxCells {
		return nil, 0, tooLong(tokens, t.Shape[2])
	}
	at := &field{point: embeddings, tokens: tokens, width: t.Shape[2]}
	v := make([]float64, at.size())
	return v, at.width, at.row(t, 0, v)
}

// baselineOf is baselinesOf of one row.
func (f *field) baselineOf(ctx context.Context, words []float64, width int) (baseline, error) {
	all, err := f.baselinesOf(ctx, words, width)
	if err != nil {
		return baseline{}, err
	}
	return all[0], nil
}

// baselinesOf returns the field for each row of word embeddings, [rows,tokens,width],
// in the place of the input's, and what the target is with it in the place of the
// input's field. At a point that all of the model's later values go through that is
// the target for those embeddings; at any other, such as the output of one attention
// head, the rest of the model still reads the input.
func (f *field) baselinesOf(ctx context.Context, words []float64, width int) ([]baseline, error) {
	n := len(words) / (f.tokens * width)
	values := words
	spec := f.substitute(embeddings, words, []int{n, f.tokens, width})
	if f.inside {
		spec.Points = []string{f.point}
		reply, err := f.model.Forward(ctx, spec)
		if err != nil {
			return nil, err
		}
		t, err := reply.Tensor(f.point, 0)
		if err != nil {
			return nil, err
		}
		values = make([]float64, n*f.size())
		for i := range n {
			if err := f.row(t, i, values[i*f.size():(i+1)*f.size()]); err != nil {
				return nil, err
			}
		}
		spec = f.forward(values)
	}
	reply, err := f.model.Forward(ctx, spec)
	if err != nil {
		return nil, err
	}
	outputs, err := game.Column(reply, sdk.ReplyTarget, n)
	if err != nil {
		return nil, err
	}
	all := make([]baseline, n)
	for i := range all {
		all[i] = baseline{values: values[i*len(values)/n : (i+1)*len(values)/n], output: outputs[i]}
	}
	return all, nil
}
