// Package point resolves the names by which callers ask for activations:
// canonical ones, aliases, globs, layer ranges and slices.
//
//	blocks.3.attn.hook_pattern             a point by its canonical name
//	pattern3  attentions[3]                the same by aliases
//	blocks.*.attn.hook_pattern             of all blocks: * and ? are globs
//	blocks.3-7.attn.hook_pattern           of blocks 3 to 7, both included
//	attentions[3][0,h=3,t=5:9]             a slice, as numpy has them
//	attentions  attentions[h=3]            of all layers: tuples, sliced by letters alone
//
// A slice holds a comma list of indices and ranges. Each is for the axis at its
// place, or for the one that it names by its letter: small or capital, h also
// for K, t also for P, d also for De. An index drops its axis from what a user
// sees ([Selection.Kept]; a forward returns it with the size 1), a range keeps
// it. Bounds may be left out, and count from the end where they are negative; a
// letter alone, like ":", is all of its axis, and "..." is all of the axes that
// are left. Unlike with numpy, what lies outside of an axis whose size the model
// knows, and what is empty, is refused.
//
// The stars of a glob also cross dots. Brackets are never part of one.
//
// [ParseEdit] reads what is to be done with such a selection, [ParseTarget] sums
// of single logits.
package point

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
)

// End as the Hi of a [Range] is the end of the axis.
const End = math.MaxInt

// Range is the half-open range [Lo, Hi) of an axis. Negative ends count from
// the end of the axis, whose size may be known only when the model runs: the
// last two are Range{Lo: -2, Hi: End}.
type Range struct {
	Lo, Hi int
	// Drop tells that the range is an index, Lo: the axis is left out of what
	// callers see.
	Drop bool
}

// All is the whole of an axis.
var All = Range{0, End, false}

// Bounds returns the part of an axis of n that the range covers, cut to it.
func (r Range) Bounds(n int) (lo, hi int) {
	lo, hi = r.Lo, r.Hi
	if lo < 0 {
		lo += n
	}
	if hi < 0 {
		hi += n
	}
	hi = min(max(hi, 0), n)
	return min(max(lo, 0), hi), hi
}

// index is the range of one value.
func index(i int) Range {
	if i == -1 {
		return Range{-1, End, true}
	}
	return Range{i, i + 1, true}
}

// fixed returns the number of values that the range covers on every axis that
// has them, and false where that depends on the axis.
func (r Range) fixed() (int, bool) {
	if r.Drop {
		return 1, true
	}
	return r.Hi - r.Lo, r.Hi != End && (r.Lo < 0) == (r.Hi < 0)
}

// Selection is a part of one point.
type Selection struct {
	// Name is the point as it was asked for, slice included. A glob, or a range
	// of layers, gives each point under its own name, followed by the slice.
	Name   string
	Point  arch.Point // the point of the graph
	Ranges []Range    // one for each axis of the point
}

// Kept returns which axes of the point a user sees: those that no index drops.
func (s Selection) Kept() []int {
	var axes []int
	for axis, r := range s.Ranges {
		if !r.Drop {
			axes = append(axes, axis)
		}
	}
	return axes
}

// HasPositions tells whether the point has an axis of positions, which [Mean]
// goes over.
func (s Selection) HasPositions() bool {
	return slices.ContainsFunc(s.Point.Axes, func(a arch.Axis) bool { return a.Letter != "B" && a.Size == 0 })
}

// whole selects all of a point.
func whole(name string, p arch.Point) Selection {
	return Selection{Name: name, Point: p, Ranges: slices.Repeat([]Range{All}, len(p.Axes))}
}

// extent returns how many values the selection has on an axis, and false where
// the input decides.
func (s Selection) extent(axis int) (int, bool) {
	if n := s.Point.Axes[axis].Size; n > 0 {
		lo, hi := s.Ranges[axis].Bounds(n)
		return hi - lo, true
	}
	return s.Ranges[axis].fixed()
}

// shape writes the axes that callers see down, with the sizes that are known:
// [B,T,H=12,E=64].
func (s Selection) shape() string {
	var parts []string
	for _, axis := range s.Kept() {
		part := s.Point.Axes[axis].Letter
		if n, ok := s.extent(axis); ok && part != strconv.Itoa(n) {
			part += "=" + strconv.Itoa(n)
		}
		parts = append(parts, part)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// Op is what an edit does with the values that it selects.
type Op uint8

// The operations.
const (
	Replace  Op = iota // by the edit's values: a constant, or another run's (patching)
	Add                // the edit's values: steering
	Multiply           // by the edit's values: scaling
	// Mean replaces by the mean over all positions of the sequence in the same
	// run, selected or not: of scores and patterns, over all keys that the query
	// sees.
	Mean
)

// Edit changes what a selection holds while a model runs: all that is computed
// from it sees the change.
type Edit struct {
	Selection
	Op Op
	// Values are [1] for a constant, or have the shape of the selection, with
	// all axes of the point, where an axis of 1 is repeated.
	Values []float64
	Shape  []int
}
