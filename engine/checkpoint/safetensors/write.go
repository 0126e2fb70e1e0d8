package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// Tensor is a tensor to be written.
type Tensor struct {
	Name  string
	Shape []int // row-major; empty for a scalar

	// Data is a []float32, []float64, []int8, []int16, []int32, []int64,
	// []uint8 or []bool of as many values as the shape has; its type decides
	// the format (F32 … BOOL).
	Data any
}

// Write writes a whole file. The result depends on the names, shapes, data
// and metadata alone, not on the order of tensors: they are laid out as the
// reference does it, widest format first and by name within a format, and the
// header is padded with spaces to a multiple of eight bytes.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	all, err := place(tensors)
	if err != nil {
		return err
	}
	header, err := headerOf(all, metadata)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, raw.Chunk)
	var prefix [8]byte
	binary.LittleEndian.PutUint64(prefix[:], uint64(len(header)))
	out.Write(prefix[:]) // bufio.Writer keeps the first error for Flush
	out.Write(header)
	for _, e := range all {
		if err := writeData(out, e.Data); err != nil {
			return fmt.Errorf("safetensors: writing tensor %q: %w", e.Name, err)
		}
	}
	return out.Flush()
}

// placed is a tensor in the order of the file.
type placed struct {
	Tensor
	dtype stored.DType
	size  int64 // bytes
}

// place returns the tensors in the order of the file.
func place(tensors []Tensor) ([]placed, error) {
	all := make([]placed, len(tensors))
	seen := map[string]bool{"__metadata__": true}
	for i, t := range tensors {
		dtype, length, err := formatOf(t)
		if err != nil {
			return nil, err
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("safetensors: tensor name %q is taken", t.Name)
		}
		seen[t.Name] = true
		for _, dim := range t.Shape {
			if dim < 0 {
				return nil, fmt.Errorf("safetensors: tensor %q has the negative dimension %d", t.Name, dim)
			}
		}
		if n, ok := raw.Count(t.Shape); !ok || n != length {
			return nil, fmt.Errorf("safetensors: tensor %q has %d values, which is not the product of its shape %v", t.Name, length, t.Shape)
		}
		size, ok := byteSize(rank(dtype), t.Shape)
		if !ok {
			return nil, fmt.Errorf("safetensors: tensor %q is too large", t.Name)
		}
		all[i] = placed{t, dtype, size}
	}
	slices.SortFunc(all, func(a, b placed) int {
		if a.dtype != b.dtype {
			return rank(b.dtype) - rank(a.dtype)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, nil
}

// headerOf returns the header of a file, padded.
func headerOf(all []placed, metadata map[string]string) ([]byte, error) {
	var header bytes.Buffer
	enc := json.NewEncoder(&header)
	enc.SetEscapeHTML(false)
	encode := func(v any) error { // without the line break that Encode appends
		err := enc.Encode(v)
		header.Truncate(header.Len() - 1)
		return err
	}
	header.WriteByte('{')
	if len(metadata) > 0 {
		header.WriteString(`"__metadata__":{`)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				header.WriteByte(',')
			}
			if err := encode(key); err != nil {
				return nil, err
			}
			header.WriteByte(':')
			if err := encode(metadata[key]); err != nil {
				return nil, err
			}
		}
		header.WriteByte('}')
	}
	offset := int64(0)
	for i, e := range all {
		if i > 0 || len(metadata) > 0 {
			header.WriteByte(',')
		}
		if err := encode(e.Name); err != nil {
			return nil, err
		}
		header.WriteByte(':')
		shape := e.Shape
		if shape == nil {
			shape = []int{}
		}
		if err := encode(struct {
			DType   stored.DType `json:"dtype"`
			Shape   []int        `json:"shape"`
			Offsets [2]int64     `json:"data_offsets"`
		}{e.dtype, shape, [2]int64{offset, offset + e.size}}); err != nil {
			return nil, err
		}
		offset += e.size
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	if header.Len() > maxHeader {
		return nil, fmt.Errorf("safetensors: the header would have %d bytes, more than the %d a file may have", header.Len(), maxHeader)
	}
	return header.Bytes(), nil
}

// formatOf returns the format and the number of values of a tensor's data.
func formatOf(t Tensor) (stored.DType, int, error) {
	switch data := t.Data.(type) {
	case []float32:
		return stored.F32, len(data), nil
	case []float64:
		return stored.F64, len(data), nil
	case []int8:
		return stored.I8, len(data), nil
	case []int16:
		return stored.I16, len(data), nil
	case []int32:
		return stored.I32, len(data), nil
	case []int64:
		return stored.I64, len(data), nil
	case []uint8:
		return stored.U8, len(data), nil
	case []bool:
		return stored.Bool, len(data), nil
	default:
		return "", 0, fmt.Errorf("safetensors: tensor %q: cannot write data of type %T", t.Name, t.Data)
	}
}

func writeData(w io.Writer, data any) error {
	switch data := data.(type) {
	case []float32:
		return writeChunks(w, data)
	case []float64:
		return writeChunks(w, data)
	case []int8:
		return writeChunks(w, data)
	case []int16:
		return writeChunks(w, data)
	case []int32:
		return writeChunks(w, data)
	case []int64:
		return writeChunks(w, data)
	case []bool:
		return writeChunks(w, data)
	default:
		_, err := w.Write(data.([]uint8))
		return err
	}
}

// writeChunks encodes piece by piece, because binary.Write buffers all of what
// it is given.
func writeChunks[T any](w io.Writer, data []T) error {
	const piece = 8192
	for len(data) > 0 {
		n := min(len(data), piece)
		if err := binary.Write(w, binary.LittleEndian, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
