// Package raw is what the containers of checkpoints have in common: the number
// formats of stored tensors, and their conversion piece by piece, so that to
// read a tensor takes no memory worth mention beside its result.
package raw

import "math/bits"

// DType names the number format of a stored tensor. The names are those of the
// safetensors specification, for tensors of other containers too.
type DType string

// The formats that have a conversion here. Others can be listed but not read.
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

// Info describes a stored tensor whose container has been verified: the size
// of its values does not overflow.
type Info struct {
	Name  string
	DType DType
	Shape []int // row-major; empty for a scalar
}

// Elements returns the number of values.
func (i Info) Elements() int {
	n := 1
	for _, dim := range i.Shape {
		n *= dim
	}
	return n
}

// Count multiplies a shape; ok is false where the product exceeds an int.
func Count(shape []int) (n int, ok bool) {
	n = 1
	for _, dim := range shape {
		hi, lo := bits.Mul64(uint64(n), uint64(dim))
		if hi != 0 || int(lo) < 0 || uint64(int(lo)) != lo {
			return 0, false
		}
		n = int(lo)
	}
	return n, true
}
