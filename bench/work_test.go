package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/bench/ort"
	"github.com/xai-go/xai/internal/virtual"
)

func named(t rapid.TB, name string) virtual.Shape {
	t.Helper()
	s, err := virtual.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPerturbations holds the variants to what they are of: the text first,
// its special tokens always, in its order, with something taken away.
func TestPerturbations(t *testing.T) {
	for _, c := range []struct {
		model        string
		deletion     bool
		first, after int // special tokens before and after the text
		fill         int32
	}{
		{"bert-tiny", true, 1, 1, 0},
		{"bert-tiny", false, 1, 1, mask},
		{"gpt2-tiny", true, 1, 0, 0},
		{"gpt2-tiny", false, 1, 0, 210},
	} {
		w := perturbations(named(t, c.model), model.Last, c.deletion, 400, 20, 3)
		if len(w.sequences) != 400 {
			t.Fatalf("%s: %d variants", w.name, len(w.sequences))
		}
		original := w.sequences[0]
		changed := map[int]int{}
		for _, ids := range w.sequences[1:] {
			kept := ids
			if !c.deletion {
				if len(ids) != len(original) {
					t.Fatalf("%s: %v has not the length of the text", w.name, ids)
				}
				kept = nil
				for i, id := range ids {
					if id == original[i] {
						kept = append(kept, id)
					} else if id != c.fill {
						t.Fatalf("%s: token %d became %d, want %d", w.name, i, id, c.fill)
					}
				}
			}
			if !slices.Equal(kept[:c.first], original[:c.first]) || !slices.Equal(kept[len(kept)-c.after:], original[20-c.after:]) {
				t.Fatalf("%s: %v has lost special tokens of %v", w.name, ids, original)
			}
			rest := original
			for _, id := range kept {
				i := slices.Index(rest, id)
				if i < 0 {
					t.Fatalf("%s: %v is no part of %v", w.name, kept, original)
				}
				rest = rest[i+1:]
			}
			changed[20-len(kept)]++
		}
		if players := 20 - c.first - c.after; changed[0] > 0 || len(changed) != players {
			t.Errorf("%s of %s: numbers of tokens taken away are %v, want all from 1 to %d", w.name, c.model, changed, players)
		}
		if len(w.distinct()) == len(w.sequences) {
			t.Errorf("%s of %s: no two of 400 variants are the same, yet several have all tokens taken away", w.name, c.model)
		}
	}
}

// TestCut holds that batches have each sequence once, in order, and no more
// tokens than they may, padding included.
func TestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w work
		var order []int
		for i, n := range rapid.SliceOfN(rapid.IntRange(1, batchTokens+9), 1, 60).Draw(t, "lengths") {
			w.sequences, order = append(w.sequences, make([]int32, n)), append(order, i)
		}
		width := rapid.IntRange(0, 300).Draw(t, "width")
		var all []int
		for _, batch := range w.cut(order, width) {
			longest := width
			for _, i := range batch {
				longest = max(longest, len(w.sequences[i]))
			}
			if len(batch) == 0 || len(batch) > 1 && len(batch)*longest > batchTokens {
				t.Fatalf("%d sequences of up to %d tokens in a batch", len(batch), longest)
			}
			all = append(all, batch...)
		}
		if !slices.Equal(all, order) {
			t.Fatalf("%v are batched, not %v", all, order)
		}
	})
}

// TestFeeds holds what ONNX Runtime is given of sequences of different lengths,
// and that its answers find back to them.
func TestFeeds(t *testing.T) {
	w := work{sequences: [][]int32{{1, 2, 3}, {4}, {5, 6}}}
	g := grouping{batches: [][]int{{1, 2}, {0}}}
	got := w.feeds(named(t, "bert-tiny"), model.Graph{Head: model.Classifier, Padded: true}, g)
	wide := []int{2, 2}
	want := []ort.Batch{
		{
			model.IDs:   {Dims: wide, Data: []int32{4, 0, 5, 6}},
			model.Types: {Dims: wide, Data: []int32{0, 0, 0, 0}},
			model.Mask:  {Dims: wide, Data: []int32{1, 0, 1, 1}},
		},
		{
			model.IDs:   {Dims: []int{1, 3}, Data: []int32{1, 2, 3}},
			model.Types: {Dims: []int{1, 3}, Data: []int32{0, 0, 0}},
			model.Mask:  {Dims: []int{1, 3}, Data: []int32{1, 1, 1}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("BERT (-want +got):\n%s", diff)
	}
	got = w.feeds(named(t, "gpt2-tiny"), model.Graph{Head: model.Last}, g)
	want = []ort.Batch{
		{model.IDs: {Dims: wide, Data: []int32{4, 0, 5, 6}}, model.Lengths: {Dims: []int{2}, Data: []int32{1, 2}}},
		{model.IDs: {Dims: []int{1, 3}, Data: []int32{1, 2, 3}}, model.Lengths: {Dims: []int{1}, Data: []int32{3}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("GPT-2 (-want +got):\n%s", diff)
	}
	back, err := w.unbatch([]float32{10, 11, 20, 21, 0, 1}, g)
	if diff := cmp.Diff([]float64{0, 1, 10, 11, 20, 21}, back); err != nil || diff != "" {
		t.Errorf("unbatched: %v (-want +got):\n%s", err, diff)
	}
	if _, err := w.unbatch(make([]float32, 7), g); err == nil {
		t.Error("7 values of 3 sequences pass for the same number each")
	}
}
