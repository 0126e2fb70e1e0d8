package tape

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unsafe"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
)

// Redrawn are the weights of some blocks of a network, each tensor in another
// order.
type Redrawn struct {
	Network Network // with these, and all others shared with the first
	// Bytes are what the new weights take, without what the way back packs again.
	Bytes int64
	// Unpacked returns the bytes of what the way back has packed again of them, and
	// has counted; see [Program].
	Unpacked func() int64
}

// RedrawnBytes returns the bytes that [Redraw] would take.
func RedrawnBytes(n Network, block int) int64 {
	switch n := n.(type) {
	case *network[float32]:
		return n.weights.bytes(n.readings(block))
	case *network[float64]:
		return n.weights.bytes(n.readings(block))
	}
	panic("tape: a network of another package")
}

// Redraw returns a network whose weights of one block, −1 for what stands before
// the first and Layers for what stands behind the last, are those of n in another
// order: each tensor keeps its values, and so their mean and their spread. The
// order is drawn from the seed and the tensor's name. What a tensor is to two
// blocks, as a table of words that is the unembedding too, is two tensors then.
func Redraw(ctx context.Context, n Network, block int, seed uint64) (*Redrawn, error) {
	switch n := n.(type) {
	case *network[float32]:
		return n.redraw(ctx, block, seed)
	case *network[float64]:
		return n.redraw(ctx, block, seed)
	}
	panic("tape: a network of another package")
}

// reading is a weight as a block reads it.
type reading struct {
	key
	matrix bool
}

// readings returns what a block reads, each once, in the order of the graphs.
func (n *network[T]) readings(block int) []reading {
	var out []reading
	for _, form := range n.info.Forms() {
		for _, node := range n.graphs[form].Nodes {
			if node.Block != block {
				continue
			}
			alone := arch.Graph{Nodes: []arch.Node{node}}
			for w, matrix := range alone.Weights() {
				if r := (reading{keyOf(w), matrix}); !slices.Contains(out, r) {
					out = append(out, r)
				}
			}
		}
	}
	return out
}

func (w *weights[T]) bytes(readings []reading) int64 {
	n := int64(0)
	for _, r := range readings {
		if !r.matrix {
			n += int64(len(w.vectors[r.key])) * int64(unsafe.Sizeof(T(0)))
		} else if l := w.linears[r.key]; l != nil {
			n += l.Bytes()
		}
	}
	return n
}

func (n *network[T]) redraw(ctx context.Context, block int, seed uint64) (*Redrawn, error) {
	readings := n.readings(block)
	copied := *n
	copied.weights = &weights[T]{vectors: maps.Clone(n.weights.vectors), linears: maps.Clone(n.weights.linears), means: maps.Clone(n.weights.means)}
	w := copied.weights
	var own []*linear[T]
	for _, r := range readings {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		shuffle := newSource(seed, fmt.Sprintf("%s[%d:%d]", r.name, r.lo, r.hi)).shuffle
		if r.matrix {
			if l := w.linears[r.key]; l != nil {
				l = newLinear(l.Shuffled(shuffle))
				w.linears[r.key], own = l, append(own, l)
			}
			continue
		}
		values := slices.Clone(w.vectors[r.key])
		shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
		if values != nil {
			w.vectors[r.key] = values
		}
		if w.means[r.key] != nil {
			width := n.wordWidth(r.key)
			w.means[r.key] = sync.OnceValue(func() []T { return meanRow(values, width) })
		}
	}
	return &Redrawn{Network: &copied, Bytes: w.bytes(readings), Unpacked: func() int64 { return counted(own) }}, nil
}

// wordWidth returns the width of a table of words.
func (n *network[T]) wordWidth(table key) int {
	for _, g := range n.graphs {
		for _, node := range g.Nodes {
			if op, ok := node.Op.(arch.Words); ok && keyOf(op.Table) == table {
				return node.Width
			}
		}
	}
	return 1
}

// counted returns the bytes of what is accounted for beside layers.
func counted[T kernel.Float](layers []*linear[T]) int64 {
	n := int64(0)
	for _, l := range layers {
		for _, d := range []*derived[T]{&l.back, &l.signed, &l.signedBack} {
			if d.counted {
				n += d.bytes
			}
		}
	}
	return n
}
