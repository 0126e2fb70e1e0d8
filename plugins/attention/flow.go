package attention

import (
	"context"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Flow takes the attention of all layers for a flow network: an edge joins a token
// at one layer to each token at the layer below, and its capacity is the augmented
// attention Â, rows of (A + I) over their sums. The value of a token of the input is
// the largest flow that reaches it from the top: Abnar and Zuidema, ACL 2020. The zero
// value is ready, and safe for concurrent use.
type Flow struct{}

const (
	paramQueries = "queries"

	queriesAuto   = "auto"
	queriesAll    = "all"
	queriesTarget = "target"
)

// The bounds of a run, in edges: of the network, times the pairs of a query and a
// key. Each takes 5 to 12 ns in process, where a flow finds its way in one pass,
// as it mostly does.
const (
	autoEdges = 1 << 26 // up to which auto computes all queries
	maxEdges  = 1 << 31
)

// maxNetwork bounds the edges of a network, each of which takes 24 bytes.
const maxNetwork = 1 << 22

// Info implements sdk.Method.
func (Flow) Info() sdk.Info {
	return sdk.Info{
		Name:    "attention-flow",
		Version: "1.0.0",
		Summary: "The largest flow from the target's position to each unit through the attention of all layers",
		Source:  "Abnar, Zuidema 2020, arXiv:2005.00928; samiraabnar/attention_flow",
		Needs:   []sdk.Need{sdk.NeedForward, sdk.NeedAttentions},
		Params: []sdk.Param{
			fusionParam(),
			residualParam(),
			{
				Name: paramQueries, Type: sdk.Enum, Default: queriesAuto, Values: []string{queriesAuto, queriesAll, queriesTarget},
				Doc: "all: the flow from every position, T² flows through L·T² edges; target: from that of the target alone, T flows; auto: all for short inputs",
			},
			startParam(),
			positionParam(),
		},
	}
}

// Explain implements sdk.Method. The tensor max_flow has the flow from each query
// to each key, and flow the same with rows that sum to one; with one query the
// other rows are 0.
func (Flow) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := newSource(m, r)
	if err != nil {
		return nil, err
	}
	o := rolling{n: s.n, residual: r.Params.Bool(paramResidual), normalise: true}
	start := r.Params.Int(paramStart)
	if err := s.through(start); err != nil {
		return nil, err
	}
	if (s.layers-start)*s.n*s.n > maxNetwork {
		return nil, invalid("the network of " + strconv.Itoa(s.n) + " tokens does not fit into memory: give a shorter text, a later start_layer, or use attention-rollout")
	}
	queries, err := s.queries(r.Params.String(paramQueries), s.layers-start)
	if err != nil {
		return nil, err
	}
	g := &network{n: s.n}
	err = s.every(ctx, nil, func(l *layer) error {
		if l.index < start {
			return nil
		}
		a := make([]float64, s.n*s.n)
		l.fuse(r.Params.String(paramFusion), a)
		o.augment(a)
		g.capacity = append(g.capacity, a)
		return nil
	})
	if err != nil {
		return nil, err
	}
	flows := make([]float64, s.n*s.n)
	for done, q := range queries {
		for key := range s.n {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			flows[q*s.n+key] = g.maxFlow(q, key)
		}
		if err := r.Progress(done+1, len(queries)); err != nil {
			return nil, err
		}
	}
	share := make([]float64, len(flows))
	for i := range s.n {
		sum := 0.0
		for _, v := range flows[i*s.n : (i+1)*s.n] {
			sum += v
		}
		if sum == 0 {
			continue
		}
		for j, v := range flows[i*s.n : (i+1)*s.n] {
			share[i*s.n+j] = v / sum
		}
	}
	e := s.sizes(s.row(share))
	e.Tensors = append(e.Tensors, square("flow", share, s.n), square("max_flow", flows, s.n))
	return e, nil
}

// queries returns the positions from which there are flows.
func (s *source) queries(which string, layers int) ([]int, error) {
	each := s.n * s.n * s.n * layers // edges of the flows of a query
	if which == queriesAll || which == queriesAuto && s.n*each <= autoEdges {
		if s.n*each > maxEdges {
			return nil, invalid("the flows between all pairs of " + strconv.Itoa(s.n) + " tokens take too long: use queries=target, a shorter text, or attention-rollout")
		}
		all := make([]int, s.n)
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	if len(s.positions)*each > maxEdges {
		return nil, invalid("the flows to " + strconv.Itoa(s.n) + " tokens through " + strconv.Itoa(layers) + " layers take too long: give a shorter text or a later start_layer, or use attention-rollout")
	}
	return s.positions, nil
}

// network has layers of n nodes. An edge joins each node of layer l+1 to each node of
// layer l, with capacity[l], [n,n]: the upper node is the row.
type network struct {
	n        int
	capacity [][]float64

	// Of one flow.
	residual [][]float64 // what more goes down an edge
	flow     [][]float64 // what goes down, and could be taken back: the lower node is the row
	used     []edge      // those whose flow is not 0, or was not
	sink     int
	level    []int // the distance of a node from the source; −1 where none is known
	next     []int // the neighbour of a node that is tried next: those below, then those above
	queue    []int // of the nodes whose neighbours are looked at
}

// edge is one of a network: its layer, upper and lower node.
type edge struct{ layer, from, to int }

// full is the residual capacity up to which an edge counts as full: capacities are
// at most 1, so that what is lost is far below the rounding of the weights themselves.
const full = 1e-14

// maxFlow returns the largest flow from a node of the top to one of the bottom, by
// Dinic's algorithm: shortest ways first, all of one length at once, and what
// flows may be taken back.
func (g *network) maxFlow(from, to int) float64 {
	n, layers := g.n, len(g.capacity)
	if g.residual == nil {
		for _, w := range g.capacity {
			g.residual = append(g.residual, slices.Clone(w))
			g.flow = append(g.flow, make([]float64, n*n))
		}
		nodes := (layers + 1) * n
		g.level, g.next, g.queue = make([]int, nodes), make([]int, nodes), make([]int, 0, nodes)
	}
	for _, u := range g.used {
		g.residual[u.layer][u.from*n+u.to] = g.capacity[u.layer][u.from*n+u.to]
		g.flow[u.layer][u.to*n+u.from] = 0
	}
	g.used, g.sink = g.used[:0], to
	// What leaves the source, and what reaches the sink, cannot be exceeded.
	out, in := 0.0, 0.0
	for _, w := range g.capacity[layers-1][from*n : (from+1)*n] {
		out += w
	}
	for i := range n {
		in += g.capacity[0][i*n+to]
	}
	bound, total := min(out, in), 0.0
	for i := range g.level { // at first every way leads down, layer by layer
		g.level[i] = layers - i/n
	}
	for source := layers*n + from; bound-total > full; {
		clear(g.next)
		for bound-total > full {
			more := g.push(source, bound-total)
			if more <= 0 {
				break
			}
			total += more
		}
		if bound-total <= full || !g.levels(source) {
			break
		}
	}
	return min(total, bound)
}

// below returns the nodes below a node, as places in their layer. Of the bottom it
// is the sink alone: nothing flows to any other, or back from there.
func (g *network) below(node int) (first, last int) {
	switch l := node / g.n; l {
	case 0:
		return 0, 0
	case 1:
		return g.sink, g.sink + 1
	}
	return 0, g.n
}

// levels finds the distance of nodes from the source, as far as the sink is away,
// and whether it can be reached at all.
func (g *network) levels(source int) bool {
	n := g.n
	for i := range g.level {
		g.level[i] = -1
	}
	g.level[source] = 0
	g.queue = append(g.queue[:0], source)
	for at := 0; at < len(g.queue); at++ {
		node := g.queue[at]
		l, i := node/n, node%n
		see := func(other int, room float64) {
			if room > full && g.level[other] < 0 {
				g.level[other] = g.level[node] + 1
				g.queue = append(g.queue, other)
			}
		}
		first, last := g.below(node)
		for j := first; j < last; j++ {
			see((l-1)*n+j, g.residual[l-1][i*n+j])
		}
		if l < len(g.capacity) {
			for j, back := range g.flow[l][i*n : (i+1)*n] {
				see((l+1)*n+j, back)
			}
		}
		if g.level[g.sink] >= 0 {
			return true
		}
	}
	return false
}

// push sends at most limit from a node to the sink, by one way along nodes of ascending
// levels, and returns how much that was: 0 where no way is left.
func (g *network) push(node int, limit float64) float64 {
	if node == g.sink {
		return limit
	}
	n := g.n
	l, i := node/n, node%n
	first, last := g.below(node)
	for ; g.next[node] < n; g.next[node]++ { // down
		j := g.next[node]
		if j < first {
			g.next[node] = first - 1
			continue
		}
		if j >= last {
			g.next[node] = n - 1
			continue
		}
		at, other := i*n+j, (l-1)*n+j
		room := g.residual[l-1][at]
		if room <= full || g.level[other] != g.level[node]+1 {
			continue
		}
		if sent := g.push(other, min(limit, room)); sent > 0 {
			back := &g.flow[l-1][j*n+i]
			if *back == 0 {
				g.used = append(g.used, edge{l - 1, i, j})
			}
			g.residual[l-1][at] -= sent
			*back += sent
			return sent
		}
	}
	for ; l < len(g.capacity) && g.next[node] < 2*n; g.next[node]++ { // back up
		j := g.next[node] - n
		at, other := i*n+j, (l+1)*n+j
		room := g.flow[l][at]
		if room <= full || g.level[other] != g.level[node]+1 {
			continue
		}
		if sent := g.push(other, min(limit, room)); sent > 0 {
			g.flow[l][at] -= sent
			g.residual[l][j*n+i] += sent
			return sent
		}
	}
	return 0
}
