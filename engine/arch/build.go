package arch

import (
	"fmt"
	"strconv"
	"strings"
)

// Builder writes a graph down, operation by operation. Programmer errors, such
// as adding values of different widths, panic: a graph does not depend on what
// a user gives beyond the sizes, which the family has checked.
type Builder struct {
	graph  Graph
	sizes  map[string]int
	prefix string // of the names of points
	block  int
}

// NewBuilder returns a builder for graphs whose axes have the given sizes, by
// letter: {"D": 768, "H": 12, …}.
func NewBuilder(sizes map[string]int) *Builder {
	return &Builder{sizes: sizes, block: -1}
}

// Graph returns the graph whose logits are v.
func (b *Builder) Graph(v Value, read Read, norm Placement) *Graph {
	b.graph.Logits, b.graph.Read, b.graph.Norm = v, read, norm
	return &b.graph
}

// Block begins layer l: points are named blocks.l.… from here on.
func (b *Builder) Block(l int) { b.block, b.prefix = l, fmt.Sprintf("blocks.%d.", l) }

// Within puts a prefix before the names of the points that f declares.
func (b *Builder) Within(prefix string, f func()) {
	outer := b.prefix
	b.prefix += prefix
	f()
	b.prefix = outer
}

// Head ends the blocks: points behind them have no prefix.
func (b *Builder) Head() { b.block, b.prefix = b.block+1, "" }

// Width returns the number of columns of a value.
func (b *Builder) Width(v Value) int { return b.graph.Nodes[v].Width }

func (b *Builder) rows(v Value) RowSet { return b.graph.Nodes[v].Rows }

func (b *Builder) push(op Op, rows RowSet, width int) Value {
	b.graph.Nodes = append(b.graph.Nodes, Node{Op: op, Rows: rows, Width: width, Block: b.block})
	return Value(len(b.graph.Nodes) - 1)
}

func (b *Builder) same(x, y Value) {
	if b.rows(x) != b.rows(y) || b.Width(x) != b.Width(y) {
		panic(fmt.Sprintf("arch: [%d, %d] meets [%d, %d] in block %d", b.rows(x), b.Width(x), b.rows(y), b.Width(y), b.block))
	}
}

// Name declares the value v to be a point and returns it. axes are letters
// with spaces between, "B T H E".
func (b *Builder) Name(name string, v Value, axes string) Value {
	b.point(name, v, Out, axes, Point{Differentiable: true, Editable: true})
	return v
}

// point declares a point; is holds its flags.
func (b *Builder) point(name string, v Value, stage Stage, axes string, is Point) {
	is.Name, is.Node, is.Stage, is.Layer = b.prefix+name, v, stage, -1
	if strings.HasPrefix(b.prefix, "blocks.") {
		is.Layer = b.block
	}
	for _, letter := range strings.Fields(axes) {
		axis := Axis{Letter: letter, Size: b.sizes[letter]}
		if n, err := strconv.Atoi(letter); err == nil {
			axis.Size = n
		}
		is.Axes = append(is.Axes, axis)
	}
	b.graph.Points = append(b.graph.Points, is)
}

// Words begins a graph: the word embeddings of the tokens, which callers may
// give in their place. It declares hook_tokens.
func (b *Builder) Words(table Weight) Value {
	v := b.push(Words{table}, Tokens, table.Shape[1])
	b.point("hook_tokens", v, IDs, "B T", Point{})
	return v
}

// Embed is a row of a learned table for every token.
func (b *Builder) Embed(by Key, table Weight) Value {
	return b.push(Embed{Table: table, By: by}, Tokens, table.Shape[1])
}

// Repeat gives every row of a set the same learned values.
func (b *Builder) Repeat(rows RowSet, row Weight) Value {
	return b.push(Repeat{row}, rows, row.Elements())
}

// Sinusoids are relative position encodings.
func (b *Builder) Sinusoids(width, clamp int) Value {
	return b.push(Sinusoids{Clamp: clamp}, Relative, width)
}

// Remembered are the memories of a layer. It declares hook_mems, which is
// read-only.
func (b *Builder) Remembered(layer, width int) Value {
	v := b.push(Remembered{layer}, Memory, width)
	b.point("hook_mems", v, Out, "B M D", Point{Differentiable: true})
	return v
}

// Concat puts memories before tokens.
func (b *Builder) Concat(memory, tokens Value) Value {
	return b.push(Concat{Memory: memory, Tokens: tokens}, Context, b.Width(tokens))
}

// Select picks rows out of Tokens.
func (b *Builder) Select(x Value, rows RowSet) Value {
	return b.push(Select{x}, rows, b.Width(x))
}

// Spread puts the rows of Targets among Tokens.
func (b *Builder) Spread(x Value) Value { return b.push(Spread{x}, Tokens, b.Width(x)) }

// Add is x + y.
func (b *Builder) Add(x, y Value) Value {
	b.same(x, y)
	return b.push(Add{x, y}, b.rows(x), b.Width(x))
}

// Mul is x ∘ y.
func (b *Builder) Mul(x, y Value) Value {
	b.same(x, y)
	return b.push(Mul{x, y}, b.rows(x), b.Width(x))
}

// Scale is factor·x.
func (b *Builder) Scale(x Value, factor float64) Value {
	return b.push(Scale{x, factor}, b.rows(x), b.Width(x))
}

// LayerNorm normalises x with the tensors NAME.weight and NAME.bias. It
// declares POINT.hook_scale and POINT.hook_normalized and, with out,
// POINT.hook_out.
func (b *Builder) LayerNorm(x Value, name string, eps float64, point string, out bool) Value {
	return b.Normalize(x, LayerNorm(name, b.Width(x), eps), point, out)
}

// Normalize is [Builder.LayerNorm] for any norm; its X is x. Without a name
// there are no points.
func (b *Builder) Normalize(x Value, op Norm, point string, out bool) Value {
	op.X, op.Like = x, None
	v := b.push(op, b.rows(x), b.Width(x))
	if point == "" {
		return v
	}
	rows, width := b.letters(v)
	virtual := Point{Differentiable: true, Editable: true, Virtual: true}
	b.point(point+".hook_scale", v, Divisor, rows+" 1", virtual)
	b.point(point+".hook_normalized", v, Normalized, rows+" "+width, virtual)
	if out {
		b.Name(point+".hook_out", v, rows+" "+width)
	}
	return v
}

// again applies the norm of like to another value, without points of its own.
func (b *Builder) again(like, x Value) Value {
	op := b.graph.Nodes[like].Op.(Norm)
	op.X, op.Like = x, like
	return b.push(op, b.rows(x), b.Width(x))
}

// LayerNorm returns the norm with the tensors NAME.weight and NAME.bias, [d].
func LayerNorm(name string, d int, eps float64) Norm {
	return Norm{Gamma: Weight{Name: name + ".weight", Shape: []int{d}}, Beta: Weight{Name: name + ".bias", Shape: []int{d}}, Eps: eps}
}

// RMSNorm returns the norm with the tensor NAME.weight, [d].
func RMSNorm(name string, d int, eps float64) Norm {
	return Norm{Gamma: Weight{Name: name + ".weight", Shape: []int{d}}, Eps: eps, RMS: true}
}

// letters returns the letters of a value's rows and of its columns, where
// these are the residual stream or the embeddings.
func (b *Builder) letters(v Value) (rows, width string) {
	rows, width = "B T", "D"
	switch b.rows(v) {
	case Targets:
		rows = "B P"
	case Context:
		rows = "B S"
	case Memory:
		rows = "B M"
	case Relative:
		rows = "R"
	case Reads:
		rows = "B"
	}
	if b.Width(v) != b.sizes["D"] {
		width = "De"
	}
	return rows, width
}

// Linear is x·Wᵀ + b with the tensors NAME.weight, [out, in], and NAME.bias.
func (b *Builder) Linear(x Value, name string, out int) Value {
	return b.Project(x, Dense(name, out, b.Width(x)))
}

// Project is x·Wᵀ + b with any weights.
func (b *Builder) Project(x Value, p Projection) Value {
	out, in := p.W.Dims()
	if in != b.Width(x) {
		panic(fmt.Sprintf("arch: %s takes %d columns, not %d", p.W.Name, in, b.Width(x)))
	}
	return b.push(Linear{X: x, Projection: p}, b.rows(x), out)
}

// Dense returns the projection with the tensors NAME.weight, [out, in], and
// NAME.bias, [out].
func Dense(name string, out, in int) Projection {
	return Projection{W: Weight{Name: name + ".weight", Shape: []int{out, in}}, Bias: Weight{Name: name + ".bias", Shape: []int{out}}}
}

// Conv1D is [Dense] as GPT-2 stores it: NAME.weight is [in, width], of which the
// projection takes the outputs [lo, hi).
func Conv1D(name string, in, width, lo, hi int) Projection {
	return Projection{
		W:    Weight{Name: name + ".weight", Shape: []int{in, width}, Transposed: true, Lo: lo, Hi: hi},
		Bias: Weight{Name: name + ".bias", Shape: []int{width}, Lo: lo, Hi: hi},
	}
}

// Activate applies the function of that name, found under key in the
// configuration.
func (b *Builder) Activate(x Value, name, key string) Value {
	return b.push(Activate{X: x, Name: name, Key: key}, b.rows(x), b.Width(x))
}

// Edge declares what one consumer reads of x to be a point.
func (b *Builder) Edge(name string, x Value) Value {
	v := b.push(Edge{X: x}, b.rows(x), b.Width(x))
	rows, width := b.letters(v)
	b.point(name, v, Out, rows+" "+width, Point{Differentiable: true, Editable: true, Virtual: true})
	return v
}

// HeadEdges is [Builder.Edge] with an edge for each head of the consumer,
// which is a linear layer.
func (b *Builder) HeadEdges(name string, x Value, letter string) Value {
	v := b.push(Edge{X: x, Heads: b.sizes[letter]}, b.rows(x), b.Width(x))
	rows, width := b.letters(v)
	b.point(name, v, Out, rows+" "+letter+" "+width, Point{Differentiable: true, Editable: true, Virtual: true})
	return v
}

// Attend is attention over the queries of a sequence, T, or over its targets,
// P: queries that [Builder.Spread] put among the tokens. It declares
// attn.hook_attn_scores, attn.hook_pattern and, for relative positions, the
// three terms of the scores; for P also attn.hook_pattern_all, the pattern of
// all T rows.
func (b *Builder) Attend(op Attention, queries string) Value {
	v := b.push(op, b.rows(op.Query), b.Width(op.Value)/op.KeyHeads*op.Heads)
	axes := "B H " + queries + " S"
	inner := Point{Differentiable: true, Editable: true, Virtual: true}
	if op.Relative != nil {
		terms := Point{Differentiable: true, Virtual: true}
		b.point("attn.hook_scores_content", v, Content, axes, terms)
		b.point("attn.hook_scores_position", v, Position, axes, terms)
		if op.Relative.Segments.Given() {
			b.point("attn.hook_scores_segment", v, Segment, axes, terms)
		}
	}
	b.point("attn.hook_attn_scores", v, Scores, axes, inner)
	b.point("attn.hook_pattern", v, Pattern, axes, inner)
	if queries != "T" {
		b.point("attn.hook_pattern_all", v, Pattern, "B H T S", inner)
	}
	return v
}

// Result declares what each head contributes to v, the output of the linear
// layer behind attention without its bias, to be a point.
func (b *Builder) Result(name string, v Value) {
	rows, width := b.letters(v)
	b.point(name, v, Result, rows+" H "+width, Point{Differentiable: true, Editable: true, Virtual: true})
}
