package model

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/xai-go/xai/bench/onnx"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/internal/virtual"
)

// weightsFile is the file of weights that all graphs of a model share.
const weightsFile = "weights.bin"

// Write writes a model of that shape into dir: config.json and
// model.safetensors, and each of the graphs as its Name with the ending .onnx.
// The same seed gives the same bytes. Weights of BERT-base or GPT-2-small take
// 0.9 to 1.3 GB, and half of that in memory while they are written.
func Write(s virtual.Shape, dir string, seed uint64, graphs []Graph) (err error) {
	tensors := random(s, seed)
	config, err := json.Marshal(s.Config())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o666); err != nil {
		return err
	}
	err = write(filepath.Join(dir, "model.safetensors"), func(w io.Writer) error {
		var all []safetensors.Tensor
		for _, t := range tensors {
			all = append(all, safetensors.Tensor{Name: t.name, Shape: t.shape, Data: t.values})
		}
		return safetensors.Write(w, all, map[string]string{"format": "pt"})
	})
	if err != nil || len(graphs) == 0 {
		return err
	}
	return write(filepath.Join(dir, weightsFile), func(w io.Writer) error {
		x := exporter{shape: s, tensors: map[string]tensor{}, weights: onnx.NewWeights(w, weightsFile), placed: map[string]onnx.Tensor{}}
		for _, t := range tensors {
			x.tensors[t.name] = t
		}
		for _, g := range graphs {
			data, err := x.encode(g)
			if err != nil {
				return fmt.Errorf("%s: %w", g.Name(), err)
			}
			if err := os.WriteFile(filepath.Join(dir, g.Name()+".onnx"), data, 0o666); err != nil {
				return err
			}
		}
		return nil
	})
}

// write creates a file and has f fill it.
func write(name string, f func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	return errors.Join(f(w), w.Flush(), file.Close())
}

// exporter writes graphs over one file of weights.
type exporter struct {
	shape   virtual.Shape
	tensors map[string]tensor
	weights *onnx.Weights
	placed  map[string]onnx.Tensor // what the file has
}

// linear is an affine map, y = x·weight + bias, weight [in, out].
type linear struct {
	in, out      int
	weight, bias []float32
}

// linear returns the named layers side by side: their outputs follow each other.
func (x *exporter) linear(names ...string) linear {
	var parts []linear
	sum := linear{}
	for _, name := range names {
		w, b := x.tensors[name+".weight"], x.tensors[name+".bias"]
		part := linear{w.shape[0], w.shape[1], w.values, b.values}
		if x.shape.Type == virtual.BERT { // torch's Linear is [out, in], GPT-2's Conv1D [in, out]
			part = linear{w.shape[1], w.shape[0], transposed(w), b.values}
		}
		parts = append(parts, part)
		sum.in, sum.out = part.in, sum.out+part.out
	}
	if len(parts) == 1 {
		return parts[0]
	}
	for i := range sum.in {
		for _, p := range parts {
			sum.weight = append(sum.weight, p.weight[i*p.out:(i+1)*p.out]...)
		}
	}
	for _, p := range parts {
		sum.bias = append(sum.bias, p.bias...)
	}
	return sum
}

// columns returns the outputs [lo, hi) of a layer.
func (l linear) columns(lo, hi int) linear {
	part := linear{in: l.in, out: hi - lo, bias: l.bias[lo:hi]}
	for i := range l.in {
		part.weight = append(part.weight, l.weight[i*l.out+lo:i*l.out+hi]...)
	}
	return part
}

// transposed returns the values of a matrix column by column.
func transposed(t tensor) []float32 {
	rows, columns := t.shape[0], t.shape[1]
	out := make([]float32, len(t.values))
	for i := range rows {
		for j, v := range t.values[i*columns : (i+1)*columns] {
			out[j*rows+i] = v
		}
	}
	return out
}

// quantized returns w ≈ scale·q with q of −127 … 127, one scale for the whole
// matrix: what onnxruntime.quantization.quantize_dynamic makes of a weight by
// default.
func quantized(w []float32) (q []int8, scale float32) {
	scale = max(slices.Max(w), -slices.Min(w)) / 127
	q = make([]int8, len(w))
	for i, v := range w {
		q[i] = int8(min(max(roundEven(v/scale), -127), 127))
	}
	return q, scale
}
