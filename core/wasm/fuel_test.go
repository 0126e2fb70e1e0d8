package wasm_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/core/wasm/testdata/toy"
	"github.com/xai-go/xai/sdk"
)

func TestFuelIsLimited(t *testing.T) {
	r := hostileRuntime(t)
	for _, name := range []string{"loop", "loop_start", "loop_init", "loop_alloc", "loop_host", "calls", "fills", "pieces", "counts", "grow", "recurse_deep"} {
		t.Run(name, func(t *testing.T) {
			m, err := r.Compile(t.Context(), hostile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			_, stats, err := m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{Fuel: 16_000})
			limit, ok := errors.AsType[*contract.LimitError](err)
			if !ok || limit.Limit != contract.LimitFuel || err.Error() != "used more than its 16k of fuel" {
				t.Errorf("got %v", err)
			}
			if stats.Fuel != 16_000 {
				t.Errorf("%d of fuel were used", stats.Fuel)
			}
		})
	}
}

// An explanation takes the same fuel every time: that of a module by hand, that of
// one in Go, whose own collector and scheduler run, and whatever else this process
// does. With as much it passes, and with one less it does not.
func TestFuelRepeats(t *testing.T) {
	minimal, err := hostileRuntime(t).Compile(t.Context(), hostile(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	limed, limeRequest, limeInfo := lime(t, 20, 100)
	for name, explain := range map[string]func(fuel int64) (wasm.Stats, error){
		"minimal": func(fuel int64) (wasm.Stats, error) {
			_, stats, err := minimal.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{Fuel: fuel})
			return stats, err
		},
		"toy": func(fuel int64) (wasm.Stats, error) {
			_, stats, err := toyModule(t).Explain(t.Context(), &model{}, request(sdk.Params{"n": int64(200)}), toy.Method{}.Info(), wasm.Limits{Fuel: fuel})
			return stats, err
		},
		"garbage": func(fuel int64) (wasm.Stats, error) {
			_, stats, err := toyModule(t).Explain(t.Context(), &model{}, request(sdk.Params{"mode": "garbage", "n": int64(10)}), toy.Method{}.Info(), wasm.Limits{Fuel: fuel, Forwards: 10_000_000})
			return stats, err
		},
		"lime": func(fuel int64) (wasm.Stats, error) {
			_, stats, err := limed.Explain(t.Context(), &model{}, limeRequest, limeInfo, wasm.Limits{Fuel: fuel})
			return stats, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			stats, err := explain(0)
			if err != nil {
				t.Fatal(err)
			}
			want := stats.Fuel
			if want < 10 {
				t.Errorf("it took %d", want)
			}
			same := func(when string) {
				t.Helper()
				if stats, err := explain(want); err != nil || stats.Fuel != want {
					t.Errorf("%s it took %d instead of %d (%v)", when, stats.Fuel, want, err)
				}
			}
			procs := runtime.GOMAXPROCS(1)
			same("on one core")
			runtime.GOMAXPROCS(procs)
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() { same("beside others") })
			}
			for range 10 {
				runtime.GC()
			}
			group.Wait()
			stats, err = explain(want - 1)
			if limit, ok := errors.AsType[*contract.LimitError](err); !ok || limit.Limit != contract.LimitFuel || stats.Fuel != want-1 {
				t.Errorf("with one less it took %d: %v", stats.Fuel, err)
			}
		})
	}
}

func TestDescribeNamesTheLimits(t *testing.T) {
	for want, limits := range map[string]wasm.Limits{
		"wasm: 64 MiB of memory, 60s, 1T of fuel, no files, network, clock or environment":  {},
		"wasm: 1 GiB of memory, 90s, 2500 of fuel, no files, network, clock or environment": {MemoryBytes: 1<<30 + 1, Timeout: 90e9, Fuel: 2500},
		"wasm: 64 KiB of memory, 1s, 20G of fuel, no files, network, clock or environment":  {MemoryBytes: 1, Timeout: 1e9, Fuel: 20e9},
	} {
		if got := wasm.Describe(limits); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
