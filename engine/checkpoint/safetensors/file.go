package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// File is an open safetensors file. It keeps the header alone in memory; a
// tensor is read when it is asked for. Its methods may be called at the same
// time from many goroutines, as far as the underlying io.ReaderAt allows.
type File struct {
	r      io.ReaderAt
	buffer int64 // offset of the buffer in the file
	header *header
}

// Open reads and verifies the header of a file of the given size in bytes.
// The memory it takes is less than three times the length of the header, at most
// 100 MB, and 10 MB beside it. The length is compared with size before anything is
// allocated.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r}
	if size < 8 {
		return nil, malformed(0, "%d bytes cannot hold the length of a header", size)
	}
	var prefix [8]byte
	if err := f.readAt(prefix[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader {
		return nil, malformed(0, "the header claims %d bytes, more than the %d a safetensors file may have: this is no safetensors file", n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, malformed(0, "the header claims %d bytes, but only %d follow", n, size-8)
	}
	f.buffer = 8 + int64(n)
	// The size is somebody's word as well: a read of the last byte holds it to that.
	var first, last [1]byte
	if err := f.readAt(last[:], size-1); err != nil {
		return nil, err
	}
	if err := f.readAt(first[:min(n, 1)], 8); err != nil {
		return nil, err
	}
	if first[0] != '{' {
		return nil, malformed(8, "the header is no JSON object: this is no safetensors file")
	}
	var err error
	if f.header, err = parseHeader(&stream{f, 8, f.buffer}, int(n), 8); err != nil {
		return nil, err
	}
	end := int64(0)
	if entries := f.header.entries; len(entries) > 0 {
		end = entries[len(entries)-1].stop
	}
	if have := size - f.buffer; have < end {
		return nil, malformed(size, "the file ends after %d bytes of its buffer of %d: it is cut short", have, end)
	} else if have > end {
		return nil, malformed(f.buffer+end, "%d bytes follow the last tensor", have-end)
	}
	return f, nil
}

// stream reads a part of a file from its beginning to its end.
type stream struct {
	f        *File
	at, stop int64
}

func (s *stream) Read(p []byte) (int, error) {
	if s.at == s.stop {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), s.stop-s.at)]
	if err := s.f.readAt(p, s.at); err != nil {
		return 0, err
	}
	s.at += int64(len(p))
	return len(p), nil
}

// Names returns the names of all tensors in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.header.entries))
	for i, e := range f.header.entries {
		names[i] = f.header.name(e)
	}
	return names
}

// Metadata returns the strings under "__metadata__". It is never nil; the
// caller must not change it.
func (f *File) Metadata() map[string]string { return f.header.metadata }

// Tensor returns the description of a tensor.
func (f *File) Tensor(name string) (stored.Info, bool) {
	i, ok := f.header.find(name)
	if !ok {
		return stored.Info{}, false
	}
	return f.header.info(f.header.entries[i]), true
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

// ReadI64 returns the values of a tensor of any integer format or of BOOL
// (0 and 1) as int64.
func (f *File) ReadI64(name string) ([]int64, error) {
	values, err := read(f, name, raw.IntForm, raw.Ints)
	if err != nil {
		return nil, err
	}
	i, _ := f.header.find(name)
	e := f.header.entries[i]
	for i, v := range values {
		switch dtype := formats[e.rank].dtype; {
		case dtype == stored.Bool && v > 1:
			return nil, malformed(f.buffer+e.begin+int64(i), "tensor %q: %d is no BOOL", name, v)
		case dtype == stored.U64 && v < 0:
			return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("the value %d, beyond int64,", uint64(v)), Hint: "save it again with values below 2⁶³"}
		}
	}
	return values, nil
}

// read returns the values of a tensor in the form that conversion gives. What
// it allocates is safe: Open has compared the extent of every tensor with the
// file.
func read[T any](f *File, name string, form raw.Form, conversion func(stored.DType) (raw.Convert[T], int, bool)) ([]T, error) {
	i, ok := f.header.find(name)
	if !ok {
		return nil, fmt.Errorf("safetensors: %w: %q", ErrNotFound, name)
	}
	e := f.header.entries[i]
	dtype := formats[e.rank].dtype
	convert, width, ok := conversion(dtype)
	if !ok {
		return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("reading %s as %s", dtype, form.Name), Hint: form.Hint()}
	}
	return raw.Read(f.readAt, f.buffer+e.begin, int(e.stop-e.begin)/width, width, convert)
}

// readAt fills p or says why it cannot. Offsets it is given lie within the
// size that Open was told.
func (f *File) readAt(p []byte, offset int64) error {
	return raw.Fill("safetensors", f.r, p, offset, malformed)
}
