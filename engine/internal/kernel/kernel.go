// Package kernel holds the numeric loops of the engine: packed matrix
// products, attention, normalisation, softmax and activations.
//
// Every operation is generic over float32 and float64. float64 always runs the
// plain Go loops of generic.go, which are the specification and the reference;
// float32 runs the kernel family that [Family] names, chosen when the process
// starts and by [Select].
//
// Within one family the bits of a row of a result depend on that row's inputs
// alone: not on the number of rows, on its position among them, on how rows or
// columns are split over threads, nor on the strides. The order of every sum
// is fixed by its length.
//
// Between families results differ by rounding. The errors of the assembly are
// bounded as the functions say, in units in the last place (ulp) of the exact
// result; activations and softmax may flush results smaller than 2⁻¹¹⁸ to 0.
//
// All functions are safe for concurrent use on disjoint outputs. None retains
// its arguments, and none allocates in steady state. Matrices are row-major
// with a row stride counted in elements. Lengths and strides that do not fit
// are programmer errors and panic.
package kernel

import "fmt"

// Float is an element type that the kernels compute in.
type Float interface{ float32 | float64 }

// Weights is the matrix of a linear layer, y = x·Wᵀ + b, packed once for the
// kernel family that was selected when it was packed. It is immutable and safe
// for concurrent use.
type Weights[T Float] struct {
	out, in int
	// panels holds ⌈out/columns⌉ panels of [in, columns] values: panel p holds
	// the output columns p·columns … and is padded with zeros past out.
	panels  []T
	halves  []uint16 // the panels of weights of 16 bits, instead of panels
	format  Half     // of halves; 0 if there are none
	words   []uint32 // the panels of weights of 8 bits, instead of panels
	group   int      // inputs that lie together in words; 0 if there are none
	columns int
	family  *family
}

// Pack packs w, [out, in] row-major as PyTorch stores a Linear layer. w is
// copied and can be released.
func Pack[T Float](out, in int, w []T) *Weights[T] {
	checkMatrix("w", len(w), out, in, in)
	f := familyOf[T]()
	n := f.columns
	p := &Weights[T]{out: out, in: in, columns: n, family: f}
	p.panels = make([]T, (out+n-1)/n*n*in)
	for o := range out {
		panel := p.panels[o/n*n*in:]
		for i := range in {
			panel[i*n+o%n] = w[o*in+i]
		}
	}
	return p
}

// Dims returns the number of output and of input features.
func (w *Weights[T]) Dims() (out, in int) { return w.out, w.in }

// PanelColumns returns the number of output columns that are computed together:
// the bounds that [Weights.Columns] accepts are multiples of it.
func (w *Weights[T]) PanelColumns() int { return w.columns }

// Columns returns a view of the output columns [lo, hi), so that a product
// with few rows can be split over threads. lo must be a multiple of
// [Weights.PanelColumns], and so must hi unless it is the number of outputs.
// The bits of a column are the same in every view.
func (w *Weights[T]) Columns(lo, hi int) *Weights[T] {
	if lo < 0 || hi < lo || hi > w.out || lo%w.columns != 0 || hi%w.columns != 0 && hi != w.out {
		panic(fmt.Sprintf("kernel: columns [%d, %d) of %d outputs in panels of %d", lo, hi, w.out, w.columns))
	}
	v := *w
	v.out = hi - lo
	first, last := lo/w.columns, (hi+w.columns-1)/w.columns
	size := w.columns * w.in
	switch {
	case w.group != 0:
		size = w.panelWords()
		v.words = w.words[first*size : last*size]
	case w.format != 0:
		v.halves = w.halves[first*size : last*size]
	default:
		v.panels = w.panels[first*size : last*size]
	}
	return &v
}

// Linear computes dst = x·Wᵀ + bias for m rows: dst is [m, out] with row stride
// ldd, x is [m, in] with row stride ldx, and bias is [out] or nil. dst must not
// overlap x. Work is split over threads by the caller: by rows, or by
// [Weights.Columns] where rows are few.
func Linear[T Float](dst []T, ldd int, x []T, ldx, m int, w *Weights[T], bias []T) {
	checkMatrix("dst", len(dst), m, w.out, ldd)
	checkMatrix("x", len(x), m, w.in, ldx)
	if bias != nil && len(bias) != w.out {
		panic(fmt.Sprintf("kernel: bias has %d values for %d outputs", len(bias), w.out))
	}
	if m == 0 || w.out == 0 {
		return
	}
	if x, ok := any(x).([]float32); ok {
		w := any(w).(*Weights[float32])
		multiply := w.family.linear
		switch {
		case w.group != 0:
			multiply = linear8
		case w.format != 0:
			multiply = w.family.linear16
		}
		multiply(any(dst).([]float32), ldd, x, ldx, m, w, any(bias).([]float32))
		return
	}
	linear(dst, ldd, x, ldx, m, w, bias)
}

// Add computes dst += x.
func Add[T Float](dst, x []T) {
	if len(dst) != len(x) {
		panic(fmt.Sprintf("kernel: add %d values to %d", len(x), len(dst)))
	}
	if x, ok := any(x).([]float32); ok {
		active.Load().add(any(dst).([]float32), x)
		return
	}
	add(dst, x)
}

// LayerNorm normalises each row of x, [len(x)/d, d], into dst:
// (x − mean)/√(var + eps)·gamma + beta, with the biased variance over the d
// values of a row. gamma and beta are [d]. dst may be x.
func LayerNorm[T Float](dst, x []T, d int, gamma, beta []T, eps float64) {
	if d <= 0 || len(x)%d != 0 || len(dst) != len(x) || len(gamma) != d || len(beta) != d {
		panic(fmt.Sprintf("kernel: layer norm of %d values into %d, rows of %d, gamma %d, beta %d",
			len(x), len(dst), d, len(gamma), len(beta)))
	}
	if x, ok := any(x).([]float32); ok {
		active.Load().layerNorm(any(dst).([]float32), x, d, any(gamma).([]float32), any(beta).([]float32), float32(eps))
		return
	}
	layerNorm(dst, x, d, gamma, beta, T(eps))
}

// Softmax replaces row by exp(row − max)/Σ exp(row − max). A row that is −Inf
// everywhere becomes 0; a row with a NaN or a +Inf becomes NaN.
func Softmax[T Float](row []T) { SoftmaxRows(row, len(row), 1, len(row)) }

// SoftmaxRows is [Softmax] for each of the rows of x, [rows, n] with row stride
// ld. Values of −Inf that lie behind a multiple of 16 change no bit of the others.
func SoftmaxRows[T Float](x []T, ld, rows, n int) {
	checkMatrix("x", len(x), rows, n, ld)
	if rows == 0 || n == 0 {
		return
	}
	if x, ok := any(x).([]float32); ok {
		active.Load().softmax(x, ld, rows, n)
		return
	}
	softmax(x, ld, rows, n)
}

// GELU applies x·Φ(x) = x/2·(1 + erf(x/√2)) in place: "gelu" of PyTorch. The
// error is at most 7 ulp, in the tails too.
func GELU[T Float](x []T) {
	if x, ok := any(x).([]float32); ok {
		active.Load().gelu(x)
		return
	}
	gelu(x)
}

// GELUTanh applies x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))) in place:
// "gelu_new", "gelu_pytorch_tanh" and "gelu_fast". The error is at most 4 ulp,
// and 2.5·|z| more where the result is about x·exp(z) with z < 0: that is what
// rounding z means.
func GELUTanh[T Float](x []T) {
	if x, ok := any(x).([]float32); ok {
		active.Load().gate(x, geluTanhLinear, geluTanhCubic)
		return
	}
	gate(x, geluTanhLinear, geluTanhCubic)
}

// QuickGELU applies x·σ(1.702·x) in place, σ the logistic function. The error
// is bounded like that of [GELUTanh].
func QuickGELU[T Float](x []T) {
	if x, ok := any(x).([]float32); ok {
		active.Load().gate(x, quickGELULinear, 0)
		return
	}
	gate(x, quickGELULinear, 0)
}

// SiLU applies x·σ(x) in place, σ the logistic function. The error is at most
// 4 ulp.
func SiLU[T Float](x []T) {
	if x, ok := any(x).([]float32); ok {
		active.Load().gate(x, 1, 0)
		return
	}
	gate(x, 1, 0)
}

// Sigmoid applies the logistic function σ(x) = 1/(1 + exp(−x)) in place. The
// error is at most 3 ulp.
func Sigmoid[T Float](x []T) {
	if x, ok := any(x).([]float32); ok {
		active.Load().sigmoid(x)
		return
	}
	sigmoid(x)
}

// Tanh applies the hyperbolic tangent in place. The error is at most 4 ulp.
func Tanh[T Float](x []T) {
	if x, ok := any(x).([]float32); ok {
		active.Load().tanh(x)
		return
	}
	tanh(x)
}

// ReLU applies max(x, 0) in place; NaN stays NaN.
func ReLU[T Float](x []T) {
	if x, ok := any(x).([]float32); ok {
		active.Load().relu(x)
		return
	}
	relu(x)
}

// checkMatrix panics unless a slice of n values holds [rows, cols] at stride ld.
func checkMatrix(name string, n, rows, cols, ld int) {
	if rows < 0 || cols < 0 || ld < cols || rows > 0 && n < (rows-1)*ld+cols {
		panic(fmt.Sprintf("kernel: %s has %d values, too few for [%d, %d] at row stride %d", name, n, rows, cols, ld))
	}
}
