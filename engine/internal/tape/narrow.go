package tape

import (
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// demand says which rows of a node somebody reads.
type demand uint8

const (
	nothing demand = iota
	reads          // those that the head reads
	everything
)

// narrow drops the nodes that nobody reads, and moves those of whose tokens
// only a few are read to these rows alone: in the last layer of a classifier
// all but the keys and the values. Row by row operations commute with picking
// rows, and a query of attention knows nothing of the others, so that the bits
// stay the same.
func narrow(nodes []node, logits int, req *Request) ([]node, int) {
	needs := demands(nodes, logits, req)
	var out []node
	at := make([]int, len(nodes))    // where a node is now
	picked := make(map[int]int)      // the selection of the rows of a node, by where it is now
	pick := func(i, block int) int { // node i of out at the rows that are read
		if out[i].rows != arch.Tokens {
			return i
		}
		j, ok := picked[i]
		if !ok {
			j = len(out)
			out = append(out, node{op: arch.Select{}, in: []int{i}, rows: arch.Reads, width: out[i].width, block: block})
			picked[i] = j
		}
		return j
	}
	for i, n := range nodes {
		if needs[i] == nothing {
			continue
		}
		n.in = slices.Clone(n.in)
		for j, x := range n.in {
			n.in[j] = at[x]
		}
		if _, selects := n.op.(arch.Select); selects && n.rows == arch.Reads && len(n.edits)+len(n.captures)+len(n.gradients) == 0 {
			at[i] = pick(n.in[0], n.block)
			continue
		}
		if n.rows == arch.Tokens && needs[i] == reads {
			if _, ok := n.op.(arch.Attention); ok {
				n.in[0] = pick(n.in[0], n.block)
			} else {
				for j, x := range n.in {
					n.in[j] = pick(x, n.block)
				}
			}
			n.rows = arch.Reads
		}
		at[i] = len(out)
		out = append(out, n)
	}
	return out, at[logits]
}

// demands returns what is read of each node.
func demands(nodes []node, logits int, req *Request) []demand {
	needs := make([]demand, len(nodes))
	if req.Logits || len(req.Gradients) > 0 {
		needs[logits] = reads
	}
	few := reads
	if req.KeepRows || req.Rule != Gradient { // relevance is shared out at the operations of the graph
		few = everything
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := &nodes[i]
		if len(n.captures)+len(n.gradients)+len(n.below) > 0 || !n.inner.empty() || needs[i] != nothing && averages(n.edits, req) {
			needs[i] = everything
		}
		if needs[i] == nothing {
			continue
		}
		switch n.op.(type) {
		case arch.Words, arch.Embed: // they look up what each token carries
			needs[i] = everything
			continue
		}
		for j, x := range n.in {
			need := everything
			switch n.op.(type) {
			case arch.Select:
				if n.rows == arch.Reads {
					need = few
				}
			case arch.Attention:
				if j == 0 && n.rows == arch.Tokens {
					need = needs[i]
				}
			case arch.Spread, arch.Concat:
			default:
				if n.rows == arch.Tokens {
					need = needs[i]
				}
			}
			needs[x] = max(needs[x], need)
		}
	}
	return needs
}

// averages tells whether an edit reads all rows of its sequence.
func averages(edits []use, req *Request) bool {
	return slices.ContainsFunc(edits, func(u use) bool { return req.Edits[u.index].Op == point.Mean })
}
