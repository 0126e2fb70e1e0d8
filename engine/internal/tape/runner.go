package tape

import (
	"context"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
	"github.com/xai-go/xai/engine/internal/parallel"
	"github.com/xai-go/xai/engine/result"
)

// Runner is the working memory of one group of sequences on its way through a
// plan. It is used by one goroutine at a time.
type Runner[T kernel.Float] struct {
	plan    *Plan[T]
	size    Size
	offsets []int
	memory  []T
	bytes   int64        // an upper bound of all that it holds
	scratch []scratch[T] // per worker
	jobs    []job
	// logits and dlogits are what an objective is given.
	logits, dlogits []float64
	// products are those of the phase that runs.
	products []nn.Product[T]

	// Of the group that is run.
	pool      *parallel.Pool
	batch     Batch
	out       *result.Output
	objective result.Objective
	sets      [arch.Context + 1]rows
}

// rows are the members of a row set in a group.
type rows struct {
	starts []int // of each sequence, and the end
	index  []int // of Reads and Targets: the position of each row within its sequence
	before []int // of Reads: the rows of each sequence that come before its own ones
}

// count returns the number of rows.
func (s *rows) count() int { return s.starts[len(s.starts)-1] }

// position returns the position of row i, which belongs to sequence seq, among
// the sequence's own rows. It is negative for a row that is read among those
// that came before.
func (s *rows) position(seq, i int) int {
	switch {
	case s.index == nil:
		return i - s.starts[seq]
	case s.before != nil:
		return s.index[i] - s.before[seq]
	}
	return s.index[i]
}

// blockRows is the number of rows that go through the steps of a phase
// together.
const blockRows = 16

// bind makes the runner one of a plan, for groups of a size. Of its old memory
// it keeps the buffers, where they are large enough and leave room for the rest
// within the larger of what it had and what it now needs.
func (r *Runner[T]) bind(p *Plan[T], size Size) {
	offsets, total := p.layout(size)
	aside := p.aside(size)
	memory, limit := r.memory, max(r.bytes, int64(total)*number[T]()+aside)
	if cap(memory) < total || int64(cap(memory))*number[T]()+aside > limit {
		memory = make([]T, total)
	}
	*r = Runner[T]{
		plan: p, size: size, offsets: offsets,
		memory: memory[:total], bytes: int64(cap(memory))*number[T]() + aside,
		scratch: make([]scratch[T], size.Threads),
	}
	r.jobs = grow(r.jobs, p.needs.jobs(size))
	for set := range r.sets {
		s := &r.sets[set]
		s.starts = grow(s.starts, size.Sequences+1)
	}
	r.sets[arch.Reads].index, r.sets[arch.Reads].before = grow(r.sets[arch.Reads].index, size.Reads), grow(r.sets[arch.Reads].before, size.Sequences)
	r.sets[arch.Targets].index = grow(r.sets[arch.Targets].index, size.Targets)
}

// matrix returns a buffer, [rows, width].
func (r *Runner[T]) matrix(b int) []T {
	buf := r.plan.buffers[b]
	lo := r.offsets[b]
	return r.memory[lo : lo+r.count(buf.rows)*buf.width]
}

// row returns a row of a buffer.
func (r *Runner[T]) row(b, i int) []T {
	w := r.plan.buffers[b].width
	lo := r.offsets[b] + i*w
	return r.memory[lo : lo+w]
}

// span returns the rows [lo, hi) of a buffer.
func (r *Runner[T]) span(b, lo, hi int) []T {
	w := r.plan.buffers[b].width
	at := r.offsets[b]
	return r.memory[at+lo*w : at+hi*w]
}

// count returns the number of rows of a set.
func (r *Runner[T]) count(set arch.RowSet) int { return r.sets[set].count() }

// Forward runs a group and writes its share of out. It works alone if pool is
// nil, and over the pool otherwise; the bits are the same. It returns the error
// of ctx if it was cancelled on the way.
func (r *Runner[T]) Forward(ctx context.Context, pool *parallel.Pool, group Batch, objective result.Objective, out *result.Output) error {
	r.pool, r.batch, r.objective, r.out = pool, group, objective, out
	defer func() { r.batch, r.objective, r.out = Batch{}, nil, nil }()
	r.lay(group)
	for i := range r.plan.phases {
		p := &r.plan.phases[i]
		switch {
		case p.whole != nil:
			if err := p.whole(ctx, r); err != nil {
				return err
			}
			continue
		case p.products != nil:
			r.products = r.products[:0]
			for _, product := range p.products {
				r.products = append(r.products, product(r))
			}
			if err := nn.Multiply(ctx, pool, r.products...); err != nil {
				return err
			}
			continue
		}
		if err := nn.Rows(ctx, pool, r.count(p.rows), func(lo, hi int) {
			for at := lo; at < hi; at += blockRows {
				for _, each := range p.each {
					each(r, at, min(at+blockRows, hi))
				}
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// lay finds the rows of each set.
func (r *Runner[T]) lay(b Batch) {
	n := b.Sequences()
	for set := range r.sets {
		s := &r.sets[set]
		s.starts, s.index, s.before = append(s.starts[:0], 0), s.index[:0], s.before[:0]
		at := 0
		for i := range n {
			lo, hi := b.Range(i)
			length, memory := hi-lo, 0
			if b.MemoryStarts != nil {
				memory = b.MemoryStarts[b.Sequence(i)+1] - b.MemoryStarts[b.Sequence(i)]
			}
			switch arch.RowSet(set) {
			case arch.Tokens:
				at += length
			case arch.Memory:
				at += memory
			case arch.Context:
				at += memory + length
			case arch.Reads:
				before := b.prefix(i)
				s.index, s.before = pick(s.index, b.Reads, b.Sequence(i), before+length), append(s.before, before)
				at = len(s.index)
			case arch.Targets:
				if b.Targets != nil {
					s.index = append(s.index, b.Targets[b.Sequence(i)]...)
				}
				at = len(s.index)
			case arch.Relative:
				at = max(at, memory+2*length)
			}
			s.starts = append(s.starts, at)
		}
		if set := arch.RowSet(set); set != arch.Reads && set != arch.Targets {
			s.index = nil
		}
		if arch.RowSet(set) != arch.Reads {
			s.before = nil
		}
	}
	// The relative positions are the same for all sequences: those of the
	// longest context and of the longest sequence.
	context, longest := 0, 0
	for i := range n {
		lo, hi := b.Range(i)
		context = max(context, r.sets[arch.Context].starts[i+1]-r.sets[arch.Context].starts[i])
		longest = max(longest, hi-lo)
	}
	r.sets[arch.Relative].starts = append(r.sets[arch.Relative].starts[:0], 0, context+longest)
}

// pick appends the positions of a sequence that are read.
func pick(to []int, reads [][]int, sequence, length int) []int {
	if reads != nil {
		return append(to, reads[sequence]...)
	}
	for t := range length {
		to = append(to, t)
	}
	return to
}

// longestContext returns the length of the longest context of the group, which
// the positions of Relative count down from.
func (r *Runner[T]) longestContext() int {
	starts, n := r.sets[arch.Context].starts, 0
	for i := range len(starts) - 1 {
		n = max(n, starts[i+1]-starts[i])
	}
	return n
}

// token returns the row of Tokens at a position of sequence seq, counted as
// [rows.position] does.
func (r *Runner[T]) token(seq, position int) int {
	if position >= 0 {
		return r.sets[arch.Tokens].starts[seq] + position
	}
	position += r.batch.prefix(seq)
	for _, part := range r.batch.Prefixes[seq] {
		if n := part[1] - part[0]; position >= n {
			position -= n
			continue
		}
		return part[0] + position
	}
	panic("tape: a position before the first row")
}

// each calls f for the rows [lo, hi) of a set, with the sequence and the
// position of each.
func (r *Runner[T]) each(set arch.RowSet, lo, hi int, f func(seq, position, row int)) {
	s := &r.sets[set]
	if set == arch.Relative {
		for i := lo; i < hi; i++ {
			f(0, i, i)
		}
		return
	}
	for seq := 0; seq < len(s.starts)-1; seq++ {
		for i := max(lo, s.starts[seq]); i < min(hi, s.starts[seq+1]); i++ {
			f(seq, s.position(seq, i), i)
		}
	}
}
