package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/xai-go/xai/engine/internal/tape"
)

// program is one whose runners take so many bytes.
type program struct {
	tape.Program
	bytes int64
	// unpacked bytes of weights are packed by its first run.
	unpacked *int64
}

func (p program) Unpacked() int64 {
	if p.unpacked == nil {
		return 0
	}
	return *p.unpacked
}

func (p program) Pack() {
	if p.unpacked != nil {
		*p.unpacked = 0
	}
}

func (p program) Bytes(tape.Size) int64                               { return p.bytes }
func (p program) Runner(_ tape.Size, old tape.Executor) tape.Executor { return old }

// TestTake: a forward waits for memory that others hold, and is refused where
// the weights have grown so that it never fits.
func TestTake(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, p := newRunners(100, 10), program{bytes: 40}
	first, err := r.take(ctx, p, tape.Size{}, 2, 10)
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan error)
	go func() {
		second, err := r.take(ctx, p, tape.Size{}, 1, 30)
		if err == nil {
			r.put(second)
		}
		taken <- err
	}()
	select {
	case err := <-taken:
		t.Fatalf("memory that is not there was taken: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	r.put(first)
	if err := <-taken; err != nil {
		t.Fatalf("memory that was put back: %v", err)
	}
	if err := r.fits(p, tape.Size{}, 1, 50); err != nil {
		t.Fatal(err)
	}
	unpacked := int64(50)
	gradients := program{unpacked: &unpacked}
	if r.loaded(gradients) != 60 || r.loaded(p) != 10 {
		t.Errorf("weights of %d bytes, with gradients of %d", r.loaded(p), r.loaded(gradients))
	}
	var refused *MemoryError
	if _, err := r.take(ctx, gradients, tape.Size{}, 1, 41); !errors.As(err, &refused) || r.loaded(p) != 10 {
		t.Errorf("a refused request leaves weights of %d bytes: %v", r.loaded(p), err)
	}
	for range 2 { // packed once
		packed, err := r.take(ctx, gradients, tape.Size{}, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.put(packed)
		if r.loaded(p) != 60 {
			t.Errorf("weights of %d bytes", r.loaded(p))
		}
	}
	if _, err := r.take(ctx, p, tape.Size{}, 1, 50); !errors.As(err, &refused) || refused.Need != 150 {
		t.Errorf("beside weights that have grown: %v", err)
	}
}
