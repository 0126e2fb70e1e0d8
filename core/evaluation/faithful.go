package evaluation

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// measured is what the measures of one order of units are.
type measured struct {
	values map[string]float64
	points map[string][]Point
	curves *Curves
}

// counts returns the numbers of units that the settings' shares stand for, of n
// of which so many have a score above 0, and the shares.
func (s *Settings) counts(n, positive int) (ks []int, shares []float64) {
	for i, k := range s.Rule.Counts(n, s.Shares) {
		if s.Positive {
			k = min(k, positive)
			if k == 0 || len(ks) > 0 && ks[len(ks)-1] == k {
				continue
			}
		}
		ks, shares = append(ks, k), append(shares, s.Shares[i])
	}
	return ks, shares
}

// grid returns the numbers of units at which curves are measured: 0 … n in steps.
func (s *Settings) grid(n int) []int {
	steps := s.Steps
	if steps == 0 || steps > n {
		steps = n
	}
	ks := []int{0}
	for i := 1; i <= steps; i++ {
		ks = append(ks, int(math.RoundToEven(float64(i)*float64(n)/float64(steps))))
	}
	return ks
}

// faithfulness removes and keeps the first units of an order, and measures what
// becomes of the target. positive is how many of them have a score above 0.
func (p *players) faithfulness(ctx context.Context, s *Settings, order []int, positive int) (measured, error) {
	m := measured{values: map[string]float64{}, points: map[string][]Point{}}
	ks, shares := s.counts(p.n, positive)
	grid := s.grid(p.n)
	all := slices.Concat(grid, ks)
	slices.Sort(all)
	all = slices.Compact(all)
	out, err := p.evaluate(ctx, 2*len(all), func(v int) []bool { // without the first k, and only these
		keep := make([]bool, p.n)
		for rank, unit := range order {
			keep[unit] = (rank >= all[v/2]) == (v%2 == 0)
		}
		return keep
	}, s.fill())
	if err != nil {
		return m, err
	}
	removed, kept := make(map[int]outcome, len(all)), make(map[int]outcome, len(all))
	for i, k := range all {
		removed[k], kept[k] = out[2*i], out[2*i+1]
	}
	whole := removed[0]

	mean := func(name string, value func(k int) float64) {
		sum := 0.0
		for i, k := range ks {
			v := value(k)
			sum += v
			m.points[name] = append(m.points[name], Point{shares[i], k, core.Float(v)})
		}
		m.values[name] = sum / float64(len(ks))
	}
	mean(comprehensiveness, func(k int) float64 { return whole.value - removed[k].value })
	mean(sufficiency, func(k int) float64 { return whole.value - kept[k].value })
	if len(ks) == 0 { // nothing is chosen: ferret's convention
		m.values[comprehensiveness], m.values[sufficiency] = 0, 1
	}

	m.curves = &Curves{K: grid}
	var down, up []float64
	for _, k := range grid {
		down, up = append(down, removed[k].value), append(up, kept[k].value)
	}
	m.curves.Deletion, m.curves.Insertion = core.Floats(down), core.Floats(up)
	m.values[deletion], m.values[insertion] = metric.Area(grid, down, p.n), metric.Area(grid, up, p.n)

	target := p.windows[0].Request().Target
	if whole.probs != nil {
		m.values[decisionFlip] = metric.FlipFraction(grid, p.n, func(k int) bool { return removed[k].predicted() != whole.predicted() })
	}
	if whole.probs != nil && target.Kind == sdk.KindClass && len(ks) > 0 {
		prob := func(o outcome) float64 { return o.probs[target.Index] }
		mean(logOdds, func(k int) float64 { return math.Log(prob(removed[k]) / prob(whole)) })
		mean(logOddsRatio, func(k int) float64 { return metric.LogOdds(prob(removed[k])) - metric.LogOdds(prob(whole)) })
	}
	return m, nil
}

// drops are random sets of units with what their absence changes.
type drops struct {
	sets    [][]int
	changes []float64
}

// maxDrawn bounds how many units all sets may have together.
const maxDrawn = 1 << 26

// drop evaluates the absence of random sets of units: their size is uniform in 1
// … n, and so is the set of that size.
func (p *players) drop(ctx context.Context, s *Settings, r *num.Rand) (*drops, error) {
	if s.Samples > maxDrawn/max(1, p.n) {
		return nil, input(fmt.Sprintf("%d sets of up to %d units are more than can be remembered", s.Samples, p.n), "draw fewer sets, or score coarser units")
	}
	d := &drops{}
	for range s.Samples {
		set := r.Perm(p.n)[:1+r.IntN(p.n)]
		d.sets = append(d.sets, slices.Clone(set))
	}
	out, err := p.evaluate(ctx, s.Samples, func(v int) []bool { return p.without(d.sets[v]...) }, s.fill())
	if err != nil {
		return nil, err
	}
	for _, o := range out {
		d.changes = append(d.changes, p.output.value-o.value)
	}
	return d, r.Err()
}

// without keeps all units but those.
func (p *players) without(units ...int) []bool {
	keep := make([]bool, p.n)
	for i := range keep {
		keep[i] = true
	}
	for _, u := range units {
		keep[u] = false
	}
	return keep
}

// infidelity compares the sums of scores over the sets with what the absence of
// them changes.
func (d *drops) infidelity(scores []float64, values map[string]float64) {
	products := make([]float64, len(d.sets))
	for i, set := range d.sets {
		for _, u := range set {
			products[i] += scores[u]
		}
	}
	values[infidelity] = metric.Infidelity(products, d.changes, false)
	values[infidelityNormalised] = metric.Infidelity(products, d.changes, true)
}

// leaveOneOut returns what the absence of each unit alone changes.
func (p *players) leaveOneOut(ctx context.Context, fill sdk.Fill) ([]float64, error) {
	out, err := p.evaluate(ctx, p.n, func(u int) []bool { return p.without(u) }, fill)
	changes := make([]float64, len(out))
	for i, o := range out {
		changes[i] = p.output.value - o.value
	}
	return changes, err
}

// rearranged gives the k-th largest score to the k-th unit of an order.
func rearranged(scores []float64, order []int) []float64 {
	out := make([]float64, len(scores))
	for k, i := range metric.Order(scores) {
		out[order[k]] = scores[i]
	}
	return out
}
