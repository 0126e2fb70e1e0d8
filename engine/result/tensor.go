package result

import "github.com/xai-go/xai/engine/arch"

// Tensor is a value in the number format of the model, row-major: exactly one
// of F32 and F64 is set.
type Tensor struct {
	Shape []int
	F32   []float32
	F64   []float64
}

// NewTensor returns a tensor of zeros.
func NewTensor(dtype arch.DType, shape ...int) Tensor {
	n := 1
	for _, dim := range shape {
		n *= dim
	}
	if dtype == arch.F64 {
		return Tensor{Shape: shape, F64: make([]float64, n)}
	}
	return Tensor{Shape: shape, F32: make([]float32, n)}
}

// Float64 returns the values as float64, which is exact.
func (t Tensor) Float64() []float64 {
	if t.F64 != nil {
		return t.F64
	}
	return converted[float64](t.F32)
}

// Float32 returns the values as float32, rounded to nearest even.
func (t Tensor) Float32() []float32 {
	if t.F32 != nil {
		return t.F32
	}
	return converted[float32](t.F64)
}

func converted[T, S float32 | float64](values []S) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = T(v)
	}
	return out
}

// Len returns the number of values.
func (t Tensor) Len() int { return len(t.F32) + len(t.F64) }
