package gradient

import (
	"context"
	"math"
	"slices"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// The bounds of what samples keep for their standard errors.
const (
	maxSamples = 10_000
	maxDraws   = 1 << 22 // samples times tokens
	maxGroups  = 20
	groupCells = 1 << 23 // of all groups
)

// What is made of the samples of a component.
const (
	smoothMean   = "smoothgrad"    // their mean
	smoothSquare = "smoothgrad_sq" // the mean of their squares
	smoothVar    = "vargrad"       // their variance
)

// samples estimates the value of each component from random samples of it, and the
// standard errors of what tokens and units get.
//
// Where a token's value is a linear function of the samples, that of each sample
// is kept, and the errors are those of means. Where it is not (a norm, a variance),
// the samples go to up to 20 groups in turn, and the errors are those of the
// jackknife that leaves out one group after the other (Efron and Stein, "The
// jackknife estimate of variance", Ann. Statist. 9, 1981).
type samples struct {
	result   *result
	variant  string
	positive bool // all samples are, or their squares are meant
	biased   bool // the variance is divided by n, not n−1
	strata   int  // samples come from so many distributions in turn

	n      int
	groups []group
	draws  [][]float64 // [n][tokens], of a linear value
	units  [][]float64 // of the last explanation: what spread returns, over the units
	turns  int
}

// group holds sums of samples, and of their squares, where they are needed.
type group struct {
	n             int
	first, second []float64
}

// newSamples returns an estimator for up to n samples of size components.
func newSamples(s *result, variant string, n, size, strata int) *samples {
	e := &samples{result: s, variant: variant, strata: strata}
	count := max(2, min(maxGroups, n/strata, groupCells/max(size, 1)))
	e.groups = make([]group, count)
	return e
}

// linear reports whether the value of a token is the mean over the samples.
func (e *samples) linear() bool {
	if e.variant == smoothVar {
		return false
	}
	positive := e.positive || e.variant == smoothSquare
	return e.result.how == reduceSum || e.result.how == reduceMean || positive && e.result.how == reduceL1
}

// add adds a sample, which it does not keep.
func (e *samples) add(values []float64) {
	at := 0
	if !e.linear() {
		at = e.n / e.strata % len(e.groups)
	}
	g := &e.groups[at]
	if e.variant != smoothSquare {
		if g.first == nil {
			g.first = make([]float64, len(values))
		}
		for j, v := range values {
			g.first[j] += v
		}
	}
	if e.variant != smoothMean {
		if g.second == nil {
			g.second = make([]float64, len(values))
		}
		for j, v := range values {
			g.second[j] += float64(v * v)
		}
	}
	g.n++
	e.n++
	if e.linear() {
		draw := make([]float64, len(e.result.request.Tokens))
		width := len(values) / len(draw)
		square := make([]float64, width)
		for t := range draw {
			v := values[t*width : (t+1)*width]
			if e.variant == smoothSquare {
				for j, x := range v {
					square[j] = float64(x * x)
				}
				v = square
			}
			if !e.result.request.Tokens[t].Fixed {
				draw[t] = reduced(e.result.how, v)
			}
		}
		e.draws = append(e.draws, draw)
	}
}

// values returns what the samples say of each component, without those of one
// group; −1 leaves out none.
func (e *samples) values(without int) []float64 {
	n := 0
	var first, second []float64
	sum := func(total, part []float64) []float64 {
		if total == nil {
			return slices.Clone(part)
		}
		for j, v := range part {
			total[j] += v
		}
		return total
	}
	for i, g := range e.groups {
		if i != without && g.n > 0 {
			n += g.n
			first, second = sum(first, g.first), sum(second, g.second)
		}
	}
	count := float64(n)
	if e.variant == smoothMean {
		for j := range first {
			first[j] /= count
		}
		return first
	}
	for j := range second {
		second[j] /= count
		if e.variant == smoothVar {
			mean := first[j] / count
			second[j] = max(second[j]-float64(mean*mean), 0)
			if !e.biased {
				second[j] = float64(second[j] * (count / (count - 1)))
			}
		}
	}
	return second
}

// spread returns rows over the tokens, of which the standard error of any linear
// combination is that of the mean of its values in the rows.
func (e *samples) spread() (rows [][]float64, strata int) {
	if e.linear() {
		return e.draws, e.strata
	}
	all := e.result.tokens(e.values(-1))
	var used []int
	for i, g := range e.groups {
		if g.n > 0 {
			used = append(used, i)
		}
	}
	if len(used) < 2 || e.variant == smoothVar && e.n-e.groups[used[0]].n < 2 {
		return nil, 1
	}
	count := float64(len(used))
	for _, i := range used { // pseudo-values
		row := e.result.tokens(e.values(i))
		for t, v := range row {
			row[t] = float64(count*all[t]) - float64((count-1)*v)
		}
		rows = append(rows, row)
	}
	return rows, 1
}

// explanation returns the result with the standard errors, and the largest of the
// units.
func (e *samples) explanation() (x *sdk.Explanation, largest float64) {
	x = e.result.explanation(e.values(-1))
	rows, strata := e.spread()
	if len(rows) < 2 {
		e.units = nil
		return x, math.Inf(1)
	}
	e.units, e.turns = make([][]float64, len(rows)), strata
	for i, row := range rows {
		e.units[i] = e.result.sums(row)
	}
	x.Attributions[0].Stderr, x.Attributions[1].Stderr = stderrs(e.units, strata), stderrs(rows, strata)
	return x, slices.Max(x.Attributions[0].Stderr)
}

// diagnose adds to the last explanation what its standard errors say: the largest
// one, and how many values are certainly the largest.
func (e *samples) diagnose(ctx context.Context, x *sdk.Explanation) error {
	if e.units != nil {
		a := x.Attributions[0]
		top, err := certain(ctx, a.Values, e.units, e.turns)
		if err != nil {
			return err
		}
		diagnose(x, "max_stderr", slices.Max(a.Stderr))
		diagnose(x, "certain_top", float64(top))
	}
	return nil
}

// stderrs returns the standard error of the mean of each column.
func stderrs(rows [][]float64, strata int) []float64 {
	out := make([]float64, len(rows[0]))
	column := make([]float64, len(rows))
	for j := range out {
		for i, row := range rows {
			column[i] = row[j]
		}
		out[j] = stderr(column, strata)
	}
	return out
}

// stderr returns the standard error of the mean of values that come from strata in
// turn: √(Σ (nₛ/n)²·sₛ²/nₛ) with the variance sₛ² within each of them. Where one of
// them has but one value, they are taken to come from one distribution, which
// makes the error larger.
func stderr(values []float64, strata int) float64 {
	n := len(values)
	if n < 2*strata {
		strata = 1
	}
	variance := 0.0
	part := make([]float64, 0, n)
	for s := range strata {
		part = part[:0]
		for i := s; i < n; i += strata {
			part = append(part, values[i])
		}
		mean := num.Sum(part) / float64(len(part))
		for i, v := range part {
			part[i] = float64((v - mean) * (v - mean))
		}
		variance += float64(num.Sum(part) * float64(len(part)) / float64(len(part)-1))
	}
	return math.Sqrt(variance) / float64(n)
}

// certain returns how many of the values that are largest in magnitude certainly
// are, in this order: each is larger than all that follow by more than two standard
// errors of the difference.
func certain(ctx context.Context, values []float64, rows [][]float64, strata int) (int, error) {
	sizes := game.Magnitudes(values)
	order := game.Largest(sizes, -1)
	difference := make([]float64, len(rows))
	for top, a := range order {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		for _, b := range order[top+1:] {
			for i, row := range rows {
				x, y := row[a], row[b]
				if values[a] < 0 {
					x = -x
				}
				if values[b] < 0 {
					y = -y
				}
				difference[i] = x - y
			}
			if !(sizes[a]-sizes[b] > float64(2*stderr(difference, strata))) {
				return top, nil
			}
		}
	}
	return len(order), nil
}

// rounds calls draw with growing numbers of samples, up to n, until the largest
// standard error is no more than limit; at once with n where limit is 0. draw
// returns that error.
func rounds(n int, limit float64, draw func(until int) (float64, error)) error {
	until := n
	if limit > 0 {
		until = min(n, 16)
	}
	for {
		largest, err := draw(until)
		if err != nil || until == n || largest <= limit {
			return err
		}
		until = min(2*until, n)
	}
}
