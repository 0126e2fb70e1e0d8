package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/tokenizer"
)

// Classify sentences of different lengths in one forward, without padding.
func Example() {
	ctx := context.Background()
	folder := os.DirFS("../core/builtin/sentiment-en")
	model, err := engine.Open(ctx, folder)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	tok, err := tokenizer.Open(folder)
	if err != nil {
		log.Fatal(err)
	}

	texts := []string{"A gripping, beautifully shot film.", "An utter waste of two hours."}
	var in engine.Input
	for _, text := range texts {
		before := len(in.IDs)
		in.IDs = tok.AppendIDs(in.IDs, text)
		in.Lengths = append(in.Lengths, len(in.IDs)-before)
	}
	out, err := model.Forward(ctx, in)
	if err != nil {
		log.Fatal(err)
	}
	for i, text := range texts {
		best := 0
		for class, logit := range out.Row(i) {
			if logit > out.Row(i)[best] {
				best = class
			}
		}
		fmt.Println(model.Labels()[best], text)
	}
	// Output:
	// POSITIVE A gripping, beautifully shot film.
	// NEGATIVE An utter waste of two hours.
}
