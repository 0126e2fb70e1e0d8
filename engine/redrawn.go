package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/xai-go/xai/engine/internal/tape"
)

// Redrawn returns the model with the weights of one block in another order: of
// layer block, of what stands before the first layer where block is −1, or of what
// stands behind the last where it is [Info.Layers]. Every tensor keeps its values,
// and so their mean and their spread, and loses what the model had learnt in them.
// Of tensors that are split between several uses (queries, keys and values side by
// side), each part stays with its use; in [INT8], weights stay with their output. A
// table of words that is the unembedding too is redrawn in one of the two places
// alone. The order depends on the seed and on the tensor's name, on nothing else.
//
// Redrawn of a redrawn model goes on from there, so that a model can be taken apart
// block by block, from the top down (Adebayo et al. 2018, arXiv:1810.03292). All
// else is shared with m, threads and memory budget included: only what changes is
// copied, and refused with a [*MemoryError] where the budget has no room for it. m
// must not be closed before the copy, whose Close gives its memory back and must not
// be called while one of its forwards runs.
func (m *Model) Redrawn(ctx context.Context, block int, seed uint64) (*Model, error) {
	if block < -1 || block > m.info.Layers {
		return nil, &OptionError{Option: "block", Reason: fmt.Sprintf("%d is not between -1 and %d", block, m.info.Layers)}
	}
	digest, err := m.Digest(ctx)
	if err != nil {
		return nil, err
	}
	bytes := tape.RedrawnBytes(m.network, block)
	if err := m.runners.weigh(ctx, "the weights, and a copy of those that change,", bytes); err != nil {
		return nil, err
	}
	redrawn, err := tape.Redraw(ctx, m.network, block, seed)
	if err != nil {
		m.runners.unweigh(func() int64 { return bytes })
		return nil, err
	}
	copied := &Model{
		architecture: m.architecture,
		network:      redrawn.Network,
		info:         m.info,
		checkpoint:   m.checkpoint,
		kernel:       m.kernel,
		pool:         m.pool,
		runners:      m.runners,
		digest:       make(chan string, 1),
		wide:         make(chan *tape.Wide, 1),
	}
	copied.wide <- nil
	sum := sha256.Sum256(fmt.Appendf(nil, "%s, block %d redrawn by %d", digest, block, seed))
	copied.digest <- hex.EncodeToString(sum[:])
	copied.release = func() { m.runners.unweigh(func() int64 { return bytes + redrawn.Unpacked() }) }
	return copied, nil
}

// weigh counts the bytes of further weights, which what names together with the
// others. Idle runners make room for them, and
// where that is not enough it waits for forwards in progress.
func (r *runners) weigh(ctx context.Context, what string, bytes int64) error {
	for {
		r.mu.Lock()
		if need := r.weights + bytes; need > r.budget {
			r.mu.Unlock()
			return &MemoryError{What: what, Need: need, Budget: r.budget}
		}
		for len(r.idle) > 0 && r.weights+bytes+r.used > r.budget {
			r.used -= r.idle[0].bytes
			r.idle = r.idle[1:]
		}
		if r.weights+bytes+r.used <= r.budget {
			r.weights += bytes
			r.mu.Unlock()
			return nil
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// unweigh gives back what weigh has counted, and what has been packed of it since.
// Idle runners, which may hold on to those weights, are dropped.
func (r *runners) unweigh(bytes func() int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.weights -= bytes()
	for _, s := range r.idle {
		r.used -= s.bytes
	}
	r.idle = nil
	close(r.changed)
	r.changed = make(chan struct{})
}
