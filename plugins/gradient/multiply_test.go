package gradient

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/sdk"
)

// TestMultiply holds both settings of multiply to captum 0.7.0 on
// eˣ⁰·x₁ + tanh(x₂·x₃) − x₄³·x₅. The numbers are what this program prints, with
// torch 1.13; captum has its weights in float32.
//
//	import numpy, torch
//	from captum.attr import GradientShap, IntegratedGradients
//
//	def f(x): return torch.exp(x[:, 0]) * x[:, 1] + torch.tanh(x[:, 2] * x[:, 3]) - x[:, 4] ** 3 * x[:, 5]
//
//	x = torch.tensor([[0.5, -1.0, 2.0, 0.25, 1.5, -0.75]], dtype=torch.float64)
//	base = torch.tensor([[0.25, -0.5] * 3], dtype=torch.float64)
//	both = torch.cat([torch.zeros_like(x), base])
//	for multiply in True, False:
//	    for method in "gausslegendre", "riemann_left", "riemann_trapezoid":
//	        print(IntegratedGradients(f, multiply_by_inputs=multiply).attribute(x, base, n_steps=20, method=method)[0].tolist())
//	    numpy.random.seed(7)
//	    print(GradientShap(f, multiply_by_inputs=multiply).attribute(x, both, n_samples=6, stdevs=0.0)[0].tolist())
func TestMultiply(t *testing.T) {
	m := published()
	for _, c := range []struct {
		rule      string // none of gradient-shap
		multiply  bool
		want      []float64
		tolerance float64
	}{
		{gaussLegendre, true, []float64{-0.27731685433148406, -0.7293917080247733, -0.2164712349127841, 0.80294139394439, 2.270507812500001, 0.2529296875000001}, 1e-6},
		{riemannLeft, true, []float64{-0.27104753560808603, -0.7248425182350231, -0.24682297984860707, 0.7775768402438459, 2.1176147758417323, 0.23236084209816038}, 1e-6},
		{riemannTrapezoid, true, []float64{-0.26347481034190245, -0.6929321298506714, -0.2058721450786675, 0.762280851147025, 2.1594880983197022, 0.24073293807607507}, 1e-6},
		{"", true, []float64{-0.35436579694140474, -0.9599175842221163, -0.11850591680391938, 0.5739571327072007, 2.4071393554589253, 0.5545852076352785}, 1e-12},
		{gaussLegendre, false, []float64{-1.1092674173259363, 1.4587834160495465, -0.12369784852159092, 1.0705885252591867, 1.8164062500000007, -1.0117187500000004}, 1e-6},
		{riemannLeft, false, []float64{-1.0841901424323441, 1.4496850364700462, -0.1410417027706326, 1.036769120325128, 1.6940918206733857, -0.9294433683926415}, 1e-6},
		{riemannTrapezoid, false, []float64{-1.0538992413676098, 1.3858642597013429, -0.11764122575923856, 1.0163744681960334, 1.7275904786557619, -0.9629317523043003}, 1e-6},
		{"", false, []float64{-1.0443638235640362, 1.4339316453664417, -0.07532347975959229, 1.0492265294840994, 1.7466249579616593, -1.0244306545045763}, 1e-12},
	} {
		method, name := sdk.Method(IntegratedGradients{}), c.rule
		changes := []any{"compat", "captum", "embedding_attributions", true, paramMultiply, c.multiply, "baseline", "average", "ig_method", c.rule, "n_steps", 20}
		if c.rule == "" {
			method, name = GradientSHAP{}, "gradient-shap"
			changes = append(changes[:6:6], "baseline", "zero,average", "num_samples", 6)
		}
		r := m.request(method, changes...)
		r.Seed = 7
		e, err := method.Explain(t.Context(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, e.Tensors[0].Data.([]float64), c.want, c.tolerance)
	}
}

// published is the model of TestMultiply.
func published() *curve {
	m := newCurve(func(x []float64) (float64, []float64) {
		e, h := math.Exp(x[0]), math.Tanh(x[2]*x[3])
		return e*x[1] + h - math.Pow(x[4], 3)*x[5],
			[]float64{e * x[1], e, (1 - h*h) * x[3], (1 - h*h) * x[2], -3 * x[4] * x[4] * x[5], -math.Pow(x[4], 3)}
	}, 0.5, -1, 2, 0.25, 1.5, -0.75)
	m.width, m.tokens = 2, m.tokens[:3]
	m.fills = map[sdk.FillKind][]float64{sdk.FillAverage: {0.25, -0.5}}
	return m
}

// TestOneSample holds a single sample of each method that draws to captum, with the
// program of TestMultiply and this.
//
//	numpy.random.seed(11)
//	print(GradientShap(f).attribute(x, both, n_samples=1, stdevs=0.0)[0].tolist())
//	torch.normal = lambda *a, **k: torch.tensor([[0.1, -0.2, 0.3, -0.1, 0.2, 0.05]], dtype=torch.float64)
//	for kind in "smoothgrad", "smoothgrad_sq", "vargrad":
//	    print(NoiseTunnel(Saliency(f)).attribute(x.clone().requires_grad_(), nt_type=kind, nt_samples=1)[0].tolist())
func TestOneSample(t *testing.T) {
	m := published()
	smooth := &recordedNoise{noise: [][]float64{{0.1, -0.2, 0.3, -0.1, 0.2, 0.05}}}
	for _, c := range []struct {
		method  sdk.Method
		changes []any
		want    []float64
	}{
		{GradientSHAP{}, []any{"baseline", "zero,average"}, []float64{-0.17441987222950686, -0.6530703184478279, -0.7641386226677892, 0.2696680976310528, 0.21810707982366784, 0.009431163765843084}},
		{smooth, nil, []float64{2.1865425604686104, 1.8221188003905089, 0.13347298753473355, 2.0465858088659146, 6.068999999999998, 4.912999999999999}},
		{smooth, []any{"variant", smoothSquare}, []float64{4.780968368740627, 3.3201169227365472, 0.017815038401447138, 4.18851347305135, 36.83276099999998, 24.137568999999992}},
		{smooth, []any{"variant", smoothVar}, make([]float64, 6)},
	} {
		r := m.request(c.method, append(c.changes, "compat", "captum", "embedding_attributions", true, "num_samples", 1)...)
		r.Seed = 11
		e, err := c.method.Explain(t.Context(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		near(t, c.method.Info().Name, e.Tensors[0].Data.([]float64), c.want, 1e-12)
		if e.Attributions[0].Stderr != nil {
			t.Errorf("%s: one sample has the errors %v", c.method.Info().Name, e.Attributions[0].Stderr)
		}
	}
	for _, method := range []sdk.Method{SmoothGrad{}, GradientSHAP{}} { // of which the host reads the bounds
		for _, p := range method.Info().Params {
			if p.Name == "num_samples" && *p.Min != 1 {
				t.Errorf("%s takes %v samples at least", method.Info().Name, *p.Min)
			}
		}
	}
}

// TestMeanGradients: what is not multiplied promises no sum, so that nothing is said
// of one: no baseline to be above, no gap, no steps to close it with.
func TestMeanGradients(t *testing.T) {
	m := newCurve(basicModel3, 3, 1)
	for _, method := range []sdk.Method{IntegratedGradients{}, GradientSHAP{}} {
		e := m.explain(t, method, "baseline", "zero", paramMultiply, false)
		for _, d := range e.Diagnostics {
			if slices.Contains([]string{sdk.DiagGap, sdk.DiagRelative, "suggested_steps"}, d.Name) {
				t.Errorf("%s: the diagnostic %s", method.Info().Name, d.Name)
			}
		}
		if e.Baseline != nil {
			t.Errorf("%s: a baseline of %v", method.Info().Name, *e.Baseline)
		}
		// Along the line t·(3,1) the slope is (1,−1) from t=½ on.
		for i, want := range []float64{0.5, -0.5} {
			within := 0.01
			if e.Attributions[0].Stderr != nil {
				within = 5 * e.Attributions[0].Stderr[i]
			}
			near(t, method.Info().Name, e.Attributions[0].Values[i:i+1], []float64{want}, within)
		}
	}
	_, err := IntegratedGradients{}.Explain(t.Context(), m, m.request(IntegratedGradients{}, paramMultiply, false, "max_gap", 0.01))
	if err == nil || !strings.Contains(err.Error(), "max_gap has no effect with multiply=false") {
		t.Errorf("with max_gap: %v", err)
	}
}

// TestMeanGradientsDoubts: the host has no doubt that rests on a sum, and says where
// the components cancel, as those of slopes do at the input of a layer norm.
func TestMeanGradientsDoubts(t *testing.T) {
	h, m := methodtest.Model(t, "bert-seqcls", "f64", IntegratedGradients{}, GradientSHAP{})
	for _, method := range []string{"integrated-gradients", "gradient-shap"} {
		for reduce, cancelled := range map[string]bool{"sum": true, "l2": false} {
			p := params{"multiply_by_inputs": "false", "reduce": reduce}
			x := methodtest.Explain(t, h, m, core.Request{Input: methodtest.Row([]int64{7, 31, 16, 90, 44, 12, 55, 8}), Method: method, Params: p, Target: "1", Output: sdk.Prob})
			if x.Target.Baseline != nil {
				t.Errorf("%s: a baseline of %v", method, *x.Target.Baseline)
			}
			has := func(code core.DoubtCode) bool {
				return slices.ContainsFunc(x.Doubts, func(d core.Doubt) bool { return d.Code == code })
			}
			if has(core.DoubtCancelled) != cancelled {
				t.Errorf("%s, reduce=%s: %v", method, reduce, x.Doubts)
			}
			for _, code := range []core.DoubtCode{core.DoubtFlat, core.DoubtLeaning, core.DoubtGap, core.DoubtTogether, core.DoubtSaturated} {
				if has(code) {
					t.Errorf("%s, reduce=%s: a doubt of %s", method, reduce, code)
				}
			}
		}
	}
}
