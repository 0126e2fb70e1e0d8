// Package occlusion explains a prediction by what the target loses when a window
// of units is dropped (Zeiler and Fergus 2014, for text).
package occlusion

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Method is occlusion. The zero value is ready, and safe for concurrent use.
type Method struct{}

// auto is the fill policy that leaves the choice to the method.
const auto = "auto"

// Info implements sdk.Method.
func (Method) Info() sdk.Info {
	return sdk.Info{
		Name:    "occlusion-go",
		Version: "1.0.0",
		Summary: "What the target loses when a window of units is dropped",
		Source:  "Zeiler, Fergus 2014, arXiv:1311.2901",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params: []sdk.Param{
			{Name: "window", Type: sdk.Int, Default: int64(1), Min: sdk.Bound(1), Doc: "units in a row that are dropped together"},
			{Name: "stride", Type: sdk.Int, Default: int64(1), Min: sdk.Bound(1), Doc: "units from the start of one window to that of the next; at most the window"},
			{
				Name: "fill", Type: sdk.Enum, Default: auto, Values: []string{auto, "mask", "pad", "delete", "zero", "hide", "average"},
				Doc: "what a dropped unit becomes; auto is the mask token, or delete where the tokenizer has none",
			},
		},
	}
}

// Explain implements sdk.Method. A unit's attribution is the mean over the
// windows that it lies in of what the target loses without them.
func (Method) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	window, stride, n := r.Params.Int("window"), r.Params.Int("stride"), len(r.Units)
	if n == 0 {
		return nil, sdk.NewError(sdk.EInvalid, "the input has no units to attribute to: give a text with at least one word")
	}
	if stride > window {
		return nil, sdk.NewError(sdk.EInvalid, "stride="+strconv.Itoa(stride)+" leaves units out between windows of "+strconv.Itoa(window)+": use a stride of at most the window")
	}
	window, stride = min(window, n), min(stride, n)
	windows := (n-window+stride-1)/stride + 1

	// Row w of keep drops the units from w*stride on, window of them or to the end.
	keep := make([]uint8, windows*n)
	for w := range windows {
		for u := range n {
			if u < w*stride || u >= w*stride+window {
				keep[w*n+u] = 1
			}
		}
	}
	without, err := sdk.Evaluate(ctx, m, &sdk.Forward{Units: sdk.NewTensor(keep, windows, n), Fill: fill(r.Params.String("fill"), m.Info())})
	if err != nil {
		return nil, err
	}

	scores := make([]float64, n)
	for u := range scores {
		sum, count := 0.0, 0.0
		for w, v := range without {
			if keep[w*n+u] == 0 {
				sum += r.Target.Value - v
				count++
			}
		}
		scores[u] = sum / count
	}
	return &sdk.Explanation{
		Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: scores}},
		Diagnostics:  []sdk.Diagnostic{{Name: "windows", Value: float64(windows)}},
	}, nil
}

// fill returns the policy of that name.
func fill(name string, m sdk.ModelInfo) sdk.Fill {
	if kind, ok := sdk.ParseFill(name); ok {
		return sdk.Fill{Kind: kind}
	}
	if m.MaskToken == "" {
		return sdk.Fill{Kind: sdk.FillDelete}
	}
	return sdk.Fill{Kind: sdk.FillMask}
}
