package shap

import (
	"context"
	"math/bits"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

// The interaction indices of order 2.
const (
	interactionsNone   = "none"
	interactionsSII    = "shapley-interaction"
	interactionsTaylor = "shapley-taylor"
	interactionsSHAP   = "shap"
)

// Exact computes Shapley values from all 2ⁿ coalitions. The zero value is ready, and
// safe for concurrent use.
type Exact struct{}

// Info implements sdk.Method.
func (Exact) Info() sdk.Info {
	return sdk.Info{
		Name:    "exact-shap",
		Version: version,
		Summary: "Shapley values from every coalition of units, for short inputs",
		Source:  "Shapley 1953; Grabisch, Roubens 1999; Sundararajan, Dhamdhere, Agarwal 2020, arXiv:1902.05622; shap/shap",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params: params([]string{compatSHAP}, "shap: the players are the tokens, as in the reference, whatever the units of the request",
			sdk.Param{
				Name: paramMaxEvals, Type: sdk.Int, Default: int64(1 << 14), Min: sdk.Bound(2), Max: sdk.Bound(maxEvals),
				Compat: map[string]any{compatSHAP: int64(100_000)},
				Doc:    "refuse inputs with more coalitions than this: n units have 2^n",
			},
			sdk.Param{
				Name: "interactions", Type: sdk.Enum, Default: interactionsNone,
				Values: []string{interactionsNone, interactionsSII, interactionsTaylor, interactionsSHAP},
				Doc:    "how pairs of units act together, as a tensor of unit and unit: the Shapley interaction index with the values on the diagonal, the Shapley-Taylor index with what each unit is worth alone there, or the reference's, which is half of the latter off the diagonal",
			},
		),
	}
}

// Explain implements sdk.Method.
func (Exact) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	units, err := game.New(m, r)
	if err != nil {
		return nil, err
	}
	if r.Params.String(paramCompat) == compatSHAP {
		units = units.Tokens()
	}
	n, most := len(units.Players), r.Params.Int(paramMaxEvals)
	if n >= bits.Len(maxEvals) || 1<<n > most {
		return nil, tooMany(r, n, most)
	}
	g, err := newProblem(units, n, nil, r, n)
	if err != nil {
		return nil, err
	}
	t, err := g.enumerate(ctx)
	if err != nil {
		return nil, err
	}
	e, err := g.explanation(func(c int) (estimate, error) { return estimate{values: t.values(c)}, nil })
	if err != nil {
		return nil, err
	}
	kind := r.Params.String("interactions")
	if kind == interactionsNone || n < 2 {
		return e, nil
	}
	for c := range 1 + min(g.shown, len(g.classes)) {
		name := "interactions"
		if c > 0 {
			name += ".class." + strconv.Itoa(g.classes[c-1])
		}
		matrix, err := t.interactions(ctx, kind, c)
		if err != nil {
			return nil, err
		}
		e.Tensors = append(e.Tensors, sdk.NamedTensor{Name: name, Axes: []string{"unit", "unit"}, Tensor: *sdk.NewTensor(matrix, n, n)})
	}
	return e, nil
}

// tooMany returns the error of an input with more coalitions than may be evaluated. It
// names all that helps.
func tooMany(r *sdk.Request, n, most int) error {
	advice := "use partition-shap, permutation-shap or kernel-shap, "
	if r.Params.String(paramCompat) == compatSHAP { // whose players are the tokens
		advice += "compat=none with "
	}
	advice += "coarser units (--units sentence), "
	if n < bits.Len(maxEvals) {
		advice += "-p max_evals=" + strconv.Itoa(1<<n) + ", "
	}
	return invalid("the input has " + strconv.Itoa(n) + " units, and all their coalitions are 2^" + strconv.Itoa(n) + ", more than max_evals=" + strconv.Itoa(most) + ": " + advice + "or a shorter text")
}

// table has the row of every coalition, which is a number with a bit a player.
type table struct {
	*problem
	rowOf []int
}

// enumerate evaluates all coalitions, in the order of a Gray code, so that each
// differs from the one before in one player.
func (g *problem) enumerate(ctx context.Context) (*table, error) {
	t := &table{problem: g, rowOf: make([]int, 1<<g.n)}
	mask := make([]uint8, g.n)
	for i := range t.rowOf {
		if i > 0 {
			mask[bits.TrailingZeros(uint(i))] ^= 1
		}
		t.rowOf[i^i>>1] = g.row(mask)
	}
	return t, g.run(ctx)
}

// values returns the Shapley values
//
//	φᵢ = Σ_{S∌i} |S|!·(n−|S|−1)!/n! · (v(S∪i) − v(S))
func (t *table) values(c int) []float64 {
	n := t.n
	weight := make([]float64, n) // of a coalition of each size: 1/(n·C(n−1,s))
	choose := 1.0
	for s := range weight {
		weight[s] = 1 / float64(float64(n)*choose)
		choose = float64(choose*float64(n-1-s)) / float64(s+1)
	}
	values := make([]float64, n)
	bySize := make([]float64, n) // differences are summed by size first, as they are alike
	for i := range values {
		clear(bySize)
		for s := range t.rowOf {
			if s>>i&1 == 0 {
				bySize[bits.OnesCount(uint(s))] += t.at(t.rowOf[s|1<<i], c) - t.at(t.rowOf[s], c)
			}
		}
		for s, sum := range bySize {
			values[i] += float64(weight[s] * sum)
		}
	}
	return values
}

// interactions returns a matrix [n,n] of order 2. With
// δᵢⱼ(T) = v(T∪ij) − v(T∪i) − v(T∪j) + v(T), the Shapley interaction index is
//
//	Σ_{T∌i,j} |T|!·(n−|T|−2)!/(n−1)! · δᵢⱼ(T)
//
// (Grabisch and Roubens, Int. J. Game Theory 28, 1999), and the Shapley-Taylor
// index
//
//	2/n · Σ_{T∌i,j} 1/C(n−1,|T|) · δᵢⱼ(T)
//
// (Sundararajan, Dhamdhere and Agarwal, ICML 2020), whose sum over all pairs, with
// v(i) − v(∅) for each unit alone, is v(N) − v(∅).
func (t *table) interactions(ctx context.Context, kind string, c int) ([]float64, error) {
	n := t.n
	weight := make([]float64, n-1) // of T by its size
	a, b := 1.0, 1.0               // C(n−2,s) and C(n−1,s)
	for s := range weight {
		switch kind {
		case interactionsSII:
			weight[s] = 1 / float64(float64(n-1)*a)
		case interactionsTaylor:
			weight[s] = 2 / float64(float64(n)*b)
		case interactionsSHAP:
			weight[s] = 1 / float64(float64(n)*b)
		}
		a = float64(a*float64(n-2-s)) / float64(s+1)
		b = float64(b*float64(n-1-s)) / float64(s+1)
	}
	matrix := make([]float64, n*n)
	bySize := make([]float64, n-1)
	for i := range n {
		for j := range i {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			clear(bySize)
			for s := range t.rowOf {
				if s>>i&1 == 0 && s>>j&1 == 0 {
					bySize[bits.OnesCount(uint(s))] += t.at(t.rowOf[s|1<<i|1<<j], c) - t.at(t.rowOf[s|1<<i], c) - t.at(t.rowOf[s|1<<j], c) + t.at(t.rowOf[s], c)
				}
			}
			sum := 0.0
			for s, d := range bySize {
				sum += float64(weight[s] * d)
			}
			matrix[i*n+j], matrix[j*n+i] = sum, sum
		}
	}
	if kind == interactionsSII {
		for i, v := range t.values(c) {
			matrix[i*n+i] = v
		}
		return matrix, nil
	}
	for i := range n {
		matrix[i*n+i] = t.at(t.rowOf[1<<i], c) - t.at(empty, c)
	}
	return matrix, nil
}
