// Package stored describes tensors as the files of a checkpoint hold them. What
// it says is the same for every container of tensors.
package stored

// DType names the number format of a stored tensor. The names are those of the
// safetensors specification, for tensors of other containers too.
type DType string

// The formats that the containers convert. Others can be listed but not read.
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
