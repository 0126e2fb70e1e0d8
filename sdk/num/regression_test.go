package num_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk/num"
)

// reporter is what a test, a benchmark and a law have in common.
type reporter interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// data is what the golden cases regress.
type data struct {
	rows, columns int
	masks         []uint8
	weights       []float64
	y             map[int][]float64 // by label
}

func (g *golden) data(t *testing.T) data {
	t.Helper()
	masks := g.ints(t, "data")
	shape := g.Outputs["data"].Shape
	d := data{rows: shape[0], columns: shape[1], y: map[int][]float64{}}
	for _, v := range masks {
		d.masks = append(d.masks, uint8(v))
	}
	d.weights, _, _ = g.floats(t, "weights")
	yss, shape, _ := g.floats(t, "yss")
	for _, label := range g.Config.Labels {
		y := make([]float64, d.rows)
		for i := range y {
			y[i] = yss[i*shape[1]+label]
		}
		d.y[label] = y
	}
	return d
}

func floats(masks []uint8) []float64 {
	v := make([]float64, len(masks))
	for i, m := range masks {
		v[i] = float64(m)
	}
	return v
}

// regressions returns the regression of the label on the masks, and on the same
// numbers as floats.
func (d data) regressions(t *testing.T, label int) map[string]*num.Regression {
	t.Helper()
	masks, err := num.NewRegression(d.masks, d.rows, d.columns, make([]float64, d.rows), d.weights)
	if err != nil {
		t.Fatal(err)
	}
	if masks, err = masks.WithTarget(d.y[label]); err != nil {
		t.Fatal(err)
	}
	floats, err := num.NewRegression(floats(d.masks), d.rows, d.columns, d.y[label], d.weights)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*num.Regression{"masks": masks, "floats": floats}
}

func ridge(t reporter, r *num.Regression, alpha float64, columns []int) *num.Fit {
	t.Helper()
	f, err := r.Ridge(alpha, columns)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRidgeAgainstLIME(t *testing.T) {
	goldens(t, func(t *testing.T, g *golden) {
		d := g.data(t)
		for _, label := range g.Config.Labels {
			for kind, r := range d.regressions(t, label) {
				prefix := "." + strconv.Itoa(label) + "."
				ols, _, atol := g.floats(t, "ols"+prefix+"coef")
				near(t, kind+": ols"+prefix+"coef", ridge(t, r, 0, nil).Coef, ols, atol)
				for _, mode := range g.Config.Modes {
					name := mode + prefix
					f := ridge(t, r, 1, g.ints(t, name+"features"))
					coef, _, atol := g.floats(t, name+"coef")
					near(t, kind+": "+name+"coef", f.Coef, coef, atol)
					prediction := f.Intercept
					for k, j := range f.Columns {
						prediction += f.Coef[k] * float64(d.masks[j])
					}
					for output, got := range map[string]float64{
						"intercept": f.Intercept, "score": f.R2, "local_pred": prediction,
					} {
						want, _, atol := g.floats(t, name+output)
						near(t, kind+": "+name+output, []float64{got}, want, atol)
					}
					if mode == "highest_weights" {
						f := ridge(t, r, 0.01, nil)
						coef, _, atol := g.floats(t, name+"ridge001_coef")
						near(t, kind+": "+name+"ridge001_coef", f.Coef, coef, atol)
						intercept, _, atol := g.floats(t, name+"ridge001_intercept")
						near(t, kind+": "+name+"ridge001_intercept", []float64{f.Intercept}, intercept, atol)
					}
				}
			}
		}
	})
}

// TestR2SelectsLikeLIME repeats forward selection, which picks at each step the
// column whose least squares fit, with those picked, has the largest R².
func TestR2SelectsLikeLIME(t *testing.T) {
	goldens(t, func(t *testing.T, g *golden) {
		d := g.data(t)
		for _, label := range g.Config.Labels {
			name := "forward_selection." + strconv.Itoa(label) + ".selection_order"
			if _, ok := g.Outputs[name]; !ok {
				continue
			}
			want := g.ints(t, name)
			for kind, r := range d.regressions(t, label) {
				var got []int
				for range want {
					best, score := -1, math.Inf(-1)
					for j := range d.columns {
						taken := false
						for _, k := range got {
							taken = taken || j == k
						}
						if taken {
							continue
						}
						if f := ridge(t, r, 0, append(got[:len(got):len(got)], j)); f.R2 > score {
							best, score = j, f.R2
						}
					}
					got = append(got, best)
				}
				for i := range want {
					if got[i] != want[i] {
						t.Errorf("%s: %s = %v, want %v", kind, name, got, want)
						break
					}
				}
			}
		}
	})
}

// problem is a regression drawn at random.
type problem struct {
	rows, columns int
	x, y, w       []float64
}

// draw returns a problem with more rows than columns, whose entries are of the
// order of 1. Some weights are 0.
func draw(t *rapid.T) problem {
	p := problem{columns: rapid.IntRange(1, 6).Draw(t, "columns")}
	p.rows = p.columns + rapid.IntRange(3, 30).Draw(t, "more rows")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	for range p.rows * p.columns {
		p.x = append(p.x, r.NormFloat64())
	}
	for i := range p.rows {
		p.y = append(p.y, 3+r.NormFloat64())
		p.w = append(p.w, 0.1+r.Float64())
		if i > p.columns+2 && r.IntN(4) == 0 {
			p.w[i] = 0
		}
	}
	return p
}

func (p problem) regression(t reporter, origin bool) *num.Regression {
	t.Helper()
	newRegression := num.NewRegression[float64]
	if origin {
		newRegression = num.NewRegressionThroughOrigin[float64]
	}
	r, err := newRegression(p.x, p.rows, p.columns, p.y, p.w)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// close fails where two results of exact laws differ by more than rounding. The
// condition of the random problems takes a few digits.
func close(t reporter, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-8*(1+math.Abs(want[i]))) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestRidgeLaws(t *testing.T) {
	t.Run("solves the normal equations", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p, alpha := draw(t), rapid.SampledFrom([]float64{0, 0.01, 1, 100}).Draw(t, "alpha")
			origin := rapid.Bool().Draw(t, "origin")
			f := ridge(t, p.regression(t, origin), alpha, nil)
			// The gradient of the objective vanishes: Σ wᵢ·eᵢ·xᵢⱼ = α·bⱼ and Σ wᵢ·eᵢ = 0.
			gradient, residuals := make([]float64, p.columns), 0.0
			var rss, tss, mean, total float64
			for i, w := range p.w {
				mean += w * p.y[i]
				total += w
			}
			if mean /= total; origin {
				mean = 0
			}
			for i, w := range p.w {
				e := p.y[i] - f.Intercept
				for j, b := range f.Coef {
					e -= b * p.x[i*p.columns+j]
				}
				for j := range gradient {
					gradient[j] += w * e * p.x[i*p.columns+j]
				}
				residuals += w * e
				rss += w * e * e
				tss += w * (p.y[i] - mean) * (p.y[i] - mean)
			}
			for j, b := range f.Coef {
				gradient[j] -= alpha * b
			}
			close(t, "gradient", gradient, make([]float64, p.columns))
			if origin {
				close(t, "intercept", []float64{f.Intercept}, []float64{0})
			} else {
				close(t, "sum of residuals", []float64{residuals}, []float64{0})
			}
			close(t, "R²", []float64{f.R2}, []float64{1 - rss/tss})
		})
	})
	t.Run("exact on a linear model", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := draw(t)
			want := make([]float64, p.columns)
			for j := range want {
				want[j] = float64(j*j) - 2
			}
			for i := range p.y {
				p.y[i] = 7 + num.Dot(want, p.x[i*p.columns:(i+1)*p.columns])
			}
			f := ridge(t, p.regression(t, false), 0, nil)
			close(t, "coef", f.Coef, want)
			close(t, "intercept", []float64{f.Intercept}, []float64{7})
			close(t, "R²", []float64{f.R2}, []float64{1})
			if f.R2 > 1 {
				t.Fatalf("R² = %v", f.R2)
			}
			close(t, "standard errors", f.StdErr(), make([]float64, p.columns))
		})
	})
	t.Run("scales", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := draw(t)
			f := ridge(t, p.regression(t, false), 2, nil)
			coef, stderr := make([]float64, p.columns), f.StdErr()
			for j := range coef {
				coef[j] = -3 * f.Coef[j]
				stderr[j] *= 3
			}
			for i := range p.y {
				p.y[i] = 5 - 3*p.y[i]
				p.w[i] *= 8
			}
			s := ridge(t, p.regression(t, false), 16, nil)
			close(t, "coef", s.Coef, coef)
			close(t, "intercept", []float64{s.Intercept}, []float64{5 - 3*f.Intercept})
			close(t, "standard errors", s.StdErr(), stderr)
		})
	})
	t.Run("scales with the columns", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := draw(t)
			f := ridge(t, p.regression(t, false), 0, nil)
			for i := range p.x {
				p.x[i] = math.Ldexp(p.x[i], 40*(i%p.columns%3)-20)
			}
			s := ridge(t, p.regression(t, false), 0, nil)
			for j := range s.Coef {
				s.Coef[j] = math.Ldexp(s.Coef[j], 40*(j%3)-20)
			}
			close(t, "coef", s.Coef, f.Coef)
		})
	})
	t.Run("ignores the order of rows", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p, q := draw(t), problem{}
			q.rows, q.columns = p.rows, p.columns
			for _, i := range rapid.Permutation(num.NewRand(stream(1)).Perm(p.rows)).Draw(t, "rows") {
				q.x = append(q.x, p.x[i*p.columns:(i+1)*p.columns]...)
				q.y, q.w = append(q.y, p.y[i]), append(q.w, p.w[i])
			}
			a, b := ridge(t, p.regression(t, false), 1, nil), ridge(t, q.regression(t, false), 1, nil)
			close(t, "coef", a.Coef, b.Coef)
			close(t, "standard errors", a.StdErr(), b.StdErr())
		})
	})
	t.Run("a weight is a number of rows", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p, q := draw(t), problem{}
			q.columns = p.columns
			for i := range p.rows {
				p.w[i] = float64(i % 3)
				for range i % 3 {
					q.x = append(q.x, p.x[i*p.columns:(i+1)*p.columns]...)
					q.y, q.w = append(q.y, p.y[i]), append(q.w, 1)
					q.rows++
				}
			}
			a, b := ridge(t, p.regression(t, false), 1, nil), ridge(t, q.regression(t, false), 1, nil)
			close(t, "coef", a.Coef, b.Coef)
			close(t, "R²", []float64{a.R2}, []float64{b.R2})
		})
	})
	t.Run("columns are those of a smaller matrix", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := draw(t)
			columns := num.NewRand(stream(rapid.Uint64().Draw(t, "seed of columns"))).Perm(p.columns)
			columns = columns[:rapid.IntRange(1, p.columns).Draw(t, "number of columns")]
			q := p
			q.x, q.columns = nil, len(columns)
			for i := range p.rows {
				for _, j := range columns {
					q.x = append(q.x, p.x[i*p.columns+j])
				}
			}
			a, b := ridge(t, p.regression(t, false), 1, columns), ridge(t, q.regression(t, false), 1, nil)
			close(t, "coef", a.Coef, b.Coef)
			close(t, "standard errors", a.StdErr(), b.StdErr())
		})
	})
	t.Run("masks are floats", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p, origin := draw(t), rapid.Bool().Draw(t, "origin")
			masks := make([]uint8, len(p.x))
			for i, v := range p.x {
				if masks[i] = 0; v > 0 {
					masks[i] = 1
				}
			}
			p.x = floats(masks)
			newRegression := num.NewRegression[uint8]
			if origin {
				newRegression = num.NewRegressionThroughOrigin[uint8]
			}
			r, err := newRegression(masks, p.rows, p.columns, p.y, p.w)
			if err != nil {
				t.Fatal(err)
			}
			a, b := ridge(t, r, 0.1, nil), ridge(t, p.regression(t, origin), 0.1, nil)
			close(t, "coef", a.Coef, b.Coef)
			close(t, "intercept", []float64{a.Intercept}, []float64{b.Intercept})
			close(t, "R²", []float64{a.R2}, []float64{b.R2})
			close(t, "standard errors", a.StdErr(), b.StdErr())
		})
	})
	t.Run("the variance is that of leaving rows out", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p, alpha := draw(t), rapid.SampledFrom([]float64{0, 1}).Draw(t, "alpha")
			origin := rapid.Bool().Draw(t, "origin")
			f := ridge(t, p.regression(t, origin), alpha, nil)
			want := make([]float64, p.columns)
			for i, w := range p.w {
				p.w[i] = 0
				for j, b := range ridge(t, p.regression(t, origin), alpha, nil).Coef {
					want[j] += (b - f.Coef[j]) * (b - f.Coef[j])
				}
				p.w[i] = w
			}
			for j := range want {
				want[j] = math.Sqrt(want[j])
			}
			close(t, "standard errors", f.StdErr(), want)
		})
	})
	t.Run("least norm where columns depend on each other", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := draw(t)
			// Every row is a combination of rank < columns+1 rows.
			rank := rapid.IntRange(1, p.columns).Draw(t, "rank")
			columns := p.columns + 2
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed of the combination"), 0))
			left, right := mat.NewDense(p.rows, rank, nil), mat.NewDense(rank, columns, nil)
			left.Apply(func(int, int, float64) float64 { return r.NormFloat64() }, left)
			right.Apply(func(int, int, float64) float64 { return r.NormFloat64() }, right)
			x := mat.NewDense(p.rows, columns, nil)
			x.Mul(left, right)
			p.x, p.columns = x.RawMatrix().Data, columns
			f := ridge(t, p.regression(t, true), 0, nil)

			weighted := mat.NewDense(p.rows, columns, nil)
			weighted.Apply(func(i, _ int, v float64) float64 { return v * math.Sqrt(p.w[i]) }, x)
			target := mat.NewVecDense(p.rows, nil)
			for i := range p.y {
				target.SetVec(i, p.y[i]*math.Sqrt(p.w[i]))
			}
			var svd mat.SVD
			if !svd.Factorize(weighted, mat.SVDThin) {
				t.Fatal("no singular value decomposition")
			}
			if s := svd.Values(nil); s[rank-1] < 0.1*s[0] {
				t.Skip("the oracle's rank is in doubt")
			}
			var want mat.VecDense
			svd.SolveVecTo(&want, target, rank)
			close(t, "coef", f.Coef, want.RawVector().Data)
		})
	})
}

// TestRidgeDegenerate holds data where a naive solver divides by zero or by a
// rounding error.
func TestRidgeDegenerate(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		name          string
		rows, columns int
		x, y, w       []float64
		alpha         float64
		coef, stderr  []float64
		intercept, r2 float64
	}{
		{"a constant column", 3, 2, []float64{0.1, 0, 0.1, 1, 0.1, 2}, []float64{1, 2, 3}, nil, 0,
			[]float64{0, 1}, []float64{0, 0}, 1, 1},
		{"a constant target", 3, 1, []float64{0, 1, 2}, []float64{0.1, 0.1, 0.1}, []float64{0.3, 0.7, 0.1}, 0,
			[]float64{0}, []float64{0}, 0.1, 1},
		{"equal columns", 3, 2, []float64{0, 0, 1, 1, 2, 2}, []float64{0, 2, 4}, nil, 0,
			[]float64{1, 1}, []float64{0, 0}, 0, 1},
		{"opposite columns", 4, 2, []float64{0, 1, 1, 0, 0, 1, 1, 0}, []float64{0, 2, 0, 2}, []float64{0.1, 0.2, 0.3, 0.7}, 0,
			[]float64{1, -1}, []float64{0, 0}, 1, 1},
		{"one row", 1, 1, []float64{1}, []float64{5}, nil, 0, []float64{0}, []float64{0}, 5, 1},
		{"as many rows as unknowns", 2, 1, []float64{0, 1}, []float64{3, 5}, nil, 0, []float64{2}, []float64{inf}, 3, 1},
		{"a penalty", 2, 1, []float64{-1, 1}, []float64{-1, 1}, nil, 2, []float64{0.5}, []float64{math.Sqrt2 / 2}, 0, 0.75},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, err := num.NewRegression(test.x, test.rows, test.columns, test.y, test.w)
			if err != nil {
				t.Fatal(err)
			}
			f := ridge(t, r, test.alpha, nil)
			near(t, "coef", f.Coef, test.coef, 1e-14)
			near(t, "intercept", []float64{f.Intercept}, []float64{test.intercept}, 1e-14)
			near(t, "R²", []float64{f.R2}, []float64{test.r2}, 1e-14)
			for j, got := range f.StdErr() {
				if want := test.stderr[j]; got != want && !(math.Abs(got-want) < 1e-14) {
					t.Errorf("standard error %d: %v, want %v", j, got, want)
				}
			}
		})
	}
}

// TestMasksWithOneHeavyRow has a row next to which all others weigh almost
// nothing, as a narrow kernel makes them: sums about the mean would cancel.
func TestMasksWithOneHeavyRow(t *testing.T) {
	random := num.NewRand(stream(3))
	const rows, columns = 200, 5
	masks, y, w := make([]uint8, rows*columns), make([]float64, rows), make([]float64, rows)
	want := []float64{1, -2, 3, -4, 5}
	for i := range rows {
		y[i], w[i] = 10, 1e-13
		for j := range columns {
			if i == 0 || random.IntN(2) == 1 {
				masks[i*columns+j] = 1
				y[i] += want[j]
			}
		}
	}
	w[0] = 1
	r, err := num.NewRegression(masks, rows, columns, y, w)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "coef", ridge(t, r, 0, nil).Coef, want, 1e-9)
}

func TestRegressionErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	x, y, ones := []float64{0, 1, 1, 0}, []float64{1, 2}, []float64{1, 1}
	floats := func(x []float64, rows, columns int, y, w []float64) error {
		_, err := num.NewRegression(x, rows, columns, y, w)
		return err
	}
	good, err := num.NewRegression(x, 2, 2, y, ones)
	if err != nil {
		t.Fatal(err)
	}
	estimate := func(alpha float64, columns []int) error { _, err := good.Ridge(alpha, columns); return err }
	path := func(steps int, stop float64) error { _, err := good.LassoPath(steps, stop); return err }
	masks := func(x []uint8) error { _, err := num.NewRegression(x, 2, 2, y, ones); return err }
	target := func(y []float64) error { _, err := good.WithTarget(y); return err }
	tests := []struct {
		name     string
		err      error
		argument string
		reason   string
	}{
		{"no rows", floats(nil, 0, 2, nil, nil), "x", "0 rows"},
		{"no columns", floats(nil, 2, 0, y, nil), "x", "0 columns"},
		{"negative sizes", floats(x, -2, -2, y, nil), "x", "-2 rows"},
		{"a size that overflows", floats(x, math.MaxInt/2+2, 2, y, nil), "x", "4 elements"},
		{"x too short", floats(x[:3], 2, 2, y, nil), "x", "3 elements"},
		{"x too long", floats(x, 1, 2, y[:1], nil), "x", "4 elements"},
		{"x not finite", floats([]float64{0, 1, nan, 0}, 2, 2, y, nil), "x", "element 2"},
		{"y too short", floats(x, 2, 2, y[:1], nil), "y", "1 elements"},
		{"y not finite", target([]float64{0, inf}), "y", "element 1"},
		{"y too long", target([]float64{0, 1, 2}), "y", "3 elements"},
		{"weights too short", floats(x, 2, 2, y, ones[:1]), "weights", "1 elements"},
		{"a negative weight", floats(x, 2, 2, y, []float64{2, -1}), "weights", "element 1 is negative"},
		{"a weight that is not finite", floats(x, 2, 2, y, []float64{nan, 1}), "weights", "element 0"},
		{"weights of 0", floats(x, 2, 2, y, []float64{0, 0}), "weights", "sum is 0"},
		{"weights too large", floats(x, 2, 2, y, []float64{1e308, 1e308}), "weights", "sum is +Inf"},
		{"a mask of 2", masks([]uint8{0, 1, 2, 0}), "x", "is 2"},
		{"a negative alpha", estimate(-1, nil), "alpha", "-1"},
		{"an alpha that is not a number", estimate(nan, nil), "alpha", "NaN"},
		{"an infinite alpha", estimate(inf, nil), "alpha", "Inf"},
		{"a column that x lacks", estimate(1, []int{0, 2}), "columns", "no column 2"},
		{"a negative column", estimate(1, []int{-1}), "columns", "no column -1"},
		{"negative steps", path(-1, 0), "maxSteps", "-1"},
		{"a negative stop", path(1, -1), "stop", "-1"},
		{"a stop that is not a number", path(1, nan), "stop", "NaN"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var e *num.Error
			if !errors.As(test.err, &e) {
				t.Fatalf("got %v, want an *Error", test.err)
			}
			if e.Argument != test.argument || !strings.Contains(e.Reason, test.reason) {
				t.Errorf("got %q, want argument %q and %q", e, test.argument, test.reason)
			}
		})
	}
}

// sample returns n LIME masks of p features, weights and a target.
func sample(n, p int) (masks []uint8, y, w []float64) {
	random := num.NewMT19937(1)
	masks, y, w = make([]uint8, n*p), make([]float64, n), make([]float64, n)
	for i := range masks {
		masks[i] = 1
	}
	for i, size := range random.RandInt(1, int64(p)+1, n) {
		for _, j := range random.ChoiceWithoutReplacement(p, int(size)) {
			masks[i*p+j] = 0
		}
		d := 1 - math.Sqrt(1-float64(size)/float64(p))
		w[i], y[i] = num.Exp(float64(-8*d*d)), random.Float64()
	}
	return masks, y, w
}

func BenchmarkRegression(b *testing.B) {
	for _, size := range [][2]int{{1000, 64}, {5000, 64}, {5000, 256}} {
		n, p := size[0], size[1]
		masks, y, w := sample(n, p)
		name := strconv.Itoa(n) + "x" + strconv.Itoa(p)
		b.Run("masks/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := num.NewRegression(masks, n, p, y, w); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("floats/"+name, func(b *testing.B) {
			x := floats(masks)
			for b.Loop() {
				if _, err := num.NewRegression(x, n, p, y, w); err != nil {
					b.Fatal(err)
				}
			}
		})
		r, err := num.NewRegression(masks, n, p, y, w)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("ridge/"+name, func(b *testing.B) {
			for b.Loop() {
				ridge(b, r, 1, nil)
			}
		})
		b.Run("stderr of ten/"+name, func(b *testing.B) {
			f := ridge(b, r, 1, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
			for b.Loop() {
				f.StdErr()
			}
		})
		b.Run("lasso/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := r.LassoPath(500, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A narrow kernel weighs variants that lack one feature, two, three … so
// differently that float64 cannot tell what the small weights say of columns that
// the large ones have in common. Without a penalty the coefficients are still
// those of a plane through values between 0.7 and 1.
func TestRidgeWithoutAPenaltyUnderANarrowKernel(t *testing.T) {
	const columns, rows = 12, 50
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		x := make([]uint8, rows*columns)
		y, weights := make([]float64, rows), make([]float64, rows)
		for i := range rows {
			dropped := 0
			if i > 0 {
				dropped = 1 + random.IntN(columns)
			}
			for j, at := range random.Perm(columns) {
				if j >= dropped {
					x[i*columns+at] = 1
				}
			}
			y[i] = 0.7 + 0.3*random.Float64()
			d := 100 * (1 - math.Sqrt(float64(columns-dropped)/columns))
			weights[i] = math.Exp(-d * d / 2)
		}
		r, err := num.NewRegression(x, rows, columns, y, weights)
		if err != nil {
			t.Fatal(err)
		}
		f, err := r.Ridge(0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for j, c := range f.Coef {
			if !(math.Abs(c) < 3) {
				t.Fatalf("seed %d: coefficient %d is %v", seed, j, c)
			}
		}
		if !(f.R2 >= 0) {
			t.Fatalf("seed %d: R2 is %v", seed, f.R2)
		}
	}
}
