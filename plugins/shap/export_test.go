package shap

import (
	"context"
	"slices"

	"github.com/xai-go/xai/sdk/num"
)

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
