package engine_test

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
)

// TestSlices holds that a slice of a point is what numpy cuts out of the whole
// of it, in every sequence of a ragged batch, and that an edit of the slice
// changes that part and no other.
func TestSlices(t *testing.T) {
	for _, c := range []struct {
		model  string
		slices []string
	}{
		{"gpt2-lm", []string{
			"resid_pre1[t=-1]", "resid_pre1[:,-3:,d=5:9]", "z1[b=1,t=:-1,h=2]", "v0[s=1:,h=-1,e=3]", "attn_out2[-1,0]",
			"pattern1[h=1:3,t=-2:,s=:-1]", "attn_scores0[0,-1,2,0]", "result2[t=4,h=3]", "hidden_states[-1][t=-2:-1]", "logits[v=-1]",
		}},
		{"bert-qa", []string{"end_logits[t=1:]", "start_logits[b=-1,t=-1]", "scale1ln2[t=-2]"}},
		{"xlnet-lm", []string{
			"hidden_states[3][t=-1]", "attentions[1].1[t=-1,h=2]", "attentions[0].0[s=-2:]",
			"blocks.1.g.attn.hook_z[p=-1,h=0:2]", "blocks.2.g.attn.hook_pattern[b=0,s=0]",
		}},
	} {
		m := openGolden(t, c.model)
		in := engine.Input{IDs: []int32{5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, Lengths: []int{7, 3}}
		if m.Info().Targets {
			in.Targets = [][]int{{1, 4, 6}, {2}}
		}
		for _, spec := range c.slices {
			part := selectPoint(t, m, in, spec)
			whole := selectPoint(t, m, in, part.Point.Name)
			before, err := m.Forward(t.Context(), in, engine.Capture(part, whole))
			if err != nil {
				t.Fatal(err)
			}
			edits, err := point.ParseEdit(m.Graph(in), m.Info(), spec+"=0.125", nil)
			if err != nil {
				t.Fatal(err)
			}
			after, err := m.Forward(t.Context(), in, engine.Capture(whole), engine.Edits(edits...))
			if err != nil {
				t.Fatal(err)
			}
			for i, all := range before.Values[1].Sequences {
				got, edited := before.Values[0].Sequences[i], after.Values[0].Sequences[i].Float64()
				selected := inside(part, all.Shape, i, len(in.Lengths))
				var want, replaced []float64
				for j, v := range all.Float64() {
					if selected[j] {
						want, v = append(want, v), 0.125
					}
					replaced = append(replaced, v)
				}
				if !slices.Equal(got.Float64(), want) {
					t.Errorf("%s of sequence %d is %v, want %v", spec, i, got.Float64(), want)
				}
				if !slices.Equal(edited, replaced) {
					t.Errorf("%s of sequence %d, edited, is %v, want %v", spec, i, edited, replaced)
				}
			}
		}
	}
}

// inside tells which values of a point, whose shape is without the axis of the
// batch, a selection has in one of n sequences.
func inside(s point.Selection, shape []int, sequence, n int) []bool {
	lo, hi := s.Ranges[0].Bounds(n)
	all := []bool{sequence >= lo && sequence < hi}
	for axis, dim := range shape {
		lo, hi := s.Ranges[axis+1].Bounds(dim)
		var next []bool
		for _, in := range all {
			for i := range dim {
				next = append(next, in && i >= lo && i < hi)
			}
		}
		all = next
	}
	return all
}
