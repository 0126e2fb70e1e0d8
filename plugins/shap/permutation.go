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

// The orders that units may join in.
const (
	orderAny  = "any"
	orderTree = "tree"
)

// maxSteps bounds the orders of a round: the players of all of them.
const maxSteps = 1 << 21

// autoPairs is how many orders are drawn unless the user says.
const autoPairs = 10

// Permutation estimates Shapley values from random orders, each of them forwards and
// backwards. The zero value is ready, and safe for concurrent use.
type Permutation struct{}

// Info implements sdk.Method.
func (Permutation) Info() sdk.Info {
	own := []sdk.Param{
		{
			Name: paramMaxEvals, Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(maxEvals),
			Compat: map[string]any{compatSHAP: int64(500)},
			Doc:    "the most coalitions that are evaluated, each counted once; 0 is as many as num_samples takes; under compat=shap repeated ones count too, 2n+1 an order of n units",
		},
		{
			Name: paramNumSamples, Aliases: []string{"npermutations", "n_permutations", "nsamples", "n_samples"},
			Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(100_000),
			Doc: "orders, each taken forwards and backwards; 0 is 10, or as many as max_evals allows where that is given",
		},
		game.MaxStderr(paramNumSamples),
		{
			Name: "order", Type: sdk.Enum, Default: orderAny, Values: []string{orderAny, orderTree},
			Compat: map[string]any{compatSHAP: orderTree},
			Doc:    "tree: units join only in orders that leave the parts of the hierarchy together, which estimates Owen values as partition-shap does; of token ids compat=shap takes any, from the reference's random stream",
		},
	}
	return sdk.Info{
		Name:    "permutation-shap",
		Version: version,
		Summary: "Shapley values estimated from random orders, forwards and backwards",
		Source:  "Castro, Gómez, Tejada 2009; Mitchell, Cooper, Frank, Holmes 2022, arXiv:2104.12199; shap/shap",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params:  params([]string{compatSHAP}, textCompatDoc, append(own, textParams()...)...),
	}
}

// Explain implements sdk.Method.
func (Permutation) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	g, build, err := textProblem(m, r)
	if err != nil {
		return nil, err
	}
	compat := r.Params.String(paramCompat) == compatSHAP
	var tree *tree
	if r.Params.String("order") == orderTree && (!compat || ofText(r)) {
		tree = build()
	}
	bound := r.Params.Float(game.ParamMaxStderr)
	if compat && bound > 0 {
		return nil, invalid("max_stderr needs compat=none: the reference draws all of its orders")
	}
	varying := slices.DeleteFunc(g.varying(), func(i int) bool { return g.unseen != nil && g.unseen[i] })
	n := len(varying)
	if n == 0 || n == 1 && !compat {
		if err := g.run(ctx); err != nil {
			return nil, err
		}
		return g.explanation(func(c int) (estimate, error) {
			if n == 0 { // whatever the unseen ones are worth
				return estimate{values: make([]float64, g.n)}, nil
			}
			return g.only(c), nil
		})
	}
	pairs, evals, err := g.orderBudget(r.Params, n, compat)
	if err != nil {
		return nil, err
	}
	if err := g.fits(evals, "num_samples or max_evals"); err != nil {
		return nil, err
	}
	exact, each := !compat && tree == nil && g.most() <= evals, 2*(n-1)
	if exact && (bound == 0 || g.most() <= 2+autoPairs*each) {
		return g.all(ctx)
	}
	draw := orders{random: num.NewRand(r.Rand), tree: tree, varying: varying}
	if compat && tree == nil {
		draw.reference = num.NewMT19937(r.Seed)
	}
	moments := newMoments(g)
	for next := first(pairs, bound); moments.pairs < pairs; next = moments.pairs {
		if exact && next*each >= g.most()-g.rows() {
			return g.all(ctx)
		}
		next = min(next, pairs-moments.pairs, max(maxSteps/n, 1))
		batch, err := g.planOrders(ctx, &draw, next, evals)
		if err != nil {
			return nil, err
		}
		if err := g.run(ctx); err != nil {
			return nil, err
		}
		for _, walk := range batch {
			moments.add(walk)
		}
		if len(batch) < next || bound > 0 && moments.pairs > 1 && moments.estimate(0).worst() <= bound {
			break
		}
	}
	e, err := g.explanation(func(c int) (estimate, error) { return moments.estimate(c), nil })
	if err != nil || !compat {
		return e, err
	}
	for c := range 1 + min(g.shown, len(g.classes)) { // as the reference's error_bounds
		name := "error_std"
		if c > 0 {
			name = sdk.ClassName(g.classes[c-1]) + "." + name
		}
		one := g.Explanation(moments.spread(c), nil).Attributions[0]
		one.Name = name
		e.Attributions = append(e.Attributions, one)
	}
	return e, nil
}

// all returns the explanation by all coalitions, whose errors are 0.
func (g *problem) all(ctx context.Context) (*sdk.Explanation, error) {
	t, err := g.enumerate(ctx)
	if err != nil {
		return nil, err
	}
	return g.explanation(func(c int) (estimate, error) {
		return estimate{values: t.values(c), stderr: make([]float64, g.n)}, nil
	})
}

// orderBudget returns how many orders to draw at most, of n units, and how many
// coalitions they may have.
func (g *problem) orderBudget(p sdk.Params, n int, compat bool) (pairs, evals int, err error) {
	pairs, evals = p.Int(paramNumSamples), p.Int(paramMaxEvals)
	low := func(each int) error {
		return invalid("max_evals=" + strconv.Itoa(evals) + " is too low for " + strconv.Itoa(n) + " units: one order takes " + strconv.Itoa(each))
	}
	if compat { // the reference counts all coalitions of an order, its ends among them
		most := evals / (2*n + 1)
		if most == 0 {
			return 0, 0, low(2*n + 1)
		}
		if pairs == 0 || pairs > most {
			pairs = most
		}
		return pairs, 2 + pairs*2*n, nil
	}
	each := 2 * (n - 1) // new coalitions of an order; nobody and all are there already
	if evals > 0 && evals < 2+each {
		return 0, 0, low(2 + each)
	}
	switch {
	case pairs == 0 && evals == 0:
		pairs = max(autoPairs, (g.patient(2+autoPairs*each, maxEvals)-2)/each)
	case pairs == 0: // more than fit where they share coalitions
		pairs = 4 * (evals / each)
	}
	if all := 2 + pairs*each; evals == 0 || evals > all {
		evals = all
	}
	return pairs, evals, nil
}

// first returns the size of the first round: all, or a few where the errors may end
// it early.
func first(pairs int, bound float64) int {
	if bound > 0 {
		return min(4, pairs)
	}
	return pairs
}

// orders draws orders of players.
type orders struct {
	random    *num.Rand
	tree      *tree // that the orders keep to; nil for any
	varying   []int
	reference *num.MT19937 // shuffles as the reference does; nil for random
}

func (o *orders) next() []int {
	if o.tree != nil {
		member := make([]bool, o.tree.leaves)
		for _, i := range o.varying {
			member[i] = true
		}
		var order []int
		o.tree.shuffle(o.random, func(leaf int) {
			if member[leaf] {
				order = append(order, leaf)
			}
		})
		return order
	}
	var order []int
	if o.reference != nil {
		order = o.reference.Permutation(len(o.varying))
	} else {
		order = o.random.Perm(len(o.varying))
	}
	for k, i := range order {
		order[k] = o.varying[i]
	}
	if o.reference != nil { // which shuffles what it shuffled before
		o.varying = order
	}
	return order
}

// walk is an order with the rows of the coalitions along it: forward[k] has the
// first k players, and backward[k] all but these.
type walk struct {
	order             []int
	forward, backward []int
}

// planOrders plans orders until there are so many, or the coalitions would be more
// than evals.
func (g *problem) planOrders(ctx context.Context, draw *orders, count, evals int) ([]walk, error) {
	var batch []walk
	for range count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		order := draw.next()
		if err := draw.random.Err(); err != nil {
			return nil, err
		}
		fresh := 0
		g.along(order, func(mask []uint8) {
			if !g.has(mask) {
				fresh++
			}
		})
		if g.rows()+fresh > evals {
			break
		}
		w := walk{order: order}
		g.along(order, func(mask []uint8) {
			if row := g.row(mask); len(w.forward) <= len(order) {
				w.forward = append(w.forward, row)
			} else {
				w.backward = append(w.backward, row)
			}
		})
		batch = append(batch, w)
	}
	return batch, nil
}

// along visits the coalitions of an order: of its first 0, 1, … players, and then of
// all but these. Players that are not in the order take part in those that begin
// with all, unless they are unseen.
func (g *problem) along(order []int, visit func(mask []uint8)) {
	for _, start := range []int{empty, full} {
		mask := slices.Clone(g.mask(start))
		for i, unseen := range g.unseen {
			if unseen {
				mask[i] = 0
			}
		}
		visit(mask)
		for _, i := range order {
			mask[i] ^= 1
			visit(mask)
		}
	}
}

// moments are the sums over orders that values and their errors come from, by
// Welford's updates. A pair is an order with its reverse: the mean of what a player
// adds in the two is one draw.
type moments struct {
	*problem
	pairs int
	mean  []float64 // [width,n], over pairs
	m2    []float64 // Σ (x − mean)², over pairs
	each  []float64 // Σ (x − mean)², over both directions by themselves
}

func newMoments(g *problem) *moments { return &moments{problem: g} }

func (s *moments) add(w walk) {
	if s.mean == nil {
		s.mean, s.m2, s.each = make([]float64, s.width*s.n), make([]float64, s.width*s.n), make([]float64, s.width*s.n)
	}
	s.pairs++
	for k, i := range w.order {
		for c := range s.width {
			forward := s.at(w.forward[k+1], c) - s.at(w.forward[k], c)
			backward := s.at(w.backward[k], c) - s.at(w.backward[k+1], c)
			x, at := float64((forward+backward)/2), c*s.n+i
			d := x - s.mean[at]
			s.mean[at] += d / float64(s.pairs)
			s.m2[at] += float64(d * (x - s.mean[at]))
			s.each[at] += float64((forward - backward) * (forward - backward))
		}
	}
}

func (s *moments) estimate(c int) estimate {
	e := estimate{values: s.mean[c*s.n : (c+1)*s.n]}
	if s.pairs > 1 {
		e.stderr = make([]float64, s.n)
		for i := range e.stderr {
			e.stderr[i] = math.Sqrt(s.m2[c*s.n+i] / float64(s.pairs*(s.pairs-1)))
		}
	}
	e.diagnostics = []sdk.Diagnostic{{Name: "orders", Value: float64(s.pairs)}}
	return e
}

// spread returns the standard deviation of what players add, over both directions of
// all orders, which the reference calls error_std.
func (s *moments) spread(c int) []float64 {
	std := make([]float64, s.n)
	for i := range std { // Σ over a pair is 2·(x − mean)² + (forward − backward)²/2
		at := c*s.n + i
		std[i] = math.Sqrt((float64(2*s.m2[at]) + float64(s.each[at]/2)) / float64(2*s.pairs))
	}
	return std
}
