// Package nn holds the layers that architectures are built of: weights as they
// are loaded from a checkpoint, applied by the kernels.
//
// A layer works alone, on the goroutine of its caller, where it is given no
// pool, and shares its work over the pool otherwise. Both give the same bits.
package nn

import (
	"context"

	"github.com/xai-go/xai/engine/checkpoint"
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

// LoadLinear loads NAME.weight [out, in] and NAME.bias [out]. Several names
// are stacked into one layer with len(names)·out outputs. A failure is left in
// the loader.
func LoadLinear[T kernel.Float](load *checkpoint.Loader[T], out, in int, names ...string) *Linear[T] {
	var weight, bias []T
	for _, name := range names {
		w, b := load.Tensor(name+".weight", out, in), load.Tensor(name+".bias", out)
		if load.Err() != nil {
			return nil
		}
		if len(names) == 1 {
			weight, bias = w, b
		} else {
			weight, bias = append(weight, w...), append(bias, b...)
		}
	}
	return NewLinear(out*len(names), in, weight, bias)
}

// NewLinear packs a layer. weight [out, in] is copied, bias [out] is kept.
func NewLinear[T kernel.Float](out, in int, weight, bias []T) *Linear[T] {
	w := kernel.Pack(out, in, weight)
	l := &Linear[T]{out: out, whole: part[T]{0, out, w, bias}}
	panel := w.PanelColumns()
	width := (columnsPerPart + panel - 1) / panel * panel
	for lo := 0; lo < out; lo += width {
		hi := min(lo+width, out)
		l.parts = append(l.parts, part[T]{lo, hi, w.Columns(lo, hi), bias[lo:hi]})
	}
	return l
}

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
