// Package perturbation explains a prediction by what it loses when parts of the
// input go: feature ablation, occlusion by a window (Zeiler and Fergus,
// "Visualizing and Understanding Convolutional Networks", ECCV 2014), and leaving
// one out (Li, Monroe and Jurafsky, "Understanding Neural Networks through
// Representation Erasure", 2016).
//
// All of their variants are known beforehand, so that each explanation is one
// forward of the host. Nothing is drawn at random, and no value has an error of
// its own.
package perturbation

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

// Methods returns the methods of the family.
func Methods() []sdk.Method { return []sdk.Method{FeatureAblation{}, LeaveOneOut{}, Occlusion{}} }

// maxCells bounds a mask, which has one byte a variant and player.
const maxCells = 1 << 26

// masks are coalitions as they are collected: the first one has every player,
// and the last one none.
type masks struct {
	players int
	keep    []uint8
}

// with adds a coalition that has all players, or none, but for from to until-1.
func (m *masks) with(others uint8, from, until int) {
	start := len(m.keep)
	for range m.players {
		m.keep = append(m.keep, others)
	}
	for i := from; i < until; i++ {
		m.keep[start+i] = 1 - others
	}
}

// run evaluates, between the whole input and nothing of it, one coalition for
// each range of players: without the range, or under alone of nothing else. It
// returns their worth, and those of the two.
func run(ctx context.Context, g *game.Game, ranges [][2]int, alone bool) (worth []float64, whole, nothing float64, err error) {
	n := len(g.Players)
	if (len(ranges)+2)*n > maxCells {
		return nil, 0, 0, sdk.NewError(sdk.EInvalid, "the input has "+strconv.Itoa(n)+" units, and their variants do not fit into memory: use coarser units (--units sentence), or a larger stride")
	}
	m := masks{players: n, keep: make([]uint8, 0, (len(ranges)+2)*n)}
	m.with(1, 0, 0)
	for _, r := range ranges {
		if alone {
			m.with(0, r[0], r[1])
		} else {
			m.with(1, r[0], r[1])
		}
	}
	m.with(0, 0, 0)
	v, err := g.Worth(ctx, m.keep)
	if err != nil {
		return nil, 0, 0, err
	}
	last := len(v) - 1
	return v[1:last], v[0], v[last], nil
}

// singles are the ranges of each player by itself.
func singles(n int) [][2]int {
	ranges := make([][2]int, n)
	for i := range ranges {
		ranges[i] = [2]int{i, i + 1}
	}
	return ranges
}

// explained returns an explanation with its baseline, the worth of nothing, and
// how far the values are from adding up to what the whole is worth beyond it.
func explained(g *game.Game, values []float64, whole, nothing float64) *sdk.Explanation {
	e := g.Explanation(values, nil)
	e.Baseline = &nothing
	e.Diagnostics = []sdk.Diagnostic{game.Gap(values, whole, nothing)}
	return e
}
