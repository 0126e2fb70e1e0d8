package safetensors

import (
	"math"
	"math/bits"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
)

// DType names the number format of a tensor as the header spells it.
type DType = raw.DType

// The formats that this package converts. Others of the specification can be
// listed but not read.
const (
	Bool = raw.Bool
	U8   = raw.U8
	I8   = raw.I8
	I16  = raw.I16
	U16  = raw.U16
	F16  = raw.F16
	BF16 = raw.BF16
	I32  = raw.I32
	U32  = raw.U32
	F32  = raw.F32
	F64  = raw.F64
	I64  = raw.I64
	U64  = raw.U64
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

// rank returns the place of a format in the layout order, or -1 if it is
// unknown.
func rank(d DType) int {
	for i, f := range formats {
		if f.dtype == d {
			return i
		}
	}
	return -1
}

// byteSize returns the bytes that a tensor of the format with this rank and
// this shape occupies; ok is false where the size overflows or is no whole
// number of bytes.
func byteSize(rank int, shape []int) (size int64, ok bool) {
	n, ok := raw.Count(shape)
	if !ok {
		return 0, false
	}
	hi, b := bits.Mul64(uint64(n), formats[rank].bits)
	if hi != 0 || b%8 != 0 || b/8 > math.MaxInt64 {
		return 0, false
	}
	return int64(b / 8), true
}
