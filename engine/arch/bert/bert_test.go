package bert_test

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	_ "github.com/xai-go/xai/engine/arch/bert"
	"github.com/xai-go/xai/internal/golden"
)

var config = archtest.Config{
	"model_type": "bert", "architectures": []string{"BertForSequenceClassification"},
	"vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
	"max_position_embeddings": 9, "type_vocab_size": 2, "id2label": map[string]string{"0": "a", "1": "b", "2": "c"},
}

var encoder = slices.Concat(
	archtest.List("", "hook_tokens hook_embed hook_token_type_embed hook_pos_embed embed.ln.hook_scale embed.ln.hook_normalized hook_full_embed"),
	archtest.EncoderBlock,
)

// TestHeads holds each head to its task, its points and what it reads.
func TestHeads(t *testing.T) {
	words := archtest.List("", "mlm_head.hook_pre mlm_head.hook_post unembed.hook_in hook_logits")
	for head, want := range map[string]struct {
		task    string
		outputs int
		labels  []string
		read    arch.Reader
		points  []string
	}{
		"ForSequenceClassification": {arch.SequenceClassification, 3, []string{"a", "b", "c"}, arch.First, []string{"pooler.hook_pooler_out", "hook_cls_logits"}},
		"ForTokenClassification":    {arch.TokenClassification, 3, []string{"a", "b", "c"}, arch.Every, []string{"hook_token_logits"}},
		"ForQuestionAnswering":      {arch.QuestionAnswering, 2, []string{"start", "end"}, arch.Every, []string{"hook_span_logits"}},
		"ForMaskedLM":               {arch.MaskedLM, 40, nil, arch.Every, words},
		"ForPreTraining":            {arch.MaskedLM, 40, nil, arch.Every, words},
		"ForNextSentencePrediction": {arch.SequenceClassification, 2, []string{"next", "not next"}, arch.First, []string{"pooler.hook_pooler_out", "nsp_head.hook_nsp_out"}},
	} {
		a := archtest.Must(t, config.With("architectures", []string{"Bert" + head}))
		archtest.Describes(t, a, arch.Info{
			ModelType: "bert", Architecture: "Bert" + head, Task: want.task, Labels: want.labels, Outputs: want.outputs,
			Layers: 2, Heads: 3, Hidden: 12, Embedding: 12, Vocabulary: 40, Types: 2, Positions: 9, Length: 9,
		}, want.read, arch.NormPost, slices.Concat(encoder, want.points)...)
	}
}

// TestWeights holds the names and shapes of weights to those of checkpoints.
func TestWeights(t *testing.T) {
	for _, model := range []string{"bert-seqcls", "bert-tokcls", "bert-qa", "bert-mlm", "bert-text"} {
		t.Run(model, func(t *testing.T) { archtest.Weights(t, golden.ModelFS(t, model)) })
	}
}

// TestTied tells tied word embeddings from a matrix of their own.
func TestTied(t *testing.T) {
	lm := config.With("architectures", []string{"BertForMaskedLM"})
	archtest.Unembedding(t, archtest.Must(t, lm), "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight")
	archtest.Unembedding(t, archtest.Must(t, lm.With("tie_word_embeddings", false)), "cls.predictions.decoder.weight")
}

func TestRefusals(t *testing.T) {
	archtest.Refuses(t, config, slices.Concat(
		archtest.Dimensions("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings", "type_vocab_size"),
		[]archtest.Refusal{
			{Key: "num_attention_heads", Value: 5, Word: "does not divide"},
			{Key: "layer_norm_eps", Value: -1},
			{Key: "layer_norm_eps", Value: "small"},
			{Key: "hidden_act", Value: 3},
			{Key: "tie_word_embeddings", Value: "yes"},
			{Key: "architectures", Value: []string{}},
			{Key: "id2label", Value: map[string]string{"1": "b"}},
			{Key: "position_embedding_type", Value: "relative_key", Unsupported: true},
			{Key: "is_decoder", Value: true, Unsupported: true},
			{Key: "architectures", Value: []string{"BertForMultipleChoice"}, Word: "BertForTokenClassification", Unsupported: true},
			{Key: "architectures", Value: []string{"ForMaskedLM"}, Word: "BertForMaskedLM", Unsupported: true},
			{Key: "architectures", Value: []string{"BertModel"}, Word: "BertForMaskedLM", Unsupported: true},
		}))
}
