package engine_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
)

// TestMemory: what a forward takes is known without running it, grows with the
// length and not with its square unless the patterns are read, and is what the
// budget is held to.
func TestMemory(t *testing.T) {
	long := odd
	long.positions = 4096
	fsys := long.model(t)
	m := open(t, fsys, engine.WithThreads(1))
	of := func(length int, opts ...engine.ForwardOption) engine.Memory {
		t.Helper()
		need, err := m.Memory(engine.Input{IDs: make([]int32, length)}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return need
	}
	for _, length := range []int{512, 1024, 2048} {
		short, twice := of(length), of(2*length)
		if ratio := float64(twice.Working) / float64(short.Working); ratio > 2.05 {
			t.Errorf("%d tokens take %v times the working memory of %d", 2*length, ratio, length)
		}
		pattern := engine.Capture(selectPoint(t, m, engine.Input{}, "blocks.1.attn.hook_pattern"))
		if got, want := of(length, pattern).Results-short.Results, int64(4*long.heads*length*length); got != want {
			t.Errorf("a pattern of %d tokens takes %d bytes, want %d", length, got, want)
		}
	}
	need := of(4000)
	if need.Weights < m.Info().Parameters*4 || need.Total() != need.Weights+need.Working+need.Results {
		t.Errorf("%+v", need)
	}
	in := engine.Input{IDs: make([]int32, 4000)}
	enough := open(t, fsys, engine.WithThreads(1), engine.WithMemory(need.Total()))
	if _, err := enough.Forward(t.Context(), in); err != nil {
		t.Errorf("what it said it needs is not enough: %v", err)
	}
	scarce := open(t, fsys, engine.WithThreads(1), engine.WithMemory(need.Total()-1))
	var refused *engine.MemoryError
	if _, err := scarce.Forward(t.Context(), in); !errors.As(err, &refused) || refused.Need != need.Total() {
		t.Errorf("a byte less than it needs: %v", err)
	}
	if _, other := scarce.Memory(in); other == nil || other.Error() != refused.Error() {
		t.Errorf("Memory says %v, Forward %v", other, refused)
	}
	if _, err := m.Memory(engine.Input{IDs: slices.Repeat([]int32{1}, 5000)}); err == nil {
		t.Error("more tokens than there are positions have a size")
	}
}
