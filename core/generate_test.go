package core

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/internal/golden"
)

// TestPieces: the pieces of a text that grows token by token make up the text of
// all its tokens, whatever these are, and none but the last ends inside of a
// character.
func TestPieces(t *testing.T) {
	for _, model := range []string{"gpt2-text", "bert-text"} {
		tok, err := tokenizer.Open(golden.ModelFS(t, model))
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(7, 0))
		for range 200 {
			ids := make([]int32, 2+random.IntN(30))
			for i := range ids {
				ids[i] = int32(random.IntN(tok.Size()))
			}
			prompt := 1 + random.IntN(len(ids)-1)
			var pieces []string
			g := (&Model{tokenizer: tok}).grow(ids[:prompt], func(piece string) error {
				pieces = append(pieces, piece)
				return nil
			})
			for _, id := range ids[prompt:] {
				g.ids = append(g.ids, id)
				if err := g.emit(false); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.emit(true); err != nil {
				t.Fatal(err)
			}
			all, before := tok.Join(ids, true), tok.Join(ids[:prompt], true)
			if got := strings.Join(pieces, ""); got != all[len(before):] || g.text.String() != got {
				t.Fatalf("%s: %v behind %d tokens: pieces %q of %q behind %q", model, ids, prompt, pieces, all, before)
			}
			for i, piece := range pieces {
				if i < len(pieces)-1 && strings.HasSuffix(piece, "\uFFFD") {
					t.Errorf("%s: piece %q ends inside of a character", model, piece)
				}
			}
		}
	}
}
