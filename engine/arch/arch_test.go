package arch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/checkpoint"
)

func TestLookup(t *testing.T) {
	saved := registry
	defer func() { registry = saved }()
	registry = map[string]Open{}
	mine := errors.New("mine")
	for _, name := range []string{"gpt2", "bert", "albert"} {
		Register(name, func(context.Context, *checkpoint.Checkpoint, DType) (Network, error) { return nil, mine })
	}
	if !slices.Equal(Known(), []string{"albert", "bert", "gpt2"}) {
		t.Errorf("Known() = %v", Known())
	}
	open, err := Lookup("bert")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t.Context(), nil, F32); err != mine {
		t.Errorf("Lookup found something else: %v", err)
	}
	for name, order := range map[string]string{"gpt-2": "gpt2, albert, bert", "berd": "bert, albert, gpt2", "xyz": "albert, bert, gpt2"} {
		_, err := Lookup(name)
		var unsupported *checkpoint.UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), order) {
			t.Errorf("Lookup(%q): %v, want %s", name, err, order)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a second registration did not panic")
		}
	}()
	Register("bert", open)
}

func TestBatchSlice(t *testing.T) {
	b := Batch{
		Starts: []int{0, 2, 3, 6}, IDs: []int32{0, 1, 2, 3, 4, 5}, TypeIDs: []int32{0, 1, 0, 1, 0, 1},
		PositionIDs: []int32{5, 4, 3, 2, 1, 0}, Mask: []uint8{1, 1, 0, 1, 0, 1},
	}
	s := b.Slice(1, 3).Slice(1, 2)
	want := Batch{First: 2, Starts: []int{3, 6}, IDs: []int32{3, 4, 5}, TypeIDs: []int32{1, 0, 1}, PositionIDs: []int32{2, 1, 0}, Mask: []uint8{1, 0, 1}}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if lo, hi := b.Slice(1, 3).Range(1); lo != 1 || hi != 4 {
		t.Errorf("range [%d, %d)", lo, hi)
	}
	e := Batch{Starts: []int{0, 2, 3}, Embeds: []float32{1, 2, 3, 4, 5, 6}}
	if got := e.Slice(1, 2); !slices.Equal(got.Embeds, []float32{5, 6}) || got.IDs != nil || got.Rows() != 1 || got.Sequences() != 1 {
		t.Errorf("%+v", got)
	}
}

func TestTensor(t *testing.T) {
	wide := NewTensor(F64, 2, 3)
	Values[float64](wide)[4] = 1.0000000001
	if got := wide.Float64()[4]; got != 1.0000000001 || len(wide.Float64()) != 6 {
		t.Errorf("Float64 of float64: %v", wide.Float64())
	}
	if got := wide.Float32()[4]; got != 1 {
		t.Errorf("Float32 of float64: %v", got)
	}
	narrow := NewTensor(F32, 2)
	Values[float32](narrow)[1] = 0.1
	if got := narrow.Float64()[1]; got != float64(float32(0.1)) {
		t.Errorf("Float64 of float32: %v", got)
	}
	if got := narrow.Float32(); &got[0] != &narrow.F32[0] {
		t.Error("Float32 of float32 is a copy")
	}
}
