package num_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk/num"
)

func lasso(t reporter, r *num.Regression, steps int, stop float64) *num.Path {
	t.Helper()
	path, err := r.LassoPath(steps, stop)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLassoPathAgainstLIME(t *testing.T) {
	goldens(t, func(t *testing.T, g *golden) {
		d := g.data(t)
		for _, label := range g.Config.Labels {
			name := "lasso_path." + strconv.Itoa(label) + "."
			if _, ok := g.Outputs[name+"lars_alphas"]; !ok {
				continue
			}
			alphas, _, alphaTol := g.floats(t, name+"lars_alphas")
			coefs, shape, coefTol := g.floats(t, name+"lars_coefs")
			for kind, r := range d.regressions(t, label) {
				path := lasso(t, r, 500, 0x1p-23)
				near(t, kind+": "+name+"lars_alphas", path.Alphas, alphas, alphaTol)
				for k, got := range path.Coefs {
					var want []float64 // the k-th column
					for j := range shape[0] {
						want = append(want, coefs[j*shape[1]+k])
					}
					near(t, kind+": "+name+"lars_coefs", got, want, coefTol)
				}
			}
		}
	})
}

// TestLassoPathWithDrops follows a path on which two coefficients return to 0.
// The numbers are those of scikit-learn 1.2.1.
func TestLassoPathWithDrops(t *testing.T) {
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
	alphas := []float64{
		39.729166666666664, 9.650851581508517, 5.225336563417196, 4.207113081103905, 2.7264734661077856,
		1.665963643667738, 1.5887628831563945, 0.4175125415261271, 0.08539906610859416, 0,
	}
	coefs := [][]float64{
		{0, 0, 0, 0, 0},
		{0.768570201803349, 0, 0, 0, 0},
		{0.8310922299155435, 0, 0, 0, 0.13302113593785134},
		{0.9492537434598529, -0.08833712854608783, 0, 0, 0.11211910879474629},
		{1.1189429906321693, -0.2146804188611027, 0.00502753674277943, 0, 0.08136202329278806},
		{1.286583789585161, -0.3427156892983055, 0, 0.0619634844030532, 0.00550176409448026},
		{1.2985954051641022, -0.3518531958769578, 0, 0.06642074836579344, 0},
		{1.4128256805561545, -0.44681025513164113, 0, 0.10274180341187772, 0},
		{1.5185931257421348, -0.520858931756496, 0, 0.14681633372609265, -0.09006508080655852},
		{1.549932105971816, -0.5438473536564684, -0.0078977990146317, 0.1593024340913719, -0.11366774395666883},
	}
	tests := map[string]struct {
		steps int
		stop  float64
		knots int // how many of them are to be seen
	}{
		"to the end":     {500, 0, 10},
		"no step":        {0, 0, 1},
		"three steps":    {3, 0, 4},
		"to a knot":      {500, 0.1, 9},
		"above the path": {500, 100, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := lasso(t, r, test.steps, test.stop)
			near(t, "alphas", path.Alphas, alphas[:test.knots], 1e-12)
			if len(path.Coefs) != test.knots {
				t.Fatalf("%d knots, want %d", len(path.Coefs), test.knots)
			}
			for k, got := range path.Coefs {
				near(t, "coefs["+strconv.Itoa(k)+"]", got, coefs[k], 1e-12)
				for j, want := range coefs[k] {
					if (got[j] == 0) != (want == 0) {
						t.Errorf("coefs[%d][%d] = %v, want %v: one of them is exactly 0", k, j, got[j], want)
					}
				}
			}
		})
	}
}

// TestLassoPathIsOptimal holds every knot to the conditions of Karush, Kuhn and
// Tucker: Σ wᵢ·eᵢ·xᵢⱼ is n·α·sign bⱼ where bⱼ ≠ 0, and elsewhere at most n·α. Some
// columns are sums or copies of others, up to their sign, or 0.
func TestLassoPathIsOptimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, origin := draw(t), rapid.Bool().Draw(t, "origin")
		if rapid.Bool().Draw(t, "integers") { // whose correlations tie
			for i := range p.x {
				p.x[i] = math.Round(p.x[i])
			}
			for i := range p.y {
				p.y[i], p.w[i] = math.Round(p.y[i]), 1
			}
		}
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed of the combinations"), 0))
		for range rapid.IntRange(0, 2).Draw(t, "combinations") {
			j, k := r.IntN(p.columns), r.IntN(p.columns)
			a := float64(r.IntN(3) - 1)
			b := float64(r.IntN(3) - 1)
			var x []float64
			for i := range p.rows {
				row := p.x[i*p.columns : (i+1)*p.columns]
				x = append(append(x, row...), a*row[j]+b*row[k])
			}
			p.x, p.columns = x, p.columns+1
		}
		path := lasso(t, p.regression(t, origin), 500, 0)
		if len(path.Alphas) > 400 {
			t.Fatalf("%d knots for %d columns", len(path.Alphas), p.columns)
		}
		if !slices.IsSortedFunc(path.Alphas, func(a, b float64) int { return cmp.Compare(b, a) }) {
			t.Fatalf("alphas do not descend: %v", path.Alphas)
		}
		var total float64
		for _, w := range p.w {
			total += w
		}
		for k, b := range path.Coefs {
			level := path.Alphas[k] * float64(p.rows)
			residuals := make([]float64, p.rows)
			mean := 0.0
			for i := range residuals {
				residuals[i] = p.y[i] - num.Dot(b, p.x[i*p.columns:(i+1)*p.columns])
				mean += p.w[i] * residuals[i] / total
			}
			if origin {
				mean = 0
			}
			for j := range b {
				c := 0.0
				for i, e := range residuals {
					c += p.w[i] * (e - mean) * p.x[i*p.columns+j]
				}
				switch {
				case b[j] != 0 && math.Abs(b[j]) < 1e-14:
					t.Fatalf("knot %d: coefficient %d is %v, not 0", k, j, b[j])
				case b[j] != 0:
					close(t, "correlation", []float64{c}, []float64{math.Copysign(level, b[j])})
				case !(math.Abs(c) <= level+1e-8):
					t.Fatalf("knot %d, α %v: column %d has the correlation %v, more than %v", k, path.Alphas[k], j, c, level)
				}
			}
		}
		if last := path.Alphas[len(path.Alphas)-1]; last != 0 {
			t.Fatalf("the path ends at α = %v", last)
		}
	})
}

// TestLassoPathOfAlmostEqualColumns leaves out a column that float64 sums cannot
// tell from another, with which its coefficients would be meaningless.
func TestLassoPathOfAlmostEqualColumns(t *testing.T) {
	const rows, columns = 20, 3
	random := num.NewRand(stream(5))
	var x, y []float64
	for range rows {
		a, b := random.NormFloat64(), random.NormFloat64()
		x = append(x, a, b, a+1e-8*random.NormFloat64())
		y = append(y, 2*a+b+random.NormFloat64())
	}
	r, err := num.NewRegression(x, rows, columns, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := lasso(t, r, 500, 0)
	last := path.Coefs[len(path.Coefs)-1]
	near(t, "last alpha", path.Alphas[len(path.Alphas)-1:], []float64{0}, 0)
	if (last[0] == 0) == (last[2] == 0) {
		t.Errorf("of two columns that are almost equal, one is to be used: %v", last)
	}
	near(t, "last coefficients", []float64{last[0] + last[2], last[1]}, ridge(t, r, 0, []int{0, 1}).Coef, 1e-6)
}

// TestLassoPathOfNothing has nothing to explain, or nothing to explain it with.
func TestLassoPathOfNothing(t *testing.T) {
	tests := map[string]struct{ x, y []float64 }{
		"a constant target": {[]float64{0, 1, 1, 0, 1, 1}, []float64{0.1, 0.1, 0.1}},
		"constant columns":  {[]float64{0.1, 1, 0.1, 1, 0.1, 1}, []float64{1, 2, 4}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := num.NewRegression(test.x, 3, 2, test.y, nil)
			if err != nil {
				t.Fatal(err)
			}
			path := lasso(t, r, 500, 0)
			near(t, "alphas", path.Alphas, []float64{0}, 0)
			near(t, "coefs", path.Coefs[0], []float64{0, 0}, 0)
		})
	}
}
