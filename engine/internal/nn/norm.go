package nn

import (
	"context"

	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// LayerNorm is (x − mean)/√(var + eps)·gamma + beta. It is immutable.
type LayerNorm[T kernel.Float] struct {
	gamma, beta []T
	eps         float64
}

// LoadLayerNorm loads NAME.weight and NAME.bias, both [d]. A failure is left
// in the loader.
func LoadLayerNorm[T kernel.Float](load *checkpoint.Loader[T], d int, eps float64, name string) *LayerNorm[T] {
	return NewLayerNorm(load.Tensor(name+".weight", d), load.Tensor(name+".bias", d), eps)
}

// NewLayerNorm returns a norm that keeps gamma and beta, both [d].
func NewLayerNorm[T kernel.Float](gamma, beta []T, eps float64) *LayerNorm[T] {
	return &LayerNorm[T]{gamma: gamma, beta: beta, eps: eps}
}

// Apply normalises the rows of x, [len(x)/d, d], in place.
func (n *LayerNorm[T]) Apply(x []T) { kernel.LayerNorm(x, x, len(n.gamma), n.gamma, n.beta, n.eps) }

// AddTo computes x = norm(x + y) for the rows of x: the residual connection of
// a post-norm block.
func (n *LayerNorm[T]) AddTo(ctx context.Context, pool *parallel.Pool, x, y []T) error {
	d := len(n.gamma)
	return Rows(ctx, pool, len(x)/d, func(lo, hi int) {
		kernel.Add(x[lo*d:hi*d], y[lo*d:hi*d])
		n.Apply(x[lo*d : hi*d])
	})
}

// Rows calls f for ranges of rows that cover [0, n).
func Rows(ctx context.Context, pool *parallel.Pool, n int, f func(lo, hi int)) error {
	const block = 16
	if pool == nil || n <= block {
		f(0, n)
		return ctx.Err()
	}
	return pool.For(ctx, (n+block-1)/block, func(_, i int) { f(i*block, min(n, (i+1)*block)) })
}
