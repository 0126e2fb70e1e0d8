package shap

import (
	"context"
	"slices"
	"strings"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// recordedPartition is the method over a hierarchy that was recorded.
type recordedPartition struct {
	Partition
	tree *tree
}

// Explain implements sdk.Method.
func (p recordedPartition) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	g, _, err := textProblem(m, r)
	if err != nil {
		return nil, err
	}
	return g.owenValues(ctx, r, p.tree)
}

// PartitionOf returns the method over a hierarchy in scipy's linkage format, without
// the leaves that are no players.
func PartitionOf(linkage []float64, players []int64) sdk.Method {
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
	return recordedPartition{tree: t}
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

// Hierarchy returns the hierarchy of a request's units with brackets around its parts.
func Hierarchy(kind string, r *sdk.Request) string {
	t := hierarchy(kind, r, r.Units)
	var write func(node int) string
	write = func(node int) string {
		if node < t.leaves {
			return r.Units[node].Text
		}
		c := t.children[node-t.leaves]
		return "(" + write(c[0]) + " " + write(c[1]) + ")"
	}
	return write(t.root())
}

// Segments returns the players of the reference's masker of texts, the number of
// fixed ones before and after the others, and what writes a coalition.
func Segments(m sdk.Model, r *sdk.Request) (text []string, prefix, suffix int, write func(keep []uint8) string, err error) {
	s, err := newSegments(m, r)
	if err != nil {
		return nil, 0, 0, nil, err
	}
	for prefix < len(s.fixed) && s.fixed[prefix] {
		prefix++
	}
	for suffix < len(s.fixed)-prefix && s.fixed[len(s.fixed)-1-suffix] {
		suffix++
	}
	return s.text, prefix, suffix, s.write, nil
}

// MergeTree returns the reference's hierarchy of segments, with brackets.
func MergeTree(segments []string) string {
	t := mergeTree(mergeTokens(segments), "")
	var write func(node int) string
	write = func(node int) string {
		if node < t.leaves {
			return strings.TrimSpace(segments[node])
		}
		c := t.children[node-t.leaves]
		return "(" + write(c[0]) + " " + write(c[1]) + ")"
	}
	return write(t.root())
}
