// Package gpt2 describes GPT-2 (Radford et al. 2019, "Language Models are
// Unsupervised Multitask Learners"):
//
//	x = word + position
//	per layer:  x = x + W_o·softmax(QKᵀ/√E)·V    of LN₁(x), each token sees those up to it
//	            x = x + W₂·act(W₁·LN₂(x))
//	next word:  logits = E·LN(x)                 E are the word embeddings
//	sequence:   logits = W·LN(x)                 of the last token before the padding
//
// Linear layers are stored [in, out], those of query, key and value as one.
//
// Source: huggingface/transformers v4.39, models/gpt2/modeling_gpt2.py.
package gpt2

import (
	"math"
	"strconv"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

const prefix = "transformer."

// heads are the heads that run. Model is without one, but where the word
// embeddings are also the unembedding it has all that predicting words takes.
var heads = arch.Heads{
	"LMHeadModel":               arch.CausalLM,
	"Model":                     arch.CausalLM,
	"ForSequenceClassification": arch.SequenceClassification,
	"ForTokenClassification":    arch.TokenClassification,
	"ForQuestionAnswering":      arch.QuestionAnswering,
}

func init() { arch.Register("gpt2", open) }

type model struct {
	arch.Info
	words, unembedding arch.Weight // one tensor where they are tied
	feedForward        int
	activation         string
	eps                float64
	scaled             bool // scores are divided by √E
	scaledByLayer      bool // scores of layer l are divided by l+1
	padding            int  // token; −1 where there is none
}

func open(c *checkpoint.Config) (*arch.Architecture, error) {
	f := c.Fields()
	m := &model{
		Info: arch.Info{
			ModelType:  "gpt2",
			Vocabulary: f.Int("vocab_size", 50257, 1, arch.MaxVocabulary),
			Hidden:     f.Int("n_embd", 768, 1, arch.MaxWidth),
			Layers:     f.Int("n_layer", 12, 1, arch.MaxLayers),
			Heads:      f.Int("n_head", 12, 1, arch.MaxWidth),
			Positions:  f.Int("n_positions", 1024, 1, arch.MaxVocabulary),
		},
		activation:    f.String("activation_function", "gelu_new"),
		eps:           f.Float("layer_norm_epsilon", 1e-5, 0, 1),
		scaled:        f.Bool("scale_attn_weights", true),
		scaledByLayer: f.Bool("scale_attn_by_inverse_layer_idx", false),
		padding:       f.Int("pad_token_id", -1, -1, arch.MaxVocabulary),
	}
	m.feedForward = f.Int("n_inner", 4*m.Hidden, 1, 4*arch.MaxWidth)
	tied := f.Bool("tie_word_embeddings", true)
	cross := f.Bool("add_cross_attention", false)
	if err := f.Err(); err != nil {
		return nil, err
	}
	if cross {
		return nil, &checkpoint.UnsupportedError{What: "add_cross_attention of a gpt2 model", Hint: "only models that read one text run"}
	}
	m.Embedding, m.Length = m.Hidden, m.Positions
	words := arch.Weight{Name: prefix + "wte.weight", Shape: []int{m.Vocabulary, m.Hidden}}
	m.words, m.unembedding = arch.Tie(words, "lm_head.weight", tied)
	if err := m.CheckHeads("n_head"); err != nil {
		return nil, err
	}
	if err := m.Head(c, "GPT2", heads); err != nil {
		return nil, err
	}
	if m.Architecture == "GPT2Model" && !tied {
		return nil, &checkpoint.UnsupportedError{What: "GPT2Model without tie_word_embeddings", Hint: "it has no layer that predicts words; save it as GPT2LMHeadModel"}
	}
	return &arch.Architecture{Info: m.Info, Prefix: prefix, Graph: m.graph}, nil
}

func (m *model) graph(arch.Form) *arch.Graph {
	b := arch.NewBuilder(m.Sizes(m.feedForward))
	words := b.Name("hook_embed", b.Words(m.words), "B T D")
	positions := b.Embed(arch.ByPosition, arch.Weight{Name: prefix + "wpe.weight", Shape: []int{m.Positions, m.Hidden}})
	b.Name("hook_pos_embed", positions, "B T D")
	x := b.Name("hook_full_embed", b.Add(words, positions), "B T D")
	for l := range m.Layers {
		x = m.layer(b, l, x)
	}
	b.Head()
	x = b.LayerNorm(x, prefix+"ln_f", m.eps, "ln_final", true)
	read := arch.Read{From: arch.Last}
	if m.padding >= 0 {
		read = arch.Read{From: arch.BeforePad, Pad: int32(m.padding)}
	}
	return b.Answer(m.Task, x, arch.NormPre, arch.Ends{Language: m.language, Classify: m.classify, Read: read})
}

// layer is one layer of the decoder.
func (m *model) layer(b *arch.Builder, l int, x arch.Value) arch.Value {
	d, f := m.Hidden, m.feedForward
	p := prefix + "h." + strconv.Itoa(l) + "."
	factor := 1.0
	if m.scaled {
		factor /= math.Sqrt(float64(d / m.Heads))
	}
	if m.scaledByLayer {
		factor /= float64(l + 1)
	}
	return b.Decoder(l, x,
		arch.LayerNorm(p+"ln_1", d, m.eps),
		arch.SelfAttention{
			Query:  arch.Conv1D(p+"attn.c_attn", d, 3*d, 0, d),
			Key:    arch.Conv1D(p+"attn.c_attn", d, 3*d, d, 2*d),
			Value:  arch.Conv1D(p+"attn.c_attn", d, 3*d, 2*d, 3*d),
			Output: arch.Conv1D(p+"attn.c_proj", d, d, 0, d),
			Heads:  m.Heads, KeyHeads: m.Heads,
			Factor: factor, Causal: true,
		},
		arch.LayerNorm(p+"ln_2", d, m.eps),
		arch.FeedForward{
			Up:         arch.Conv1D(p+"mlp.c_fc", d, f, 0, f),
			Down:       arch.Conv1D(p+"mlp.c_proj", f, d, 0, d),
			Activation: m.activation, Key: "activation_function",
		},
	)
}

func (m *model) language(b *arch.Builder, x arch.Value) arch.Value {
	return b.Unembed(x, arch.Projection{W: m.unembedding})
}

func (m *model) classify(b *arch.Builder, x arch.Value) arch.Value {
	return b.ClassLogits(x, arch.Projection{W: arch.Weight{Name: "score.weight", Shape: []int{m.Outputs, m.Hidden}}})
}
