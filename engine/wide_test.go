package engine_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
)

// TestWideWaits: weights in double precision that do not fit beside a forward in
// progress wait for it. Whoever waits, for them or for those who wait for them, ends
// when it is cancelled, and leaves the way free for others.
func TestWideWaits(t *testing.T) {
	in := engine.Input{IDs: []int32{5, 6, 7}}
	fsys := odd.model(t)
	roomy := open(t, fsys, engine.WithThreads(1))
	relevance := []engine.ForwardOption{
		engine.Gradients(logit(0), selectPoint(t, roomy, in, "hook_embed")), engine.Propagate(engine.LRPAlpha1),
	}
	plain, err := roomy.Memory(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	need, err := roomy.Memory(t.Context(), in, relevance...)
	if err != nil {
		t.Fatal(err)
	}
	want := joined(forward(t, roomy, in, relevance...).Gradients[0])

	m := open(t, fsys, engine.WithThreads(1), engine.WithMemory(need.Total()))
	large := engine.Input{} // all that fits beside the weights as they are
	for n := 1; ; n++ {
		longer := engine.Input{IDs: slices.Repeat(in.IDs, n), Lengths: slices.Repeat([]int{3}, n)}
		if _, err := m.Memory(t.Context(), longer, engine.Capture(selectPoint(t, roomy, in, "hook_embed"))); err != nil {
			break
		}
		large = longer
	}
	if large.IDs == nil || plain.Weights >= need.Weights {
		t.Fatalf("a forward of %d tokens, weights of %d bytes and of %d", len(large.IDs), plain.Weights, need.Weights)
	}
	busy, free := make(chan struct{}), make(chan struct{})
	done := make(chan error, 3)
	go func() {
		first := true
		_, err := m.Forward(t.Context(), large, engine.Capture(selectPoint(t, roomy, in, "hook_embed")), engine.Progress(func(int, int) {
			if first {
				first = false
				close(busy)
				<-free
			}
		}))
		done <- err
	}()
	<-busy
	waits := func(ctx context.Context, ask func(context.Context) error) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- ask(ctx) }()
		for !m.Widening() {
			runtime.Gosched()
		}
		return ended
	}
	run := func(ctx context.Context) error {
		_, err := m.Forward(ctx, in, relevance...)
		return err
	}
	ask := func(ctx context.Context) error {
		_, err := m.Memory(ctx, in, relevance...)
		return err
	}

	first, cancelFirst := context.WithCancel(t.Context())
	firstEnds := waits(first, run)
	second, cancelSecond := context.WithCancel(t.Context())
	secondEnds, asked := waits(second, run), waits(second, ask)
	if _, err := m.Operations(in, relevance...); err != nil {
		t.Error(err)
	}
	cancelSecond()
	for what, ended := range map[string]<-chan error{"a forward": secondEnds, "a question": asked} {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s that waits for another that waits ends with %v", what, err)
		}
	}
	select {
	case err := <-firstEnds:
		t.Fatalf("the first did not wait: %v", err)
	default:
	}
	cancelFirst()
	if err := <-firstEnds; !errors.Is(err, context.Canceled) {
		t.Errorf("a forward that waits ends with %v", err)
	}

	for range 2 {
		go func() { done <- run(t.Context()) }()
	}
	close(free)
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := joined(forward(t, m, in, relevance...).Gradients[0]); !slices.Equal(got, want) {
		t.Error("relevance is other bits after it was waited for")
	}
}
