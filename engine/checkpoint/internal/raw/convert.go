package raw

import (
	"encoding/binary"
	"math"

	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// Form is what values can be read as.
type Form struct {
	Name    string
	Formats string // of the tensors that can be read so
}

// Hint says what to do with a tensor that cannot be read so.
func (f Form) Hint() string { return "save it again as " + f.Formats }

// The forms of [Floats], [Bits] and [Ints].
var (
	FloatForm = Form{"floating-point numbers", "F16, BF16, F32 or F64"}
	BitForm   = Form{"16-bit floating-point numbers", "F16 or BF16"}
	IntForm   = Form{"integers", "I64 or a shorter format of integers"}
)

// Convert turns little-endian bytes into len(dst) values.
type Convert[T any] func(dst []T, src []byte)

// Floats returns the conversion of a floating-point format to T, and the bytes
// of a stored value. F64 is rounded to float32 to nearest even.
func Floats[T float32 | float64](d stored.DType) (convert Convert[T], width int, ok bool) {
	switch d {
	case stored.F16:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(half(binary.LittleEndian.Uint16(src[2*i:])))
			}
		}, 2, true
	case stored.BF16:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16))
			}
		}, 2, true
	case stored.F32:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
			}
		}, 4, true
	case stored.F64:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
			}
		}, 8, true
	}
	return nil, 0, false
}

// Bits returns the conversion of a 16-bit floating-point format to its bits.
func Bits(d stored.DType) (convert Convert[uint16], width int, ok bool) {
	if d != stored.F16 && d != stored.BF16 {
		return nil, 0, false
	}
	return func(dst []uint16, src []byte) {
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint16(src[2*i:])
		}
	}, 2, true
}

// Ints returns the conversion of an integer format or of BOOL to int64, and the
// bytes of a stored value. U64 beyond int64 comes out negative.
func Ints(d stored.DType) (convert Convert[int64], width int, ok bool) {
	switch d {
	case stored.Bool, stored.U8:
		return func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(src[i])
			}
		}, 1, true
	case stored.I8:
		return func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(int8(src[i]))
			}
		}, 1, true
	case stored.I16:
		return func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(int16(binary.LittleEndian.Uint16(src[2*i:])))
			}
		}, 2, true
	case stored.U16:
		return func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(binary.LittleEndian.Uint16(src[2*i:]))
			}
		}, 2, true
	case stored.I32:
		return func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(int32(binary.LittleEndian.Uint32(src[4*i:])))
			}
		}, 4, true
	case stored.U32:
		return func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(binary.LittleEndian.Uint32(src[4*i:]))
			}
		}, 4, true
	case stored.I64, stored.U64:
		return func(dst []int64, src []byte) {
			for i := range dst {
				dst[i] = int64(binary.LittleEndian.Uint64(src[8*i:]))
			}
		}, 8, true
	}
	return nil, 0, false
}

// half returns the value of an IEEE 754 binary16 number, exactly: one sign
// bit, five bits of exponent with bias 15, ten bits of fraction.
func half(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h) & 0x3ff
	switch exponent {
	case 0: // zero and the subnormals: fraction · 2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	default:
		return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
	}
}
