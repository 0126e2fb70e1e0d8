package torch

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/engine/checkpoint/internal/torchfile"
)

// TestViews compares views of any order and with any gaps with their
// definition: value (i₀, i₁, …) is value offset + Σ iₖ·strideₖ of the storage.
func TestViews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rank := rapid.IntRange(0, 4).Draw(t, "rank")
		shape, strides := make([]int, rank), make([]int, rank)
		order := rapid.Permutation([]int{0, 1, 2, 3}[:rank]).Draw(t, "order")
		offset := rapid.IntRange(0, 5).Draw(t, "offset")
		step, last := 1, offset
		for _, d := range order {
			shape[d] = rapid.IntRange(0, 5).Draw(t, "size")
			strides[d] = step + rapid.IntRange(0, 3).Draw(t, "gap")
			last += max(shape[d]-1, 0) * strides[d]
			step = last - offset + 1
		}
		f := openView(t, last+1, offset, shape, strides)
		got, err := f.ReadF32("a")
		if err != nil {
			t.Fatal(err)
		}
		if want := define(offset, shape, strides); !cmp.Equal(got, want) {
			t.Fatalf("shape %v, strides %v, offset %d: %v, want %v", shape, strides, offset, got, want)
		}
	})
}

// define returns the values of a view of the storage 0, 1, 2, …
func define(offset int, shape, strides []int) []float32 {
	if len(shape) == 0 {
		return []float32{float32(offset)}
	}
	values := []float32{}
	for i := range shape[0] {
		values = append(values, define(offset+i*strides[0], shape[1:], strides[1:])...)
	}
	return values
}

// openView opens a legacy file with a view of the storage 0, 1, 2, …
func openView(t interface{ Fatal(...any) }, elements, offset int, shape, strides []int) *File {
	values := make([]float32, elements)
	for i := range values {
		values[i] = float32(i)
	}
	f, err := open(torchfile.StateDict(torchfile.Legacy, torchfile.Tensor{
		Name: "a", Storage: torchfile.Floats("0", values...), Offset: offset, Shape: shape, Strides: strides,
	}))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLargeViews reads views larger than what is read at once, and compares
// what that takes with their size.
func TestLargeViews(t *testing.T) {
	const rows, columns = 300, 400
	for name, v := range map[string]struct{ shape, strides []int }{
		"contiguous":    {[]int{rows, columns}, []int{columns, 1}},
		"transposed":    {[]int{columns, rows}, []int{1, columns}},
		"a column":      {[]int{rows}, []int{columns}},
		"corners":       {[]int{2, 2}, []int{(rows - 1) * columns, columns - 1}},
		"outer of size": {[]int{1, rows, 1, columns}, []int{7, columns, 9, 1}},
	} {
		f := openView(t, rows*columns, 0, v.shape, v.strides)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := f.ReadF32("a")
		runtime.ReadMemStats(&after)
		if err != nil || !slices.Equal(got, define(0, v.shape, v.strides)) {
			t.Errorf("%s: wrong values, %v", name, err)
		}
		if took, most := after.TotalAlloc-before.TotalAlloc, uint64(4*len(got)+300<<10); took > most {
			t.Errorf("%s: %d bytes were allocated, more than %d", name, took, most)
		}
	}
}

// TestOverlap: a view that repeats values is listed and not read, since it
// would take more memory than there are bytes in the file.
func TestOverlap(t *testing.T) {
	for _, v := range []struct{ shape, strides []int }{
		{[]int{1 << 40}, []int{0}},
		{[]int{3, 4}, []int{0, 1}},
		{[]int{3, 4}, []int{1, 1}},
		{[]int{2, 2, 2}, []int{3, 2, 1}},
	} {
		f := openView(t, 12, 0, v.shape, v.strides)
		if info, ok := f.Tensor("a"); !ok || !cmp.Equal(info.Shape, v.shape) {
			t.Errorf("%v is listed as %v", v, info)
		}
		var unsupported *UnsupportedError
		if got, err := f.ReadF32("a"); !errors.As(err, &unsupported) || unsupported.Tensor != "a" || !strings.Contains(err.Error(), ": save a copy") {
			t.Errorf("%v = %v, %v, want an UnsupportedError", v, got, err)
		}
	}
	f := openView(t, 1, 0, []int{5, 0, 3}, []int{0, 0, 0})
	if got, err := f.ReadF32("a"); err != nil || len(got) != 0 {
		t.Errorf("no values = %v, %v", got, err)
	}
}

// TestBigEndian reads a file of a big-endian machine, contiguous and not.
func TestBigEndian(t *testing.T) {
	s := &torchfile.Storage{Key: "0", Class: "FloatStorage", Width: 4, Data: []byte{0x3f, 0x80, 0, 0, 0x40, 0, 0, 0, 0x40, 0x40, 0, 0, 0x40, 0x80, 0, 0}}
	p := &torchfile.Pickle{}
	p.Op("\x80\x02").StateDict(
		torchfile.Tensor{Name: "a", Storage: s, Shape: []int{4}},
		torchfile.Tensor{Name: "b", Storage: s, Shape: []int{2, 2}, Strides: []int{1, 2}},
	).Op(".")
	f, err := open(torchfile.Archive(
		torchfile.Record{Name: "x/data.pkl", Data: p.Bytes()},
		torchfile.Record{Name: "x/byteorder", Data: []byte("big")},
		torchfile.Record{Name: "x/data/0", Data: s.Data},
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{"a": {1, 2, 3, 4}, "b": {1, 3, 2, 4}} {
		if got, err := f.ReadF32(name); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, want)
		}
	}
}

// FuzzOpen feeds files of any content: what opens can be read to the last
// value, or is refused with a typed error, and takes memory in proportion.
func FuzzOpen(f *testing.F) {
	s := torchfile.Floats("0", 1, 2, 3, 4)
	for _, write := range containers {
		f.Add(torchfile.StateDict(write, torchfile.Tensor{Name: "a", Storage: s, Shape: []int{2, 2}, Strides: []int{1, 2}}, torchfile.Tensor{Name: "b", Storage: s, Offset: 1, Shape: []int{2}}))
	}
	f.Add(torchfile.Archive(torchfile.Record{Name: "a/data.pkl", Data: []byte("\x80\x02}.")}))
	f.Add([]byte(torchfile.LegacyStart + "\x80\x02cos\nsystem\n)R."))
	f.Add([]byte(torchfile.LegacyStart + "\x80\x04}\x94(\x8c\x01aN\x85\x94u.]."))
	for _, name := range []string{"trained-zip.bin", "trained-legacy.bin", "protocol4-legacy.bin"} {
		f.Add(fixture(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		defer func() {
			runtime.ReadMemStats(&after)
			if took, most := after.TotalAlloc-before.TotalAlloc, uint64(8<<20+200*len(data)); took > most {
				t.Fatalf("%d bytes were allocated for a file of %d", took, len(data))
			}
		}()
		file, err := open(data)
		if err != nil {
			typed(t, err)
			return
		}
		for i, name := range file.Names() {
			info, ok := file.Tensor(name)
			if !ok {
				t.Fatalf("tensor %q is listed but not there", name)
			}
			if i >= 8 { // each may be as large as the file
				continue
			}
			if values, err := file.ReadF32(name); err != nil {
				typed(t, err)
			} else if len(values) != info.Elements() {
				t.Fatalf("tensor %q: %d values for shape %v", name, len(values), info.Shape)
			}
		}
	})
}

// typed fails unless err is one of this package.
func typed(t *testing.T, err error) {
	t.Helper()
	var format *FormatError
	var unsupported *UnsupportedError
	var refused *RefusedError
	if !errors.As(err, &format) && !errors.As(err, &unsupported) && !errors.As(err, &refused) {
		t.Fatalf("untyped error %v", err)
	}
}
