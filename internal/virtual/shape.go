// Package virtual makes up models of a given shape: what their checkpoints hold,
// and folders of them that take neither disk nor memory. Nothing that is measured
// depends on what the weights are, as long as they are no zeros.
package virtual

import (
	"fmt"
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

// shapes are the models that have a name: the two whose shapes everybody knows,
// and tiny ones, which show that what measures them works and nothing else.
var shapes = []Shape{
	{Name: "bert-base", Type: BERT, Vocabulary: 30522, Positions: 512, Types: 2, Layers: 12, Heads: 12, Hidden: 768, Intermediate: 3072, Labels: 2},
	{Name: "gpt2-small", Type: GPT2, Vocabulary: 50257, Positions: 1024, Layers: 12, Heads: 12, Hidden: 768, Intermediate: 3072},
	{Name: "bert-tiny", Type: BERT, Vocabulary: 211, Positions: 64, Types: 2, Layers: 2, Heads: 2, Hidden: 32, Intermediate: 96, Labels: 2},
	{Name: "gpt2-tiny", Type: GPT2, Vocabulary: 211, Positions: 64, Layers: 2, Heads: 2, Hidden: 32, Intermediate: 96},
}

// Named returns the shape of that name.
func Named(name string) (Shape, error) {
	var names []string
	for _, s := range shapes {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Shape{}, fmt.Errorf("no model is named %q: known are %s", name, strings.Join(names, ", "))
}

// Weight is a tensor of a checkpoint, with the mean and the standard deviation
// that a draw of it has.
type Weight struct {
	Name            string
	Shape           []int
	Mean, Deviation float32
}

// Elements returns the number of values.
func (w Weight) Elements() int64 {
	n := int64(1)
	for _, dim := range w.Shape {
		n *= int64(dim)
	}
	return n
}

// Weights returns the weights of a shape under the names of Hugging Face's
// checkpoints. Matrices have a standard deviation of 0.04, which makes attention
// neither flat nor one-hot at the widths in use.
func (s Shape) Weights() []Weight {
	var all []Weight
	add := func(name string, mean, deviation float32, shape ...int) {
		all = append(all, Weight{name, shape, mean, deviation})
	}
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
		return all
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
	return all
}

// Parameters returns the number of weights.
func (s Shape) Parameters() int64 {
	n := int64(0)
	for _, w := range s.Weights() {
		n += w.Elements()
	}
	return n
}

// Config returns the configuration under Hugging Face's names.
func (s Shape) Config() map[string]any {
	if s.Type == GPT2 {
		return map[string]any{
			"model_type": "gpt2", "architectures": []string{"GPT2LMHeadModel"}, "activation_function": "gelu_new",
			"vocab_size": s.Vocabulary, "n_positions": s.Positions, "n_ctx": s.Positions,
			"n_layer": s.Layers, "n_head": s.Heads, "n_embd": s.Hidden, "n_inner": s.Intermediate,
			"layer_norm_epsilon": s.Epsilon(), "bos_token_id": s.Vocabulary - 1, "eos_token_id": s.Vocabulary - 1,
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
		"layer_norm_eps": s.Epsilon(), "pad_token_id": 0, "id2label": labels,
	}
}

// Epsilon returns what the norms of the family add to the variance.
func (s Shape) Epsilon() float32 {
	if s.Type == GPT2 {
		return 1e-5
	}
	return 1e-12
}
