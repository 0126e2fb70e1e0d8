package core_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
)

// explain runs LIME in process with 200 samples of a seed.
func explain(t testing.TB, host *core.Host, model *core.Model, seed uint64, params map[string]string) *core.Explanation {
	t.Helper()
	x, err := host.Explain(context.Background(), model, request(seed, params))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func request(seed uint64, params map[string]string) core.Request {
	r := core.Request{
		Input: core.Input{Text: sentence}, Seed: seed, Runtime: core.RuntimeNative, Params: map[string]string{"num_samples": "200"},
	}
	for name, value := range params {
		r.Params[name] = value
	}
	return r
}

// counters are the diagnostics that say how often the model was asked.
func counters(x *core.Explanation) [3]int {
	return [3]int{int(x.Diagnostics["evaluations"]), int(x.Diagnostics["unique_evaluations"]), int(x.Diagnostics["cache_hits"])}
}

// TestExplanationsShareEvaluations: a second explanation that asks for the same
// variants, with the same settings or with others, runs none of them, and says
// what it says where nothing is remembered.
func TestExplanationsShareEvaluations(t *testing.T) {
	host, forgetful := newHost(t, core.Options{}), newHost(t, core.Options{Cache: -1})
	model, other := open(t, host, "builtin:sentiment-en"), open(t, forgetful, "builtin:sentiment-en")
	narrow := map[string]string{"kernel_width": "5"}

	first := explain(t, host, model, 1, nil)
	want := explain(t, forgetful, other, 1, nil)
	for range 2 {
		again := explain(t, forgetful, other, 1, nil)
		if diff := cmp.Diff(want.Attributions, again.Attributions); diff != "" || counters(again) != counters(want) {
			t.Errorf("without a cache, a second time: counters %v, want %v\n%s", counters(again), counters(want), diff)
		}
	}
	wantNarrow := explain(t, forgetful, other, 1, narrow)
	if counters(first) != counters(want) {
		t.Errorf("the first counts %v, and %v where nothing is remembered", counters(first), counters(want))
	}
	model.Close() // whatever has to be run fails from now on
	second := explain(t, host, model, 1, nil)
	third := explain(t, host, model, 1, narrow)
	if c, w := counters(second), counters(want); c != [3]int{w[0], w[1], w[0]} {
		t.Errorf("the second counts %v, the first %v", c, w)
	}
	for _, x := range []struct{ got, want *core.Explanation }{{first, want}, {second, want}, {third, wantNarrow}} {
		if diff := cmp.Diff(x.want.Attributions, x.got.Attributions); diff != "" {
			t.Errorf("other values where evaluations are remembered (-none +remembered):\n%s", diff)
		}
	}
	if _, err := host.Explain(context.Background(), model, request(2, nil)); err == nil {
		t.Error("the variants of another seed are not run")
	}
}

// TestExplanationsAtTheSameTime have the values of each alone, also where the
// cache is so small that they push each other's evaluations out.
func TestExplanationsAtTheSameTime(t *testing.T) {
	const seeds = 3
	alone := newHost(t, core.Options{Cache: -1})
	model := open(t, alone, "builtin:sentiment-en")
	var want []*core.Explanation
	for seed := range uint64(seeds) {
		want = append(want, explain(t, alone, model, seed, nil))
	}
	for _, bytes := range []int64{0, 10_000} {
		host := newHost(t, core.Options{Cache: bytes})
		model := open(t, host, "builtin:sentiment-en")
		var wg sync.WaitGroup
		for i := range 2 * seeds {
			wg.Go(func() {
				seed := uint64(i % seeds)
				x, err := host.Explain(context.Background(), model, request(seed, nil))
				if err != nil {
					t.Error(err)
					return
				}
				if diff := cmp.Diff(want[seed].Attributions, x.Attributions); diff != "" {
					t.Errorf("cache of %d bytes, seed %d:\n%s", bytes, seed, diff)
				}
			})
		}
		wg.Wait()
	}
}

// TestResultsNameTheFill: a fill that the method has chosen by itself is named,
// so that the result says what was done.
func TestResultsNameTheFill(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	for _, test := range []struct {
		params map[string]string
		want   string
	}{
		{nil, "mask"},
		{map[string]string{"mask_string": "…"}, "text"},
		{map[string]string{"compat": "lime"}, "delete"},
		{map[string]string{"compat": "lime", "bow": "false"}, "text"},
		{map[string]string{"fill": "hide"}, "hide"},
		{map[string]string{"fill": "average"}, "average"},
	} {
		if got := explain(t, host, model, 1, test.params).Method.Params["fill"]; got != test.want {
			t.Errorf("%v: fill %v, want %s", test.params, got, test.want)
		}
	}
}
