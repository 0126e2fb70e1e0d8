package metric

import "math"

// Area returns the area under a curve by trapezoids over k/n, between 0 and 1 of a
// probability. The curve is what becomes of a target as k of n units go, or come:
// values are those at ks, which ascend from 0 to n and need not be all.
func Area(ks []int, values []float64, n int) float64 {
	if n == 0 {
		return values[0]
	}
	sum := 0.0
	for i := 1; i < len(ks); i++ {
		sum += float64(ks[i]-ks[i-1]) * (values[i-1] + values[i]) / 2
	}
	return sum / float64(n)
}

// Rule is how a share of n units becomes a number of them.
type Rule string

// The rules in use.
const (
	Ceil     Rule = "ceil"       // ⌈q·n⌉
	Round    Rule = "round"      // to the nearest, half to even, as Python's round
	FloorMin Rule = "floor_min1" // ⌊q·n⌋, but at least 1
	Floor    Rule = "floor"      // ⌊q·n⌋
)

// Counts returns how many of n units each share stands for.
func (r Rule) Counts(n int, shares []float64) []int {
	ks := make([]int, len(shares))
	for i, q := range shares {
		x := q * float64(n)
		switch r {
		case Ceil:
			x = math.Ceil(x)
		case Round:
			x = math.RoundToEven(x)
		case FloorMin:
			x = max(1, math.Floor(x))
		default:
			x = math.Floor(x)
		}
		ks[i] = min(max(int(x), 0), n)
	}
	return ks
}

// LogOdds returns the natural logarithm of p/(1−p).
func LogOdds(p float64) float64 { return math.Log(p) - math.Log1p(-p) }

// FlipFraction returns the share of n units whose removal changes the prediction:
// the first of ks, which ascend, at which flipped says that it did, over n, and
// (n+1)/n where it never does. Serrano and Smith, "Is Attention Interpretable?",
// 2019.
func FlipFraction(ks []int, n int, flipped func(k int) bool) float64 {
	for _, k := range ks {
		if flipped(k) {
			return float64(k) / float64(n)
		}
	}
	return float64(n+1) / float64(n)
}

// Infidelity returns the mean of (I·φ − (f(x) − f(x−I)))² over perturbations I:
// products are the I·φ, and changes the f(x) − f(x−I). Normalised scales the
// products by what fits the changes best, so that the scale of φ plays no part.
// Yeh et al., "On the (In)fidelity and Sensitivity of Explanations", 2019.
func Infidelity(products, changes []float64, normalised bool) float64 {
	scale := 1.0
	if normalised {
		var both, square float64
		for i, p := range products {
			both += p * changes[i]
			square += p * p
		}
		if square != 0 {
			scale = both / square
		}
	}
	sum := 0.0
	for i, p := range products {
		d := scale*p - changes[i]
		sum += d * d
	}
	return sum / float64(len(products))
}

// MaxSensitivity returns the largest distance of an explanation of a neighbour
// from that of the input, over the norm of the latter (1 where that is 0).
func MaxSensitivity(of []float64, neighbours [][]float64) float64 {
	norm := 0.0
	for _, v := range of {
		norm += v * v
	}
	if norm = math.Sqrt(norm); norm == 0 {
		norm = 1
	}
	most := 0.0
	for _, other := range neighbours {
		sum := 0.0
		for i, v := range other {
			d := v - of[i]
			sum += d * d
		}
		most = max(most, math.Sqrt(sum)/norm)
	}
	return most
}
