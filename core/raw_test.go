package core_test

import (
	"os"
	"path/filepath"
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

func TestReadInputsRefuses(t *testing.T) {
	ids := safetensors.Tensor{Name: "input_ids", Shape: []int{1, 2}, Data: []int64{2, 3}}
	tests := []struct {
		name    string
		tensors []safetensors.Tensor
		want    string
	}{
		{"nothing", nil, "input_ids"},
		{"another shape", []safetensors.Tensor{ids, {Name: "attention_mask", Shape: []int{1, 3}, Data: []int64{1, 1, 1}}}, "shape"},
		{"a negative id", []safetensors.Tensor{{Name: "input_ids", Shape: []int{1, 1}, Data: []int64{-1}}}, "-1"},
		{"a mask of twos", []safetensors.Tensor{ids, {Name: "attention_mask", Shape: []int{1, 2}, Data: []int64{1, 2}}}, "attention_mask"},
		{"an unknown name", []safetensors.Tensor{ids, {Name: "labels", Shape: []int{1, 2}, Data: []int64{1, 2}}}, "labels"},
		{"ids and embeddings", []safetensors.Tensor{ids, {Name: "inputs_embeds", Shape: []int{1, 2, 1}, Data: []float32{1, 2}}}, "one of them"},
		{"no tokens", []safetensors.Tensor{{Name: "input_ids", Shape: []int{1, 0}, Data: []int64{}}}, "shape"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "in.safetensors")
			writeTensors(t, path, test.tensors...)
			_, err := core.ReadInputs(path)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one that says %q", err, test.want)
			}
			if core.KindOf(err) != core.KindInput {
				t.Errorf("kind %d, want KindInput", core.KindOf(err))
			}
		})
	}
}
