package parallel

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestForRunsEachItemOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := New(threads)
		defer p.Close()
		for _, n := range []int{0, 1, 2, 3, 100, 5000} {
			t.Run(fmt.Sprintf("%d threads, %d items", threads, n), func(t *testing.T) {
				counts := make([]atomic.Int32, n)
				busy := make([]atomic.Bool, threads)
				if err := p.For(t.Context(), n, func(worker, i int) {
					if busy[worker].Swap(true) {
						t.Errorf("worker %d runs two items at once", worker)
					}
					counts[i].Add(1)
					busy[worker].Store(false)
				}); err != nil {
					t.Fatal(err)
				}
				for i := range counts {
					if c := counts[i].Load(); c != 1 {
						t.Fatalf("item %d ran %d times", i, c)
					}
				}
			})
		}
	}
}

// A loop whose items wait for each other ends only if they run in parallel,
// also when the workers have been parked for long.
func TestForUsesEveryThread(t *testing.T) {
	const threads = 4
	p := New(threads)
	defer p.Close()
	for _, pause := range []time.Duration{0, 20 * time.Millisecond} {
		time.Sleep(pause)
		var meet sync.WaitGroup
		meet.Add(threads)
		seen := make([]bool, threads)
		if err := p.For(t.Context(), threads, func(worker, _ int) {
			seen[worker] = true
			meet.Done()
			meet.Wait()
		}); err != nil {
			t.Fatal(err)
		}
		for worker, ok := range seen {
			if !ok {
				t.Errorf("after %v: worker %d took no part", pause, worker)
			}
		}
	}
}

func TestForNestedAndConcurrent(t *testing.T) {
	p := New(3)
	defer p.Close()
	var total atomic.Int64
	var callers sync.WaitGroup
	for range 6 {
		callers.Go(func() {
			for range 20 {
				err := p.For(t.Context(), 7, func(_, i int) {
					err := p.For(t.Context(), 5, func(_, j int) { total.Add(int64(1 + 10*i + j)) })
					if err != nil {
						t.Error(err)
					}
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	// Σ over i < 7, j < 5 of 1 + 10i + j = 35 + 10·21·5 + 10·7 = 1155.
	if got := total.Load(); got != 6*20*1155 {
		t.Errorf("total %d, want %d", got, 6*20*1155)
	}
}

func TestForCancelled(t *testing.T) {
	for _, threads := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) {
			p := New(threads)
			defer p.Close()
			ctx, cancel := context.WithCancel(t.Context())
			var ran atomic.Int64
			err := p.For(ctx, 1000, func(_, i int) {
				ran.Add(1)
				cancel()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
			if n := ran.Load(); n < 1 || n > int64(threads) {
				t.Errorf("%d items ran after the first had cancelled the loop", n)
			}
			if err := p.For(ctx, 1000, func(_, _ int) { t.Error("an item ran after cancellation") }); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
		})
	}
	t.Run("in the last item", func(t *testing.T) {
		p := New(1)
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := p.For(ctx, 3, func(_, i int) {
			if i == 2 {
				cancel()
			}
		}); err != nil {
			t.Errorf("error %v though no item was left out", err)
		}
	})
}

func TestForPanic(t *testing.T) {
	cause := errors.New("the cause")
	for _, threads := range []int{1, 2, 4} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) {
			p := New(threads)
			defer p.Close()
			for guilty := range threads {
				func() {
					defer func() {
						failure, ok := recover().(*Panic)
						if !ok || !errors.Is(failure, cause) || !strings.Contains(string(failure.Stack), "TestForPanic") {
							t.Errorf("recovered %v", failure)
						}
					}()
					var meet sync.WaitGroup
					meet.Add(threads)
					_ = p.For(t.Context(), 1000, func(worker, i int) {
						if i < threads { // each worker has one of these
							meet.Done()
							meet.Wait()
						}
						if worker == guilty {
							panic(cause)
						}
					})
					t.Error("For returned")
				}()
			}
			// The pool survives.
			var ran atomic.Int64
			if err := p.For(t.Context(), 100, func(_, _ int) { ran.Add(1) }); err != nil || ran.Load() != 100 {
				t.Errorf("after a panic: %d items, error %v", ran.Load(), err)
			}
		})
	}
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	p := New(5)
	if err := p.For(t.Context(), 10, func(_, _ int) {}); err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	var ran atomic.Int64
	if err := p.For(t.Context(), 10, func(worker, _ int) {
		ran.Add(1)
		if worker != 0 {
			t.Errorf("worker %d ran an item of a closed pool", worker)
		}
	}); err != nil || ran.Load() != 10 {
		t.Errorf("%d items, error %v", ran.Load(), err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before the pool", runtime.NumGoroutine(), before)
		}
	}
}

func TestThreads(t *testing.T) {
	for threads, want := range map[int]int{1: 1, 3: 3, 0: runtime.GOMAXPROCS(0), -1: runtime.GOMAXPROCS(0)} {
		p := New(threads)
		if p.Threads() != want {
			t.Errorf("New(%d).Threads() is %d, want %d", threads, p.Threads(), want)
		}
		p.Close()
	}
}

// BenchmarkFor reports what a loop costs over its items: the items are empty.
func BenchmarkFor(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			p := New(threads)
			defer p.Close()
			b.ReportAllocs()
			for b.Loop() {
				_ = p.For(b.Context(), 16, func(_, _ int) {})
			}
		})
	}
}
