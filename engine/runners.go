package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/xai-go/xai/engine/internal/tape"
)

// runners keeps the working memory of a model within its budget. Memory that a
// forward has used stays for the next one; a forward that does not fit beside
// those in progress waits for them.
type runners struct {
	budget int64

	mu      sync.Mutex
	weights int64 // those packed a second time for gradients included
	used    int64 // by runners, idle ones included, and results in progress
	idle    []sized
	changed chan struct{} // closed when something is put back
}

// sized is a runner with the bytes that it holds.
type sized struct {
	runner  tape.Executor
	program tape.Program
	size    tape.Size
	bytes   int64
}

// held is what a forward has taken.
type held struct {
	runners []tape.Executor
	sized   []sized
	results int64
}

// maxIdle is the number of runners that are kept for later.
const maxIdle = 64

func newRunners(budget, weights int64) *runners {
	return &runners{budget: budget, weights: weights, changed: make(chan struct{})}
}

// loaded returns the bytes of the weights once a program has run: its gradients
// may pack some a second time.
func (r *runners) loaded(program tape.Program) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.weights + program.Unpacked()
}

// fits returns nil if n runners of a size and results of that many bytes can
// ever be had at the same time, and otherwise a [*MemoryError].
func (r *runners) fits(program tape.Program, size tape.Size, n int, results int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.room(program, results+int64(n)*program.Bytes(size))
}

// room returns a [*MemoryError] unless so many bytes of a program fit beside the
// weights. It is called with r.mu held.
func (r *runners) room(program tape.Program, bytes int64) error {
	if need := r.weights + program.Unpacked() + bytes; need > r.budget {
		return &MemoryError{What: "the weights and this forward", Need: need, Budget: r.budget}
	}
	return nil
}

// take returns n runners of a program for a size, and counts the bytes of the
// results until put. It waits until they fit, and returns a [*MemoryError] if
// they cannot: the weights may have grown since fits was asked.
func (r *runners) take(ctx context.Context, program tape.Program, size tape.Size, n int, results int64) (*held, error) {
	bytes := program.Bytes(size)
	for {
		r.mu.Lock()
		err := r.room(program, results+int64(n)*bytes)
		h, ok := r.reserve(program, size, n, bytes, results)
		changed := r.changed
		r.mu.Unlock()
		if ok {
			for i, s := range h.sized { // allocated without the lock
				if s.program != program || !s.size.Holds(size) {
					s = sized{program.Runner(size, s.runner), program, size, max(bytes, s.bytes)}
					h.sized[i] = s
				}
				h.runners = append(h.runners, s.runner)
			}
			return h, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// reserve takes idle runners, those that serve as they are first, and counts
// the bytes of the results, of what the others will hold, and of the weights
// that the program packs for good. Where that is too
// much, idle runners make room. It is called with r.mu held and changes nothing
// if there is no room.
func (r *runners) reserve(program tape.Program, size tape.Size, n int, bytes, results int64) (*held, bool) {
	serves := func(s sized) bool { return s.program == program && s.size.Holds(size) }
	order := slices.Clone(r.idle)
	slices.SortStableFunc(order, func(a, b sized) int {
		switch {
		case serves(a) && !serves(b):
			return -1
		case serves(b) && !serves(a):
			return 1
		}
		return 0
	})
	h := &held{results: results, sized: slices.Clone(order[:min(n, len(order))])}
	rest := order[len(h.sized):]
	used, weights := r.used+results, r.weights+program.Unpacked()
	for i, s := range h.sized {
		if !serves(s) && s.bytes < bytes {
			used += bytes - s.bytes
			h.sized[i].bytes = bytes
		}
	}
	used += int64(n-len(h.sized)) * bytes
	for len(rest) > 0 && weights+used > r.budget {
		used -= rest[0].bytes
		rest = rest[1:]
	}
	if weights+used > r.budget { // runners that hold more than is needed give it back
		for i, s := range h.sized {
			used += bytes - s.bytes
			h.sized[i] = sized{bytes: bytes}
		}
	}
	if weights+used > r.budget {
		return nil, false
	}
	for len(h.sized) < n {
		h.sized = append(h.sized, sized{bytes: bytes})
	}
	r.used, r.idle, r.weights = used, rest, weights
	program.Pack()
	return h, true
}

// put gives back what take returned.
func (r *runners) put(h *held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= h.results
	for _, s := range h.sized {
		if len(r.idle) < maxIdle {
			r.idle = append(r.idle, s)
		} else {
			r.used -= s.bytes
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}
