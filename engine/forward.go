package engine

import (
	"context"
	"slices"
	"sync"
	"weak"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/parallel"
	"github.com/xai-go/xai/engine/internal/tape"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/engine/result"
)

// What a forward is given and returns; package result has their fields.
type (
	// Output is the result of a forward.
	Output = result.Output
	// Activation is the selected part of a point.
	Activation = result.Activation
	// Tensor is a value in the number format of the model.
	Tensor = result.Tensor
	// Objective is a scalar of a sequence's logits with its gradient at them.
	Objective = result.Objective
)

// ForwardOption asks a forward for more than the logits, or for less work.
type ForwardOption func(*request)

type request struct {
	tape.Request
	objective Objective
	separate  bool // no sequence uses what another one has computed
	apart     bool // no token does
	progress  func(done, total int)

	// What begin settles.
	network  tape.Network
	wide     bool // the network computes in double precision, and the model does not
	batch    tape.Batch
	results  int64      // bytes of what is returned and kept
	trie     bool       // the batch is run as a trie
	distinct tape.Batch // the distinct tokens, with Reuse
	tables   int64      // bytes of what they share
}

// Capture returns the selected values in Output.Values, in this order.
func Capture(selections ...point.Selection) ForwardOption {
	return func(r *request) { r.Captures = append(r.Captures, selections...) }
}

// Edits changes values on the way: whatever is computed from them sees the
// change, gradients included. They are applied in order.
func Edits(edits ...point.Edit) ForwardOption {
	return func(r *request) { r.Request.Edits = append(r.Request.Edits, edits...) }
}

// Gradients differentiates the objective of each sequence with respect to the
// selected values, as those who read them see them: after edits. The results
// are Output.Objectives and, in this order, Output.Gradients.
func Gradients(objective Objective, selections ...point.Selection) ForwardOption {
	return func(r *request) {
		r.objective = objective
		r.Request.Gradients = append(r.Request.Gradients, selections...)
	}
}

// Rule says how [Gradients] are passed back.
type Rule = tape.Rule

// The rules.
const (
	// Gradient is the chain rule, and the default.
	Gradient = tape.Gradient
	// LRPAlpha1 is layer-wise relevance propagation by the rules of Chefer, Gur
	// and Wolf, CVPR 2021: see [Propagate].
	LRPAlpha1 = tape.LRPAlpha1
)

// Propagate passes the objectives of [Gradients] back by a rule in the place of
// the chain rule: Output.Gradients then hold relevance, which begins at the
// logits with the objective's gradient there. Its sum is kept on the way, but for
// what reaches nothing: a value that is 0. It takes the weights of linear layers
// four times more. Not all models and points have one: [Rule.Check] tells, and
// nothing may be edited.
//
// Relevance is made of quotients by sums that may be nearly 0, so that what rounds
// in single precision is left with about three digits. Models of up to 2²⁴ weights
// therefore compute all of such a forward, logits included, in double precision,
// and round what they return; their weights are then held in double precision too.
func Propagate(rule Rule) ForwardOption { return func(r *request) { r.Rule = rule } }

// Recompute makes gradients from less memory: only what passes from layer to
// layer is kept, and the rest of a layer computed a second time. The bits are
// the same. It is also what Forward falls back to where memory is short.
func Recompute() ForwardOption { return func(r *request) { r.Request.Recompute = true } }

// WithoutLogits leaves the logits out, and with them all that nothing asked for
// is computed from.
func WithoutLogits() ForwardOption { return func(r *request) { r.Logits = false } }

// AllRows computes the last layers at every token even where the head reads few
// of them. The bits are the same; it is there to measure what that costs.
func AllRows() ForwardOption { return func(r *request) { r.KeepRows = true } }

// Separately runs every sequence of a causal model by itself, also where it
// begins like another. The bits are the same; it is there to measure what that
// costs.
func Separately() ForwardOption { return func(r *request) { r.separate = true } }

// EveryToken computes the first layer's queries, keys and values for every token
// by itself, also where thousands are alike. The bits are the same; it is there
// to measure what that costs.
func EveryToken() ForwardOption { return func(r *request) { r.apart = true } }

// Progress has f called with the number of sequences done and their total,
// each time some are. Calls come one at a time, from any goroutine, and the
// forward waits for them. f must not run a forward of the same model or of a copy: it may
// wait for ever for memory that this one holds.
func Progress(f func(done, total int)) ForwardOption {
	return func(r *request) { r.progress = f }
}

// Forward runs all sequences of the input through the model. It returns an
// [*InputError] for what the model cannot take, a [*point.MismatchError] for what cannot
// be read, edited or differentiated, a [*MemoryError] for what cannot fit,
// [ErrClosed] after Close, and the error of ctx soon after it is cancelled.
func (m *Model) Forward(ctx context.Context, in Input, opts ...ForwardOption) (*Output, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := m.begin(in, opts)
	if err != nil {
		return nil, err
	}
	program, p, err := m.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	held, err := m.runners.take(ctx, program, p.size, p.runners, r.results+r.tables)
	if err != nil {
		return nil, err
	}
	defer m.runners.put(held)
	if r.Reuse {
		if err := m.shareFirst(ctx, r, p, held); err != nil {
			return nil, err
		}
	}
	out := r.output(m.format(r), r.batch)
	own(in.Keep, weak.Pointer[Model]{})
	if err := m.run(ctx, p, held.runners, r, out); err != nil {
		return nil, err
	}
	own(in.Keep, weak.Make(m))
	if r.wide {
		return out.Single(), nil
	}
	return out, nil
}

// begin checks a request and settles how it is run.
func (m *Model) begin(in Input, opts []ForwardOption) (*request, error) {
	r := &request{Request: tape.Request{Logits: true}}
	for _, option := range opts {
		option(r)
	}
	if m.closed.Load() {
		return nil, ErrClosed
	}
	r.Form = form(in)
	graph := m.network.Graph(r.Form)
	var err error
	if r.batch, err = in.batch(m.architecture, graph.Read); err != nil {
		return nil, err
	}
	r.AllReads = graph.Read.From == arch.Every && in.Reads == nil
	if err := m.checkPast(in, r, graph); err != nil {
		return nil, err
	}
	if err := r.check(graph, r.batch); err != nil {
		return nil, err
	}
	if m.info.DType == INT8 && len(r.Request.Gradients) > 0 {
		return nil, &point.MismatchError{Name: r.Request.Gradients[0].Name, Reason: "has no gradient in a model of 8 bits, which goes in steps: open it as " + string(F32)}
	}
	r.network, r.wide = m.network, m.doubles(r)
	r.results = r.bytes(m.info, r.batch) + keptBytes(m.info, graph, r.batch)
	if r.wide {
		r.results += r.bytes(m.format(r), r.batch)
	}
	r.trie = r.sharesPrefixes(graph, in)
	m.findAlike(r, in)
	return r, nil
}

// form tells which of the model's graphs an input needs.
func form(in Input) arch.Form {
	return arch.Form{Targets: in.Targets != nil, Memory: in.Memories != nil, Types: in.TypeIDs != nil}
}

// prepare plans a request, of which it makes the weights in double precision
// first; where it does not fit into the budget, without tables of tokens that are
// alike, and its gradients with values computed again.
func (m *Model) prepare(ctx context.Context, r *request) (tape.Program, plan, error) {
	if err := m.widen(ctx, r); err != nil {
		return nil, plan{}, err
	}
	for {
		program := m.program(r)
		if r.Reuse {
			first, _ := program.Shared()
			program = reusing{program, first}
		}
		p, err := m.plan(program, r.batch, r.results+r.tables, r.whole(), r.trie)
		switch {
		case err != nil && r.Reuse:
			r.forgetAlike()
		case err != nil && len(r.Request.Gradients) > 0 && !r.Request.Recompute:
			r.Request.Recompute = true
		default:
			return program, p, err
		}
	}
}

// program returns the plan of a request. Those that read nothing but logits
// are made once.
func (m *Model) program(r *request) tape.Program {
	if len(r.Captures)+len(r.Request.Edits)+len(r.Request.Gradients) > 0 {
		return r.network.Plan(&r.Request)
	}
	key := plainRequest{r.Form, r.Logits, r.AllReads, r.KeepRows, r.Reuse}
	m.plain.Lock()
	defer m.plain.Unlock()
	if m.plain.programs[key] == nil {
		if m.plain.programs == nil {
			m.plain.programs = map[plainRequest]tape.Program{}
		}
		m.plain.programs[key] = m.network.Plan(&r.Request)
	}
	return m.plain.programs[key]
}

// plainRequest is a request for logits.
type plainRequest struct {
	form                              arch.Form
	logits, allReads, keepRows, reuse bool
}

// whole tells whether the request reads or edits something that all sequences
// share, so that they must run together.
func (r *request) whole() bool {
	shared := func(s point.Selection) bool { return s.Point.Axes[0].Letter != "B" }
	return slices.ContainsFunc(r.Captures, shared) || slices.ContainsFunc(r.Request.Gradients, shared) ||
		slices.ContainsFunc(r.Request.Edits, func(e point.Edit) bool { return shared(e.Selection) })
}

// groupRows is the number of tokens that a thread takes through the whole
// model at a time: enough for the matrix products to run at full speed, few
// enough for their activations to stay in its cache.
const groupRows = 128

// shareFrom is the work, in multiplications of one hidden × hidden product over
// the tokens of a request, from which threads share a group: below it a thread
// is done before another has joined it. Measured on two cores.
const shareFrom = 1 << 20

// plan says how a request is cut into groups of sequences and who runs them.
type plan struct {
	groups  []tape.Batch
	size    tape.Size
	runners int
	shared  bool // all threads work on one group, and groups follow each other
}

// plan chooses how to use the threads. Where there are sequences enough, each
// thread takes groups through all layers by itself and no thread ever waits for
// another. Where there are not, or where memory is too small for that, all
// threads share the work on one group, if it is worth it. A whole request is
// one group; a trie is cut in tries.
func (m *Model) plan(program tape.Program, b tape.Batch, results int64, whole, trie bool) (plan, error) {
	threads := m.pool.Threads()
	groups := func(rows int) []tape.Batch {
		if trie {
			return tries(b, rows)
		}
		return partition(b, rows)
	}
	rounds := (b.Rows() + threads*groupRows - 1) / (threads * groupRows)
	even := (b.Rows() + threads*max(rounds, 1) - 1) / (threads * max(rounds, 1))
	if trie {
		even = prefixRows
	}
	p := plan{groups: groups(even), runners: threads}
	p.size = size(p.groups, 1)
	if len(p.groups) >= threads && !whole && m.runners.fits(program, p.size, p.runners, results) == nil {
		return p, nil
	}
	shared := threads > 1 && b.Rows()*m.info.Hidden*m.info.Hidden >= shareFrom
	limits := []int{threads * groupRows, 1}
	if whole {
		limits = []int{b.Rows()}
	}
	var err error
	for _, rows := range limits {
		p = plan{groups: groups(rows), runners: 1, shared: shared}
		p.size = size(p.groups, threads)
		if err = m.runners.fits(program, p.size, p.runners, results); err == nil {
			return p, nil
		}
	}
	return plan{}, err
}

// partition cuts a batch into groups of consecutive sequences of at most the
// given number of tokens, or of one longer sequence.
func partition(b tape.Batch, rows int) []tape.Batch {
	var groups []tape.Batch
	for lo, n := 0, b.Sequences(); lo < n; {
		hi := lo + 1
		for hi < n && b.Starts[hi+1]-b.Starts[lo] <= rows {
			hi++
		}
		groups = append(groups, b.Slice(lo, hi))
		lo = hi
	}
	return groups
}

// size returns the size of a runner for any of the groups, rounded up so that
// requests of about the same size can use the same one.
func size(groups []tape.Batch, threads int) tape.Size {
	var s tape.Size
	for _, g := range groups {
		s = s.Union(g.Size())
	}
	s.Threads = threads
	const step = 64
	for _, n := range []*int{&s.Tokens, &s.Longest, &s.Context, &s.Memory} {
		*n = (*n + step - 1) / step * step
	}
	for _, n := range []*int{&s.Sequences, &s.Reads, &s.Targets} {
		*n = (*n + 15) / 16 * 16
	}
	return s
}

// run runs the groups of a plan.
func (m *Model) run(ctx context.Context, p plan, runners []tape.Executor, r *request, out *Output) error {
	var mu sync.Mutex
	done := 0
	report := func(sequences int) {
		if r.progress != nil {
			mu.Lock()
			defer mu.Unlock()
			done += sequences
			r.progress(done, r.batch.Sequences())
		}
	}
	one := func(runner tape.Executor, pool *parallel.Pool, group tape.Batch) error {
		if err := runner.Forward(ctx, pool, group, r.objective, out); err != nil {
			return err
		}
		report(group.Sequences())
		return nil
	}
	if len(runners) == 1 {
		pool := m.pool
		if !p.shared {
			pool = nil
		}
		for _, group := range p.groups {
			if err := one(runners[0], pool, group); err != nil {
				return err
			}
		}
		return nil
	}
	var first error
	err := m.pool.For(ctx, len(p.groups), func(worker, i int) {
		if err := one(runners[worker], nil, p.groups[i]); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		}
	})
	if err != nil {
		return err
	}
	return first
}
