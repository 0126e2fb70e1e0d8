package kernel

import "fmt"

// Mul computes dst ∘= x, value by value.
func Mul[T Float](dst, x []T) {
	checkLengths("product", len(dst), len(x))
	if x, ok := any(x).([]float32); ok {
		active.Load().mul(any(dst).([]float32), x)
		return
	}
	mul(dst, x)
}

// Scale computes dst *= a.
func Scale[T Float](dst []T, a T) {
	if dst, ok := any(dst).([]float32); ok {
		active.Load().scale(dst, float32(a))
		return
	}
	scale(dst, a)
}

// AddScaled computes dst += a·x.
func AddScaled[T Float](dst []T, a T, x []T) {
	checkLengths("sum", len(dst), len(x))
	if x, ok := any(x).([]float32); ok {
		active.Load().addScaled(any(dst).([]float32), float32(a), x)
		return
	}
	addScaled(dst, a, x)
}

// Dot returns Σ x·y. The order of the sum is fixed by its length.
func Dot[T Float](x, y []T) T {
	checkLengths("dot product", len(x), len(y))
	if x, ok := any(x).([]float32); ok {
		return T(active.Load().dot(x, any(y).([]float32)))
	}
	return dot(x, y)
}

// Rotate applies rotary position embeddings (Su et al. 2021, RoFormer) in place
// to x, [rows, heads·e] with row stride ld, in the layout of GPT-NeoX and LLaMA:
// the values i and half + i of a head, i < half, are a vector in the plane, and
// turn together by the angle i of the row, whose cosine and sine are cos and
// sin, [rows, half]. Values of a head past 2·half stay as they are.
func Rotate[T Float](x []T, ld, rows, heads, e, half int, cos, sin []T) {
	turn(x, ld, rows, heads, e, half, cos, sin, false)
}

// RotateBack is the inverse of [Rotate] where cos² + sin² = 1, and in any case
// its transpose: what a gradient takes on its way back through it.
func RotateBack[T Float](x []T, ld, rows, heads, e, half int, cos, sin []T) {
	turn(x, ld, rows, heads, e, half, cos, sin, true)
}

func turn[T Float](x []T, ld, rows, heads, e, half int, cos, sin []T, back bool) {
	checkMatrix("x", len(x), rows, heads*e, ld)
	if heads < 0 || half < 0 || 2*half > e || len(cos) != rows*half || len(sin) != rows*half {
		panic(fmt.Sprintf("kernel: rotation of %d values of heads of %d by [%d, %d] angles, %d cosines and %d sines",
			2*half, e, rows, half, len(cos), len(sin)))
	}
	if rows == 0 || heads == 0 || half == 0 {
		return
	}
	if x, ok := any(x).([]float32); ok {
		active.Load().rotate(x, ld, rows, heads, e, half, any(cos).([]float32), any(sin).([]float32), back)
		return
	}
	rotate(x, ld, rows, heads, e, half, cos, sin, back)
}
