package num

import (
	"math"
	"slices"
)

// dependent is the share of a column's square that its regression on the
// columns before it must leave; where less is left the column counts as a
// linear combination of them. What float64 sums leave of an exact combination
// is some orders of magnitude smaller.
const dependent = 1e-12

// cholesky is the factorisation A ≈ L·Lᵀ of a symmetric, positive semidefinite
// matrix, with L lower trapezoidal once its rows are brought to pivot order:
// Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 10.3.
type cholesky struct {
	n, rank int
	l       []float64 // n × n, row-major; row i belongs to row pivot[i] of A
	pivot   []int
}

// newCholesky factorises the n × n matrix a, which it does not change. The next
// pivot is the row of which the largest share is left, so that neither the order
// nor the rank depends on the columns' scales; of equal shares the first wins.
//
// Below the full rank it is done again with the row of which the most is left as
// the next pivot. A row of which nothing is left then is a combination of rows
// that are larger than what rounding left of it, and of no others: where weights
// of very different sizes make columns of very different scales, a small column
// would else have to explain the rounding of a large one.
func newCholesky(a []float64, n int) *cholesky {
	c := factorise(a, n, func(left, all float64) float64 { return left / all })
	if c.rank < n {
		c = factorise(a, n, func(left, _ float64) float64 { return left })
	}
	return c
}

// factorise takes as the next pivot the row with the largest key, by what is left
// of its diagonal and all of it. A row of which nothing is left takes no part any
// more.
func factorise(a []float64, n int, key func(left, all float64) float64) *cholesky {
	c := &cholesky{n: n, l: make([]float64, n*n), pivot: make([]int, n)}
	left := make([]float64, n) // of the diagonal, by row of a
	for i := range n {
		c.pivot[i], left[i] = i, a[i*n+i]
	}
	spent := func(p int) bool { return !(left[p] > float64(dependent*a[p*n+p])) }
	for k := range n {
		best, most := -1, 0.0
		for i := k; i < n; i++ {
			p := c.pivot[i]
			if s := key(left[p], a[p*n+p]); s > most && !spent(p) {
				best, most = i, s
			}
		}
		if best < 0 {
			break
		}
		c.swap(k, best)
		p := c.pivot[k]
		row := c.row(k)
		d := math.Sqrt(left[p])
		row[k] = d
		for i := k + 1; i < n; i++ {
			other, q := c.row(i), c.pivot[i]
			if spent(q) {
				continue
			}
			v := (a[q*n+p] - Dot(other[:k], row[:k])) / d
			other[k] = v
			left[q] -= float64(v * v)
		}
		c.rank = k + 1
	}
	return c
}

func (c *cholesky) row(i int) []float64 { return c.l[i*c.n : (i+1)*c.n] }

// swap exchanges the rows i and j of L.
func (c *cholesky) swap(i, j int) {
	if i == j {
		return
	}
	a, b := c.row(i), c.row(j)
	for k := range a {
		a[k], b[k] = b[k], a[k]
	}
	c.pivot[i], c.pivot[j] = c.pivot[j], c.pivot[i]
}

// solve returns the solution of least norm of A·x = b, where b is in the range of A,
// as sums over the rows of a regression are. With the full rank L·Lᵀ·x = b is solved
// by substitution. Below it the rows of L are L₁ of the pivots and L₂ = T·L₁ of
// those that depend on them. With x₁ that of the pivots alone, L₁·L₁ᵀ·x₁ = b₁, all
// solutions are (x₁ − Tᵀ·z, z), of which the shortest has (I + TᵀT)⁻¹·x₁ = y for
// the pivots and z = T·y for the others.
func (c *cholesky) solve(b []float64) []float64 { return c.solver()(b) }

// solver returns solve with the work that does not depend on b done.
func (c *cholesky) solver() func(b []float64) []float64 {
	n, r := c.n, c.rank
	if r == n {
		return c.substitute
	}
	rest := make([][]float64, n-r) // the rows of T
	for i := range rest {
		t := slices.Clone(c.row(r + i)[:r])
		for k := r - 1; k >= 0; k-- {
			row := c.row(k)
			t[k] /= row[k]
			for j := range k {
				t[j] -= float64(row[j] * t[k])
			}
		}
		rest[i] = t
	}
	inner := make([]float64, r*r) // I + TᵀT
	for k := range r {
		inner[k*r+k] = 1
	}
	for _, t := range rest {
		for k, v := range t {
			for j, w := range t {
				inner[k*r+j] += float64(v * w)
			}
		}
	}
	shorten := newCholesky(inner, r).solver()
	return func(b []float64) []float64 {
		y := make([]float64, r)
		for i, p := range c.pivot[:r] {
			y[i] = b[p]
		}
		c.forth(y)
		c.back(y)
		y = shorten(y)
		x := make([]float64, n)
		for i, v := range y {
			x[c.pivot[i]] = v
		}
		for i, t := range rest {
			x[c.pivot[r+i]] = Dot(t, y)
		}
		return x
	}
}

// substitute solves L·Lᵀ·x = b for a factorisation of full rank.
func (c *cholesky) substitute(b []float64) []float64 {
	v := make([]float64, c.n)
	for i, p := range c.pivot {
		v[i] = b[p]
	}
	c.forth(v)
	c.back(v)
	x := make([]float64, c.n)
	for i, p := range c.pivot {
		x[p] = v[i]
	}
	return x
}

// forth solves L·v = b of the first rows, in pivot order, in place.
func (c *cholesky) forth(v []float64) {
	for i := range v {
		row := c.row(i)
		v[i] = (v[i] - Dot(row[:i], v[:i])) / row[i]
	}
}

// back solves Lᵀ·x = v of the first rows, in place.
func (c *cholesky) back(v []float64) {
	for i := len(v) - 1; i >= 0; i-- {
		row := c.row(i)
		v[i] /= row[i]
		for k := range i {
			v[k] -= float64(row[k] * v[i])
		}
	}
}

// inverse returns A⁻¹; below the full rank what solves for every b in the range.
func (c *cholesky) inverse() []float64 {
	inverse := make([]float64, c.n*c.n)
	unit := make([]float64, c.n)
	for solve, i := c.solver(), 0; i < c.n; i++ {
		unit[i] = 1
		copy(inverse[i*c.n:], solve(unit))
		unit[i] = 0
	}
	return inverse
}
