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
	"errors"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// Methods returns the methods of the family.
func Methods() []sdk.Method { return []sdk.Method{FeatureAblation{}, LeaveOneOut{}, Occlusion{}} }

// captum is the preset of the reference, a value of paramCompat.
const (
	paramCompat = "compat"
	captum      = "captum"
)

// params declares what the methods after captum's have: its preset, their own
// parameters and those of all.
func params(own ...sdk.Param) []sdk.Param {
	all := append([]sdk.Param{{
		Name: paramCompat, Type: sdk.Enum, Default: "none", Values: []string{"none", captum},
		Doc: "captum: the reference's feature masks over tokens, of which each of a unit's is replaced in its place",
	}}, own...)
	for _, p := range game.Params() {
		if p.Name == game.ParamFillBy {
			p.Compat = map[string]any{captum: "token"}
		}
		all = append(all, p)
	}
	return all
}

// maxCells bounds a mask, which has one byte a variant and player.
const maxCells = 1 << 26

// coalitions are those of an explanation with their worth: first all players, then
// one for each range of them, and last nobody, unless the model cannot read that.
type coalitions struct {
	players int
	keep    []uint8   // [coalitions,players]
	worth   []float64 // of each coalition
	empty   bool      // nobody is among them
}

// with adds a coalition that has all players, or none, but for from to until-1.
func (c *coalitions) with(others uint8, from, until int) {
	start := len(c.keep)
	for range c.players {
		c.keep = append(c.keep, others)
	}
	for i := from; i < until; i++ {
		c.keep[start+i] = 1 - others
	}
}

// of returns the worth of the coalition of range i.
func (c *coalitions) of(i int) float64 { return c.worth[1+i] }

// whole returns the worth of all players.
func (c *coalitions) whole() float64 { return c.worth[0] }

// nothing returns the worth of nobody, where empty is set.
func (c *coalitions) nothing() float64 { return c.worth[len(c.worth)-1] }

// run evaluates the whole input, one coalition for each range of players, and nothing of
// the input. The coalition of a range is all players but for it, or under alone it and
// nobody else. What ranges take away can be told without the worth of nothing, so that
// a model which cannot read an empty input is explained all the same; what they add
// alone cannot. It is an *sdk.Error of code EInvalid where the masks do not fit into
// memory; other errors are the host's.
func run(ctx context.Context, g *game.Game, ranges [][2]int, alone bool) (*coalitions, error) {
	n := len(g.Players)
	if (len(ranges)+2)*n > maxCells {
		return nil, sdk.NewError(sdk.EInvalid, "the input has "+strconv.Itoa(n)+" units, and their variants do not fit into memory: use coarser units (--units sentence), or a larger stride")
	}
	c := &coalitions{players: n, empty: true, keep: make([]uint8, 0, (len(ranges)+2)*n)}
	c.with(1, 0, 0)
	for _, r := range ranges {
		if alone {
			c.with(0, r[0], r[1])
		} else {
			c.with(1, r[0], r[1])
		}
	}
	c.with(0, 0, 0)
	var err error
	c.worth, err = g.Worth(ctx, c.keep)
	if !alone && n > 1 && g.Empties() && errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
		c.keep, c.empty = c.keep[:len(c.keep)-n], false
		c.worth, err = g.Worth(ctx, c.keep)
	}
	return c, err
}

// singles are the ranges of each player by itself.
func singles(n int) [][2]int {
	ranges := make([][2]int, n)
	for i := range ranges {
		ranges[i] = [2]int{i, i + 1}
	}
	return ranges
}

// explained returns the explanation of the players' values: where the worth of nothing
// is known, with that as its baseline, and how far the values are from adding up to what
// the whole is worth beyond it; and with how well they tell what each coalition is worth,
// counted from the whole, or under alone from nothing.
func explained(g *game.Game, values []float64, c *coalitions, alone bool) *sdk.Explanation {
	e := g.Explanation(values, nil)
	if c.empty {
		nothing := c.nothing()
		e.Baseline = &nothing
		e.Diagnostics = append(e.Diagnostics, game.Gap(values, c.whole(), nothing))
	}
	origin := c.whole() - num.Sum(values)
	if alone {
		origin = c.nothing()
	}
	e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: sdk.DiagR2, Value: game.R2(values, origin, len(c.worth), func(i int) (keep []uint8, worth, weight float64) {
		return c.keep[i*c.players : (i+1)*c.players], c.worth[i], 1
	})})
	return e
}
