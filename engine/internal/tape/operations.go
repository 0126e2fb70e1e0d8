package tape

import "github.com/xai-go/xai/engine/arch"

// Operations counts the floating-point operations, two for a multiply-add, of
// the matrix products on the way forward of a request over a batch: those of
// linear layers, at the rows that are computed, and of queries with keys and
// patterns with values.
func Operations(graph *arch.Graph, req *Request, b Batch) float64 {
	nodes, logits := lower(graph, req)
	nodes, _ = narrow(nodes, logits, req)
	size := b.Size()
	sum := 0.0
	for _, n := range nodes {
		switch op := n.op.(type) {
		case arch.Linear:
			sum += 2 * float64(size.rows(n.rows)) * float64(nodes[n.in[0]].width) * float64(n.width)
		case arch.Attention:
			query := nodes[n.in[0]].width
			width := query + n.width
			if op.Relative != nil { // the queries with the relative positions too
				width += query
			}
			sum += 2 * b.pairs(n.rows) * float64(width)
		}
	}
	return sum
}

// pairs counts the pairs of a query, one of a set of rows, and a key of its
// sequence, the cached ones among them.
func (b Batch) pairs(queries arch.RowSet) float64 {
	sum := 0.0
	for i := range b.Sequences() {
		one := b.Slice(i, i+1).Size()
		sum += float64(one.rows(queries)) * float64(one.Context)
	}
	return sum
}
