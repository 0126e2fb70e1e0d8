package num

import "math"

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
func newCholesky(a []float64, n int) *cholesky {
	c := &cholesky{n: n, l: make([]float64, n*n), pivot: make([]int, n)}
	left := make([]float64, n) // of the diagonal, by row of a
	for i := range n {
		c.pivot[i], left[i] = i, a[i*n+i]
	}
	for k := range n {
		best, share := k, 0.0
		for i := k; i < n; i++ {
			p := c.pivot[i]
			if s := left[p] / a[p*n+p]; s > share {
				best, share = i, s
			}
		}
		if share <= dependent {
			break
		}
		c.swap(k, best)
		p := c.pivot[k]
		row := c.row(k)
		d := math.Sqrt(left[p])
		row[k] = d
		for i := k + 1; i < n; i++ {
			other, q := c.row(i), c.pivot[i]
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

// solve returns the x of least norm among those that come nearest to A·x = b.
// With the full rank L·Lᵀ·x = b is solved by substitution; below it
// A⁺ = L·(LᵀL)⁻¹·(LᵀL)⁻¹·Lᵀ (Courrieu, "Fast computation of Moore-Penrose
// inverse matrices", Neural Inf. Process. Lett. Rev. 8, 2005).
func (c *cholesky) solve(b []float64) []float64 { return c.solver()(b) }

// solver returns solve with the work that does not depend on b done.
func (c *cholesky) solver() func(b []float64) []float64 {
	if c.rank == c.n {
		return c.substitute
	}
	n, r := c.n, c.rank
	columns := make([]float64, r*n) // Lᵀ
	for i := range n {
		for k, v := range c.row(i)[:r] {
			columns[k*n+i] = v
		}
	}
	inner := make([]float64, r*r) // LᵀL
	for i := range r {
		for k := range r {
			inner[i*r+k] = Dot(columns[i*n:(i+1)*n], columns[k*n:(k+1)*n])
		}
	}
	m := newCholesky(inner, r)
	return func(b []float64) []float64 {
		ordered := make([]float64, n)
		for i, p := range c.pivot {
			ordered[i] = b[p]
		}
		v := make([]float64, r)
		for k := range v {
			v[k] = Dot(columns[k*n:(k+1)*n], ordered)
		}
		v = m.substitute(m.substitute(v))
		x := make([]float64, n)
		for i, p := range c.pivot {
			x[p] = Dot(c.row(i)[:r], v)
		}
		return x
	}
}

// substitute solves L·Lᵀ·x = b for a factorisation of full rank.
func (c *cholesky) substitute(b []float64) []float64 {
	n := c.n
	v := make([]float64, n)
	for i, p := range c.pivot {
		row := c.row(i)
		v[i] = (b[p] - Dot(row[:i], v[:i])) / row[i]
	}
	for i := n - 1; i >= 0; i-- {
		row := c.row(i)
		v[i] /= row[i]
		for k := range i {
			v[k] -= float64(row[k] * v[i])
		}
	}
	x := make([]float64, n)
	for i, p := range c.pivot {
		x[p] = v[i]
	}
	return x
}

// inverse returns A⁻¹, or A⁺ below the full rank.
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
