// Package roberta describes RoBERTa (Liu et al. 2019, arXiv:1907.11692), and
// XLM-RoBERTa (Conneau et al. 2020, arXiv:1911.02116) and CamemBERT (Martin et
// al. 2020, arXiv:1911.03894), which differ from it in their vocabularies. It
// is BERT's encoder with two differences. Positions count the tokens that are
// no padding, from the one behind the padding's; and the heads are
//
//	sequence:      logits = W·tanh(W_d·x[<s>])
//	masked words:  logits = E·LN(gelu(W·x)) + b
//
// Source: huggingface/transformers v4.39, models/roberta/modeling_roberta.py.
package roberta

import (
	"fmt"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/bert"
	"github.com/xai-go/xai/engine/checkpoint"
)

var heads = arch.Heads{
	"ForSequenceClassification": arch.SequenceClassification,
	"ForTokenClassification":    arch.TokenClassification,
	"ForQuestionAnswering":      arch.QuestionAnswering,
	"ForMaskedLM":               arch.MaskedLM,
}

func init() {
	register := func(modelType, class string, vocabulary int) {
		family := bert.Family{Class: class, Heads: heads, Vocabulary: vocabulary, Prefix: "roberta.", Unembedding: "lm_head.decoder.weight"}
		arch.Register(modelType, func(c *checkpoint.Config) (*arch.Architecture, error) { return open(c, family) })
	}
	register("roberta", "Roberta", 50265)
	register("xlm-roberta", "XLMRoberta", 30522)
	register("camembert", "Camembert", 30522)
}

func open(c *checkpoint.Config, family bert.Family) (*arch.Architecture, error) {
	e, err := bert.Read(c, family)
	if err != nil {
		return nil, err
	}
	f := c.Fields()
	padding := f.Int("pad_token_id", 1, 0, arch.MaxVocabulary)
	if err := f.Err(); err != nil {
		return nil, err
	}
	if padding >= e.Vocabulary || padding+1 >= e.Positions {
		return nil, &checkpoint.ConfigError{
			Key:    "pad_token_id",
			Reason: fmt.Sprintf("is %d, which leaves no room among %d tokens and %d positions", padding, e.Vocabulary, e.Positions),
		}
	}
	first, pad := padding+1, int32(padding)
	e.Length = e.Positions - first
	graph := func(arch.Form) *arch.Graph { return e.Graph(model{e}.language, model{e}.classify) }
	return &arch.Architecture{Info: e.Info, Prefix: e.Prefix, FirstPosition: first, PadPosition: &pad, Graph: graph}, nil
}

// model is BERT's encoder with RoBERTa's heads.
type model struct{ *bert.Encoder }

func (m model) language(b *arch.Builder, x arch.Value) arch.Value {
	d := m.Hidden
	return b.MaskedLM(x, arch.MaskedLMHead{
		Dense:       arch.Dense("lm_head.dense", d, d),
		Activation:  "gelu",
		Key:         "head",
		Norm:        arch.LayerNorm("lm_head.layer_norm", d, m.Eps),
		Unembedding: m.Unembed("lm_head.bias", "lm_head.decoder.bias"),
	})
}

func (m model) classify(b *arch.Builder, x arch.Value) arch.Value {
	d := m.Hidden
	x = b.Classifier(b.Linear(x, "classifier.dense", d), "tanh", "head")
	return b.ClassLogits(x, arch.Dense("classifier.out_proj", m.Outputs, d))
}
