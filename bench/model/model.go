// Package model makes models of a given shape with random weights, in the two
// forms that a comparison needs: a folder of Hugging Face's layout for the
// engine, and ONNX graphs of fused operators, over the same values, for ONNX
// Runtime. Nothing that is measured depends on what the weights are, as long as
// they are no zeros, and equal logits show that both sides compute the same.
package model

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
)

// The families.
const (
	BERT = "bert"
	GPT2 = "gpt2"
)

// Shape is the size of a model.
type Shape struct {
	Name         string
	Type         string // model_type: BERT, a sequence classifier, or GPT2, a language model with tied embeddings
	Vocabulary   int
	Positions    int
	Types        int // BERT alone
	Layers       int
	Heads        int
	Hidden       int
	Intermediate int
	Labels       int // BERT alone
}

// Shapes are the models that can be measured: the two whose shapes everybody
// knows, and tiny ones, which show that the harness works and nothing else.
var Shapes = []Shape{
	{Name: "bert-base", Type: BERT, Vocabulary: 30522, Positions: 512, Types: 2, Layers: 12, Heads: 12, Hidden: 768, Intermediate: 3072, Labels: 2},
	{Name: "gpt2-small", Type: GPT2, Vocabulary: 50257, Positions: 1024, Layers: 12, Heads: 12, Hidden: 768, Intermediate: 3072},
	{Name: "bert-tiny", Type: BERT, Vocabulary: 211, Positions: 64, Types: 2, Layers: 2, Heads: 2, Hidden: 32, Intermediate: 96, Labels: 2},
	{Name: "gpt2-tiny", Type: GPT2, Vocabulary: 211, Positions: 64, Layers: 2, Heads: 2, Hidden: 32, Intermediate: 96},
}

// Named returns the shape of that name.
func Named(name string) (Shape, error) {
	var names []string
	for _, s := range Shapes {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Shape{}, fmt.Errorf("no model is named %q: known are %s", name, strings.Join(names, ", "))
}

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
func (s Shape) Operations(head Head, cut bool, lengths ...int) float64 {
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

// random draws the weights of a shape under the names of Hugging Face's
// checkpoints. They depend on the seed and their names alone. Matrices have a
// standard deviation of 0.04, which makes attention neither flat nor one-hot
// at the widths in use.
func (s Shape) random(seed uint64) []tensor {
	var all []tensor
	s.weights(func(name string, mean, deviation float32, shape ...int) {
		h := fnv.New64a()
		h.Write([]byte(name))
		source := rand.New(rand.NewPCG(seed, h.Sum64()))
		n := 1
		for _, dim := range shape {
			n *= dim
		}
		t := tensor{name, shape, make([]float32, n)}
		for i := range t.values {
			t.values[i] = mean + deviation*float32(source.NormFloat64())
		}
		all = append(all, t)
	})
	return all
}

// weights calls add for every weight of a shape, with the mean and the standard
// deviation that it is drawn with.
func (s Shape) weights(add func(name string, mean, deviation float32, shape ...int)) {
	matrix := func(name string, shape ...int) { add(name+".weight", 0, 0.04, shape...) }
	// linear is [out, in] in BERT and [in, out] in GPT-2.
	linear := func(name string, rows, columns, out int) {
		matrix(name, rows, columns)
		add(name+".bias", 0, 0.02, out)
	}
	norm := func(name string) {
		add(name+".weight", 1, 0.1, s.Hidden)
		add(name+".bias", 0, 0.02, s.Hidden)
	}
	h, f := s.Hidden, s.Intermediate
	if s.Type == GPT2 {
		matrix("transformer.wte", s.Vocabulary, h)
		matrix("transformer.wpe", s.Positions, h)
		for i := range s.Layers {
			p := fmt.Sprintf("transformer.h.%d.", i)
			norm(p + "ln_1")
			linear(p+"attn.c_attn", h, 3*h, 3*h)
			linear(p+"attn.c_proj", h, h, h)
			norm(p + "ln_2")
			linear(p+"mlp.c_fc", h, f, f)
			linear(p+"mlp.c_proj", f, h, h)
		}
		norm("transformer.ln_f")
		return
	}
	matrix("bert.embeddings.word_embeddings", s.Vocabulary, h)
	matrix("bert.embeddings.position_embeddings", s.Positions, h)
	matrix("bert.embeddings.token_type_embeddings", s.Types, h)
	norm("bert.embeddings.LayerNorm")
	for i := range s.Layers {
		p := fmt.Sprintf("bert.encoder.layer.%d.", i)
		for _, name := range []string{"query", "key", "value"} {
			linear(p+"attention.self."+name, h, h, h)
		}
		linear(p+"attention.output.dense", h, h, h)
		norm(p + "attention.output.LayerNorm")
		linear(p+"intermediate.dense", f, h, f)
		linear(p+"output.dense", h, f, h)
		norm(p + "output.LayerNorm")
	}
	linear("bert.pooler.dense", h, h, h)
	linear("classifier", s.Labels, h, s.Labels)
}

// config returns the configuration under Hugging Face's names.
func (s Shape) config() map[string]any {
	if s.Type == GPT2 {
		return map[string]any{
			"model_type": "gpt2", "architectures": []string{"GPT2LMHeadModel"}, "activation_function": "gelu_new",
			"vocab_size": s.Vocabulary, "n_positions": s.Positions, "n_ctx": s.Positions,
			"n_layer": s.Layers, "n_head": s.Heads, "n_embd": s.Hidden, "n_inner": s.Intermediate,
			"layer_norm_epsilon": epsilon(GPT2), "bos_token_id": s.Vocabulary - 1, "eos_token_id": s.Vocabulary - 1,
		}
	}
	labels := map[string]string{}
	for i := range s.Labels {
		labels[fmt.Sprint(i)] = fmt.Sprintf("LABEL_%d", i)
	}
	return map[string]any{
		"model_type": "bert", "architectures": []string{"BertForSequenceClassification"}, "hidden_act": "gelu",
		"vocab_size": s.Vocabulary, "max_position_embeddings": s.Positions, "type_vocab_size": s.Types,
		"num_hidden_layers": s.Layers, "num_attention_heads": s.Heads, "hidden_size": s.Hidden, "intermediate_size": s.Intermediate,
		"layer_norm_eps": epsilon(BERT), "pad_token_id": 0, "id2label": labels,
	}
}

// epsilon returns what a family's norms add to the variance.
func epsilon(family string) float32 {
	if family == GPT2 {
		return 1e-5
	}
	return 1e-12
}
