package plugins_test

import (
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/sdk"
)

// TestWithoutTokenizer: with its defaults, every method that reads outputs alone
// explains token ids of a model whose folder holds no tokenizer, and embeddings.
func TestWithoutTokenizer(t *testing.T) {
	var methods []sdk.Method
	for _, f := range catalog.Families {
		for _, m := range f.Methods {
			if needs := m.Info().Needs; len(needs) == 1 && needs[0] == sdk.NeedForward {
				methods = append(methods, m)
			}
		}
	}
	if len(methods) != 9 {
		t.Fatalf("%d methods read outputs alone", len(methods))
	}
	for _, model := range []string{"bert-seqcls", "roberta-seqcls", "distilbert-seqcls", "xlnet-seqcls", "gpt2-seqcls", "gpt2-lm", "xlnet-lm"} {
		t.Run(model, func(t *testing.T) {
			h, m := methodtest.Model(t, model, "f32", methods...)
			width := m.Info().Embedding
			vectors := &core.Raw{}
			for i := range 4 * width {
				vectors.Embeds = append(vectors.Embeds, float32(i%7-3)/50)
			}
			inputs := map[string]core.Input{"ids": methodtest.Row([]int64{5, 7, 9, 11}), "embeddings": {Raw: vectors}}
			if model == "xlnet-lm" { // which continues a row with a token to predict at
				delete(inputs, "embeddings")
			}
			for name, in := range inputs {
				for _, method := range methods {
					x := methodtest.Explain(t, h, m, core.Request{Input: in, Method: method.Info().Name, Output: sdk.Logit})
					if n := len(x.Attributions[0].Values); n < 4 { // a language model's may have the position to predict
						t.Errorf("%s of %s has %d values", method.Info().Name, name, n)
					}
					fill := x.Method.Params["fill"]
					if want := map[bool]string{true: "delete", false: "zero"}[method.Info().Name == "leave-one-out"]; fill != want {
						t.Errorf("%s of %s has the fill %v, want %s", method.Info().Name, name, fill, want)
					}
				}
			}
		})
	}
}
