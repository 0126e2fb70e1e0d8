package shap

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// Kernel estimates Shapley values by a weighted least squares fit of an additive
// model. The zero value is ready, and safe for concurrent use.
type Kernel struct{}

// Info implements sdk.Method.
func (Kernel) Info() sdk.Info {
	return sdk.Info{
		Name:    "kernel-shap",
		Version: version,
		Summary: "Shapley values from a weighted fit to a sample of coalitions",
		Source:  "Lundberg, Lee 2017, arXiv:1705.07874; Covert, Lee 2021, arXiv:2012.01536; shap/shap",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params: params([]string{compatSHAP}, "shap: the players are the tokens, as in the reference, whatever the units of the request; its sample, random stream and default of l1_reg; captum's draws come from PyTorch's random stream and are not replayed",
			sdk.Param{
				Name: paramNumSamples, Aliases: []string{"nsamples", "n_samples"},
				Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(100_000),
				Doc: "coalitions beside the input and nothing of it; 0 is 2n+2048 for n units; all of them where there are no more",
			},
			game.MaxStderr(paramNumSamples),
			sdk.Param{
				Name: "l1_reg", Type: sdk.String, Default: regNone, Compat: map[string]any{compatSHAP: "num_features(10)"},
				Doc: "which units may have a value at all, the others get 0: none (all may), num_features(K), aic, bic, auto (aic where less than a fifth of the coalitions is evaluated) or the penalty of a lasso",
			},
		),
	}
}

// Explain implements sdk.Method.
func (Kernel) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	reg, err := parseRegularisation(r.Params.String("l1_reg"))
	if err != nil {
		return nil, err
	}
	units, err := game.New(m, r)
	if err != nil {
		return nil, err
	}
	compat := r.Params.String(paramCompat) == compatSHAP
	bound := r.Params.Float(game.ParamMaxStderr)
	if compat && bound > 0 {
		return nil, invalid("max_stderr needs compat=none: the reference draws its whole sample at once")
	}
	if compat {
		units = units.Tokens()
	}
	n := len(units.Players)
	g, err := newProblem(units, n, nil, r, maxPlayers)
	if err != nil {
		return nil, err
	}
	if n == 1 {
		if err := g.run(ctx); err != nil {
			return nil, err
		}
		return g.explanation(func(c int) (estimate, error) { return g.only(c), nil })
	}
	samples := r.Params.Int(paramNumSamples)
	if samples == 0 {
		room := maxFitted / n
		if reg.kind != regNone && reg.kind != regFeatures {
			room = maxAugmented / (2 * n)
		}
		samples = g.patient(2*n+2048, room)
	}
	samples, err = kernelSamples(samples, n, compat)
	if err != nil {
		return nil, err
	}
	reg.stop = compat
	fitted := func(d *design) (*sdk.Explanation, error) {
		return g.explanation(func(c int) (estimate, error) { return d.solve(ctx, c, reg) })
	}
	if compat {
		d, err := g.sampleLikeReference(ctx, samples, num.NewMT19937(r.Seed))
		if err != nil {
			return nil, err
		}
		if err := g.run(ctx); err != nil {
			return nil, err
		}
		return fitted(d)
	}
	s, err := newSampler(g, num.NewRand(r.Rand))
	if err != nil {
		return nil, err
	}
	pairs := samples / 2
	next := pairs
	if bound > 0 {
		next = min(pairs, n+64)
	}
	for {
		d, err := s.extend(ctx, next)
		if err != nil {
			return nil, err
		}
		if err := g.run(ctx); err != nil {
			return nil, err
		}
		if next < pairs {
			e, err := d.solve(ctx, 0, reg)
			if err != nil {
				return nil, err
			}
			if e.worst() > bound {
				next = min(2*next, pairs)
				continue
			}
		}
		return fitted(d)
	}
}

// kernelSamples returns how many coalitions to evaluate beside the input and nothing
// of it.
func kernelSamples(samples, n int, compat bool) (int, error) {
	if n <= 30 {
		samples = min(samples, 1<<n-2)
	}
	if !compat && samples < 2*n && samples < 1<<min(n, 30)-2 {
		return 0, invalid("num_samples=" + strconv.Itoa(samples) + " is too low for " + strconv.Itoa(n) +
			" units: each alone and all but each take " + strconv.Itoa(2*n) + "; use that many, or coarser units (--units sentence)")
	}
	if samples > maxFitted/n {
		return 0, invalid(strconv.Itoa(samples) + " coalitions of " + strconv.Itoa(n) + " units do not fit into memory: use num_samples=" +
			strconv.Itoa(maxFitted/n) + ", or coarser units (--units sentence)")
	}
	return samples, nil
}

// maxFitted bounds the matrix of the fit: a float64 a coalition and unit.
const maxFitted = 1 << 24

// design is the sample of coalitions that the fit is made to: rows of the problem
// with their weights.
type design struct {
	*problem
	rows     []int
	weights  []float64
	clusters []cluster
	strata   []stratum
	share    float64 // of the coalitions, which is what l1_reg=auto looks at
}

// cluster is what was drawn at once: a coalition, mostly with its complement.
type cluster struct {
	at      [2]int  // into design.rows; −1 for no complement
	draws   float64 // how often
	stratum int     // −1 where nothing was drawn: all of a size are there
}

// stratum is a set that clusters were drawn from.
type stratum struct {
	// left is the share of the set that was not drawn, by which the variance is
	// smaller where nothing is drawn twice; 1 where draws may repeat.
	left float64
}

// solve fits v(S) − v(∅) = Σ_{i∈S} φᵢ under Σφᵢ = v(N) − v(∅) by weighted least
// squares. The last of the players that may have a value is eliminated by the
// constraint, which is met exactly: the rows are x = z − z_last, and the targets
// v(S) − v(∅) − z_last·(v(N) − v(∅)). Those of a complement are their negatives, so
// that a cluster is one row.
//
// The error comes from the draws alone: with e the residuals, φ moves by
// A⁻¹·Σ w·e·x, A = Σ w·x·xᵀ, whose variance is summed over what was drawn in each
// stratum.
func (d *design) solve(ctx context.Context, c int, reg regularisation) (estimate, error) {
	n := d.n
	y := make([]float64, len(d.rows))
	for i, row := range d.rows {
		y[i] = d.at(row, c) - d.at(empty, c)
	}
	delta := d.delta(c)
	reg.some = c == 0 && !reg.stop
	e := estimate{values: make([]float64, n), stderr: make([]float64, n)}
	columns, err := d.choose(ctx, y, delta, reg)
	if err != nil {
		return e, err
	}
	for j := range e.stderr {
		if !slices.Contains(columns, j) {
			e.stderr[j] = math.NaN()
		}
	}
	if len(columns) == 0 { // as in the reference
		return e, nil
	}
	p := len(columns) - 1
	last := columns[p]
	if p == 0 {
		e.values[last] = delta
		return e, nil
	}
	rows := len(d.clusters)
	x := make([]float64, rows*p)
	target, weights := make([]float64, rows), make([]float64, rows)
	for k, cluster := range d.clusters {
		mask := d.mask(d.rows[cluster.at[0]])
		z := float64(mask[last])
		for l, j := range columns[:p] {
			x[k*p+l] = float64(mask[j]) - z
		}
		for side, i := range cluster.at {
			if i < 0 {
				continue
			}
			v := y[i] - float64(z*delta)
			if side == 1 {
				v = float64((1-z)*delta) - y[i]
			}
			target[k] += float64(d.weights[i] * v)
			weights[k] += d.weights[i]
		}
		target[k] /= weights[k]
	}
	if err := ctx.Err(); err != nil {
		return e, err
	}
	regression, err := num.NewRegressionThroughOrigin(x, rows, p, target, weights)
	if err != nil {
		return e, internal(err)
	}
	fit, err := regression.Ridge(0, nil)
	if err != nil {
		return e, internal(err)
	}
	for k, j := range columns[:p] {
		e.values[j] = fit.Coef[k]
	}
	e.values[last] = delta - num.Sum(fit.Coef)
	if len(d.strata) == 0 { // nothing was drawn
		return e, nil
	}
	errors, err := d.errors(ctx, x, target, weights, fit)
	if err != nil {
		return e, err
	}
	for k, j := range columns {
		e.stderr[j] = errors[k]
	}
	return e, nil
}

// errors returns the standard errors of the coefficients, and of what the eliminated
// player gets.
func (d *design) errors(ctx context.Context, x, y, weights []float64, fit *num.Fit) ([]float64, error) {
	p := len(fit.Coef)
	sum := make([][]float64, len(d.strata)) // of draws, by stratum, and of their squares
	square := make([][]float64, len(d.strata))
	draws := make([]float64, len(d.strata))
	for s := range d.strata {
		sum[s], square[s] = make([]float64, p+1), make([]float64, p+1)
	}
	score := make([]float64, p)
	for k, cluster := range d.clusters {
		if cluster.stratum < 0 {
			continue
		}
		if k%256 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		row := x[k*p : (k+1)*p]
		e := float64(weights[k] * (y[k] - num.Dot(row, fit.Coef)))
		for j, v := range row {
			score[j] = float64(e * v)
		}
		change := fit.Solve(score)
		change = append(change, -num.Sum(change))
		s := cluster.stratum
		draws[s] += cluster.draws
		for j, v := range change {
			sum[s][j] += v
			square[s][j] += float64(v*v) / cluster.draws
		}
	}
	// The fit follows the sample: residuals are smaller than those of a fit to all.
	adjust := 1.0
	if free := len(y) - p; free > 0 {
		adjust = float64(len(y)) / float64(free)
	}
	errors := make([]float64, p+1)
	for j := range errors {
		variance := 0.0
		for s, stratum := range d.strata {
			n := draws[s]
			v := square[s][j]
			if n > 1 {
				v = (v - float64(sum[s][j]*sum[s][j])/n) * n / (n - 1)
			}
			variance += float64(max(v, 0) * stratum.left)
		}
		errors[j] = math.Sqrt(float64(variance * adjust))
	}
	return errors, nil
}
