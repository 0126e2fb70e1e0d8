package core

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnknownWordOfRow: a word that the vocabulary lacks is a unit of a row of ids as it
// is of the text, and no special token; where one token serves all ends, it is special.
func TestUnknownWordOfRow(t *testing.T) {
	h, err := New(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]bool{
		"bert-text": {true, false, false, true, true, true}, // [CLS] a [UNK] [MASK] [PAD] [SEP]
		"gpt2-text": {true, false},
	} {
		m, err := h.OpenModel(t.Context(), filepath.Join("..", "testdata", "conformance", "models", name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		tokens := []string{"[CLS]", "a", "[UNK]", "[MASK]", "[PAD]", "[SEP]"}
		if name == "gpt2-text" {
			tokens = []string{"<|endoftext|>", "a"}
		}
		raw := &Raw{}
		for _, token := range tokens {
			id, ok := m.Tokenizer().ID(token)
			if !ok {
				t.Fatalf("%s has no token %s", name, token)
			}
			raw.IDs = append(raw.IDs, id)
		}
		e, err := m.encodeRaw(raw)
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for _, token := range e.tokens {
			got = append(got, token.Special)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: special tokens: %s", name, diff)
		}
	}
}
