// Package distilbert describes DistilBERT (Sanh et al. 2019, arXiv:1910.01108):
// BERT without token types and without a pooler, under other names. Its heads:
//
//	sequence:      logits = W·ReLU(W_p·x[CLS])
//	token, span:   logits = W·x
//	masked words:  logits = E·LN(act(W·x)) + b    E are the word embeddings
//
// Source: huggingface/transformers v4.39, models/distilbert/modeling_distilbert.py.
package distilbert

import (
	"strconv"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

const (
	prefix = "distilbert."
	eps    = 1e-12 // of every norm; no configuration says it
)

var heads = arch.Heads{
	"ForSequenceClassification": arch.SequenceClassification,
	"ForTokenClassification":    arch.TokenClassification,
	"ForQuestionAnswering":      arch.QuestionAnswering,
	"ForMaskedLM":               arch.MaskedLM,
}

func init() { arch.Register("distilbert", open) }

type model struct {
	arch.Info
	words, unembedding arch.Weight // one tensor where they are tied
	feedForward        int
	activation         string
}

func open(c *checkpoint.Config) (*arch.Architecture, error) {
	f := c.Fields()
	m := &model{
		Info: arch.Info{
			ModelType:  "distilbert",
			Vocabulary: f.Int("vocab_size", 30522, 1, arch.MaxVocabulary),
			Hidden:     f.Int("dim", 768, 1, arch.MaxWidth),
			Layers:     f.Int("n_layers", 6, 1, arch.MaxLayers),
			Heads:      f.Int("n_heads", 12, 1, arch.MaxWidth),
			Positions:  f.Int("max_position_embeddings", 512, 1, arch.MaxVocabulary),
		},
		feedForward: f.Int("hidden_dim", 3072, 1, arch.MaxWidth),
		activation:  f.String("activation", "gelu"),
	}
	tied := f.Bool("tie_word_embeddings", true)
	if err := f.Err(); err != nil {
		return nil, err
	}
	m.Embedding, m.Length = m.Hidden, m.Positions
	words := arch.Weight{Name: prefix + "embeddings.word_embeddings.weight", Shape: []int{m.Vocabulary, m.Hidden}}
	m.words, m.unembedding = arch.Tie(words, "vocab_projector.weight", tied)
	if err := m.CheckHeads("n_heads"); err != nil {
		return nil, err
	}
	if err := m.Head(c, "DistilBert", heads); err != nil {
		return nil, err
	}
	return &arch.Architecture{Info: m.Info, Prefix: prefix, Graph: m.graph}, nil
}

func (m *model) graph(arch.Form) *arch.Graph {
	d := m.Hidden
	b := arch.NewBuilder(m.Sizes(m.feedForward))
	words := b.Name("hook_embed", b.Words(m.words), "B T D")
	positions := b.Embed(arch.ByPosition, arch.Weight{Name: prefix + "embeddings.position_embeddings.weight", Shape: []int{m.Positions, d}})
	b.Name("hook_pos_embed", positions, "B T D")
	x := b.LayerNorm(b.Add(words, positions), prefix+"embeddings.LayerNorm", eps, "embed.ln", false)
	b.Name("hook_full_embed", x, "B T D")
	for l := range m.Layers {
		x = m.layer(b, l, x)
	}
	b.Head()
	return b.Answer(m.Task, x, arch.NormPost, arch.Ends{Language: m.language, Classify: m.classify, Read: arch.Read{From: arch.First}})
}

// layer is one layer of the encoder.
func (m *model) layer(b *arch.Builder, l int, x arch.Value) arch.Value {
	d, f := m.Hidden, m.feedForward
	p := prefix + "transformer.layer." + strconv.Itoa(l) + "."
	return b.Encoder(l, x,
		arch.SelfAttention{
			Query:  arch.Dense(p+"attention.q_lin", d, d),
			Key:    arch.Dense(p+"attention.k_lin", d, d),
			Value:  arch.Dense(p+"attention.v_lin", d, d),
			Output: arch.Dense(p+"attention.out_lin", d, d),
			Heads:  m.Heads, KeyHeads: m.Heads,
		},
		arch.LayerNorm(p+"sa_layer_norm", d, eps),
		arch.FeedForward{Up: arch.Dense(p+"ffn.lin1", f, d), Down: arch.Dense(p+"ffn.lin2", d, f), Activation: m.activation, Key: "activation"},
		arch.LayerNorm(p+"output_layer_norm", d, eps),
	)
}

func (m *model) language(b *arch.Builder, x arch.Value) arch.Value {
	d := m.Hidden
	return b.MaskedLM(x, arch.MaskedLMHead{
		Dense:       arch.Dense("vocab_transform", d, d),
		Activation:  m.activation,
		Key:         "activation",
		Norm:        arch.LayerNorm("vocab_layer_norm", d, eps),
		Unembedding: arch.Projection{W: m.unembedding, Bias: arch.Weight{Name: "vocab_projector.bias", Shape: []int{m.Vocabulary}}},
	})
}

func (m *model) classify(b *arch.Builder, x arch.Value) arch.Value {
	d := m.Hidden
	x = b.Classifier(b.Linear(x, "pre_classifier", d), "relu", "head")
	return b.ClassLogits(x, arch.Dense("classifier", m.Outputs, d))
}
