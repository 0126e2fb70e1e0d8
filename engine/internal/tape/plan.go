package tape

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
)

// Plan is what is run for a request: a list of steps over buffers, the way
// forward and, with gradients, the way back. It serves any batch, and several
// goroutines at the same time.
type Plan[T kernel.Float] struct {
	buffers []buffer
	phases  []phase[T]
	back    []*derived[T] // layers that the way back needs, each once
	needs   needs         // what its attentions need beside buffers
	// objective is the form of the logits that an objective is given; of no
	// width without one.
	objective buffer
	shared    *Plan[T] // computes what the plan imports; nil where that is nothing
	tables    []int    // widths of what the plan exports
	placed    atomic.Pointer[placed]
}

// buffer is a matrix: a row for each member of a set.
type buffer struct {
	rows        arch.RowSet
	width       int
	first, last int // phases in which it is first written and last read
	shares      int // an earlier buffer whose memory it takes over, or −1
}

// step computes some buffers from others.
type step[T kernel.Float] struct {
	reads, writes []int
	// reuse is the buffer among reads that the first of writes may overwrite
	// row by row if nobody needs it any more, or −1.
	reuse int
	// lasting tells that the step writes something beside buffers.
	lasting bool
	// Exactly one of each, product and whole is set. each computes the rows
	// [lo, hi) of a set and is called for ranges in any order and at the same
	// time.
	rows    arch.RowSet
	each    func(r *Runner[T], lo, hi int)
	product func(r *Runner[T]) nn.Product[T]
	rounds  bool // the product is of a layer of 8 bits, which rounds what it reads
	whole   func(ctx context.Context, r *Runner[T]) error
}

// phase is one step, or several that run together: row by row ones over the
// same rows, where a block of rows runs through all of them while it is in the
// cache, or products that do not read each other.
type phase[T kernel.Float] struct {
	rows     arch.RowSet
	each     []func(r *Runner[T], lo, hi int)
	products []func(r *Runner[T]) nn.Product[T]
	rounds   []int // buffers of which products read rounded copies
	whole    func(ctx context.Context, r *Runner[T]) error
}

// takes tells whether a step can run together with a phase, which has written
// some buffers.
func (p *phase[T]) takes(s step[T], written map[int]bool) bool {
	switch {
	case s.each != nil:
		return p.each != nil && p.rows == s.rows
	case s.product != nil:
		return p.products != nil && !slices.ContainsFunc(s.reads, func(b int) bool { return written[b] })
	}
	return false
}

// finish drops the steps whose results nobody reads, groups what is left into
// phases, and settles how long each buffer lives.
func (p *Plan[T]) finish(steps []step[T]) {
	steps = p.prune(steps)
	for i := range p.buffers {
		p.buffers[i].first, p.buffers[i].last, p.buffers[i].shares = -1, -1, -1
	}
	lastStep := make([]int, len(p.buffers))
	for i, s := range steps {
		for _, b := range s.reads {
			lastStep[b] = i
		}
		for _, b := range s.writes {
			lastStep[b] = i
		}
	}
	written := map[int]bool{} // by the last phase
	for i, s := range steps {
		at := len(p.phases) - 1
		if at < 0 || !p.phases[at].takes(s, written) {
			p.phases = append(p.phases, phase[T]{rows: s.rows, whole: s.whole})
			at++
			clear(written)
		}
		for _, b := range s.writes {
			written[b] = true
		}
		if s.each != nil {
			p.phases[at].each = append(p.phases[at].each, s.each)
		}
		if s.product != nil {
			p.phases[at].products = append(p.phases[at].products, s.product)
		}
		if s.rounds && !slices.Contains(p.phases[at].rounds, s.reads[0]) {
			p.phases[at].rounds = append(p.phases[at].rounds, s.reads[0])
		}
		for _, b := range s.reads {
			p.buffers[b].last = at
		}
		for j, b := range s.writes {
			to := &p.buffers[b]
			if to.first < 0 {
				to.first = at
				if j == 0 && s.reuse >= 0 && lastStep[s.reuse] == i {
					if from := p.buffers[s.reuse]; from.rows == to.rows && from.width == to.width {
						to.shares = s.reuse
					}
				}
			}
			to.last = at
		}
	}
	// Memory that is taken over lives as long as its last owner.
	for b := len(p.buffers) - 1; b >= 0; b-- {
		if from := p.buffers[b].shares; from >= 0 {
			p.buffers[from].last = max(p.buffers[from].last, p.buffers[b].last)
		}
	}
}

// prune drops steps without any effect.
func (p *Plan[T]) prune(steps []step[T]) []step[T] {
	live := make([]bool, len(p.buffers))
	kept := make([]bool, len(steps))
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		kept[i] = s.lasting
		for _, b := range s.writes {
			kept[i] = kept[i] || live[b]
		}
		if kept[i] {
			for _, b := range s.reads {
				live[b] = true
			}
		}
	}
	var out []step[T]
	for i, s := range steps {
		if kept[i] {
			out = append(out, s)
		}
	}
	return out
}

// placed is where the buffers of a plan lie for a size: their offsets in one
// slice, and its length.
type placed struct {
	size    Size
	offsets []int
	total   int
}

// layout places the buffers of a plan. Most requests have the size of the one
// before.
func (p *Plan[T]) layout(size Size) (offsets []int, total int) {
	if last := p.placed.Load(); last != nil && last.size == size {
		return last.offsets, last.total
	}
	offsets, total = p.place(size)
	p.placed.Store(&placed{size, offsets, total})
	return offsets, total
}

// place places the buffers: first fit, lowest first.
func (p *Plan[T]) place(size Size) (offsets []int, total int) {
	type block struct{ lo, hi, last int }
	var taken []block // in order of lo
	offsets = make([]int, len(p.buffers))
	byPhase := make([][]int, len(p.phases))
	for b, buf := range p.buffers {
		if buf.first >= 0 {
			byPhase[buf.first] = append(byPhase[buf.first], b)
		}
	}
	for phase, starting := range byPhase {
		alive := taken[:0]
		for _, t := range taken {
			if t.last >= phase {
				alive = append(alive, t)
			}
		}
		taken = alive
		for _, b := range starting {
			buf := p.buffers[b]
			if buf.shares >= 0 {
				offsets[b] = offsets[buf.shares]
				continue
			}
			const line = 16 // values: buffers begin at cache lines
			need := (size.rows(buf.rows)*buf.width + line - 1) / line * line
			at, i := 0, 0
			for ; i < len(taken) && taken[i].lo < at+need; i++ {
				at = max(at, taken[i].hi)
			}
			offsets[b] = at
			total = max(total, at+need)
			taken = append(taken, block{})
			copy(taken[i+1:], taken[i:])
			taken[i] = block{at, at + need, buf.last}
		}
	}
	return offsets, total
}

// Bytes returns the working memory of a runner for groups of a size, or a little
// more.
func (p *Plan[T]) Bytes(size Size) int64 {
	_, total := p.layout(size)
	return int64(total)*number[T]() + p.aside(size)
}

// aside returns an upper bound of the working memory beside buffers: the scratch
// of workers, rounded copies of what layers of 8 bits read, what an objective is
// given, and lists of rows and of jobs.
func (p *Plan[T]) aside(size Size) int64 {
	const word, perJob = 8, 4 * 8
	n := int64(size.Threads) * scratchBytes[T](p.needs, size)
	if o := p.objective; o.width > 0 {
		n += 2 * word * int64(size.rows(o.rows)) * int64(o.width)
	}
	n += perJob * int64(p.needs.jobs(size))
	rounded := int64(0)
	for i := range p.phases {
		copies := int64(0)
		for _, b := range p.phases[i].rounds {
			copies += kernel.Bytes8(size.rows(p.buffers[b].rows), p.buffers[b].width)
		}
		rounded = max(rounded, copies)
	}
	return n + rounded + word*int64((len(Runner[T]{}.sets)+1)*(size.Sequences+2)+size.Reads+size.Targets)
}

// number returns the bytes of a number.
func number[T kernel.Float]() int64 {
	if _, ok := any(T(0)).(float64); ok {
		return 8
	}
	return 4
}

// Unpacked implements [Program].
func (p *Plan[T]) Unpacked() int64 {
	n := int64(0)
	for _, d := range p.back {
		if !d.counted {
			n += d.bytes
		}
	}
	return n
}

// Pack implements [Program].
func (p *Plan[T]) Pack() {
	for _, d := range p.back {
		d.counted = true
	}
}

// Shared implements [Program].
func (p *Plan[T]) Shared() (Program, []int) {
	if p.shared == nil {
		return nil, nil
	}
	return p.shared, p.shared.tables
}

// Runner implements [Program].
func (p *Plan[T]) Runner(size Size, old Executor) Executor {
	if r, ok := old.(*Runner[T]); ok && r != nil {
		if r.plan != p || !r.size.Holds(size) {
			r.bind(p, size)
		}
		return r
	}
	r := new(Runner[T])
	r.bind(p, size)
	return r
}
