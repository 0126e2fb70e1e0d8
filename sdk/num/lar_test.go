package num_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk/num"
)

// TestLARPath: each step of least angle regression adds a column, and all of them
// have the same correlation with the residual, which no other column exceeds.
func TestLARPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const rows = 12
		columns := rapid.IntRange(1, 5).Draw(t, "columns")
		value := rapid.Float64Range(-1, 1)
		x := rapid.SliceOfN(value, rows*columns, rows*columns).Draw(t, "x")
		y := rapid.SliceOfN(value, rows, rows).Draw(t, "y")
		w := rapid.SliceOfN(rapid.Float64Range(0.5, 2), rows, rows).Draw(t, "w")
		for j := range columns { // no two alike, and none of zeros
			x[j*columns+j] += 4
			y[j] += float64(j + 1)
		}
		r, err := num.NewRegressionThroughOrigin(x, rows, columns, y, w)
		if err != nil {
			t.Fatal(err)
		}
		path, err := r.LARPath(columns, 0)
		if err != nil {
			t.Fatal(err)
		}
		for k, b := range path.Coefs {
			level := path.Alphas[k] * rows
			used := 0
			for j := range columns {
				c := 0.0
				for i := range rows {
					e := y[i]
					for l, v := range b {
						e -= x[i*columns+l] * v
					}
					c += w[i] * x[i*columns+j] * e
				}
				if b[j] != 0 {
					used++
					if math.Abs(math.Abs(c)-level) > 1e-9*(1+level) {
						t.Fatalf("knot %d: the correlation of column %d is %v, that of the knot %v", k, j, c, level)
					}
				}
				if math.Abs(c) > level+1e-9*(1+level) {
					t.Fatalf("knot %d: the correlation of column %d is %v, above that of the knot, %v", k, j, c, level)
				}
			}
			if used > k {
				t.Fatalf("knot %d has %d columns", k, used)
			}
		}
		if _, err := r.LARPath(-1, 0); err == nil {
			t.Fatal("a negative number of steps is taken")
		}
	})
}

// TestLARKeepsColumns: where the lasso drops a column on its way, least angle
// regression keeps it.
func TestLARKeepsColumns(t *testing.T) {
	const rows, columns = 12, 5
	var x, y, w []float64
	for i := range rows {
		for j := range columns {
			x = append(x, float64((19*i*i+42*i*j+7*j)%13-6+19*i%7))
		}
		y = append(y, float64(42*i*i%17))
		w = append(w, float64(1+i%3))
	}
	r, err := num.NewRegression(x, rows, columns, y, w)
	if err != nil {
		t.Fatal(err)
	}
	lasso, err := r.LassoPath(500, 0)
	if err != nil {
		t.Fatal(err)
	}
	lar, err := r.LARPath(500, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(lasso.Alphas) <= columns+1 || len(lar.Alphas) != columns+1 {
		t.Errorf("%d knots of the lasso and %d of least angle regression, of %d columns", len(lasso.Alphas), len(lar.Alphas), columns)
	}
	last := func(p *num.Path) []float64 { return p.Coefs[len(p.Coefs)-1] }
	for j, b := range last(lar) {
		if math.Abs(b-last(lasso)[j]) > 1e-9 {
			t.Errorf("coefficient %d of the least squares solution is %v and %v", j, b, last(lasso)[j])
		}
	}
}

// TestSolve: what is added to the moments moves the coefficients by Solve of it.
func TestSolve(t *testing.T) {
	x := []float64{1, 2, 0, 1, 3, 1, 2, 2, 5, 1, 0, 1}
	y := []float64{1, 0, 2, 5}
	r, err := num.NewRegressionThroughOrigin(x, 4, 3, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	fit, err := r.Ridge(0.5, []int{2, 0})
	if err != nil {
		t.Fatal(err)
	}
	moment := make([]float64, 2)
	for i, v := range y {
		moment[0] += x[i*3+2] * v
		moment[1] += x[i*3] * v
	}
	for k, b := range fit.Solve(moment) {
		if math.Abs(b-fit.Coef[k]) > 1e-12 {
			t.Errorf("coefficient %d is %v, want %v", k, b, fit.Coef[k])
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a vector of another length is solved for")
		}
	}()
	fit.Solve(y)
}
