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
	wideColumns    = 256
	narrowColumns  = 64
	partsPerThread = 6
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

// Integers tells whether the weights are of 8 bits.
func (l *Linear[T]) Integers() bool { return l.whole.w.Integers() }

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

	rounded *kernel.Rows8[T] // X, while a layer of 8 bits is multiplied
}

// Multiply computes products that do not depend on each other. Over a pool they
// are shared as if they were one.
func Multiply[T kernel.Float](ctx context.Context, pool *parallel.Pool, products ...Product[T]) error {
	defer release(products)
	if err := round(ctx, pool, products); err != nil {
		return err
	}
	if pool == nil {
		for i := range products {
			p := &products[i]
			if p.Activation == nil {
				p.Layer.whole.apply(p, 0, p.M)
				continue
			}
			for j := range p.jobs(false) {
				p.job(j, false)
			}
		}
		return ctx.Err()
	}
	total := func(narrow bool) (n int) {
		for i := range products {
			n += products[i].jobs(narrow)
		}
		return n
	}
	n, narrow := total(false), false
	if n < partsPerThread*pool.Threads() {
		n, narrow = total(true), true
	}
	return pool.For(ctx, n, func(_, i int) {
		for k := range products {
			n := products[k].jobs(narrow)
			if i < n {
				products[k].job(i, narrow)
				return
			}
			i -= n
		}
	})
}

// parts returns the parts that a product is cut into.
func (p *Product[T]) parts(narrow bool) []part[T] {
	if narrow {
		return p.Layer.narrow
	}
	return p.Layer.wide
}

// jobs returns the number of pieces of a product: parts of some rows.
func (p *Product[T]) jobs(narrow bool) int {
	return (p.M + rowsPerPart - 1) / rowsPerPart * len(p.parts(narrow))
}

// job computes one piece.
func (p *Product[T]) job(i int, narrow bool) {
	parts := p.parts(narrow)
	row := i / len(parts) * rowsPerPart
	parts[i%len(parts)].apply(p, row, min(p.M, row+rowsPerPart))
}

// apply computes rows [lo, hi) of the part's columns.
func (p *part[T]) apply(of *Product[T], lo, hi int) {
	if lo == hi {
		return
	}
	dst := of.Dst[lo*of.Ldd+p.lo:]
	if of.rounded != nil {
		kernel.Linear8(dst, of.Ldd, of.rounded, lo, hi-lo, p.w, p.bias)
	} else {
		kernel.Linear(dst, of.Ldd, of.X[lo*of.Ldx:], of.Ldx, hi-lo, p.w, p.bias)
	}
	if of.Activation != nil {
		for r := range hi - lo {
			of.Activation(dst[r*of.Ldd : r*of.Ldd+p.hi-p.lo])
		}
	}
}
