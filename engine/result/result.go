// Package result holds what a forward returns: logits, and the values and
// gradients of the points that were asked for. Its types are those of package
// engine; whoever is given one may change it.
package result

import (
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// Objective is the scalar whose gradients are asked for. It is given the
// logits that the head reads of one sequence, [reads, outputs] row-major,
// returns its value and adds its gradient to grad, which is zero at first. It
// is called from several goroutines at a time, and must keep neither slice. Nor
// must it run a forward of the same model: it may wait for ever for memory that
// its own one holds.
type Objective func(sequence int, logits []float64, grad []float64) float64

// Output is the result of a forward.
type Output struct {
	// Logits, [rows, Classes], are those of all sequences one after another;
	// nothing where they were not asked for.
	Logits  Tensor
	Classes int // number of logits of a row
	// Starts are the rows of Logits at which each sequence begins, and the end:
	// one more than there are sequences.
	Starts []int
	// Values are what was captured and Gradients what was differentiated, in
	// the order of the request.
	Values, Gradients []Activation
	// Objectives are the values of the objective, one a sequence; nil without one.
	Objectives []float64
}

// Row returns row i of the logits, [Classes].
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
	// Sequences holds one tensor for each sequence, without the axis B, that of
	// a sequence that is not selected without values. A point that has no such
	// axis has one tensor in all. Axes that an index drops have the size 1.
	Sequences []Tensor

	all Tensor // the values of all, one after another
}

// NewActivation returns an activation of zeros, given the shape of each sequence, nil
// for one that is not selected.
func NewActivation(dtype arch.DType, s point.Selection, shapes [][]int) Activation {
	a := Activation{Selection: s, Sequences: make([]Tensor, len(shapes))}
	sizes, total := make([]int, len(shapes)), 0
	for i, dims := range shapes {
		if dims == nil {
			continue
		}
		sizes[i] = 1
		for _, dim := range dims {
			sizes[i] *= dim
		}
		total += sizes[i]
	}
	a.all = NewTensor(dtype, total)
	at := 0
	for i, n := range sizes {
		if shapes[i] != nil {
			a.Sequences[i] = Tensor{Shape: shapes[i]}.of(a.all, at, at+n)
			at += n
		}
	}
	return a
}

// of returns a tensor whose values are part of those of another.
func (t Tensor) of(all Tensor, lo, hi int) Tensor {
	if all.F64 != nil {
		t.F64 = all.F64[lo:hi:hi]
	} else {
		t.F32 = all.F32[lo:hi:hi]
	}
	return t
}

// Joined returns the selected sequences in one tensor, with an axis in front
// that counts them. It shares their values, and is there only where they have
// the same shape.
func (a Activation) Joined() (Tensor, bool) {
	t, n := a.all, 0
	for _, s := range a.Sequences {
		switch {
		case s.Shape == nil:
			continue
		case n > 0 && !slices.Equal(s.Shape, t.Shape):
			return Tensor{}, false
		}
		t.Shape = s.Shape
		n++
	}
	t.Shape = append([]int{n}, t.Shape...)
	return t, n > 0
}

// Single returns the output with its values rounded to single precision.
func (o *Output) Single() *Output {
	single := *o
	if o.Logits.F64 != nil {
		single.Logits = Tensor{Shape: o.Logits.Shape, F32: o.Logits.Float32()}
	}
	activations := func(list []Activation) (out []Activation) {
		for _, a := range list {
			shapes := make([][]int, len(a.Sequences))
			for k, t := range a.Sequences {
				shapes[k] = t.Shape
			}
			b := NewActivation(arch.F32, a.Selection, shapes)
			copy(b.all.F32, a.all.Float32())
			out = append(out, b)
		}
		return out
	}
	single.Values, single.Gradients = activations(o.Values), activations(o.Gradients)
	return &single
}
