package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// container puts a header of the given text in front of a buffer.
func container(header string, buffer ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), buffer...)
}

func open(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

func TestReadValues(t *testing.T) {
	buffer := []byte{
		0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0x00, 0x7c, // F16: 1, −2, 65504, 2⁻²⁴, ∞
		0x80, 0x3f, 0x49, 0xc0, // BF16: 1, −3.140625
		0xff, 0x00, 0x80, // I8: −1, 0, −128
		1, 0, // BOOL
		0xfe, 0xff, 0xff, 0xff, // I32: −2
	}
	f, err := open(container(`{"__metadata__":{"format":"pt"},
		"half":{"dtype":"F16","shape":[5],"data_offsets":[0,10]},
		"brain":{"dtype":"BF16","shape":[2,1],"data_offsets":[10,14]},
		"byte":{"dtype":"I8","shape":[3],"data_offsets":[14,17]},
		"flag":{"dtype":"BOOL","shape":[2],"data_offsets":[17,19]},
		"empty":{"dtype":"F32","shape":[0,7],"data_offsets":[19,19]},
		"scalar":{"dtype":"I32","shape":[],"data_offsets":[19,23],"note":{"unknown":["keys","are","skipped"]}}}  `, buffer...))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Names(), []string{"half", "brain", "byte", "flag", "empty", "scalar"}; !cmp.Equal(got, want) {
		t.Errorf("Names() = %v, want %v", got, want)
	}
	if got := f.Metadata()["format"]; got != "pt" {
		t.Errorf(`Metadata()["format"] = %q`, got)
	}
	floats := map[string][]float32{
		"half":  {1, -2, 65504, 0x1p-24, float32(math.Inf(1))},
		"brain": {1, -3.140625},
		"empty": {},
	}
	for name, want := range floats {
		got, err := f.ReadF32(name)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("ReadF32(%q) = %v, %v, want %v", name, got, err, want)
		}
		if bits, err := f.ReadBits(name); name == "empty" {
			if !errors.As(err, new(*UnsupportedError)) {
				t.Errorf("ReadBits of F32: %v, want an UnsupportedError", err)
			}
		} else if err != nil || len(bits) != len(want) || bits[0] != map[string]uint16{"half": 0x3c00, "brain": 0x3f80}[name] {
			t.Errorf("ReadBits(%q) = %#x, %v", name, bits, err)
		}
		wide, err := f.ReadF64(name)
		if err != nil || len(wide) != len(want) {
			t.Errorf("ReadF64(%q) = %v, %v", name, wide, err)
		}
		for i := range wide {
			if wide[i] != float64(want[i]) {
				t.Errorf("ReadF64(%q)[%d] = %v, want %v", name, i, wide[i], want[i])
			}
		}
	}
	integers := map[string][]int64{"byte": {-1, 0, -128}, "flag": {1, 0}, "scalar": {-2}}
	for name, want := range integers {
		if got, err := f.ReadI64(name); err != nil || !cmp.Equal(got, want) {
			t.Errorf("ReadI64(%q) = %v, %v, want %v", name, got, err, want)
		}
	}
	exact := func(v float64) (float64, error) { return v, nil }
	for name, want := range map[string][]float64{"byte": {-1, 0, -128}, "flag": {1, 0}, "scalar": {-2}, "brain": {1, -3.140625}, "empty": {}} {
		if got, err := Convert(f, name, exact); err != nil || !cmp.Equal(got, want) {
			t.Errorf("Convert(%q) = %v, %v, want %v", name, got, err, want)
		}
	}

	var unsupported *UnsupportedError
	if _, err := f.ReadF32("byte"); !errors.As(err, &unsupported) || !strings.HasSuffix(err.Error(), ": save it again as F16, BF16, F32 or F64") {
		t.Errorf("ReadF32 of integers: %v, want an UnsupportedError", err)
	}
	if _, err := f.ReadI64("half"); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), ": save it again as I64") {
		t.Errorf("ReadI64 of floats: %v, want an UnsupportedError", err)
	}
	if _, err := f.ReadF32("none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ReadF32 of no tensor: %v, want ErrNotFound", err)
	}
}

// manyKeys returns the members of a JSON object of n empty strings.
func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%d":""`, i)
	}
	return b.String()[1:]
}

func TestOpenMalformed(t *testing.T) {
	tests := map[string]struct {
		file   []byte
		reason string
	}{
		"empty file":          {nil, "cannot hold"},
		"seven bytes":         {make([]byte, 7), "cannot hold"},
		"header beyond file":  {binary.LittleEndian.AppendUint64(nil, 100), "only 0 follow"},
		"header beyond cap":   {binary.LittleEndian.AppendUint64(nil, 1<<40), "no safetensors file"},
		"length overflows":    {binary.LittleEndian.AppendUint64(nil, 1<<63), "no safetensors file"},
		"no header":           {container(""), "no JSON object"},
		"an array":            {container(`[]`), "no JSON object"},
		"cut JSON":            {container(`{"a":`), "ends early"},
		"broken JSON":         {container(`{"a" 1}`), "where a colon belongs"},
		"invalid UTF-8":       {container("{\"\xff\":1}"), "UTF-8"},
		"text after JSON":     {container(`{} x`), "after the end"},
		"tensor is a number":  {container(`{"a":1}`), "belongs"},
		"deep nesting":        {container(`{"a":{"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`), "nested deeper"},
		"deep header":         {container(strings.Repeat(`{"a":`, 20000)), "nested deeper"},
		"metadata of numbers": {container(`{"__metadata__":{"a":1}}`), "where a string belongs"},
		"two metadata":        {container(`{"__metadata__":{},"__metadata__":{}}`), `duplicate key "__metadata__"`},
		"duplicate metadata":  {container(`{"__metadata__":{"a":"","a":""}}`), `duplicate key "a"`},
		"much metadata":       {container(`{"__metadata__":{` + manyKeys(maxMetadata+1) + `}}`), "more than 65536 keys"},
		"long name":           {container(`{"` + strings.Repeat("x", 1<<20) + `":`), "too long"},
		"long dtype":          {container(`{"a":{"dtype":"` + strings.Repeat("x", 1<<20) + `"`), "too long"},
		"no dtype":            {container(`{"a":{"shape":[],"data_offsets":[0,0]}}`), "no dtype"},
		"no shape":            {container(`{"a":{"dtype":"U8","data_offsets":[0,0]}}`), "no shape"},
		"no offsets":          {container(`{"a":{"dtype":"U8","shape":[]}}`), "no data_offsets"},
		"three offsets":       {container(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 0), "no range"},
		"offsets reversed":    {container(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 0), "no range"},
		"negative dimension":  {container(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 0), "non-negative"},
		"fractional":          {container(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 0), "non-negative"},
		"dimension in text":   {container(`{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 0), "non-negative"},
		"dimension too large": {container(`{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}}`, 0), "non-negative"},
		"shape overflows":     {container(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`), "no size in bytes"},
		"size overflows":      {container(`{"a":{"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]}}`), "no size in bytes"},
		"half a byte":         {container(`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 0), "no size in bytes"},
		"shape and offsets":   {container(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 0, 0, 0, 0), "needs 8"},
		"duplicate tensor":    {container(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 0, 0), `duplicate key "a"`},
		"duplicate escaped":   {container(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 0, 0), `duplicate key "a"`},
		"duplicate field":     {container(`{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 0), `duplicate key "dtype"`},
		"gap at the start":    {container(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 0, 0), "begins at byte 1"},
		"gap":                 {container(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 0, 0, 0), "ends at 1"},
		"overlap":             {container(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 0, 0, 0), "ends at 2"},
		"buffer cut short":    {container(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 0, 0), "cut short"},
		"trailing bytes":      {container(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 0, 0), "1 bytes follow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := open(test.file)
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("Open: %v, want a FormatError", err)
			}
			if !strings.Contains(format.Reason, test.reason) {
				t.Errorf("reason %q does not say %q", format.Reason, test.reason)
			}
			if format.Offset < 0 || format.Offset > int64(len(test.file)) {
				t.Errorf("offset %d is outside of the file of %d bytes", format.Offset, len(test.file))
			}
		})
	}
}

func TestOpenUnsupported(t *testing.T) {
	var unsupported *UnsupportedError
	if _, err := open(container(`{"a":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}}`, make([]byte, 16)...)); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), ": save it again") {
		t.Errorf("an unknown dtype: %v, want an UnsupportedError", err)
	}
	deep := strings.Repeat("1,", maxRank) + "1"
	if _, err := open(container(`{"a":{"dtype":"U8","shape":[`+deep+`],"data_offsets":[0,1]}}`, 0)); !errors.As(err, &unsupported) {
		t.Errorf("65 dimensions: %v, want an UnsupportedError", err)
	}
	f, err := open(container(`{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}`, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadF32("a"); !errors.As(err, &unsupported) {
		t.Errorf("reading F8_E4M3: %v, want an UnsupportedError", err)
	}
	f, err = open(container(`{"a":{"dtype":"U64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]}}`, 255, 255, 255, 255, 255, 255, 255, 255, 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadI64("a"); !errors.As(err, &unsupported) {
		t.Errorf("reading 2⁶⁴−1: %v, want an UnsupportedError", err)
	}
	if got, err := Convert(f, "a", func(v float64) (float64, error) { return v, nil }); err != nil || got[0] != 1<<64 {
		t.Errorf("converting 2⁶⁴−1: %v, %v", got, err)
	}
	var format *FormatError
	if _, err := f.ReadI64("b"); !errors.As(err, &format) {
		t.Errorf("reading the BOOL 2: %v, want a FormatError", err)
	}
}

// TestConvert: every value is passed on, in order, up to the first one that is
// refused.
func TestConvert(t *testing.T) {
	const n = 200_000 // of several pieces
	values := make([]int32, n)
	for i := range values {
		values[i] = int32(i)
	}
	var b bytes.Buffer
	if err := Write(&b, []Tensor{{"x", []int{n}, values}}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := open(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Convert(f, "x", func(v float64) (int32, error) { return int32(v), nil })
	if err != nil || !slices.Equal(got, values) {
		t.Errorf("%d values, %v", len(got), err)
	}
	seen, refused := 0, errors.New("refused")
	_, err = Convert(f, "x", func(v float64) (int32, error) {
		if seen++; v == 5000 {
			return 0, refused
		}
		return 0, nil
	})
	if err != refused || seen != 5001 {
		t.Errorf("%v after %d values", err, seen)
	}
}

// shrinking is a file whose end moves.
type shrinking struct{ data []byte }

func (s *shrinking) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(s.data).ReadAt(p, off)
}

func TestFileShrinks(t *testing.T) {
	data := container(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)...)
	s := &shrinking{data}
	f, err := Open(s, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	s.data = data[:len(data)-1]
	var format *FormatError
	if _, err := f.ReadF32("a"); !errors.As(err, &format) || format.Offset != int64(len(data)-1) {
		t.Errorf("ReadF32 of a file that shrank: %v", err)
	}
	if _, err := Open(s, int64(len(data))); !errors.As(err, &format) {
		t.Errorf("Open with a size that lies: %v", err)
	}
}

// TestHugeHeader opens headers of some megabytes that hold as much structure as
// can be, and compares all that was allocated with their length.
func TestHugeHeader(t *testing.T) {
	const size = 4 << 20
	many := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	long := strings.Repeat("x", size)
	for name, header := range map[string]string{
		"tensors":   many(`,"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`),
		"shapes":    many(`,"%x":{"dtype":"U8","shape":[0` + strings.Repeat(",0", maxRank-1) + `],"data_offsets":[0,0]}`),
		"unknown":   many(`,"%x":{"a":[[],[]],"b":{"":{}},"c":"\\n","dtype":"U8","shape":[0],"data_offsets":[0,0]}`),
		"metadata":  `{"__metadata__":` + many(`,"%x":"`+long[:64<<10]+`"`) + `}`,
		"long rest": `{"a":{"x":"` + long + `","dtype":"U8","shape":[0],"data_offsets":[0,0]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := container(header)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, err := open(file)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			ratio := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(header))
			t.Logf("%d tensors, %.2f bytes allocated for each of the header", len(f.header.entries), ratio)
			if ratio > 3 {
				t.Errorf("%.2f bytes were allocated for each of the header", ratio)
			}
		})
	}
}

type failing struct{ io.ReaderAt }

func (failing) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestReadErrorIsKept(t *testing.T) {
	if _, err := Open(failing{}, 100); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Open: %v, want the reader's own error", err)
	}
}

func TestWriteRoundTrip(t *testing.T) {
	long := make([]float32, 70000) // more than one chunk
	for i := range long {
		long[i] = float32(i) / 7
	}
	tensors := []Tensor{
		{"b <&>", []int{2}, []uint8{3, 4}},
		{"a", []int{2}, []uint8{1, 2}},
		{"long", []int{700, 100}, long},
		{"f64", nil, []float64{math.NaN()}},
		{"i8", []int{1}, []int8{-1}},
		{"i16", []int{1}, []int16{-2}},
		{"i32", []int{1}, []int32{-3}},
		{"i64", []int{1}, []int64{math.MinInt64}},
		{"bool", []int{1, 2}, []bool{true, false}},
		{"none", []int{3, 0}, []float32{}},
	}
	var one, two bytes.Buffer
	if err := Write(&one, tensors, map[string]string{"z": "1", "a": "é"}); err != nil {
		t.Fatal(err)
	}
	for i, j := 0, len(tensors)-1; i < j; i, j = i+1, j-1 {
		tensors[i], tensors[j] = tensors[j], tensors[i]
	}
	if err := Write(&two, tensors, map[string]string{"a": "é", "z": "1"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the file depends on the order of the tensors")
	}
	f, err := open(one.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"i64", "f64", "long", "none", "i32", "i16", "i8", "a", "b <&>", "bool"}; !cmp.Equal(f.Names(), want) {
		t.Errorf("layout %v, want %v", f.Names(), want)
	}
	if want := map[string]string{"a": "é", "z": "1"}; !cmp.Equal(f.Metadata(), want) {
		t.Errorf("metadata %v, want %v", f.Metadata(), want)
	}
	if f.buffer%8 != 0 {
		t.Errorf("the buffer begins at byte %d, which is not aligned", f.buffer)
	}
	if got, err := f.ReadF32("long"); err != nil || !cmp.Equal(got, long) {
		t.Errorf("long: %v", err)
	}
	if got, err := f.ReadF64("f64"); err != nil || !math.IsNaN(got[0]) {
		t.Errorf("f64 = %v, %v", got, err)
	}
	for name, want := range map[string][]int64{
		"i8": {-1}, "i16": {-2}, "i32": {-3}, "i64": {math.MinInt64}, "bool": {1, 0}, "b <&>": {3, 4},
	} {
		if got, err := f.ReadI64(name); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, want)
		}
	}
}

// TestWriteLayout holds the bytes to those of the reference writer.
func TestWriteLayout(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, []Tensor{{"x", []int{2}, []uint8{7, 8}}, {"y", nil, []float32{1}}}, map[string]string{"format": "pt"})
	if err != nil {
		t.Fatal(err)
	}
	header := `{"__metadata__":{"format":"pt"},"y":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"x":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}`
	for len(header)%8 != 0 {
		header += " "
	}
	if want := container(header, 0, 0, 0x80, 0x3f, 7, 8); !bytes.Equal(b.Bytes(), want) {
		t.Errorf("wrote %q, want %q", b.Bytes(), want)
	}
}

func TestWriteRefuses(t *testing.T) {
	tests := map[string][]Tensor{
		"shape and data":     {{"a", []int{3}, []uint8{1, 2}}},
		"negative dimension": {{"a", []int{-1, -2}, []uint8{1, 2}}},
		"overflow":           {{"a", []int{1 << 62, 4}, []uint8{}}},
		"type of data":       {{"a", nil, []string{"x"}}},
		"no data":            {{"a", nil, nil}},
		"same name":          {{"a", nil, []uint8{1}}, {"a", nil, []uint8{1}}},
		"reserved name":      {{"__metadata__", nil, []uint8{1}}},
	}
	for name, tensors := range tests {
		t.Run(name, func(t *testing.T) {
			if err := Write(io.Discard, tensors, nil); err == nil {
				t.Error("Write succeeded")
			}
		})
	}
	if err := Write(brokenWriter{}, []Tensor{{"a", nil, []uint8{1}}}, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write to a broken writer: %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
