package bert

import (
	"fmt"
	"strconv"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

// Family is what a family of BERT's kind calls things.
type Family struct {
	Class       string     // of the reference implementation, without the head: "Bert"
	Heads       arch.Heads // those that it has
	Vocabulary  int        // where the configuration does not say
	Prefix      string     // of the base model's tensors, "bert."
	Unembedding string     // tensor that the word embeddings are tied to
}

// Encoder is BERT up to the last layer of its encoder.
type Encoder struct {
	arch.Info
	Prefix string  // of the base model's tensors
	Eps    float64 // of every norm

	words, unembedding arch.Weight // one tensor where they are tied
	intermediate       int
	activation         string
}

// Read reads the configuration of a family whose keys are BERT's.
func Read(c *checkpoint.Config, family Family) (*Encoder, error) {
	f := c.Fields()
	e := &Encoder{
		Info: arch.Info{
			ModelType:  f.String("model_type", ""),
			Vocabulary: f.Int("vocab_size", family.Vocabulary, 1, arch.MaxVocabulary),
			Hidden:     f.Int("hidden_size", 768, 1, arch.MaxWidth),
			Layers:     f.Int("num_hidden_layers", 12, 1, arch.MaxLayers),
			Heads:      f.Int("num_attention_heads", 12, 1, arch.MaxWidth),
			Positions:  f.Int("max_position_embeddings", 512, 1, arch.MaxVocabulary),
			Types:      f.Int("type_vocab_size", 2, 1, arch.MaxWidth),
		},
		Prefix:       family.Prefix,
		Eps:          f.Float("layer_norm_eps", 1e-12, 0, 1),
		intermediate: f.Int("intermediate_size", 3072, 1, arch.MaxWidth),
		activation:   f.String("hidden_act", "gelu"),
	}
	tied := f.Bool("tie_word_embeddings", true)
	positions := f.String("position_embedding_type", "absolute")
	decoder := f.Bool("is_decoder", false)
	if err := f.Err(); err != nil {
		return nil, err
	}
	if positions != "absolute" {
		return nil, &checkpoint.UnsupportedError{What: fmt.Sprintf("position_embedding_type %q", positions), Hint: "of " + e.ModelType + ` models only those with "absolute" positions run`}
	}
	if decoder {
		return nil, &checkpoint.UnsupportedError{What: "is_decoder of a " + e.ModelType + " model", Hint: "only encoders run"}
	}
	e.Embedding, e.Length = e.Hidden, e.Positions
	words := arch.Weight{Name: e.Prefix + "embeddings.word_embeddings.weight", Shape: []int{e.Vocabulary, e.Hidden}}
	e.words, e.unembedding = arch.Tie(words, family.Unembedding, tied)
	if err := e.CheckHeads("num_attention_heads"); err != nil {
		return nil, err
	}
	return e, e.Head(c, family.Class, family.Heads)
}

// Unembed returns the last layer of a language model. Its bias has two names
// and may be absent.
func (e *Encoder) Unembed(bias, or string) arch.Projection {
	return arch.Projection{
		W:    e.unembedding,
		Bias: arch.Weight{Name: bias, Or: []string{or}, Shape: []int{e.Vocabulary}, Optional: true},
	}
}

// Graph returns the encoder with a head: [arch.Ends], where a classifier reads
// the first token.
func (e *Encoder) Graph(language, classify func(*arch.Builder, arch.Value) arch.Value) *arch.Graph {
	b := arch.NewBuilder(e.Sizes(e.intermediate))
	x := e.embed(b)
	for l := range e.Layers {
		x = e.layer(b, l, x)
	}
	b.Head()
	return b.Answer(e.Task, x, arch.NormPost, arch.Ends{Language: language, Classify: classify, Read: arch.Read{From: arch.First}})
}

// embed sums the three embeddings of a token.
func (e *Encoder) embed(b *arch.Builder) arch.Value {
	p := e.Prefix + "embeddings."
	words := b.Name("hook_embed", b.Words(e.words), "B T D")
	types := b.Embed(arch.ByType, arch.Weight{Name: p + "token_type_embeddings.weight", Shape: []int{e.Types, e.Hidden}})
	positions := b.Embed(arch.ByPosition, arch.Weight{Name: p + "position_embeddings.weight", Shape: []int{e.Positions, e.Hidden}})
	b.Name("hook_token_type_embed", types, "B T D")
	b.Name("hook_pos_embed", positions, "B T D")
	x := b.Add(b.Add(words, types), positions)
	return b.Name("hook_full_embed", b.LayerNorm(x, p+"LayerNorm", e.Eps, "embed.ln", false), "B T D")
}

// layer is one layer of the encoder.
func (e *Encoder) layer(b *arch.Builder, l int, x arch.Value) arch.Value {
	d, f := e.Hidden, e.intermediate
	p := e.Prefix + "encoder.layer." + strconv.Itoa(l) + "."
	return b.Encoder(l, x,
		arch.SelfAttention{
			Query:  arch.Dense(p+"attention.self.query", d, d),
			Key:    arch.Dense(p+"attention.self.key", d, d),
			Value:  arch.Dense(p+"attention.self.value", d, d),
			Output: arch.Dense(p+"attention.output.dense", d, d),
			Heads:  e.Heads, KeyHeads: e.Heads,
		},
		arch.LayerNorm(p+"attention.output.LayerNorm", d, e.Eps),
		arch.FeedForward{
			Up:         arch.Dense(p+"intermediate.dense", f, d),
			Down:       arch.Dense(p+"output.dense", d, f),
			Activation: e.activation, Key: "hidden_act",
		},
		arch.LayerNorm(p+"output.LayerNorm", d, e.Eps),
	)
}
