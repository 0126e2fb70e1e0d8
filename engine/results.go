package engine

import (
	"fmt"
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/tape"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/engine/result"
)

// check refuses selections and edits that do not fit the graph or the batch.
func (r *request) check(graph *arch.Graph, b tape.Batch) error {
	known := make(map[string]arch.Point, len(graph.Points))
	for _, p := range graph.Points {
		known[p.Name] = p
	}
	refuse := func(s point.Selection, format string, args ...any) error {
		return &point.MismatchError{Name: s.Name, Reason: fmt.Sprintf(format, args...)}
	}
	is := func(s point.Selection, has func(p arch.Point) bool, what string) error {
		// A point of another graph or model may bear the name of one of this graph.
		p, ok := known[s.Point.Name]
		switch {
		case !ok || p.Node != s.Point.Node || p.Stage != s.Point.Stage || !slices.Equal(p.Axes, s.Point.Axes):
			return refuse(s, "is not of this input's graph: select it on Graph of the same model, for an input with the same fields")
		case len(s.Ranges) != len(p.Axes):
			return refuse(s, "has %d ranges for %d axes", len(s.Ranges), len(p.Axes))
		case !has(p):
			return refuse(s, "%s", what)
		}
		return nil
	}
	for _, s := range r.Captures {
		if err := is(s, func(p arch.Point) bool { return p.Stage != arch.IDs }, "is the input itself"); err != nil {
			return err
		}
	}
	for _, s := range r.Request.Gradients {
		if err := is(s, func(p arch.Point) bool { return p.Differentiable }, "has no gradient"); err != nil {
			return err
		}
	}
	for _, s := range r.Request.Gradients {
		if err := r.Rule.Check(graph, s); err != nil {
			return err
		}
	}
	if len(r.Request.Edits) > 0 && r.Rule != Gradient {
		return &point.MismatchError{Name: r.Request.Edits[0].Name, Reason: "is edited, and relevance by " + r.Rule.String() + " is not passed back through edits"}
	}
	if len(r.Request.Gradients) > 0 && r.objective == nil {
		return &point.MismatchError{Name: r.Request.Gradients[0].Name, Reason: "is to be differentiated without an objective"}
	}
	for _, e := range r.Request.Edits {
		if err := is(e.Selection, func(p arch.Point) bool { return p.Editable }, "cannot be edited"); err != nil {
			return err
		}
		if err := r.checkEdit(e, b); err != nil {
			return err
		}
	}
	return nil
}

// checkEdit refuses an edit whose operation is none, or a mean over nothing, and
// holds its values to the shape of what it selects: in every sequence, if it has
// no axis for them.
func (r *request) checkEdit(e point.Edit, b tape.Batch) error {
	switch {
	case e.Op > point.Mean:
		return &point.MismatchError{Name: e.Name, Reason: fmt.Sprintf("is edited by operation %d: they are Replace, Add, Multiply and Mean", e.Op)}
	case e.Op == point.Mean && !e.HasPositions():
		return &point.MismatchError{Name: e.Name, Reason: "has no positions to take the mean over"}
	case e.Op == point.Mean || len(e.Values) == 1:
		return nil
	}
	n := 1
	for _, dim := range e.Shape {
		n *= dim
	}
	if len(e.Shape) != len(e.Ranges) || n != len(e.Values) {
		return &point.MismatchError{Name: e.Name, Reason: fmt.Sprintf("is edited with values of the shape %v, which does not have its %d axes", e.Shape, len(e.Ranges))}
	}
	for i := range b.Sequences() {
		if lo, hi := e.Ranges[0].Bounds(b.Sequences()); e.Point.Axes[0].Letter == "B" && (i < lo || i >= hi) {
			continue
		}
		for axis, dim := range e.Shape {
			size := extent(b, e.Point, axis, i)
			if axis == 0 && e.Point.Axes[0].Letter == "B" {
				size = b.Sequences()
			}
			if lo, hi := e.Ranges[axis].Bounds(size); dim != 1 && dim != hi-lo {
				return &point.MismatchError{Name: e.Name, Reason: fmt.Sprintf("is edited with values of the shape %v, but its axis %s has %d values in sequence %d", e.Shape, e.Point.Axes[axis].Letter, hi-lo, i)}
			}
		}
	}
	return nil
}

// extent returns the size of an axis of a point in sequence i.
func extent(b tape.Batch, p arch.Point, axis, i int) int {
	a := p.Axes[axis]
	lo, hi := b.Starts[i], b.Starts[i+1]
	memory := 0
	if b.MemoryStarts != nil {
		memory = b.MemoryStarts[i+1] - b.MemoryStarts[i]
	}
	if b.Past != nil && b.Past[i] != nil && p.Stage != arch.Out {
		memory = b.Past[i].Length
	}
	switch {
	case a.Size > 0:
		return a.Size
	case a.Letter == "P":
		return len(b.Targets[i])
	case a.Letter == "S":
		return memory + hi - lo
	case a.Letter == "M":
		return memory
	case a.Letter == "R":
		size := b.Size()
		return size.Context + size.Longest
	}
	return hi - lo
}

// shape returns the shape of a selection in sequence i, without the axis B, and
// whether it selects the sequence.
func shape(b tape.Batch, s point.Selection, i int) ([]int, bool) {
	var dims []int
	for axis, a := range s.Point.Axes {
		if a.Letter == "B" {
			if lo, hi := s.Ranges[axis].Bounds(b.Sequences()); i < lo || i >= hi {
				return nil, false
			}
			continue
		}
		lo, hi := s.Ranges[axis].Bounds(extent(b, s.Point, axis, i))
		dims = append(dims, hi-lo)
	}
	return dims, true
}

// Shapes returns the shape of a selection in each sequence of an input, without
// the axis B: nil for a sequence that is not selected, and one shape in all for a
// point that has no such axis. Errors are those of [Model.Forward].
func (m *Model) Shapes(in Input, s point.Selection) ([][]int, error) {
	graph := m.network.Graph(form(in))
	b, err := in.batch(m.architecture, graph.Read)
	if err != nil {
		return nil, err
	}
	if err := (&request{Request: tape.Request{Captures: []point.Selection{s}}}).check(graph, b); err != nil {
		return nil, err
	}
	return shapes(b, s), nil
}

// Reads returns the positions of each sequence of an input whose row the head
// answers for, ascending; nil where it answers for every token. Errors are those
// of [Model.Forward].
func (m *Model) Reads(in Input) ([][]int, error) {
	b, err := in.batch(m.architecture, m.network.Graph(form(in)).Read)
	return b.Reads, err
}

// shapes returns the shape of a selection in each sequence, nil for one that is
// not selected.
func shapes(b tape.Batch, s point.Selection) [][]int {
	all := make([][]int, instances(b, s))
	for i := range all {
		if dims, ok := shape(b, s, i); ok {
			all[i] = append([]int{}, dims...)
		}
	}
	return all
}

// instances returns of how many tensors a selection consists.
func instances(b tape.Batch, s point.Selection) int {
	if s.Point.Axes[0].Letter != "B" {
		return min(1, b.Sequences())
	}
	return b.Sequences()
}

// bytes returns the size of what the request returns.
func (r *request) bytes(info Info, b tape.Batch) int64 {
	values := int64(0)
	if r.Logits {
		values += int64(r.starts(b)[b.Sequences()]) * int64(info.Outputs)
	}
	for _, list := range [][]point.Selection{r.Captures, r.Request.Gradients} {
		for _, s := range list {
			for i := range instances(b, s) {
				if dims, ok := shape(b, s, i); ok {
					n := int64(1)
					for _, dim := range dims {
						n *= int64(dim)
					}
					values += n
				}
			}
		}
	}
	return values * info.DType.Size()
}

// starts returns the row of the logits at which each sequence begins, and the
// end.
func (r *request) starts(b tape.Batch) []int {
	starts := make([]int, 1, b.Sequences()+1)
	for i := range b.Sequences() {
		n := b.Starts[i+1] - b.Starts[i]
		switch {
		case b.Targets != nil:
			n = len(b.Targets[i])
		case b.Reads != nil:
			n = len(b.Reads[i])
		}
		starts = append(starts, starts[i]+n)
	}
	return starts
}

// output allocates what the request returns.
func (r *request) output(info Info, b tape.Batch) *Output {
	out := &Output{Starts: r.starts(b), Classes: info.Outputs}
	if r.Logits {
		out.Logits = result.NewTensor(info.DType, out.Starts[b.Sequences()], info.Outputs)
	}
	allocate := func(list []point.Selection) (all []Activation) {
		for _, s := range list {
			all = append(all, result.NewActivation(info.DType, s, shapes(b, s)))
		}
		return all
	}
	out.Values, out.Gradients = allocate(r.Captures), allocate(r.Request.Gradients)
	if len(r.Request.Gradients) > 0 {
		out.Objectives = make([]float64, b.Sequences())
	}
	return out
}
