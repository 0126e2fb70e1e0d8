package core

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/sdk"
)

// Request asks for one explanation. The zero value of every field but Input
// stands for the default.
type Request struct {
	Input  Input
	Method string            // DefaultMethod
	Params map[string]string // as typed; the method's defaults fill the rest
	// Target is CLASS, or A - B, the difference of two. An integer is the index of
	// a class; anything else is its label, matched exactly, then by case folding;
	// label:NAME is a label, whatever it looks like. The default is the class with
	// the largest logit.
	Target  string
	Output  sdk.Output // sdk.Prob of a class, sdk.Logit of a regression
	Units   string     // UnitsToken, UnitsWord or UnitsSentence; words
	Seed    uint64
	Runtime string        // RuntimeWASM or RuntimeNative; what the registry says
	Timeout time.Duration // the registry's limit
	Fuel    int64         // the registry's limit of instructions

	// Progress is told how much is done of how much: of the rows of each forward
	// that the method asks for, and of whatever the method itself counts. Calls
	// come one at a time, from any goroutine, and the run waits for them.
	Progress func(done, total int)
	// Log receives the method's log lines.
	Log func(level sdk.Level, message string)
	// Trace receives the time that each phase took: "load" (of the module),
	// "encode", "hash" (of the weights), "forward", "method" (its own part), and
	// in 8 bits "float32" (what is computed in that, too).
	Trace func(phase string, d time.Duration)
}

// Explain runs a method on one input of the model. It returns an *Error, or the
// context's error when the caller gave up.
func (h *Host) Explain(ctx context.Context, m *Model, r Request) (*Explanation, error) {
	start := time.Now()
	done, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer done()
	if r.Method == "" {
		r.Method = DefaultMethod
	}
	if r.Units == "" {
		r.Units = UnitsWord
	}
	trace := r.Trace
	if trace == nil {
		trace = func(string, time.Duration) {}
	}
	entry, info, err := h.Method(r.Method)
	if err != nil {
		return nil, err
	}
	params, err := ParseParams(info, r.Params)
	if err != nil {
		return nil, err
	}
	if err := m.explainable(r.Input); err != nil {
		return nil, err
	}
	if err := m.offers(info); err != nil {
		return nil, err
	}
	ready, err := h.ready(ctx, entry, info, &r)
	if err != nil {
		return nil, err
	}
	loaded := time.Now()
	trace("load", loaded.Sub(start))

	s, err := m.session(ctx, &r)
	if err != nil {
		return nil, err
	}
	encoded := time.Now()
	trace("encode", encoded.Sub(loaded))
	ref, err := m.Ref(ctx) // ahead of the run, so that a file that changed costs no work
	if err != nil {
		return nil, err
	}
	hashed := time.Now()
	trace("hash", hashed.Sub(encoded))

	value := s.target.value(s.answers[0].logits, m.head)
	request := &sdk.Request{
		Text:   s.enc.texts[0],
		Tokens: s.enc.tokens,
		Units:  s.units,
		Target: s.describe(value),
		Seed:   r.Seed,
		Params: params,
		Log:    r.Log,
	}
	if !s.enc.raw {
		request.Text = s.enc.kept[0]
		if len(s.enc.kept) == 2 {
			request.TextPair = &s.enc.kept[1]
		}
	}
	request.Progress = func(done, total int) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.progress != nil {
			s.progress(done, total)
		}
		return nil
	}
	if m.float32 != nil {
		s.sample = new(sample)
	}
	result, took, err := ready.run(ctx, s, request)
	if err != nil {
		return nil, methodError(info.Name, err)
	}
	total := time.Since(hashed)
	trace("forward", s.forward)
	trace("method", total-s.forward)

	x := &Explanation{
		Schema: Schema,
		Model:  ref,
		Method: MethodRef{
			Name: info.Name, Version: info.Version, SHA256: ready.sha256, Runtime: r.Runtime, ABI: entry.ABI,
			Needs: slices.Concat([]sdk.Need{}, info.Needs), Signer: entry.Signer, Params: s.settled(params),
		},
		Input: s.enc.ref(s.units),
		Target: Target{
			Expr: request.Target.Expr, Kind: request.Target.Kind, Index: request.Target.Index, Label: request.Target.Label,
			Output: string(request.Target.Output), Value: Float(value), Baseline: (*Float)(result.Baseline),
		},
		Tensors: make([]Tensor, 0, len(result.Tensors)),
		Diagnostics: Diagnostics{
			contract.DiagEvaluations: Float(s.evaluations),
			contract.DiagUnique:      Float(s.unique),
			contract.DiagCacheHits:   Float(s.hits),
		},
		Provenance: Provenance{
			XAI: Version, Kernel: m.engine.Kernel(), DType: string(m.engine.Info().DType), Seed: r.Seed,
			Fuel: took.fuel, BytesIn: took.BytesIn, BytesOut: took.BytesOut, Sandbox: ready.sandbox, Dev: h.options.Dev && !entry.Embedded,
		},
	}
	if !s.enc.raw {
		x.Provenance.Units = r.Units
	}
	if n := m.unknown(s.enc.tokens); n > 0 {
		x.Diagnostics[contract.DiagUnknown] = Float(n)
	}
	if s.truncated > 0 {
		x.Diagnostics[contract.DiagTruncated] = Float(s.truncated)
	}
	if err := x.fill(result, s); err != nil {
		return nil, methodError(info.Name, err)
	}
	if m.float32 != nil {
		begin := time.Now()
		changes, err := s.inFloat32(ctx, r, result, func(s *session, value float64) (*sdk.Explanation, error) {
			again := *request
			again.Target, again.Log = s.describe(value), nil
			again.Progress = func(int, int) error { return ctx.Err() }
			e, _, err := ready.run(ctx, s, &again)
			return e, err
		})
		if err != nil {
			return nil, methodError(info.Name, err)
		}
		maps.Copy(x.Diagnostics, changes)
		trace("float32", time.Since(begin))
	}
	x.Provenance.WallSeconds = time.Since(start).Seconds()
	return x, nil
}

// settled returns the parameters with the fill that the method asked for in the
// place of auto, so that a result says what was done. It is the same run.
func (s *session) settled(params sdk.Params) sdk.Params {
	if params["fill"] != "auto" || len(s.fills) != 1 || !slices.Contains(sdk.FillNames, s.fills[0].String()) {
		return params
	}
	params = maps.Clone(params)
	params["fill"] = s.fills[0].String()
	return params
}

// session prepares a run: it encodes the input, cuts it into units, and
// evaluates the unchanged input, which settles the target.
func (m *Model) session(ctx context.Context, r *Request) (*session, error) {
	switch r.Units {
	case UnitsToken, UnitsWord, UnitsSentence:
	default:
		hint := "use token, word or sentence"
		if near, ok := nearest.Of(r.Units, []string{UnitsToken, UnitsWord, UnitsSentence}); ok {
			hint = "did you mean " + near + "? " + hint
		}
		return nil, usage("unknown units "+strconv.Quote(r.Units), hint)
	}
	enc, err := m.encode(r.Input)
	if err != nil {
		return nil, err
	}
	s := &session{model: m, enc: enc, progress: r.Progress, known: make(map[rowKey]int)}
	if enc.raw {
		s.byToken = true
		s.units = rawUnits(enc.tokens)
	} else {
		s.byToken = r.Units == UnitsToken
		s.units = enc.units(r.Units)
	}
	if len(s.units) == 0 {
		return nil, &Error{Kind: KindInput, Msg: "the tokenizer finds nothing to explain in the input", Hint: "give a text with at least one word"}
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	expr := strings.TrimSpace(r.Target)
	if expr == "" {
		expr = strconv.Itoa(argmax(s.answers[0].logits))
	}
	s.target, err = parseTarget(expr, r.Output, m.labels, m.head)
	return s, err
}

// rawUnits makes a unit of every token of a raw row that is not fixed.
func rawUnits(tokens []sdk.Token) []sdk.Unit {
	var units []sdk.Unit
	for i, t := range tokens {
		if !t.Special && !t.Fixed {
			units = append(units, sdk.Unit{Text: t.Text, Tokens: []int{i}})
		}
	}
	return units
}

// ref describes the input in a result.
func (e *encoded) ref(units []sdk.Unit) InputRef {
	ref := InputRef{Text: e.texts[0], InputIDs: make([]int32, len(e.tokens)), Tokens: tokenRefs(e.tokens), Dropped: tokenRefs(e.dropped)}
	if len(e.texts) == 2 {
		ref.TextPair = &e.texts[1]
	}
	for i, t := range e.tokens {
		ref.InputIDs[i] = t.ID
	}
	ref.Units = unitRefs(units)
	return ref
}

// tokenRefs describes tokens in a result.
func tokenRefs(tokens []sdk.Token) []Token {
	refs := make([]Token, len(tokens))
	for i, t := range tokens {
		refs[i] = Token{
			ID: t.ID, Text: t.Text, Sequence: t.Sequence,
			Start: t.Start, End: t.End, RuneStart: t.RuneStart, RuneEnd: t.RuneEnd, Special: t.Special,
		}
	}
	return refs
}

// withTokens returns the units of a method's own cutting with their tokens:
// those that begin inside the unit's spans.
func (e *encoded) withTokens(units []sdk.Unit) []sdk.Unit {
	out := slices.Clone(units)
	for i := range out {
		if out[i].Tokens != nil {
			continue
		}
		for t, token := range e.tokens {
			inside := func(s sdk.Span) bool {
				return token.Sequence == s.Sequence && token.Start >= s.Start && token.Start < s.End
			}
			if !token.Special && !token.Fixed && slices.ContainsFunc(out[i].Spans, inside) {
				out[i].Tokens = append(out[i].Tokens, t)
			}
		}
	}
	return out
}

// unitRefs describes units in a result.
func unitRefs(units []sdk.Unit) []Unit {
	refs := make([]Unit, len(units))
	for i, u := range units {
		ref := &refs[i]
		ref.Text = u.Text
		ref.Tokens = u.Tokens
		if ref.Tokens == nil {
			ref.Tokens = []int{} // an empty list in JSON, not null
		}
		if len(u.Spans) > 0 {
			ref.Sequence, ref.Start, ref.End = u.Spans[0].Sequence, u.Spans[0].Start, u.Spans[0].End
		}
		if len(u.Spans) > 1 {
			for _, s := range u.Spans {
				ref.Spans = append(ref.Spans, Span(s))
			}
		}
	}
	return refs
}

// fill moves a method's result into the explanation. Results of raw inputs run
// over every token, with zeros for the fixed ones.
func (x *Explanation) fill(result *sdk.Explanation, s *session) error {
	units := s.units
	if result.Units != nil {
		if s.enc.raw {
			return sdk.NewError(sdk.EUnsupported, "this setting cuts the text into units of its own, and the input is token ids")
		}
		units = result.Units
		x.Input.Units = unitRefs(s.enc.withTokens(units))
	}
	if s.enc.raw {
		all := make([]sdk.Unit, len(s.enc.tokens))
		for i, t := range s.enc.tokens {
			all[i] = sdk.Unit{Text: t.Text, Tokens: []int{i}}
		}
		x.Input.Units = unitRefs(all)
	}
	spread := func(over string, values []float64) []float64 {
		if !s.enc.raw || over != sdk.OverUnits || values == nil {
			return values
		}
		out := make([]float64, len(s.enc.tokens))
		for i, u := range units {
			out[u.Tokens[0]] = values[i]
		}
		return out
	}
	for _, a := range result.Attributions {
		x.Attributions = append(x.Attributions, Attribution{
			Name: a.Name, Over: a.Over,
			Values: Floats(spread(a.Over, a.Values)), Stderr: Floats(spread(a.Over, a.Stderr)),
		})
	}
	for _, t := range result.Tensors {
		values, err := asFloats(&t.Tensor)
		if err != nil {
			return err
		}
		x.Tensors = append(x.Tensors, Tensor{Name: t.Name, Axes: t.Axes, Shape: t.Shape, Values: values})
	}
	for _, d := range result.Diagnostics {
		x.Diagnostics[d.Name] = Float(d.Value)
	}
	return nil
}

// asFloats widens the elements of a tensor.
func asFloats(t *sdk.Tensor) ([]Float, error) {
	switch data := t.Data.(type) {
	case []uint8:
		return widen(data), nil
	case []int32:
		return widen(data), nil
	case []int64:
		return widen(data), nil
	case []float32:
		return widen(data), nil
	case []float64:
		return widen(data), nil
	}
	return nil, errors.New("a result holds elements of an unknown type")
}

func widen[T sdk.Element](data []T) []Float {
	out := make([]Float, len(data))
	for i, v := range data {
		out[i] = Float(v)
	}
	return out
}
