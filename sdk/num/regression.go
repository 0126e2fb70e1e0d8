package num

import (
	"math"
	"math/bits"
	"strconv"
)

// Regression is a weighted linear regression of a target on the columns of a
// matrix: the sums over its rows that every estimate starts from, taken once, so
// that estimates on any columns and with any penalty cost nothing more in the
// rows. A Regression is immutable and safe for concurrent use. It keeps the
// slices that it was given and they must not change.
type Regression struct {
	rows, columns int
	floats        []float64 // the matrix, row-major: floats or masks
	masks         []uint8
	weights       []float64
	origin        bool // no intercept

	total float64   // Σ wᵢ
	mean  []float64 // x̄ⱼ = Σ wᵢ·xᵢⱼ / Σ wᵢ; 0 without an intercept
	gram  []float64 // columns × columns: Gⱼₖ = Σ wᵢ·(xᵢⱼ − x̄ⱼ)·(xᵢₖ − x̄ₖ)

	y      []float64
	meanY  float64
	moment []float64 // mⱼ = Σ wᵢ·(xᵢⱼ − x̄ⱼ)·(yᵢ − ȳ)
	square float64   // Σ wᵢ·(yᵢ − ȳ)²
}

// NewRegression returns the regression of y on x with an intercept. The matrix x
// is rows × columns, row-major: floats, or masks of 0 and 1, which are summed
// faster. There are as many weights, and elements of y, as rows; nil weights are
// ones. It returns an *Error where the lengths do not fit, a number is not
// finite, a weight is negative or all are 0, or a mask is neither 0 nor 1.
func NewRegression[E float64 | uint8](x []E, rows, columns int, y, weights []float64) (*Regression, error) {
	return newRegression(x, rows, columns, y, weights, false)
}

// NewRegressionThroughOrigin is NewRegression without an intercept: neither x
// nor y is centred.
func NewRegressionThroughOrigin[E float64 | uint8](x []E, rows, columns int, y, weights []float64) (*Regression, error) {
	return newRegression(x, rows, columns, y, weights, true)
}

func newRegression[E float64 | uint8](x []E, rows, columns int, y, weights []float64, origin bool) (*Regression, error) {
	switch {
	case rows < 1 || columns < 1:
		return nil, &Error{"x", strconv.Itoa(rows) + " rows and " + strconv.Itoa(columns) + " columns; a regression needs at least one of each"}
	case len(x)%columns != 0 || len(x)/columns != rows:
		return nil, &Error{"x", strconv.Itoa(len(x)) + " elements, which must be " + strconv.Itoa(rows) + " rows of " + strconv.Itoa(columns) + " columns"}
	}
	if weights == nil {
		weights = make([]float64, rows)
		for i := range weights {
			weights[i] = 1
		}
	}
	r := &Regression{rows: rows, columns: columns, weights: weights, origin: origin}
	if err := r.check("weights", weights); err != nil {
		return nil, err
	}
	for i, w := range weights {
		if w < 0 {
			return nil, &Error{"weights", "element " + strconv.Itoa(i) + " is negative; it must be 0 or more"}
		}
		r.total += w
	}
	if r.total == 0 || math.IsInf(r.total, 0) {
		return nil, &Error{"weights", "their sum is " + strconv.FormatFloat(r.total, 'g', -1, 64) + "; it must be positive and finite"}
	}
	switch x := any(x).(type) {
	case []float64:
		r.floats = x
		for i, v := range x {
			if math.IsInf(v, 0) || v != v {
				return nil, &Error{"x", "element " + strconv.Itoa(i) + " is not finite; leave its row out"}
			}
		}
		r.sumFloats()
	case []uint8:
		r.masks = x
		for i, v := range x {
			if v > 1 {
				return nil, &Error{"x", "element " + strconv.Itoa(i) + " of the masks is " + strconv.Itoa(int(v)) + "; it must be 0 or 1"}
			}
		}
		r.sumMasks()
	}
	return r.WithTarget(y)
}

// check refuses a vector that is not as long as there are rows, or not
// finite.
func (r *Regression) check(name string, v []float64) error {
	if len(v) != r.rows {
		return &Error{name, strconv.Itoa(len(v)) + " elements for the " + strconv.Itoa(r.rows) + " rows of x; there must be as many"}
	}
	for i, e := range v {
		if math.IsInf(e, 0) || e != e {
			return &Error{name, "element " + strconv.Itoa(i) + " is not finite; leave its row out"}
		}
	}
	return nil
}

// WithTarget returns the regression of another y on the same matrix, whose sums
// it shares.
func (r *Regression) WithTarget(y []float64) (*Regression, error) {
	if err := r.check("y", y); err != nil {
		return nil, err
	}
	t := *r
	t.y = y
	if t.meanY = 0; !t.origin {
		t.meanY = t.centre(func(i int) float64 { return y[i] })
	}
	moment, row := make([]float64, t.columns), make([]float64, t.columns)
	t.square, t.moment = 0, moment
	for i, w := range t.weights {
		if w == 0 {
			continue
		}
		d := y[i] - t.meanY
		a := float64(w * d)
		t.square += float64(a * d)
		t.centred(row, i)
		for j, v := range row[:len(moment)] {
			moment[j] += float64(a * v)
		}
	}
	return &t, nil
}

// centre returns the weighted mean of value(i) over the rows. Where all values
// are equal it is exactly that value, so that nothing is left when it is
// subtracted.
func (r *Regression) centre(value func(row int) float64) float64 {
	sum, first, equal := 0.0, math.NaN(), true
	for i, w := range r.weights {
		if w == 0 {
			continue
		}
		v := value(i)
		if first != first {
			first = v
		}
		equal = equal && v == first
		sum += float64(w * v)
	}
	if equal {
		return first
	}
	return sum / r.total
}

// centred writes row i less the means to dst, one element a column.
func (r *Regression) centred(dst []float64, i int) {
	dst, mean := dst[:r.columns], r.mean[:r.columns]
	if r.masks != nil {
		for j, v := range r.masks[i*r.columns:][:r.columns] {
			dst[j] = float64(v) - mean[j]
		}
		return
	}
	for j, v := range r.floats[i*r.columns:][:r.columns] {
		dst[j] = v - mean[j]
	}
}

// sumFloats computes the means and the Gram matrix of floats, four rows at a
// time, so that the matrix is passed over a quarter as often.
func (r *Regression) sumFloats() {
	p := r.columns
	r.mean = make([]float64, p)
	if !r.origin {
		for j := range r.mean {
			r.mean[j] = r.centre(func(i int) float64 { return r.floats[i*p+j] })
		}
	}
	r.gram = make([]float64, p*p)
	var weights [4]float64
	block := make([]float64, 4*p)
	x0, x1, x2, x3 := block[:p], block[p:2*p], block[2*p:3*p], block[3*p:]
	filled := 0
	flush := func() {
		for ; filled < 4; filled++ {
			weights[filled] = 0
		}
		filled = 0
		for j := range p {
			a0, a1 := float64(weights[0]*x0[j]), float64(weights[1]*x1[j])
			a2, a3 := float64(weights[2]*x2[j]), float64(weights[3]*x3[j])
			g := r.gram[j*p+j : (j+1)*p]
			b0, b1, b2, b3 := x0[j:][:len(g)], x1[j:][:len(g)], x2[j:][:len(g)], x3[j:][:len(g)]
			for k := range g {
				g[k] += (float64(a0*b0[k]) + float64(a1*b1[k])) + (float64(a2*b2[k]) + float64(a3*b3[k]))
			}
		}
	}
	for i, w := range r.weights {
		if w == 0 {
			continue
		}
		weights[filled] = w
		r.centred(block[filled*p:(filled+1)*p], i)
		if filled++; filled == 4 {
			flush()
		}
	}
	if filled > 0 {
		flush()
	}
	mirror(r.gram, p)
}

// sumMasks computes the means and the Gram matrix of masks. It adds a weight
// where both columns are set and centres afterwards,
// Gⱼₖ = Σ wᵢ·xᵢⱼ·xᵢₖ − Sⱼ·Sₖ/Σ wᵢ with Sⱼ = Σ wᵢ·xᵢⱼ. So that this does not
// cancel where one row has nearly all the weight, columns that are set in the
// heaviest row are complemented meanwhile, which changes the sign of their
// centred values and nothing else.
//
// Eight rows of a column are one byte. What the rows that two columns share
// weigh is then one look into a table of the 256 sums of their weights, and four
// such groups are taken at a time.
func (r *Regression) sumMasks() {
	p := r.columns
	flip := make([]uint8, p)
	if !r.origin {
		heaviest := 0
		for i, w := range r.weights {
			if w > r.weights[heaviest] {
				heaviest = i
			}
		}
		copy(flip, r.masks[heaviest*p:])
	}
	r.gram = make([]float64, p*p)
	var weigh [4][256]float64
	var set [4][]uint8
	for g := range set {
		set[g] = make([]uint8, p)
	}
	for start := 0; start < r.rows; start += 32 {
		for g := range set {
			clear(set[g])
			var weights [8]float64
			for bit := range weights {
				i := start + 8*g + bit
				if i >= r.rows {
					break
				}
				weights[bit] = r.weights[i]
				row, flip := set[g][:p], flip[:p]
				for j, v := range r.masks[i*p:][:p] {
					row[j] |= (v ^ flip[j]) << bit
				}
			}
			for v := 1; v < 256; v++ {
				weigh[g][v] = weigh[g][v&(v-1)] + weights[bits.TrailingZeros8(uint8(v))]
			}
		}
		for j := range p {
			a0, a1, a2, a3 := set[0][j], set[1][j], set[2][j], set[3][j]
			if a0|a1|a2|a3 == 0 {
				continue
			}
			g := r.gram[j*p+j : (j+1)*p]
			b0, b1, b2, b3 := set[0][j:][:len(g)], set[1][j:][:len(g)], set[2][j:][:len(g)], set[3][j:][:len(g)]
			for k := range g {
				g[k] += (weigh[0][a0&b0[k]] + weigh[1][a1&b1[k]]) + (weigh[2][a2&b2[k]] + weigh[3][a3&b3[k]])
			}
		}
	}
	r.mean = make([]float64, p)
	if r.origin {
		mirror(r.gram, p)
		return
	}
	sums := make([]float64, p)
	for j := range sums {
		sums[j] = r.gram[j*p+j] // xᵢⱼ² = xᵢⱼ
	}
	for j, s := range sums {
		r.mean[j] = s / r.total
		if flip[j] != 0 {
			r.mean[j] = (r.total - s) / r.total
		}
		for k := j; k < p; k++ {
			g := r.gram[j*p+k] - float64(s*sums[k])/r.total
			if flip[j] != flip[k] {
				g = -g
			}
			r.gram[j*p+k] = g
		}
	}
	mirror(r.gram, p)
}

// mirror copies the upper triangle of the n × n matrix a to the lower.
func mirror(a []float64, n int) {
	for i := range n {
		for k := range i {
			a[i*n+k] = a[k*n+i]
		}
	}
}
