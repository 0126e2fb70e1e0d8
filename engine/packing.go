package engine

import (
	"context"
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/tape"
	"github.com/xai-go/xai/engine/result"
)

// findAlike settles whether the first layer is computed once for tokens that are
// alike: where tokens of each kind are twice or more, on average, and nobody
// looks at them one by one.
func (m *Model) findAlike(r *request, in Input) {
	const least = 2
	b := &r.batch
	if r.apart || in.Embeds != nil || b.Rows() < 2*groupRows || len(r.Request.Edits)+len(r.Request.Gradients) > 0 {
		return
	}
	alike, distinct := tokensAlike(*b, b.Rows()/least)
	if alike == nil {
		return
	}
	r.Reuse = true
	first, widths := m.program(r).Shared()
	if r.Reuse = first != nil; !r.Reuse {
		return
	}
	// All groups of both batches share the tables, which shareFirst allocates.
	b.Alike, b.Tables = alike, make([]result.Tensor, len(widths))
	r.distinct = distinct
	r.distinct.Tables = b.Tables
	for i, width := range widths {
		b.Tables[i].Shape = []int{distinct.Rows(), width}
		r.tables += int64(distinct.Rows()) * int64(width) * m.info.DType.Size()
	}
}

// forgetAlike has every token computed by itself.
func (r *request) forgetAlike() {
	r.Reuse, r.distinct, r.tables = false, tape.Batch{}, 0
	r.batch.Alike, r.batch.Tables = nil, nil
}

// reusing is a program whose runners first run another one, which computes what
// it imports: they hold what the larger of both needs.
type reusing struct {
	tape.Program
	first tape.Program
}

func (p reusing) Bytes(size tape.Size) int64 {
	return max(p.Program.Bytes(size), p.first.Bytes(firstSize(size)))
}

// firstSize returns the size of a runner for as many distinct tokens as another
// has tokens: sequences of one token each.
func firstSize(size tape.Size) tape.Size {
	return tape.Size{Sequences: size.Tokens, Tokens: size.Tokens, Reads: size.Tokens, Longest: 1, Context: 1, Threads: size.Threads}
}

// shareFirst runs what the first layer computes of a token's id, position and
// type alone for the distinct tokens of a request, and fills its tables. It does
// so on the runners of the request itself: two forwards that held their tables
// while they waited for further runners could wait for each other.
func (m *Model) shareFirst(ctx context.Context, r *request, p plan, h *held) error {
	for i, t := range r.distinct.Tables {
		r.distinct.Tables[i] = result.NewTensor(m.info.DType, t.Shape...)
	}
	var runners []tape.Executor
	for _, s := range h.sized {
		first := s.program.(reusing).first
		runners = append(runners, first.Runner(firstSize(p.size), s.runner))
		defer s.program.Runner(s.size, s.runner)
	}
	rows := min(p.size.Tokens, (r.distinct.Rows()+p.runners-1)/p.runners)
	p.groups = partition(r.distinct, rows)
	out := &Output{Starts: make([]int, r.distinct.Sequences()+1)}
	return m.run(ctx, p, runners, &request{}, out)
}

// token is what a token's row begins from.
type token struct{ id, position, kind int32 }

// tokensAlike returns, for each row, the place of its token among the distinct
// ones, and a batch of these, in sequences of one token. It returns nil where
// there are more than most.
func tokensAlike(b tape.Batch, most int) ([]int32, tape.Batch) {
	alike := make([]int32, b.Rows())
	places := make(map[token]int32)
	d := tape.Batch{Starts: []int{0}}
	for row := range alike {
		t := token{id: b.IDs[row]}
		if b.PositionIDs != nil {
			t.position = b.PositionIDs[row]
		}
		if b.TypeIDs != nil {
			t.kind = b.TypeIDs[row]
		}
		at, ok := places[t]
		if !ok {
			if len(places) == most {
				return nil, tape.Batch{}
			}
			at = int32(len(places))
			places[t] = at
			d.IDs = append(d.IDs, t.id)
			d.Starts = append(d.Starts, len(d.IDs))
			if b.PositionIDs != nil {
				d.PositionIDs = append(d.PositionIDs, t.position)
			}
			if b.TypeIDs != nil {
				d.TypeIDs = append(d.TypeIDs, t.kind)
			}
		}
		alike[row] = at
	}
	return alike, d
}

// A causal model gives tokens that begin alike the same values, whatever
// follows. Where nobody looks inside, a batch is therefore run as a trie: its
// sequences are sorted, and of each only what differs from the one before it is
// computed. The keys and values of the rest are those that are there already,
// in the same order, so that the bits stay the same.

// prefixRows is the number of rows that sequences share their beginnings
// within: larger groups share more and leave the cache.
const prefixRows = 256

// sharesPrefixes tells whether a batch may be run as a trie.
func (r *request) sharesPrefixes(graph *arch.Graph, in Input) bool {
	b := &r.batch
	return !r.separate && !r.AllReads && causal(graph) && b.Sequences() > 1 && in.Embeds == nil && in.PositionIDs == nil && in.TypeIDs == nil && in.Mask == nil &&
		b.Past == nil && b.Keep == nil && len(r.Captures)+len(r.Request.Edits)+len(r.Request.Gradients) == 0
}

// causal tells whether no token of a graph ever sees a later one.
func causal(graph *arch.Graph) bool {
	seen := false
	for _, n := range graph.Nodes {
		if op, ok := n.Op.(arch.Attention); ok {
			if !op.Causal || op.Relative != nil {
				return false
			}
			seen = true
		}
	}
	return seen
}

// tries cuts a batch into groups of at most about so many rows, or of one
// longer sequence, each a trie.
func tries(b tape.Batch, rows int) []tape.Batch {
	order := make([]int, b.Sequences())
	for i := range order {
		order[i] = i
	}
	ids := func(i int) []int32 { return b.IDs[b.Starts[i]:b.Starts[i+1]] }
	slices.SortStableFunc(order, func(x, y int) int { return slices.Compare(ids(x), ids(y)) })
	var groups []tape.Batch
	var g *tape.Batch
	var path [][2]int // the rows of the sequence before
	for at, i := range order {
		shared := 0
		if g != nil {
			shared = common(ids(order[at-1]), ids(i))
		}
		if own := len(ids(i)) - shared; g == nil || g.Rows()+own > rows {
			groups = append(groups, tape.Batch{Starts: []int{0}, Reads: b.Reads})
			g = &groups[len(groups)-1]
			path, shared = nil, 0
		}
		path = cut(path, shared)
		g.Prefixes = append(g.Prefixes, slices.Clone(path))
		g.Index = append(g.Index, i)
		lo := g.Rows()
		g.IDs = append(g.IDs, ids(i)[shared:]...)
		if b.PositionIDs != nil {
			g.PositionIDs = append(g.PositionIDs, b.PositionIDs[b.Starts[i]+shared:b.Starts[i+1]]...)
		}
		if b.Alike != nil {
			g.Alike, g.Tables = append(g.Alike, b.Alike[b.Starts[i]+shared:b.Starts[i+1]]...), b.Tables
		}
		g.Starts = append(g.Starts, len(g.IDs))
		if hi := g.Rows(); hi > lo {
			path = append(path, [2]int{lo, hi})
		}
	}
	return groups
}

// common returns how many tokens two sequences have in common at the beginning.
func common(x, y []int32) int {
	n := 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}

// cut returns the first n rows of a path.
func cut(path [][2]int, n int) [][2]int {
	var first [][2]int
	for _, r := range path {
		if n <= 0 {
			break
		}
		r[1] = min(r[1], r[0]+n)
		n -= r[1] - r[0]
		first = append(first, r)
	}
	return first
}
