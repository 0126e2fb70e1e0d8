package point

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
)

// Tensors finds the first of some tensors that a file has. Its errors, and those
// of reading what it finds, are passed on as they are.
type Tensors func(file string, names []string) (Tensor, error)

// Tensor is one of a file. What does not fit is refused by its shape, before its
// values are read.
type Tensor struct {
	Name  string
	Shape []int
	// Read returns the values. An edit may hold on to them, and so may several;
	// nobody changes them.
	Read func() ([]float64, error)
}

// ParseEdit reads POINT=OP, where POINT is any specification of [Resolve] and
// OP one of
//
//	zero                                 replaces by 0
//	3.5                                  replaces by a number, or by ±inf
//	mean                                 replaces by the mean over all positions of the sequence
//	add:3.5      add:FILE#NAME           adds
//	scale:3.5    scale:FILE#NAME         multiplies
//	patch:FILE   patch:FILE#NAME         replaces by a tensor of another run
//
// and returns the edit of each point. Without NAME the tensor is the one called
// as the selection, or else the one called as its point or an alias of it. What
// bears the name of a whole point, this or another one with no other axes, is
// taken to be one, of which the selection is cut out and repeated along the axes
// that it lacks; any other tensor has the shape of the selection, and is repeated to
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
			e.Values = []float64{c.number}
			e.Shape, err = e.dims(nil)
		}
		if err != nil {
			return nil, err
		}
		edits = append(edits, e)
	}
	return edits, nil
}

// NewEdit returns the edit of a selection by values of a shape, which the caller
// sets: a single one, or those of the axes that callers see ([Selection.Kept]),
// or of all of them, in which axes of 1 are repeated. Mean takes none. A
// [*MismatchError] reports a point that cannot be edited, and values that do not
// fit; what the input decides of the selection's shape is left to the forward.
func NewEdit(g *arch.Graph, s Selection, op Op, shape []int) (Edit, error) {
	e := Edit{Selection: s, Op: op}
	err := editable(g, s, op)
	switch {
	case err != nil || op == Mean:
	case !slices.ContainsFunc(shape, func(dim int) bool { return dim != 1 }):
		e.Shape, err = e.dims(nil)
	case len(shape) != len(s.Kept()) && len(shape) != len(s.Ranges):
		err = mismatch(s.Name, "takes values of the shape %s, not of %v", s.shape(), shape)
	default:
		e.Shape, err = e.dims(shape)
	}
	return e, err
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
		if op == Mean && !s.HasPositions() {
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
	t, err := read(c.file, wanted)
	if err != nil {
		return err
	}
	return e.take(t, n.axesOf(t.Name, all, e.Point))
}

// axesOf returns the axes of a tensor that bears the name of a whole point: one
// of names, which are those of the edited point, or another one that has no
// other axes and none in another order. It returns nil for any other tensor.
func (n *names) axesOf(tensor string, names []string, edited arch.Point) []arch.Axis {
	if slices.Contains(names, tensor) {
		return edited.Axes
	}
	m, ok := n.lookup(tensor)
	if !ok || m.slice != "" {
		return nil
	}
	at := 0
	for _, axis := range edited.Axes {
		if at < len(m.point.Axes) && m.point.Axes[at].Letter == axis.Letter {
			at++
		}
	}
	if at < len(m.point.Axes) {
		return nil
	}
	return m.point.Axes
}

// take sets the values of an edit to those of a tensor, which holds all of a
// point that has some axes, or, where these are nil, what can be repeated to the
// shape of the selection.
func (e *Edit) take(t Tensor, axes []arch.Axis) error {
	if slices.Contains(t.Shape, 0) {
		return mismatch(e.Name, "is edited with %s, whose shape %v has no values", t.Name, t.Shape)
	}
	shape := slices.Clone(t.Shape)
	var all []int
	var within [][2]int
	var err error
	if axes != nil {
		if all, within, err = e.within(t, axes); err != nil {
			return err
		}
		shape = make([]int, len(all))
		for axis, r := range within {
			shape[axis] = r[1] - r[0]
		}
	}
	if e.Shape, err = e.dims(shape); err != nil {
		return err
	}
	if e.Values, err = t.Read(); err != nil {
		return err
	}
	size := 1
	for _, dim := range t.Shape {
		size *= dim
	}
	if len(e.Values) != size {
		return mismatch(e.Name, "is edited with %s, whose %d values do not have the shape %v", t.Name, len(e.Values), t.Shape)
	}
	if axes != nil && !slices.Equal(shape, all) {
		e.Values = part(nil, e.Values, all, within)
	}
	return nil
}

// within returns the shape of a tensor that holds all of a point, with 1 on the
// axes of the selection's that it lacks, and the ranges of the selection in it.
// It may be of other sequences; a single one of those stands for each.
func (s Selection) within(t Tensor, axes []arch.Axis) (all []int, ranges [][2]int, err error) {
	other := func() error {
		return mismatch(s.Name, "is cut out of %s, which has the shape %v in place of %s", t.Name, t.Shape, whole(t.Name, arch.Point{Axes: axes}).shape())
	}
	if len(t.Shape) != len(axes) {
		return nil, nil, other()
	}
	at := 0
	for axis, a := range s.Point.Axes {
		if at == len(axes) || axes[at].Letter != a.Letter {
			all, ranges = append(all, 1), append(ranges, [2]int{0, 1})
			continue
		}
		dim := t.Shape[at]
		at++
		if a.Size > 0 && a.Size != dim {
			return nil, nil, other()
		}
		lo, hi := s.Ranges[axis].Bounds(dim)
		if a.Letter == "B" && dim == 1 {
			lo, hi = 0, 1
		}
		if lo >= hi {
			return nil, nil, mismatch(s.Name, "is cut out of %s, which ends before it on axis %s: its shape is %v", t.Name, a.Letter, t.Shape)
		}
		all, ranges = append(all, dim), append(ranges, [2]int{lo, hi})
	}
	return all, ranges, nil
}

// part appends the values of a tensor that lie within ranges of its axes.
func part(dst, values []float64, shape []int, within [][2]int) []float64 {
	if len(shape) == 0 {
		return append(dst, values...)
	}
	size := len(values) / shape[0]
	for i := within[0][0]; i < within[0][1]; i++ {
		dst = part(dst, values[i*size:(i+1)*size], shape[1:], within[1:])
	}
	return dst
}

// dims returns the shape, with all axes of the point, that a tensor has which
// can be repeated to the selection's.
func (s Selection) dims(shape []int) ([]int, error) {
	kept := s.Kept()
	if len(shape) > len(kept) && len(shape) != len(s.Ranges) {
		return nil, mismatch(s.Name, "takes values of the shape %s, not of %v", s.shape(), shape)
	}
	dims := slices.Repeat([]int{1}, len(s.Ranges))
	if len(shape) > len(kept) {
		copy(dims, shape)
	} else {
		for i, dim := range shape {
			dims[kept[len(kept)-len(shape)+i]] = dim
		}
	}
	for axis, dim := range dims {
		if n, ok := s.extent(axis); ok && dim != 1 && dim != n {
			return nil, mismatch(s.Name, "takes values of the shape %s, not of %v", s.shape(), shape)
		}
	}
	return dims, nil
}
