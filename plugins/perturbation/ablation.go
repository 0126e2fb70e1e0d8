package perturbation

import (
	"context"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

// FeatureAblation gives each unit what the target loses without it. The zero
// value is ready, and safe for concurrent use.
type FeatureAblation struct{}

// Info implements sdk.Method.
func (FeatureAblation) Info() sdk.Info {
	return sdk.Info{
		Name:    "feature-ablation",
		Version: "1.0.0",
		Summary: "What the target loses when a unit is replaced, one unit after the other",
		Source:  "captum, FeatureAblation",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params:  params(),
	}
}

// Explain implements sdk.Method.
func (FeatureAblation) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	g, err := game.New(m, r)
	if err != nil {
		return nil, err
	}
	return oneByOne(ctx, g, false)
}

// LeaveOneOut gives each unit what the target loses when it is deleted, or what
// it gains by it alone. The zero value is ready, and safe for concurrent use.
type LeaveOneOut struct{}

const (
	paramDirection = "direction"
	directionOut   = "out"
	directionIn    = "in"
)

// Info implements sdk.Method.
func (LeaveOneOut) Info() sdk.Info {
	params := game.Params()
	for i := range params {
		if params[i].Name == game.ParamFill {
			params[i].Default = sdk.FillDelete.String()
			params[i].Doc = "what a dropped unit becomes: delete closes the gap, as the erasure papers do; auto is text where mask_string is given, token where fill_token is, else the mask token, delete where the tokenizer has none, or zero for token ids without a tokenizer and for embeddings"
		}
	}
	return sdk.Info{
		Name:    "leave-one-out",
		Version: "1.0.0",
		Summary: "What the target loses when a unit is deleted, or gains by a unit alone",
		Source:  "Li, Monroe, Jurafsky 2016, arXiv:1612.08220",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params: append([]sdk.Param{{
			Name: paramDirection, Type: sdk.Enum, Default: directionOut, Values: []string{directionOut, directionIn},
			Doc: "out: the whole input against the input without the unit; in: the unit alone against nothing (add one in)",
		}}, params...),
	}
}

// Explain implements sdk.Method.
func (LeaveOneOut) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	g, err := game.New(m, r)
	if err != nil {
		return nil, err
	}
	return oneByOne(ctx, g, r.Params.String(paramDirection) == directionIn)
}

// oneByOne gives each player i of the set N v(N) − v(N∖{i}), or under alone
// v({i}) − v(∅).
func oneByOne(ctx context.Context, g *game.Game, alone bool) (*sdk.Explanation, error) {
	c, err := run(ctx, g, singles(len(g.Players)), alone)
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(g.Players))
	for i := range values {
		if alone {
			values[i] = c.of(i) - c.nothing()
		} else {
			values[i] = c.whole() - c.of(i)
		}
	}
	return explained(g, values, c, alone), nil
}
