package onnx

import "io"

// page is what tensors in a file of weights begin at a multiple of.
const page = 4096

// Weights is a file of weights that lies beside the models that use it. Several
// models may share tensors of one file.
type Weights struct {
	name string
	w    io.Writer
	at   int64
}

// NewWeights returns an empty file of weights that is written to w and found
// by name, relative to the models.
func NewWeights(w io.Writer, name string) *Weights { return &Weights{name: name, w: w} }

// Put writes the values of a tensor and returns the tensor that refers to them.
func (f *Weights) Put(t Tensor) (Tensor, error) {
	padding := (page - f.at%page) % page
	n, err := f.w.Write(make([]byte, padding))
	f.at += int64(n)
	if err != nil {
		return t, err
	}
	t.file, t.offset, t.length = f.name, f.at, int64(len(t.raw))
	n, err = f.w.Write(t.raw)
	f.at += int64(n)
	t.raw = nil
	return t, err
}
