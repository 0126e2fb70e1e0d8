package nn

import (
	"context"
	"sync"

	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// Layers of 8 bits round the rows that they read. Products are cut into parts
// of columns, and several often read the same rows, so these are rounded first,
// once for all.

// roundedRows holds rounded rows, to be reused. Those of a group have a quarter
// of the size of the activations that they are of, or half where the processor
// multiplies words.
var roundedRows = sync.Pool{New: func() any { return new(kernel.Rows8[float32]) }}

// round rounds what layers of 8 bits read.
func round[T kernel.Float](ctx context.Context, pool *parallel.Pool, products []Product[T]) error {
	for i := range products {
		p := &products[i]
		if !p.Layer.Integers() || p.M == 0 {
			continue
		}
		if i > 0 && p.reads(&products[i-1]) {
			p.rounded = products[i-1].rounded
			continue
		}
		p.rounded = roundedRows.Get().(*kernel.Rows8[T])
		p.rounded.Reset(p.M, p.Layer.whole.w)
		if err := Rows(ctx, pool, p.M, func(lo, hi int) { p.rounded.Set(p.X, p.Ldx, lo, hi) }); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// reads tells whether a product reads the rounded rows of another one.
func (p *Product[T]) reads(other *Product[T]) bool {
	_, in := p.Layer.whole.w.Dims()
	_, same := other.Layer.whole.w.Dims()
	return other.rounded != nil && in == same && in > 0 && p.M == other.M && p.Ldx == other.Ldx && &p.X[0] == &other.X[0]
}

// release hands rounded rows back.
func release[T kernel.Float](products []Product[T]) {
	var last *kernel.Rows8[T]
	for i := range products {
		if p := &products[i]; p.rounded != nil {
			if p.rounded != last {
				last = p.rounded
				roundedRows.Put(last)
			}
			p.rounded = nil
		}
	}
}
