package safetensors

import "math/bits"

// DType names the number format of a tensor as the header spells it.
type DType string

// The formats that this package converts. Others of the specification can be
// listed but not read.
const (
	Bool DType = "BOOL"
	U8   DType = "U8"
	I8   DType = "I8"
	I16  DType = "I16"
	U16  DType = "U16"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I32  DType = "I32"
	U32  DType = "U32"
	F32  DType = "F32"
	F64  DType = "F64"
	I64  DType = "I64"
	U64  DType = "U64"
)

// formats lists every format of the specification by increasing alignment,
// the order in which the reference writer lays tensors out (backwards).
var formats = []struct {
	dtype DType
	bits  uint64
}{
	{Bool, 8},
	{"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
	{U8, 8}, {I8, 8},
	{"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
	{I16, 16}, {U16, 16}, {F16, 16}, {BF16, 16},
	{I32, 32}, {U32, 32}, {F32, 32},
	{"C64", 64}, {F64, 64}, {I64, 64}, {U64, 64},
}

// rank returns the place of d in the layout order, or -1 if d is unknown.
func (d DType) rank() int {
	for i, f := range formats {
		if f.dtype == d {
			return i
		}
	}
	return -1
}

// elements multiplies a shape; ok is false where the product overflows.
func elements(shape []int) (n uint64, ok bool) {
	n = 1
	for _, dim := range shape {
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 {
			return 0, false
		}
		n = lo
	}
	return n, true
}

// byteSize returns the bytes that a tensor of this format and shape occupies;
// ok is false where the size overflows or is no whole number of bytes.
func (d DType) byteSize(shape []int) (size int64, ok bool) {
	n, ok := elements(shape)
	if !ok {
		return 0, false
	}
	hi, b := bits.Mul64(n, formats[d.rank()].bits)
	if hi != 0 || b%8 != 0 {
		return 0, false
	}
	return int64(b / 8), true
}
