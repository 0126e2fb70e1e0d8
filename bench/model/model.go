// Package model makes models of a given shape with random weights, in the two
// forms that a comparison needs: a folder of Hugging Face's layout for the
// engine, and ONNX graphs of fused operators, over the same values, for ONNX
// Runtime. Equal logits show that both sides compute the same.
package model

import (
	"hash/fnv"
	"math/rand/v2"

	"github.com/xai-go/xai/internal/virtual"
)

// Head says for which tokens a forward computes logits.
type Head string

// The heads.
const (
	Classifier Head = "classifier" // BERT: the first token
	All        Head = "all"        // GPT-2: every position
	Last       Head = "last"       // GPT-2: the last position of a sequence
)

// Operations counts the floating-point operations, two for a multiply-add, of
// the matrix products of a forward over sequences of the given lengths. Where
// cut is set the last layer computes what the head reads and no more: keys and
// values of all tokens, everything else of one token a sequence.
func Operations(s virtual.Shape, head Head, cut bool, lengths ...int) float64 {
	h, f := float64(s.Hidden), float64(s.Intermediate)
	var sum float64
	for _, length := range lengths {
		t := float64(length)
		// A row takes four projections, of which keys and values are two, a
		// row of queries against t keys and of patterns against t values, and
		// the two products of the feed-forward.
		keyValue := 4 * h * h
		rest := 4*h*h + 4*t*h + 4*h*f
		layers := float64(s.Layers)
		if cut {
			sum += keyValue*t + rest
			layers--
		}
		sum += layers * t * (keyValue + rest)
		switch head {
		case Classifier:
			sum += 2*h*h + 2*h*float64(s.Labels)
		case All:
			sum += 2 * h * float64(s.Vocabulary) * t
		case Last:
			sum += 2 * h * float64(s.Vocabulary)
		}
	}
	return sum
}

// tensor is one weight of a model.
type tensor struct {
	name   string
	shape  []int
	values []float32
}

// random draws the weights of a shape. They depend on the seed and their names
// alone.
func random(s virtual.Shape, seed uint64) []tensor {
	var all []tensor
	for _, w := range s.Weights() {
		h := fnv.New64a()
		h.Write([]byte(w.Name))
		source := rand.New(rand.NewPCG(seed, h.Sum64()))
		t := tensor{w.Name, w.Shape, make([]float32, w.Elements())}
		for i := range t.values {
			t.values[i] = w.Mean + w.Deviation*float32(source.NormFloat64())
		}
		all = append(all, t)
	}
	return all
}
