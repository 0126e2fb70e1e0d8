// Package bert describes BERT (Devlin et al. 2019, arXiv:1810.04805):
//
//	x = LN(word + type + position)
//	per layer:  a = softmax(QKᵀ/√E)·V     per head of width E
//	            y = LN(x + W_o·a)
//	            x = LN(y + W₂·act(W₁·y))
//	sequence:       logits = W·tanh(W_p·x[CLS])
//	token, span:    logits = W·x
//	masked words:   logits = E·LN(act(W·x))     E are the word embeddings
//
// [Encoder] is what other families have under names of their own.
//
// Source: huggingface/transformers v4.39, models/bert/modeling_bert.py.
package bert

import (
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

// heads are the heads that run. ForPreTraining has two of them and answers
// with masked words; NextSentence says whether two texts follow each other.
var heads = arch.Heads{
	"ForSequenceClassification": arch.SequenceClassification,
	"ForTokenClassification":    arch.TokenClassification,
	"ForQuestionAnswering":      arch.QuestionAnswering,
	"ForMaskedLM":               arch.MaskedLM,
	"ForPreTraining":            arch.MaskedLM,
	nextSentence:                arch.SequenceClassification,
}

const nextSentence = "ForNextSentencePrediction"

func init() { arch.Register("bert", open) }

func open(c *checkpoint.Config) (*arch.Architecture, error) {
	e, err := Read(c, Family{
		Class: "Bert", Heads: heads, Vocabulary: 30522,
		Prefix: "bert.", Unembedding: "cls.predictions.decoder.weight",
	})
	if err != nil {
		return nil, err
	}
	if e.Architecture == "Bert"+nextSentence {
		e.Labels, e.Outputs = []string{"next", "not next"}, 2
	}
	graph := func(arch.Form) *arch.Graph { return e.Graph(model{e}.language, model{e}.classify) }
	return &arch.Architecture{Info: e.Info, Prefix: e.Prefix, Graph: graph}, nil
}

// model is BERT with its own heads.
type model struct{ *Encoder }

func (m model) language(b *arch.Builder, x arch.Value) arch.Value {
	d := m.Hidden
	return b.MaskedLM(x, arch.MaskedLMHead{
		Dense:       arch.Dense("cls.predictions.transform.dense", d, d),
		Activation:  m.activation,
		Key:         "hidden_act",
		Norm:        arch.LayerNorm("cls.predictions.transform.LayerNorm", d, m.Eps),
		Unembedding: m.Unembed("cls.predictions.bias", "cls.predictions.decoder.bias"),
	})
}

func (m model) classify(b *arch.Builder, x arch.Value) arch.Value {
	d := m.Hidden
	pooled := b.Activate(b.Linear(x, m.Prefix+"pooler.dense", d), "tanh", "pooler")
	b.Name("pooler.hook_pooler_out", pooled, "B D")
	if m.Architecture == "Bert"+nextSentence {
		return b.Logits("nsp_head.hook_nsp_out", pooled, arch.Dense("cls.seq_relationship", 2, d), "2")
	}
	return b.ClassLogits(pooled, arch.Dense("classifier", m.Outputs, d))
}
