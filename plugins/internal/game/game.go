// Package game is what methods share that drop parts of an input: the cooperative
// game whose players are the units of a request, and the parameters that say what
// becomes of a player that does not take part.
package game

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// The names of the parameters that Params declares.
const (
	ParamFill       = "fill"
	ParamMaskString = "mask_string"
	ParamFillToken  = "fill_token"
	ParamFillBy     = "fill_by"
	ParamSpecial    = "special"
)

// The names of the parameters that MaxStderr and TopLabels declare.
const (
	ParamMaxStderr = "max_stderr"
	ParamTopLabels = "top_labels"
)

// MaxTopLabels is how many classes a method explains beside the target at most.
const MaxTopLabels = 1000

// patience is how many times the default of a number of samples are drawn at most where
// max_stderr is asked for.
const patience = 100

// MaxStderr declares the precision at which a method that samples stops, which another
// parameter bounds. Most says how its default does.
func MaxStderr(bound string) sdk.Param {
	return sdk.Param{
		Name: ParamMaxStderr, Type: sdk.Float, Default: 0.0, Min: sdk.Bound(0), Max: sdk.Bound(1e9),
		Doc: "stop as soon as no value has a larger standard error, and at " + bound + " in any case, which by default then is up to " + strconv.Itoa(patience) + " times as many; 0 is never",
	}
}

// Most returns how many samples a method draws at most whose number of samples is the
// default, usual: as many, and a hundred times as many, but no more than limit, where
// max_stderr decides when it stops. Those of a reference are not more than it draws.
func Most(p sdk.Params, usual, limit int) int {
	if p.Float(ParamMaxStderr) == 0 || p.String("compat") != "none" {
		return usual
	}
	return max(usual, min(patience*usual, limit))
}

// TopLabels declares how many classes a method explains beside the target.
func TopLabels() sdk.Param {
	return sdk.Param{
		Name: ParamTopLabels, Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(MaxTopLabels),
		Doc: "explain this many of the most probable classes too, as attributions class.INDEX, from the same evaluations",
	}
}

// auto is the value of ParamFill that leaves the choice to the method.
const auto = "auto"

// Params declares the parameters that New reads.
func Params() []sdk.Param {
	return []sdk.Param{
		{
			Name: ParamFill, Type: sdk.Enum, Default: auto, Values: append(append([]string{auto}, sdk.FillNames...), sdk.FillToken.String()),
			Doc: "what a dropped unit becomes; auto is text where mask_string is given, token where fill_token is, else the mask token, delete where the tokenizer has none, or zero for token ids without a tokenizer and for embeddings; zero, average (the mean word embedding of the vocabulary) and hide (from the attention of all tokens) keep every other token in its place",
		},
		{
			Name: ParamMaskString, Type: sdk.String, Default: "",
			Doc: "the text of fill=text; empty is ...",
		},
		{
			Name: ParamFillToken, Type: sdk.Int, Default: int64(-1), Min: sdk.Bound(-1), Max: sdk.Bound(1<<31 - 1),
			Doc: "the id of the token of fill=token; -1 is none; the tokenizer's own [MASK] or [PAD] is fill=mask or fill=pad",
		},
		{
			Name: ParamFillBy, Type: sdk.Enum, Default: "unit", Values: []string{"unit", "token"},
			Doc: "unit: the fill takes a dropped unit's place in the text, which is tokenised again; token: it takes the place of each of the unit's tokens",
		},
		{
			Name: ParamSpecial, Type: sdk.Enum, Default: "keep", Values: []string{"keep", "replace"},
			Doc: "replace: special tokens such as [CLS] are dropped and attributed to like all others, token by token",
		},
	}
}

// Game is the cooperative game of one explanation: the worth of a coalition of
// players is the target's value with all other players dropped. It belongs to
// that explanation.
type Game struct {
	Players []sdk.Unit

	request *sdk.Request
	model   sdk.Model
	fill    sdk.Fill
	over    []sdk.Unit // as which the host drops the players; nil for the request's units
	own     bool       // the players are not the request's units
}

// New returns the game of a request, whose parameters are those of Params. It is
// an *sdk.Error of code EInvalid where they contradict each other, or where there
// is no player.
func New(m sdk.Model, r *sdk.Request) (*Game, error) {
	fill, err := Fill(r.Params, m.Info(), Automatic(r, m.Info()), "...")
	if err != nil {
		return nil, err
	}
	g := &Game{request: r, model: m, fill: fill}
	g.Players, g.over = Players(r)
	g.own = r.Params.String(ParamSpecial) == "replace"
	if len(g.Players) == 0 {
		return nil, NoUnits()
	}
	return g, nil
}

// Players returns who plays under ParamSpecial and ParamFillBy: the request's
// units, or these with one for each special token, in the order of their tokens.
// over is as which the host drops them, nil where they are the request's units.
func Players(r *sdk.Request) (players, over []sdk.Unit) {
	switch {
	case r.Params.String(ParamSpecial) == "replace":
		players = WithSpecial(r)
		return players, ByToken(players)
	case r.Params.String(ParamFillBy) == "token":
		return r.Units, ByToken(r.Units)
	}
	return r.Units, nil
}

// Over returns the game of other players than the request's units.
func (g *Game) Over(players []sdk.Unit) *Game {
	other := *g
	other.Players, other.over, other.own = players, players, true
	return &other
}

// Tokens returns the game whose players are the tokens, whatever the units of the
// request are: each is dropped in its place.
func (g *Game) Tokens() *Game {
	r := g.request
	if !ofText(r) {
		return g // the units of token ids are the tokens
	}
	special := r.Params.String(ParamSpecial) == "replace"
	var players []sdk.Unit
	for i, t := range r.Tokens {
		if t.Fixed || t.Special && !special {
			continue
		}
		u := sdk.Unit{Text: t.Text, Tokens: []int{i}}
		if t.Start < t.End {
			u.Spans = []sdk.Span{{Sequence: t.Sequence, Start: t.Start, End: t.End}}
		}
		players = append(players, u)
	}
	other := g.Over(players)
	other.over = ByToken(players)
	return other
}

// Empties reports whether a coalition of nobody may be no token at all, which some
// models cannot read: those who do not take part are deleted, and every token plays, or
// the input is token ids, of which the host may not count those that it added itself.
func (g *Game) Empties() bool {
	fixed := func(t sdk.Token) bool { return t.Fixed }
	all := g.own && !slices.ContainsFunc(g.request.Tokens, fixed)
	return g.fill.Kind == sdk.FillDelete && (all || !ofText(g.request))
}

// ByToken returns the units without their spans, which the host drops token by
// token.
func ByToken(units []sdk.Unit) []sdk.Unit {
	bare := make([]sdk.Unit, len(units))
	for i, u := range units {
		bare[i] = sdk.Unit{Text: u.Text, Tokens: u.Tokens}
	}
	return bare
}

// WithSpecial returns the units of a request, in the order of their tokens, with
// one for each special token, which has no span.
func WithSpecial(r *sdk.Request) []sdk.Unit {
	first := make(map[int]sdk.Unit, len(r.Units))
	for _, u := range r.Units {
		if len(u.Tokens) > 0 {
			first[u.Tokens[0]] = u
		}
	}
	var players []sdk.Unit
	for i, t := range r.Tokens {
		if u, ok := first[i]; ok {
			players = append(players, u)
		} else if t.Special && !t.Fixed {
			players = append(players, sdk.Unit{Text: t.Text, Tokens: []int{i}})
		}
	}
	return players
}

// Worth returns the worth of n coalitions. keep is row-major [n,len(Players)]: 1
// for a player that takes part, 0 for one that does not. Equal coalitions cost one
// evaluation.
func (g *Game) Worth(ctx context.Context, keep []uint8) ([]float64, error) {
	reply, err := g.Forward(ctx, keep)
	if err != nil {
		return nil, err
	}
	return Column(reply, sdk.ReplyTarget, len(keep)/len(g.Players))
}

// Forward is Worth with all that the model says of the coalitions.
func (g *Game) Forward(ctx context.Context, keep []uint8) (sdk.Reply, error) {
	n := len(keep) / len(g.Players)
	return g.model.Forward(ctx, &sdk.Forward{Units: sdk.NewTensor(keep, n, len(g.Players)), Over: g.over, Fill: g.fill})
}

// Column returns a tensor [n] of a reply in float64. Its errors are those of Rows.
func Column(reply sdk.Reply, name string, n int) ([]float64, error) {
	v, count, err := Rows(reply, name, n)
	if err == nil && count != 1 {
		err = otherRows(name, n)
	}
	return v, err
}

// Classes returns the outputs of all classes on the target's scale, [n,count]. It is
// an *sdk.Error of code EInvalid for a regression, which has none; other errors are
// those of Rows.
func Classes(reply sdk.Reply, target sdk.Target, n int) (values []float64, count int, err error) {
	name := sdk.ReplyProbs
	switch {
	case target.Kind == sdk.KindRegression:
		return nil, 0, sdk.NewError(sdk.EInvalid, "top_labels needs a classifier and the target is a regression: leave it out")
	case target.Output == sdk.Logit:
		name = sdk.ReplyLogits
	case target.Output == sdk.LogProb:
		name = sdk.ReplyLogProbs
	}
	return Rows(reply, name, n)
}

// Rows returns a tensor of a reply to n variants in float64, [n,count]. It is an
// *sdk.Error of code EInvalid where one of them is no finite number.
func Rows(reply sdk.Reply, name string, n int) (values []float64, count int, err error) {
	t, err := reply.Tensor(name, 0)
	if err != nil {
		return nil, 0, err
	}
	if values, err = sdk.Values[float64](t); err != nil {
		return nil, 0, err
	}
	if len(t.Shape) == 0 || t.Shape[0] != n || n == 0 || len(values) == 0 {
		return nil, 0, otherRows(name, n)
	}
	for _, x := range values {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, 0, sdk.NewError(sdk.EInvalid, "the model's output on a variant of the input is not a finite number: try --output logit, or another fill or baseline")
		}
	}
	return values, len(values) / n, nil
}

func otherRows(name string, n int) error {
	return sdk.NewError(sdk.EInternal, "the host's tensor "+name+" has not one row for each of the "+strconv.Itoa(n)+" variants")
}

// Explanation returns the result that attributes a value to each player, with
// standard errors or without (nil); a player has none of its own where it is NaN.
func (g *Game) Explanation(values, stderr []float64) *sdk.Explanation {
	e := &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: values, Stderr: stderr}}}
	if g.own {
		e.Units = g.Players
		SpreadTokens(g.request, e)
	}
	return e
}

// SpreadTokens has a result with units of its own, for a request of token ids,
// attribute to the tokens instead: the units of such a request are the tokens, and
// there are no others.
func SpreadTokens(r *sdk.Request, e *sdk.Explanation) {
	if e.Units == nil || ofText(r) {
		return
	}
	spread := func(v []float64) []float64 {
		if v == nil {
			return nil
		}
		out := make([]float64, len(r.Tokens))
		for i, u := range e.Units {
			for _, t := range u.Tokens {
				out[t] = v[i]
			}
		}
		return out
	}
	for i, a := range e.Attributions {
		if a.Over == sdk.OverUnits {
			e.Attributions[i] = sdk.Attribution{Name: a.Name, Over: sdk.OverTokens, Values: spread(a.Values), Stderr: spread(a.Stderr)}
		}
	}
	e.Units = nil
}

// Gap returns the diagnostic of completeness: how far the attributions are from
// adding up to what the input is worth beyond the baseline.
func Gap(values []float64, value, baseline float64) sdk.Diagnostic {
	return sdk.Diagnostic{Name: "completeness_gap", Value: num.Sum(values) - (value - baseline)}
}

// R2 returns how much of the differences between n coalitions an additive model of
// the values explains, in which nobody is worth origin:
//
//	1 − Σ wₛ·(v(S) − origin − Σ_{i∈S} φᵢ)² / Σ wₛ·(v(S) − mean)²
//
// It is below 0 where a constant is nearer to them, and 1 where there are no
// differences, or no weight.
func R2(values []float64, origin float64, n int, coalition func(i int) (keep []uint8, worth, weight float64)) float64 {
	mean, total, left, all := 0.0, 0.0, 0.0, 0.0
	for i := range n {
		_, y, w := coalition(i)
		mean += float64(w * y)
		total += w
	}
	mean /= total
	for i := range n {
		keep, y, w := coalition(i)
		sum := origin
		for j, k := range keep {
			if k == 1 {
				sum += values[j]
			}
		}
		left += float64(w * float64((y-sum)*(y-sum)))
		all += float64(w * float64((y-mean)*(y-mean)))
	}
	if total == 0 || all == 0 {
		return 1
	}
	return 1 - left/all
}

// Certain returns the diagnostics of values with standard errors: the largest
// error, and how many of the values that are largest, in absolute terms, are
// certainly that, in this order: each further from all smaller ones than two standard
// errors of their difference. An error that is NaN is that of a value which a selection
// left out: it is 0, and was not estimated.
func Certain(values, stderr []float64) []sdk.Diagnostic {
	sizes := Magnitudes(values)
	order := Largest(sizes, -1)
	stderr = slices.Clone(stderr)
	for i, e := range stderr {
		if math.IsNaN(e) {
			stderr[i] = 0
		}
	}
	apart := func(i, j int) bool {
		return sizes[i]-sizes[j] > 2*math.Sqrt(float64(stderr[i]*stderr[i])+float64(stderr[j]*stderr[j]))
	}
	top := 0
	// Not the next one alone: a smaller value may have a larger error.
	for top < len(order) && !slices.ContainsFunc(order[top+1:], func(j int) bool { return !apart(order[top], j) }) {
		top++
	}
	return []sdk.Diagnostic{
		{Name: "max_stderr", Value: slices.Max(stderr)},
		{Name: "certain_top", Value: float64(top)},
	}
}

// Magnitudes returns the absolute values.
func Magnitudes(values []float64) []float64 {
	sizes := make([]float64, len(values))
	for i, v := range values {
		sizes[i] = math.Abs(v)
	}
	return sizes
}

// Largest returns the indices of the k largest values, or of all where k is negative
// or there are no more, in descending order; of equals the lower index comes first.
func Largest(values []float64, k int) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case values[a] > values[b]:
			return -1
		case values[a] < values[b]:
			return 1
		}
		return 0
	})
	if k < 0 || k > len(order) {
		k = len(order)
	}
	return order[:k]
}

// NoUnits returns the error of an input without players.
func NoUnits() error {
	return sdk.NewError(sdk.EInvalid, "the input has no units to attribute to: give a text with at least one word")
}

// Fill returns the fill policy of the parameters: what fill names, or under auto
// what mask_string or fill_token has, or else automatic. text is that of fill=text
// without a mask_string. What no policy would read is refused, and so is a token
// that the model does not have.
func Fill(p sdk.Params, m sdk.ModelInfo, automatic sdk.FillKind, text string) (sdk.Fill, error) {
	name, mask, token := p.String(ParamFill), p.String(ParamMaskString), FillToken(p)
	kind, ok := sdk.ParseFill(name)
	switch {
	case ok:
	case mask != "" && token >= 0:
		return sdk.Fill{}, sdk.NewError(sdk.EInvalid, "mask_string and fill_token exclude each other: give one of them")
	case mask != "":
		kind = sdk.FillText
	case token >= 0:
		kind = sdk.FillToken
	default:
		kind = automatic
	}
	switch {
	case kind != sdk.FillText && mask != "":
		return sdk.Fill{}, sdk.NewError(sdk.EInvalid, "mask_string has no effect with fill="+name+": use fill=text")
	case kind != sdk.FillToken && token >= 0:
		return sdk.Fill{}, sdk.NewError(sdk.EInvalid, "fill_token has no effect with fill="+name+": use fill=token")
	case kind == sdk.FillToken && token < 0:
		return sdk.Fill{}, sdk.NewError(sdk.EInvalid, "fill=token needs the id of a token: give fill_token")
	}
	if err := CheckToken(ParamFillToken, token, m); err != nil {
		return sdk.Fill{}, err
	}
	fill := sdk.Fill{Kind: kind}
	switch {
	case kind == sdk.FillToken:
		fill.Token = int32(token)
	case kind == sdk.FillText && mask == "":
		fill.Text = text
	case kind == sdk.FillText:
		fill.Text = mask
	}
	return fill, nil
}

// CheckToken refuses a parameter that is no token of the model's vocabulary, where
// the host tells how large that is.
func CheckToken(name string, token int, m sdk.ModelInfo) error {
	if m.Vocabulary > 0 && token >= m.Vocabulary {
		return sdk.NewError(sdk.EInvalid, name+"="+strconv.Itoa(token)+" is no token of the model, whose ids are 0 to "+strconv.Itoa(m.Vocabulary-1))
	}
	return nil
}

// FillToken returns the token of fill=token, -1 where none is given, or where a
// method has no such parameter.
func FillToken(p sdk.Params) int {
	if _, ok := p[ParamFillToken]; !ok {
		return -1
	}
	return p.Int(ParamFillToken)
}

// Automatic returns the policy that auto stands for: the tokenizer's mask token, or
// delete where it has none. It is zero where no token is known that could take the place
// of others, or begin what is left when all are deleted: ids without a tokenizer, and
// embeddings.
func Automatic(r *sdk.Request, m sdk.ModelInfo) sdk.FillKind {
	embeddings := func(t sdk.Token) bool { return t.ID < 0 }
	switch {
	case !ofText(r) && (!tokenizes(m) || slices.ContainsFunc(r.Tokens, embeddings)):
		return sdk.FillZero
	case m.MaskToken != "":
		return sdk.FillMask
	}
	return sdk.FillDelete
}

// tokenizes reports whether a model comes with a tokenizer that knows a token of its own.
func tokenizes(m sdk.ModelInfo) bool {
	return m.MaskToken != "" || m.MaskID != nil || m.PadID != nil || len(m.SpecialIDs) > 0
}

// ofText reports whether a request is of a text, and not of token ids.
func ofText(r *sdk.Request) bool { return r.Text != "" || r.TextPair != nil }
