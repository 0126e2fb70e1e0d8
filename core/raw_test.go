package core_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// writeInputs writes one row of ids.
func writeInputs(t *testing.T, path string, ids []int32) {
	t.Helper()
	writeTensors(t, path, safetensors.Tensor{Name: "input_ids", Shape: []int{1, len(ids)}, Data: ids})
}

func writeTensors(t *testing.T, path string, tensors ...safetensors.Tensor) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := safetensors.Write(f, tensors, nil); err != nil {
		t.Fatal(err)
	}
}

// TestReadInputsMarks: masks of numbers are those of bytes, and take a byte an
// element to read whatever their format, or a file of perm_mask would take many
// times its size.
func TestReadInputsMarks(t *testing.T) {
	const n = 1024
	hidden, numbers := make([]uint8, n*n), make([]float32, n*n)
	for i := range hidden {
		hidden[i], numbers[i] = uint8(i%3%2), float32(i%3%2)
	}
	ids := safetensors.Tensor{Name: "input_ids", Shape: []int{1, n}, Data: make([]int64, n)}
	for _, data := range []any{hidden, numbers} {
		path := filepath.Join(t.TempDir(), "in.safetensors")
		writeTensors(t, path, ids, safetensors.Tensor{Name: "perm_mask", Shape: []int{1, n, n}, Data: data})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		inputs, err := core.ReadInputs(t.Context(), path, 0)
		runtime.ReadMemStats(&after)
		if err != nil || !bytes.Equal(inputs[0].Raw.Hidden, hidden) {
			t.Fatalf("%T: another mask (%v)", data, err)
		}
		if after.TotalAlloc-before.TotalAlloc > 2*n*n {
			t.Errorf("a mask of %d marks, %T, allocates %d bytes", n*n, data, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

// TestReadInputsMemory: what does not fit is refused before it is read, with the
// figure, and reading ends with its context.
func TestReadInputsMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.safetensors")
	const n = 1024
	writeTensors(t, path,
		safetensors.Tensor{Name: "input_ids", Shape: []int{1, n}, Data: make([]int64, n)},
		safetensors.Tensor{Name: "perm_mask", Shape: []int{1, n, n}, Data: make([]float32, n*n)},
	)
	const need = n*n + 8*n
	if _, err := core.ReadInputs(t.Context(), path, need); err != nil {
		t.Error(err)
	}
	_, err := core.ReadInputs(t.Context(), path, need-1)
	if e, ok := errors.AsType[*core.Error](err); !ok || e.Kind != core.KindInput || !strings.Contains(e.Msg, "the inputs need 1.0 MiB") || !strings.Contains(e.Hint, "--memory") {
		t.Errorf("in one byte less: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := core.ReadInputs(ctx, path, 0); core.KindOf(err) != core.KindInterrupted {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReadInputsRefuses(t *testing.T) {
	ids := safetensors.Tensor{Name: "input_ids", Shape: []int{1, 2}, Data: []int64{2, 3}}
	tests := []struct {
		name    string
		tensors []safetensors.Tensor
		want    string
	}{
		{"nothing", nil, "input_ids"},
		{"another shape", []safetensors.Tensor{ids, {Name: "attention_mask", Shape: []int{1, 3}, Data: []int64{1, 1, 1}}}, "shape"},
		{"a negative id", []safetensors.Tensor{{Name: "input_ids", Shape: []int{1, 1}, Data: []int64{-1}}}, "input_ids holds -1, and must hold whole numbers from 0 to 2147483647"},
		{"an id beyond", []safetensors.Tensor{{Name: "input_ids", Shape: []int{1, 1}, Data: []int64{1 << 40}}}, "whole numbers"},
		{"no number", []safetensors.Tensor{ids, {Name: "attention_mask", Shape: []int{1, 2}, Data: []float32{1, float32(math.NaN())}}}, "NaN, and must hold whole numbers from 0 to 1"},
		{"a mask of twos", []safetensors.Tensor{ids, {Name: "attention_mask", Shape: []int{1, 2}, Data: []int64{1, 2}}}, "attention_mask"},
		{"a mask of byte twos", []safetensors.Tensor{ids, {Name: "attention_mask", Shape: []int{1, 2}, Data: []uint8{1, 2}}}, "attention_mask"},
		{"an unknown name", []safetensors.Tensor{ids, {Name: "labels", Shape: []int{1, 2}, Data: []int64{1, 2}}}, "labels"},
		{"ids and embeddings", []safetensors.Tensor{ids, {Name: "inputs_embeds", Shape: []int{1, 2, 1}, Data: []float32{1, 2}}}, "one of them"},
		{"a target of two", []safetensors.Tensor{ids, {Name: "target_mapping", Shape: []int{1, 1, 2}, Data: []float32{1, 1}}}, "single 1"},
		{"a target of none", []safetensors.Tensor{ids, {Name: "target_mapping", Shape: []int{1, 1, 2}, Data: []float32{0, 0}}}, "single 1"},
		{"half a target", []safetensors.Tensor{ids, {Name: "target_mapping", Shape: []int{1, 1, 2}, Data: []float32{0, 0.5}}}, "0.5"},
		{"a permutation of other tokens", []safetensors.Tensor{ids, {Name: "perm_mask", Shape: []int{1, 2, 3}, Data: make([]float32, 6)}}, "perm_mask"},
		{"a flat permutation", []safetensors.Tensor{ids, {Name: "perm_mask", Shape: []int{4}, Data: make([]float32, 4)}}, "perm_mask"},
		{"memories of another batch", []safetensors.Tensor{ids, {Name: "mems.0", Shape: []int{2, 1, 1}, Data: []float32{1, 2}}}, "mems.0"},
		{"memories without the first", []safetensors.Tensor{ids, {Name: "mems.1", Shape: []int{1, 1, 1}, Data: []float32{1}}}, "mems.1"},
		{"memories of other lengths", []safetensors.Tensor{ids, {Name: "mems.0", Shape: []int{1, 1, 1}, Data: []float32{1}}, {Name: "mems.1", Shape: []int{1, 2, 1}, Data: []float32{1, 2}}}, "mems.1"},
		{"no tokens", []safetensors.Tensor{{Name: "input_ids", Shape: []int{1, 0}, Data: []int64{}}}, "shape"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "in.safetensors")
			writeTensors(t, path, test.tensors...)
			_, err := core.ReadInputs(t.Context(), path, 0)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one that says %q", err, test.want)
			}
			if core.KindOf(err) != core.KindInput {
				t.Errorf("kind %d, want KindInput", core.KindOf(err))
			}
		})
	}
}

// FuzzReadInputs feeds files of any content: they are refused with an error of
// the input's kind, or give rows that agree with each other.
func FuzzReadInputs(f *testing.F) {
	for _, tensors := range [][]safetensors.Tensor{
		{{Name: "input_ids", Shape: []int{1, 2}, Data: []int64{2, 3}}, {Name: "attention_mask", Shape: []int{1, 2}, Data: []uint8{1, 0}}},
		{{Name: "inputs_embeds", Shape: []int{2, 1, 2}, Data: []float32{1, 2, 3, 4}}, {Name: "keep", Shape: []int{2, 1}, Data: []uint8{1, 0}}},
		{
			{Name: "input_ids", Shape: []int{1, 2}, Data: []int32{2, 3}}, {Name: "perm_mask", Shape: []int{1, 2, 2}, Data: []float32{0, 1, 0, 0}},
			{Name: "target_mapping", Shape: []int{1, 1, 2}, Data: []float32{0, 1}}, {Name: "mems.0", Shape: []int{1, 1, 2}, Data: []float32{5, 6}},
		},
	} {
		var b bytes.Buffer
		if err := safetensors.Write(&b, tensors, nil); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "in.safetensors")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		inputs, err := core.ReadInputs(t.Context(), path, 0)
		if err != nil {
			if core.KindOf(err) != core.KindInput {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		for _, in := range inputs {
			r, first := in.Raw, inputs[0].Raw
			if len(r.IDs) != len(first.IDs) || len(r.Embeds) != len(first.Embeds) || len(r.Memories) != len(first.Memories) || r.IDs != nil && r.Hidden != nil && len(r.Hidden) != len(r.IDs)*len(r.IDs) {
				t.Fatalf("rows %+v and %+v", r, first)
			}
			for _, at := range r.Targets {
				if r.IDs != nil && (at < 0 || at >= len(r.IDs)) {
					t.Fatalf("target %d of %d tokens", at, len(r.IDs))
				}
			}
		}
	})
}
