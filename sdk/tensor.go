package sdk

// DType is the element type of a tensor, with its code in the ABI.
type DType uint32

// The element types.
const (
	U8   DType = 0
	I32  DType = 1
	I64  DType = 2
	F32  DType = 3
	F64  DType = 4
	BF16 DType = 5 // of the host's tensors alone; Go has no slice for it
)

// Size returns the bytes of one element, 0 for an unknown type.
func (d DType) Size() int {
	switch d {
	case U8:
		return 1
	case BF16:
		return 2
	case I32, F32:
		return 4
	case I64, F64:
		return 8
	}
	return 0
}

// String returns the lower-case name.
func (d DType) String() string {
	names := [...]string{"u8", "i32", "i64", "f32", "f64", "bf16"}
	if int(d) < len(names) {
		return names[d]
	}
	return "unknown"
}

// Tensor is a dense row-major array. Data is a []uint8, []int32, []int64,
// []float32 or []float64 of exactly the product of Shape elements.
type Tensor struct {
	Shape []int
	Data  any
}

// Element is a type that a tensor can hold.
type Element interface {
	uint8 | int32 | int64 | float32 | float64
}

// NewTensor returns a tensor over data, which it does not copy. It panics
// where the length of data is not the product of shape.
func NewTensor[T Element](data []T, shape ...int) *Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if n != len(data) {
		panic("sdk: the shape of a tensor does not match its data")
	}
	return &Tensor{Shape: shape, Data: data}
}

// Values returns the elements of t as a slice of T, without a copy. It is an
// *Error of code EInvalid where they are of another type.
func Values[T Element](t *Tensor) ([]T, error) {
	v, ok := t.Data.([]T)
	if !ok {
		return nil, NewError(EInvalid, "the tensor holds "+t.DType().String()+" and something else was asked for")
	}
	return v, nil
}

// DType returns the type of t's elements.
func (t *Tensor) DType() DType {
	switch t.Data.(type) {
	case []uint8:
		return U8
	case []int32:
		return I32
	case []int64:
		return I64
	case []float32:
		return F32
	case []float64:
		return F64
	}
	return DType(^uint32(0))
}

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}
