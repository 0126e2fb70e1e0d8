package point

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
)

// Tensors reads the first of some tensors that a file has. Its errors are
// passed on as they are.
type Tensors func(file string, names []string) (name string, values []float64, shape []int, err error)

// ParseEdit reads POINT=OP, where POINT is any specification of [Resolve] and
// OP one of
//
//	zero                                 replaces by 0
//	3.5                                  replaces by a number, or by ±inf
//	mean                                 replaces by the mean over the positions
//	add:3.5      add:FILE#NAME           adds
//	scale:3.5    scale:FILE#NAME         multiplies
//	patch:FILE   patch:FILE#NAME         replaces by a tensor of another run
//
// and returns the edit of each point. Without NAME the tensor is the one called
// as the selection, or else the one called as its point or an alias of it. What
// bears the name of a whole point is taken to be one, of which the selection is
// cut out; any other tensor has the shape of the selection, and is repeated to
// it as numpy does: axes in front may be missing, and those of size 1 repeat.
// Axes that an index drops may be missing or of size 1.
//
// Errors are those of Resolve, where a [*MismatchError] also reports points
// that cannot be edited and tensors that do not fit.
func ParseEdit(g *arch.Graph, info arch.Info, spec string, read Tensors) ([]Edit, error) {
	equals, err := outside(spec, 0, "=")
	if err != nil {
		return nil, err
	}
	if equals < 0 {
		return nil, &SyntaxError{spec, len(spec), "an edit is POINT=zero, mean, a number, add:X, scale:X or patch:FILE"}
	}
	c, reason := parseChange(strings.TrimSpace(spec[equals+1:]))
	if reason != "" {
		return nil, &SyntaxError{spec, equals + 1, reason}
	}
	n := newNames(g, info)
	selections, err := n.resolve(spec[:equals])
	if err != nil {
		return nil, err
	}
	var edits []Edit
	for _, s := range selections {
		if err := editable(g, s, c.op); err != nil {
			return nil, err
		}
		e := Edit{Selection: s, Op: c.op}
		switch {
		case c.file != "":
			err = n.load(&e, c, read)
		case c.op != Mean:
			err = e.broadcast([]float64{c.number}, nil)
		}
		if err != nil {
			return nil, err
		}
		edits = append(edits, e)
	}
	return edits, nil
}

// change is what stands behind the equals sign of an edit.
type change struct {
	op         Op
	number     float64
	file, name string // of a tensor in place of the number
}

// parseChange reads a change, and says why it cannot where it cannot.
func parseChange(text string) (c change, reason string) {
	verb, operand, given := strings.Cut(text, ":")
	switch {
	case text == "zero":
		return c, ""
	case text == "mean":
		return change{op: Mean}, ""
	case verb == "add" && given:
		c.op = Add
	case verb == "scale" && given:
		c.op = Multiply
	case verb == "patch" && given:
	default:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) {
			return c, "an edit is zero, mean, a number, add:X, scale:X or patch:FILE"
		}
		return change{number: x}, ""
	}
	if x, err := strconv.ParseFloat(operand, 64); verb != "patch" && err == nil {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return c, verb + " takes a finite number"
		}
		c.number = x
		return c, ""
	}
	c.file = operand
	hash := strings.LastIndexByte(operand, '#')
	if hash >= 0 {
		c.file, c.name = operand[:hash], operand[hash+1:]
	}
	switch {
	case c.file == "":
		return c, verb + " needs the name of a file"
	case verb != "patch" && hash < 0:
		return c, verb + " takes a number or FILE#NAME"
	case hash >= 0 && c.name == "":
		return c, "a # needs the name of a tensor behind it"
	}
	return c, ""
}

// editable returns an error that says why a selection cannot be edited, where
// it cannot.
func editable(g *arch.Graph, s Selection, op Op) error {
	p := s.Point
	if p.Editable {
		positions := func(a arch.Axis) bool { return a.Letter != "B" && a.Size == 0 }
		if op == Mean && !slices.ContainsFunc(p.Axes, positions) {
			return mismatch(s.Name, "has no positions to take the mean over")
		}
		return nil
	}
	switch p.Stage {
	case arch.IDs:
		return mismatch(s.Name, "cannot be edited: give other tokens, or edit hook_embed")
	case arch.Content, arch.Position, arch.Segment:
		return mismatch(s.Name, "cannot be edited: it is a term of hook_attn_scores, which can be")
	}
	if _, ok := g.Nodes[p.Node].Op.(arch.Remembered); ok {
		return mismatch(s.Name, "cannot be edited: give other memories")
	}
	return mismatch(s.Name, "cannot be edited")
}

// load reads the values of an edit.
func (n *names) load(e *Edit, c change, read Tensors) error {
	// The names under which a tensor is all of the point.
	all := []string{e.Point.Name}
	head := e.Name
	if _, ok := n.lookup(head); !ok {
		head = head[:strings.LastIndexByte(head, '[')]
	}
	if m, _ := n.lookup(head); m.slice == "" {
		all = append(all, strings.TrimSpace(head))
	}
	wanted := []string{c.name}
	if c.name == "" {
		wanted = append([]string{e.Name}, all...)
	}
	name, values, shape, err := read(c.file, wanted)
	if err != nil {
		return err
	}
	if !consistent(values, shape) {
		return mismatch(e.Name, "is edited with %s, whose %d values do not have the shape %v", name, len(values), shape)
	}
	if slices.Contains(all, name) {
		if values, shape, err = e.cut(name, values, shape); err != nil {
			return err
		}
	}
	return e.broadcast(values, shape)
}

// consistent tells whether there are as many values as a shape has, and any.
func consistent(values []float64, shape []int) bool {
	n := len(values)
	for _, dim := range shape {
		if dim <= 0 || n%dim != 0 {
			return false
		}
		n /= dim
	}
	return n == 1
}

// cut returns the selected part of a tensor that holds all of the point, maybe
// of other sequences. A single one of those stands for each.
func (s Selection) cut(name string, values []float64, shape []int) ([]float64, []int, error) {
	if len(shape) != len(s.Ranges) {
		return nil, nil, mismatch(s.Name, "is cut out of %s, which has the shape %v in place of %s", name, shape, whole(name, s.Point).shape())
	}
	offsets, stride := []int{0}, len(values)
	var dims []int
	for axis, dim := range shape {
		a := s.Point.Axes[axis]
		if a.Size > 0 && a.Size != dim {
			return nil, nil, mismatch(s.Name, "is cut out of %s, which has the shape %v in place of %s", name, shape, whole(name, s.Point).shape())
		}
		lo, hi := s.Ranges[axis].Bounds(dim)
		if a.Letter == "B" && dim == 1 {
			lo, hi = 0, 1
		}
		if lo >= hi {
			return nil, nil, mismatch(s.Name, "is cut out of %s, which ends before it on axis %s: its shape is %v", name, a.Letter, shape)
		}
		stride /= dim
		var next []int
		for _, offset := range offsets {
			for i := lo; i < hi; i++ {
				next = append(next, offset+i*stride)
			}
		}
		offsets, dims = next, append(dims, hi-lo)
	}
	part := make([]float64, len(offsets))
	for i, offset := range offsets {
		part[i] = values[offset]
	}
	return part, dims, nil
}

// broadcast sets the values of an edit to those of a tensor that can be
// repeated to the shape of its selection.
func (e *Edit) broadcast(values []float64, shape []int) error {
	kept := e.Kept()
	if len(shape) > len(kept) && len(shape) != len(e.Ranges) {
		return mismatch(e.Name, "takes values of the shape %s, not of %v", e.shape(), shape)
	}
	dims := slices.Repeat([]int{1}, len(e.Ranges))
	if len(shape) > len(kept) {
		copy(dims, shape)
	} else {
		for i, dim := range shape {
			dims[kept[len(kept)-len(shape)+i]] = dim
		}
	}
	for axis, dim := range dims {
		if n, ok := e.extent(axis); ok && dim != 1 && dim != n {
			return mismatch(e.Name, "takes values of the shape %s, not of %v", e.shape(), shape)
		}
	}
	e.Values, e.Shape = values, dims
	return nil
}
