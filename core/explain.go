package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// Request asks for one explanation. The zero value of every field but Input
// stands for the default.
type Request struct {
	Input  Input
	Method string            // DefaultMethod
	Params map[string]string // as typed; the method's defaults fill the rest
	// Target is what is explained: CLASS of a classifier of texts, CLASS@POS of one
	// of tokens; start@POS, end@POS or span:S-E of an answer; token:ID@POS of a
	// language model, or continuation:TEXT of a causal one; or A - B, the difference
	// of two. An integer is the index of a class; anything else is its label, matched
	// exactly, then by case folding; label:NAME is a label, whatever it looks like.
	// Positions count tokens, from the end where they are negative. The default is
	// what the model answers: the class with the largest logit, the best span, the
	// most probable token.
	Target string
	// Output is sdk.Logit of a regression, sdk.LogProb of a continuation and
	// sdk.Prob of all else.
	Output sdk.Output
	// Steps explains each token of a continuation too, in attributions named
	// step.0, step.1 …
	Steps bool
	// Sanity checks the method by parameter randomisation, in Explanation.Sanity:
	// the input is explained again by models of which ever more weights are in
	// another order, which the seed draws, once for each layer and for what stands
	// before and behind them. Each run has the method's limits to itself, and the
	// changed weights their part of the memory budget.
	Sanity bool
	// Units is UnitsToken, UnitsWord, UnitsSentence, or spans:… as ParseUnits has it.
	// The empty string stands for words too, and says that nobody asked for them: a
	// method that cuts the text into units of its own does so without a warning.
	Units   string
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
	// "encode", "hash" (of the weights), "forward", "method" (its own part),
	// in 8 bits "float32" (what is computed in that, too), and "sanity".
	Trace func(phase string, d time.Duration)
}

// Explain runs a method on one input of the model. It returns an *Error, or the
// context's error when the caller gave up.
func (h *Host) Explain(ctx context.Context, m *Model, r Request) (*Explanation, error) {
	clock := newLaps(r.Trace)
	done, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer done()
	entry, info, params, err := h.settle(m, &r)
	if err != nil {
		return nil, err
	}
	ready, err := h.ready(ctx, entry, info, &r)
	if err != nil {
		return nil, err
	}
	clock.lap("load")
	s, err := m.session(ctx, &r)
	if err != nil {
		return nil, err
	}
	clock.lap("encode")
	ref, err := m.Ref(ctx) // ahead of the run, so that a file that changed costs no work
	if err != nil {
		return nil, err
	}
	clock.lap("hash")

	request := s.request()
	request.Seed, request.Params, request.Log, request.Progress = r.Seed, params, r.Log, s.report(ctx)
	if m.float32 != nil {
		s.sample = new(sample)
	}
	result, took, err := ready.run(ctx, s, request)
	if err != nil {
		return nil, methodError(info.Name, err)
	}
	clock.share("forward", s.forward)
	clock.lap("method")

	x := s.explanation(request, result)
	x.Model = ref
	x.Method = MethodRef{
		Name: info.Name, Version: info.Version, SHA256: ready.sha256, Runtime: r.Runtime, ABI: entry.ABI,
		Needs: slices.Concat([]sdk.Need{}, info.Needs), Signer: entry.Signer, Params: s.settled(params),
	}
	x.Provenance.Fuel, x.Provenance.BytesIn, x.Provenance.BytesOut = took.fuel, took.BytesIn, took.BytesOut
	x.Provenance.Sandbox, x.Provenance.Dev = ready.sandbox, h.options.Dev && !entry.Embedded
	if !s.enc.raw {
		x.Provenance.Units = r.units()
	}
	if err := s.complete(ctx, x, result, request, &r, ready.run, clock); err != nil {
		return nil, methodError(info.Name, err)
	}
	x.Doubts = doubts(x)
	x.Provenance.WallSeconds = time.Since(clock.start).Seconds()
	return x, nil
}

// settle fills in the defaults of a request, and returns its method and the
// parameters; the model has what the method needs, and answers such an input.
func (h *Host) settle(m *Model, r *Request) (registry.Entry, sdk.Info, sdk.Params, error) {
	r.Method = cmp.Or(r.Method, DefaultMethod)
	entry, info, err := h.Method(r.Method)
	if err != nil {
		return entry, info, nil, err
	}
	params, err := ParseParams(info, r.Params)
	if err != nil {
		return entry, info, nil, err
	}
	if err := m.explainable(r.Input); err != nil {
		return entry, info, nil, err
	}
	return entry, info, params, m.offers(info)
}

// units returns how the text is cut.
func (r *Request) units() string { return cmp.Or(r.Units, UnitsWord) }

// explanation is what the session itself says of a result: neither who made it nor
// what it cost.
func (s *session) explanation(request *sdk.Request, result *sdk.Explanation) *Explanation {
	t := request.Target
	return &Explanation{
		Schema: Schema,
		Input:  s.enc.ref(s.units),
		Target: Target{
			Expr: t.Expr, Kind: t.Kind, Index: t.Index, Label: t.Label, Output: string(t.Output),
			Value: Float(t.Value), Baseline: (*Float)(result.Baseline), Positions: t.Positions, Steps: s.steps(),
		},
		Tensors:     make([]Tensor, 0, len(result.Tensors)),
		Diagnostics: make(Diagnostics),
		Provenance:  Provenance{XAI: Version, Kernel: s.model.engine.Kernel(), DType: string(s.model.engine.Info().DType), Seed: request.Seed},
	}
}

// complete fills in the scores, and what else was asked for that takes further runs
// of the method: the steps of a continuation, the difference to float32, the check
// of sanity.
func (s *session) complete(ctx context.Context, x *Explanation, result *sdk.Explanation, request *sdk.Request, r *Request, run runFunc, clock *laps) error {
	if err := x.fill(result, s, ""); err != nil {
		return err
	}
	same := func(a, b Unit) bool { return slices.Equal(a.Tokens, b.Tokens) }
	if r.Units != "" && r.Log != nil && !s.enc.raw && !slices.EqualFunc(unitRefs(s.units), x.Input.Units, same) {
		r.Log(sdk.Warning, "with these settings the method "+r.Method+" cuts the text into units of its own, not those that were asked for ("+r.Units+")")
	}
	if r.Steps {
		if err := s.eachStep(ctx, x, run, request); err != nil {
			return err
		}
	}
	s.count(x.Diagnostics)
	again := func(s *session, value float64) (*sdk.Explanation, error) {
		again := *request
		again.Target, again.Log = s.describe(value), nil
		again.Progress = func(int, int) error { return ctx.Err() }
		e, _, err := run(ctx, s, &again)
		return e, err
	}
	clock.begin()
	if s.model.float32 != nil {
		changes, err := s.inFloat32(ctx, *r, result, again)
		if err != nil {
			return err
		}
		maps.Copy(x.Diagnostics, changes)
		clock.lap("float32")
	}
	if r.Sanity {
		var err error
		if x.Sanity, err = s.checkSanity(ctx, *r, result, again); err != nil {
			return err
		}
		clock.lap("sanity")
	}
	return nil
}

// count says what the run asked of the model, and what of the input it did not see.
func (s *session) count(d Diagnostics) {
	d[DiagEvaluations] = Float(s.evaluations)
	d[DiagUnique] = Float(s.unique)
	d[DiagCacheHits] = Float(s.hits)
	d[DiagForwards] = Float(s.forwards)
	d[DiagGradients] = Float(s.gradients)
	if n := s.model.unknown(s.enc.tokens); n > 0 {
		d[DiagUnknown] = Float(n)
	}
	if s.truncated > 0 {
		d[DiagTruncated] = Float(s.truncated)
	}
}

// laps tells how long each phase of a run took, where somebody asked.
type laps struct {
	start, last time.Time
	trace       func(phase string, d time.Duration)
}

func newLaps(trace func(string, time.Duration)) *laps {
	if trace == nil {
		trace = func(string, time.Duration) {}
	}
	now := time.Now()
	return &laps{now, now, trace}
}

// begin begins a phase, behind what belongs to none.
func (l *laps) begin() { l.last = time.Now() }

// lap ends a phase, and begins the next.
func (l *laps) lap(phase string) {
	now := time.Now()
	l.trace(phase, now.Sub(l.last))
	l.last = now
}

// share tells of a phase that took d of the time since the last one ended.
func (l *laps) share(phase string, d time.Duration) {
	l.trace(phase, d)
	l.last = l.last.Add(d)
}

// request describes the input and the target to a method.
func (s *session) request() *sdk.Request {
	r := &sdk.Request{Tokens: s.enc.tokens, Units: s.units, Target: s.describe(s.value())}
	if !s.enc.raw {
		r.Text = s.enc.kept[0]
		if len(s.enc.kept) == 2 {
			r.TextPair = &s.enc.kept[1]
		}
	}
	return r
}

// report passes on what a method counts, until the caller gives up.
func (s *session) report(ctx context.Context) func(done, total int) error {
	return func(done, total int) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.progress != nil {
			s.progress(done, total)
		}
		return nil
	}
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

// session prepares a run: it encodes the input, cuts it into units, settles the
// target, and evaluates the unchanged input.
func (m *Model) session(ctx context.Context, r *Request) (*session, error) {
	given, err := parseUnits(r.units())
	if err != nil {
		return nil, err
	}
	enc, err := m.encodeAs(r.Input, true)
	if err != nil {
		return nil, err
	}
	s := &session{model: m, enc: enc, progress: r.Progress, known: make(map[rowKey]int)}
	if err := s.cut(r.units(), given); err != nil {
		return nil, err
	}
	if err := s.aim(ctx, r); err != nil {
		return nil, err
	}
	if len(s.answers) > 0 {
		return s, nil
	}
	return s, s.begin(ctx)
}

// cut cuts the input into units, as a policy says, or into those given.
func (s *session) cut(policy string, given []sdk.Unit) error {
	switch enc := s.enc; {
	case given != nil:
		if enc.raw {
			return usage("spans are of a text, and the input is token ids", "mark the tokens that are to stay with a tensor keep")
		}
		if err := enc.choose(given); err != nil {
			return err
		}
		s.units = given
	case enc.raw:
		s.byToken = true
		s.units = rawUnits(enc.tokens)
	default:
		s.byToken = policy == UnitsToken
		s.units = enc.units(policy)
	}
	if len(s.units) == 0 {
		return &Error{Kind: KindInput, Msg: "the tokenizer finds nothing to explain in the input", Hint: "give a text with at least one word"}
	}
	return nil
}

// aim settles the target, the model's own answer where the request names none.
// Where the target goes on behind the input, so does the input: with fixed tokens.
func (s *session) aim(ctx context.Context, r *Request) error {
	m, expr := s.model, r.Target
	switch {
	case strings.TrimSpace(expr) != "":
	case m.engine.Info().Task == arch.SequenceClassification: // which answers alike, whatever the target
		t, err := m.questions().parse("0", r.Output)
		if err != nil {
			return err
		}
		s.target, s.scale = t, m.scale(t.output)
		if err := s.begin(ctx); err != nil {
			return err
		}
		expr = strconv.Itoa(argmax(s.answers[0].values))
	default:
		var err error
		if expr, err = s.preferred(ctx, r.Input); err != nil {
			return err
		}
	}
	t, err := m.questions().parse(expr, r.Output)
	if err != nil {
		return err
	}
	s.target, s.scale = t, m.scale(t.output)
	most, causal := 0, m.labels == nil && m.engine.Info().Task != arch.MaskedLM
	for _, b := range t.branches {
		most = max(most, len(b.suffix))
	}
	if n := s.enc.row.n + most; causal && (len(s.enc.dropped) > 0 || m.MaxTokens() > 0 && n > m.MaxTokens()) {
		return m.tooLong(n + len(s.enc.dropped))
	}
	if most == 0 {
		return nil
	}
	extended, err := s.goesOn(t)
	if err != nil {
		return err
	}
	if m.engine.Info().Task == arch.PermutationLM {
		if err := m.marks(s.enc.row.n + most); err != nil {
			return err
		}
	}
	if len(t.branches) > 1 {
		return nil
	}
	s.suffix, s.enc.row = t.branches[0].suffix, extended
	s.enc.tokens = slices.Clone(s.enc.tokens)
	for _, id := range s.suffix {
		s.enc.tokens = append(s.enc.tokens, sdk.Token{ID: id, Text: m.token(id), Fixed: true})
	}
	return nil
}

// goesOn returns the input with what a target has behind it, or with the first of
// two.
func (s *session) goesOn(t *target) (row, error) {
	if s.enc.padding() > 0 {
		return row{}, &Error{Kind: KindInput, Msg: "the input ends with padding, behind which nothing goes on", Hint: "leave the padding out"}
	}
	r, err := s.model.extend(s.enc.row, t.branches[0].suffix)
	if err != nil {
		return r, &Error{Kind: KindInput, Msg: err.Error(), Hint: "explain an answer that needs no tokens behind the input"}
	}
	return r, nil
}

// preferred returns the target that is explained where none is named: what the
// model answers itself. Of a classifier of tokens that is the largest logit of a
// token of the text, of all classes but one that is named O, for no entity; of a
// masked language model the most probable token at the first mask.
func (s *session) preferred(ctx context.Context, in Input) (string, error) {
	m := s.model
	task := m.engine.Info().Task
	r := s.enc.row
	q := query{row: r}
	switch task {
	case arch.CausalLM, arch.MaskedLM:
		q.reads = m.reads(s.enc, PredictOptions{})
		if len(q.reads) == 0 {
			if m.cutsMask(s.enc) {
				return "", m.maskBehind()
			}
			return "", &Error{Kind: KindInput, Msg: "there is no mask whose token could be explained", Hint: "write " + m.Info().MaskToken + " where a token is to be explained, or name one with --target token:ID@POS"}
		}
		q.reads = q.reads[:1]
	case arch.PermutationLM:
		t, err := m.questions().parse("token:0", sdk.Logit)
		if err != nil {
			return "", err
		}
		if r, err = s.goesOn(t); err != nil {
			return "", err
		}
		if err := m.marks(r.n); err != nil {
			return "", err
		}
		q.row = r.predicting(1)
	}
	out, err := m.forward(ctx, question{q}.input())
	if err != nil {
		return "", err
	}
	switch task {
	case arch.CausalLM, arch.PermutationLM:
		return "token:" + strconv.Itoa(argmax(out.Row(0))) + "@-1", nil
	case arch.MaskedLM:
		return "token:" + strconv.Itoa(argmax(out.Row(0))) + "@" + strconv.Itoa(q.reads[0]), nil
	case arch.TokenClassification:
		return s.entity(out), nil
	case arch.QuestionAnswering:
		p := PredictedRow{Tokens: tokenRefs(s.enc.tokens)}
		for i := range r.n {
			p.Readouts = append(p.Readouts, Readout{Position: i, Logits: out.Row(i)})
		}
		m.spans(&p, in, r)
		if len(p.Spans) == 0 {
			return "", &Error{Kind: KindInput, Msg: "the context has no tokens to answer with", Hint: "give a context with --text-pair, or name a target"}
		}
		return fmt.Sprintf("span:%d-%d", p.Spans[0].Tokens[0], p.Spans[0].Tokens[1]), nil
	}
	return "", nil
}

// entity returns the class and the token of the text with the largest logit.
func (s *session) entity(out *engine.Output) string {
	const none = "O"
	some := len(s.model.labels) > 1
	best, class, position := math.Inf(-1), 0, 0
	for i, t := range s.enc.tokens {
		if t.Special || t.Fixed {
			continue
		}
		for c, v := range out.Row(i) {
			if v > best && !(some && s.model.labels[c] == none) {
				best, class, position = v, c, i
			}
		}
	}
	return strconv.Itoa(class) + "@" + strconv.Itoa(position)
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
			Start: t.Start, End: t.End, RuneStart: t.RuneStart, RuneEnd: t.RuneEnd, Special: t.Special, Fixed: t.Fixed,
		}
	}
	return refs
}

// withTokens returns the units of a method's own cutting with their tokens:
// those that begin inside the unit's spans, white space aside.
func (e *encoded) withTokens(units []sdk.Unit) []sdk.Unit {
	out := slices.Clone(units)
	for i := range out {
		if out[i].Tokens != nil {
			continue
		}
		for t, token := range e.tokens {
			if token.Special || token.Fixed || e.raw {
				continue
			}
			begin := skipSpace(e.texts[token.Sequence], token.Start, token.End)
			inside := func(s sdk.Span) bool {
				return token.Sequence == s.Sequence && begin >= s.Start && begin < s.End
			}
			if slices.ContainsFunc(out[i].Spans, inside) {
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

// fill moves a method's result into the explanation, under names that begin with
// prefix. Results of raw inputs run over every token, with zeros for the fixed
// ones, unless the method has units of its own.
func (x *Explanation) fill(result *sdk.Explanation, s *session, prefix string) error {
	units := s.units
	switch {
	case result.Units != nil:
		if s.enc.raw && slices.ContainsFunc(result.Units, func(u sdk.Unit) bool { return len(u.Spans) > 0 || len(u.Tokens) == 0 }) {
			return sdk.NewError(sdk.EUnsupported, "this setting cuts the text into units of its own, and the input is token ids")
		}
		units = s.enc.withTokens(result.Units)
	case s.enc.raw:
		units = make([]sdk.Unit, len(s.enc.tokens))
		for i, t := range s.enc.tokens {
			units[i] = sdk.Unit{Text: t.Text, Tokens: []int{i}}
		}
	}
	refs := unitRefs(units)
	if prefix != "" && !slices.EqualFunc(refs, x.Input.Units, func(a, b Unit) bool { return a.Text == b.Text && slices.Equal(a.Tokens, b.Tokens) }) {
		return sdk.NewError(sdk.EUnsupported, "with these settings the method cuts the text into other units for each step, whose values do not stand side by side")
	}
	x.Input.Units = refs
	spread := func(over string, values []float64) []float64 {
		if !s.enc.raw || over != sdk.OverUnits || values == nil || result.Units != nil {
			return values
		}
		out := make([]float64, len(s.enc.tokens))
		for i, u := range s.units {
			out[u.Tokens[0]] = values[i]
		}
		return out
	}
	for i, a := range result.Attributions {
		if n := notFinite(a.Values); n > 0 {
			return overflown(x.Method.Name, n, len(a.Values), x.Provenance.DType)
		}
		name := prefix + a.Name
		if i == 0 && prefix != "" {
			name = strings.TrimSuffix(prefix, ".")
		}
		x.Attributions = append(x.Attributions, Attribution{
			Name: name, Over: a.Over, Target: s.classOf(name),
			Values: Floats(spread(a.Over, a.Values)), Stderr: Floats(spread(a.Over, a.Stderr)),
		})
	}
	for _, t := range result.Tensors {
		values, err := asFloats(&t.Tensor)
		if err != nil {
			return err
		}
		x.Tensors = append(x.Tensors, Tensor{Name: prefix + t.Name, Axes: t.Axes, Shape: t.Shape, Values: values})
	}
	for _, d := range result.Diagnostics {
		x.Diagnostics[prefix+d.Name] = Float(d.Value)
	}
	for _, a := range x.Attributions {
		name := a.Name + "." + DiagBaseline
		if v, ok := x.Diagnostics[name]; ok && a.Target != nil {
			a.Target.Baseline = &v
			delete(x.Diagnostics, name)
		}
	}
	return nil
}

// notFinite returns how many numbers are NaN or infinite.
func notFinite(values []float64) int {
	n := 0
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			n++
		}
	}
	return n
}

// overflown returns the error of a method that found n of all scores no finite
// numbers, of a model whose numbers have a format.
func overflown(method string, n, all int, format string) error {
	hint := "open the model as f64 (--dtype), whose numbers reach further, or choose another method, or another output (--output)"
	if format == string(engine.F64) {
		hint = "choose another method, or another output (--output); the model's weights may be damaged"
	}
	return &Error{
		Kind: KindMethod, Hint: hint,
		Msg: fmt.Sprintf("method %s: %d of %d scores are NaN or infinite, so that the others may be wrong as well", method, n, all),
	}
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
