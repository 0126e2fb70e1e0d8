package checkpoint

import (
	"fmt"
	"math"
	"slices"

	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// ValueError reports a weight that is no finite number, or none that the
// format to compute in can hold.
type ValueError struct {
	File  string
	Name  string
	At    []int // coordinates of the first such value in the tensor
	Value float64
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("%s: tensor %s holds %v at %v, and nothing can be computed with that: the file is damaged, or the training failed; get the model again", e.File, e.Name, e.Value, e.At)
}

// nonFinite returns the index of the first NaN or infinity, and the value, or
// −1.
func nonFinite[T float32 | float64](values []T) (int, float64) {
	for i, v := range values {
		if v-v != 0 {
			return i, float64(v)
		}
	}
	return -1, 0
}

// nonFiniteBits does so for bits of F16 or BF16: the exponent is all ones, and
// the fraction is zero for infinity alone.
func nonFiniteBits(format stored.DType, bits []uint16) (int, float64) {
	exponent := uint16(0x7c00)
	if format == stored.BF16 {
		exponent = 0x7f80
	}
	for i, b := range bits {
		if b&exponent == exponent {
			switch {
			case b&0x7fff != exponent:
				return i, math.NaN()
			case b>>15 == 1:
				return i, math.Inf(-1)
			}
			return i, math.Inf(1)
		}
	}
	return -1, 0
}

// coordinates returns the place of value i in a row-major tensor.
func coordinates(i int, shape []int) []int {
	at := []int{}
	for _, dim := range slices.Backward(shape) {
		at = append(at, i%dim)
		i /= dim
	}
	slices.Reverse(at)
	return at
}
