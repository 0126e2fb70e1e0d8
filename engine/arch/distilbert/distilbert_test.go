package distilbert_test

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	_ "github.com/xai-go/xai/engine/arch/distilbert"
	"github.com/xai-go/xai/internal/golden"
)

var config = archtest.Config{
	"model_type": "distilbert", "architectures": []string{"DistilBertForSequenceClassification"},
	"vocab_size": 40, "dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 9,
}

var encoder = slices.Concat(
	archtest.List("", "hook_tokens hook_embed hook_pos_embed embed.ln.hook_scale embed.ln.hook_normalized hook_full_embed"),
	archtest.EncoderBlock,
)

// TestHeads holds each head to its task, its points and what it reads.
func TestHeads(t *testing.T) {
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
		a := archtest.Must(t, config.With("architectures", []string{"DistilBert" + head}))
		archtest.Describes(t, a, arch.Info{
			ModelType: "distilbert", Architecture: "DistilBert" + head, Task: want.task, Labels: want.labels, Outputs: want.outputs,
			Layers: 2, Heads: 3, Hidden: 12, Embedding: 12, Vocabulary: 40, Positions: 9, Length: 9,
		}, want.read, arch.NormPost, slices.Concat(encoder, archtest.List("", want.points))...)
	}
}

// TestWeights holds the names and shapes of weights to those of checkpoints.
func TestWeights(t *testing.T) {
	for _, model := range []string{"distilbert-seqcls", "distilbert-mlm", "distilbert-text"} {
		t.Run(model, func(t *testing.T) { archtest.Weights(t, golden.ModelFS(t, model)) })
	}
}

// TestTied tells tied word embeddings from a matrix of their own.
func TestTied(t *testing.T) {
	lm := config.With("architectures", []string{"DistilBertForMaskedLM"})
	archtest.Unembedding(t, archtest.Must(t, lm), "distilbert.embeddings.word_embeddings.weight", "vocab_projector.weight")
	archtest.Unembedding(t, archtest.Must(t, lm.With("tie_word_embeddings", false)), "vocab_projector.weight")
}

func TestRefusals(t *testing.T) {
	archtest.Refuses(t, config, slices.Concat(
		archtest.Dimensions("vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "max_position_embeddings"),
		[]archtest.Refusal{
			{Key: "n_heads", Value: 5, Word: "does not divide"},
			{Key: "activation", Value: []string{"gelu"}},
			{Key: "tie_word_embeddings", Value: 0},
			{Key: "architectures", Value: []string{"DistilBertModel"}, Word: "DistilBertForMaskedLM", Unsupported: true},
		}))
}
