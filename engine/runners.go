package engine

import (
	"context"
	"sync"

	"github.com/xai-go/xai/engine/arch"
)

// runners keeps the working memory of a model within its budget. Memory that a
// forward has used stays for the next one; a forward that does not fit beside
// those in progress waits for them.
type runners struct {
	network         arch.Network
	budget, weights int64

	mu      sync.Mutex
	used    int64 // by runners, idle ones included, and results in progress
	idle    []sized
	changed chan struct{} // closed when something is put back
}

// sized is an idle runner.
type sized struct {
	runner arch.Runner
	size   arch.Size
	bytes  int64
}

// held is what a forward has taken.
type held struct {
	runners []arch.Runner
	sized   []sized
	results int64
}

// maxIdle is the number of runners that are kept for later.
const maxIdle = 64

func newRunners(network arch.Network, budget, weights int64) *runners {
	return &runners{network: network, budget: budget, weights: weights, changed: make(chan struct{})}
}

// fits reports whether n runners of a size and results of that many bytes can
// ever be had at the same time.
func (r *runners) fits(size arch.Size, n int, results int64) bool {
	return r.weights+results+int64(n)*r.network.RunnerBytes(size) <= r.budget
}

// take returns n runners that hold a size, and counts the bytes of the results
// until put. It waits until they fit; the caller has made sure that they can.
func (r *runners) take(ctx context.Context, size arch.Size, n int, results int64) (*held, error) {
	bytes := r.network.RunnerBytes(size)
	for {
		r.mu.Lock()
		h, ok := r.reserve(size, n, bytes, results)
		changed := r.changed
		r.mu.Unlock()
		if ok {
			for len(h.sized) < n { // allocated without the lock
				h.sized = append(h.sized, sized{r.network.NewRunner(size), size, bytes})
			}
			for _, s := range h.sized {
				h.runners = append(h.runners, s.runner)
			}
			return h, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// reserve takes what idle runners there are that hold the size, and counts the
// bytes of the results and of the runners that are still to be made. Where
// that is too much, idle runners make room: those that do not serve, then all
// of them, since one that serves may be larger than need be. It is called with
// r.mu held and changes nothing if there is no room.
func (r *runners) reserve(size arch.Size, n int, bytes, results int64) (*held, bool) {
	h := &held{results: results}
	var rest []sized
	for _, s := range r.idle {
		if len(h.sized) < n && s.size.Rows >= size.Rows && s.size.Longest >= size.Longest && s.size.Threads >= size.Threads {
			h.sized = append(h.sized, s)
		} else {
			rest = append(rest, s)
		}
	}
	used := r.used + results + int64(n-len(h.sized))*bytes
	for len(rest) > 0 && r.weights+used > r.budget {
		used -= rest[0].bytes
		rest = rest[1:]
	}
	if r.weights+used > r.budget {
		for _, s := range h.sized {
			used += bytes - s.bytes
		}
		h.sized = nil
	}
	if r.weights+used > r.budget {
		return nil, false
	}
	r.used, r.idle = used, rest
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
