package kernel

import (
	"fmt"
	"math"
	"sync"
)

// Int8Depth is the largest number of input features of weights of 8 bits: the
// integers that are summed over more might not fit 32 bits.
const Int8Depth = 1 << 16

// levels is the largest number that an activation becomes.
const levels = 255

// negligible is the spread of a row below which all its values count as zeros:
// the reciprocal of less might not be a number.
const negligible = 0x1p-100

// PackInt8 packs w, [out, in] row-major, rounded to 8 bits: a quarter of the
// memory, and products of integers. in is at most [Int8Depth]; w is copied and
// can be released.
//
// The weights of an output are a scale, the largest of their magnitudes over
// 127, times integers in [-127, 127]. [Linear] rounds each row of x, too, as
// ONNX's DynamicQuantizeLinear does a tensor: to a step, the distance from its
// least to its greatest value, of which one is 0, over 255, times integers in
// [0, 255] less the row's zero point. Sums of their products are exact. Three
// roundings follow: a sum becomes a float32, is multiplied by the step, and then
// by the scale; the bias is added last. So results have the same bits in every
// family, and are wrong by what rounding the weights and activations does.
//
// A row of x whose values spread over less than 2⁻¹⁰⁰ counts as zeros. One with
// a NaN, an infinity or a spread beyond float32 becomes NaN everywhere; so does
// the output of a weight that is NaN or infinite.
func PackInt8(out, in int, w []float32) *Weights[float32] {
	checkMatrix("w", len(w), out, in, in)
	if in > Int8Depth {
		panic(fmt.Sprintf("kernel: weights of 8 bits of %d inputs, more than %d", in, Int8Depth))
	}
	f := familyOf[float32]()
	p := &Weights[float32]{out: out, in: in, columns: f.columns, family: f, group: f.group}
	size := p.panelWords()
	p.words = make([]uint32, (out+f.columns-1)/f.columns*size)
	for o := range out {
		panel, c := p.words[o/f.columns*size:], o%f.columns
		row := w[o*in : (o+1)*in]
		largest := float32(0)
		for _, v := range row {
			largest = max(largest, float32(math.Abs(float64(v))))
		}
		scale, sum := largest/127, int32(0)
		if !(largest <= math.MaxFloat32) {
			scale = float32(math.NaN())
		} else if largest > 0 {
			for i, v := range row {
				q := int32(math.RoundToEven(float64(v) / float64(largest) * 127))
				sum += q
				at := i/p.group*f.columns*p.group + c*p.group + i%p.group
				panel[at/4] |= uint32(uint8(q)) << (at % 4 * 8)
			}
		}
		panel[size-2*f.columns+c] = uint32(sum)
		panel[size-f.columns+c] = math.Float32bits(scale)
	}
	return p
}

// steps8 returns the number of groups of n inputs.
func steps8(n, group int) int { return (n + group - 1) / group }

// steps returns the number of groups of inputs.
func (w *Weights[T]) steps() int { return steps8(w.in, w.group) }

// panelWords returns the size of a panel of weights of 8 bits, in words of four
// bytes, the first the lowest. For each group of inputs it holds the weights of
// its columns, those of a column together; then for each column the sum of its
// weights, and its scale.
func (w *Weights[T]) panelWords() int {
	return w.steps()*w.columns*w.group/4 + 2*w.columns
}

// weight8 returns a weight of 8 bits, an integer.
func weight8(panel []uint32, columns, group, c, i int) int32 {
	at := i/group*columns*group + c*group + i%group
	return int32(int8(panel[at/4] >> (at % 4 * 8)))
}

// Rows8 are rows of activations in 8 bits, rounded as [PackInt8] says: once for
// all the columns of a layer, or of several layers. The zero value is ready, and
// its memory is reused. Different rows may be set, and rows that are set read,
// on different goroutines at once. Weights of 8 bits are all of float32, and so
// are these rows.
type Rows8[T Float] struct {
	m, in  int
	family *family
	// words holds for each row the values of a group of inputs in a word, the
	// first the lowest; then the step, a float32, and the zero point.
	words []uint32
}

// behind is what a row of Rows8 has behind its values, in words: the step and
// the zero point, and room for a vector of values that begins in the row.
const behind = 8

// stride returns the words of a row.
func (q *Rows8[T]) stride() int { return steps8(q.in, q.family.group) + behind }

// Bytes8 returns the size of m rows of n activations in 8 bits, or of a few more.
func Bytes8(m, n int) int64 { return int64(m) * int64(steps8(n, 2)+behind) * 4 }

// Integers tells whether the weights are of 8 bits.
func (w *Weights[T]) Integers() bool { return w.group != 0 }

// Reset makes room for m rows of activations of a layer.
func (q *Rows8[T]) Reset(m int, w *Weights[T]) {
	if !w.Integers() {
		panic("kernel: rows in 8 bits for weights that are not")
	}
	q.m, q.in, q.family = m, w.in, w.family
	if n := m * q.stride(); cap(q.words) < n {
		q.words = make([]uint32, n)
	} else {
		q.words = q.words[:n]
	}
}

// Set rounds rows [lo, hi) of x, [m, in] with row stride ldx.
func (q *Rows8[T]) Set(x []T, ldx, lo, hi int) {
	checkMatrix("x", len(x), q.m, q.in, ldx)
	if lo < 0 || hi < lo || hi > q.m {
		panic(fmt.Sprintf("kernel: rows [%d, %d) of %d", lo, hi, q.m))
	}
	if lo < hi && q.in > 0 {
		stride := q.stride()
		q.family.quantize(q.words[lo*stride:hi*stride], stride, any(x[lo*ldx:]).([]float32), ldx, hi-lo, q.in, q.family.group)
	}
}

// Linear8 is [Linear] for rows that are rounded already: m of them from the row
// lo. w is of the layer that q was made ready for, or of one with as many inputs
// that was packed for the same family.
func Linear8[T Float](dst []T, ldd int, q *Rows8[T], lo, m int, w *Weights[T], bias []T) {
	checkMatrix("dst", len(dst), m, w.out, ldd)
	if bias != nil && len(bias) != w.out {
		panic(fmt.Sprintf("kernel: bias has %d values for %d outputs", len(bias), w.out))
	}
	if w.group == 0 || w.family != q.family || w.in != q.in || lo < 0 || m < 0 || lo+m > q.m {
		panic(fmt.Sprintf("kernel: %d of %d rows of %d values in 8 bits for other weights", m, q.m, q.in))
	}
	switch stride := q.stride(); {
	case m == 0 || w.out == 0:
	case w.in == 0:
		for r := range m {
			clear(dst[r*ldd : r*ldd+w.out])
			copy(dst[r*ldd:], bias)
		}
	default:
		w.family.product8(any(dst).([]float32), ldd, q.words[lo*stride:], stride, m, any(w).(*Weights[float32]), any(bias).([]float32))
	}
}

// rows8 holds rows for linear8, to be reused.
var rows8 = sync.Pool{New: func() any { return new(Rows8[float32]) }}

// linear8 is Linear for weights of 8 bits, some rows at a time.
func linear8(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32) {
	const together = 144
	q := rows8.Get().(*Rows8[float32])
	defer rows8.Put(q)
	for lo := 0; lo < m; lo += together {
		rows := min(together, m-lo)
		q.Reset(rows, w)
		q.Set(x[lo*ldx:], ldx, 0, rows)
		Linear8(dst[lo*ldd:], ldd, q, 0, rows, w, bias)
	}
}

// quantize is the specification of Rows8.Set: m rows of n values, in groups.
func quantize(words []uint32, stride int, x []float32, ldx, m, n, group int) {
	for r := range m {
		row, to := x[r*ldx:r*ldx+n], words[r*stride:(r+1)*stride]
		least, greatest := float32(0), float32(0)
		for _, v := range row {
			least, greatest = min(least, v), max(greatest, v) // NaN if one is
		}
		spread := greatest - least
		step, inverse := spread/levels, levels/spread
		if spread < negligible {
			step, inverse = 0, 0
		}
		clear(to)
		steps := steps8(n, group)
		if !(spread <= math.MaxFloat32) {
			to[steps] = math.Float32bits(float32(math.NaN()))
			continue
		}
		zero := -int32(math.RoundToEven(float64(float32(least * inverse))))
		for i, v := range row {
			q := int32(math.RoundToEven(float64(float32(v*inverse)))) + zero
			to[i/group] |= uint32(min(q, levels)) << (i % group * 32 / group)
		}
		to[steps], to[steps+1] = math.Float32bits(step), uint32(zero)
	}
}

// product8 is the specification of the products of integers: m rows of Rows8
// with the weights, which are not of 0 inputs.
func product8(dst []float32, ldd int, rows []uint32, stride, m int, w *Weights[float32], bias []float32) {
	n, group, steps := w.columns, w.group, w.steps()
	size := w.panelWords()
	for c := range w.out {
		panel := w.words[c/n*size:][:size]
		sumOfWeights := int32(panel[size-2*n+c%n])
		scale := math.Float32frombits(panel[size-n+c%n])
		for r := range m {
			row := rows[r*stride:]
			step, zero := math.Float32frombits(row[steps]), int32(row[steps+1])
			sum := -zero * sumOfWeights
			for i := range w.in {
				q := row[i/group] >> (i % group * 32 / group) & levels
				sum += int32(q) * weight8(panel, n, group, c%n, i)
			}
			y := float32(float32(sum)*step) * scale
			if bias != nil {
				y = float32(y) + bias[c]
			}
			dst[r*ldd+c] = y
		}
	}
}
