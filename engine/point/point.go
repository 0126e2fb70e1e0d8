// Package point resolves the names by which callers ask for activations:
// canonical ones, aliases, globs, layer ranges and slices.
package point

import "github.com/xai-go/xai/engine/arch"

// Range is the half-open range [Lo, Hi) of an axis. Hi below 0 means to the
// end, and so the zero value with Hi −1 is all of it.
type Range struct{ Lo, Hi int }

// All is the whole of an axis.
var All = Range{0, -1}

// Selection is a part of one point.
type Selection struct {
	Name   string     // as it was asked for; for a glob the canonical name
	Point  arch.Point // the point of the graph
	Ranges []Range    // one for each axis of the point
}

// Op is what an edit does with the values that it selects.
type Op uint8

// The operations.
const (
	Replace  Op = iota // by the edit's values: a constant, or another run's (patching)
	Add                // the edit's values: steering
	Multiply           // by the edit's values: scaling
	Mean               // by the mean over the sequence's positions in the same run
)

// Edit changes what a selection holds while a model runs: all that is computed
// from it sees the change.
type Edit struct {
	Selection
	Op Op
	// Values are [1] for a constant, or have the shape of the selection, where
	// an axis of 1 is repeated.
	Values []float64
	Shape  []int
}

// Bounds returns the part of an axis of n that the range covers, cut to it.
func (r Range) Bounds(n int) (lo, hi int) {
	lo, hi = r.Lo, r.Hi
	if hi < 0 || hi > n {
		hi = n
	}
	return min(lo, hi), hi
}
