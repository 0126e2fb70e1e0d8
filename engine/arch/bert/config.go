package bert

import (
	"fmt"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

// The largest dimensions that a configuration may ask for. They bound
// arithmetic; memory is bounded by the tensors, which must have these shapes.
const (
	maxWidth      = 1 << 20
	maxLayers     = 1 << 12
	maxVocabulary = 1 << 26
)

// config is what BERT and DistilBERT configurations say, under BERT's names.
type config struct {
	arch.Info
	intermediate  int
	activation    string // name of the activation of the feed-forward layer
	activationKey string // key it stands under
	eps           float64
	names         names
}

// names are what a family calls its tensors. Those of a layer follow
// prefix + layer + its index.
type names struct {
	architecture                          string // the one class that runs
	prefix, layer                         string
	query, key, value, output, outputNorm string
	up, down, downNorm                    string
	dense, denseActivation                string // of the head
}

var bertNames = names{
	architecture: "BertForSequenceClassification",
	prefix:       "bert.", layer: "encoder.layer.",
	query: "attention.self.query", key: "attention.self.key", value: "attention.self.value",
	output: "attention.output.dense", outputNorm: "attention.output.LayerNorm",
	up: "intermediate.dense", down: "output.dense", downNorm: "output.LayerNorm",
	dense: "bert.pooler.dense", denseActivation: "tanh",
}

var distilNames = names{
	architecture: "DistilBertForSequenceClassification",
	prefix:       "distilbert.", layer: "transformer.layer.",
	query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
	output: "attention.out_lin", outputNorm: "sa_layer_norm",
	up: "ffn.lin1", down: "ffn.lin2", downNorm: "output_layer_norm",
	dense: "pre_classifier", denseActivation: "relu",
}

// bertConfig reads the configuration of model_type "bert".
func bertConfig(c *checkpoint.Config) (*config, error) {
	f := c.Fields()
	cfg := &config{
		Info: arch.Info{
			ModelType:  "bert",
			Vocabulary: f.Int("vocab_size", 30522, 1, maxVocabulary),
			Hidden:     f.Int("hidden_size", 768, 1, maxWidth),
			Layers:     f.Int("num_hidden_layers", 12, 1, maxLayers),
			Heads:      f.Int("num_attention_heads", 12, 1, maxWidth),
			Positions:  f.Int("max_position_embeddings", 512, 1, maxVocabulary),
			Types:      f.Int("type_vocab_size", 2, 1, maxWidth),
		},
		intermediate:  f.Int("intermediate_size", 3072, 1, maxWidth),
		activation:    f.String("hidden_act", "gelu"),
		activationKey: "hidden_act",
		eps:           f.Float("layer_norm_eps", 1e-12, 0, 1),
		names:         bertNames,
	}
	positions := f.String("position_embedding_type", "absolute")
	decoder := f.Bool("is_decoder", false)
	if err := f.Err(); err != nil {
		return nil, err
	}
	if positions != "absolute" {
		return nil, &checkpoint.UnsupportedError{What: fmt.Sprintf("position_embedding_type %q", positions), Hint: `of BERT models only those with "absolute" positions run`}
	}
	if decoder {
		return nil, &checkpoint.UnsupportedError{What: "is_decoder of a BERT model", Hint: "only encoders run"}
	}
	return cfg, cfg.finish(c, "num_attention_heads")
}

// distilConfig reads the configuration of model_type "distilbert", which has
// names of its own for nearly everything and a fixed LayerNorm eps.
func distilConfig(c *checkpoint.Config) (*config, error) {
	f := c.Fields()
	cfg := &config{
		Info: arch.Info{
			ModelType:  "distilbert",
			Vocabulary: f.Int("vocab_size", 30522, 1, maxVocabulary),
			Hidden:     f.Int("dim", 768, 1, maxWidth),
			Layers:     f.Int("n_layers", 6, 1, maxLayers),
			Heads:      f.Int("n_heads", 12, 1, maxWidth),
			Positions:  f.Int("max_position_embeddings", 512, 1, maxVocabulary),
		},
		intermediate:  f.Int("hidden_dim", 3072, 1, maxWidth),
		activation:    f.String("activation", "gelu"),
		activationKey: "activation",
		eps:           1e-12,
		names:         distilNames,
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	return cfg, cfg.finish(c, "n_heads")
}

// finish reads what both families have in common: the head and its labels.
func (cfg *config) finish(c *checkpoint.Config, headsKey string) (err error) {
	if cfg.Hidden%cfg.Heads != 0 {
		return &checkpoint.ConfigError{Key: headsKey, Reason: fmt.Sprintf("is %d, which does not divide the hidden size %d", cfg.Heads, cfg.Hidden)}
	}
	if cfg.Architecture, err = c.Architecture(); err != nil {
		return err
	}
	if cfg.Architecture != cfg.names.architecture {
		return &checkpoint.UnsupportedError{What: "the architecture " + cfg.Architecture, Hint: "of " + cfg.ModelType + " models only " + cfg.names.architecture + " runs"}
	}
	cfg.Task = arch.SequenceClassification
	cfg.Embedding = cfg.Hidden
	cfg.Labels, err = c.Labels()
	return err
}
