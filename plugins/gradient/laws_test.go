package gradient

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk"
)

// function is a function with its gradient.
type function = func(x []float64) (float64, []float64)

// smooth draws a function Σ aₖ·tanh(wₖ·x + cₖ) + b·x₀·x₁ of n numbers; the last
// one it does not read where unread is set.
func smooth(t *rapid.T, n int, unread bool) function {
	number := rapid.Float64Range(-1, 1)
	terms := rapid.IntRange(1, 3).Draw(t, "terms")
	w := rapid.SliceOfN(number, terms*n, terms*n).Draw(t, "w")
	a := rapid.SliceOfN(number, terms, terms).Draw(t, "a")
	b := number.Draw(t, "b")
	if unread {
		for k := range terms {
			w[k*n+n-1] = 0
		}
	}
	return func(x []float64) (y float64, slope []float64) {
		slope = make([]float64, n)
		for k := range terms {
			s := 0.1 * float64(k)
			for j, v := range x {
				s += w[k*n+j] * v
			}
			h := math.Tanh(s)
			y += a[k] * h
			for j := range x {
				slope[j] += a[k] * (1 - h*h) * w[k*n+j]
			}
		}
		y += b * x[0] * x[1]
		slope[0] += b * x[1]
		slope[1] += b * x[0]
		return y, slope
	}
}

// plus returns a·f + b·g.
func plus(a float64, f function, b float64, g function) function {
	return func(x []float64) (float64, []float64) {
		y, slope := f(x)
		z, other := g(x)
		for j := range slope {
			slope[j] = a*slope[j] + b*other[j]
		}
		return a*y + b*z, slope
	}
}

func near(t reporter, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, v := range want {
		if !(math.Abs(got[i]-v) <= tolerance) {
			t.Errorf("%s: value %d is %v, want %v within %v", what, i, got[i], v, tolerance)
		}
	}
}

// place draws an input of n numbers, of which a model in float32 has the same.
func place(t *rapid.T, n int) []float64 {
	out := make([]float64, n)
	for i, v := range rapid.SliceOfN(rapid.Float32Range(-2, 2), n, n).Draw(t, "x") {
		out[i] = float64(v)
	}
	return out
}

// TestIntegratedGradientsLaws: completeness, the attribution of what is not read,
// linearity, and that the integral converges to the same by every rule.
func TestIntegratedGradientsLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "n")
		x := place(t, n)
		f, g := smooth(t, n, true), smooth(t, n, false)
		if n == 2 {
			f = g
		}
		m := newCurve(f, x...)
		m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25}}
		e := m.explain(t, IntegratedGradients{}, "baseline", "average")
		base := make([]float64, n)
		for j := range base {
			base[j] = 0.25
		}
		whole, _ := f(x)
		nothing, _ := f(base)
		sum := 0.0
		for _, v := range e.Attributions[0].Values {
			sum += v
		}
		near(t, "completeness", []float64{sum, *e.Baseline, diagnostic(t, e, "completeness_gap")}, []float64{whole - nothing, nothing, 0}, 1e-9)
		if n > 2 && e.Attributions[0].Values[n-1] != 0 {
			t.Errorf("what is not read has %v", e.Attributions[0].Values[n-1])
		}

		of := func(f function, p ...any) []float64 {
			m.f = f
			return m.explain(t, IntegratedGradients{}, append(p, "baseline", "average")...).Attributions[0].Values
		}
		want, other := of(f), of(g)
		for j := range want {
			want[j] = 2*want[j] - 0.5*other[j]
		}
		near(t, "linearity", of(plus(2, f, -0.5, g)), want, 1e-12)
		for rule, tolerance := range map[string]float64{riemannLeft: 2e-2, riemannRight: 2e-2, riemannMiddle: 1e-4, trapezoid: 1e-4, riemannTrapezoid: 1e-4} {
			near(t, rule, of(g, "ig_method", rule, "n_steps", 1000), other, tolerance)
		}
	})
}

// TestSensitivity: where the input and the baseline differ in one token alone, it
// has all of what the target changes by.
func TestSensitivity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "n")
		x := make([]float64, n)
		at := rapid.IntRange(0, n-1).Draw(t, "at")
		x[at] = place(t, 1)[0]
		f := smooth(t, n, false)
		want := make([]float64, n)
		whole, _ := f(x)
		nothing, _ := f(make([]float64, n))
		want[at] = whole - nothing
		near(t, "attributions", newCurve(f, x...).explain(t, IntegratedGradients{}).Attributions[0].Values, want, 1e-9)
	})
}

// TestSymmetry: tokens that a function treats alike, and that are alike in the
// input and the baseline, have the same.
func TestSymmetry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := place(t, 3)
		x[1] = x[0]
		h := smooth(t, 3, false)
		swapped := func(x []float64) (float64, []float64) {
			y, slope := h([]float64{x[1], x[0], x[2]})
			return y, []float64{slope[1], slope[0], slope[2]}
		}
		v := newCurve(plus(1, h, 1, swapped), x...).explain(t, IntegratedGradients{}).Attributions[0].Values
		near(t, "the second", v[1:2], v[:1], 1e-12)
	})
}

// TestLinearModels: of a linear model every method finds the weights, whatever is
// drawn at random: no gradient differs from another.
func TestLinearModels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		x, w := place(t, n), place(t, n)
		m := newCurve(func(x []float64) (float64, []float64) {
			y := 0.5
			for j, v := range x {
				y += w[j] * v
			}
			return y, append([]float64(nil), w...)
		}, x...)
		m.single = rapid.Bool().Draw(t, "single")
		m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25}, sdk.FillMask: {-0.5}}
		products, shifted, squares, nothing := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		for j := range x {
			products[j] = w[j] * x[j]
			shifted[j] = w[j] * (x[j] - (0+0.25-0.5)/3)
			squares[j] = w[j] * w[j]
		}
		for name, c := range map[string]struct {
			method sdk.Method
			params []any
			want   []float64
		}{
			"saliency":       {Saliency{}, []any{"reduce", "sum"}, w},
			"ixg":            {InputXGradient{}, nil, products},
			"ig":             {IntegratedGradients{}, nil, products},
			"ig, 1 step":     {IntegratedGradients{}, []any{"n_steps", 1}, products},
			"ig, trapezoid":  {IntegratedGradients{}, []any{"ig_method", "trapezoid", "n_steps", 7}, products},
			"smoothgrad":     {SmoothGrad{}, []any{"reduce", "sum"}, w},
			"smoothgrad_sq":  {SmoothGrad{}, []any{"variant", "smoothgrad_sq"}, squares},
			"vargrad":        {SmoothGrad{}, []any{"variant", "vargrad"}, nothing},
			"gradient-shap":  {GradientSHAP{}, []any{"num_samples", 60}, shifted},
			"gradient-shap1": {GradientSHAP{}, []any{"num_samples", 20, "baseline", "zero"}, products},
			"captum's":       {GradientSHAP{}, []any{"compat", "captum"}, products},
		} {
			e := m.explain(t, c.method, c.params...)
			near(t, name, e.Attributions[0].Values, c.want, 1e-6)
			if e.Attributions[0].Stderr != nil {
				near(t, name+" errors", e.Attributions[0].Stderr, nothing, 1e-6)
			}
			if e.Baseline != nil {
				near(t, name+" gap", []float64{diagnostic(t, e, "completeness_gap")}, []float64{0}, 1e-5)
			}
		}
	})
}

// TestMethodsAreLinear: the attributions of a sum of models are the sums of
// theirs, random samples included, as the same are drawn for both.
func TestMethodsAreLinear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(t, "n")
		x, f, g := place(t, n), smooth(t, n, false), smooth(t, n, false)
		for _, method := range []sdk.Method{Saliency{}, InputXGradient{}, SmoothGrad{}, GradientSHAP{}} {
			m := newCurve(f, x...)
			m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25}, sdk.FillMask: {-0.5}}
			of := func(f function) []float64 {
				m.f = f
				return m.explain(t, method, "reduce", "sum").Attributions[0].Values
			}
			want, other := of(f), of(g)
			for j := range want {
				want[j] += 3 * other[j]
			}
			near(t, method.Info().Name, of(plus(1, f, 3, g)), want, 1e-12)
		}
	})
}

// TestExpectedGradientsConverge: they are the mean of integrated gradients over the
// baselines, within their standard errors.
func TestExpectedGradientsConverge(t *testing.T) {
	far, cells := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(t, "n")
		m := newCurve(smooth(t, n, false), place(t, n)...)
		m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25}, sdk.FillMask: {-1}}
		want := make([]float64, n)
		for _, base := range []string{"zero", "average", "mask"} {
			for j, v := range m.explain(t, IntegratedGradients{}, "baseline", base).Attributions[0].Values {
				want[j] += v / 3
			}
		}
		e := m.explain(t, GradientSHAP{}, "num_samples", 600)
		for j, v := range e.Attributions[0].Values {
			err := e.Attributions[0].Stderr[j]
			if cells++; math.Abs(v-want[j]) > 3*err+1e-12 {
				far++
			}
			if math.Abs(v-want[j]) > 6*err+1e-9 {
				t.Errorf("%v ± %v, want %v", v, err, want[j])
			}
		}
	})
	if far > cells/20 {
		t.Errorf("%d of %d values are off by more than three standard errors", far, cells)
	}
}

// TestSmoothGradOfAQuadratic: where the gradient is linear, its mean is that at the
// input, its mean square exceeds the square of that by σ²·‖h‖², and its variance is
// that.
func TestSmoothGradOfAQuadratic(t *testing.T) {
	h := [][]float64{{2, 1, 0}, {1, -3, 0.5}, {0, 0.5, 1}}
	x := []float64{1, -0.5, 2}
	m := newCurve(func(x []float64) (y float64, slope []float64) {
		slope = make([]float64, 3)
		for i := range h {
			for j, v := range x {
				slope[i] += h[i][j] * v
			}
			y += slope[i] * x[i] / 2
		}
		return y, slope
	}, x...)
	const sigma = 0.3
	_, slope := m.f(x)
	square, variance := make([]float64, 3), make([]float64, 3)
	for i, row := range h {
		for _, v := range row {
			variance[i] += sigma * sigma * v * v
		}
		square[i] = slope[i]*slope[i] + variance[i]
	}
	for variant, want := range map[string][]float64{smoothMean: slope, smoothSquare: square, smoothVar: variance} {
		for _, reduce := range []string{reduceSum, reduceL2} {
			e := m.explain(t, SmoothGrad{}, "variant", variant, "stdevs", sigma, "noise", "absolute", "num_samples", 4000, "reduce", reduce)
			for i, v := range e.Attributions[0].Values {
				want, err := want[i], e.Attributions[0].Stderr[i]
				if reduce == reduceL2 {
					want = math.Abs(want)
				}
				if !(math.Abs(v-want) < 5*err) || !(err < 0.05*math.Abs(want)) {
					t.Errorf("%s, %s: token %d has %v ± %v, want %v", variant, reduce, i, v, err, want)
				}
			}
			if got := diagnostic(t, e, "certain_top"); got < 1 {
				t.Errorf("%s: no value is certainly the largest of %v", variant, e.Attributions[0])
			}
		}
	}
}

// TestErrorsAreThoseOfTheValues compares the standard errors with how much values
// of other seeds differ.
func TestErrorsAreThoseOfTheValues(t *testing.T) {
	m := newCurve(func(x []float64) (float64, []float64) {
		return 0, []float64{math.Sin(x[0] + x[1]), math.Exp(x[1] / 2)}
	}, 0.5, 1)
	m.width, m.tokens = 2, m.tokens[:1] // one token of two components
	m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25, 0}, sdk.FillMask: {-1, 3}}
	for name, c := range map[string]struct {
		method sdk.Method
		params []any
	}{
		"mean":          {SmoothGrad{}, []any{"stdevs", 1.0, "reduce", "sum"}},
		"norm":          {SmoothGrad{}, []any{"stdevs", 1.0}},
		"magnitudes":    {SmoothGrad{}, []any{"stdevs", 1.0, "reduce", "l1"}},
		"of magnitudes": {SmoothGrad{}, []any{"stdevs", 1.0, "reduce", "l1", "abs", true}},
		"squares":       {SmoothGrad{}, []any{"stdevs", 1.0, "variant", "smoothgrad_sq"}},
		"variance":      {SmoothGrad{}, []any{"stdevs", 1.0, "variant", "vargrad"}},
		"expected":      {GradientSHAP{}, nil},
		"with noise":    {GradientSHAP{}, []any{"stdevs", 0.3, "noise", "absolute"}},
		"a norm of it":  {GradientSHAP{}, []any{"reduce", "l2"}},
		"captum's":      {GradientSHAP{}, []any{"compat", "captum", "baseline", "zero,mask"}},
	} {
		const runs = 60
		var values, squares, errors float64
		for seed := range runs {
			r := m.request(c.method, append(c.params, "num_samples", 120)...)
			r.Seed = uint64(seed)
			for range seed { // another part of the stream
				var b [1 << 13]byte
				r.Rand.Read(b[:])
			}
			e, err := c.method.Explain(t.Context(), m, r)
			if err != nil {
				t.Fatal(err)
			}
			v, s := e.Attributions[0].Values[0], e.Attributions[0].Stderr[0]
			values, squares, errors = values+v, squares+v*v, errors+s*s
		}
		spread := math.Sqrt((squares - values*values/runs) / (runs - 1))
		if ratio := math.Sqrt(errors/runs) / spread; !(ratio > 0.75 && ratio < 1.35) {
			t.Errorf("%s: values spread by %v, %v times of which the standard errors say", name, spread, ratio)
		}
	}
}
