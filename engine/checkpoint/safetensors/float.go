package safetensors

import (
	"encoding/binary"
	"math"
)

// floats returns the conversion of a raw floating-point format to T.
func floats[T float32 | float64](d DType) (convert func(dst []T, src []byte), ok bool) {
	switch d {
	case F16:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(half(binary.LittleEndian.Uint16(src[2*i:])))
			}
		}, true
	case BF16:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16))
			}
		}, true
	case F32:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
			}
		}, true
	case F64:
		return func(dst []T, src []byte) {
			for i := range dst {
				dst[i] = T(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
			}
		}, true
	}
	return nil, false
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
