package tape

import (
	"slices"

	"github.com/xai-go/xai/engine/arch"
)

// Thousands of variants of one input consist of few different tokens: the same
// ids at the same positions. Up to the queries, keys and values of the first
// layer a token's values depend on nothing else, so they are computed once and
// copied from there.

// imported is a value that a shared plan has computed.
type imported struct{ table int }

// split moves the nodes that depend on a token's id, position and type alone
// into a list of their own, and replaces those that others read by imports. It
// returns the list and, for each table that is imported, the node in it that
// holds it.
func split(nodes []node) (alike []node, exports []int) {
	at := make([]int, len(nodes)) // place in alike, or −1
	heavy := false
	for i := range nodes {
		n := &nodes[i]
		at[i] = -1
		if !pointwise(n) || slices.ContainsFunc(n.in, func(x int) bool { return at[x] < 0 }) {
			continue
		}
		_, linear := n.op.(arch.Linear)
		heavy = heavy || linear
		moved := *n
		moved.in = slices.Clone(n.in)
		for j, x := range n.in {
			moved.in[j] = at[x]
		}
		at[i] = len(alike)
		alike = append(alike, moved)
	}
	if !heavy {
		return nil, nil // copying costs what it saves
	}
	read := make([]bool, len(nodes))
	for i := range nodes {
		if at[i] >= 0 {
			continue
		}
		for _, x := range nodes[i].in {
			read[x] = read[x] || at[x] >= 0
		}
	}
	for i := range nodes {
		if at[i] < 0 {
			continue
		}
		// What nobody reads any more is dropped with the steps that have no effect.
		nodes[i].in = nil
		nodes[i].op = imported{}
		if read[i] {
			nodes[i].op = imported{len(exports)}
			exports = append(exports, at[i])
		}
	}
	return alike, exports
}

// pointwise tells whether a node computes a token's row from its id, position
// and type and from rows of that token alone, unobserved.
func pointwise(n *node) bool {
	if n.rows != arch.Tokens || len(n.edits)+len(n.captures)+len(n.gradients)+len(n.below) > 0 {
		return false
	}
	switch n.op.(type) {
	case arch.Words, arch.Embed, arch.Add, arch.Mul, arch.Scale, arch.Norm, arch.Linear, arch.Activate:
		return true
	}
	return false
}

// export copies a value to a table of the batch.
func (p *planner[T]) export(table, i int) {
	from, width := p.value[i], p.nodes[i].width
	p.plan.tables = append(p.plan.tables, width)
	p.steps = append(p.steps, step[T]{reads: []int{from}, reuse: -1, lasting: true, rows: arch.Tokens, each: func(r *Runner[T], lo, hi int) {
		copy(values[T](r.batch.Tables[table])[(r.batch.Starts[0]+lo)*width:], r.span(from, lo, hi))
	}})
}
