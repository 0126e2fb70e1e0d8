package gradient

import "math"

// The rules of integration over the path, by captum's names.
const (
	gaussLegendre    = "gausslegendre"
	riemannLeft      = "riemann_left"
	riemannRight     = "riemann_right"
	riemannMiddle    = "riemann_middle"
	riemannTrapezoid = "riemann_trapezoid"
	trapezoid        = "trapezoid"
)

// quadrature returns n places in [0, 1] and their weights, such that Σ wᵢ·f(αᵢ) is
// about ∫f. As coded in captum, the weights of the trapezoidal rule are 1/n where
// the places are 1/(n−1) apart, so that they sum to (n−1)/n; otherwise they are
// 1/(n−1). That rule takes 2 places or more.
func quadrature(rule string, n int, asCaptum bool) (places, weights []float64) {
	if rule == gaussLegendre {
		return legendre(n)
	}
	places, weights = make([]float64, n), make([]float64, n)
	for i := range places {
		at := float64(i)
		weights[i] = 1 / float64(n)
		switch rule {
		case riemannLeft:
			places[i] = at / float64(n)
		case riemannRight:
			places[i] = (at + 1) / float64(n)
		case riemannMiddle:
			places[i] = (at + 0.5) / float64(n)
		default:
			places[i] = at / float64(n-1)
			if !asCaptum {
				weights[i] = 1 / float64(n-1)
			}
			if i == 0 || i == n-1 {
				weights[i] = float64(weights[i] / 2)
			}
		}
	}
	return places, weights
}

// enough returns how many places of a rule should make the error of n smaller by a
// factor, with as much to spare again, and twice as many as there were; 0 where that
// is more than there may be. The errors of rules with places at one end go with 1/n,
// and those of captum's trapezoids through their weights; all others with 1/n², which
// is that of Gauss and Legendre where the gradient has kinks, and too much for one
// that has none.
func enough(rule string, n int, factor float64, asCaptum bool) int {
	factor = float64(factor * 2)
	switch rule {
	case riemannLeft, riemannRight:
	case trapezoid, riemannTrapezoid:
		if !asCaptum {
			factor = math.Sqrt(factor)
		}
	default:
		factor = math.Sqrt(factor)
	}
	if steps := float64(math.Ceil(float64(float64(n)*max(factor, 2))/10) * 10); steps <= maxSteps {
		return int(steps)
	}
	if rule == gaussLegendre && n < maxSteps {
		return maxSteps
	}
	return 0
}

// legendre returns the rule of Gauss and Legendre, which is exact for polynomials
// of degree 2n−1, on [0, 1]: the roots x of the Legendre polynomial Pₙ, taken to
// (1+x)/2, with the weights 1/((1−x²)·Pₙ′(x)²). The roots are found by Newton's
// method from cos(π·(i−¼)/(n+½)), the i-th largest to O(n⁻²) (Press et al.,
// "Numerical Recipes", 4.6).
func legendre(n int) (places, weights []float64) {
	places, weights = make([]float64, n), make([]float64, n)
	for i := range (n + 1) / 2 {
		x := cosine(math.Pi * (float64(i) + 0.75) / (float64(n) + 0.5))
		for range 100 {
			p, slope := legendreAt(n, x)
			step := p / slope
			x -= step
			if math.Abs(step) <= 1e-16 {
				break
			}
		}
		if 2*i+1 == n {
			x = 0
		}
		_, slope := legendreAt(n, x)
		w := 1 / float64((1-float64(x*x))*float64(slope*slope))
		places[i], places[n-1-i] = float64((1-x)/2), float64((1+x)/2)
		weights[i], weights[n-1-i] = w, w
	}
	return places, weights
}

// legendreAt returns Pₙ and its derivative at x, −1 < x < 1, by the recurrence
// k·Pₖ = (2k−1)·x·Pₖ₋₁ − (k−1)·Pₖ₋₂.
func legendreAt(n int, x float64) (p, slope float64) {
	p, before := 1.0, 0.0
	for k := 1; k <= n; k++ {
		p, before = (float64(float64(2*k-1)*x*p)-float64(float64(k-1)*before))/float64(k), p
	}
	return p, float64(n) * (float64(x*p) - before) / (float64(x*x) - 1)
}

// cosine returns the cosine of an angle from 0 to π/2, to 1e-9 or better, which
// is enough to begin from, by its Taylor series.
func cosine(x float64) float64 {
	term, sum := 1.0, 1.0
	square := float64(x * x)
	for k := 1; k <= 8; k++ {
		term = float64(-term * square / float64(2*k*(2*k-1)))
		sum += term
	}
	return sum
}
