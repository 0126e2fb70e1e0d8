package shap

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk/num"
)

// The kinds of l1_reg.
const (
	regNone     = "none"
	regAuto     = "auto"
	regAIC      = "aic"
	regBIC      = "bic"
	regFeatures = "num_features"
	regLasso    = "lasso"
)

// regularisation says which players may have a value.
type regularisation struct {
	kind     string
	features int
	alpha    float64
	some     bool // a penalty that leaves no player is refused
	stop     bool // where scikit-learn's paths do, which depends on the scale of the output
}

// parseRegularisation reads l1_reg as the reference's users write it.
func parseRegularisation(s string) (regularisation, error) {
	switch s {
	case regNone, "false", "False", "":
		return regularisation{kind: regNone}, nil
	case regAuto, regAIC, regBIC:
		return regularisation{kind: s}, nil
	}
	if inner, ok := strings.CutPrefix(s, regFeatures+"("); ok && strings.HasSuffix(inner, ")") {
		if k, err := strconv.Atoi(strings.TrimSuffix(inner, ")")); err == nil && k > 0 {
			return regularisation{kind: regFeatures, features: k}, nil
		}
	} else if alpha, err := strconv.ParseFloat(s, 64); err == nil && alpha >= 0 && !math.IsInf(alpha, 0) {
		if alpha == 0 {
			return regularisation{kind: regNone}, nil
		}
		return regularisation{kind: regLasso, alpha: alpha}, nil
	}
	return regularisation{}, invalid("l1_reg=" + strconv.Quote(s) + " is not known: use none, num_features(K), aic, bic, auto or a penalty such as 0.01")
}

// The bounds of paths: scikit-learn's defaults of lars_path.
const (
	pathSteps = 500
	pathStop  = 0x1p-23
)

// maxAugmented bounds the matrix that aic, bic and a penalty need, a float64 an
// element.
const maxAugmented = 1 << 23

// choose returns the players that may have a value, ascending.
//
// As in the reference, they are those that a path of lasso or least angle regression
// on an augmented system leaves: the rows z with the weight w·(n−s) and the target y,
// and the rows z−1 with the weight w·s and the target y − Δ, for a coalition z of s
// players. It has the constraint Σφ = Δ built in.
func (d *design) choose(ctx context.Context, y []float64, delta float64, reg regularisation) ([]int, error) {
	kind := reg.kind
	if kind == regAuto {
		if kind = regNone; d.share < 0.2 {
			kind = regAIC
		}
	}
	n, rows := d.n, len(d.rows)
	all := make([]int, n)
	for j := range all {
		all[j] = j
	}
	if kind == regNone {
		return all, nil
	}
	if kind != regFeatures && 2*rows*n > maxAugmented {
		return nil, invalid("l1_reg=" + reg.kind + " takes too much memory with " + strconv.Itoa(rows) + " coalitions of " + strconv.Itoa(n) + " units: use num_features(K), or num_samples=" + strconv.Itoa(maxAugmented/(2*n)))
	}
	stop := 0.0
	if reg.stop {
		stop = pathStop
	}
	// The rows z−1 as 1−z, with the target's sign turned as well.
	masks := make([]uint8, 0, 2*rows*n)
	weights := make([]float64, 2*rows)
	target := append(append(make([]float64, 0, 2*rows), y...), y...)
	for i, row := range d.rows {
		mask := d.mask(row)
		masks = append(masks, mask...)
		size := 0
		for _, k := range mask {
			size += int(k)
		}
		weights[i] = float64(d.weights[i] * float64(n-size))
		weights[rows+i] = float64(d.weights[i] * float64(size))
		target[rows+i] = delta - y[i]
	}
	for _, row := range d.rows {
		for _, k := range d.mask(row) {
			masks = append(masks, 1-k)
		}
	}
	if kind == regFeatures && reg.stop {
		l := referenceLAR{masks: masks, weights: weights, columns: n}
		return l.choose(ctx, target, reg.features, stop)
	}
	if kind == regFeatures {
		regression, err := num.NewRegressionThroughOrigin(masks, 2*rows, n, target, weights)
		if err != nil {
			return nil, internal(err)
		}
		return firstEntered(regression, min(reg.features, n), stop)
	}
	// The reference's estimators take an intercept, after the rows were multiplied by
	// the roots of their weights and the signs.
	x := make([]float64, 2*rows*n)
	for i, w := range weights {
		root := math.Sqrt(w)
		if i >= rows {
			root = -root
		}
		for j := range n {
			x[i*n+j] = float64(root * float64(masks[i*n+j]))
		}
		target[i] = float64(root * target[i])
	}
	if kind == regLasso {
		regression, err := num.NewRegression(x, 2*rows, n, target, nil)
		if err != nil {
			return nil, internal(err)
		}
		path, err := regression.LassoPath(pathSteps, 0)
		if err != nil {
			return nil, internal(err)
		}
		columns := nonZero(at(path, reg.alpha))
		if small := float64(1e-9 * max(math.Abs(d.at(full, 0)), math.Abs(d.at(empty, 0)))); len(columns) == 0 && reg.some && math.Abs(delta) > small {
			return nil, invalid("l1_reg=" + strconv.FormatFloat(reg.alpha, 'g', -1, 64) + " is a penalty that leaves no unit a value: use " +
				strconv.FormatFloat(float64(0.95*path.Alphas[0]), 'g', 2, 64) + " or less, or num_features(K)")
		}
		return columns, nil
	}
	return chooseByCriterion(x, target, 2*rows, n, kind, stop)
}

// firstEntered returns the k columns that least angle regression takes first, ascending,
// fewer where it ends before. Columns with equal correlations are taken one by one with no
// way between: their coefficients are 0 until the last of them is there, which may take
// more than k steps; of these the first ones count.
func firstEntered(r *num.Regression, k int, stop float64) ([]int, error) {
	for steps := k; ; steps *= 2 {
		path, err := r.LARPath(steps, stop)
		if err != nil {
			return nil, internal(err)
		}
		var columns []int
		for _, coef := range path.Coefs {
			for _, j := range nonZero(coef) {
				if len(columns) < k && !slices.Contains(columns, j) {
					columns = append(columns, j)
				}
			}
		}
		if len(columns) == k || len(path.Coefs) <= steps {
			slices.Sort(columns)
			return columns, nil
		}
	}
}

// nonZero returns the indices of coefficients that are not 0.
func nonZero(coef []float64) []int {
	var columns []int
	for j, v := range coef {
		if v != 0 {
			columns = append(columns, j)
		}
	}
	return columns
}

// at returns the coefficients of a path at a penalty.
func at(path *num.Path, alpha float64) []float64 {
	k := 0
	for k < len(path.Alphas) && path.Alphas[k] > alpha {
		k++
	}
	if k == 0 || k == len(path.Alphas) {
		return path.Coefs[min(k, len(path.Coefs)-1)]
	}
	a, b := path.Alphas[k-1], path.Alphas[k]
	share := (a - alpha) / (a - b)
	coef := make([]float64, len(path.Coefs[k]))
	for j := range coef {
		coef[j] = path.Coefs[k-1][j] + float64(share*(path.Coefs[k][j]-path.Coefs[k-1][j]))
	}
	return coef
}

// chooseByCriterion returns the columns of the step of the lasso path at which
//
//	n·ln(2πσ²) + RSS/σ² + c·k
//
// is least, with k coefficients, c = 2 for aic and ln n for bic, and σ² estimated
// from the least squares fit (Zou, Hastie and Tibshirani, Ann. Statist. 35, 2007).
// Columns are scaled to a standard deviation of 1 first.
func chooseByCriterion(x, y []float64, rows, n int, kind string, stop float64) ([]int, error) {
	mean := make([]float64, n)
	for i := range rows {
		for j := range n {
			mean[j] += x[i*n+j]
		}
	}
	deviation := make([]float64, n)
	for j := range mean {
		mean[j] /= float64(rows)
	}
	for i := range rows {
		for j := range n {
			d := x[i*n+j] - mean[j]
			deviation[j] += float64(d * d)
		}
	}
	for j, v := range deviation {
		if deviation[j] = math.Sqrt(v / float64(rows)); deviation[j] == 0 {
			deviation[j] = 1
		}
	}
	for i := range rows {
		for j := range n {
			x[i*n+j] /= deviation[j]
		}
	}
	regression, err := num.NewRegression(x, rows, n, y, nil)
	if err != nil {
		return nil, internal(err)
	}
	path, err := regression.LassoPath(pathSteps, stop)
	if err != nil {
		return nil, internal(err)
	}
	fit, err := regression.Ridge(0, nil)
	if err != nil {
		return nil, internal(err)
	}
	meanY := num.Sum(y) / float64(rows)
	residual := func(coef []float64) float64 {
		sum := 0.0
		for i := range rows {
			e := y[i] - meanY
			for j, b := range coef {
				if b != 0 {
					e -= float64(b * (x[i*n+j] - mean[j]/deviation[j]))
				}
			}
			sum += float64(e * e)
		}
		return sum
	}
	free := rows - n - 1
	if free < 1 {
		return nil, invalid("l1_reg=" + kind + " takes more coalitions than units: raise num_samples")
	}
	variance := residual(fit.Coef) / float64(free)
	if variance == 0 { // an additive model: the end of the path fits it exactly
		return nonZero(path.Coefs[len(path.Coefs)-1]), nil
	}
	cost := 2.0
	if kind == regBIC {
		cost = num.Log(float64(rows))
	}
	best, least := 0, math.Inf(1)
	for k, coef := range path.Coefs {
		used := len(nonZero(coef))
		if v := residual(coef)/variance + float64(cost*float64(used)); v < least {
			best, least = k, v
		}
	}
	return nonZero(path.Coefs[best]), nil
}
