package core

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

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
	s, err := m.session(ctx, &r, info.Needs...)
	if err != nil {
		return nil, err
	}
	if r.Steps {
		if err := s.checkSteps(); err != nil {
			return nil, err
		}
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
	if err := s.complete(ctx, x, finished{asked: &r, request: request, result: result, run: ready.run, clock: clock}); err != nil {
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

// finished is a run of a method that has ended, and what runs it again.
type finished struct {
	asked   *Request         // of the host
	request *sdk.Request     // of the method
	result  *sdk.Explanation // by the method
	run     runFunc
	clock   *laps // of all of the runs
}

// again runs the method once more, on a session whose target has the value.
func (f *finished) again(ctx context.Context, s *session, value float64) (*sdk.Explanation, error) {
	request := *f.request
	request.Target, request.Log = s.describe(value), nil
	request.Progress = func(int, int) error { return ctx.Err() }
	e, _, err := f.run(ctx, s, &request)
	return e, err
}

// complete fills in the scores, and what else was asked for that takes further runs
// of the method: the steps of a continuation, the difference to float32, the check
// of sanity.
func (s *session) complete(ctx context.Context, x *Explanation, f finished) error {
	if err := x.fill(f.result, s, ""); err != nil {
		return err
	}
	r := f.asked
	same := func(a, b Unit) bool { return slices.Equal(a.Tokens, b.Tokens) }
	if r.Units != "" && r.Log != nil && !s.enc.raw && !slices.EqualFunc(unitRefs(s.units), x.Input.Units, same) {
		r.Log(sdk.Warning, "with these settings the method "+r.Method+" cuts the text into units of its own, not those that were asked for ("+r.Units+")")
	}
	if r.Steps {
		if err := s.eachStep(ctx, x, f.run, f.request); err != nil {
			return err
		}
	}
	s.count(x.Diagnostics)
	again := func(s *session, value float64) (*sdk.Explanation, error) { return f.again(ctx, s, value) }
	f.clock.begin()
	if s.model.float32 != nil {
		changes, err := s.inFloat32(ctx, *r, f.result, again)
		if err != nil {
			return err
		}
		maps.Copy(x.Diagnostics, changes)
		f.clock.lap("float32")
	}
	if r.Sanity {
		var err error
		if x.Sanity, err = s.checkSanity(ctx, *r, f.result, again); err != nil {
			return err
		}
		f.clock.lap("sanity")
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
