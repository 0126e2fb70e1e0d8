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
		need, err := m.Memory(t.Context(), engine.Input{IDs: make([]int32, length)}, opts...)
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
	if _, other := scarce.Memory(t.Context(), in); other == nil || other.Error() != refused.Error() {
		t.Errorf("Memory says %v, Forward %v", other, refused)
	}
	if _, err := m.Memory(t.Context(), engine.Input{IDs: slices.Repeat([]int32{1}, 5000)}); err == nil {
		t.Error("more tokens than there are positions have a size")
	}
}

// TestMemoryOfAlike: what tokens that are alike share makes no request too large
// that fits without, and is part of what a forward says it takes.
func TestMemoryOfAlike(t *testing.T) {
	const sequences, length = 10, 150
	fsys := odd.model(t)
	in := engine.Input{Lengths: slices.Repeat([]int{length}, sequences)}
	for i := range sequences * length {
		in.IDs = append(in.IDs, int32(i/length%5)) // each token twice
	}
	memory := func(m *engine.Model, opts ...engine.ForwardOption) engine.Memory {
		t.Helper()
		need, err := m.Memory(t.Context(), in, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return need
	}
	plenty := open(t, fsys, engine.WithThreads(1))
	shared, apart := memory(plenty), memory(plenty, engine.EveryToken())
	if shared.Total() <= apart.Total() {
		t.Fatalf("tables take no memory: %+v and %+v", shared, apart)
	}
	want := forward(t, plenty, in).Logits.F32
	for name, c := range map[string]struct {
		budget int64
		need   engine.Memory
	}{
		"what the tables need":       {shared.Total(), shared},
		"a byte less":                {shared.Total() - 1, apart},
		"what it needs without them": {apart.Total(), apart},
	} {
		m := open(t, fsys, engine.WithThreads(1), engine.WithMemory(c.budget))
		if got := memory(m); got != c.need {
			t.Errorf("%s: takes %+v, want %+v", name, got, c.need)
		}
		for range 2 { // the second time on the runners of the first
			if got := forward(t, m, in); !slices.Equal(got.Logits.F32, want) {
				t.Errorf("%s: other logits", name)
			}
		}
	}
	var refused *engine.MemoryError
	scarce := open(t, fsys, engine.WithThreads(1), engine.WithMemory(apart.Total()-1))
	if _, err := scarce.Forward(t.Context(), in); !errors.As(err, &refused) || refused.Need != apart.Total() {
		t.Errorf("a byte less than either needs: %v", err)
	}
	if _, err := scarce.Memory(t.Context(), in); err == nil || err.Error() != refused.Error() {
		t.Errorf("Memory says %v, Forward %v", err, refused)
	}
}
