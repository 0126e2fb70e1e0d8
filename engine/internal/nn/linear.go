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

// A part of a matrix product has at most rowsPerPart rows and about wideColumns
// columns: its rows are read once for many columns, and its result is still in
// a cache when the activation comes. Where that leaves a thread of a pool fewer
// than partsPerThread of them, they have narrowColumns.
const (
	rowsPerPart    = 128
	wideColumns    = 128
	narrowColumns  = 64
	partsPerThread = 3
)

// Linear is y = x·Wᵀ + b with W [out, in]. It is immutable.
type Linear[T kernel.Float] struct {
	whole        part[T]
	wide, narrow []part[T]
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
	return &Linear[T]{
		whole:  part[T]{0, out, w, bias},
		wide:   split(w, bias, wideColumns),
		narrow: split(w, bias, narrowColumns),
	}
}

// split returns parts of about width columns that cover a layer.
func split[T kernel.Float](w *kernel.Weights[T], bias []T, width int) []part[T] {
	var parts []part[T]
	out, _ := w.Dims()
	panel := w.PanelColumns()
	width = (width + panel - 1) / panel * panel
	for lo := 0; lo < out; lo += width {
		hi := min(lo+width, out)
		of := part[T]{lo: lo, hi: hi, w: w.Columns(lo, hi)}
		if bias != nil {
			of.bias = bias[lo:hi]
		}
		parts = append(parts, of)
	}
	return parts
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
	if pool == nil && activation == nil {
		l.whole.apply(dst, ldd, x, ldx, 0, m, nil)
		return ctx.Err()
	}
	blocks, parts := (m+rowsPerPart-1)/rowsPerPart, l.wide
	if pool != nil && blocks*len(parts) < partsPerThread*pool.Threads() {
		parts = l.narrow
	}
	apply := func(_, i int) {
		row := i / len(parts) * rowsPerPart
		parts[i%len(parts)].apply(dst, ldd, x, ldx, row, min(m, row+rowsPerPart), activation)
	}
	if pool != nil {
		return pool.For(ctx, blocks*len(parts), apply)
	}
	for i := range blocks * len(parts) {
		apply(0, i)
	}
	return ctx.Err()
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
