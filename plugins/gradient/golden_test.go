package gradient

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// params are parameters as users type them.
type params = map[string]string

// reference is a case that captum computed, and the model to hold the methods to
// it.
type reference struct {
	*golden.Case
	dtype  string
	host   *core.Host
	model  *core.Model
	text   string
	target string
	output sdk.Output
	seed   uint64
}

// open opens a case for methods.
func open(t *testing.T, name, dtype string, methods ...sdk.Method) *reference {
	t.Helper()
	g := &reference{Case: golden.Load(t, name), dtype: dtype, output: sdk.Logit}
	var class int
	var position *int
	for key, v := range map[string]any{"text": &g.text, "target": &class, "output": &g.output, "lm_position": &position} {
		if raw, ok := g.Config[key]; ok {
			if err := json.Unmarshal(raw, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	g.target = strconv.Itoa(class)
	if position != nil {
		g.target = fmt.Sprintf("token:%d@%d", class, *position)
	}
	g.host, g.model = methodtest.Model(t, g.Model, dtype, methods...)
	return g
}

// explain runs a method on the case's text.
func (g *reference) explain(t *testing.T, method string, p params) *core.Explanation {
	t.Helper()
	p = maps.Clone(p)
	p[paramDetailed] = "true"
	x := methodtest.Explain(t, g.host, g.model, core.Request{
		Input: core.Input{Text: g.text}, Method: method, Params: p, Target: g.target, Output: g.output, Units: core.UnitsToken, Seed: g.seed,
	})
	want := g.Ints(t, "input_ids")
	for i, id := range x.Input.InputIDs {
		if len(want) != len(x.Input.InputIDs) || want[i] != int64(id) {
			t.Fatalf("the text has the tokens %v, and the case %v", x.Input.InputIDs, want)
		}
	}
	return x
}

// near compares an explanation's numbers with an output of the case, at the
// tolerance that the case has for the model's precision. A gap is the difference of
// two outputs of the model, so that in float32 it is no more precise than they are.
func (g *reference) near(t *testing.T, name string, got ...float64) {
	t.Helper()
	want, ok := g.Outputs[name]
	if !ok {
		t.Fatalf("the case has no output %s", name)
	}
	tolerance := want.F32Atol
	switch {
	case g.dtype == "f64":
		tolerance = want.F64Atol
	case strings.HasSuffix(name, ".delta"):
		tolerance = max(tolerance, g.Outputs["output"].F32Atol)
	}
	golden.Close(t, name, got, g.Want(t, name), tolerance)
}

// detailed returns the values of all components.
func detailed(t *testing.T, x *core.Explanation) []float64 {
	t.Helper()
	for _, tensor := range x.Tensors {
		if tensor.Name == paramDetailed {
			return floats(tensor.Values)
		}
	}
	t.Fatal("there is no tensor " + paramDetailed)
	return nil
}

func floats(v []core.Float) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// tokens returns the values of all tokens.
func tokens(t *testing.T, x *core.Explanation) []float64 {
	t.Helper()
	a := x.Attributions[1]
	if a.Name != "token_attributions" || a.Over != sdk.OverTokens {
		t.Fatalf("the second attribution is %s over %s", a.Name, a.Over)
	}
	return floats(a.Values)
}

// onEach runs a test on each case, in both precisions.
func onEach(t *testing.T, methods []sdk.Method, test func(t *testing.T, g *reference)) {
	for _, name := range []string{"grad_bert_a", "grad_bert_prob", "grad_distil", "grad_gpt2"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) { test(t, open(t, name, dtype, methods...)) })
		}
	}
}

func TestGoldenSaliency(t *testing.T) {
	onEach(t, []sdk.Method{Saliency{}}, func(t *testing.T, g *reference) {
		g.near(t, "saliency_signed", detailed(t, g.explain(t, "saliency", params{}))...)
		x := g.explain(t, "saliency", params{"compat": "captum"})
		g.near(t, "saliency_abs", detailed(t, x)...)
		g.near(t, "saliency_l1_per_token", tokens(t, x)...)
		g.near(t, "saliency_l1_per_token", methodtest.Values(x)...) // whose units are all tokens
		g.near(t, "saliency_l1_per_token", tokens(t, g.explain(t, "saliency", params{"reduce": "l1"}))...)
		g.near(t, "saliency_l2_per_token", tokens(t, g.explain(t, "saliency", params{}))...)
		g.near(t, "saliency_mean_per_token", tokens(t, g.explain(t, "saliency", params{"reduce": "mean", "abs": "true"}))...)
	})
}

func TestGoldenInputXGradient(t *testing.T) {
	onEach(t, []sdk.Method{InputXGradient{}}, func(t *testing.T, g *reference) {
		x := g.explain(t, "input-x-gradient", params{})
		g.near(t, "inputxgradient", detailed(t, x)...)
		g.near(t, "inputxgradient_per_token", tokens(t, x)...)
		for module, layer := range g.layers(t, "lgxa") {
			g.near(t, module, detailed(t, g.explain(t, "input-x-gradient", params{"layer": layer}))...)
		}
	})
}

// layers returns the outputs of a kind that are of a module of the reference's,
// and the point that it is.
func (g *reference) layers(t *testing.T, kind string) map[string]string {
	t.Helper()
	points := map[string]string{
		"bert.embeddings": "hidden_states[0]", "bert.embeddings.word_embeddings": "embeddings", "bert.encoder.layer.1": "blocks.1.hook_out",
		"distilbert.embeddings": "hook_full_embed", "distilbert.embeddings.word_embeddings": "hook_embed",
		"transformer.wte": "hook_embed", "transformer.drop": "blocks.0.hook_resid_pre",
	}
	out := make(map[string]string)
	for name := range g.Outputs {
		module, ok := strings.CutPrefix(name, kind+".")
		if !ok || strings.HasSuffix(name, ".per_token") || strings.HasSuffix(name, ".delta") {
			continue
		}
		point, known := points[module]
		if !known {
			t.Fatalf("no point is named for the module %s", module)
		}
		out[name] = point
	}
	if len(out) < 2 {
		t.Fatalf("%d layers", len(out))
	}
	return out
}

// baselines are the parameters for the baselines of a case.
func (g *reference) baselines(t *testing.T) map[string]params {
	t.Helper()
	id := func(name string) string {
		ids := g.Ints(t, name)
		return strconv.FormatInt(ids[len(ids)/2], 10)
	}
	out := map[string]params{
		"zero":    {"special": "replace"},
		"pad":     {"baseline_token": id("baseline_pad_ids")},
		"pad_all": {"baseline_token": id("baseline_pad_ids"), "special": "replace"},
		"mask":    {"baseline_token": id("baseline_mask_ids")},
	}
	if g.Model != "gpt2-text" { // which has neither
		out["pad"] = params{"baseline": "pad"}
		out["pad_all"] = params{"baseline": "pad", "special": "replace"}
		out["mask"] = params{"baseline": "mask"}
	}
	return out
}

func TestGoldenIntegratedGradients(t *testing.T) {
	onEach(t, []sdk.Method{IntegratedGradients{}}, func(t *testing.T, g *reference) {
		checked := 0
		for name, base := range g.baselines(t) {
			for _, rule := range []string{gaussLegendre, riemannLeft, riemannRight, riemannMiddle, riemannTrapezoid} {
				for _, steps := range []int{20, 50} {
					output := fmt.Sprintf("ig.%s.%d.%s", rule, steps, name)
					if _, ok := g.Outputs[output+".per_token"]; !ok {
						continue
					}
					checked++
					p := params{"compat": "captum", "special": "keep", "ig_method": rule, "n_steps": strconv.Itoa(steps)}
					maps.Copy(p, base)
					x := g.explain(t, "integrated-gradients", p)
					g.near(t, output+".per_token", tokens(t, x)...)
					g.near(t, output+".delta", float64(x.Diagnostics["completeness_gap"]))
					if _, ok := g.Outputs[output]; ok {
						checked++
						g.near(t, output, detailed(t, x)...)
					}
				}
			}
		}
		if want := 4 + 4 + 4 + 8; checked != want {
			t.Errorf("%d outputs were compared, want %d", checked, want)
		}
	})
}

func TestGoldenLayerIntegratedGradients(t *testing.T) {
	onEach(t, []sdk.Method{IntegratedGradients{}}, func(t *testing.T, g *reference) {
		for name, layer := range g.layers(t, "lig") {
			p := maps.Clone(g.baselines(t)["pad"])
			p["layer"], p["n_steps"] = layer, "20"
			x := g.explain(t, "integrated-gradients", p)
			g.near(t, name, detailed(t, x)...)
			g.near(t, name+".per_token", tokens(t, x)...)
			g.near(t, name+".delta", float64(x.Diagnostics["completeness_gap"]))
		}
	})
}

// TestGoldenNodes holds the rules of integration to those of captum, whose Gauss
// and Legendre places come from NumPy.
func TestGoldenNodes(t *testing.T) {
	g := golden.Load(t, "grad_bert_a")
	for _, rule := range []string{gaussLegendre, riemannLeft, riemannRight, riemannMiddle, riemannTrapezoid} {
		var want struct {
			Steps  []float64 `json:"step_sizes"`
			Alphas []float64 `json:"alphas"`
		}
		if !g.Get(t, "nodes."+rule+".20", &want) {
			t.Fatalf("the case has no places of %s", rule)
		}
		places, weights := quadrature(rule, len(want.Steps), true)
		if rule == gaussLegendre && want.Alphas[0] > want.Alphas[1] {
			slices.Reverse(places)
		}
		golden.Close(t, rule+" places", places, want.Alphas, 1e-15)
		golden.Close(t, rule+" weights", weights, want.Steps, 1e-15)
	}
}

// TestGoldenInfidelity holds the attributions to which captum's infidelity was
// applied.
func TestGoldenInfidelity(t *testing.T) {
	for _, name := range []string{"infidelity_bert", "infidelity_distil"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				g := open(t, name, dtype, Saliency{}, IntegratedGradients{})
				g.near(t, "attr_gradient", detailed(t, g.explain(t, "saliency", params{}))...)
				x := g.explain(t, "integrated-gradients", params{"n_steps": "20", "special": "replace"})
				g.near(t, "attr_ig20", detailed(t, x)...)
			})
		}
	}
}

// torchNormal returns n standard normal numbers, n a multiple of 16, as torch.randn
// draws them in float64 from the seed: uniform ones by Box and Muller, in blocks of
// 8 radii and 8 angles.
func torchNormal(seed uint64, n int) []float64 {
	stream := num.NewMT19937(seed)
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(stream.Uint64()&(1<<53-1)) / (1 << 53)
	}
	for i := 0; i < n; i += 16 {
		for j := i; j < i+8; j++ {
			radius, angle := math.Sqrt(-2*math.Log1p(-v[j])), 2*math.Pi*v[j+8]
			v[j], v[j+8] = radius*math.Cos(angle), radius*math.Sin(angle)
		}
	}
	return v
}

// recordedNoise is the method with noise that was recorded, of each sample.
type recordedNoise struct {
	SmoothGrad
	noise [][]float64
}

// Explain implements sdk.Method.
func (m *recordedNoise) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := newSmoothing(ctx, model, r)
	if err != nil {
		return nil, err
	}
	s.noise = func(i int, row []float64) {
		for j, v := range m.noise[i] {
			row[j] = s.values[j] + v
		}
	}
	return s.explain(ctx)
}

// TestGoldenSmoothGrad gives the method the noise of the case. That which the case
// records is of the reference's run in float32, while its values are of the run in
// float64, where the same seed gives other noise: how far one is from the other the
// case says, and so this test holds both.
func TestGoldenSmoothGrad(t *testing.T) {
	var m recordedNoise
	onEach(t, []sdk.Method{&m}, func(t *testing.T, g *reference) {
		recorded := g.Floats(t, "smoothgrad_noise")
		drawn := torchNormal(77, len(recorded))
		for i := range drawn {
			drawn[i] *= 0.1
		}
		for _, variant := range []string{smoothMean, smoothSquare, smoothVar} {
			p := params{"compat": "captum", "abs": "false", "variant": variant}
			name := variant + "_formula"
			want := g.Outputs[name]
			tolerance := want.F64Atol
			if g.dtype == "f32" {
				tolerance = g.Outputs["saliency_signed"].F32Atol * max(1, want.MaxAbs)
			}
			m.noise = slices.Collect(slices.Chunk(drawn, len(drawn)/5))
			golden.Close(t, name, detailed(t, g.explain(t, "smoothgrad", p)), g.Want(t, name), tolerance)

			m.noise = slices.Collect(slices.Chunk(recorded, len(recorded)/5))
			far := 0.0
			for i, v := range detailed(t, g.explain(t, "smoothgrad", p)) {
				far = max(far, math.Abs(v-g.Want(t, name)[i]))
			}
			golden.Close(t, name+" in float32", []float64{far}, []float64{want.F32Dev}, g.Outputs["saliency_signed"].F32Atol*max(1, want.MaxAbs))
		}
	})
}

// onePlace is the method whose samples are all at one place on the path from the first
// baseline. Without a place, they are where the method draws them.
type onePlace struct {
	GradientSHAP
	place *float64
}

// Explain implements sdk.Method.
func (m *onePlace) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	w, err := newPaths(ctx, model, r)
	if err != nil {
		return nil, err
	}
	if m.place != nil {
		w.base, w.place = func(int) int { return 0 }, func(int) float64 { return *m.place }
	}
	return w.explain(ctx)
}

// TestGoldenGradientSHAP draws the places of the case from its seed.
func TestGoldenGradientSHAP(t *testing.T) {
	var m onePlace
	onEach(t, []sdk.Method{&m}, func(t *testing.T, g *reference) {
		p := maps.Clone(g.baselines(t)["pad"])
		p["compat"], p["special"], p["num_samples"] = "captum", "keep", "12"
		if p["baseline"] == "" {
			p["baseline"] = "token"
		}
		m.place, g.seed = nil, 5
		x := g.explain(t, "gradient-shap", p)
		g.near(t, "gradientshap", detailed(t, x)...)
		deltas := g.Want(t, "gradientshap.delta")
		golden.Close(t, "mean delta", []float64{float64(x.Diagnostics["completeness_gap"])}, []float64{num.Sum(deltas) / 12}, g.Outputs["gradientshap.delta"].F32Atol)

		// Each place by itself.
		var places [][]float64
		g.Get(t, "gradientshap.coefficients", &places)
		p["num_samples"] = "2"
		for k, want := range deltas {
			m.place = &places[0][k]
			x := g.explain(t, "gradient-shap", p)
			golden.Close(t, "delta", []float64{float64(x.Diagnostics["completeness_gap"])}, []float64{want}, g.Outputs["gradientshap.delta"].F32Atol)
		}
	})
}
