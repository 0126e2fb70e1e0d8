package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/bench/ort"
	"github.com/xai-go/xai/internal/virtual"
)

// work is what all sides of a case do: sequences of token ids and the head
// that answers for each.
type work struct {
	name      string // forward, delete, replace
	head      model.Head
	sequences [][]int32
	groups    []grouping // how ONNX Runtime batches them
}

// grouping is a way to cut sequences into batches, each padded to its longest.
type grouping struct {
	name    string
	batches [][]int // indices of sequences
}

func (w work) lengths() []int {
	var lengths []int
	for _, s := range w.sequences {
		lengths = append(lengths, len(s))
	}
	return lengths
}

// padded reports whether any batch has sequences of different lengths.
func (w work) padded() bool {
	for _, s := range w.sequences {
		if len(s) != len(w.sequences[0]) {
			return true
		}
	}
	return false
}

// distinct returns the indices of the sequences that are not equal to one
// before them.
func (w work) distinct() []int {
	seen := map[string]bool{}
	var first []int
	for i, s := range w.sequences {
		if key := fmt.Sprint(s); !seen[key] {
			seen[key] = true
			first = append(first, i)
		}
	}
	return first
}

// forward is a batch of random sequences of one length.
func forward(s virtual.Shape, head model.Head, batch, tokens int, seed uint64) work {
	random := rand.New(rand.NewPCG(seed, uint64(batch)<<32|uint64(tokens)))
	w := work{name: "forward", head: head}
	all := make([]int, batch)
	for i := range batch {
		w.sequences = append(w.sequences, text(s, tokens, random))
		all[i] = i
	}
	w.groups = []grouping{{"", [][]int{all}}}
	return w
}

// The ids that stand for nothing of the text: BERT's [CLS], [SEP] and [MASK].
// GPT-2 has the one special token, its last.
const cls, sep, mask = 101, 102, 103

// text returns a random sequence with its special tokens: [CLS] and [SEP]
// around BERT's, <|endoftext|> before GPT-2's.
func text(s virtual.Shape, tokens int, random *rand.Rand) []int32 {
	ids := make([]int32, tokens)
	for i := range ids {
		ids[i] = int32(mask + 1 + random.IntN(s.Vocabulary-mask-2))
	}
	if s.Type == virtual.BERT {
		ids[0], ids[tokens-1] = cls, sep
	} else {
		ids[0] = int32(s.Vocabulary - 1)
	}
	return ids
}

// batchTokens is the size of ONNX Runtime's batches in the perturbation
// workload, padding included: from there on it is no faster with more.
const batchTokens = 1024

// perturbations are the variants of one random text of which LIME and Kernel
// SHAP ask the model's opinion: the text itself, and then for each variant a
// number of its tokens, uniform from one to all but the special ones, drawn
// without replacement and taken away. They are deleted, or replaced by [MASK]
// (<|endoftext|> in GPT-2), which keeps the length.
//
// Source: Ribeiro et al. 2016, arXiv:1602.04938, and lime_text.py of its
// reference implementation.
func perturbations(s virtual.Shape, head model.Head, deletion bool, variants, tokens int, seed uint64) work {
	random := rand.New(rand.NewPCG(seed, 2))
	original := text(s, tokens, random)
	first, players, fill := 1, tokens-2, int32(mask)
	if s.Type == virtual.GPT2 {
		players, fill = tokens-1, int32(s.Vocabulary-1)
	}
	w := work{name: "replace", head: head, sequences: [][]int32{original}}
	if deletion {
		w.name = "delete"
	}
	for len(w.sequences) < variants {
		gone := make([]bool, tokens)
		for _, i := range random.Perm(players)[:1+random.IntN(players)] {
			gone[first+i] = true
		}
		var ids []int32
		for i, id := range original {
			switch {
			case !gone[i]:
				ids = append(ids, id)
			case !deletion:
				ids = append(ids, fill)
			}
		}
		w.sequences = append(w.sequences, ids)
	}
	order := make([]int, variants)
	for i := range order {
		order[i] = i
	}
	w.groups = []grouping{{"", w.cut(order, tokens)}}
	if deletion {
		w.groups[0].name = "padded"
		sorted := slices.SortedStableFunc(slices.Values(order), func(a, b int) int {
			return cmp.Compare(len(w.sequences[a]), len(w.sequences[b]))
		})
		w.groups = append(w.groups, grouping{"sorted", w.cut(sorted, 0)})
	}
	return w
}

// cut cuts sequences into batches of at most batchTokens tokens with padding.
// Where width is not 0 a sequence counts with it, whatever its length is.
func (w work) cut(order []int, width int) [][]int {
	var batches [][]int
	var batch []int
	longest := 0
	for _, i := range order {
		longer := max(longest, width, len(w.sequences[i]))
		if len(batch) > 0 && (len(batch)+1)*longer > batchTokens {
			batches, batch = append(batches, batch), nil
			longer = max(width, len(w.sequences[i]))
		}
		batch, longest = append(batch, i), longer
	}
	return append(batches, batch)
}

// feeds returns the inputs of ONNX Runtime for a grouping.
func (w work) feeds(s virtual.Shape, graph model.Graph, g grouping) []ort.Batch {
	var feeds []ort.Batch
	for _, batch := range g.batches {
		width := 0
		for _, i := range batch {
			width = max(width, len(w.sequences[i]))
		}
		ids, present := make([]int32, len(batch)*width), make([]int32, len(batch)*width)
		var lengths []int32
		for row, i := range batch {
			n := copy(ids[row*width:], w.sequences[i])
			for j := range n {
				present[row*width+j] = 1
			}
			lengths = append(lengths, int32(n))
		}
		dims := []int{len(batch), width}
		feed := ort.Batch{}
		for _, input := range model.Inputs(s, graph) {
			switch input {
			case model.IDs:
				feed[input] = ort.Array{Dims: dims, Data: ids}
			case model.Types:
				feed[input] = ort.Array{Dims: dims, Data: make([]int32, len(ids))}
			case model.Mask:
				feed[input] = ort.Array{Dims: dims, Data: present}
			case model.Lengths:
				feed[input] = ort.Array{Dims: dims[:1], Data: lengths}
			}
		}
		feeds = append(feeds, feed)
	}
	return feeds
}

// unbatch returns values that a grouping gave batch after batch, as many for
// every sequence, in the order of the sequences.
func (w work) unbatch(flat []float32, g grouping) ([]float64, error) {
	each := len(flat) / len(w.sequences)
	if each*len(w.sequences) != len(flat) {
		return nil, fmt.Errorf("%d values are not the same number for each of %d sequences", len(flat), len(w.sequences))
	}
	out := make([]float64, len(flat))
	row := 0
	for _, batch := range g.batches {
		for _, i := range batch {
			for j := range each {
				out[i*each+j] = float64(flat[row*each+j])
			}
			row++
		}
	}
	return out, nil
}
