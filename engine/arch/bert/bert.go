// Package bert runs BERT encoders (Devlin et al. 2019, arXiv:1810.04805) and
// DistilBERT (Sanh et al. 2019, arXiv:1910.01108), which is BERT without token
// types and without a pooler, with a head for sequence classification.
//
//	x = LayerNorm(word + type + position)
//	per layer:  a = softmax(QKᵀ/√E)·V        per head of width E
//	            x = LayerNorm(x + W_o a)
//	            x = LayerNorm(x + W₂ act(W₁ x))
//	logits = W_c f(W_p x[CLS])               f is tanh in BERT, ReLU in DistilBERT
//
// A sequence's own tokens are its whole world: nothing is padded, and a token
// with mask 0 is invisible to all queries while its own row is still computed,
// as the reference implementation does. A query that sees no key at all has an
// attention output of 0, where the reference gives what its arithmetic happens
// to give.
//
// Source: huggingface/transformers v4.39, models/bert/modeling_bert.py and
// models/distilbert/modeling_distilbert.py.
package bert

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
)

func init() {
	arch.Register("bert", open(bertConfig))
	arch.Register("distilbert", open(distilConfig))
}

// open returns the function that opens a family by its configuration.
func open(read func(*checkpoint.Config) (*config, error)) arch.Open {
	return func(ctx context.Context, c *checkpoint.Checkpoint, dtype arch.DType) (arch.Network, error) {
		cfg, err := read(c.Config)
		if err != nil {
			return nil, err
		}
		cfg.DType = dtype
		if dtype == arch.F64 {
			return load[float64](ctx, c, cfg)
		}
		return load[float32](ctx, c, cfg)
	}
}

// network is a loaded model. Linear layers are packed for the kernels.
type network[T kernel.Float] struct {
	config
	word, position []T // [vocabulary, hidden], [positions, hidden]
	types          []T // [types, hidden]; nil in DistilBERT
	embedNorm      *nn.LayerNorm[T]
	layers         []layer[T]
	head           head[T]
}

// layer is one block of the encoder.
type layer[T kernel.Float] struct {
	query      *nn.Linear[T] // [hidden, hidden]
	keyValue   *nn.Linear[T] // [2·hidden, hidden], keys first
	output     *nn.Linear[T] // [hidden, hidden]
	outputNorm *nn.LayerNorm[T]
	up         *nn.Linear[T] // [intermediate, hidden]
	activation nn.Activation[T]
	down       *nn.Linear[T] // [hidden, intermediate]
	downNorm   *nn.LayerNorm[T]
}

// head is the classifier on the first token of a sequence: BERT's pooler or
// DistilBERT's pre_classifier, then a linear layer.
type head[T kernel.Float] struct {
	dense      *nn.Linear[T] // [hidden, hidden]
	activation nn.Activation[T]
	classifier *nn.Linear[T] // [classes, hidden]
}

func load[T kernel.Float](ctx context.Context, c *checkpoint.Checkpoint, cfg *config) (arch.Network, error) {
	activation, err := nn.ActivationByName[T](cfg.activationKey, cfg.activation)
	if err != nil {
		return nil, err
	}
	headActivation, err := nn.ActivationByName[T]("head", cfg.names.denseActivation)
	if err != nil {
		return nil, err
	}
	n := &network[T]{config: *cfg}
	d, f, names := cfg.Hidden, cfg.intermediate, cfg.names
	l := checkpoint.NewLoader[T](ctx, c, names.prefix)
	embeddings := names.prefix + "embeddings."
	n.word = l.Tensor(embeddings+"word_embeddings.weight", cfg.Vocabulary, d)
	n.position = l.Tensor(embeddings+"position_embeddings.weight", cfg.Positions, d)
	if cfg.Types > 0 {
		n.types = l.Tensor(embeddings+"token_type_embeddings.weight", cfg.Types, d)
	}
	n.embedNorm = nn.LoadLayerNorm(l, d, cfg.eps, embeddings+"LayerNorm")
	for i := range cfg.Layers {
		if l.Err() != nil {
			break
		}
		p := names.prefix + names.layer + strconv.Itoa(i) + "."
		n.layers = append(n.layers, layer[T]{
			query:      nn.LoadLinear(l, d, d, p+names.query),
			keyValue:   nn.LoadLinear(l, d, d, p+names.key, p+names.value),
			output:     nn.LoadLinear(l, d, d, p+names.output),
			outputNorm: nn.LoadLayerNorm(l, d, cfg.eps, p+names.outputNorm),
			up:         nn.LoadLinear(l, f, d, p+names.up),
			activation: activation,
			down:       nn.LoadLinear(l, d, f, p+names.down),
			downNorm:   nn.LoadLayerNorm(l, d, cfg.eps, p+names.downNorm),
		})
	}
	n.head = head[T]{
		dense:      nn.LoadLinear(l, d, d, names.dense),
		activation: headActivation,
		classifier: nn.LoadLinear(l, len(cfg.Labels), d, "classifier"),
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	n.Parameters = l.Parameters()
	return n, nil
}

// Info implements [arch.Network].
func (n *network[T]) Info() arch.Info { return n.config.Info }
