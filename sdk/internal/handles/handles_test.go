package handles

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// tensor is one that was sent: its handle is its place among them, from 1 on.
type tensor struct {
	Data  any
	Shape []int
}

func recorder(sent *[]tensor) Send {
	return func(data any, shape ...int) (int64, error) {
		*sent = append(*sent, tensor{data, slices.Clone(shape)})
		return int64(len(*sent)), nil
	}
}

func TestForward(t *testing.T) {
	value := sdk.NewTensor([]float64{2}, 1)
	for name, c := range map[string]struct {
		f    sdk.Forward
		want abi.Forward
		sent []tensor
	}{
		"units": {
			sdk.Forward{Units: sdk.NewTensor([]uint8{1, 0}, 1, 2), Target: "0", KeepDuplicates: true},
			abi.Forward{Rows: abi.FieldUnits, Handle: 1, Target: "0", KeepDuplicates: true},
			[]tensor{{[]uint8{1, 0}, []int{1, 2}}},
		},
		"masks with edits": {
			sdk.Forward{Masks: sdk.NewTensor([]uint8{1}, 1, 1), Edits: []sdk.Edit{{Point: "a", Op: sdk.EditZero}, {Point: "b", Op: sdk.EditScale, Value: value}}},
			abi.Forward{Rows: abi.FieldMasks, Handle: 1, Edits: []abi.Edit{{Point: "a", Op: sdk.EditZero}, {Point: "b", Op: sdk.EditScale, Value: 2}}},
			[]tensor{{[]uint8{1}, []int{1, 1}}, {[]float64{2}, []int{1}}},
		},
		"texts": {
			sdk.Forward{Texts: []string{"ab", "", "c"}},
			abi.Forward{Rows: abi.FieldTexts, Handle: 1, Extra: 2},
			[]tensor{{[]byte("abc"), []int{3}}, {[]int64{0, 2, 2, 3}, []int{4}}},
		},
		"ids": {
			sdk.Forward{IDs: [][]int32{{1}, {2, 3}}},
			abi.Forward{Rows: abi.FieldIDs, Handle: 1, Extra: 2},
			[]tensor{{[]int32{1, 0, 2, 3}, []int{2, 2}}, {[]int32{1, 2}, []int{2}}},
		},
		"no rows of ids": {
			sdk.Forward{IDs: [][]int32{}},
			abi.Forward{Rows: abi.FieldIDs, Handle: 1, Extra: 2},
			[]tensor{{[]int32{}, []int{0, 0}}, {[]int32{}, []int{0}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sent []tensor
			got, err := Forward(&c.f, []string{"embeddings"}, recorder(&sent))
			if err != nil {
				t.Fatal(err)
			}
			c.want.Wrt = []string{"embeddings"}
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.sent, sent); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	failed := errors.New("the host has no room")
	fails := func(any, ...int) (int64, error) { return 0, failed }
	var none []tensor
	for name, c := range map[string]struct {
		call func() error
		want error
	}{
		"no forward":         {func() error { _, err := Forward(nil, nil, recorder(&none)); return err }, &sdk.Error{Code: sdk.EInvalid}},
		"no rows":            {func() error { _, err := Forward(&sdk.Forward{}, nil, recorder(&none)); return err }, &sdk.Error{Code: sdk.EInvalid}},
		"no generation":      {func() error { _, err := Generation(nil, recorder(&none)); return err }, &sdk.Error{Code: sdk.EInvalid}},
		"a forward's tensor": {func() error { _, err := Forward(&sdk.Forward{Texts: []string{"a"}}, nil, fails); return err }, failed},
		"a generation's":     {func() error { _, err := Generation(&sdk.Generation{Prompt: []int32{1}}, fails); return err }, failed},
		"numbers Go has not": {func() error { _, _, err := Elements(sdk.BF16, 1); return err }, &sdk.Error{Code: sdk.EUnsupported}},
		"rows of two kinds": {func() error {
			_, err := Forward(&sdk.Forward{Texts: []string{"a"}, IDs: [][]int32{{1}}}, nil, recorder(new([]tensor)))
			return err
		}, &sdk.Error{Code: sdk.EInvalid}},
	} {
		if err := c.call(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if len(none) != 0 {
		t.Errorf("%v was sent", none)
	}
}

// TestElements: what is written into the bytes is in the elements.
func TestElements(t *testing.T) {
	for dtype, want := range map[sdk.DType]any{
		sdk.U8: []uint8{0, 1}, sdk.I32: []int32{0, 1}, sdk.I64: []int64{0, 1}, sdk.F32: []float32{0, 1}, sdk.F64: []float64{0, 1},
	} {
		data, b, err := Elements(dtype, 2)
		if err != nil {
			t.Fatal(err)
		}
		copy(b, Bytes(want))
		if diff := cmp.Diff(want, data); diff != "" {
			t.Errorf("%v: %s", dtype, diff)
		}
	}
	if Bytes([]string{"a"}) != nil {
		t.Error("strings have bytes")
	}
}
