package torch

import (
	"bytes"
	"fmt"
	"io"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// File is an open file of torch.save. It keeps the description of the tensors
// in memory; a tensor is read when it is asked for. Its methods may be called
// at the same time from many goroutines, as far as the underlying io.ReaderAt
// allows.
type File struct {
	r       io.ReaderAt
	size    int64
	swapped bool // values are big-endian
	names   []string
	tensors map[string]*tensor
}

// Open reads the description of the tensors in a file of the given size in
// bytes. The tensors are those of the dict that the file holds, or of the dict
// that training loops put into it under "state_dict", "model_state_dict" or
// "model"; what else is there is ignored.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size, tensors: map[string]*tensor{}}
	start := make([]byte, min(size, 512))
	if err := f.readAt(start, 0); err != nil {
		return nil, err
	}
	var root any
	var err error
	switch {
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		root, err = f.readZip()
	case bytes.HasPrefix(start, []byte{0x80}):
		root, err = f.readLegacy()
	case len(start) > 262 && string(start[257:262]) == "ustar":
		err = &UnsupportedError{Feature: "the tar container of PyTorch before 0.1.10"}
	default:
		err = malformed(0, "it begins neither like a zip archive nor like a pickle: this is no file of torch.save")
	}
	if err != nil {
		return nil, err
	}
	return f, f.collect(root)
}

// wrappers are the keys under which training loops put a state dict, in the
// order of preference.
var wrappers = []string{"state_dict", "model_state_dict", "model"}

// collect takes the tensors out of the value of a file.
func (f *File) collect(root any) error {
	d, ok := root.(*dict)
	if !ok {
		return &UnsupportedError{Feature: fmt.Sprintf("a file that holds a %s instead of a dict of tensors", kind(root))}
	}
	for _, wrapper := range wrappers {
		if inner := d.wrapped(wrapper); inner != nil {
			d = inner
			break
		}
	}
	for _, p := range d.pairs {
		name, ok := p.key.(string)
		t, ok2 := p.value.(*tensor)
		if !ok || !ok2 {
			continue
		}
		if len(name) > maxName {
			return malformed(0, "the name of a tensor has %d bytes", len(name))
		}
		if f.tensors[name] != nil {
			return malformed(0, "the tensor %q is there twice", name)
		}
		f.tensors[name] = t
		f.names = append(f.names, name)
	}
	return nil
}

// wrapped returns the dict of tensors under a key, nil where there is none.
func (d *dict) wrapped(key string) *dict {
	for _, p := range d.pairs {
		inner, ok := p.value.(*dict)
		if !ok || p.key != key {
			continue
		}
		for _, p := range inner.pairs {
			if _, ok := p.value.(*tensor); ok {
				return inner
			}
		}
	}
	return nil
}

// Names returns the names of all tensors in the order of the file. The caller
// must not change it.
func (f *File) Names() []string { return f.names }

// Tensor returns the description of a tensor.
func (f *File) Tensor(name string) (stored.Info, bool) {
	t, ok := f.tensors[name]
	if !ok {
		return stored.Info{}, false
	}
	return stored.Info{Name: name, DType: t.storage.dtype, Shape: t.shape}, true
}

// ReadF32 returns the values of an F32, F16, BF16 or F64 tensor as float32;
// F64 values are rounded to nearest even.
func (f *File) ReadF32(name string) ([]float32, error) {
	return read(f, name, raw.FloatForm, raw.Floats[float32])
}

// ReadF64 returns the values of an F64, F32, F16 or BF16 tensor as float64.
func (f *File) ReadF64(name string) ([]float64, error) {
	return read(f, name, raw.FloatForm, raw.Floats[float64])
}

// ReadBits returns the bits of the values of an F16 or BF16 tensor.
func (f *File) ReadBits(name string) ([]uint16, error) {
	return read(f, name, raw.BitForm, raw.Bits)
}

// ReadI64 returns the values of a tensor of any integer format or of BOOL as
// int64.
func (f *File) ReadI64(name string) ([]int64, error) {
	return read(f, name, raw.IntForm, raw.Ints)
}

// read returns the values of a tensor, row-major, in the form that conversion
// gives. What it allocates is bounded by the storage of the tensor, which Open
// has compared with the file, because no value is read twice.
func read[T any](f *File, name string, form raw.Form, conversion func(stored.DType) (raw.Convert[T], int, bool)) ([]T, error) {
	t, ok := f.tensors[name]
	if !ok {
		return nil, fmt.Errorf("torch: %w: %q", ErrNotFound, name)
	}
	convert, width, ok := conversion(t.storage.dtype)
	if !ok {
		return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("reading %s as %s", t.storage.dtype, form.Name), Hint: form.Hint()}
	}
	v, ok := viewOf(t)
	if !ok {
		return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("a view whose values overlap (shape %v, strides %v)", t.shape, t.strides), Hint: "save a copy of it, as its method clone makes one"}
	}
	begin := t.storage.offset + int64(t.offset)*int64(width)
	if v.contiguous() {
		return raw.Read(f.valuesAt(width), begin, v.elements, width, convert)
	}
	return gather(v, f.valuesAt(width), begin, width, convert)
}

// valuesAt reads whole values of so many bytes, little-endian.
func (f *File) valuesAt(width int) raw.ReadAt {
	if !f.swapped {
		return f.readAt
	}
	return func(p []byte, offset int64) error {
		if err := f.readAt(p, offset); err != nil {
			return err
		}
		for ; len(p) > 0; p = p[width:] {
			for i, j := 0, width-1; i < j; i, j = i+1, j-1 {
				p[i], p[j] = p[j], p[i]
			}
		}
		return nil
	}
}

// readAt fills p or says why it cannot. Offsets it is given lie within the
// size that Open was told.
func (f *File) readAt(p []byte, offset int64) error {
	return raw.Fill("torch", f.r, p, offset, malformed)
}
