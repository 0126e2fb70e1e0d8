package nn

import (
	"context"

	"github.com/xai-go/xai/engine/internal/parallel"
)

// Rows calls f for ranges of rows that cover [0, n).
func Rows(ctx context.Context, pool *parallel.Pool, n int, f func(lo, hi int)) error {
	const block = 16
	if pool == nil || n <= block {
		f(0, n)
		return ctx.Err()
	}
	return pool.For(ctx, (n+block-1)/block, func(_, i int) { f(i*block, min(n, (i+1)*block)) })
}
