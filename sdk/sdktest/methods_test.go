package sdktest_test

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
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
	y, err := sdk.Evaluate(ctx, m, &sdk.Forward{Units: sdk.NewTensor(keep, n+2, n), Fill: sdk.Fill{Kind: kind, Text: "x"}})
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

// gradients takes gradients at the word embeddings: of the text itself, or along
// the way from nothing to it.
type gradients struct {
	steps     int  // of the way; 0 for none
	magnitude bool // of the gradient; otherwise times the embedding
	name      string
}

func (g gradients) Info() sdk.Info {
	return sdk.Info{
		Name: g.name, Version: "0.1.0-rc.1", Summary: "Gradients at the word embeddings",
		Needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedEmbeddings},
	}
}

func (g gradients) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	keep := slices.Repeat([]uint8{1}, len(r.Tokens))
	tensor := func(reply sdk.Reply, err error, name string) (*sdk.Tensor, []float64, error) {
		if err != nil {
			return nil, nil, err
		}
		t, err := reply.Tensor(name, 0)
		if err != nil {
			return nil, nil, err
		}
		v, err := sdk.Values[float64](t)
		return t, v, err
	}
	const at = "embeddings"
	reply, err := m.Forward(ctx, &sdk.Forward{Masks: sdk.NewTensor(keep, 1, len(keep)), Points: []string{at}})
	t, x, err := tensor(reply, err, at)
	if err != nil {
		return nil, err
	}
	n, width := t.Shape[1], t.Shape[2]
	steps := max(g.steps, 1)
	rows := make([]float32, 0, steps*len(x))
	for s := range steps {
		share := 1.0
		if g.steps > 0 {
			share = (float64(s) + 0.5) / float64(steps)
		}
		for _, v := range x {
			rows = append(rows, float32(v*share))
		}
	}
	reply, err = sdk.Gradient(ctx, m, &sdk.Forward{Embeds: sdk.NewTensor(rows, steps, n, width)}, at)
	_, slopes, err := tensor(reply, err, sdk.Grad(at))
	if err != nil {
		return nil, err
	}
	values := make([]float64, n)
	for i, v := range slopes {
		token := i / width % n
		switch {
		case g.magnitude:
			values[token] += v * v
		default:
			values[token] += v * x[i%len(x)] / float64(steps)
		}
	}
	e := &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverTokens, Values: values}}}
	if g.magnitude {
		for i, v := range values {
			values[i] = math.Sqrt(v)
		}
	}
	if g.steps > 0 {
		reply, err = m.Forward(ctx, &sdk.Forward{Embeds: sdk.NewTensor(make([]float32, len(x)), 1, n, width)})
		_, baseline, err := tensor(reply, err, sdk.ReplyTarget)
		if err != nil {
			return nil, err
		}
		e.Baseline = &baseline[0]
	}
	return e, nil
}

// shapley draws orders of the units and adds them one by one.
type shapley struct{}

func (shapley) Info() sdk.Info {
	return sdk.Info{
		Name: "shapley", Version: "1.0.0", Summary: "What units add in random orders", Needs: []sdk.Need{sdk.NeedForward},
		Params: []sdk.Param{{Name: "orders", Aliases: []string{"npermutations"}, Type: sdk.Int, Default: int64(20), Min: sdk.Bound(1), Max: sdk.Bound(100), Doc: "how many"}},
	}
}

func (shapley) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	n, orders := len(r.Units), r.Params.Int("orders")
	if n == 0 || n > 600 {
		return nil, sdk.NewError(sdk.EInvalid, "1 to 600 units are explained")
	}
	random := num.NewRand(r.Rand)
	var keep []uint8
	var order [][]int
	for range orders {
		order = append(order, random.Perm(n))
		row := make([]uint8, n)
		keep = append(keep, row...)
		for _, i := range order[len(order)-1] {
			row[i] = 1
			keep = append(keep, row...)
		}
	}
	if err := random.Err(); err != nil {
		return nil, err
	}
	y, err := sdk.Evaluate(ctx, m, &sdk.Forward{Units: sdk.NewTensor(keep, orders*(n+1), n)})
	if err != nil {
		return nil, err
	}
	sum, square := make([]float64, n), make([]float64, n)
	for o, list := range order {
		for at, i := range list {
			d := y[o*(n+1)+at+1] - y[o*(n+1)+at]
			sum[i] += d
			square[i] += d * d
		}
	}
	stderr := make([]float64, n)
	for i := range sum {
		sum[i] /= float64(orders)
		stderr[i] = math.Sqrt(max(square[i]/float64(orders)-sum[i]*sum[i], 0) / float64(max(orders-1, 1)))
	}
	return &sdk.Explanation{
		Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: sum, Stderr: stderr}},
		Baseline:     &y[0],
	}, nil
}

// attention returns what the first token attends to.
type attention struct{}

func (attention) Info() sdk.Info {
	return sdk.Info{Name: "attention", Version: "1.0.0", Summary: "The mean pattern of the first token", Needs: []sdk.Need{sdk.NeedForward, sdk.NeedAttentions}}
}

func (attention) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	keep := slices.Repeat([]uint8{1}, len(r.Tokens))
	reply, err := m.Forward(ctx, &sdk.Forward{Masks: sdk.NewTensor(keep, 1, len(keep)), Points: []string{"attentions"}})
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(r.Tokens))
	for layer := range 2 {
		t, err := reply.Tensor("attentions", layer)
		if err != nil {
			return nil, err
		}
		v, err := sdk.Values[float64](t)
		if err != nil {
			return nil, err
		}
		heads, n := t.Shape[1], t.Shape[2]
		for h := range heads {
			for i := range n {
				values[i] += v[h*n*n+i]
			}
		}
	}
	return &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverTokens, Values: values}}}, nil
}

// patching zeroes the residual stream of each token in turn.
type patching struct{}

func (patching) Info() sdk.Info {
	return sdk.Info{Name: "patching", Version: "1.0.0", Summary: "What the target loses without a token's stream", Needs: []sdk.Need{sdk.NeedForward, sdk.NeedPatch}}
}

func (patching) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	values := make([]float64, len(r.Tokens))
	keep := sdk.NewTensor(slices.Repeat([]uint8{1}, len(r.Tokens)), 1, len(r.Tokens))
	for i := range values {
		y, err := sdk.Evaluate(ctx, m, &sdk.Forward{Masks: keep, Edits: []sdk.Edit{{Point: "hidden_states[1][t=" + strconv.Itoa(i) + "]", Op: sdk.EditZero}}})
		if err != nil {
			return nil, err
		}
		values[i] = r.Target.Value - y[0]
	}
	return &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverTokens, Values: values}}}, nil
}
