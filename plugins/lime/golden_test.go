package lime

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// golden is a case that the reference implementation computed.
type golden struct {
	Case   string
	Config struct {
		Text        string
		NumSamples  int    `json:"num_samples"`
		NumFeatures int    `json:"num_features"`
		Labels      []int  `json:"labels"`
		RandomState uint64 `json:"random_state"`
		Modes       []string
		Bow         bool
		MaskString  *string `json:"mask_string"`
		KernelWidth float64 `json:"kernel_width"`
		TopLabels   *int    `json:"top_labels"`
	}
	Outputs map[string]struct {
		Key   string
		Shape []int
		Atol  float64 `json:"f64_atol"`
	}
	Info struct {
		IndexedWords   []string `json:"indexed_words"`
		WordCharStarts [][]int  `json:"word_char_starts"`
		PerturbedTexts []string `json:"perturbed_texts"`
	}
	arrays map[string][]float64
}

// goldens reads every LIME case.
func goldens(t *testing.T) []*golden {
	t.Helper()
	files, err := filepath.Glob("../../testdata/conformance/cases/lime_*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	var cases []*golden
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g := new(golden)
		if err := json.Unmarshal(data, g); err != nil {
			t.Fatal(file, err)
		}
		g.arrays = readArrays(t, strings.TrimSuffix(file, "json")+"safetensors")
		cases = append(cases, g)
	}
	return cases
}

// readArrays reads the arrays of a safetensors file as float64.
func readArrays(t *testing.T, file string) map[string][]float64 {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 8 + binary.LittleEndian.Uint64(data)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:n], &header); err != nil {
		t.Fatal(file, err)
	}
	delete(header, "__metadata__")
	arrays := make(map[string][]float64)
	for name, raw := range header {
		var entry struct {
			DType   string
			Offsets [2]int `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &entry); err != nil {
			t.Fatal(file, err)
		}
		b := data[int(n)+entry.Offsets[0] : int(n)+entry.Offsets[1]]
		v := []float64{}
		for len(b) > 0 {
			switch entry.DType {
			case "F64":
				v, b = append(v, math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:]
			case "I64":
				v, b = append(v, float64(int64(binary.LittleEndian.Uint64(b)))), b[8:]
			case "U8":
				v, b = append(v, float64(b[0])), b[1:]
			default:
				t.Fatalf("%s: %s has the type %s", file, name, entry.DType)
			}
		}
		arrays[name] = v
	}
	return arrays
}

// want returns an output of the case.
func (g *golden) want(t *testing.T, name string) []float64 {
	t.Helper()
	o, ok := g.Outputs[name]
	if !ok {
		t.Fatalf("%s has no output %s", g.Case, name)
	}
	return g.arrays[o.Key]
}

// near compares values with an output of the case, at the case's tolerance.
func (g *golden) near(t *testing.T, name string, got ...float64) {
	t.Helper()
	want, atol := g.want(t, name), g.Outputs[name].Atol
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i, v := range got {
		if !(math.Abs(v-want[i]) <= atol) {
			t.Errorf("%s[%d] = %v, want %v within %g", name, i, v, want[i], atol)
		}
	}
}

// masks returns the case's masks.
func (g *golden) masks(t *testing.T) *neighbourhood {
	h := newNeighbourhood(g.Config.NumSamples, len(g.Info.IndexedWords))
	for i, v := range g.want(t, "data") {
		h.keep[i] = uint8(v)
	}
	return h
}

// column returns the reference's outputs of one class.
func (g *golden) column(t *testing.T, label int) []float64 {
	c := classes{rows: g.Config.NumSamples, values: g.want(t, "yss")}
	c.count = len(c.values) / c.rows
	return c.column(label)
}

// explain runs the method on the case's text with the reference's outputs.
func (g *golden) explain(t *testing.T, mode string, label int, changes ...any) (*sdk.Explanation, *toy) {
	t.Helper()
	p := params("compat", "lime", "num_samples", g.Config.NumSamples, "num_features", g.Config.NumFeatures,
		"kernel_width", g.Config.KernelWidth, "feature_selection", mode, "bow", fmt.Sprint(g.Config.Bow))
	if g.Config.MaskString != nil {
		p["mask_string"] = *g.Config.MaskString
	}
	if g.Config.TopLabels != nil {
		p["top_labels"] = int64(*g.Config.TopLabels)
	}
	for i := 0; i < len(changes); i += 2 {
		p[changes[i].(string)] = changes[i+1]
	}
	r := request(g.Config.Text, g.Config.RandomState, p)
	r.Units = r.Units[:1] // whatever the request's units are
	yss := g.want(t, "yss")
	count := len(yss) / g.Config.NumSamples
	m := &toy{request: r, outputs: func(row int, _ []uint8) (float64, []float64) {
		if row == g.Config.NumSamples { // the baseline
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
	for _, g := range goldens(t) {
		t.Run(g.Case, func(t *testing.T) {
			e, _ := g.explain(t, "none", g.Config.Labels[0])
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
			if diff := cmp.Diff(g.Info.IndexedWords, words); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(g.Info.WordCharStarts, starts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGoldenSamples(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.Case, func(t *testing.T) {
			h := sampleLikeReference(g.Config.RandomState, g.Config.NumSamples, len(g.Info.IndexedWords))
			if diff := cmp.Diff(g.masks(t).keep, h.keep); diff != "" {
				t.Fatal(diff)
			}
			d := h.distances(cosine)
			g.near(t, "distances", d...)
			g.near(t, "weights", kernel(d, g.Config.KernelWidth)...)

			_, m := g.explain(t, "none", g.Config.Labels[0])
			if diff := cmp.Diff(h.keep, m.keep[:len(h.keep)]); diff != "" {
				t.Error(diff)
			}
			n := len(g.Info.PerturbedTexts)
			if diff := cmp.Diff(g.Info.PerturbedTexts, m.texts[:n]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGoldenExplanations(t *testing.T) {
	for _, g := range goldens(t) {
		for _, mode := range g.Config.Modes {
			for _, label := range g.Config.Labels {
				t.Run(fmt.Sprintf("%s/%s/%d", g.Case, mode, label), func(t *testing.T) {
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
func (g *golden) explained(t *testing.T, name string, e *sdk.Explanation, a sdk.Attribution, prefix string) {
	t.Helper()
	want := g.want(t, name+".features")
	size := make([]float64, len(a.Values))
	for j, v := range a.Values {
		size[j] = math.Abs(v)
	}
	var features, coef []float64
	for _, j := range largest(size, len(want)) {
		features, coef = append(features, float64(j)), append(coef, a.Values[j])
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
		if (v != 0) != (a.Stderr[j] > 0) {
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
	for _, g := range goldens(t) {
		if g.Config.TopLabels == nil {
			continue
		}
		found = true
		for _, mode := range g.Config.Modes {
			t.Run(g.Case+"/"+mode, func(t *testing.T) {
				e, _ := g.explain(t, mode, g.Config.Labels[0])
				if len(e.Attributions) != 1+len(g.Config.Labels) {
					t.Fatalf("%d attributions, want 1 and %d classes", len(e.Attributions), len(g.Config.Labels))
				}
				yss := g.want(t, "yss") // its first row is the input's
				for i, a := range e.Attributions[1:] {
					label := largest(yss[:len(yss)/g.Config.NumSamples], len(g.Config.Labels))[i]
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
	for _, g := range goldens(t) {
		for _, label := range g.Config.Labels {
			for name, alpha := range map[string]float64{"ols.%d.coef": 0, "highest_weights.%d.ridge001_coef": 0.01} {
				name := fmt.Sprintf(name, label)
				if _, ok := g.Outputs[name]; !ok {
					continue
				}
				t.Run(g.Case+"/"+name, func(t *testing.T) {
					e, _ := g.explain(t, "none", label, "alpha", alpha)
					g.near(t, name, e.Attributions[0].Values...)
				})
			}
		}
	}
}

func TestGoldenSelectionOrder(t *testing.T) {
	checked := 0
	for _, g := range goldens(t) {
		for _, label := range g.Config.Labels {
			name := fmt.Sprintf("forward_selection.%d.selection_order", label)
			if _, ok := g.Outputs[name]; !ok {
				continue
			}
			checked++
			h, y := g.masks(t), g.column(t, label)
			var want []int
			for _, v := range g.want(t, name) {
				want = append(want, int(v))
			}
			got := forwardSelection(h, kernel(h.distances(cosine), g.Config.KernelWidth), y, g.Config.NumFeatures)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", g.Case, diff)
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
	for _, g := range goldens(t) {
		h, y := g.masks(t), g.column(t, g.Config.Labels[0])
		weights := kernel(h.distances(cosine), g.Config.KernelWidth)
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
			t.Errorf("%s: %s", g.Case, diff)
		}
	}
}
