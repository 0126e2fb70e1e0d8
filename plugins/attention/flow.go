package attention

import (
	"context"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Flow takes the attention of all layers for a network of pipes: a token at one
// layer is joined to each token at the layer below by a pipe that is as wide as
// the augmented attention Â, rows of (A + I) over their sums. The value of a token
// of the input is the largest flow that reaches it from the top: Abnar and
// Zuidema, ACL 2020. The zero value is ready, and safe for concurrent use.
type Flow struct{}

const (
	paramQueries = "queries"

	queriesAuto   = "auto"
	queriesAll    = "all"
	queriesTarget = "target"
)

// The bounds of a run, in pipes: of the network, times the pairs of a query and a
// key. Each takes 5 to 12 ns in process, where a flow finds its way in one pass,
// as it mostly does.
const (
	autoPipes = 1 << 26 // up to which auto computes all queries
	maxPipes  = 1 << 31
)

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
				Doc: "all: the flow from every position, T² flows through L·T² pipes; target: from that of the target alone, T flows; auto: all for short inputs",
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
	start, layers := r.Params.Int(paramStart), 0
	p := &pipes{n: s.n}
	err = s.every(ctx, false, func(l *layer) error {
		if layers++; layers <= start {
			return nil
		}
		if (len(p.width)+1)*s.n*s.n > maxNetwork {
			return invalid("the network of " + strconv.Itoa(s.n) + " tokens does not fit into memory: give a shorter text, a later start_layer, or use attention-rollout")
		}
		a := make([]float64, s.n*s.n)
		l.fuse(r.Params.String(paramFusion), a)
		o.augment(a)
		p.width = append(p.width, a)
		return nil
	})
	if err == nil && start >= layers {
		err = tooLate(start, layers)
	}
	if err != nil {
		return nil, err
	}
	queries, err := s.queries(r.Params.String(paramQueries), len(p.width))
	if err != nil {
		return nil, err
	}
	flows := make([]float64, s.n*s.n)
	for done, q := range queries {
		for key := range s.n {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			flows[q*s.n+key] = p.most(q, key)
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
	e := s.explanation(s.row(share))
	e.Tensors = append(e.Tensors, square("flow", share, s.n), square("max_flow", flows, s.n))
	return e, nil
}

// maxNetwork bounds the pipes of a network, each of which takes 24 bytes.
const maxNetwork = 1 << 22

// queries returns the positions from which there are flows.
func (s *source) queries(which string, layers int) ([]int, error) {
	each := s.n * s.n * s.n * layers // pipes of the flows of a query
	if which == queriesAll || which == queriesAuto && s.n*each <= autoPipes {
		if s.n*each > maxPipes {
			return nil, invalid("the flows between all pairs of " + strconv.Itoa(s.n) + " tokens take too long: use queries=target, a shorter text, or attention-rollout")
		}
		all := make([]int, s.n)
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	if len(s.positions)*each > maxPipes {
		return nil, invalid("the flows to " + strconv.Itoa(s.n) + " tokens through " + strconv.Itoa(layers) + " layers take too long: give a shorter text or a later start_layer, or use attention-rollout")
	}
	return s.positions, nil
}

// pipes is a network of layers of n nodes. A node of layer l+1 is joined to each
// node of layer l by width[l], [n,n]: the upper node is the row.
type pipes struct {
	n     int
	width [][]float64

	// Of one flow.
	left [][]float64 // what more goes down a pipe
	flow [][]float64 // what goes down, and could be taken back: the lower node is the row
	used []pipe      // those whose flow is not 0, or was not
	sink int
	rank []int // the distance of a node from the source; −1 where none is known
	next []int // the neighbour of a node that is tried next: those below, then those above
	list []int
}

// pipe is one of a network: its layer, upper and lower node.
type pipe struct{ layer, from, to int }

// dry is what is left of a pipe that counts as full: widths are at most 1, so that
// what is lost is far below the rounding of the weights themselves.
const dry = 1e-14

// most returns the largest flow from a node of the top to one of the bottom, by
// Dinic's algorithm: shortest ways first, all of one length at once, and what
// flows may be taken back.
func (p *pipes) most(from, to int) float64 {
	n, layers := p.n, len(p.width)
	if p.left == nil {
		for _, w := range p.width {
			p.left = append(p.left, slices.Clone(w))
			p.flow = append(p.flow, make([]float64, n*n))
		}
		nodes := (layers + 1) * n
		p.rank, p.next, p.list = make([]int, nodes), make([]int, nodes), make([]int, 0, nodes)
	}
	for _, u := range p.used {
		p.left[u.layer][u.from*n+u.to] = p.width[u.layer][u.from*n+u.to]
		p.flow[u.layer][u.to*n+u.from] = 0
	}
	p.used, p.sink = p.used[:0], to
	// What leaves the source, and what reaches the sink, cannot be exceeded.
	out, in := 0.0, 0.0
	for _, w := range p.width[layers-1][from*n : (from+1)*n] {
		out += w
	}
	for i := range n {
		in += p.width[0][i*n+to]
	}
	bound, total := min(out, in), 0.0
	for i := range p.rank { // at first every way leads down, layer by layer
		p.rank[i] = layers - i/n
	}
	for source := layers*n + from; bound-total > dry; {
		clear(p.next)
		for bound-total > dry {
			more := p.push(source, bound-total)
			if more <= 0 {
				break
			}
			total += more
		}
		if bound-total <= dry || !p.ranks(source) {
			break
		}
	}
	return min(total, bound)
}

// below returns the nodes below a node, as places in their layer. Of the bottom it
// is the sink alone: nothing flows to any other, or back from there.
func (p *pipes) below(node int) (first, last int) {
	switch l := node / p.n; l {
	case 0:
		return 0, 0
	case 1:
		return p.sink, p.sink + 1
	}
	return 0, p.n
}

// ranks finds the distance of nodes from the source, as far as the sink is away,
// and whether it can be reached at all.
func (p *pipes) ranks(source int) bool {
	n := p.n
	for i := range p.rank {
		p.rank[i] = -1
	}
	p.rank[source] = 0
	p.list = append(p.list[:0], source)
	for at := 0; at < len(p.list); at++ {
		node := p.list[at]
		l, i := node/n, node%n
		see := func(other int, room float64) {
			if room > dry && p.rank[other] < 0 {
				p.rank[other] = p.rank[node] + 1
				p.list = append(p.list, other)
			}
		}
		first, last := p.below(node)
		for j := first; j < last; j++ {
			see((l-1)*n+j, p.left[l-1][i*n+j])
		}
		if l < len(p.width) {
			for j, back := range p.flow[l][i*n : (i+1)*n] {
				see((l+1)*n+j, back)
			}
		}
		if p.rank[p.sink] >= 0 {
			return true
		}
	}
	return false
}

// push sends at most limit from a node to the sink, by nodes of ascending rank.
func (p *pipes) push(node int, limit float64) float64 {
	if node == p.sink {
		return limit
	}
	n := p.n
	l, i := node/n, node%n
	first, last := p.below(node)
	for ; p.next[node] < n; p.next[node]++ { // down
		j := p.next[node]
		if j < first {
			p.next[node] = first - 1
			continue
		}
		if j >= last {
			p.next[node] = n - 1
			continue
		}
		at, other := i*n+j, (l-1)*n+j
		room := p.left[l-1][at]
		if room <= dry || p.rank[other] != p.rank[node]+1 {
			continue
		}
		if sent := p.push(other, min(limit, room)); sent > 0 {
			back := &p.flow[l-1][j*n+i]
			if *back == 0 {
				p.used = append(p.used, pipe{l - 1, i, j})
			}
			p.left[l-1][at] -= sent
			*back += sent
			return sent
		}
	}
	for ; l < len(p.width) && p.next[node] < 2*n; p.next[node]++ { // back up
		j := p.next[node] - n
		at, other := i*n+j, (l+1)*n+j
		room := p.flow[l][at]
		if room <= dry || p.rank[other] != p.rank[node]+1 {
			continue
		}
		if sent := p.push(other, min(limit, room)); sent > 0 {
			p.flow[l][at] -= sent
			p.left[l][j*n+i] += sent
			return sent
		}
	}
	return 0
}
