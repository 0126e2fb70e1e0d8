// Package native runs explanation methods in process, under the contract that a
// module is held to. A method in process has the powers of the program: it is
// for methods that the program trusts, and the oracle of the sandbox.
package native

import (
	"context"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
)

// WithTimeout returns the context of an explanation that may take d, forwards
// included. A method in process is not stopped: it ends at its next forward, or
// where it looks at the context itself.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return contract.WithTimeout(ctx, d)
}

// Explain runs method on model. A panic of the method becomes an *sdk.Error of
// code EInternal; an error while ctx is done becomes a *core.LimitError past the
// deadline of WithTimeout, and else ctx.Err(); a result that breaks the contract
// is an *sdk.Error. A nil Rand of the request stands for
// the stream of its seed and the method's name.
func Explain(ctx context.Context, method sdk.Method, model sdk.Model, req *sdk.Request) (e *sdk.Explanation, err error) {
	if err := contract.Ended(ctx); err != nil {
		return nil, err
	}
	info := method.Info()
	e, err = call(ctx, method, contract.Model(model, info, req), contract.Complete(req, info))
	if err != nil {
		if ended := contract.Ended(ctx); ended != nil {
			return nil, ended
		}
		return nil, err
	}
	if err := contract.Check(e, req); err != nil {
		return nil, err
	}
	return e, nil
}

// call turns a panic into an error.
func call(ctx context.Context, method sdk.Method, model sdk.Model, req *sdk.Request) (e *sdk.Explanation, err error) {
	defer func() {
		if v := recover(); v != nil {
			e, err = nil, sdk.Recovered(v)
		}
	}()
	return method.Explain(ctx, model, req)
}
