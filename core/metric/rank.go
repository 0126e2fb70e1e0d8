package metric

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Order returns the indices of scores with the largest first, of equals the one
// that comes first. NaN comes last.
func Order(scores []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return order
}

// Pearson returns the correlation of two vectors, NaN where one of them is
// constant.
func Pearson(a, b []float64) float64 {
	if constant(a) || constant(b) { // what rounding leaves of a long one is no variance
		return math.NaN()
	}
	return stat.Correlation(a, b, nil)
}

// constant reports whether all elements are equal.
func constant(v []float64) bool {
	return !slices.ContainsFunc(v, func(x float64) bool { return x != v[0] })
}

// Spearman returns the correlation of the ranks of two vectors, where equals have
// the mean of their ranks.
func Spearman(a, b []float64) float64 { return Pearson(ranks(a), ranks(b)) }

// ranks returns the rank of each element, from 1, equals having their mean.
func ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	out := make([]float64, len(v))
	for i := 0; i < len(order); {
		end := i + 1
		for end < len(order) && v[order[end]] == v[order[i]] {
			end++
		}
		for _, j := range order[i:end] {
			out[j] = float64(i+1+end) / 2
		}
		i = end
	}
	return out
}

// Kendall returns Kendall's τ-b of two vectors: concordant less discordant pairs,
// over the geometric mean of the pairs that are not equal in the one and in the
// other. It is NaN where one of them is constant. It counts as Knight does ("A
// computer method for calculating Kendall's tau with ungrouped data", Journal of the
// American Statistical Association 61, 1966), in O(n log n).
func Kendall(a, b []float64) float64 {
	n := len(a)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Or(cmp.Compare(a[i], a[j]), cmp.Compare(b[i], b[j])) })
	sameA := func(i, j int) bool { return cmp.Compare(a[order[i]], a[order[j]]) == 0 }
	byA := make([]float64, n)
	for k, i := range order {
		byA[k] = b[i]
	}
	tiedBoth := tiedPairs(n, func(i, j int) bool { return sameA(i, j) && cmp.Compare(byA[i], byA[j]) == 0 })
	tiedA := tiedPairs(n, sameA)
	discordant := inversions(byA, make([]float64, n)) // which sorts
	tiedB := tiedPairs(n, func(i, j int) bool { return cmp.Compare(byA[i], byA[j]) == 0 })
	all := float64(n) * float64(n-1) / 2
	return (all - tiedA - tiedB + tiedBoth - 2*discordant) / math.Sqrt((all-tiedA)*(all-tiedB))
}

// tiedPairs counts the pairs within runs of n elements that are the same.
func tiedPairs(n int, same func(i, j int) bool) float64 {
	pairs := 0.0
	for from, i := 0, 1; i < n; i++ {
		if !same(from, i) {
			from = i
		}
		pairs += float64(i - from)
	}
	return pairs
}

// inversions sorts v by merging, and counts the pairs that stood the other way round.
func inversions(v, spare []float64) float64 {
	if len(v) < 2 {
		return 0
	}
	half := len(v) / 2
	count := inversions(v[:half], spare[:half]) + inversions(v[half:], spare[half:])
	copy(spare, v)
	left, right := spare[:half], spare[half:len(v)]
	for k := range v {
		if len(right) == 0 || len(left) > 0 && cmp.Compare(left[0], right[0]) <= 0 {
			v[k], left = left[0], left[1:]
		} else {
			v[k], right = right[0], right[1:]
			count += float64(len(left))
		}
	}
	return count
}

// Cosine returns the cosine of the angle between two vectors, NaN where one is 0.
func Cosine(a, b []float64) float64 {
	var dot, aa, bb float64
	for i := range a {
		dot += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	return dot / math.Sqrt(aa*bb)
}

// Overlap returns the share of the k largest elements that two vectors have in
// common. k is at least 1 and at most their length.
func Overlap(a, b []float64, k int) float64 {
	first := Order(a)[:k]
	common := 0
	for _, i := range Order(b)[:k] {
		if slices.Contains(first, i) {
			common++
		}
	}
	return float64(common) / float64(k)
}

// Entropy returns the entropy, in nats, of the absolute values as shares of their
// sum: 0 where one has it all, ln n where all are equal, NaN where all are 0.
func Entropy(v []float64) float64 {
	shares := make([]float64, len(v))
	sum := 0.0
	for i, x := range v {
		shares[i] = math.Abs(x)
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return stat.Entropy(shares)
}

// Gini returns the Gini index of the absolute values: Σᵢ(2i−n−1)aᵢ / (n Σa) over
// the ascending a, i from 1. It is 0 where all are equal and nears 1 where one has
// it all, and NaN where all are 0.
func Gini(v []float64) float64 {
	a := make([]float64, len(v))
	for i, x := range v {
		a[i] = math.Abs(x)
	}
	slices.Sort(a)
	n, sum, weighted := float64(len(a)), 0.0, 0.0
	for i, x := range a {
		sum += x
		weighted += (2*float64(i+1) - n - 1) * x
	}
	return weighted / (n * sum)
}
