package shap

import (
	"context"
	"math"
	"slices"

	"github.com/xai-go/xai/sdk/num"
)

// sampler draws designs that grow. A pair is a coalition with its complement. The
// pairs of a size s and n−s have the Shapley kernel's weight
//
//	(n−1)/(s·(n−s)), twice where s ≠ n−s
//
// and as many of them are drawn, without repetition, as their share of the weight of
// what is left is worth: sizes of which all pairs are worth it are complete. The
// pairs of size 1 always are, so that the fit is determined.
type sampler struct {
	*problem
	random *num.Rand
	offset float64   // of the systematic sample of sizes
	weight []float64 // of size s+1, summing to 1
	count  []float64 // pairs of that size; rounded from 2⁵³ on
	drawn  [][]int   // rows of the pairs' first coalitions, by size
	order  []int     // of shuffles
}

func newSampler(g *problem, random *num.Rand) (*sampler, error) {
	s := &sampler{problem: g, random: random, order: make([]int, g.n)}
	total, choose := 0.0, 1.0
	for size := 1; size <= g.n/2; size++ {
		choose = math.Round(float64(choose*float64(g.n-size+1)) / float64(size))
		w, pairs := float64(g.n-1)/float64(size*(g.n-size)), choose
		if 2*size == g.n {
			pairs = float64(pairs / 2)
		} else {
			w = float64(2 * w)
		}
		s.weight, s.count = append(s.weight, w), append(s.count, pairs)
		total += w
	}
	for i := range s.weight {
		s.weight[i] /= total
	}
	s.drawn = make([][]int, len(s.weight))
	for i := range s.order {
		s.order[i] = i
	}
	s.offset = random.Float64()
	return s, random.Err()
}

// plan returns how many pairs of each size a design of so many has: expected, and by
// a systematic sample rounded to integers.
func (s *sampler) plan(pairs int) (expected []float64, drawn []int) {
	k := len(s.weight)
	expected, drawn = make([]float64, k), make([]int, k)
	expected[0] = s.count[0]
	left, weight := float64(pairs)-s.count[0], 0.0
	for i := 1; i < k; i++ {
		weight += s.weight[i]
	}
	complete := make([]bool, k)
	complete[0] = true
	for again := true; again; {
		again = false
		for i := 1; i < k; i++ {
			if !complete[i] && float64(left*s.weight[i])/weight >= float64(s.count[i]*(1-1e-9)) {
				expected[i], complete[i], again = s.count[i], true, true
				left -= s.count[i]
				weight -= s.weight[i]
			}
		}
	}
	reached, total := s.offset, 0
	for i := range k {
		if complete[i] {
			drawn[i] = int(expected[i])
			total += drawn[i]
			continue
		}
		expected[i] = float64(max(left, 0)*s.weight[i]) / weight
		before := math.Floor(reached)
		reached += expected[i]
		drawn[i] = max(min(int(math.Floor(reached)-before), int(min(s.count[i], 1<<40))), len(s.drawn[i]))
		total += drawn[i]
	}
	for i := k - 1; total > pairs && i > 0; i-- { // what the rounding of a smaller design drew more
		less := min(total-pairs, drawn[i]-len(s.drawn[i]))
		if !complete[i] && less > 0 {
			drawn[i] -= less
			total -= less
		}
	}
	return expected, drawn
}

// extend returns a design of so many pairs, which has the earlier ones.
func (s *sampler) extend(ctx context.Context, pairs int) (*design, error) {
	expected, drawn := s.plan(pairs)
	for i, n := range drawn {
		if err := s.draw(ctx, i, n); err != nil {
			return nil, err
		}
	}
	d := &design{problem: s.problem, share: shareOf(2*pairs, s.n)}
	pooled := -1
	complement := make([]uint8, s.n)
	for i, rows := range s.drawn {
		n := float64(len(rows))
		if n == 0 {
			continue
		}
		stratumOf := -1
		if n < s.count[i] {
			if expected[i] < 1 || n < 2 {
				if pooled < 0 {
					pooled = len(d.strata)
					d.strata = append(d.strata, stratum{left: 1})
				}
				stratumOf = pooled
			} else {
				stratumOf = len(d.strata)
				d.strata = append(d.strata, stratum{left: 1 - n/s.count[i]})
			}
		}
		// Sizes that stand a chance below 1 to be drawn at all stand for others.
		weight := s.weight[i] / float64(2*n)
		if expected[i] < 1 {
			weight = s.weight[i] / float64(2*expected[i]*n)
		}
		for _, row := range rows {
			for j, k := range s.mask(row) {
				complement[j] = 1 - k
			}
			at := len(d.rows)
			d.rows = append(d.rows, row, s.row(complement))
			d.weights = append(d.weights, weight, weight)
			d.clusters = append(d.clusters, cluster{at: [2]int{at, at + 1}, draws: 1, stratum: stratumOf})
		}
	}
	return d, nil
}

// draw adds pairs of a size until there are n: by rejecting those that are there, or
// from the list of all others where more than half are asked for.
func (s *sampler) draw(ctx context.Context, i, n int) error {
	size := i + 1
	have := len(s.drawn[i])
	if n <= have {
		return nil
	}
	mask := make([]uint8, s.n)
	take := func() {
		row := s.row(mask)
		s.drawn[i] = append(s.drawn[i], row)
		for j := range mask {
			mask[j] ^= 1
		}
		s.row(mask)
	}
	if float64(n) <= s.count[i]/2 {
		for len(s.drawn[i]) < n {
			if err := ctx.Err(); err != nil {
				return err
			}
			clear(mask)
			for j := range size { // the first steps of a shuffle; any order may precede it
				k := j + s.random.IntN(s.n-j)
				s.order[j], s.order[k] = s.order[k], s.order[j]
				mask[s.order[j]] = 1
			}
			if !s.has(mask) {
				take()
			}
			if err := s.random.Err(); err != nil {
				return err
			}
		}
		return nil
	}
	var others [][]int
	combinations(s.n, size, func(members []int) bool {
		if 2*size == s.n && members[0] != 0 {
			return false // the complements of the others
		}
		clear(mask)
		for _, j := range members {
			mask[j] = 1
		}
		if !s.has(mask) {
			others = append(others, slices.Clone(members))
		}
		return true
	})
	for j := 0; len(s.drawn[i]) < n && j < len(others); j++ {
		if n < int(s.count[i]) {
			k := j + s.random.IntN(len(others)-j)
			others[j], others[k] = others[k], others[j]
		}
		clear(mask)
		for _, member := range others[j] {
			mask[member] = 1
		}
		take()
	}
	if err := s.random.Err(); err != nil {
		return err
	}
	return ctx.Err()
}

// combinations visits the subsets of size k of 0…n−1 in lexicographic order, until
// visit returns false.
func combinations(n, k int, visit func(members []int) bool) {
	members := make([]int, k)
	for i := range members {
		members[i] = i
	}
	for visit(members) {
		i := k - 1
		for i >= 0 && members[i] == n-k+i {
			i--
		}
		if i < 0 {
			return
		}
		members[i]++
		for j := i + 1; j < k; j++ {
			members[j] = members[j-1] + 1
		}
	}
}

// referenceDesign is shap's design of its Kernel explainer, with its random stream:
// coalitions of all sizes that the number of samples allows to enumerate, each with
// its complement, then random ones, of which each repetition adds to the weight.
type referenceDesign struct {
	*design
	paired int // sizes that have a complement of another size
	mask   []uint8
}

// sampleLikeReference returns the reference's design.
func (g *problem) sampleLikeReference(ctx context.Context, samples int, random *num.MT19937) (*design, error) {
	n := g.n
	d := &referenceDesign{design: &design{problem: g, share: shareOf(samples, n)}, paired: (n - 1) / 2, mask: make([]uint8, n)}
	weight := make([]float64, n/2) // of the sizes 1 …
	for i := range weight {
		weight[i] = float64(n-1) / float64((i+1)*(n-i-1))
		if i < d.paired {
			weight[i] = float64(2 * weight[i])
		}
	}
	normalise(weight)
	if complete := d.enumerate(weight, samples); complete < len(weight) {
		d.draw(weight, complete, samples-len(d.rows), random)
	}
	return d.design, ctx.Err()
}

// add takes the coalition of the mask.
func (d *referenceDesign) add(w float64) int {
	d.rows, d.weights = append(d.rows, d.row(d.mask)), append(d.weights, w)
	return len(d.rows) - 1
}

// addComplement takes what the mask leaves out.
func (d *referenceDesign) addComplement(w float64) int {
	for j := range d.mask {
		d.mask[j] ^= 1
	}
	return d.add(w)
}

// enumerate takes all coalitions of the smallest sizes, and their complements, as long
// as the samples suffice, and returns how many sizes those are.
func (d *referenceDesign) enumerate(weight []float64, samples int) (complete int) {
	left, choose := float64(samples), 1.0
	remaining := slices.Clone(weight)
	for ; complete < len(weight); complete++ {
		size := complete + 1
		choose = math.Round(float64(choose*float64(d.n-size+1)) / float64(size))
		subsets, w := choose, weight[complete]/choose
		if complete < d.paired {
			subsets, w = float64(2*subsets), float64(w/2)
		}
		if float64(left*remaining[complete])/subsets < 1-1e-8 {
			break
		}
		left -= subsets
		if r := remaining[complete]; r < 1 {
			for i := range remaining {
				remaining[i] /= 1 - r
			}
		}
		combinations(d.n, size, func(members []int) bool {
			clear(d.mask)
			for _, j := range members {
				d.mask[j] = 1
			}
			at := [2]int{d.add(w), -1}
			if complete < d.paired {
				at[1] = d.addComplement(w)
			}
			d.clusters = append(d.clusters, cluster{at: at, draws: 1, stratum: -1})
			return true
		})
	}
	return complete
}

// draw takes so many random coalitions of the sizes that are not complete, which share
// what is left of the weight.
func (d *referenceDesign) draw(weight []float64, complete, open int, random *num.MT19937) {
	d.strata = []stratum{{left: 1}}
	rest := slices.Clone(weight)
	for i := range d.paired {
		rest[i] = float64(rest[i] / 2)
	}
	rest = rest[complete:]
	normalise(rest)
	fixed := len(d.rows)
	seen := map[string]int{} // coalition → cluster
	for _, i := range choices(random, rest, 4*open) {
		if open <= 0 {
			break
		}
		clear(d.mask)
		size := i + complete + 1
		for _, j := range random.Permutation(d.n)[:size] {
			d.mask[j] = 1
		}
		k := d.key(d.mask)
		if at, again := seen[k]; again {
			c := &d.clusters[at]
			c.draws++
			d.weights[c.at[0]]++
			if size <= d.paired {
				d.weights[c.at[0]+1]++ // the row that follows, whatever it is
			}
			continue
		}
		c := cluster{at: [2]int{d.add(1), -1}, draws: 1}
		seen[k] = len(d.clusters)
		open--
		if open > 0 && size <= d.paired {
			c.at[1] = d.addComplement(1)
			open--
		}
		d.clusters = append(d.clusters, c)
	}
	sum := num.Sum(d.weights[fixed:])
	for i := fixed; i < len(d.weights); i++ {
		d.weights[i] = float64(d.weights[i] * (num.Sum(weight[complete:]) / sum))
	}
}

// shareOf returns which share of all coalitions of n players so many are; of more than
// 30 players, of 2³⁰, as in the reference.
func shareOf(samples, n int) float64 {
	all := 1 << 30
	if n <= 30 {
		all = 1<<n - 2
	}
	return float64(samples) / float64(all)
}

// normalise makes weights sum to 1.
func normalise(w []float64) {
	sum := num.Sum(w)
	for i := range w {
		w[i] /= sum
	}
}

// choices draws as NumPy's RandomState.choice(len(p), size, p=p) does.
func choices(random *num.MT19937, p []float64, size int) []int {
	cumulative := make([]float64, len(p))
	sum := 0.0
	for i, v := range p {
		sum += v
		cumulative[i] = sum
	}
	for i := range cumulative {
		cumulative[i] /= sum
	}
	drawn := make([]int, size)
	for k := range drawn {
		u := random.Float64()
		i := 0
		for i < len(cumulative)-1 && cumulative[i] <= u {
			i++
		}
		drawn[k] = i
	}
	return drawn
}
