package core

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/engine/checkpoint/stored"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/words"
)

// tensorFile is an open .safetensors file.
type tensorFile struct {
	*safetensors.File
	path string
	file *os.File
}

// openTensors opens a .safetensors file, which is read until ctx is done. Pipes
// and devices, which could be read once at best, or without end, are refused
// before they are opened: opening a pipe waits for a writer.
func openTensors(ctx context.Context, path, hint string) (*tensorFile, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, &Error{Kind: KindInput, Msg: path + " is no regular file", Hint: hint}
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Kind: KindInput, Msg: "cannot read " + path + ": it does not exist", Hint: "check the path; " + hint, Err: err}
	}
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return nil, &Error{Kind: KindInput, Msg: "cannot read " + path + ": " + err.Error(), Hint: hint, Err: err}
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() { // another file took its place
		err = os.ErrInvalid
	}
	var st *safetensors.File
	if err == nil {
		st, err = safetensors.Open(until{ctx, file}, info.Size())
	}
	if err != nil {
		file.Close()
		return nil, input(path, err, hint)
	}
	return &tensorFile{File: st, path: path, file: file}, nil
}

// Close closes the file.
func (f *tensorFile) Close() error { return f.file.Close() }

// until reads a file until ctx is done.
type until struct {
	ctx  context.Context
	file *os.File
}

// ReadAt implements io.ReaderAt.
func (u until) ReadAt(p []byte, offset int64) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.file.ReadAt(p, offset)
}

// editTensors reads the tensors that the edits of a request take from files,
// within a budget in bytes. Files stay open, and the values that were read last
// stay known, since all points of a glob may want the same.
type editTensors struct {
	ctx    context.Context
	budget int64
	bytes  int64 // of all that was read
	files  map[string]*tensorFile

	last   [2]string // the file and the name of values
	values []float64
}

// find finds the first of some tensors that a file has; it is a point.Tensors.
func (e *editTensors) find(path string, names []string) (point.Tensor, error) {
	f, ok := e.files[path]
	if !ok {
		var err error
		f, err = openTensors(e.ctx, path, "an edit takes tensors from a .safetensors file, as xai activations -o writes it")
		if err != nil {
			return point.Tensor{}, err
		}
		e.files[path] = f
	}
	for _, name := range names {
		if info, ok := f.Tensor(name); ok {
			return point.Tensor{Name: name, Shape: info.Shape, Read: func() ([]float64, error) { return e.read(f, info) }}, nil
		}
	}
	return point.Tensor{}, &Error{
		Kind: KindInput, Msg: path + " has no tensor " + words.Or(slices.Compact(names)...),
		Hint: "it has " + strings.Join(first(f.Names(), 8), ", ") + "; name one with FILE#NAME",
	}
}

// read returns the values of a tensor.
func (e *editTensors) read(f *tensorFile, info stored.Info) ([]float64, error) {
	if of := [2]string{f.path, info.Name}; e.last != of {
		if e.bytes += int64(info.Elements()) * 8; e.bytes > e.budget {
			return nil, engineError(f.path, &engine.MemoryError{What: "the tensors of the edits", Need: e.bytes, Budget: e.budget})
		}
		values, err := f.ReadF64(info.Name)
		if err != nil {
			return nil, input(f.path, err, "")
		}
		e.last, e.values = of, values
	}
	return e.values, nil
}

// close closes the files.
func (e *editTensors) close() {
	for _, f := range e.files {
		f.Close()
	}
}
