package archtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	_ "github.com/xai-go/xai/engine/arch/bert"
	_ "github.com/xai-go/xai/engine/arch/distilbert"
	_ "github.com/xai-go/xai/engine/arch/gpt2"
	_ "github.com/xai-go/xai/engine/arch/roberta"
	_ "github.com/xai-go/xai/engine/arch/xlnet"
)

// failures is a test that keeps what is reported to it.
type failures struct {
	testing.TB
	messages []string
}

func (f *failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.messages = append(f.messages, fmt.Sprintf(format, args...))
}

// TestCheck holds that defects of a graph are found.
func TestCheck(t *testing.T) {
	a := archtest.Must(t, archtest.Config{
		"model_type": "xlnet", "architectures": []string{"XLNetLMHeadModel"},
		"vocab_size": 40, "d_model": 12, "n_layer": 1, "n_head": 3, "d_inner": 20,
	})
	form := arch.Form{Targets: true, Memory: true, Types: true}
	at := func(g *arch.Graph, name string) *arch.Point {
		for i := range g.Points {
			if g.Points[i].Name == name {
				return &g.Points[i]
			}
		}
		t.Fatalf("there is no %s", name)
		return nil
	}
	for word, harm := range map[string]func(g *arch.Graph){
		"twice":                  func(g *arch.Graph) { g.Points = append(g.Points, g.Points[0]) },
		"the contract says \"\"": func(g *arch.Graph) { at(g, "hook_embed").Name = "hook_embedding" },
		"the contract says \"B T D: differentiable editable\"": func(g *arch.Graph) { at(g, "hook_embed").Editable = false },
		"the contract says \"B P D: differentiable editable\"": func(g *arch.Graph) { at(g, "unembed.hook_in").Axes[1].Letter = "T" },
		"numbers a row": func(g *arch.Graph) { at(g, "hook_embed").Axes[2].Size++ },
		"has layer":     func(g *arch.Graph) { at(g, "blocks.0.hook_attn_out").Layer = -1 },
		"the logits":    func(g *arch.Graph) { g.Logits = at(g, "blocks.0.hook_attn_out").Node },
		"relative rows": func(g *arch.Graph) {
			p := at(g, "blocks.0.attn.hook_pattern")
			g.Nodes[p.Node].Op.(arch.Attention).Relative.R = at(g, "blocks.0.attn.hook_k").Node
		},
		"between": func(g *arch.Graph) { g.Nodes[at(g, "blocks.0.mlp.hook_pre").Node].Width++ },
	} {
		g := a.Graph(form)
		harm(g)
		found := &failures{TB: t}
		archtest.Check(found, a, form, g)
		if !strings.Contains(strings.Join(found.messages, "\n"), word) {
			t.Errorf("%q was not found: %v", word, found.messages)
		}
	}
}

// FuzzOpen holds that a configuration is refused or gives sound graphs in all
// its forms, whatever it says.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{
		`{"model_type":"bert","architectures":["BertForNextSentencePrediction"],"num_hidden_layers":2,"id2label":{"0":"a"}}`,
		`{"model_type":"bert","architectures":["BertForTokenClassification"],"num_hidden_layers":1,"label2id":{"a":0,"b":1}}`,
		`{"model_type":"roberta","architectures":["RobertaForMaskedLM"],"num_hidden_layers":1,"vocab_size":1}`,
		`{"model_type":"camembert","architectures":["CamembertForMaskedLM"],"num_hidden_layers":1,"max_position_embeddings":1}`,
		`{"model_type":"distilbert","architectures":["DistilBertForQuestionAnswering"],"n_layers":1,"dim":7,"n_heads":7}`,
		`{"model_type":"gpt2","architectures":["GPT2Model"],"n_layer":1,"n_inner":null,"n_embd":1048576}`,
		`{"model_type":"gpt2","architectures":["GPT2ForSequenceClassification"],"n_layer":1,"pad_token_id":67108864}`,
		`{"model_type":"xlnet","architectures":["XLNetLMHeadModel"],"n_layer":1,"attn_type":"uni","clamp_len":3}`,
		`{"model_type":"xlnet","architectures":["XLNetForSequenceClassification"],"n_layer":1,"summary_activation":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, config []byte) {
		a, err := archtest.Parse(config)
		if err != nil {
			return
		}
		if i := a.Info; i.Outputs < 1 || i.Length < 0 || i.Hidden%i.Heads != 0 || i.Labels != nil && len(i.Labels) != i.Outputs {
			t.Errorf("%+v", i)
		}
		if a.Info.Layers > 8 {
			t.Skip("more layers are more of the same")
		}
		for _, form := range a.Info.Forms() {
			archtest.Check(t, a, form, a.Graph(form))
		}
	})
}
