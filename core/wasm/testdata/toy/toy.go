// Package toy is a method that uses all of the vocabulary, for tests that hold
// the module and the method in process to the same bits.
package toy

import (
	"context"
	"encoding/binary"
	"errors"
	"math"

	"github.com/xai-go/xai/sdk"
)

// Method occludes random subsets of units, and misbehaves as "mode" says.
type Method struct{}

// Info implements sdk.Method.
func (Method) Info() sdk.Info {
	return sdk.Info{
		Name:    "toy",
		Version: "1.0.0",
		Summary: "a method for tests",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params: []sdk.Param{
			{Name: "n", Type: sdk.Int, Default: int64(16)},
			{Name: "scale", Type: sdk.Float, Default: 1.5},
			{Name: "extras", Type: sdk.Bool, Default: true},
			{Name: "label", Type: sdk.String, Default: "größer"},
			{Name: "mode", Type: sdk.Enum, Default: "run", Values: []string{"run", "fail", "plain", "wrap", "panic", "index", "spin", "hog", "garbage", "nothing", "short", "wide", "forward"}},
		},
	}
}

var hoard [][]byte

// Explain implements sdk.Method.
func (Method) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	switch r.Params.String("mode") {
	case "fail":
		return nil, sdk.NewError(sdk.ERange, "the toy is out of range")
	case "plain":
		return nil, errors.New("the toy is broken")
	case "wrap":
		_, err := m.Forward(ctx, &sdk.Forward{Texts: []string{"a"}, Target: "nonsense"})
		return nil, err
	case "panic":
		panic("the toy is upset")
	case "index":
		return nil, errors.New(r.Units[len(r.Units)].Text)
	case "spin":
		for x := 1; ; x++ {
			if x == 0 {
				return nil, nil
			}
		}
	case "hog":
		for {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	case "garbage":
		for range r.Params.Int("n") {
			units := make([]uint8, 1<<15*len(r.Units))
			if _, err := m.Forward(ctx, &sdk.Forward{Units: sdk.NewTensor(units, 1<<15, len(r.Units))}); err != nil {
				return nil, err
			}
		}
	case "nothing":
		return nil, nil
	case "short":
		return &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: []float64{1}}}}, nil
	case "wide":
		_, err := m.Forward(ctx, &sdk.Forward{Units: sdk.NewTensor(make([]uint8, 2), 1, 2)})
		return nil, err
	case "forward":
		if _, err := m.Forward(ctx, &sdk.Forward{Texts: []string{r.Text}}); err != nil {
			return nil, err
		}
	}
	return run(ctx, m, r)
}

func run(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	n, u := r.Params.Int("n"), len(r.Units)
	keep := make([]uint8, n*u)
	if _, err := r.Rand.Read(keep); err != nil {
		return nil, err
	}
	for i := range keep {
		keep[i] &= 1
	}
	target, err := values(ctx, m, &sdk.Forward{Units: sdk.NewTensor(keep, n, u), Fill: sdk.Fill{Kind: sdk.FillText, Text: "▁"}}, sdk.ReplyTarget)
	if err != nil {
		return nil, err
	}
	attributions := make([]float64, u)
	stderr := make([]float64, u)
	for i := range n {
		if err := r.Progress(i+1, n); err != nil {
			return nil, err
		}
		for j := range u {
			attributions[j] += float64(float64(float64(keep[i*u+j])*target[i]) * r.Params.Float("scale"))
			stderr[j] = math.Sqrt(math.Abs(attributions[j]))
		}
	}
	e := &sdk.Explanation{
		Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: attributions, Stderr: stderr}},
		Diagnostics:  []sdk.Diagnostic{{Name: "n", Value: float64(n)}, {Name: "nan", Value: math.NaN()}},
	}
	if !r.Params.Bool("extras") {
		return e, nil
	}
	r.Log(sdk.Note, "the label is "+r.Params.String("label")+" and the model "+m.Info().ID)

	tokens := make([]uint8, 2*len(r.Tokens))
	tokens[1] = 1
	logits, err := values(ctx, m, &sdk.Forward{Masks: sdk.NewTensor(tokens, 2, len(r.Tokens)), Fill: sdk.Fill{Kind: sdk.FillToken, Token: 7}, KeepDuplicates: true}, sdk.ReplyLogits)
	if err != nil {
		return nil, err
	}
	texts, err := values(ctx, m, &sdk.Forward{Texts: []string{r.Text, "", "näher"}, Target: "other"}, sdk.ReplyTarget)
	if err != nil {
		return nil, err
	}
	ids, err := values(ctx, m, &sdk.Forward{IDs: [][]int32{{1, 2, 3}, {9}, {4}}}, sdk.ReplyProbs)
	if err != nil {
		return nil, err
	}
	over := []sdk.Unit{{Text: "all", Spans: []sdk.Span{{Start: 0, End: len(r.Text)}}, Tokens: []int{0}}}
	whole, err := values(ctx, m, &sdk.Forward{Units: sdk.NewTensor([]uint8{0, 1}, 2, 1), Over: over}, sdk.ReplyLogProbs)
	if err != nil {
		return nil, err
	}
	var draw [12]byte
	for i := 0; i < len(draw); i += 3 {
		if _, err := r.Rand.Read(draw[i : i+3]); err != nil {
			return nil, err
		}
	}
	if _, err := m.Forward(ctx, &sdk.Forward{Texts: []string{"x"}, Target: "nonsense"}); !errors.Is(err, &sdk.Error{Code: sdk.EName}) {
		return nil, errors.New("the model took a target that it does not have")
	}
	perToken := make([]float64, len(r.Tokens))
	for i, t := range r.Tokens {
		perToken[i] = float64(t.ID) + float64(t.RuneEnd-t.Start)/8
	}
	e.Units = append([]sdk.Unit(nil), r.Units...)
	e.Units[0].Text = "first"
	e.Attributions = append(e.Attributions, sdk.Attribution{Name: "per token", Over: sdk.OverTokens, Values: perToken})
	e.Tensors = []sdk.NamedTensor{
		{Name: "logits", Axes: []string{"row", "class"}, Tensor: *sdk.NewTensor(logits, 2, len(logits)/2)},
		{Name: "texts", Axes: []string{"text"}, Tensor: *sdk.NewTensor(texts, len(texts))},
		{Name: "ids", Axes: []string{"value"}, Tensor: *sdk.NewTensor(ids, len(ids))},
		{Name: "keep", Axes: []string{"row", "unit"}, Tensor: *sdk.NewTensor(keep, n, u)},
		{Name: "words", Axes: []string{"word"}, Tensor: *sdk.NewTensor([]int32{int32(binary.LittleEndian.Uint32(draw[:])), -1}, 2)},
		{Name: "longs", Axes: []string{"long"}, Tensor: *sdk.NewTensor([]int64{int64(r.Seed), math.MinInt64}, 2)},
		{Name: "floats", Axes: []string{}, Tensor: *sdk.NewTensor([]float32{float32(r.Target.Value)})},
		{Name: "empty", Axes: []string{"a", "b"}, Tensor: *sdk.NewTensor([]float64{}, 0, 3)},
	}
	e.Baseline = &whole[0]
	return e, nil
}

// values returns one output of a forward.
func values(ctx context.Context, m sdk.Model, f *sdk.Forward, name string) ([]float64, error) {
	reply, err := m.Forward(ctx, f)
	if err != nil {
		return nil, err
	}
	t, err := reply.Tensor(name, 0)
	if err != nil {
		return nil, err
	}
	return sdk.Values[float64](t)
}
