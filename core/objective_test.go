package core

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/sdk"
)

// TestObjectiveGradient is the law of an objective: what it adds to the gradient
// is what its value changes by.
func TestObjectiveGradient(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows, classes = 3, 4
		o := &objective{scale: scale{
			output:  rapid.SampledFrom([]sdk.Output{sdk.Logit, sdk.Prob, sdk.LogProb}).Draw(t, "output"),
			head:    rapid.SampledFrom([]head{singleLabel, multiLabel}).Draw(t, "head"),
			spans:   rapid.Bool().Draw(t, "spans"),
			classes: classes,
		}}
		at := rapid.Custom(func(t *rapid.T) spot {
			return spot{rapid.IntRange(0, rows-1).Draw(t, "row"), rapid.IntRange(0, classes-1).Draw(t, "class")}
		})
		spots := rapid.SliceOfN(at, 1, 4).Draw(t, "spots")
		some := rapid.Custom(func(t *rapid.T) summand {
			return summand{
				weight: rapid.Float64Range(-2, 2).Draw(t, "weight"),
				cells:  rapid.SliceOfNDistinct(rapid.IntRange(0, len(spots)-1), 1, len(spots), rapid.ID).Draw(t, "cells"),
			}
		})
		o.spots, o.parts = [][]spot{spots}, [][]summand{rapid.SliceOfN(some, 1, 3).Draw(t, "parts")}
		logits := rapid.SliceOfN(rapid.Float64Range(-4, 4), rows*classes, rows*classes).Draw(t, "logits")
		grad := make([]float64, len(logits))
		o.value(0, logits, grad)
		value := func(i int, x float64) float64 {
			old := logits[i]
			logits[i] = x
			defer func() { logits[i] = old }()
			return o.value(0, logits, make([]float64, len(logits)))
		}
		const h = 1e-4
		for i, v := range logits {
			if slope := (value(i, v+h) - value(i, v-h)) / (2 * h); math.Abs(slope-grad[i]) > 1e-6 {
				t.Errorf("%s: the gradient at %d is %v, and the slope %v", o.output, i, grad[i], slope)
			}
		}
	})
}

// TestFromEnd: positions are counted back from the last token that is shown.
func TestFromEnd(t *testing.T) {
	in := engine.Input{Lengths: []int{2, 4}, Mask: []uint8{1, 1, 0, 1, 1, 0}}
	for _, c := range []struct {
		sequence, row int
		tokens        bool
		want          int // or −1 for none
	}{
		{0, -1, true, 1}, {0, -2, true, 0}, {0, -3, true, -1}, {0, 1, true, 1},
		{1, -1, true, 2}, {1, -3, true, 0}, {1, -4, true, -1}, {1, 3, true, 3},
		{1, -1, false, 3}, {1, -4, false, 0},
	} {
		got := -1
		if at, ok := fromEnd(point.Term{Sequence: c.sequence, Row: c.row}, in, c.tokens).In(in.Lengths); ok {
			got = at.Row
		}
		if got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
