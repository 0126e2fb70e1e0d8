// Package nn holds the layers that architectures are built of: weights as they
// are loaded from a checkpoint, applied by the kernels.
//
// A layer works alone, on the goroutine of its caller, where it is given no
// pool, and shares its work over the pool otherwise. Both give the same bits.
package nn

import (
	"context"

	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// Where a pool shares a matrix product, a part has at most rowsPerPart rows
// and about columnsPerPart columns: small enough that few tokens keep several
// threads busy, large enough that handing it out costs nothing beside it.
const (
	rowsPerPart    = 128
	columnsPerPart = 64
)

// Linear is y = x·Wᵀ + b with W [out, in]. It is immutable.
type Linear[T kernel.Float] struct {
	out   int
	whole part[T]
	parts []part[T]
}

// part is a range of output columns.
type part[T kernel.Float] struct {
	lo, hi int
	w      *kernel.Weights[T]
	bias   []T
}

// NewLinear packs a layer. weight [out, in] is copied, bias, [out] or nil, is
// kept.
func NewLinear[T kernel.Float](out, in int, weight, bias []T) *Linear[T] {
	return FromWeights(kernel.Pack(out, in, weight), bias)
}

// FromWeights returns the layer of packed weights, which it keeps, and a bias,
// [out] or nil.
func FromWeights[T kernel.Float](w *kernel.Weights[T], bias []T) *Linear[T] {
	out, _ := w.Dims()
	l := &Linear[T]{out: out, whole: part[T]{0, out, w, bias}}
	panel := w.PanelColumns()
	width := (columnsPerPart + panel - 1) / panel * panel
	for lo := 0; lo < out; lo += width {
		hi := min(lo+width, out)
		of := part[T]{lo: lo, hi: hi, w: w.Columns(lo, hi)}
		if bias != nil {
			of.bias = bias[lo:hi]
		}
		l.parts = append(l.parts, of)
	}
	return l
}

// WithBias returns the layer with another bias, [out] or nil, which shares the
// weights of l.
func (l *Linear[T]) WithBias(bias []T) *Linear[T] { return FromWeights(l.whole.w, bias) }

// Transposed returns the layer dx = dy·W: the way back through l. It packs the
// weights a second time.
func (l *Linear[T]) Transposed() *Linear[T] { return FromWeights(l.whole.w.Transposed(), nil) }

// Bytes returns the size of the packed weights.
func (l *Linear[T]) Bytes() int64 { return l.whole.w.Bytes() }

// Apply computes dst = activation(x·Wᵀ + b) for m rows: dst is [m, out] with
// row stride ldd, x [m, in] with row stride ldx. A nil activation is the
// identity.
func (l *Linear[T]) Apply(ctx context.Context, pool *parallel.Pool, dst []T, ldd int, x []T, ldx, m int, activation Activation[T]) error {
	if pool == nil {
		l.whole.apply(dst, ldd, x, ldx, 0, m, activation)
		return ctx.Err()
	}
	blocks := (m + rowsPerPart - 1) / rowsPerPart
	return pool.For(ctx, blocks*len(l.parts), func(_, i int) {
		row := i / len(l.parts) * rowsPerPart
		l.parts[i%len(l.parts)].apply(dst, ldd, x, ldx, row, min(m, row+rowsPerPart), activation)
	})
}

// apply computes rows [lo, hi) of the part's columns.
func (p *part[T]) apply(dst []T, ldd int, x []T, ldx, lo, hi int, activation Activation[T]) {
	if lo == hi {
		return
	}
	dst = dst[lo*ldd+p.lo:]
	kernel.Linear(dst, ldd, x[lo*ldx:], ldx, hi-lo, p.w, p.bias)
	if activation != nil {
		for r := range hi - lo {
			activation(dst[r*ldd : r*ldd+p.hi-p.lo])
		}
	}
}
