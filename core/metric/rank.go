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
func Pearson(a, b []float64) float64 { return stat.Correlation(a, b, nil) }

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
// other. It is NaN where one of them is constant.
func Kendall(a, b []float64) float64 {
	var concordant, untiedA, untiedB float64
	for i := range a {
		for j := range i {
			x, y := float64(cmp.Compare(a[i], a[j])), float64(cmp.Compare(b[i], b[j]))
			concordant += x * y
			untiedA += x * x
			untiedB += y * y
		}
	}
	return concordant / math.Sqrt(untiedA*untiedB)
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
