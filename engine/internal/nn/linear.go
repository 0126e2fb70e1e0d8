// Package nn holds the linear layers and the activations that architectures are
// built of, applied by the kernels.
//
// A layer works alone, on the goroutine of its caller, where it is given no
// pool, and shares its work over the pool otherwise. Both give the same bits.
package nn

import (
	"context"

	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// A part of a matrix product has at most rowsPerPart rows and about as many
// columns as one of columnsPerPart says: its rows are read once for many
// columns, and its result is still in a cache when the activation comes. The
// widest that leaves each thread of a pool partsPerThread of them is taken, or
// the narrowest.
const (
	rowsPerPart    = 128
	partsPerThread = 8
)

var columnsPerPart = [...]int{256, 128, 64}

// Linear is y = x·Wᵀ + b with W [out, in]. It is immutable.
type Linear[T kernel.Float] struct {
	whole part[T]
	parts [len(columnsPerPart)][]part[T]
	bias  []T // nil if there is none
}

// part is a range of output columns.
type part[T kernel.Float] struct {
	lo, hi int
	w      *kernel.Weights[T]
}

// FromWeights returns the layer of packed weights, which it keeps, and a bias,
// [out] or nil.
func FromWeights[T kernel.Float](w *kernel.Weights[T], bias []T) *Linear[T] {
	out, _ := w.Dims()
	l := &Linear[T]{whole: part[T]{0, out, w}, bias: bias}
	for i, width := range columnsPerPart {
		l.parts[i] = split(w, width)
	}
	return l
}

// split returns parts of about width columns that cover a layer.
func split[T kernel.Float](w *kernel.Weights[T], width int) []part[T] {
	var parts []part[T]
	out, _ := w.Dims()
	panel := w.PanelColumns()
	width = (width + panel - 1) / panel * panel
	for lo := 0; lo < out; lo += width {
		hi := min(lo+width, out)
		parts = append(parts, part[T]{lo, hi, w.Columns(lo, hi)})
	}
	return parts
}

// WithBias returns the layer with another bias, [out] or nil, which shares all
// else with l.
func (l *Linear[T]) WithBias(bias []T) *Linear[T] {
	return &Linear[T]{whole: l.whole, parts: l.parts, bias: bias}
}

// Transposed returns the layer dx = dy·W: the way back through l. It packs the
// weights a second time.
func (l *Linear[T]) Transposed() *Linear[T] { return FromWeights(l.whole.w.Transposed(), nil) }

// Signed returns the layer z = [x⁺ ‖ x⁻]·[W⁺ ‖ W⁻]ᵀ, without a bias: what speaks
// for each output, where ⁺ and ⁻ keep the positive and the negative values. It
// packs the weights twice more.
func (l *Linear[T]) Signed() *Linear[T] { return FromWeights(l.whole.w.Signed(), nil) }

// Widen returns the layer l in double precision, without its bias.
func Widen[T kernel.Float](l *Linear[T]) *Linear[float64] { return FromWeights(l.whole.w.Widen(), nil) }

// Dims returns the number of output and of input features.
func (l *Linear[T]) Dims() (out, in int) { return l.whole.w.Dims() }

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
			for j := range p.jobs(0) {
				p.job(j, 0)
			}
		}
		return ctx.Err()
	}
	total, width := 0, 0
	for width = range columnsPerPart {
		total = 0
		for i := range products {
			total += products[i].jobs(width)
		}
		if total >= partsPerThread*pool.Threads() {
			break
		}
	}
	return pool.For(ctx, total, func(_, i int) {
		for k := range products {
			n := products[k].jobs(width)
			if i < n {
				products[k].job(i, width)
				return
			}
			i -= n
		}
	})
}

// jobs returns the number of pieces of a product: parts of some rows. width
// counts in columnsPerPart.
func (p *Product[T]) jobs(width int) int {
	return (p.M + rowsPerPart - 1) / rowsPerPart * len(p.Layer.parts[width])
}

// job computes one piece.
func (p *Product[T]) job(i, width int) {
	parts := p.Layer.parts[width]
	row := i / len(parts) * rowsPerPart
	parts[i%len(parts)].apply(p, row, min(p.M, row+rowsPerPart))
}

// apply computes rows [lo, hi) of the part's columns.
func (p *part[T]) apply(of *Product[T], lo, hi int) {
	if lo == hi {
		return
	}
	dst, bias := of.Dst[lo*of.Ldd+p.lo:], of.Layer.bias
	if bias != nil {
		bias = bias[p.lo:p.hi]
	}
	if of.rounded != nil {
		kernel.Linear8(dst, of.Ldd, of.rounded, lo, hi-lo, p.w, bias)
	} else {
		kernel.Linear(dst, of.Ldd, of.X[lo*of.Ldx:], of.Ldx, hi-lo, p.w, bias)
	}
	if of.Activation != nil {
		for r := range hi - lo {
			of.Activation(dst[r*of.Ldd : r*of.Ldd+p.hi-p.lo])
		}
	}
}
