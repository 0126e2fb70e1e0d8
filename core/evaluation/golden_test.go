package evaluation

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// openModel opens a model of the golden cases.
func openModel(t *testing.T, name, dtype string) (*core.Host, *core.Model) {
	t.Helper()
	host, err := core.New(core.Options{
		Models: map[string]fs.FS{name: golden.ModelFS(t, name)}, Methods: core.Builtin(plugins.Builtin()), BuiltinOnly: true, DType: dtype, Threads: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	m, err := host.OpenModel(t.Context(), "builtin:"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return host, m
}

// tolerance is that of an output in a number format.
func tolerance(c *golden.Case, name, dtype string) float64 {
	if dtype == "f64" {
		return c.Outputs[name].F64Atol
	}
	return c.Outputs[name].F32Atol
}

// TestCurves holds comprehensiveness, sufficiency, their points and curves, the
// log-odds and the decision flips of given scores, run by the engine, to what
// ERASER's own aggregation and the formulas gave.
func TestCurves(t *testing.T) {
	for _, c := range []*golden.Case{golden.Load(t, "eraser_bert"), golden.Load(t, "eraser_distil")} {
		for _, dtype := range []string{"f64", "f32"} {
			for _, rule := range []metric.Rule{metric.Ceil, metric.Round, metric.FloorMin} {
				t.Run(fmt.Sprint(c.Name, " ", dtype, " ", rule), func(t *testing.T) { curves(t, c, dtype, rule) })
			}
		}
	}
}

func curves(t *testing.T, c *golden.Case, dtype string, rule metric.Rule) {
	host, model := openModel(t, c.Model, dtype)
	var lines []string
	if err := json.Unmarshal(c.Config["texts"], &lines); err != nil {
		t.Fatal(err)
	}
	near := func(name string, got ...float64) {
		t.Helper()
		golden.Close(t, name, got, c.Want(t, name), tolerance(c, name, dtype))
	}
	for _, fill := range []string{"delete", "mask"} {
		settings, err := Preset("eraser")
		if err != nil {
			t.Fatal(err)
		}
		settings.Fill, settings.Rule, settings.Steps, settings.Random, settings.Measures = fill, rule, 0, 2, []string{Faithfulness}
		var texts []Text
		for i, line := range lines {
			var target int
			c.Get(t, fmt.Sprint("target.", i), &target)
			texts = append(texts, Text{Input: core.Input{Text: line}, Target: fmt.Sprint(target), Scores: c.Floats(t, fmt.Sprint("scores.", i))})
		}
		e, err := Run(t.Context(), host, model, texts, Options{Settings: settings, Units: core.UnitsToken})
		if err != nil {
			t.Fatal(err)
		}
		points := map[string][]float64{}
		for i, text := range e.Texts {
			at := fmt.Sprint(".", i)
			r := text.Methods[0]
			value := func(name string) float64 { return float64(r.Values[name]) }
			whole := float64(text.Target.Value)
			column := func(name string) (out []float64) {
				classes := c.Outputs[name].Shape[1]
				for row := range slices.Chunk(c.Want(t, name), classes) {
					out = append(out, row[text.Target.Index])
				}
				return out
			}
			for kind, curve := range map[string][]core.Float{"comp": r.Curves.Deletion, "suff": r.Curves.Insertion} {
				name := "probs." + kind + "_" + fill + at
				got := plain(curve)
				golden.Close(t, name, got, column(name), tolerance(c, name, dtype))
				near("aopc_all_k."+kind+"_"+fill+at, whole-num.Sum(got)/float64(len(got)))
			}
			near("auc_trapezoid.comp_"+fill+at, value(deletion))
			near("auc_trapezoid.suff_"+fill+at, value(insertion))
			for _, name := range []string{comprehensiveness, sufficiency} {
				for k, p := range r.Points[name] {
					if points[name] == nil {
						points[name] = make([]float64, len(r.Points[name]))
					}
					points[name][k] += float64(p.Value) / float64(len(e.Texts))
				}
			}
			var want []int
			c.Get(t, "k."+string(rule)+at, &want)
			for k, p := range r.Points[comprehensiveness] {
				if p.Units != want[k] {
					t.Errorf("text %d: a share of %v is %d units, want %d", i, p.Share, p.Units, want[k])
				}
			}
			if fill == "mask" {
				near("decision_flip_fraction"+at, value(decisionFlip))
				for name, of := range map[string]string{logOdds: "log_odds_mask", logOddsRatio: "log_odds_logit_mask"} {
					all, mean := c.Want(t, of+at), 0.0
					for k, p := range r.Points[name] {
						golden.Close(t, of+at, []float64{float64(p.Value)}, []float64{all[want[k]]}, tolerance(c, of+at, dtype))
						mean += all[want[k]] / float64(len(want))
					}
					golden.Close(t, of+at, []float64{value(name)}, []float64{mean}, tolerance(c, of+at, dtype))
				}
			}
		}
		if fill == "delete" {
			for name, of := range map[string]string{comprehensiveness: "comprehensiveness", sufficiency: "sufficiency"} {
				near("eraser."+string(rule)+"."+of+"_aopc_points", points[name]...)
				near("eraser."+string(rule)+"."+of+"_aopc", float64(e.Aggregate[0].Measures[name].Mean))
			}
		}
	}
}

// TestEmbedding holds infidelity and sensitivity on embeddings, with recorded
// noise, to captum's.
func TestEmbedding(t *testing.T) {
	for _, c := range []*golden.Case{golden.Load(t, "infidelity_bert"), golden.Load(t, "infidelity_distil")} {
		for _, dtype := range []string{"f64", "f32"} {
			t.Run(c.Name+" "+dtype, func(t *testing.T) { embedding(t, c, dtype) })
		}
	}
}

func embedding(t *testing.T, c *golden.Case, dtype string) {
	_, model := openModel(t, c.Model, dtype)
	var text string
	var target int
	if err := json.Unmarshal(c.Config["text"], &text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(c.Config["target"], &target); err != nil {
		t.Fatal(err)
	}
	v, err := model.Variants(t.Context(), core.Request{Input: core.Input{Text: text}, Target: fmt.Sprint(target), Output: sdk.Logit})
	if err != nil {
		t.Fatal(err)
	}
	size := len(c.Want(t, "attr_gradient"))
	near := func(name string, got float64) {
		t.Helper()
		golden.Close(t, name, []float64{got}, c.Want(t, name), tolerance(c, name, dtype))
	}
	noise := slices.Collect(slices.Chunk(c.Floats(t, "infidelity_noise"), size))
	for _, method := range []string{"ig20", "gradient"} {
		plain, normalised, err := EmbeddingInfidelity(t.Context(), v, c.Want(t, "attr_"+method), noise)
		if err != nil {
			t.Fatal(err)
		}
		near("infidelity."+method+".plain", plain)
		near("infidelity."+method+".normalized", normalised)
	}
	noise = slices.Collect(slices.Chunk(c.Floats(t, "sensitivity_noise"), size))
	for name, shape := range map[string]func(float64) float64{"gradient": func(v float64) float64 { return v }, "saliency_abs": math.Abs} {
		got, err := EmbeddingSensitivity(noise, size, func(noise []float64) ([]float64, error) {
			reply, err := v.Gradient(t.Context(), Moved(v, noise, 1), []string{"embeddings"})
			if err != nil {
				return nil, err
			}
			g, err := reply.Tensor(sdk.Grad("embeddings"), 0)
			if err != nil {
				return nil, err
			}
			out := make([]float64, size)
			for i := range out {
				switch data := g.Data.(type) {
				case []float32:
					out[i] = shape(float64(data[i]))
				case []float64:
					out[i] = shape(data[i])
				}
			}
			return out, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// A difference of gradients of nearly the same input: where the reference's own
		// float32 run happens to be closer than that, 4e-6 of the value.
		name = "sensitivity_max." + name
		want, within := c.Want(t, name), tolerance(c, name, dtype)
		if dtype == "f32" {
			within = max(within, 4e-6*want[0])
		}
		golden.Close(t, name, []float64{got}, want, within)
	}
}

// TestEmbeddingMethods holds what the methods themselves attribute to embeddings,
// and to embeddings with noise, to the same values, as an evaluation asks for them.
func TestEmbeddingMethods(t *testing.T) {
	for _, name := range []string{"infidelity_bert", "infidelity_distil"} {
		t.Run(name, func(t *testing.T) { embeddingMethods(t, golden.Load(t, name)) })
	}
}

func embeddingMethods(t *testing.T, c *golden.Case) {
	const dtype = "f32"
	host, model := openModel(t, c.Model, dtype)
	var text string
	var target int
	if err := json.Unmarshal(c.Config["text"], &text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(c.Config["target"], &target); err != nil {
		t.Fatal(err)
	}
	request := core.Request{Input: core.Input{Text: text}, Target: fmt.Sprint(target), Output: sdk.Logit, Runtime: core.RuntimeNative}
	v, err := model.Variants(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	x, err := embeddings(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	explain := func(input core.Input, method Method) []float64 {
		t.Helper()
		request := request
		request.Input, request.Method, request.Params = input, method.Name, method.Params
		e, err := host.Explain(t.Context(), model, request)
		if err != nil {
			t.Fatal(err)
		}
		values, ok := detailed(e)
		if !ok || len(values) != len(x) {
			t.Fatalf("%s: %d values for %d components", method.Name, len(values), len(x))
		}
		return values
	}
	slope := Method{Name: "saliency", Params: map[string]string{paramDetailed: "true"}}
	noise := slices.Collect(slices.Chunk(c.Floats(t, "infidelity_noise"), len(x)))
	for of, method := range map[string]Method{
		"ig20":     {Name: "integrated-gradients", Params: map[string]string{paramDetailed: "true", "compat": "captum", "n_steps": "20"}},
		"gradient": slope,
	} {
		plain, normalised, err := EmbeddingInfidelity(t.Context(), v, explain(request.Input, method), noise)
		if err != nil {
			t.Fatal(err)
		}
		for kind, got := range map[string]float64{"plain": plain, "normalized": normalised} {
			name := "infidelity." + of + "." + kind
			golden.Close(t, name, []float64{got}, c.Want(t, name), tolerance(c, name, dtype))
		}
	}
	noise = slices.Collect(slices.Chunk(c.Floats(t, "sensitivity_noise"), len(x)))
	for of, method := range map[string]Method{
		"gradient":     slope,
		"saliency_abs": {Name: "saliency", Params: map[string]string{paramDetailed: "true", "compat": "captum"}},
	} {
		got, err := EmbeddingSensitivity(noise, len(x), func(noise []float64) ([]float64, error) {
			moved := slices.Clone(x)
			for k, u := range noise {
				moved[k] += float32(u)
			}
			return explain(v.Embedded(moved), method), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		name := "sensitivity_max." + of
		want := c.Want(t, name)
		golden.Close(t, name, []float64{got}, want, max(tolerance(c, name, dtype), 4e-6*want[0]))
	}
}

// TestPlausibilityCase holds what is measured of given scores, and how two methods
// agree, to what scikit-learn, SciPy and ERASER's own code computed: by a text of as
// many words as there are scores, of which those that count are marked.
func TestPlausibilityCase(t *testing.T) {
	c := golden.Load(t, "plausibility")
	host, model := openModel(t, "bert-text", "f32")
	for i := range 3 {
		at := fmt.Sprintf(".%d", i)
		scores := c.Floats(t, "scores"+at)
		text := Text{Marked: true, Scores: scores}
		for k, v := range c.Ints(t, "truth"+at) {
			if k > 0 {
				text.Input.Text += " "
			}
			if v != 0 {
				text.Ranges = append(text.Ranges, Range{len(text.Input.Text), len(text.Input.Text) + len("film")})
			}
			text.Input.Text += "film"
		}
		settings, err := Preset("eraser")
		if err != nil {
			t.Fatal(err)
		}
		settings.Measures, settings.Top = []string{Plausibility, Sparsity}, TopTruth
		e, err := Run(t.Context(), host, model, []Text{text}, Options{Settings: settings})
		if err != nil {
			t.Fatal(err)
		}
		got := e.Texts[0].Methods[0].Values
		agree := agreement(scores, c.Floats(t, "other"+at))
		for name, v := range map[string]core.Float{
			"auprc_eraser": got[auprc], "average_precision": got[averagePrecision], "roc_auc": got[rocAUC],
			"token_f1_topk": got[tokenF1], "token_iou_topk": got[tokenIOU], "entropy_abs": got[entropy], "gini_abs": got[gini],
			"kendall_tau_b": agree[KendallTauB], "spearman": agree[Spearman], "pearson": agree[Pearson], "cosine": agree[Cosine],
		} {
			golden.Close(t, name+at, []float64{float64(v)}, c.Want(t, name+at), c.Outputs[name+at].F64Atol)
		}
	}
}
