package arch

import "iter"

// Weight names a tensor of a checkpoint.
type Weight struct {
	Name string   // in the reference implementation's spelling, base prefix included
	Or   []string // other tensors that stand in for it where it is absent: tied ones
	// Shape is the stored shape. As a matrix it is [out, in], with further
	// axes folded into in, or, where Transposed, [in, out], with further axes
	// folded into out.
	Shape      []int
	Transposed bool
	Lo, Hi     int  // the outputs [Lo, Hi) alone; all of them where Hi is 0
	Optional   bool // absent from the checkpoint means none
}

// Given tells whether there is such a tensor at all.
func (w Weight) Given() bool { return w.Name != "" }

// Elements returns the number of stored values.
func (w Weight) Elements() int {
	n := 1
	for _, dim := range w.Shape {
		n *= dim
	}
	return n
}

// Dims returns the number of outputs and inputs of the matrix.
func (w Weight) Dims() (out, in int) {
	first, rest := w.Shape[0], 1
	for _, dim := range w.Shape[1:] {
		rest *= dim
	}
	out, in = first, rest
	if w.Transposed {
		out, in = rest, first
	}
	if w.Hi > 0 {
		out = w.Hi - w.Lo
	}
	return out, in
}

// Weights returns the weights that the graph names in the order of its
// operations, as often as these read them; the second value tells that it is
// the matrix of a linear layer.
func (g *Graph) Weights() iter.Seq2[Weight, bool] {
	return func(yield func(Weight, bool) bool) {
		all := func(matrix bool, list ...Weight) bool {
			for _, w := range list {
				if w.Given() && !yield(w, matrix) {
					return false
				}
			}
			return true
		}
		for _, n := range g.Nodes {
			more := true
			switch op := n.Op.(type) {
			case Words:
				more = all(false, op.Table)
			case Embed:
				more = all(false, op.Table)
			case Repeat:
				more = all(false, op.Row)
			case Norm:
				more = all(false, op.Gamma, op.Beta)
			case Linear:
				more = all(true, op.W) && all(false, op.Bias)
			case Attention:
				if r := op.Relative; r != nil {
					more = all(false, r.Content, r.Position, r.Segment, r.Segments)
				}
			}
			if !more {
				return
			}
		}
	}
}
