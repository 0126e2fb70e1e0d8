package core

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
)

// TestModelInfo holds the sizes that a method is told to what it then gets.
func TestModelInfo(t *testing.T) {
	for _, name := range []string{"bert-seqcls", "distilbert-seqcls", "roberta-seqcls", "xlnet-seqcls", "gpt2-seqcls", "bert-text"} {
		t.Run(name, func(t *testing.T) {
			h, err := New(Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			m, err := h.OpenModel(t.Context(), filepath.Join("..", "testdata", "conformance", "models", name))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.Close)
			info := m.Info()
			if tok := m.Tokenizer(); tok == nil {
				if info.MaskID != nil || info.PadID != nil || info.SpecialIDs != nil || info.MaskToken != "" {
					t.Errorf("without a tokenizer: %+v", info)
				}
			} else {
				if spelled, _ := tok.Token(*info.MaskID); spelled != info.MaskToken {
					t.Errorf("the mask token %d is %q, want %q", *info.MaskID, spelled, info.MaskToken)
				}
				if !slices.IsSorted(info.SpecialIDs) || !slices.Contains(info.SpecialIDs, *info.MaskID) || !slices.Contains(info.SpecialIDs, *info.PadID) {
					t.Errorf("the special tokens %v have not mask %d and pad %d", info.SpecialIDs, *info.MaskID, *info.PadID)
				}
			}

			ids := []int32{5, 6, 7, int32(info.Vocabulary - 1)}
			s := started(t, m, Request{Input: Input{Raw: &Raw{IDs: ids}}})
			reply, err := s.Forward(t.Context(), &sdk.Forward{IDs: [][]int32{ids}, Points: []string{"embeddings", "hidden_states", "attentions"}})
			if err != nil {
				t.Fatal(err)
			}
			shape := func(name string, index int) []int {
				x, err := reply.Tensor(name, index)
				if err != nil {
					t.Fatal(err)
				}
				return x.Shape
			}
			if diff := cmp.Diff([]int{1, len(ids), info.Embedding}, shape("embeddings", 0)); diff != "" {
				t.Errorf("embeddings: %s", diff)
			}
			if diff := cmp.Diff([]int{1, len(ids), info.Hidden}, shape("hidden_states", info.Layers)); diff != "" {
				t.Errorf("hidden states: %s", diff)
			}
			if diff := cmp.Diff([]int{1, info.Heads, len(ids), len(ids)}, shape("attentions", info.Layers-1)); diff != "" {
				t.Errorf("attentions: %s", diff)
			}
			if _, err := reply.Tensor("attentions", info.Layers); !errors.Is(err, &sdk.Error{Code: sdk.ERange}) {
				t.Errorf("attentions of a layer beyond the last: %v", err)
			}
			for what, row := range map[string][]int32{"the vocabulary": {int32(info.Vocabulary)}, "the longest row": make([]int32, info.MaxTokens+1)} {
				if what == "the longest row" && info.MaxTokens == 0 {
					continue
				}
				if _, err := s.Forward(t.Context(), &sdk.Forward{IDs: [][]int32{row}}); !errors.Is(err, &sdk.Error{Code: sdk.ERange}) {
					t.Errorf("beyond %s: %v", what, err)
				}
			}
		})
	}
}
