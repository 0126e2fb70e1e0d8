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

// Product is one application of a layer, Dst = Activation(X·Wᵀ + b) for M rows:
// Dst is [M, out] with row stride Ldd, X [M, in] with row stride Ldx. A nil
// activation is the identity.
type Product[T kernel.Float] struct {
	Layer      *Linear[T]
	Dst        []T
	Ldd        int
	X          []T
	Ldx, M     int
	Activation Activation[T]
}

// jobs returns the number of pieces that a pool shares a product in.
func (p *Product[T]) jobs() int { return (p.M + rowsPerPart - 1) / rowsPerPart * len(p.Layer.parts) }

// job computes one piece.
func (p *Product[T]) job(i int) {
	n := len(p.Layer.parts)
	row := i / n * rowsPerPart
	p.Layer.parts[i%n].apply(p, row, min(p.M, row+rowsPerPart))
}

// Multiply computes products that do not depend on each other. Over a pool they
// are shared as if they were one.
func Multiply[T kernel.Float](ctx context.Context, pool *parallel.Pool, products ...Product[T]) error {
	if pool == nil {
		for i := range products {
			products[i].Layer.whole.apply(&products[i], 0, products[i].M)
		}
		return ctx.Err()
	}
	total := 0
	for i := range products {
		total += products[i].jobs()
	}
	return pool.For(ctx, total, func(_, i int) {
		for k := range products {
			n := products[k].jobs()
			if i < n {
				products[k].job(i)
				return
			}
			i -= n
		}
	})
}

// apply computes rows [lo, hi) of the part's columns.
func (p *part[T]) apply(of *Product[T], lo, hi int) {
	if lo == hi {
		return
	}
	dst := of.Dst[lo*of.Ldd+p.lo:]
	kernel.Linear(dst, of.Ldd, of.X[lo*of.Ldx:], of.Ldx, hi-lo, p.w, p.bias)
	if of.Activation != nil {
		for r := range hi - lo {
			of.Activation(dst[r*of.Ldd : r*of.Ldd+p.hi-p.lo])
		}
	}
}
