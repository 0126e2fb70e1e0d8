package perturbation

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

// Occlusion slides a window over the units, and gives each unit the mean of what
// the target loses under the windows that cover it. The zero value is ready, and
// safe for concurrent use.
type Occlusion struct{}

const (
	paramWindow = "window"
	paramStride = "stride"
)

// usualWindow is the default of window.
const usualWindow = 3

// Info implements sdk.Method.
func (Occlusion) Info() sdk.Info {
	return sdk.Info{
		Name:    "occlusion",
		Version: "1.0.0",
		Summary: "What the target loses under a window that slides over the units",
		Source:  "Zeiler, Fergus 2014, arXiv:1311.2901; captum, Occlusion",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params: params(
			sdk.Param{
				Name: paramWindow, Aliases: []string{"sliding_window_shapes", "window_size"}, Type: sdk.Int, Default: int64(usualWindow),
				Min: sdk.Bound(1), Max: sdk.Bound(1e6), Doc: "units that the window covers, fewer than there are: the default is one less than the units of an input that has no more",
			},
			sdk.Param{
				Name: paramStride, Aliases: []string{"strides"}, Type: sdk.Int, Default: int64(1),
				Min: sdk.Bound(1), Max: sdk.Bound(1e6), Doc: "units by which the window moves on; at most window, so that every unit is covered",
			},
		),
	}
}

// Explain implements sdk.Method.
func (Occlusion) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	window, stride := r.Params.Int(paramWindow), r.Params.Int(paramStride)
	if stride > window {
		return nil, sdk.NewError(sdk.EInvalid, "stride="+strconv.Itoa(stride)+" leaves units between two windows of "+strconv.Itoa(window)+" that none covers: use a stride of at most window")
	}
	g, err := game.New(m, r)
	if err != nil {
		return nil, err
	}
	n := len(g.Players)
	width, err := fits(window, n, r.Params.String(paramCompat) == captum)
	if err != nil {
		return nil, err
	}
	places := windows(n, width, min(stride, width))
	c, err := run(ctx, g, places, false)
	if err != nil {
		return nil, err
	}
	values, covered := make([]float64, n), make([]float64, n)
	for i, w := range places {
		for p := w[0]; p < w[1]; p++ {
			values[p] += c.whole() - c.of(i)
			covered[p]++
		}
	}
	for p := range values {
		values[p] /= covered[p]
	}
	e := explained(g, values, c, false)
	if width != window {
		e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: "window", Value: float64(width)})
	}
	return e, nil
}

// fits returns how many of n units a window covers. One that covers all of them tells
// none from another, and is refused; the default is made smaller instead. A single unit
// has no smaller window, and the reference takes one that covers all.
func fits(window, n int, replay bool) (int, error) {
	most := n - 1
	if replay || n == 1 {
		most = n
	}
	switch {
	case window <= most:
		return window, nil
	case window == usualWindow:
		return most, nil
	}
	if n == 1 {
		return 0, sdk.NewError(sdk.EInvalid, "window="+strconv.Itoa(window)+" covers more than the input, which has one unit: leave it out, or use smaller units")
	}
	return 0, sdk.NewError(sdk.EInvalid, "window="+strconv.Itoa(window)+" covers all of the "+strconv.Itoa(n)+" units at once, so that each gets the same score: use a window of at most "+strconv.Itoa(n-1))
}

// windows returns where a window stands that moves over n units until it has
// covered the last one: ⌈(n−window)/stride⌉+1 places, of which the last ends with
// the units, cut off and not moved back.
func windows(n, window, stride int) [][2]int {
	var all [][2]int
	for start := 0; ; start += stride {
		if start+window >= n {
			return append(all, [2]int{start, n})
		}
		all = append(all, [2]int{start, start + window})
	}
}
