package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/bench/ort"
)

// script is a side whose runs take what it says, one after another, and that
// writes its name down whenever it is asked for runs.
func script(name string, log *[]string, times ...time.Duration) contender {
	return contender{name: name, operations: 3e6, run: func(_ context.Context, runs int) ([]ort.Run, error) {
		*log = append(*log, name)
		if runs > len(times) {
			return nil, errors.New(name + " has no more runs")
		}
		var out []ort.Run
		for _, t := range times[:runs] {
			out = append(out, ort.Run{Wall: t, Processor: 2 * t})
		}
		times = times[runs:]
		return out, nil
	}}
}

const ms = time.Millisecond

// TestMeasure follows two sides through two rounds: whose turn it is, what does
// not count, and what comes of the rest.
func TestMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		sides, err := pace{rounds: 2, turn: 6 * ms}.measure(t.Context(), []contender{
			// One run that does not count and two that do, and then one that
			// does not and three that do.
			script("a", &log, 3*ms, 4*ms, 6*ms, 2*ms, 1*ms, 3*ms, 7*ms),
			script("b", &log, 100*ms, 50*ms, 6*ms), // a run so long that it counts itself, and then one that does not
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "a", "b", "b", "b", "a", "a"}, log); diff != "" {
			t.Errorf("turns (-want +got):\n%s", diff)
		}
		want := []Side{
			{Name: "a", Median: 4, Fastest: 1, Turns: []float64{5, 3}, Processor: 8, GFLOPS: 3e6 / 4 / 1e6},
			{Name: "b", Median: 53, Fastest: 6, Turns: []float64{100, 6}, Processor: 106, GFLOPS: 3e6 / 53 / 1e6},
		}
		if diff := cmp.Diff(want, sides); diff != "" {
			t.Errorf("sides (-want +got):\n%s", diff)
		}
		got := ratio(sides[0], sides[1])
		if diff := cmp.Diff(Ratio{Of: "a", To: "b", Median: 53.0 / 4, Fastest: 6, Processor: 106.0 / 8, Low: 2 + 18*0.25, High: 2 + 18*0.75}, got); diff != "" {
			t.Errorf("ratio (-want +got):\n%s", diff)
		}
		if _, err := (pace{rounds: 1}).measure(t.Context(), []contender{script("c", &log)}); err == nil {
			t.Error("a side that fails goes unnoticed")
		}
	})
}

func TestQuantile(t *testing.T) {
	v := []float64{4, 1, 3, 2}
	for _, c := range []struct{ q, want float64 }{{0, 1}, {0.25, 1.75}, {0.5, 2.5}, {1, 4}} {
		if got := quantile(v, c.q); got != c.want {
			t.Errorf("quantile %v: %v, want %v", c.q, got, c.want)
		}
	}
}
