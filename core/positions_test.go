package core

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/sdk"
)

// TestPositions holds the positions that methods get to the model: what the last
// block gave at any other one does not matter.
func TestPositions(t *testing.T) {
	for name, c := range map[string]struct {
		ids  []int32
		want int
	}{
		"bert-seqcls":       {[]int32{2, 17, 31, 3}, 0},
		"distilbert-seqcls": {[]int32{2, 17, 31, 3}, 0},
		"roberta-seqcls":    {[]int32{2, 17, 31, 3}, 0},
		"xlnet-seqcls":      {[]int32{17, 31, 4, 3}, 3},
		"gpt2-seqcls":       {[]int32{17, 31, 44, 9}, 3},
		"gpt2-seqcls/pad":   {[]int32{17, 31, 1, 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			folder, _, _ := strings.Cut(name, "/")
			h, err := New(Options{Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			m, err := h.OpenModel(t.Context(), filepath.Join("..", "testdata", "conformance", "models", folder))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(m.Close)
			s := started(t, m, Request{Input: Input{Raw: &Raw{IDs: c.ids}}})
			if got := s.describe(0).Positions; !slices.Equal(got, []int{c.want}) {
				t.Errorf("the target is read from %v, want [%d]", got, c.want)
			}
			rows := &sdk.Forward{IDs: [][]int32{c.ids}}
			plain := s.logitsOf(t, rows)
			for at := range c.ids {
				rows.Edits = []sdk.Edit{{Point: fmt.Sprintf("blocks.%d.hook_out[t=%d]", m.engine.Info().Layers-1, at), Op: sdk.EditZero}}
				if changed := !slices.Equal(s.logitsOf(t, rows)[0], plain[0]); changed != (at == c.want) {
					t.Errorf("the logits depend on position %d: %v", at, changed)
				}
			}
		})
	}
}
