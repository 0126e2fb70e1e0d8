package xlnet_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	_ "github.com/xai-go/xai/engine/arch/xlnet"
	"github.com/xai-go/xai/internal/golden"
)

var config = archtest.Config{
	"model_type": "xlnet", "architectures": []string{"XLNetLMHeadModel"},
	"vocab_size": 40, "d_model": 12, "n_layer": 2, "n_head": 3, "d_head": 4, "d_inner": 20,
}

// points returns what the two streams have in a form, in order.
func points(form arch.Form) []string {
	const behind = `attn.hook_result hook_attn_out
		hook_resid_mid ln1.hook_scale ln1.hook_normalized ln1.hook_out
		hook_mlp_in mlp.hook_pre mlp.hook_post hook_mlp_out
		hook_resid_post ln2.hook_scale ln2.hook_normalized ln2.hook_out hook_normalized_resid_post`
	scores := "attn.hook_scores_content attn.hook_scores_position "
	if form.Types {
		scores += "attn.hook_scores_segment "
	}
	scores += "attn.hook_attn_scores attn.hook_pattern "
	memories := ""
	if form.Memory {
		memories = "hook_mems "
	}
	all := slices.Concat(
		archtest.List("", "hook_tokens hook_embed hook_full_embed"),
		archtest.List("blocks.*.", "hook_resid_pre hook_attn_in "+memories+`hook_q_input hook_k_input hook_v_input
			attn.hook_q attn.hook_k attn.hook_v attn.hook_r `+scores+"attn.hook_z "+behind),
	)
	if form.Targets {
		all = append(all, archtest.List("blocks.*.g.", "hook_resid_pre hook_attn_in hook_q_input attn.hook_q "+scores+
			"attn.hook_pattern_all attn.hook_z "+behind)...)
	}
	return all
}

// TestHeads holds each head to its task, its points in every form and what it
// reads.
func TestHeads(t *testing.T) {
	classes := []string{"LABEL_0", "LABEL_1"}
	for head, want := range map[string]struct {
		task    string
		outputs int
		labels  []string
		read    arch.Reader
		points  string
	}{
		"LMHeadModel":                {arch.PermutationLM, 40, nil, arch.Every, "unembed.hook_in hook_logits"},
		"ForSequenceClassification":  {arch.SequenceClassification, 2, classes, arch.Last, "classifier.hook_pre classifier.hook_post hook_cls_logits"},
		"ForTokenClassification":     {arch.TokenClassification, 2, classes, arch.Every, "hook_token_logits"},
		"ForQuestionAnsweringSimple": {arch.QuestionAnswering, 2, []string{"start", "end"}, arch.Every, "hook_span_logits"},
	} {
		a := archtest.Must(t, config.With("architectures", []string{"XLNet" + head}))
		info := arch.Info{
			ModelType: "xlnet", Architecture: "XLNet" + head, Task: want.task, Labels: want.labels, Outputs: want.outputs,
			Layers: 2, Heads: 3, Hidden: 12, Embedding: 12, Vocabulary: 40, Types: 4, Memories: true, Targets: head == "LMHeadModel",
		}
		if diff := cmp.Diff(info, a.Info); diff != "" {
			t.Errorf("%s (-want +got):\n%s", head, diff)
		}
		for _, form := range a.Info.Forms() {
			archtest.Points(t, a, form, slices.Concat(points(form), archtest.List("", want.points))...)
			if g := a.Graph(form); g.Read.From != want.read || g.Norm != arch.NormPost {
				t.Errorf("%s reads by rule %d, norms are placed %d", head, g.Read.From, g.Norm)
			}
		}
	}
}

// TestStreams holds what each stream sees, and that both read the same keys,
// values and positions.
func TestStreams(t *testing.T) {
	for _, c := range []struct {
		attention string
		causal    bool
	}{{"bi", false}, {"uni", true}} {
		a := archtest.Must(t, config.With("attn_type", c.attention))
		g := a.Graph(arch.Form{Targets: true, Memory: true, Types: true})
		var streams []arch.Attention
		for _, n := range g.Nodes {
			if attention, ok := n.Op.(arch.Attention); ok {
				streams = append(streams, attention)
			}
		}
		if len(streams) != 4 {
			t.Fatalf("two layers of two streams have %d attentions", len(streams))
		}
		for i := 0; i < len(streams); i += 2 {
			content, query := streams[i], streams[i+1]
			if !content.SeesSelf || query.SeesSelf || content.Causal != c.causal || query.Causal != c.causal {
				t.Errorf("%s: the content stream %+v, the query stream %+v", c.attention, content, query)
			}
			if g.Nodes[content.Key].Rows != arch.Context {
				t.Errorf("keys are over rows %d", g.Nodes[content.Key].Rows)
			}
			query.Query, query.SeesSelf, query.Uniform = content.Query, true, false
			if diff := cmp.Diff(content, query); diff != "" {
				t.Errorf("the streams differ in more than the query (-content +query):\n%s", diff)
			}
		}
	}
}

// TestClamp holds the bound on relative positions.
func TestClamp(t *testing.T) {
	for _, clamp := range []int{-1, 0, 7} {
		g := archtest.Must(t, config.With("clamp_len", clamp)).Graph(arch.Form{})
		i := slices.IndexFunc(g.Nodes, func(n arch.Node) bool { _, ok := n.Op.(arch.Sinusoids); return ok })
		if got := g.Nodes[i]; got.Op.(arch.Sinusoids).Clamp != clamp || got.Width != 12 || got.Block != -1 {
			t.Errorf("clamp_len %d: %+v", clamp, got)
		}
	}
}

// TestSummary holds how a classifier sums a sequence up.
func TestSummary(t *testing.T) {
	classifier := config.With("architectures", []string{"XLNetForSequenceClassification"})
	for _, c := range []struct {
		config     archtest.Config
		from       arch.Reader
		activation string
		dense      bool
	}{
		{classifier, arch.Last, "tanh", true},
		{classifier.With("summary_type", "first"), arch.First, "tanh", true},
		{classifier.With("summary_activation", "relu"), arch.Last, "relu", true},
		{classifier.With("summary_activation", nil), arch.Last, "linear", true},
		{classifier.With("summary_activation", ""), arch.Last, "linear", true},
		{classifier.With("summary_use_proj", false), arch.Last, "tanh", false},
	} {
		g := archtest.Must(t, c.config).Graph(arch.Form{})
		activation := g.Nodes[g.Nodes[g.Logits].Op.(arch.Linear).X].Op.(arch.Activate)
		_, dense := g.Nodes[activation.X].Op.(arch.Linear)
		if g.Read.From != c.from || activation.Name != c.activation || dense != c.dense {
			t.Errorf("%v: reads by %d, %s, dense %v", c, g.Read.From, activation.Name, dense)
		}
	}
}

// TestWeights holds the names and shapes of weights to those of checkpoints,
// but for mask_emb, which a classifier has and does not read.
func TestWeights(t *testing.T) {
	archtest.Weights(t, golden.ModelFS(t, "xlnet-lm"))
	archtest.Weights(t, golden.ModelFS(t, "xlnet-seqcls"), "transformer.mask_emb")
}

// TestOutputWeight holds that heads are read from the columns of [D, H, E]
// tensors on the way in, and written from their rows on the way out.
func TestOutputWeight(t *testing.T) {
	for _, n := range archtest.Must(t, config).Graph(arch.Form{}).Nodes {
		linear, ok := n.Op.(arch.Linear)
		if !ok || !strings.Contains(linear.W.Name, "rel_attn.") {
			continue
		}
		if in := !strings.HasSuffix(linear.W.Name, ".o"); linear.W.Transposed != in || linear.Bias.Given() {
			t.Errorf("%s: transposed is %v, bias %q", linear.W.Name, linear.W.Transposed, linear.Bias.Name)
		}
	}
}

// TestTied tells tied word embeddings from a matrix of their own.
func TestTied(t *testing.T) {
	archtest.Unembedding(t, archtest.Must(t, config), "transformer.word_embedding.weight", "lm_loss.weight")
	archtest.Unembedding(t, archtest.Must(t, config.With("tie_word_embeddings", false)), "lm_loss.weight")
}

func TestRefusals(t *testing.T) {
	archtest.Refuses(t, config, slices.Concat(
		archtest.Dimensions("vocab_size", "d_model", "n_layer", "n_head", "d_head", "d_inner"),
		[]archtest.Refusal{
			{Key: "n_head", Value: 5, Word: "does not divide"},
			{Key: "d_head", Value: 5, Word: "share a width"},
			{Key: "layer_norm_eps", Value: -1},
			{Key: "ff_activation", Value: 1},
			{Key: "clamp_len", Value: -2},
			{Key: "attn_type", Value: "both"},
			{Key: "summary_use_proj", Value: 1},
			{Key: "bi_data", Value: true, Unsupported: true},
			{Key: "architectures", Value: []string{"XLNetForQuestionAnswering"}, Word: "XLNetForQuestionAnsweringSimple", Unsupported: true},
			{Key: "architectures", Value: []string{"XLNetModel"}, Word: "XLNetLMHeadModel", Unsupported: true},
		}))
	odd := archtest.Config{"model_type": "xlnet", "architectures": []string{"XLNetLMHeadModel"}, "d_model": 10, "n_head": 1}
	archtest.Refuses(t, odd, []archtest.Refusal{{Key: "d_model", Value: 9, Word: "even"}})
	archtest.Refuses(t, config.With("attn_type", "uni"), []archtest.Refusal{{Key: "same_length", Value: true, Unsupported: true}})
	archtest.Must(t, config.With("same_length", true)) // says nothing of "bi"
	classifier := config.With("architectures", []string{"XLNetForSequenceClassification"})
	archtest.Refuses(t, classifier, []archtest.Refusal{{Key: "summary_type", Value: "mean", Unsupported: true}})
	archtest.Must(t, config.With("summary_type", "mean")) // a language model sums nothing up
}
