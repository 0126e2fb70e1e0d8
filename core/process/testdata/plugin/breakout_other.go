//go:build !linux

package main

import (
	"context"

	"github.com/xai-go/xai/sdk"
)

// breakout is for Linux.
type breakout struct{}

// Info implements sdk.Method.
func (breakout) Info() sdk.Info { return sdk.Info{Name: "breakout", Version: "1.0.0"} }

// Explain implements sdk.Method.
func (breakout) Explain(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) {
	return nil, sdk.NewError(sdk.EUnsupported, "this is for Linux")
}
