package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// chunk is how much of a tensor is in raw form at a time, in bytes.
const chunk = 256 << 10

// File is an open safetensors file. It keeps the header alone in memory; a
// tensor is read when it is asked for. Its methods may be called at the same
// time from many goroutines, as far as the underlying io.ReaderAt allows.
type File struct {
	r        io.ReaderAt
	buffer   int64 // offset of the buffer in the file
	infos    []Info
	index    map[string]int
	metadata map[string]string
}

// Open reads and verifies the header of a file of the given size in bytes.
// The memory it takes is bounded by the length of the header, which is
// compared with size before anything is allocated.
func Open(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, index: map[string]int{}}
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
	// The size is somebody's word as well: a read of the last byte holds it to that.
	if err := f.readAt(make([]byte, 1), size-1); err != nil {
		return nil, err
	}
	header := make([]byte, n)
	if err := f.readAt(header, 8); err != nil {
		return nil, err
	}
	var err error
	if f.infos, f.metadata, err = parseHeader(header, 8); err != nil {
		return nil, err
	}
	f.buffer = 8 + int64(n)
	end := int64(0)
	for i, info := range f.infos {
		f.index[info.Name] = i
		end = info.end
	}
	if have := size - f.buffer; have < end {
		return nil, malformed(size, "the file ends after %d bytes of its buffer of %d: it is cut short", have, end)
	} else if have > end {
		return nil, malformed(f.buffer+end, "%d bytes follow the last tensor", have-end)
	}
	return f, nil
}

// Names returns the names of all tensors in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.infos))
	for i, info := range f.infos {
		names[i] = info.Name
	}
	return names
}

// Metadata returns the strings under "__metadata__". It is never nil; the
// caller must not change it.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensor returns the description of a tensor.
func (f *File) Tensor(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	return f.infos[i], true
}

// ReadF32 returns the values of an F32, F16, BF16 or F64 tensor as float32;
// F64 values are rounded to nearest even.
func (f *File) ReadF32(name string) ([]float32, error) { return readFloat[float32](f, name) }

// ReadF64 returns the values of an F64, F32, F16 or BF16 tensor as float64.
func (f *File) ReadF64(name string) ([]float64, error) { return readFloat[float64](f, name) }

// ReadI64 returns the values of a tensor of any integer format or of BOOL
// (0 and 1) as int64.
func (f *File) ReadI64(name string) ([]int64, error) {
	info, ok := f.Tensor(name)
	if !ok {
		return nil, notFound(name)
	}
	var convert func(dst []int64, src []byte)
	switch info.DType {
	case Bool, U8:
		convert = func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(src[i])
			}
		}
	case I8:
		convert = func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(int8(src[i]))
			}
		}
	case I16:
		convert = func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(int16(binary.LittleEndian.Uint16(src[2*i:])))
			}
		}
	case U16:
		convert = func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(binary.LittleEndian.Uint16(src[2*i:]))
			}
		}
	case I32:
		convert = func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(int32(binary.LittleEndian.Uint32(src[4*i:])))
			}
		}
	case U32:
		convert = func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(binary.LittleEndian.Uint32(src[4*i:]))
			}
		}
	case I64, U64:
		convert = func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(binary.LittleEndian.Uint64(src[8*i:]))
			}
		}
	default:
		return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("reading %s as integers", info.DType)}
	}
	dst, err := read(f, info, convert)
	if err != nil {
		return nil, err
	}
	for i, v := range dst {
		if info.DType == Bool && v > 1 {
			return nil, malformed(f.buffer+info.begin+int64(i), "tensor %q: %d is no BOOL", name, v)
		}
		if info.DType == U64 && v < 0 {
			return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("the value %d, beyond int64,", uint64(v))}
		}
	}
	return dst, nil
}

// ReadU8 returns the values of a U8 or BOOL tensor.
func (f *File) ReadU8(name string) ([]uint8, error) {
	info, ok := f.Tensor(name)
	if !ok {
		return nil, notFound(name)
	}
	if info.DType != U8 && info.DType != Bool {
		return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("reading %s as bytes", info.DType)}
	}
	return read(f, info, func(dst []uint8, src []byte) { copy(dst, src) })
}

func readFloat[T float32 | float64](f *File, name string) ([]T, error) {
	info, ok := f.Tensor(name)
	if !ok {
		return nil, notFound(name)
	}
	convert, ok := floats[T](info.DType)
	if !ok {
		return nil, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("reading %s as floating-point numbers", info.DType)}
	}
	return read(f, info, convert)
}

// read fetches a tensor chunk by chunk and converts each. The allocation is
// safe: Open has compared the extent of every tensor with the file.
func read[T any](f *File, info Info, convert func(dst []T, src []byte)) ([]T, error) {
	n := info.Elements()
	dst := make([]T, n)
	if n == 0 {
		return dst, nil
	}
	width := int(info.Bytes() / int64(n))
	raw := make([]byte, min(info.Bytes(), chunk))
	for done := 0; done < n; {
		k := min(n-done, len(raw)/width)
		src := raw[:k*width]
		if err := f.readAt(src, f.buffer+info.begin+int64(done)*int64(width)); err != nil {
			return nil, err
		}
		convert(dst[done:done+k], src)
		done += k
	}
	return dst, nil
}

// readAt fills p or says why it cannot. Offsets it is given lie within the
// size that Open was told, so an early end means that the file has shrunk.
func (f *File) readAt(p []byte, offset int64) error {
	n, err := f.r.ReadAt(p, offset)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return malformed(offset+int64(n), "the file ends early: it is smaller than it was, or than its size claims")
	default:
		return fmt.Errorf("safetensors: reading %d bytes at byte %d: %w", len(p), offset, err)
	}
}

func notFound(name string) error { return fmt.Errorf("safetensors: %w: %q", ErrNotFound, name) }
