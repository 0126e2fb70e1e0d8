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

// Sampling estimates each Shapley value by itself, from random coalitions that the
// unit joins. The zero value is ready, and safe for concurrent use.
type Sampling struct{}

// Info implements sdk.Method.
func (Sampling) Info() sdk.Info {
	all := params([]string{compatSHAP, compatCaptum}, "shap, captum: the samples, defaults and corrections of shap's SamplingExplainer, with tokens as players, and of captum's ShapleyValueSampling, whose feature masks are the units",
		sdk.Param{
			Name: paramNumSamples, Aliases: []string{"nsamples", "n_samples"},
			Type: sdk.Int, Default: int64(0), Min: sdk.Bound(0), Max: sdk.Bound(maxEvals),
			Compat: map[string]any{compatSHAP: int64(2000), compatCaptum: int64(25)},
			Doc:    "coalitions that are evaluated; 0 is 2n+2048 for n units, or 16n+2 where that is more; under compat=shap differences of two coalitions, with 0 for 1000n, and under compat=captum orders",
		},
		game.MaxStderr(paramNumSamples),
	)
	for i := range all {
		if all[i].Name == game.ParamFillBy {
			all[i].Compat = map[string]any{compatCaptum: "token"}
		}
	}
	return sdk.Info{
		Name:    "sampling-shap",
		Version: version,
		Summary: "Shapley values from random coalitions, more of them where they differ more",
		Source:  "Štrumbelj, Kononenko 2014; Castro, Gómez, Tejada 2009; shap/shap; pytorch/captum",
		Needs:   []sdk.Need{sdk.NeedForward},
		Params:  all,
	}
}

// Explain implements sdk.Method.
func (Sampling) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	units, err := game.New(m, r)
	if err != nil {
		return nil, err
	}
	compat := r.Params.String(paramCompat)
	bound := r.Params.Float(game.ParamMaxStderr)
	if compat != compatNone && bound > 0 {
		return nil, invalid("max_stderr needs compat=none: the references draw their whole samples")
	}
	if compat == compatSHAP {
		units = units.Tokens()
	}
	n := len(units.Players)
	g, err := newProblem(units, n, nil, r, maxPlayers)
	if err != nil {
		return nil, err
	}
	samples := r.Params.Int(paramNumSamples)
	if n == 1 {
		if err := g.run(ctx); err != nil {
			return nil, err
		}
		return g.explanation(func(c int) (estimate, error) { return g.only(c), nil })
	}
	switch compat {
	case compatSHAP:
		return g.sampleDifferencesLikeReference(ctx, samples, positionsOf(r, units.Players), len(r.Tokens), num.NewMT19937(r.Seed))
	case compatCaptum:
		return g.sampleOrders(ctx, max(samples, 1), num.NewRand(r.Rand))
	}
	usual := max(2*n+2048, 2+16*n)
	if samples == 0 {
		samples = g.patient(usual, maxEvals)
	}
	samples = min(samples, g.most())
	if err := g.fits(samples, paramNumSamples); err != nil {
		return nil, err
	}
	if g.most() <= samples && (bound == 0 || g.most() <= usual) {
		return g.all(ctx)
	}
	if samples < 2+8*n {
		return nil, invalid("num_samples=" + strconv.Itoa(samples) + " is too low for " + strconv.Itoa(n) +
			" units: two draws of each take " + strconv.Itoa(2+8*n) + "; use that many, coarser units (--units sentence), or permutation-shap, whose draws are for all units")
	}
	return g.sampleDifferences(ctx, samples, bound, num.NewRand(r.Rand))
}

// differences are what a player adds to random coalitions, by Welford's updates.
type differences struct {
	*problem
	draws []float64 // of each player
	mean  []float64 // [width,n]
	m2    []float64 // Σ (x − mean)²
}

func newDifferences(g *problem) *differences {
	return &differences{problem: g, draws: make([]float64, g.n)}
}

// add takes a draw for player i: the mean of what it adds to the coalitions of some
// pairs of rows, with and without it.
func (s *differences) add(i int, pairs ...[2]int) {
	if s.mean == nil {
		s.mean, s.m2 = make([]float64, s.width*s.n), make([]float64, s.width*s.n)
	}
	s.draws[i]++
	for c := range s.width {
		x, at := 0.0, c*s.n+i
		for _, rows := range pairs {
			x += s.at(rows[0], c) - s.at(rows[1], c)
		}
		x /= float64(len(pairs))
		d := x - s.mean[at]
		s.mean[at] += d / s.draws[i]
		s.m2[at] += float64(d * (x - s.mean[at]))
	}
}

// deviation returns the standard deviation of the draws of a player by the target.
func (s *differences) deviation(i int) float64 {
	return math.Sqrt(s.m2[i] / max(s.draws[i]-1, 1))
}

// estimate returns the means, corrected to add up to what all are worth: the most
// likely values, were the means normal with these variances, are off by a share of
// the gap in proportion to the variance.
func (s *differences) estimate(c int) estimate {
	e := estimate{values: make([]float64, s.n), stderr: make([]float64, s.n)}
	gap, total := s.delta(c), 0.0
	variance := make([]float64, s.n)
	for i := range s.n {
		at := c*s.n + i
		e.values[i] = s.mean[at]
		gap -= s.mean[at]
		variance[i] = s.m2[at] / float64(s.draws[i]*max(s.draws[i]-1, 1))
		total += variance[i]
	}
	if total == 0 {
		return e
	}
	for i, v := range variance {
		e.values[i] += float64(gap * (v / total))
		e.stderr[i] = math.Sqrt(max(v-float64(v*(v/total)), 0))
	}
	return e
}

// golden is the fractional part of the golden ratio, whose multiples spread evenly.
const golden = 0.6180339887498949

// neyman draws coalitions for each player: of a size that runs evenly over all, and as
// a pair with that of all others that are neither in it nor the player. The first draws
// are spread evenly, the later ones in proportion to the standard deviation of a
// player's, which makes the sum of the variances least (Neyman).
type neyman struct {
	*differences
	samples int // the most coalitions
	random  *num.Rand
	offset  []float64 // in [0,1), where a player's sizes begin
	planned []int     // draws of each player
	order   []int     // of the players, shuffled over and over
	mask    []uint8
}

// draw is what a player adds to a coalition, and to its complement: the rows with and
// without the player of the one, then of the other.
type draw struct {
	player int
	rows   [4]int
}

func newNeyman(g *problem, samples int, random *num.Rand) *neyman {
	s := &neyman{
		differences: newDifferences(g), samples: samples, random: random,
		offset: make([]float64, g.n), planned: make([]int, g.n), order: make([]int, g.n), mask: make([]uint8, g.n),
	}
	for i := range g.n {
		s.order[i], s.offset[i] = i, random.Float64()
	}
	return s
}

// plan draws for a player, unless the coalitions would be too many.
func (s *neyman) plan(i int) (draw, bool) {
	u := s.offset[i] + float64(golden*float64(s.planned[i]))
	size := int(float64((u - math.Floor(u)) * float64(s.n)))
	clear(s.mask)
	for j, taken := 0, 0; taken < size; j++ {
		k := j + s.random.IntN(s.n-j)
		s.order[j], s.order[k] = s.order[k], s.order[j]
		if s.order[j] != i {
			s.mask[s.order[j]] = 1
			taken++
		}
	}
	d := draw{player: i}
	before := s.rows()
	for k := range d.rows {
		if s.mask[i] = 1 - uint8(k%2); k == 2 {
			for j := range s.mask {
				if j != i {
					s.mask[j] ^= 1
				}
			}
		}
		d.rows[k] = s.row(s.mask)
	}
	if s.rows() > s.samples {
		s.forget(before)
		return d, false
	}
	s.planned[i]++
	return d, true
}

// round draws for each player until it has as many draws as wanted, and reports
// whether there was room for all of them.
func (s *neyman) round(ctx context.Context, want []int) (bool, error) {
	var draws []draw
	open := true
	for more := true; open && more; { // one for each in turn, so that none is left behind
		more = false
		for i := range s.n {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			if open && s.planned[i] < want[i] {
				d, ok := s.plan(i)
				if open = ok; ok {
					draws, more = append(draws, d), true
				}
			}
		}
	}
	if err := s.random.Err(); err != nil {
		return false, err
	}
	if err := s.run(ctx); err != nil {
		return false, err
	}
	for _, d := range draws {
		s.add(d.player, [2]int{d.rows[0], d.rows[1]}, [2]int{d.rows[2], d.rows[3]})
	}
	return open, nil
}

// shares returns the part of the draws that each player should have.
func (s *neyman) shares() []float64 {
	largest, sum := 0.0, 0.0
	for i := range s.n {
		largest = max(largest, s.deviation(i))
	}
	share := make([]float64, s.n)
	for i := range share { // a player that has not differed yet still may
		if share[i] = max(s.deviation(i), float64(0.1*largest)); largest == 0 {
			share[i] = 1
		}
		sum += share[i]
	}
	for i := range share {
		share[i] /= sum
	}
	return share
}

// sampleDifferences draws until the standard errors are within the bound, where there
// is one, or as much as the samples allow.
func (g *problem) sampleDifferences(ctx context.Context, samples int, bound float64, random *num.Rand) (*sdk.Explanation, error) {
	s := newNeyman(g, samples, random)
	total := samples / 4 // draws, each of four coalitions where none is known
	each := min(max(total/(2*g.n), 2), 25)
	want := make([]int, g.n)
	for i := range want {
		want[i] = each
	}
	open, err := s.round(ctx, want)
	for goal := 2 * each * g.n; err == nil && open; goal *= 2 {
		if bound > 0 && s.estimate(0).worst() <= bound || goal > 8*total {
			break
		}
		if bound == 0 && goal < total {
			goal = total
		}
		if g.most() <= samples && 2*goal >= g.most()-g.rows() { // four for each new draw
			return g.all(ctx)
		}
		for i, share := range s.shares() {
			want[i] = max(want[i], int(float64(float64(goal)*share)))
		}
		open, err = s.round(ctx, want)
	}
	if err != nil {
		return nil, err
	}
	return g.explanation(func(c int) (estimate, error) { return s.estimate(c), nil })
}

// sampleOrders is captum's: players join in random orders, one after the other.
func (g *problem) sampleOrders(ctx context.Context, samples int, random *num.Rand) (*sdk.Explanation, error) {
	if err := g.fits(samples*g.n, paramNumSamples); err != nil {
		return nil, err
	}
	orders := make([][]int, samples)
	rows := make([][]int, samples)
	for k := range orders {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		orders[k] = random.Perm(g.n)
		mask := make([]uint8, g.n)
		rows[k] = append(rows[k], empty)
		for _, i := range orders[k] {
			mask[i] = 1
			rows[k] = append(rows[k], g.row(mask))
		}
	}
	if err := random.Err(); err != nil {
		return nil, err
	}
	if err := g.run(ctx); err != nil {
		return nil, err
	}
	s := newDifferences(g)
	for k, order := range orders {
		for at, i := range order {
			s.add(i, [2]int{rows[k][at+1], rows[k][at]})
		}
	}
	return g.explanation(func(c int) (estimate, error) { return s.plain(c), nil })
}

// plain returns the means without a correction, and no errors of a single draw.
func (s *differences) plain(c int) estimate {
	e := estimate{values: s.mean[c*s.n : (c+1)*s.n]}
	for i := range s.n {
		if s.draws[i] < 2 {
			return e
		}
	}
	e.stderr = make([]float64, s.n)
	for i := range s.n {
		e.stderr[i] = math.Sqrt(s.m2[c*s.n+i] / float64(s.draws[i]*(s.draws[i]-1)))
	}
	return e
}

// positionsOf returns the token of each player.
func positionsOf(r *sdk.Request, players []sdk.Unit) []int {
	positions := make([]int, len(players))
	for i, p := range players {
		positions[i] = p.Tokens[0]
	}
	return positions
}

// referenceRounds are shap's SamplingExplainer with its random stream: for each player
// random orders of all tokens, special ones among them, in which those behind the
// player are dropped.
type referenceRounds struct {
	*differences       // of all rounds, for the errors
	positions    []int // the token of each player
	player       []int // of each token, or −1
	random       *num.MT19937
	means        []float64 // [width,n], of the rounds so far
	variances    []float64 // [width,n]
	count        []int     // draws of each player
}

func newReferenceRounds(g *problem, positions []int, tokens int, random *num.MT19937) *referenceRounds {
	s := &referenceRounds{differences: newDifferences(g), positions: positions, player: make([]int, tokens), random: random}
	for i := range s.player {
		s.player[i] = -1
	}
	for i, t := range positions {
		s.player[t] = i
	}
	return s
}

// round draws so often for each player, and merges what comes out with the rounds
// before, in proportion to the draws.
func (s *referenceRounds) round(ctx context.Context, count []int) error {
	rows := make([][][2]int, s.n)
	for i := range s.n {
		order := make([]int, len(s.player))
		for k := range order {
			order[k] = k
		}
		for range count[i] {
			if err := ctx.Err(); err != nil {
				return err
			}
			shuffled := make([]int, len(order))
			for k, from := range s.random.Permutation(len(order)) {
				shuffled[k] = order[from]
			}
			order = shuffled
			rows[i] = append(rows[i], s.pair(i, order))
		}
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	one := newDifferences(s.problem)
	for i, pairs := range rows {
		for _, pair := range pairs {
			one.add(i, pair)
			s.add(i, pair)
		}
	}
	for i := range one.m2 {
		if d := one.draws[i%s.n]; d > 0 {
			one.m2[i] /= d
		}
	}
	if s.count == nil {
		s.means, s.variances, s.count = one.mean, one.m2, slices.Clone(count)
		return nil
	}
	for i := range s.means {
		if a, b := float64(s.count[i%s.n]), float64(count[i%s.n]); b > 0 {
			s.means[i] = (float64(s.means[i]*a) + float64(one.mean[i]*b)) / (a + b)
			s.variances[i] = (float64(s.variances[i]*a) + float64(one.m2[i]*b)) / (a + b)
		}
	}
	for i := range s.count {
		s.count[i] += count[i]
	}
	return nil
}

// pair returns the rows with and without player i of those before it in an order of
// the tokens.
func (s *referenceRounds) pair(i int, order []int) [2]int {
	mask := make([]uint8, s.n)
	for _, t := range order {
		if t == s.positions[i] {
			break
		}
		if j := s.player[t]; j >= 0 {
			mask[j] = 1
		}
	}
	off := s.row(mask)
	mask[i] = 1
	return [2]int{s.row(mask), off}
}

// evenly spreads draws over the players, in pairs.
func (s *referenceRounds) evenly(draws int) []int {
	count := make([]int, s.n)
	for i := range count {
		if count[i] = 2 * (draws / (2 * s.n)); i < draws%(2*s.n)/2 {
			count[i] += 2
		}
	}
	return count
}

// byVariance spreads draws over the players in proportion to their variances over all
// outputs, in pairs. The variances become shares of each output's sum, on which the
// later rounds go on, as the reference's do. As there, what rounding leaves over goes from
// one player to the next, and may leave one with −2 draws: none, but two fewer in the
// number that its variance is divided by.
func (s *referenceRounds) byVariance(draws int) []int {
	n := s.n
	outputs := []int{0}
	if s.width > 1 {
		outputs = nil
		for c := 1; c < s.width; c++ {
			outputs = append(outputs, c)
		}
	}
	everywhere := 0.0
	for _, c := range outputs {
		everywhere += num.Sum(s.variances[c*n : (c+1)*n])
	}
	for c := range s.width {
		of := s.variances[c*n : (c+1)*n]
		sum := num.Sum(of)
		if everywhere == 0 { // one for each token
			sum = float64(len(s.player))
			for i := range of {
				of[i] = 1
			}
		}
		for i := range of {
			if sum > 0 {
				of[i] /= sum
			}
		}
	}
	count := make([]int, n)
	planned := 0
	for i := range count {
		share := 0.0
		for _, c := range outputs {
			share += s.variances[c*n+i]
		}
		count[i] = int(float64(share/float64(len(outputs))) * float64(draws))
		count[i] += count[i] % 2
		planned += count[i]
	}
	for i := 0; i < n && planned != draws; i++ {
		if change := 2; planned > draws {
			count[i] -= change
			planned -= change
		} else {
			count[i] += change
			planned += change
		}
	}
	return count
}

// estimate returns the means, corrected to add up as the reference does it: by the
// shares of the standard errors.
func (s *referenceRounds) estimate(c int) estimate {
	e := s.plain(c)
	at, to := c*s.n, (c+1)*s.n
	values, v := slices.Clone(s.means[at:to]), slices.Clone(s.variances[at:to])
	gap := s.delta(c) - num.Sum(values)
	top := 0.0
	for i := range v {
		v[i] /= math.Sqrt(float64(s.count[i]))
		top = max(top, v[i])
	}
	if top > 0 {
		for i := range v {
			v[i] = float64(v[i] / top * 1e6)
		}
		sum := num.Sum(v)
		for i := range v {
			values[i] += float64(gap * (v[i] - float64(v[i]*sum)/(1+sum)))
		}
	}
	e.values = values
	return e
}

// sampleDifferencesLikeReference is shap's SamplingExplainer: a first round of at most
// 100 draws a player, a second in proportion to the variances, and a correction of the
// sum.
func (g *problem) sampleDifferencesLikeReference(ctx context.Context, samples int, positions []int, tokens int, random *num.MT19937) (*sdk.Explanation, error) {
	n := g.n
	if samples == 0 {
		samples = 1000 * n
	}
	if samples < 2*n {
		return nil, invalid("num_samples=" + strconv.Itoa(samples) + " is too low for " + strconv.Itoa(n) + " units: two of each take " + strconv.Itoa(2*n))
	}
	if err := g.fits(2*samples, paramNumSamples); err != nil {
		return nil, err
	}
	if err := g.lookAtAll(ctx); err != nil {
		return nil, err
	}
	s := newReferenceRounds(g, positions, tokens, random)
	first := min(samples, 100*n)
	if err := s.round(ctx, s.evenly(first)); err != nil {
		return nil, err
	}
	count := s.byVariance(samples - first)
	if samples > first {
		if err := s.round(ctx, count); err != nil {
			return nil, err
		}
	}
	return g.explanation(func(c int) (estimate, error) { return s.estimate(c), nil })
}
