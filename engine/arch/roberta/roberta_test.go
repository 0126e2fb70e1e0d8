package roberta_test

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	_ "github.com/xai-go/xai/engine/arch/roberta"
	"github.com/xai-go/xai/internal/golden"
)

var config = archtest.Config{
	"model_type": "roberta", "architectures": []string{"RobertaForSequenceClassification"},
	"vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
	"max_position_embeddings": 9, "type_vocab_size": 1, "pad_token_id": 1,
}

var encoder = slices.Concat(
	archtest.List("", "hook_tokens hook_embed hook_token_type_embed hook_pos_embed embed.ln.hook_scale embed.ln.hook_normalized hook_full_embed"),
	archtest.EncoderBlock,
)

// TestHeads holds each head of each model type to its task, its points and what
// it reads.
func TestHeads(t *testing.T) {
	for modelType, class := range map[string]string{"roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert"} {
		for head, want := range map[string]struct {
			task    string
			outputs int
			labels  []string
			read    arch.Reader
			points  string
		}{
			"ForSequenceClassification": {arch.SequenceClassification, 2, []string{"LABEL_0", "LABEL_1"}, arch.First, "classifier.hook_pre classifier.hook_post hook_cls_logits"},
			"ForTokenClassification":    {arch.TokenClassification, 2, []string{"LABEL_0", "LABEL_1"}, arch.Every, "hook_token_logits"},
			"ForQuestionAnswering":      {arch.QuestionAnswering, 2, []string{"start", "end"}, arch.Every, "hook_span_logits"},
			"ForMaskedLM":               {arch.MaskedLM, 40, nil, arch.Every, "mlm_head.hook_pre mlm_head.hook_post unembed.hook_in hook_logits"},
		} {
			a := archtest.Must(t, config.With("model_type", modelType).With("architectures", []string{class + head}))
			archtest.Describes(t, a, arch.Info{
				ModelType: modelType, Architecture: class + head, Task: want.task, Labels: want.labels, Outputs: want.outputs,
				Layers: 2, Heads: 3, Hidden: 12, Embedding: 12, Vocabulary: 40, Types: 1, Positions: 9, Length: 7,
			}, want.read, arch.NormPost, slices.Concat(encoder, archtest.List("", want.points))...)
		}
	}
}

// TestPositions holds that positions begin behind that of the padding.
func TestPositions(t *testing.T) {
	for padding := range 3 {
		a := archtest.Must(t, config.With("pad_token_id", padding))
		if a.FirstPosition != padding+1 || *a.PadPosition != int32(padding) || a.Info.Length != 9-padding-1 {
			t.Errorf("padding %d: positions from %d, padding at %d, length %d", padding, a.FirstPosition, *a.PadPosition, a.Info.Length)
		}
	}
}

// TestWeights holds the names and shapes of weights to those of checkpoints.
func TestWeights(t *testing.T) {
	for _, model := range []string{"roberta-seqcls", "roberta-mlm"} {
		t.Run(model, func(t *testing.T) { archtest.Weights(t, golden.ModelFS(t, model)) })
	}
}

// TestTied tells tied word embeddings from a matrix of their own.
func TestTied(t *testing.T) {
	lm := config.With("architectures", []string{"RobertaForMaskedLM"})
	archtest.Unembedding(t, archtest.Must(t, lm), "roberta.embeddings.word_embeddings.weight", "lm_head.decoder.weight")
	archtest.Unembedding(t, archtest.Must(t, lm.With("tie_word_embeddings", false)), "lm_head.decoder.weight")
}

func TestRefusals(t *testing.T) {
	archtest.Refuses(t, config, slices.Concat(
		archtest.Dimensions("hidden_size", "max_position_embeddings"),
		[]archtest.Refusal{
			{Key: "pad_token_id", Value: -1},
			{Key: "pad_token_id", Value: "<pad>"},
			{Key: "pad_token_id", Value: 40, Word: "no room"},
			{Key: "pad_token_id", Value: 8, Word: "no room"},
			{Key: "max_position_embeddings", Value: 2, Word: "no room"},
			{Key: "is_decoder", Value: true, Word: "roberta", Unsupported: true},
			{Key: "architectures", Value: []string{"BertForMaskedLM"}, Word: "RobertaForMaskedLM", Unsupported: true},
		}))
}
