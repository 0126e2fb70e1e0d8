package lime

import (
	"math"
	"slices"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// surrogate is the linear model that imitates the model near the input.
type surrogate struct {
	*num.Fit
	stderr []float64 // one a column of Fit
}

// fit selects features and fits the surrogate to y, which the regression holds
// too.
func (s settings) fit(h *neighbourhood, weights, y []float64, regression *num.Regression) (*surrogate, error) {
	columns, err := s.selectFeatures(h, weights, y, regression)
	if err != nil {
		return nil, err
	}
	f, err := regression.Ridge(s.alpha, columns)
	if err != nil {
		return nil, sdk.NewError(sdk.EInternal, err.Error())
	}
	stderr, err := s.stderr(h, f, y[0], regression)
	if err != nil {
		return nil, sdk.NewError(sdk.EInternal, err.Error())
	}
	return &surrogate{Fit: f, stderr: stderr}, nil
}

// stderr returns the standard errors of the coefficients over draws of the
// sample. Those of Fit are over draws of every row, and the input, row 0, is
// none: without its part they do not grow where a narrow kernel gives it nearly
// all the weight. Leaving it out would change the coefficients by e·c/(1−h),
// where e is its residual, and c and h are the coefficients and the value at row
// 0 of the same fit to the indicator of row 0.
func (s settings) stderr(h *neighbourhood, f *num.Fit, y0 float64, regression *num.Regression) ([]float64, error) {
	if h.features == 1 { // every variant is the same, whatever the sample
		return make([]float64, len(f.Coef)), nil
	}
	indicator := make([]float64, h.n)
	indicator[0] = 1
	other, err := regression.WithTarget(indicator)
	if err != nil {
		return nil, err
	}
	influence, err := other.Ridge(s.alpha, f.Columns)
	if err != nil {
		return nil, err
	}
	stderr := f.StdErr()
	rest := 1 - onInput(influence)
	for i, e := range stderr {
		if rest > 0 && !math.IsInf(e, 0) {
			change := float64((y0 - onInput(f)) / rest * influence.Coef[i])
			stderr[i] = math.Sqrt(max(0, float64(e*e)-float64(change*change)))
		}
	}
	return stderr, nil
}

// onInput returns the fit's value on the input, where every feature is 1.
func onInput(f *num.Fit) float64 { return f.Intercept + num.Sum(f.Coef) }

// report appends the surrogate to the explanation, over n units, of which those that the
// selection left out have the weight 0 and no standard error (NaN).
func (f *surrogate) report(e *sdk.Explanation, name, prefix string, n int) {
	a := sdk.Attribution{Name: name, Over: sdk.OverUnits, Values: make([]float64, n), Stderr: slices.Repeat([]float64{math.NaN()}, n)}
	for i, column := range f.Columns {
		a.Values[column], a.Stderr[column] = f.Coef[i], f.stderr[i]
	}
	e.Attributions = append(e.Attributions, a)
	e.Diagnostics = append(e.Diagnostics,
		sdk.Diagnostic{Name: prefix + sdk.DiagR2, Value: f.R2},
		sdk.Diagnostic{Name: prefix + "intercept", Value: f.Intercept},
		sdk.Diagnostic{Name: prefix + "local_pred", Value: onInput(f.Fit)})
}

// The penalty of the ridge regression behind highest_weights, and what
// scikit-learn's lars_path stops at. The latter depends on the scale of the
// output, so it is kept to compat=lime.
const (
	highestAlpha = 0.01
	lassoSteps   = 500
	lassoStop    = 0x1p-23
)

// selectFeatures returns the columns that may have a weight, in the order in
// which the reference's selection names them; nil for all.
func (s settings) selectFeatures(h *neighbourhood, weights, y []float64, regression *num.Regression) ([]int, error) {
	k, selection := s.limit(h.features)
	switch selection {
	case selectForward:
		return forwardSelection(h, weights, y, k), nil
	case selectHighest:
		f, err := regression.Ridge(highestAlpha, nil)
		if err != nil {
			return nil, sdk.NewError(sdk.EInternal, err.Error())
		}
		return game.Largest(game.Magnitudes(f.Coef), k), nil
	case selectLasso:
		stop := 0.0
		if s.compat {
			stop = lassoStop
		}
		path, err := regression.LassoPath(lassoSteps, stop)
		if err != nil {
			return nil, sdk.NewError(sdk.EInternal, err.Error())
		}
		return lastWithin(path.Coefs, k), nil
	}
	return nil, nil
}

// lastWithin returns the columns in use at the last knot of a lasso path that
// has no more than k of them. As in the reference, the first knot is not looked
// at, so that a path that never leaves it gives all columns.
func lastWithin(coefs [][]float64, k int) []int {
	var columns []int
	for i := len(coefs) - 1; i > 0; i-- {
		columns = columns[:0]
		for j, c := range coefs[i] {
			if c != 0 {
				columns = append(columns, j)
			}
		}
		if len(columns) <= k {
			break
		}
	}
	return columns
}

// dependent is the share of a column's square beyond which it counts as a
// linear combination of the columns that were chosen before it.
const dependent = 1e-12

// forwardSelection returns k columns: each the one that raises the weighted R²
// of the least squares fit the most, of equals the first.
//
// The reference fits every candidate anew. Here the columns are orthogonalised
// step by step, which is a Cholesky factorisation of the weighted, centred Gram
// matrix whose pivot is the largest gain: with d² what is left of column j's
// square and c of its product with y, choosing j raises R² by c²/d². A column's
// row of the matrix is computed when it is chosen.
func forwardSelection(h *neighbourhood, weights, y []float64, k int) []int {
	n := h.features
	total := num.Sum(weights)
	// Columns of 1 − keep instead of keep: the same up to sign once they are
	// centred, and accurate where the input has nearly all the weight.
	products := func(a []float64) []float64 {
		p := make([]float64, n)
		for i, v := range a {
			for j, keep := range h.row(i) {
				if keep == 0 {
					p[j] += v
				}
			}
		}
		return p
	}
	sums := products(weights)
	a := make([]float64, h.n)
	meanY := 0.0 // less y[0], so that it is exact where y does not vary
	for i, w := range weights {
		meanY += float64(w * (y[i] - y[0]))
	}
	meanY /= total
	for i, w := range weights {
		a[i] = float64(w * (y[i] - y[0] - meanY))
	}
	moment := products(a)
	square, left := make([]float64, n), make([]float64, n)
	for j, s := range sums {
		square[j] = float64(s*(total-s)) / total
		left[j] = square[j]
	}
	lower := make([]float64, n*k) // row j: column j's part along each chosen one
	chosen := make([]int, 0, k)
	taken := make([]bool, n)
	for len(chosen) < k {
		best, gain := -1, -1.0
		for j := range n {
			g := 0.0
			if left[j] > float64(dependent*square[j]) {
				g = float64(moment[j]*moment[j]) / left[j]
			}
			if !taken[j] && g > gain {
				best, gain = j, g
			}
		}
		step := len(chosen)
		chosen, taken[best] = append(chosen, best), true
		if gain == 0 {
			continue // nothing is left of it, or of y
		}
		for i, w := range weights {
			dropped := float64(1 - h.row(i)[best])
			a[i] = float64(w * (dropped - sums[best]/total))
		}
		d := math.Sqrt(left[best])
		c := moment[best] / d
		own := lower[best*k : best*k+step]
		for j, g := range products(a) {
			if taken[j] {
				continue
			}
			row := lower[j*k : (j+1)*k]
			v := (g - num.Dot(own, row[:step])) / d
			row[step] = v
			left[j] -= float64(v * v)
			moment[j] -= float64(v * c)
		}
	}
	return chosen
}
