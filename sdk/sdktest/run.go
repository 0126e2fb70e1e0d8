package sdktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

// transformer is the model of most checks.
var transformer = toy.Transformer(1)

// The texts of most checks.
var (
	baseText  = toy.Input{Text: "A gripping film, beautifully photographed but far too long."}
	shortText = toy.Input{Text: "not a good film"}
)

// sessionKey tells sessions apart.
type sessionKey struct {
	model             *toy.Model
	text, pair, units string
}

// open returns a session on a text, the same one for equal texts: what it
// remembers of its rows spares time.
func (k *kit) open(m *toy.Model, in toy.Input) *toy.Session {
	key := sessionKey{m, in.Text, "", in.Units}
	if in.TextPair != nil {
		key.pair = "of " + *in.TextPair
	}
	keep := in.IDs == nil && len(in.Text) < 1000
	if s, ok := k.sessions[key]; ok && keep {
		return s
	}
	s, err := m.Open(in)
	if err != nil {
		panic("sdktest: an input of the kit cannot be opened: " + err.Error())
	}
	if keep {
		k.sessions[key] = s
	}
	return s
}

// light returns a model that reads texts of any length at once, for methods that
// do not look inside, and otherwise the transformer.
func (k *kit) light() *toy.Model {
	if k.inside() {
		return transformer
	}
	return linear
}

// inside reports whether the method needs more than a formula has.
func (k *kit) inside() bool {
	return slices.ContainsFunc(k.info.Needs, func(n sdk.Need) bool {
		return slices.Contains([]sdk.Need{sdk.NeedAttentions, sdk.NeedHiddenStates, sdk.NeedActivations, sdk.NeedPatch, sdk.NeedGenerate}, n)
	})
}

// job is one run of the method.
type job struct {
	session *toy.Session
	params  sdk.Params // nil for those of all runs
	seed    uint64
	// before is asked ahead of each call of the host, and may fail it.
	before func(call int, name string) error
	// explain is another way to run than the subject's own.
	explain func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, Usage, error)
}

// explanation is how a run ended.
type explanation struct {
	*sdk.Explanation
	request *sdk.Request // as the method got it
	usage   Usage
	err     error
	probe   *probe
	changed string // what the method changed in the request
	late    bool   // it reached its deadline
	stuck   bool   // it did not end
	elapsed time.Duration
}

// explain runs a job within its deadline.
func (k *kit) explain(j job) *explanation {
	ctx, cancel := context.WithTimeout(k.ctx, k.options.Timeout)
	defer cancel()
	x := k.start(ctx, j)
	k.absorb(x)
	return x
}

// start runs a job. It waits for it until ctx is done and a good while longer.
// Several may run at once.
func (k *kit) start(ctx context.Context, j job) *explanation {
	r := j.session.Request()
	r.Seed = j.seed
	r.Params = maps.Clone(j.params)
	if r.Params == nil {
		r.Params = maps.Clone(k.params)
	}
	p := &probe{Model: j.session, before: j.before}
	r.Progress = func(done, total int) error { return p.report(ctx, done, total) }
	r.Log = p.log
	x := &explanation{request: copied(r), probe: p}
	explain := j.explain
	if explain == nil {
		explain = k.subject.Explain
	}
	type end struct {
		e     *sdk.Explanation
		usage Usage
		err   error
	}
	ended := make(chan end, 1)
	start := time.Now()
	go func() {
		var e end
		defer func() {
			if v := recover(); v != nil {
				e = end{err: sdk.Recovered(v)}
			}
			ended <- e
		}()
		e.e, e.usage, e.err = explain(ctx, p, r)
	}()
	select {
	case e := <-ended:
		x.take(e.e, e.usage, e.err)
	case <-ctx.Done():
		select {
		case e := <-ended:
			x.take(e.e, e.usage, e.err)
		case <-time.After(20 * k.options.Grace): // of a busy machine
			x.stuck = true
			x.err = errors.New("the method goes on after its run has ended")
		}
	}
	x.elapsed = time.Since(start)
	x.late = x.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded)
	if !x.stuck {
		x.changed = change(x.request, r)
	}
	return x
}

func (x *explanation) take(e *sdk.Explanation, u Usage, err error) {
	x.Explanation, x.usage, x.err = e, u, err
	if e == nil && err == nil {
		x.err = errors.New("there is neither an explanation nor an error")
	}
}

// absorb adds what a run showed to what the kit has seen.
func (k *kit) absorb(x *explanation) {
	k.runs++
	k.stuck = k.stuck || x.stuck
	k.mutation.add(true, x.changed)
	p := x.probe
	backwards := p.backwards()
	p.mu.Lock()
	defer p.mu.Unlock()
	for need := range p.used {
		k.used[need] = true
	}
	k.progress.add(len(p.progress) > 0, backwards)
	if p.logged > maxLog && p.logging == "" {
		p.logging = fmt.Sprintf("%d bytes in one run, and the host keeps %d", p.logged, maxLog)
	}
	k.log.add(p.logged > 0, p.logging)
}

func (f *finding) add(seen bool, wrong string) {
	if seen {
		f.seen++
	}
	if f.wrong == "" {
		f.wrong = wrong
	}
}

// calls returns the names of the host's calls of a run.
func (x *explanation) calls() []string {
	x.probe.mu.Lock()
	defer x.probe.mu.Unlock()
	return slices.Clone(x.probe.calls)
}

// failure says how a run ended that has no explanation, or one that is not
// valid; empty where it has.
func (k *kit) failure(x *explanation) string {
	switch {
	case x.late:
		return fmt.Sprintf("it ran longer than %v", k.options.Timeout)
	case x.err != nil:
		return describe(x.err)
	}
	if err := Validate(x.Explanation, x.request); err != nil {
		return "a result that is not valid: " + err.Error()
	}
	return ""
}

// describe returns an error with its code.
func describe(err error) string {
	if code := codeOf(err); code != 0 {
		return fmt.Sprintf("%v: %v", code, err)
	}
	return err.Error()
}

// codeOf returns the class of an error, 0 where it has none.
func codeOf(err error) sdk.Errno {
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		return e.Code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return sdk.ECancelled
	}
	return 0
}

// mendable are the codes of what a user can do something about.
var mendable = []sdk.Errno{sdk.EInvalid, sdk.ERange, sdk.ENoMem, sdk.EQuota, sdk.EUnsupported, sdk.EName}

// refusal reports whether an error is the method's refusal of its input: of a
// class that the user can mend, with a message.
func refusal(err error) bool {
	return slices.Contains(mendable, codeOf(err)) && err.Error() != codeOf(err).String()
}

// reference returns the explanation of the base text, and a verdict where there
// is no valid one, with which all ends that needs it.
func (k *kit) reference() (*explanation, *verdict) {
	if k.invalid != nil {
		v := skipped("there are no parameters to run it with")
		return nil, &v
	}
	if k.first == nil {
		k.first = k.explain(job{session: k.open(transformer, baseText)})
	}
	if k.failure(k.first) != "" {
		v := skipped("there is no valid explanation of a text: see parameters/defaults and results/valid")
		return nil, &v
	}
	return k.first, nil
}

// steady is reference, for what compares bits.
func (k *kit) steady() (*explanation, *verdict) {
	x, v := k.reference()
	if v == nil && k.unsteady {
		v = &verdict{Skip, "the method gives other bits in every run"}
	}
	return x, v
}

// copied returns a request that shares nothing with r but its functions.
func copied(r *sdk.Request) *sdk.Request {
	c := *r
	c.Tokens = slices.Clone(r.Tokens)
	c.Target.Positions = slices.Clone(r.Target.Positions)
	c.Units = slices.Clone(r.Units)
	for i := range c.Units {
		u := &c.Units[i]
		u.Spans, u.Tokens = slices.Clone(u.Spans), slices.Clone(u.Tokens)
	}
	if r.TextPair != nil {
		pair := *r.TextPair
		c.TextPair = &pair
	}
	c.Params = maps.Clone(r.Params)
	return &c
}

// change returns what of a request is no longer as it was.
func change(before, r *sdk.Request) string {
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"Text", before.Text, r.Text}, {"TextPair", before.TextPair, r.TextPair}, {"Tokens", before.Tokens, r.Tokens},
		{"Units", before.Units, r.Units}, {"Target", before.Target, r.Target}, {"Seed", before.Seed, r.Seed}, {"Params", before.Params, r.Params},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			return "Request." + f.name
		}
	}
	return ""
}
