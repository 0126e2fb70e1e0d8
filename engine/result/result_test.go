package result

import (
	"slices"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// TestJoined: sequences of one shape are one tensor, whose values they share;
// those that are not selected are no part of it.
func TestJoined(t *testing.T) {
	for _, dtype := range []arch.DType{arch.F32, arch.F64} {
		a := NewActivation(dtype, point.Selection{}, [][]int{nil, {2, 3}, {2, 3}, nil})
		for i, s := range a.Sequences[1:3] {
			if s.Len() != 6 || !slices.Equal(s.Shape, []int{2, 3}) {
				t.Fatalf("%s: sequence %d is %v", dtype, i, s)
			}
			for k := range 6 {
				if dtype == arch.F64 {
					s.F64[k] = float64(6*i + k)
				} else {
					s.F32[k] = float32(6*i + k)
				}
			}
		}
		if n := a.Sequences[0].Len() + a.Sequences[3].Len(); n != 0 {
			t.Errorf("%s: %d values of sequences that are not selected", dtype, n)
		}
		all, ok := a.Joined()
		if want := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !ok || !slices.Equal(all.Shape, []int{2, 2, 3}) || !slices.Equal(all.Float64(), want) {
			t.Errorf("%s: %v, %v", dtype, all, ok)
		}
		for _, shapes := range [][][]int{{{2, 3}, {3, 2}}, {{2}, {2, 1}}, {nil}, {}} {
			if all, ok := NewActivation(dtype, point.Selection{}, shapes).Joined(); ok {
				t.Errorf("%s: %v joined are %v", dtype, shapes, all)
			}
		}
		scalars, ok := NewActivation(dtype, point.Selection{}, [][]int{{}, {}}).Joined()
		if !ok || !slices.Equal(scalars.Shape, []int{2}) || scalars.Len() != 2 {
			t.Errorf("%s: two scalars are %v", dtype, scalars)
		}
	}
}
