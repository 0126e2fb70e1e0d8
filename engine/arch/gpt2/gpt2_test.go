package gpt2_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	_ "github.com/xai-go/xai/engine/arch/gpt2"
	"github.com/xai-go/xai/internal/golden"
)

var config = archtest.Config{
	"model_type": "gpt2", "architectures": []string{"GPT2LMHeadModel"},
	"vocab_size": 40, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 9, "n_inner": nil,
}

var decoder = slices.Concat(
	archtest.List("", "hook_tokens hook_embed hook_pos_embed hook_full_embed"),
	archtest.DecoderBlock,
	archtest.List("", "ln_final.hook_scale ln_final.hook_normalized ln_final.hook_out"),
)

// TestHeads holds each head to its task and its points.
func TestHeads(t *testing.T) {
	classes := []string{"LABEL_0", "LABEL_1"}
	for head, want := range map[string]struct {
		task    string
		outputs int
		labels  []string
		read    arch.Reader
		points  string
	}{
		"LMHeadModel":               {arch.CausalLM, 40, nil, arch.Every, "unembed.hook_in hook_logits"},
		"Model":                     {arch.CausalLM, 40, nil, arch.Every, "unembed.hook_in hook_logits"},
		"ForSequenceClassification": {arch.SequenceClassification, 2, classes, arch.Last, "hook_cls_logits"},
		"ForTokenClassification":    {arch.TokenClassification, 2, classes, arch.Every, "hook_token_logits"},
		"ForQuestionAnswering":      {arch.QuestionAnswering, 2, []string{"start", "end"}, arch.Every, "hook_span_logits"},
	} {
		a := archtest.Must(t, config.With("architectures", []string{"GPT2" + head}))
		archtest.Describes(t, a, arch.Info{
			ModelType: "gpt2", Architecture: "GPT2" + head, Task: want.task, Labels: want.labels, Outputs: want.outputs,
			Layers: 2, Heads: 3, Hidden: 12, Embedding: 12, Vocabulary: 40, Positions: 9, Length: 9,
		}, want.read, arch.NormPre, slices.Concat(decoder, archtest.List("", want.points))...)
	}
}

// TestRead holds which token a classifier reads: the one before the padding
// where the configuration has a token for it.
func TestRead(t *testing.T) {
	classifier := config.With("architectures", []string{"GPT2ForSequenceClassification"})
	for _, c := range []struct {
		config archtest.Config
		want   arch.Read
	}{
		{classifier, arch.Read{From: arch.Last}},
		{classifier.With("pad_token_id", nil), arch.Read{From: arch.Last}},
		{classifier.With("pad_token_id", -1), arch.Read{From: arch.Last}},
		{classifier.With("pad_token_id", 0), arch.Read{From: arch.BeforePad}},
		{classifier.With("pad_token_id", 7), arch.Read{From: arch.BeforePad, Pad: 7}},
		{config.With("pad_token_id", 7), arch.Read{From: arch.Every}},
	} {
		if got := archtest.Must(t, c.config).Graph(arch.Form{}).Read; got != c.want {
			t.Errorf("pad_token_id %v: reads by %v, want %v", c.config["pad_token_id"], got, c.want)
		}
	}
}

// TestScale holds the two switches of attention scores.
func TestScale(t *testing.T) {
	for _, c := range []struct {
		scaled, byLayer bool
		want            []float64
	}{
		{true, false, []float64{0.5, 0.5}}, // heads have a width of 4
		{true, true, []float64{0.5, 0.25}},
		{false, false, []float64{1, 1}},
		{false, true, []float64{1, 0.5}},
	} {
		a := archtest.Must(t, config.With("scale_attn_weights", c.scaled).With("scale_attn_by_inverse_layer_idx", c.byLayer))
		var got []float64
		for _, n := range a.Graph(arch.Form{}).Nodes {
			if attention, ok := n.Op.(arch.Attention); ok {
				got = append(got, attention.Factor)
				if !attention.Causal || n.Block != len(got)-1 {
					t.Errorf("attention of block %d: causal is %v", n.Block, attention.Causal)
				}
			}
		}
		if !slices.EqualFunc(got, c.want, func(x, y float64) bool { return math.Abs(x-y) < 1e-15 }) {
			t.Errorf("scaled %v, by layer %v: factors %v, want %v", c.scaled, c.byLayer, got, c.want)
		}
	}
}

// TestQueryKeyValue holds that the three come from one tensor, in that order.
func TestQueryKeyValue(t *testing.T) {
	g := archtest.Must(t, config).Graph(arch.Form{})
	for i, name := range []string{"attn.hook_q", "attn.hook_k", "attn.hook_v"} {
		at := slices.IndexFunc(g.Points, func(p arch.Point) bool { return p.Name == "blocks.1."+name })
		linear := g.Nodes[g.Points[at].Node].Op.(arch.Linear)
		want := arch.Projection{
			W:    arch.Weight{Name: "transformer.h.1.attn.c_attn.weight", Shape: []int{12, 36}, Transposed: true, Lo: 12 * i, Hi: 12 * (i + 1)},
			Bias: arch.Weight{Name: "transformer.h.1.attn.c_attn.bias", Shape: []int{36}, Lo: 12 * i, Hi: 12 * (i + 1)},
		}
		if diff := cmp.Diff(want, linear.Projection); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestInner holds that the feed-forward layer is four times as wide unless the
// configuration says.
func TestInner(t *testing.T) {
	for inner, want := range map[any]int{nil: 48, 20: 20} {
		a := archtest.Must(t, config.With("n_inner", inner))
		for _, p := range a.Graph(arch.Form{}).Points {
			if p.Name == "blocks.0.mlp.hook_pre" && p.Axes[2].Size != want {
				t.Errorf("n_inner %v: the layer is %d wide, want %d", inner, p.Axes[2].Size, want)
			}
		}
	}
}

// TestWeights holds the names and shapes of weights to those of checkpoints.
func TestWeights(t *testing.T) {
	for _, model := range []string{"gpt2-lm", "gpt2-seqcls", "gpt2-text"} {
		t.Run(model, func(t *testing.T) { archtest.Weights(t, golden.ModelFS(t, model)) })
	}
}

// TestTied tells tied word embeddings from a matrix of their own.
func TestTied(t *testing.T) {
	archtest.Unembedding(t, archtest.Must(t, config), "transformer.wte.weight", "lm_head.weight")
	archtest.Unembedding(t, archtest.Must(t, config.With("tie_word_embeddings", false)), "lm_head.weight")
}

func TestRefusals(t *testing.T) {
	archtest.Refuses(t, config, slices.Concat(
		archtest.Dimensions("vocab_size", "n_embd", "n_layer", "n_head", "n_positions", "n_inner"),
		[]archtest.Refusal{
			{Key: "n_head", Value: 5, Word: "does not divide"},
			{Key: "layer_norm_epsilon", Value: 2},
			{Key: "activation_function", Value: 1},
			{Key: "scale_attn_weights", Value: 1},
			{Key: "scale_attn_by_inverse_layer_idx", Value: "no"},
			{Key: "pad_token_id", Value: -2},
			{Key: "add_cross_attention", Value: true, Unsupported: true},
			{Key: "architectures", Value: []string{"GPT2DoubleHeadsModel"}, Word: "GPT2LMHeadModel", Unsupported: true},
		}))
	archtest.Refuses(t, config.With("architectures", []string{"GPT2Model"}), []archtest.Refusal{
		{Key: "tie_word_embeddings", Value: false, Word: "GPT2LMHeadModel", Unsupported: true},
	})
}
