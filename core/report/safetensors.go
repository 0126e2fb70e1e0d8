package report

import (
	"bytes"
	"io"
	"slices"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// Safetensors writes the numbers of e as tensors: input_ids as I64, and as F64
// each attribution under its name, its standard errors as NAME.stderr, and each
// further tensor. The metadata have the explanation as JSON under
// "explanation", where values that are tensors are null.
func Safetensors(w io.Writer, e *core.Explanation) error {
	ids := make([]int64, len(e.Input.InputIDs))
	for i, id := range e.Input.InputIDs {
		ids[i] = int64(id)
	}
	tensors := []safetensors.Tensor{{Name: "input_ids", Shape: []int{len(ids)}, Data: ids}}
	add := func(name string, shape []int, values []core.Float) {
		data := make([]float64, len(values))
		for i, v := range values {
			data[i] = float64(v)
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, Shape: shape, Data: data})
	}
	rest := *e
	rest.Attributions = slices.Clone(e.Attributions)
	for i, a := range e.Attributions {
		add(a.Name, []int{len(a.Values)}, a.Values)
		if a.Stderr != nil {
			add(a.Name+".stderr", []int{len(a.Stderr)}, a.Stderr)
		}
		rest.Attributions[i].Values, rest.Attributions[i].Stderr = nil, nil
	}
	rest.Tensors = slices.Clone(e.Tensors)
	for i, t := range e.Tensors {
		add(t.Name, t.Shape, t.Values)
		rest.Tensors[i].Values = nil
	}
	var text bytes.Buffer
	if err := JSON(&text, rest); err != nil {
		return err
	}
	return safetensors.Write(w, tensors, map[string]string{"explanation": string(bytes.TrimSpace(text.Bytes()))})
}
