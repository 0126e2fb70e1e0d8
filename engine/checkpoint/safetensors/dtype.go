package safetensors

import (
	"math"
	"math/bits"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// formats lists every format of the specification by increasing alignment,
// the order in which the reference writer lays tensors out (backwards).
var formats = []struct {
	dtype stored.DType
	bits  uint64
}{
	{stored.Bool, 8},
	{"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
	{stored.U8, 8}, {stored.I8, 8},
	{"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
	{stored.I16, 16}, {stored.U16, 16}, {stored.F16, 16}, {stored.BF16, 16},
	{stored.I32, 32}, {stored.U32, 32}, {stored.F32, 32},
	{"C64", 64}, {stored.F64, 64}, {stored.I64, 64}, {stored.U64, 64},
}

// rank returns the place of a format in the layout order, or -1 if it is
// unknown.
func rank(d stored.DType) int {
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
