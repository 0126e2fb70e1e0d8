package point_test

import (
	"fmt"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	"github.com/xai-go/xai/engine/point"
)

// small is a GPT-2 of two layers, without weights.
func small() (*arch.Graph, arch.Info) {
	a, err := archtest.Open(archtest.Config{
		"model_type": "gpt2", "architectures": []string{"GPT2LMHeadModel"},
		"vocab_size": 100, "n_embd": 48, "n_head": 4, "n_layer": 2,
	})
	if err != nil {
		panic(err)
	}
	return a.Graph(arch.Form{}), a.Info
}

func ExampleResolveList() {
	graph, info := small()
	selections, err := point.ResolveList(graph, info, "blocks.*.attn.hook_pattern[0,h=3],hidden_states[2]")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range selections {
		fmt.Println(s.Name, "is of", s.Point.Name)
	}
	_, err = point.ResolveList(graph, info, "blocks.0.attn.hook_paterns")
	fmt.Println(err)
	// Output:
	// blocks.0.attn.hook_pattern[0,h=3] is of blocks.0.attn.hook_pattern
	// blocks.1.attn.hook_pattern[0,h=3] is of blocks.1.attn.hook_pattern
	// hidden_states[2] is of ln_final.hook_out
	// the model has no point blocks.0.attn.hook_paterns; did you mean blocks.0.attn.hook_pattern or blocks.1.attn.hook_pattern or blocks.0.attn.hook_out?
}

func ExampleParseEdit() {
	graph, info := small()
	edits, err := point.ParseEdit(graph, info, "blocks.*.attn.hook_z[h=2]=scale:0.5", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range edits {
		fmt.Println(e.Name, e.Values)
	}
	// Output:
	// blocks.0.attn.hook_z[h=2] [0.5]
	// blocks.1.attn.hook_z[h=2] [0.5]
}

func ExampleParseTarget() {
	graph, info := small()
	terms, err := point.ParseTarget(graph, info, "logits[0,-1,17] - 0.5*logits[0,-1,3]")
	fmt.Printf("%+v %v\n", terms, err)
	// Output:
	// [{Sequence:0 Row:-1 Class:17 Weight:1} {Sequence:0 Row:-1 Class:3 Weight:-0.5}] <nil>
}
