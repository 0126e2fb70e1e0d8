package safetensors

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzOpen feeds files of any content: what opens must tile its buffer and be
// readable to the last value; what does not must say so with a typed error.
func FuzzOpen(f *testing.F) {
	var valid bytes.Buffer
	if err := Write(&valid, []Tensor{
		{"w", []int{2, 2}, []float32{1, 2, 3, 4}}, {"i", []int{3}, []int64{1, 2, 3}}, {"m", []int{1}, []bool{true}},
	}, map[string]string{"format": "pt"}); err != nil {
		f.Fatal(err)
	}
	f.Add(valid.Bytes())
	f.Add(valid.Bytes()[:valid.Len()-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := open(data)
		if err != nil {
			var format *FormatError
			var unsupported *UnsupportedError
			if !errors.As(err, &format) && !errors.As(err, &unsupported) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		total := int64(0)
		for _, name := range file.Names() {
			info, ok := file.Tensor(name)
			if !ok {
				t.Fatalf("tensor %q is listed but not there", name)
			}
			total += int64(info.Elements()) * int64(formats[rank(info.DType)].bits) / 8
			if values, err := file.ReadF32(name); err == nil && len(values) != info.Elements() {
				t.Fatalf("tensor %q: %d values for shape %v", name, len(values), info.Shape)
			}
			if values, err := file.ReadI64(name); err == nil && len(values) != info.Elements() {
				t.Fatalf("tensor %q: %d values for shape %v", name, len(values), info.Shape)
			}
		}
		if total != int64(len(data))-file.buffer {
			t.Fatalf("the tensors hold %d bytes of a buffer of %d", total, int64(len(data))-file.buffer)
		}
	})
}
