package lime

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// reference is a case that the reference implementation computed.
type reference struct {
	*golden.Case
	text                  string
	samples, features     int
	labels                []int
	seed                  uint64
	modes                 []string
	bow                   bool
	maskString            *string
	width                 float64
	topLabels             *int
	words, perturbedTexts []string
	starts                [][]int
}

// references reads every LIME case.
func references(t *testing.T) []*reference {
	t.Helper()
	var cases []*reference
	for _, name := range []string{"lime_bert_small", "lime_bert_10feat", "lime_bert_500", "lime_bert_bow", "lime_bert_width5", "lime_distil_top2"} {
		g := &reference{Case: golden.Load(t, name)}
		for key, v := range map[string]any{
			"text": &g.text, "num_samples": &g.samples, "num_features": &g.features, "labels": &g.labels,
			"random_state": &g.seed, "modes": &g.modes, "bow": &g.bow, "mask_string": &g.maskString,
			"kernel_width": &g.width, "top_labels": &g.topLabels,
		} {
			if err := json.Unmarshal(g.Config[key], v); err != nil {
				t.Fatalf("%s: config %s: %v", name, key, err)
			}
		}
		for key, v := range map[string]any{"indexed_words": &g.words, "word_char_starts": &g.starts, "perturbed_texts": &g.perturbedTexts} {
			if !g.Get(t, key, v) {
				t.Fatalf("%s has no info %s", name, key)
			}
		}
		cases = append(cases, g)
	}
	return cases
}

// near compares values with an output of the case, at the case's tolerance.
func (g *reference) near(t *testing.T, name string, got ...float64) {
	t.Helper()
	golden.Close(t, name, got, g.Want(t, name), g.Outputs[name].F64Atol)
}

// masks returns the case's masks.
func (g *reference) masks(t *testing.T) *neighbourhood {
	h := newNeighbourhood(g.samples, len(g.words))
	for i, v := range g.WantInts(t, "data") {
		h.keep[i] = uint8(v)
	}
	return h
}

// column returns the reference's outputs of one class.
func (g *reference) column(t *testing.T, label int) []float64 {
	c := classes{rows: g.samples, values: g.Want(t, "yss")}
	c.count = len(c.values) / c.rows
	return c.column(label)
}

// explain runs the method on the case's text with the reference's outputs.
func (g *reference) explain(t *testing.T, mode string, label int, changes ...any) (*sdk.Explanation, *toy) {
	t.Helper()
	p := params("compat", "lime", "num_samples", g.samples, "num_features", g.features,
		"kernel_width", g.width, "feature_selection", mode, "bow", g.bow)
	if g.maskString != nil {
		p["mask_string"] = *g.maskString
	}
	if g.topLabels != nil {
		p["top_labels"] = int64(*g.topLabels)
	}
	for i := 0; i < len(changes); i += 2 {
		p[changes[i].(string)] = changes[i+1]
	}
	r := request(g.text, g.seed, p)
	r.Units = r.Units[:1] // whatever the request's units are
	yss := g.Want(t, "yss")
	count := len(yss) / g.samples
	m := &toy{request: r, outputs: func(row int, _ []uint8) (float64, []float64) {
		if row == g.samples { // the baseline
			return 0.125, make([]float64, count)
		}
		classes := yss[row*count : (row+1)*count]
		return classes[label], classes
	}}
	e, err := Method{}.Explain(context.Background(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	return e, m
}

func TestGoldenWords(t *testing.T) {
	for _, g := range references(t) {
		t.Run(g.Name, func(t *testing.T) {
			e, _ := g.explain(t, "none", g.labels[0])
			var words []string
			var starts [][]int
			for _, u := range e.Units {
				words = append(words, u.Text)
				var at []int
				for _, s := range u.Spans {
					at = append(at, s.Start) // the texts are ASCII
				}
				starts = append(starts, at)
			}
			if diff := cmp.Diff(g.words, words); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(g.starts, starts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGoldenSamples(t *testing.T) {
	for _, g := range references(t) {
		t.Run(g.Name, func(t *testing.T) {
			h := sampleLikeReference(g.seed, g.samples, len(g.words))
			if diff := cmp.Diff(g.masks(t).keep, h.keep); diff != "" {
				t.Fatal(diff)
			}
			d := h.distances(cosine)
			g.near(t, "distances", d...)
			g.near(t, "weights", kernel(d, g.width)...)

			_, m := g.explain(t, "none", g.labels[0])
			if diff := cmp.Diff(h.keep, m.keep[:len(h.keep)]); diff != "" {
				t.Error(diff)
			}
			n := len(g.perturbedTexts)
			if diff := cmp.Diff(g.perturbedTexts, m.texts[:n]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGoldenExplanations(t *testing.T) {
	for _, g := range references(t) {
		for _, mode := range g.modes {
			for _, label := range g.labels {
				t.Run(fmt.Sprintf("%s/%s/%d", g.Name, mode, label), func(t *testing.T) {
					e, _ := g.explain(t, mode, label)
					g.explained(t, fmt.Sprintf("%s.%d", mode, label), e, e.Attributions[0], "")
					if *e.Baseline != 0.125 {
						t.Errorf("baseline %v, want the output with everything dropped, 0.125", *e.Baseline)
					}
				})
			}
		}
	}
}

// explained compares an attribution and its diagnostics with the case.
func (g *reference) explained(t *testing.T, name string, e *sdk.Explanation, a sdk.Attribution, prefix string) {
	t.Helper()
	want := g.WantInts(t, name+".features")
	size := make([]float64, len(a.Values))
	for j, v := range a.Values {
		size[j] = math.Abs(v)
	}
	var features []int64
	var coef []float64
	for _, j := range game.Largest(size, len(want)) {
		features, coef = append(features, int64(j)), append(coef, a.Values[j])
	}
	if diff := cmp.Diff(want, features); diff != "" {
		t.Errorf("%s.features: %s", name, diff)
	}
	g.near(t, name+".coef", coef...)
	used := 0
	for j, v := range a.Values {
		if v != 0 {
			used++
		}
		if (v != 0) != (a.Stderr[j] > 0) || (v == 0) != math.IsNaN(a.Stderr[j]) {
			t.Errorf("feature %d has the weight %v and the standard error %v", j, v, a.Stderr[j])
		}
	}
	if used != len(want) {
		t.Errorf("%d features have a weight, want %d", used, len(want))
	}
	d := diagnostics(e)
	g.near(t, name+".intercept", d[prefix+"intercept"])
	g.near(t, name+".score", d[prefix+"r2"])
	g.near(t, name+".local_pred", d[prefix+"local_pred"])
}

func TestGoldenTopLabels(t *testing.T) {
	found := false
	for _, g := range references(t) {
		if g.topLabels == nil {
			continue
		}
		found = true
		for _, mode := range g.modes {
			t.Run(g.Name+"/"+mode, func(t *testing.T) {
				e, _ := g.explain(t, mode, g.labels[0])
				if len(e.Attributions) != 1+len(g.labels) {
					t.Fatalf("%d attributions, want 1 and %d classes", len(e.Attributions), len(g.labels))
				}
				yss := g.Want(t, "yss") // its first row is the input's
				for i, a := range e.Attributions[1:] {
					label := game.Largest(yss[:len(yss)/g.samples], len(g.labels))[i]
					if want := fmt.Sprintf("class.%d", label); a.Name != want {
						t.Fatalf("attribution %d is %s, want %s", i+1, a.Name, want)
					}
					g.explained(t, fmt.Sprintf("%s.%d", mode, label), e, a, a.Name+".")
				}
			})
		}
	}
	if !found {
		t.Fatal("no case with top_labels")
	}
}

// TestGoldenPenalties holds the fit on all features to the reference's
// scikit-learn at the penalties that the selections use.
func TestGoldenPenalties(t *testing.T) {
	for _, g := range references(t) {
		for _, label := range g.labels {
			for name, alpha := range map[string]float64{"ols.%d.coef": 0, "highest_weights.%d.ridge001_coef": 0.01} {
				name := fmt.Sprintf(name, label)
				if _, ok := g.Outputs[name]; !ok {
					continue
				}
				t.Run(g.Name+"/"+name, func(t *testing.T) {
					e, _ := g.explain(t, "none", label, "alpha", alpha)
					g.near(t, name, e.Attributions[0].Values...)
				})
			}
		}
	}
}

func TestGoldenSelectionOrder(t *testing.T) {
	checked := 0
	for _, g := range references(t) {
		for _, label := range g.labels {
			name := fmt.Sprintf("forward_selection.%d.selection_order", label)
			if _, ok := g.Outputs[name]; !ok {
				continue
			}
			checked++
			h, y := g.masks(t), g.column(t, label)
			var want []int
			for _, v := range g.WantInts(t, name) {
				want = append(want, int(v))
			}
			got := forwardSelection(h, kernel(h.distances(cosine), g.width), y, g.features)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", g.Name, diff)
			}
		}
	}
	if checked == 0 {
		t.Fatal("no case with a selection order")
	}
}

// TestForwardSelectionIsGreedy compares the factorisation with what the
// reference does: fit every candidate anew.
func TestForwardSelectionIsGreedy(t *testing.T) {
	for _, g := range references(t) {
		h, y := g.masks(t), g.column(t, g.labels[0])
		weights := kernel(h.distances(cosine), g.width)
		regression, err := num.NewRegression(h.keep, h.n, h.features, y, weights)
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		for range h.features {
			best, score := -1, math.Inf(-1)
			for j := range h.features {
				if slices.Contains(want, j) {
					continue
				}
				f, err := regression.Ridge(0, append(slices.Clone(want), j))
				if err != nil {
					t.Fatal(err)
				}
				if f.R2 > score {
					best, score = j, f.R2
				}
			}
			want = append(want, best)
		}
		if diff := cmp.Diff(want, forwardSelection(h, weights, y, h.features)); diff != "" {
			t.Errorf("%s: %s", g.Name, diff)
		}
	}
}
