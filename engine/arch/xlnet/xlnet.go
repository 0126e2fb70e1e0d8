// Package xlnet describes XLNet (Yang et al. 2019, arXiv:1906.08237), a
// Transformer-XL that predicts words given any others:
//
//	h = word,  g = a learned vector at every target
//	per layer:  k, v = W_k·[m ‖ h], W_v·[m ‖ h]     m are the memories, if any
//	            score(i, j) = [(q_i + b_w)·k_j + (q_i + b_r)·(W_r·R_{i−j}) + (q_i + b_s)·s_ij]/√E
//	            y = LN(x + W_o·softmax(score)·v)    with x = h, and the same with x = g
//	            x = LN(y + W₂·act(W₁·y))
//	words:      logits = E·x + b                    x is g where there are targets, else h
//	sequence:   logits = W·tanh(W_p·h[<cls>])
//	token, span: logits = W·h
//
// R_p is the sinusoid of the distance p, s_ij one of two vectors: whether i and
// j have the same type. The content stream h sees what the permutation mask
// shows and always itself; the query stream g sees the same and not itself.
//
// Source: huggingface/transformers v4.39, models/xlnet/modeling_xlnet.py.
package xlnet

import (
	"fmt"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

const prefix = "transformer."

var heads = arch.Heads{
	"LMHeadModel":                arch.PermutationLM,
	"ForSequenceClassification":  arch.SequenceClassification,
	"ForTokenClassification":     arch.TokenClassification,
	"ForQuestionAnsweringSimple": arch.QuestionAnswering,
}

// types is the number of token types: first text, second, <cls> and padding.
// Only whether two are the same counts.
const types = 4

func init() { arch.Register("xlnet", open) }

type model struct {
	arch.Info
	words, unembedding arch.Weight // one tensor where they are tied
	feedForward        int
	activation         string
	eps                float64
	causal             bool // attn_type "uni"
	clamp              int  // of relative positions; −1 for none
	summary            summary
}

// summary is how a sequence classifier turns the states of a sequence to one.
type summary struct {
	read       arch.Reader
	dense      bool
	activation string
}

func open(c *checkpoint.Config) (*arch.Architecture, error) {
	f := c.Fields()
	m := &model{
		Info: arch.Info{
			ModelType:  "xlnet",
			Vocabulary: f.Int("vocab_size", 32000, 1, arch.MaxVocabulary),
			Hidden:     f.Int("d_model", 1024, 1, arch.MaxWidth),
			Layers:     f.Int("n_layer", 24, 1, arch.MaxLayers),
			Heads:      f.Int("n_head", 16, 1, arch.MaxWidth),
			Types:      types,
			Memories:   true,
		},
		feedForward: f.Int("d_inner", 4096, 1, arch.MaxWidth),
		activation:  f.String("ff_activation", "gelu"),
		eps:         f.Float("layer_norm_eps", 1e-12, 0, 1),
		clamp:       f.Int("clamp_len", -1, -1, arch.MaxVocabulary),
	}
	m.Embedding = m.Hidden
	headWidth := f.Int("d_head", m.Hidden/m.Heads, 1, arch.MaxWidth)
	attention := f.String("attn_type", "bi")
	mirrored := f.Bool("bi_data", false)
	sameLength := f.Bool("same_length", false)
	tied := f.Bool("tie_word_embeddings", true)
	summaryType := f.String("summary_type", "last")
	m.summary.dense = f.Bool("summary_use_proj", true)
	m.summary.activation = f.String("summary_activation", "tanh")
	if f.Null("summary_activation") || m.summary.activation == "" {
		m.summary.activation = "linear"
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	if err := m.CheckHeads("n_head"); err != nil {
		return nil, err
	}
	m.causal = attention == "uni"
	reader, known := map[string]arch.Reader{"last": arch.Last, "first": arch.First}[summaryType]
	m.summary.read = reader
	switch {
	case headWidth*m.Heads != m.Hidden:
		return nil, &checkpoint.ConfigError{Key: "d_head", Reason: fmt.Sprintf("is %d, but %d heads share a width of %d", headWidth, m.Heads, m.Hidden)}
	case m.Hidden%2 != 0:
		return nil, &checkpoint.ConfigError{Key: "d_model", Reason: fmt.Sprintf("is %d; it must be even for the sines and cosines of positions", m.Hidden)}
	case attention != "bi" && attention != "uni":
		return nil, &checkpoint.ConfigError{Key: "attn_type", Reason: fmt.Sprintf(`is %q; it must be "bi" or "uni"`, attention)}
	case mirrored:
		return nil, &checkpoint.UnsupportedError{What: "bi_data of an xlnet model", Hint: "it reverses half of a batch, which only training does; set it to false"}
	case sameLength && m.causal:
		return nil, &checkpoint.UnsupportedError{What: `same_length of an xlnet model with attn_type "uni"`, Hint: `only models without it, or with attn_type "bi", run`}
	}
	if err := m.Head(c, "XLNet", heads); err != nil {
		return nil, err
	}
	if m.Task == arch.SequenceClassification && !known {
		return nil, &checkpoint.UnsupportedError{What: fmt.Sprintf("summary_type %q", summaryType), Hint: `of xlnet models only those with "last" or "first" run`}
	}
	m.Targets = m.Task == arch.PermutationLM
	words := arch.Weight{Name: prefix + "word_embedding.weight", Shape: []int{m.Vocabulary, m.Hidden}}
	m.words, m.unembedding = arch.Tie(words, "lm_loss.weight", tied)
	return &arch.Architecture{Info: m.Info, Prefix: prefix, Graph: m.graph}, nil
}

func (m *model) graph(form arch.Form) *arch.Graph {
	d := m.Hidden
	form.Targets = form.Targets && m.Targets
	b := arch.NewBuilder(m.Sizes(m.feedForward))
	h := b.Name("hook_embed", b.Words(m.words), "B T D")
	b.Name("hook_full_embed", h, "B T D")
	g := arch.None
	if form.Targets {
		g = b.Repeat(arch.Targets, arch.Weight{Name: prefix + "mask_emb", Shape: []int{1, 1, d}})
	}
	positions := b.Sinusoids(d, m.clamp)
	for l := range m.Layers {
		h, g = m.layer(b, form, l, h, g, positions)
	}
	b.Head()
	x := h
	if form.Targets {
		x = g
	}
	return b.Answer(m.Task, x, arch.NormPost, arch.Ends{Language: m.language, Classify: m.classify, Read: arch.Read{From: m.summary.read}})
}

func (m *model) language(b *arch.Builder, x arch.Value) arch.Value {
	return b.Unembed(x, arch.Projection{W: m.unembedding, Bias: arch.Weight{Name: "lm_loss.bias", Shape: []int{m.Vocabulary}}})
}

func (m *model) classify(b *arch.Builder, x arch.Value) arch.Value {
	if m.summary.dense {
		x = b.Linear(x, "sequence_summary.summary", m.Hidden)
	}
	x = b.Classifier(x, m.summary.activation, "summary_activation")
	return b.ClassLogits(x, arch.Dense("logits_proj", m.Outputs, m.Hidden))
}
