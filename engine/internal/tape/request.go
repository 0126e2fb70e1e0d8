package tape

import (
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// Request says what a forward is to compute. Plans are made for it once and
// serve any batch of its form.
type Request struct {
	Form     arch.Form
	Logits   bool              // the head's output at the rows it reads
	AllReads bool              // every token is read, whatever the graph's rule
	Captures []point.Selection // values to return
	Edits    []point.Edit      // changes, applied in this order
	// Gradients are the points with respect to which the objective is
	// differentiated: as its consumers read them, after edits. nil makes no
	// backward pass.
	Gradients []point.Selection
	// Recompute keeps only what passes between blocks and computes the rest of
	// a block again on the way back: the same bits from less memory.
	Recompute bool
	// Reuse computes what depends on a token's id, position and type alone once
	// for all tokens that are alike: see [Program.Shared].
	Reuse bool
	// KeepRows computes the last layers at all tokens even where the head reads
	// few of them.
	KeepRows bool
}

// Objective is the scalar whose gradients are asked for. It is given the
// logits that the head reads of one sequence, [reads, outputs] row-major,
// returns its value and adds its gradient to grad, which is zero at first. It
// is called from several goroutines at a time, and must keep neither slice.
type Objective func(sequence int, logits []float64, grad []float64) float64

// Output is the result of a forward. Each group writes its own sequences.
type Output struct {
	Starts  []int  // row of Logits at which each sequence begins, and the end
	Logits  Tensor // [reads, outputs]; nothing where they were not asked for
	Classes int    // number of logits of a row
	// Values are what was captured and Gradients what was differentiated, in
	// the order of the request.
	Values, Gradients []Activation
	// Tables receive what a shared program computes, [rows, width].
	Tables []Tensor
	// Objectives are the values of the objective, one a sequence; nil without one.
	Objectives []float64
}

// Row returns the logits of row i.
func (o *Output) Row(i int) []float64 {
	lo, hi := i*o.Classes, (i+1)*o.Classes
	if o.Logits.F64 != nil {
		return o.Logits.F64[lo:hi]
	}
	return Tensor{F32: o.Logits.F32[lo:hi]}.Float64()
}

// Activation is the selected part of a point.
type Activation struct {
	point.Selection
	// Sequences holds one tensor for each sequence, without the axis B. A point
	// that has no such axis has one tensor in all.
	Sequences []Tensor
}
