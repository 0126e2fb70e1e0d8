// Package num is the arithmetic of explanation methods: elementary functions,
// sums, random numbers and regressions whose bits are the same on every
// machine, in process and in a WebAssembly sandbox.
//
// Package math cannot promise that: Exp, Log and others are Go on one machine
// and assembly on another. Nor can plain expressions: where the processor has
// a fused multiply-add, the compiler may use it for x*y + z. So everything here
// is pure Go, adds in a fixed order, and converts each product that meets a
// sum, float64(x*y), which the language defines to round. Methods that want the
// same promise do likewise; math.Sqrt, Abs, Floor and the other functions that
// IEEE 754 defines exactly are safe to call.
//
// The promise covers every bit but the sign and payload of a NaN.
//
// The package imports nothing that makes a module large: no fmt, no reflection.
// Its functions panic where a caller's slices do not fit each other, as an
// index out of range does, and return an *Error for data that cannot be
// computed with. Functions are safe for concurrent use; generators are not.
package num

// Float is an element of the vectors that sums take.
type Float interface{ float32 | float64 }

// Error says which argument cannot be computed with, and why.
type Error struct {
	Argument string // as the function's documentation names it, for example "weights"
	Reason   string // what is wrong, and what it must be
}

// Error returns one sentence.
func (e *Error) Error() string { return "num: " + e.Argument + ": " + e.Reason }

// block is the length below which a sum is taken from left to right.
const block = 32

// Sum returns x[0] + x[1] + … in float64, by halves: its error grows with
// log₂(len(x)/32) + 32 roundings, not with len(x) (Higham, "The accuracy of
// floating point summation", SIAM J. Sci. Comput. 14, 1993).
func Sum[F Float](x []F) float64 {
	if len(x) > block {
		half := len(x) / 2
		return Sum(x[:half]) + Sum(x[half:])
	}
	s := 0.0
	for _, v := range x {
		s += float64(v)
	}
	return s
}

// Dot returns x[0]·y[0] + x[1]·y[1] + … in float64, summed like Sum. It panics
// where the lengths differ.
func Dot[F Float](x, y []F) float64 {
	if len(x) != len(y) {
		panic("num: Dot of vectors of different lengths")
	}
	if len(x) > block {
		half := len(x) / 2
		return Dot(x[:half], y[:half]) + Dot(x[half:], y[half:])
	}
	s := 0.0
	for i, v := range x {
		a, b := float64(v), float64(y[i])
		s += float64(a * b)
	}
	return s
}
