package tape

import (
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// node is an operation as it will be run for a request: the graph's operations
// without what the request does not touch, and with what is virtual in the graph
// made real where it does.
type node struct {
	op    any // an arch.Op, or one of the operations below
	in    []int
	rows  arch.RowSet
	width int
	block int

	edits     []use // applied to the value in this order
	captures  []use // copied out of the value, edited
	gradients []use // added up from the value's cotangent, as its consumers read it
	// below are gradients taken from the cotangent before the edits: of what
	// goes into the sum that the node is.
	below []use
	inner inner // of attention
}

// inner is what happens inside of an attention.
type inner struct{ edits, captures, gradients []use }

func (i inner) empty() bool { return len(i.edits)+len(i.captures)+len(i.gradients) == 0 }

// use is a selection of the request at a node.
type use struct {
	index int // in Request.Captures, Edits or Gradients
	sel   *point.Selection
	// head is the one head that the node's rows are of, or −1. Where shared,
	// the node's rows are those of every head.
	head   int
	shared bool
}

// Operations that lowering makes.
type (
	// divisor is √(var + eps) of each row, [rows, 1].
	divisor struct{ norm arch.Norm }
	// normalize is (x − mean)/divisor of each row.
	normalize struct{ norm arch.Norm }
	// affine is gamma∘x + beta.
	affine struct{ norm arch.Norm }
	// keep zeroes the columns of some heads.
	keep struct{ heads []bool }
)

// lowering turns a graph into nodes.
type lowering struct {
	graph *arch.Graph
	req   *Request
	sel   [3]map[place][]use // captures, edits, gradients at each place
	nodes []node
	at    []int // the node of each value of the graph
}

// place is where a point lies.
type place struct {
	value arch.Value
	stage arch.Stage
}

const (
	captured = iota
	edited
	differentiated
)

// lower returns the nodes for a request, and the one that holds the logits.
func lower(graph *arch.Graph, req *Request) (nodes []node, logits int) {
	l := &lowering{graph: graph, req: req, at: make([]int, len(graph.Nodes))}
	for i := range l.sel {
		l.sel[i] = map[place][]use{}
	}
	add := func(kind, i int, s *point.Selection) {
		p := place{s.Point.Node, s.Point.Stage}
		l.sel[kind][p] = append(l.sel[kind][p], use{index: i, sel: s, head: -1})
	}
	for i := range req.Captures {
		add(captured, i, &req.Captures[i])
	}
	for i := range req.Edits {
		add(edited, i, &req.Edits[i].Selection)
	}
	for i := range req.Gradients {
		add(differentiated, i, &req.Gradients[i])
	}
	for v := range graph.Nodes {
		l.at[v] = l.value(arch.Value(v))
	}
	return l.nodes, l.at[graph.Logits]
}

// uses returns what the request does at a stage of a value.
func (l *lowering) uses(kind int, v arch.Value, stage arch.Stage) []use {
	return l.sel[kind][place{v, stage}]
}

// changes tells whether the request edits a stage of a value or
// differentiates with respect to it.
func (l *lowering) changes(v arch.Value, stage arch.Stage) bool {
	return len(l.uses(edited, v, stage))+len(l.uses(differentiated, v, stage)) > 0
}

// push adds a node.
func (l *lowering) push(v arch.Value, op any, width int, in ...int) int {
	n := l.graph.Nodes[v]
	l.nodes = append(l.nodes, node{op: op, in: in, rows: n.Rows, width: width, block: n.Block})
	return len(l.nodes) - 1
}

// watch attaches what the request does with a stage of v to a node.
func (l *lowering) watch(i int, v arch.Value, stage arch.Stage) int {
	n := &l.nodes[i]
	n.edits = append(n.edits, l.uses(edited, v, stage)...)
	n.captures = append(n.captures, l.uses(captured, v, stage)...)
	n.gradients = append(n.gradients, l.uses(differentiated, v, stage)...)
	return i
}

// value lowers one node of the graph and returns the node with its value.
func (l *lowering) value(v arch.Value) int {
	n := l.graph.Nodes[v]
	switch op := n.Op.(type) {
	case arch.Edge:
		x := l.at[op.X]
		if op.Heads > 0 {
			if !l.changes(v, arch.Out) {
				for _, u := range l.uses(captured, v, arch.Out) {
					u.shared = true
					l.nodes[x].captures = append(l.nodes[x].captures, u)
				}
			}
			return x // the edges of single heads are made where the consumer is
		}
		if !l.changes(v, arch.Out) && l.req.Rule == Gradient {
			l.nodes[x].captures = append(l.nodes[x].captures, l.uses(captured, v, arch.Out)...)
			return x
		}
		return l.watch(l.push(v, op, n.Width, x), v, arch.Out)
	case arch.Norm:
		return l.norm(v, op, l.at[op.X], true)
	case arch.Linear:
		return l.watch(l.linear(v, op), v, arch.Out)
	case arch.Attention:
		var in []int
		for _, x := range op.Inputs() {
			in = append(in, l.at[x])
		}
		i := l.push(v, op, n.Width, in...)
		for _, stage := range []arch.Stage{arch.Content, arch.Position, arch.Segment, arch.Scores, arch.Pattern} {
			at := &l.nodes[i].inner
			at.edits = append(at.edits, l.uses(edited, v, stage)...)
			at.captures = append(at.captures, l.uses(captured, v, stage)...)
			at.gradients = append(at.gradients, l.uses(differentiated, v, stage)...)
		}
		return l.watch(i, v, arch.Out)
	case arch.Select:
		if n.Rows == arch.Reads && l.req.AllReads {
			return l.at[op.X]
		}
	}
	var in []int
	for _, x := range n.Op.Inputs() {
		in = append(in, l.at[x])
	}
	i := l.push(v, n.Op, n.Width, in...)
	if l.req.AllReads && n.Rows == arch.Reads {
		l.nodes[i].rows = arch.Tokens
	}
	return l.watch(i, v, arch.Out)
}

// norm lowers a norm of x: to its parts where the request looks into it. Where
// several consumers norm what they read by themselves, edits are made in all of
// the norms and gradients are the sum of theirs; what is captured is that of
// the norm that bears the points' names.
func (l *lowering) norm(v arch.Value, op arch.Norm, x int, named bool) int {
	points := v
	if op.Like != arch.None {
		if x == l.at[l.graph.Nodes[op.Like].Op.(arch.Norm).X] && named {
			return l.at[op.Like]
		}
		points, named = op.Like, false
	}
	width := l.graph.Nodes[v].Width
	inside := func(kind int) bool {
		return len(l.uses(kind, points, arch.Divisor))+len(l.uses(kind, points, arch.Normalized)) > 0
	}
	watch := func(i int, stage arch.Stage) int {
		if named {
			return l.watch(i, points, stage)
		}
		l.nodes[i].edits = l.uses(edited, points, stage)
		l.nodes[i].gradients = l.uses(differentiated, points, stage)
		return i
	}
	if !inside(edited) && !inside(differentiated) && !(named && inside(captured)) {
		return watch(l.push(v, op, width, x), arch.Out)
	}
	s := watch(l.push(v, divisor{op}, 1, x), arch.Divisor)
	y := watch(l.push(v, normalize{op}, width, x, s), arch.Normalized)
	return watch(l.push(v, affine{op}, width, y), arch.Out)
}

// linear lowers a linear layer: head by head where the request changes what a
// head reads, or what it contributes.
func (l *lowering) linear(v arch.Value, op arch.Linear) int {
	x, width := l.at[op.X], l.graph.Nodes[v].Width
	// What this layer reads: an edge, or a norm of one.
	edge, norm := op.X, arch.None
	if n, ok := l.graph.Nodes[edge].Op.(arch.Norm); ok {
		edge, norm = n.X, edge
	}
	if e, ok := l.graph.Nodes[edge].Op.(arch.Edge); ok && e.Heads > 0 && l.changes(edge, arch.Out) {
		touched := l.heads(e.Heads, edge, arch.Out)
		sum := l.push(v, keep{inverse(touched)}, width, l.push(v, op, width, x))
		for h, is := range touched {
			if !is {
				continue
			}
			in := l.push(edge, e, l.graph.Nodes[edge].Width, l.at[e.X])
			l.watchHead(in, h, edge, arch.Out)
			if norm != arch.None {
				in = l.norm(norm, l.graph.Nodes[norm].Op.(arch.Norm), in, false)
			}
			one := make([]bool, e.Heads)
			one[h] = true
			share := l.push(v, keep{one}, width, l.push(v, op, width, in))
			sum = l.push(v, arch.Add{}, width, sum, share)
		}
		return sum
	}
	if !l.changes(v, arch.Result) && len(l.uses(captured, v, arch.Result)) == 0 {
		return l.push(v, op, width, x)
	}
	// The heads whose shares are looked at, and those whose shares are edited.
	count := l.headsOf(v, arch.Result)
	touched, changed := l.heads(count, v, arch.Result), make([]bool, count)
	for _, u := range l.uses(edited, v, arch.Result) {
		mark(changed, u.sel)
	}
	rest := x
	if slices.Contains(changed, true) {
		rest = l.push(v, keep{inverse(changed)}, l.nodes[x].width, x)
	}
	sum := l.push(v, op, width, rest)
	share := op
	share.Bias = arch.Weight{}
	for h, is := range touched {
		if !is {
			continue
		}
		one := make([]bool, count)
		one[h] = true
		z := l.push(v, keep{one}, l.nodes[x].width, x)
		r := l.push(v, share, width, z)
		l.nodes[z].rows, l.nodes[r].rows = l.nodes[x].rows, l.nodes[x].rows
		l.watchHead(r, h, v, arch.Result)
		l.nodes[r].gradients = nil // that of the sum
		if changed[h] {
			sum = l.push(v, arch.Add{}, width, sum, r)
		}
	}
	for _, u := range l.uses(differentiated, v, arch.Result) {
		u.shared = true
		l.nodes[sum].below = append(l.nodes[sum].below, u)
	}
	return sum
}

// watchHead attaches what the request does with one head to a node that holds
// that head alone.
func (l *lowering) watchHead(i, head int, v arch.Value, stage arch.Stage) {
	for kind := range l.sel {
		for _, u := range l.uses(kind, v, stage) {
			one := make([]bool, head+1)
			if mark(one, u.sel); !one[head] {
				continue
			}
			u.head = head
			n := &l.nodes[i]
			switch kind {
			case captured:
				n.captures = append(n.captures, u)
			case edited:
				n.edits = append(n.edits, u)
			case differentiated:
				n.gradients = append(n.gradients, u)
			}
		}
	}
}

// headsOf returns the number of heads of a point.
func (l *lowering) headsOf(v arch.Value, stage arch.Stage) int {
	for _, p := range l.graph.Points {
		if p.Node == v && p.Stage == stage {
			return p.Axes[headAxis(p)].Size
		}
	}
	panic("tape: a point that the graph does not have")
}

// heads marks the heads that the request selects at a place.
func (l *lowering) heads(count int, v arch.Value, stage arch.Stage) []bool {
	touched := make([]bool, count)
	for kind := range l.sel {
		if kind == differentiated && stage == arch.Result {
			continue
		}
		for _, u := range l.uses(kind, v, stage) {
			mark(touched, u.sel)
		}
	}
	return touched
}

// mark sets the heads that a selection covers.
func mark(heads []bool, s *point.Selection) {
	axis := headAxis(s.Point)
	lo, hi := s.Ranges[axis].Bounds(s.Point.Axes[axis].Size)
	for h := lo; h < min(hi, len(heads)); h++ {
		heads[h] = true
	}
}

// headAxis returns the axis of a point that counts heads.
func headAxis(p arch.Point) int {
	return slices.IndexFunc(p.Axes, func(a arch.Axis) bool { return a.Letter == "H" || a.Letter == "K" })
}

func inverse(heads []bool) []bool {
	not := make([]bool, len(heads))
	for i, is := range heads {
		not[i] = !is
	}
	return not
}
