package shap

import (
	"context"
	"slices"

	"github.com/xai-go/xai/sdk/num"
)

// Recorded draws and hierarchies, for the tests of the reference's runs.

func PermutationOf(orders [][]int) Permutation { return Permutation{orders: orders} }

// PartitionOf returns the method over a hierarchy in scipy's linkage format, without
// the leaves that are no players.
func PartitionOf(linkage []float64, players []int64) Partition {
	leaves := len(linkage)/4 + 1
	node := make([]int, leaves, 2*leaves) // in the tree of players; -1 for none
	for i := range node {
		node[i] = slices.Index(players, int64(i))
	}
	t := &tree{leaves: len(players)}
	for i := 0; i < len(linkage); i += 4 {
		l, r := node[int(linkage[i])], node[int(linkage[i+1])]
		switch {
		case l < 0:
			node = append(node, r)
		case r < 0:
			node = append(node, l)
		default:
			node = append(node, t.join(l, r))
		}
	}
	return Partition{tree: t}
}

// KernelOf returns the method on recorded coalitions.
func KernelOf(masks []uint8, weights []float64, share float64) Kernel {
	return Kernel{recorded: func(g *problem) *design {
		d := &design{problem: g, weights: weights, share: share}
		for i := range weights {
			d.rows = append(d.rows, g.row(masks[i*g.n:(i+1)*g.n]))
		}
		return d
	}}
}

// ReferenceSample returns the masks and weights that the reference draws.
func ReferenceSample(n, samples int, seed uint64) (masks []uint8, weights []float64) {
	g := &problem{n: n, known: map[string]int{}}
	d, err := g.sampleLikeReference(context.Background(), samples, num.NewMT19937(seed))
	if err != nil {
		panic(err)
	}
	for _, row := range d.rows {
		masks = append(masks, g.mask(row)...)
	}
	return masks, d.weights
}
