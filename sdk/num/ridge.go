package num

import (
	"math"
	"strconv"
)

// Fit is a ridge regression on some columns of a Regression.
type Fit struct {
	Columns   []int     // the columns used, in the caller's order
	Coef      []float64 // their coefficients
	Intercept float64   // the prediction where all columns are 0; not penalised
	R2        float64   // the weighted coefficient of determination

	regression *Regression
	factors    *cholesky // of G + αI on Columns
}

// Ridge returns the coefficients b and the intercept that minimise
// Σ wᵢ·(yᵢ − b₀ − xᵢ·b)² + α·‖b‖²:
//
//	b = (G + αI)⁻¹·m, b₀ = ȳ − x̄·b
//
// where G and m are the weighted, centred sums over the columns named, or over
// all of them where columns is nil (Hoerl and Kennard, "Ridge regression",
// Technometrics 12, 1970). As in scikit-learn, α is not scaled by the weights.
// Where a column is a linear combination of others and α does not decide between
// them, b is the solution of least norm.
//
// R2 is 1 − Σ wᵢ·(yᵢ − ŷᵢ)² / Σ wᵢ·(yᵢ − ȳ)², with 0 for ȳ where there is no
// intercept, and 1 where y does not vary.
//
// It returns an *Error where alpha is negative or not finite, or a column does
// not exist. The cost grows with the cube of the number of columns, not with the
// rows.
func (r *Regression) Ridge(alpha float64, columns []int) (*Fit, error) {
	if !(alpha >= 0) || math.IsInf(alpha, 0) {
		return nil, &Error{"alpha", strconv.FormatFloat(alpha, 'g', -1, 64) + "; it must be 0 or more, and finite"}
	}
	f := &Fit{Columns: make([]int, 0, r.columns), regression: r}
	if columns == nil {
		for j := range r.columns {
			f.Columns = append(f.Columns, j)
		}
	}
	for _, j := range columns {
		if j < 0 || j >= r.columns {
			return nil, &Error{"columns", "there is no column " + strconv.Itoa(j) + "; x has " + strconv.Itoa(r.columns)}
		}
		f.Columns = append(f.Columns, j)
	}
	p := len(f.Columns)
	penalised := make([]float64, p*p)
	moment := make([]float64, p)
	for a, j := range f.Columns {
		for b, k := range f.Columns {
			penalised[a*p+b] = r.gram[j*r.columns+k]
		}
		penalised[a*p+a] += alpha
		moment[a] = r.moment[j]
	}
	f.factors = newCholesky(penalised, p)
	f.Coef = f.factors.solve(moment)

	f.Intercept = r.meanY
	explained := 0.0 // Σ wᵢ·((yᵢ − ȳ)² − (yᵢ − ŷᵢ)²) = 2b·m − b·Gb
	for a, j := range f.Columns {
		f.Intercept -= float64(f.Coef[a] * r.mean[j])
		gb := 0.0
		for b, k := range f.Columns {
			gb += float64(r.gram[j*r.columns+k] * f.Coef[b])
		}
		explained += float64(f.Coef[a] * (float64(2*moment[a]) - gb))
	}
	f.R2 = 1
	if r.square > 0 {
		f.R2 = min(explained/r.square, 1)
	}
	return f, nil
}

// Solve returns (G + αI)⁻¹·b for the columns used, by which the coefficients move
// when b is added to the moments: what an estimate of their errors is made from.
// It panics where b has another length.
func (f *Fit) Solve(b []float64) []float64 {
	if len(b) != len(f.Columns) {
		panic("num: Solve for a vector of another length than there are columns")
	}
	return f.factors.solve(b)
}

// StdErr returns the standard error of each coefficient: the square root of the
// diagonal of
//
//	A⁻¹·(Σ wᵢ²·eᵢ²/(1 − hᵢ)²·xᵢ·xᵢᵀ)·A⁻¹, A = G + αI, hᵢ = wᵢ·(1/Σw + xᵢᵀ·A⁻¹·xᵢ)
//
// with x centred and eᵢ the residuals. This is the estimator HC3 of MacKinnon and
// White ("Some heteroskedasticity-consistent covariance matrix estimators", J.
// Econometrics 29, 1985), which equals Σ (b − b₍ᵢ₎)² over the fits b₍ᵢ₎ that leave
// out row i. It assumes neither equal variances nor that y is linear in x; for a
// penalised fit it is the error about what the penalised fit expects, without
// the bias.
//
// A coefficient is given +Inf where a row that alone determines it (hᵢ = 1)
// leaves nothing to estimate its error from. The cost grows with the rows and
// the square of the columns used.
func (f *Fit) StdErr() []float64 {
	r, p := f.regression, len(f.Columns)
	inverse := f.factors.inverse()
	intercept := 1 / r.total
	if r.origin {
		intercept = 0
	}
	variance := make([]float64, p)
	row, x, u := make([]float64, r.columns), make([]float64, p), make([]float64, p)
	for i, w := range r.weights {
		if w == 0 {
			continue
		}
		r.centred(row, i)
		for k, j := range f.Columns {
			x[k] = row[j]
		}
		for k := range u {
			u[k] = Dot(inverse[k*p:(k+1)*p], x)
		}
		rest := 1 - float64(w*(intercept+Dot(x, u)))
		residual := r.y[i] - r.meanY - Dot(x, f.Coef)
		for k, v := range u {
			change := float64(w * residual * v) // of Coef[k] without row i, but for rest
			switch {
			case rest > dependent:
				change /= rest
				variance[k] += float64(change * change)
			case v != 0:
				variance[k] = math.Inf(1)
			}
		}
	}
	for k, v := range variance {
		variance[k] = math.Sqrt(v)
	}
	return variance
}
