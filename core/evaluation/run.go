package evaluation

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/internal/random"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// Method is a method to evaluate.
type Method struct {
	Label  string // names it in results; empty for Name
	Name   string
	Params map[string]string
}

// Text is one text to evaluate on.
type Text struct {
	ID     string
	Input  core.Input
	Label  string  // the class that it has, if anybody knows
	Target string  // what is explained; empty for Options.Target
	Marked bool    // a human has marked a rationale, perhaps an empty one
	Ranges []Range // that rationale, in bytes of the first text
	// Given are scores to evaluate: an explanation, or a list of one score a unit,
	// or a token.
	Given  *core.Explanation
	Scores []float64
}

// Options say what is run. Those that core.Request has too mean what they do there, and
// are given to every explanation.
type Options struct {
	Settings
	Methods []Method // none where texts bring scores
	Target  string   // of texts that name none
	Output  sdk.Output
	Units   string // UnitsWord where it is empty
	Seed    uint64
	Runtime string
	Timeout time.Duration // of each explanation
	Fuel    int64         // of each explanation
	// Progress is told how much is done of how much: one call at a time, from any
	// goroutine.
	Progress func(done, total int)
	// Log receives what methods log, and why a measure is left out.
	Log func(level sdk.Level, message string)
}

// scored reports whether the text brings scores.
func (t *Text) scored() bool { return t.Given != nil || t.Scores != nil }

// given is the label of scores that were given as a list.
const given = "scores"

// Run evaluates methods, or given scores, on texts. What a user can do something about
// is a *core.Error.
func Run(ctx context.Context, h *core.Host, m *core.Model, texts []Text, o Options) (*Evaluation, error) {
	begin := time.Now()
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return nil, input("there is no text to evaluate on", "give a text, or a corpus with one at least")
	}
	asked := o.Units
	o.Units = cmp.Or(o.Units, core.UnitsWord)
	ref, err := m.Ref(ctx)
	if err != nil {
		return nil, err
	}
	r := &run{host: h, model: m, Options: o, asked: asked, share: meanShare(texts)}
	r.result = &Evaluation{Schema: Schema, Model: ref, Settings: o.Settings}
	r.Methods = slices.Clone(o.Methods)
	for i, method := range o.Methods {
		r.Methods[i].Label = cmp.Or(method.Label, method.Name)
		for _, other := range r.Methods[:i] {
			if other.Label == r.Methods[i].Label {
				return nil, usage("the method "+other.Label+" is there twice", "name each once, or with other parameters")
			}
		}
	}
	scored := texts[0].scored()
	if !scored && len(o.Methods) == 0 {
		return nil, usage("there is nothing to evaluate", "name a method, or give scores")
	}
	for _, t := range texts {
		if t.scored() != scored {
			return nil, input("some texts bring scores, and some do not", "give scores for all of them, or for none")
		}
	}
	r.parts = len(texts) * len(o.Methods)
	if scored {
		r.parts += len(texts)
	}
	for i, t := range texts {
		if t.ID == "" {
			t.ID = strconv.Itoa(i)
		}
		if err := r.text(ctx, i, t); err != nil {
			if len(texts) > 1 {
				err = within(t.ID, err)
			}
			return nil, err
		}
	}
	if err := r.aggregate(ctx); err != nil {
		return nil, err
	}
	r.unread()
	r.missing(texts)
	e := r.result
	info := m.Engine()
	e.Provenance = Provenance{
		XAI: core.Version, Kernel: info.Kernel(), DType: string(info.Info().DType), Seed: o.Seed, Units: o.Units,
		WallSeconds: time.Since(begin).Seconds(),
	}
	return e, nil
}

// within says which text of a corpus an error is about.
func within(id string, err error) error {
	if e, ok := err.(*core.Error); ok {
		about := *e
		about.Msg = "text " + id + ": " + e.Msg
		return &about
	}
	return err
}

// run is an evaluation under way.
type run struct {
	host  *core.Host
	model *core.Model
	Options
	asked  string  // units, where somebody asked for any
	share  float64 // of words that are marked, over the corpus
	result *Evaluation

	done, parts int   // of the work: one for each method on each text
	runs        *Runs // of the method that is under evaluation
	warned      map[string]bool
	elsewhere   int64 // rows run that are counted already
}

// progress returns what tells that part of the current part is done.
func (r *run) progress() func(done, total int) {
	if r.Progress == nil {
		return nil
	}
	const fine = 1000
	return func(done, total int) {
		if total > 0 {
			r.Progress(r.done*fine+min(done, total)*fine/total, r.parts*fine)
		}
	}
}

// warn tells the log something once.
func (r *run) warn(message string) {
	if r.warned[message] {
		return
	}
	if r.warned == nil {
		r.warned = map[string]bool{}
	}
	r.warned[message] = true
	if r.Log != nil {
		r.Log(sdk.Warning, message)
	}
}

// random returns the numbers for one purpose on the i-th text.
func (r *run) random(i int, purpose string) *num.Rand {
	return num.NewRand(random.New(r.Seed, fmt.Sprint("evaluation of text ", i), purpose))
}

// counted adds the rows that the model runs meanwhile to some, but for those that
// a further call within f counts.
func (r *run) counted(to *Rows, f func() error) error {
	before, outer := r.model.Rows(), r.elsewhere
	r.elsewhere = 0
	err := f()
	ran := r.model.Rows() - before
	to.Ran += ran - r.elsewhere
	r.elsewhere = outer + ran
	return err
}

// plus adds the rows of another run.
func (r *Runs) plus(other Runs) {
	r.Explaining.Asked += other.Explaining.Asked
	r.Explaining.Ran += other.Explaining.Ran
	r.Measuring.Asked += other.Measuring.Asked
	r.Measuring.Ran += other.Measuring.Ran
}

// subject is a text under evaluation.
type subject struct {
	*document
	number  int // among the texts
	text    Text
	all     []*players // what was measured so far
	counted int64      // rows that are counted already
	result  TextResult
}

// text evaluates every method on the i-th text.
func (r *run) text(ctx context.Context, i int, t Text) error {
	x, err := r.open(ctx, i, t)
	if err != nil {
		return err
	}
	r.accuracy(t.Label, x.result.Predicted)
	if t.scored() {
		r.runs = &Runs{}
		p, ref, err := x.given(&t)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(r.Methods, func(m Method) bool { return m.Label == ref.Label }) {
			ref.Label += " (given)"
		}
		r.name(len(x.all), ref)
		if err := r.score(ctx, x, ref.Label, p, nil); err != nil {
			return err
		}
	}
	for _, method := range r.Methods {
		var e *explained
		r.runs = &Runs{}
		err := r.counted(&r.runs.Explaining, func() (err error) {
			e, err = r.explain(ctx, i, x.document, method)
			return err
		})
		if err != nil {
			return err
		}
		r.name(len(x.all), e.ref)
		if err := r.score(ctx, x, method.Label, e.players, e.values); err != nil {
			return err
		}
	}
	if r.Has(Agreements) {
		x.agree()
	}
	r.result.Texts = append(r.result.Texts, x.result)
	return nil
}

// open prepares the i-th text: as the explanation that it brings was made, where it
// brings one.
func (r *run) open(ctx context.Context, i int, t Text) (*subject, error) {
	long, target := r.Long, cmp.Or(t.Target, r.Target)
	o := r.Options
	if t.Given != nil {
		if len(t.Given.Input.Dropped) > 0 {
			long = LongCut // what it explains was cut
		}
		target, o.Output = t.Given.Target.Expr, sdk.Output(t.Given.Target.Output)
		o.Units = cmp.Or(t.Given.Provenance.Units, o.Units)
	}
	var d *document
	err := r.counted(&r.result.Runs.Measuring, func() (err error) {
		d, err = open(ctx, r.model, t.Input, &o, target, long)
		return err
	})
	if err != nil {
		return nil, err
	}
	x := &subject{document: d, number: i, text: t, counted: d.asked()}
	r.result.Runs.Measuring.Asked += x.counted
	out := &x.result
	*out = TextResult{ID: t.ID, Text: t.Input.Text, TextPair: t.Input.Pair, Label: t.Label, Target: d.target(), Rationale: t.Ranges}
	if d.output.probs != nil {
		out.Predicted = r.model.Info().Labels[d.output.predicted()]
	}
	for _, w := range d.windows {
		out.Windows = append(out.Windows, Window{w.start, w.end, len(w.Request().Tokens), w.weight})
		out.Dropped += w.Dropped()
		out.Unknown += w.Unknown()
	}
	return x, nil
}

// score measures the scores of a method, or given ones, and adds own, the measures that
// took further explanations.
func (r *run) score(ctx context.Context, x *subject, label string, p *players, own map[string]float64) error {
	x.all = append(x.all, p)
	var result Result
	err := r.counted(&r.runs.Measuring, func() (err error) {
		result, err = r.measure(ctx, x.number, label, p, &x.text)
		return err
	})
	if err != nil {
		return err
	}
	for name, v := range own {
		if !math.IsNaN(v) {
			result.Values[name] = core.Float(v)
		}
	}
	r.runs.Measuring.Asked += x.asked() - x.counted
	x.counted = x.asked()
	result.Runs = *r.runs
	r.result.Runs.plus(result.Runs)
	x.result.Methods = append(x.result.Methods, result)
	r.done++
	return nil
}

// agree says how each pair of methods agrees that have scored the same units.
func (x *subject) agree() {
	for b := range x.all {
		for a := range b {
			if sameUnits(x.all[a], x.all[b]) {
				x.result.Agreement = append(x.result.Agreement, Agreement{
					A: x.result.Methods[a].Method, B: x.result.Methods[b].Method, Values: agreement(x.all[a].scores, x.all[b].scores),
				})
			}
		}
	}
}

// name notes which methods were run.
func (r *run) name(k int, ref MethodRef) {
	if k == len(r.result.Methods) {
		r.result.Methods = append(r.result.Methods, ref)
	}
}

// explained is a method's explanation of a document.
type explained struct {
	*players
	ref    MethodRef
	values map[string]float64 // measures that took further explanations
}

// explain runs a method on each window of a document.
func (r *run) explain(ctx context.Context, i int, d *document, method Method) (*explained, error) {
	x := &explained{players: &players{document: d}, values: map[string]float64{}}
	_, info, err := r.host.Method(method.Name)
	if err != nil {
		return nil, err
	}
	params := maps.Clone(method.Params)
	detailed := slices.ContainsFunc(info.Params, func(p sdk.Param) bool { return p.Name == paramDetailed })
	if r.Has(Embedding) && detailed {
		if params == nil {
			params = map[string]string{}
		}
		params[paramDetailed] = "true"
	}
	progress := r.progress()
	for k, w := range d.windows {
		request := core.Request{
			Input: w.input, Method: method.Name, Params: params, Target: w.Request().Target.Expr, Output: w.Request().Target.Output,
			Units: r.asked, Seed: r.Seed, Runtime: r.Runtime, Timeout: r.Timeout, Fuel: r.Fuel, Log: r.Log,
		}
		if progress != nil {
			request.Progress = func(done, total int) { progress(k*total+done, len(d.windows)*total) }
		}
		e, err := r.explanation(ctx, request)
		if err != nil {
			return nil, err
		}
		x.ref = MethodRef{method.Label, e.Method.Name, e.Method.Version, e.Method.SHA256, e.Method.Runtime, e.Method.Params}
		delete(x.ref.Params, paramDetailed)
		units, scores, err := w.scores(e)
		if err != nil {
			return nil, err
		}
		x.add(units, w)
		for _, v := range scores {
			x.scores = append(x.scores, w.weight*v)
		}
		if r.Has(Sensitivity) {
			v, err := r.sensitivity(ctx, i, w, request, scores)
			if err != nil {
				return nil, err
			}
			if before, ok := x.values[sensitivityMax]; ok {
				v = largest(before, v)
			}
			x.values[sensitivityMax] = v
		}
		if r.Has(Embedding) && detailed {
			if err := r.embedding(ctx, i, w, request, e, x.values); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

// explanation explains an input, and counts what is asked for it: the method's
// rows and the input itself.
func (r *run) explanation(ctx context.Context, request core.Request) (*core.Explanation, error) {
	before := r.model.Rows()
	e, err := r.host.Explain(ctx, r.model, request)
	if err != nil {
		r.runs.Explaining.Asked += r.model.Rows() - before // as far as it came
		return nil, err
	}
	r.runs.Explaining.Asked += 1 + int64(e.Diagnostics[core.DiagEvaluations])
	return e, nil
}

// scores returns the units of an explanation of this window, with their scores:
// the first attributions. Where these are of tokens, they are summed over the
// window's own units.
func (w *window) scores(e *core.Explanation) ([]sdk.Unit, []float64, error) {
	if len(e.Attributions) == 0 {
		return nil, nil, input("the explanation has no attributions", "")
	}
	a := e.Attributions[0]
	if a.Over != sdk.OverUnits {
		tokens := make([]float64, len(a.Values))
		for i, v := range a.Values {
			tokens[i] = float64(v)
		}
		scores, err := w.sums(tokens)
		return w.Request().Units, scores, err
	}
	var units []sdk.Unit
	var scores []float64
	own := w.Request()
	if len(a.Values) != len(e.Input.Units) {
		return nil, nil, input("the explanation has "+strconv.Itoa(len(a.Values))+" scores for "+strconv.Itoa(len(e.Input.Units))+" units", "give one score a unit")
	}
	for i, u := range e.Input.Units {
		if len(u.Tokens) == 1 && u.Tokens[0] >= 0 && u.Tokens[0] < len(own.Tokens) && (own.Tokens[u.Tokens[0]].Special || own.Tokens[u.Tokens[0]].Fixed) {
			continue // of token ids, where they have scores, too
		}
		unit := sdk.Unit{Text: u.Text, Tokens: u.Tokens}
		for _, s := range u.Spans {
			unit.Spans = append(unit.Spans, sdk.Span(s))
		}
		if len(u.Spans) == 0 && own.Text != "" {
			unit.Spans = []sdk.Span{{Sequence: u.Sequence, Start: u.Start, End: u.End}}
		}
		units, scores = append(units, unit), append(scores, float64(a.Values[i]))
	}
	return units, scores, w.check(units, scores)
}

// check refuses units that are not of this window, and scores that are no
// numbers.
func (w *window) check(units []sdk.Unit, scores []float64) error {
	if len(units) == 0 || len(units) != len(scores) {
		return input("the explanation has "+strconv.Itoa(len(scores))+" scores for "+strconv.Itoa(len(units))+" units", "give one score a unit")
	}
	for i, v := range scores {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return input("score "+strconv.Itoa(i)+" is not a finite number", "give finite scores")
		}
	}
	tokens := len(w.Request().Tokens)
	texts := []string{w.Request().Text}
	if w.Request().TextPair != nil {
		texts = append(texts, *w.Request().TextPair)
	}
	for i, u := range units {
		for _, t := range u.Tokens {
			if t < 0 || t >= tokens {
				return input("unit "+strconv.Itoa(i)+" has a token that the text does not have", "give the explanation of this text by this model")
			}
		}
		for _, s := range u.Spans {
			if s.Sequence < 0 || s.Sequence >= len(texts) || s.Start < 0 || s.End < s.Start || s.End > len(texts[s.Sequence]) {
				return input("unit "+strconv.Itoa(i)+" lies outside of the text", "give the explanation of this text by this model")
			}
		}
	}
	return nil
}

// sums adds scores of tokens up over the units of the window.
func (w *window) sums(tokens []float64) ([]float64, error) {
	request := w.Request()
	if len(tokens) != len(request.Tokens) {
		return nil, input("there are "+strconv.Itoa(len(tokens))+" scores of tokens, and the text has "+strconv.Itoa(len(request.Tokens)), "give one score a token, special ones included")
	}
	scores := make([]float64, len(request.Units))
	for i, u := range request.Units {
		for _, t := range u.Tokens {
			scores[i] += tokens[t]
		}
	}
	return scores, w.check(request.Units, scores)
}

// given returns the players of scores that were given.
func (d *document) given(t *Text) (*players, MethodRef, error) {
	p := &players{document: d}
	if x := t.Given; x != nil {
		w := d.windows[0]
		if len(d.windows) > 1 {
			return nil, MethodRef{}, input("the explanation is of a text that fits a model, and this one does not", "give the explanation of this text by this model")
		}
		units, scores, err := w.scores(x)
		p.add(units, w)
		p.scores = scores
		return p, MethodRef{Label: x.Method.Name, Name: x.Method.Name, Version: x.Method.Version, SHA256: x.Method.SHA256, Runtime: x.Method.Runtime, Params: x.Method.Params}, err
	}
	tokens, plain := 0, 0
	for _, w := range d.windows {
		p.add(w.Request().Units, w)
		for _, k := range w.Request().Tokens {
			tokens++
			if !k.Special && !k.Fixed {
				plain++
			}
		}
	}
	ref := MethodRef{Label: given, Name: given}
	switch len(t.Scores) {
	case p.n:
		p.scores = t.Scores
	case tokens, plain:
		at := 0
		for _, w := range d.windows {
			values := make([]float64, len(w.Request().Tokens))
			for k, token := range w.Request().Tokens {
				if len(t.Scores) == tokens || !token.Special && !token.Fixed {
					values[k] = t.Scores[at]
					at++
				}
			}
			scores, err := w.sums(values)
			if err != nil {
				return nil, ref, err
			}
			p.scores = append(p.scores, scores...)
		}
	default:
		return nil, ref, input(
			fmt.Sprintf("there are %d scores, and the text has %d units, and %d tokens of which %d are not special", len(t.Scores), p.n, tokens, plain),
			"give one score a unit of --units, or a token",
		)
	}
	at := 0
	for k, w := range d.windows {
		if err := w.check(p.units[k], p.scores[at:at+len(p.units[k])]); err != nil {
			return nil, ref, err
		}
		at += len(p.units[k])
	}
	return p, ref, nil
}

// measure measures the scores of players, and random orders beside them.
func (r *run) measure(ctx context.Context, i int, label string, p *players, t *Text) (Result, error) {
	result := Result{Method: label, Scores: core.Floats(p.scores), Values: map[string]core.Float{}}
	truth := p.truth(t)
	result.Units = p.describe(truth)
	positive := 0
	for _, v := range p.scores {
		if v > 0 {
			positive++
		}
	}
	c, err := r.common(ctx, i, p, positive)
	if err != nil {
		return result, err
	}
	// also measures what reads the scores themselves.
	also := func(m measured, scores []float64, order []int) {
		if c.drops != nil {
			c.drops.infidelity(scores, m.values)
		}
		if c.alone != nil {
			m.values[looKendall] = metric.Kendall(c.alone, scores)
		}
		if truth != nil && r.Has(Plausibility) {
			r.plausible(truth, scores, order, m.values)
		}
	}
	order := metric.Order(p.scores)
	own := measured{values: map[string]float64{}}
	if r.Has(Faithfulness) {
		if own, err = p.faithfulness(ctx, &r.Settings, order, positive); err != nil {
			return result, err
		}
	}
	also(own, p.scores, order)
	result.Points, result.Curves = own.points, own.curves
	spread := map[string][]float64{}
	for k, order := range c.orders {
		m := measured{values: maps.Clone(c.values[k])}
		also(m, rearranged(p.scores, order), order)
		for name, v := range m.values {
			spread[name] = append(spread[name], v)
		}
	}
	if r.Has(Sparsity) {
		own.values[gini], own.values[entropy] = metric.Gini(p.scores), metric.Entropy(p.scores)
	}
	for name, v := range own.values {
		if !math.IsNaN(v) {
			result.Values[name] = core.Float(v)
		}
	}
	for name, values := range spread {
		if s, ok := spreadOf(values); ok {
			if result.Random == nil {
				result.Random = map[string]Spread{}
			}
			result.Random[name] = s
		}
	}
	return result, nil
}

// common returns what no score changes: what the absence of sets of the players'
// units does, and what random orders of them get. It is evaluated once for all
// methods that score the same units.
func (r *run) common(ctx context.Context, i int, p *players, positive int) (*common, error) {
	if !r.Positive {
		positive = p.n
	}
	for _, c := range p.common {
		if sameUnits(c.of, p) && c.positive == positive {
			return c, nil
		}
	}
	c := &common{of: p, positive: positive}
	var err error
	if r.Has(Infidelity) && r.Samples > 0 {
		if c.drops, err = p.drop(ctx, &r.Settings, r.random(i, "drops")); err != nil {
			return nil, err
		}
	}
	if r.Has(LeaveOneOut) {
		if c.alone, err = p.leaveOneOut(ctx, r.fill()); err != nil {
			return nil, err
		}
	}
	draws := r.random(i, "orders")
	for range r.Random {
		order, values := draws.Perm(p.n), map[string]float64{}
		if r.Has(Faithfulness) {
			m, err := p.faithfulness(ctx, &r.Settings, order, positive)
			if err != nil {
				return nil, err
			}
			values = m.values
		}
		c.orders, c.values = append(c.orders, order), append(c.values, values)
	}
	p.common = append(p.common, c)
	return c, draws.Err()
}

// describe describes the units, in offsets of the whole text.
func (p *players) describe(truth []bool) []Unit {
	var out []Unit
	for w, units := range p.units {
		for _, u := range units {
			d := Unit{Text: u.Text}
			if len(u.Spans) > 0 {
				d.Sequence, d.Start, d.End = u.Spans[0].Sequence, u.Spans[0].Start, u.Spans[0].End
				if len(p.windows) > 1 {
					d.Start += p.windows[w].start
					d.End += p.windows[w].start
				}
			}
			d.Rationale = truth != nil && truth[len(out)]
			out = append(out, d)
		}
	}
	return out
}
