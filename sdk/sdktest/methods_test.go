package sdktest_test

import (
	"context"

	"github.com/xai-go/xai/sdk"
)

// occlusion is a good method: the value of a unit is what the target loses
// without it.
type occlusion struct{}

func (occlusion) Info() sdk.Info {
	return sdk.Info{
		Name: "occlusion", Version: "1.0.0", Summary: "What the target loses without each unit",
		Needs: []sdk.Need{sdk.NeedForward},
		Params: []sdk.Param{
			{Name: "fill", Aliases: []string{"replacement"}, Type: sdk.Enum, Default: "mask", Values: sdk.FillNames, Doc: "what a dropped unit becomes"},
			{Name: "scale", Type: sdk.Float, Default: 1.0, Min: sdk.Bound(0.5), Max: sdk.Bound(2), Doc: "times the values"},
			{Name: "limit", Type: sdk.Int, Default: int64(2000), Min: sdk.Bound(1), Max: sdk.Bound(10_000), Doc: "the most units"},
			{Name: "quiet", Type: sdk.Bool, Default: false, Doc: "writes no log"},
		},
	}
}

func (occlusion) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	n := len(r.Units)
	switch {
	case n == 0:
		return nil, sdk.NewError(sdk.EInvalid, "the text has no words: give one that has")
	case n > r.Params.Int("limit"):
		return nil, sdk.NewError(sdk.EInvalid, "the text has too many words: raise limit")
	}
	if !r.Params.Bool("quiet") {
		r.Log(sdk.Debug, "one forward")
	}
	keep := make([]uint8, (n+2)*n)
	for i := range (n + 1) * n {
		keep[i] = 1
	}
	for i := range n {
		keep[i*n+i] = 0
	}
	kind, _ := sdk.ParseFill(r.Params.String("fill"))
	reply, err := m.Forward(ctx, &sdk.Forward{Units: sdk.NewTensor(keep, n+2, n), Fill: sdk.Fill{Kind: kind, Text: "x"}})
	if err != nil {
		return nil, err
	}
	t, err := reply.Tensor(sdk.ReplyTarget, 0)
	if err != nil {
		return nil, err
	}
	y, err := sdk.Values[float64](t)
	if err != nil {
		return nil, err
	}
	values := make([]float64, n)
	for i := range values {
		values[i] = r.Params.Float("scale") * (y[n] - y[i])
		if err := r.Progress(i+1, n); err != nil {
			return nil, err
		}
	}
	return &sdk.Explanation{
		Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: values}},
		Baseline:     &y[n+1],
	}, nil
}
