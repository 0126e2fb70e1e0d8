package engine

import (
	"context"
	"sync"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// Output is the result of a forward.
type Output = arch.Output

// Tensor is a captured value in the number format of the model.
type Tensor = arch.Tensor

// ForwardOption asks a forward for more than the logits.
type ForwardOption func(*request)

type request struct {
	hiddenStates, attentions bool
	progress                 func(done, total int)
}

// HiddenStates asks for the residual stream: Output.HiddenStates has the
// embeddings and then the output of every layer, each [tokens, hidden].
func HiddenStates() ForwardOption { return func(r *request) { r.hiddenStates = true } }

// Attentions asks for the attention patterns: Output.Attentions has, for every
// layer and sequence, [heads, query, key].
func Attentions() ForwardOption { return func(r *request) { r.attentions = true } }

// Progress has f called with the number of sequences done and their total,
// each time some are. Calls come one at a time, from any goroutine, and the
// forward waits for them.
func Progress(f func(done, total int)) ForwardOption {
	return func(r *request) { r.progress = f }
}

// Forward runs all sequences of the input through the model. It returns an
// [*InputError] for what the model cannot take, a [*MemoryError] for what
// cannot fit, and the error of ctx soon after it is cancelled.
func (m *Model) Forward(ctx context.Context, in Input, opts ...ForwardOption) (*Output, error) {
	var r request
	for _, option := range opts {
		option(&r)
	}
	if m.closed.Load() {
		return nil, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	batch, err := in.batch(m.info)
	if err != nil {
		return nil, err
	}
	results := r.bytes(m.info, batch)
	p, err := m.plan(batch, results)
	if err != nil {
		return nil, err
	}
	held, err := m.runners.take(ctx, p.size, p.runners, results)
	if err != nil {
		return nil, err
	}
	defer m.runners.put(held)
	out := r.output(m.info, batch)
	if err := m.run(ctx, p, held.runners, batch, out, r.progress); err != nil {
		return nil, err
	}
	return out, nil
}

// bytes returns the size of what the request returns.
func (r *request) bytes(info Info, b arch.Batch) int64 {
	n := int64(b.Sequences()) * int64(len(info.Labels)) * 8
	if r.hiddenStates {
		n += int64(info.Layers+1) * int64(b.Rows()) * int64(info.Hidden) * info.DType.Size()
	}
	if r.attentions {
		for i := range b.Sequences() {
			lo, hi := b.Range(i)
			n += int64(info.Layers) * int64(info.Heads) * int64(hi-lo) * int64(hi-lo) * info.DType.Size()
		}
	}
	return n
}

// output allocates what the request returns.
func (r *request) output(info Info, b arch.Batch) *Output {
	out := &Output{Classes: len(info.Labels), Logits: make([]float64, b.Sequences()*len(info.Labels))}
	if r.hiddenStates {
		for range info.Layers + 1 {
			out.HiddenStates = append(out.HiddenStates, arch.NewTensor(info.DType, b.Rows(), info.Hidden))
		}
	}
	if r.attentions {
		for range info.Layers {
			var layer []Tensor
			for i := range b.Sequences() {
				lo, hi := b.Range(i)
				layer = append(layer, arch.NewTensor(info.DType, info.Heads, hi-lo, hi-lo))
			}
			out.Attentions = append(out.Attentions, layer)
		}
	}
	return out
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
	groups  [][2]int // sequences [lo, hi)
	size    arch.Size
	runners int
	shared  bool // all threads work on one group, and groups follow each other
}

// plan chooses how to use the threads. Where there are sequences enough, each
// thread takes groups through all layers by itself and no thread ever waits for
// another. Where there are not, or where memory is too small for that, all
// threads share the work on one group, if it is worth it.
func (m *Model) plan(b arch.Batch, results int64) (plan, error) {
	threads := m.pool.Threads()
	rounds := (b.Rows() + threads*groupRows - 1) / (threads * groupRows)
	even := (b.Rows() + threads*max(rounds, 1) - 1) / (threads * max(rounds, 1))
	p := plan{groups: partition(b, even), runners: threads}
	p.size = size(b, p.groups, 1)
	if len(p.groups) >= threads && m.runners.fits(p.size, p.runners, results) {
		return p, nil
	}
	shared := threads > 1 && b.Rows()*m.info.Hidden*m.info.Hidden >= shareFrom
	for _, rows := range []int{threads * groupRows, 1} {
		p = plan{groups: partition(b, rows), runners: 1, shared: shared}
		p.size = size(b, p.groups, threads)
		if m.runners.fits(p.size, p.runners, results) {
			return p, nil
		}
	}
	return p, &MemoryError{
		What:   "the weights and this forward",
		Need:   m.runners.weights + results + int64(p.runners)*m.network.RunnerBytes(p.size),
		Budget: m.runners.budget,
	}
}

// partition cuts a batch into groups of consecutive sequences of at most the
// given number of tokens, or of one longer sequence.
func partition(b arch.Batch, rows int) [][2]int {
	var groups [][2]int
	for lo, n := 0, b.Sequences(); lo < n; {
		hi := lo + 1
		for hi < n && b.Starts[hi+1]-b.Starts[lo] <= rows {
			hi++
		}
		groups = append(groups, [2]int{lo, hi})
		lo = hi
	}
	return groups
}

// size returns the size of a runner for any of the groups, rounded up so that
// requests of about the same size can use the same one.
func size(b arch.Batch, groups [][2]int, threads int) arch.Size {
	const step = 64
	s := arch.Size{Threads: threads}
	for _, g := range groups {
		s.Rows = max(s.Rows, b.Starts[g[1]]-b.Starts[g[0]])
	}
	for i := range b.Sequences() {
		s.Longest = max(s.Longest, b.Starts[i+1]-b.Starts[i])
	}
	s.Rows = (s.Rows + step - 1) / step * step
	s.Longest = (s.Longest + step - 1) / step * step
	return s
}

// run runs the groups of a plan.
func (m *Model) run(ctx context.Context, p plan, runners []arch.Runner, b arch.Batch, out *Output, progress func(done, total int)) error {
	var mu sync.Mutex
	done := 0
	report := func(sequences int) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			done += sequences
			progress(done, b.Sequences())
		}
	}
	one := func(runner arch.Runner, pool *parallel.Pool, group [2]int) error {
		if err := runner.Forward(ctx, pool, b.Slice(group[0], group[1]), out); err != nil {
			return err
		}
		report(group[1] - group[0])
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
