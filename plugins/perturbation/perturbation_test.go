package perturbation

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// TestConformance runs the conformance kit: a linear model is explained by its
// weights, which all of the methods find.
func TestConformance(t *testing.T) {
	// What a process in another language or a module has, and what none of them
	// promises.
	skipped := []string{
		"declaration/verify", "declaration/description", "determinism/instance", "axioms/efficiency",
		"resources/handles", "resources/fuel", "resources/progress", "resources/log",
	}
	for _, m := range []sdk.Method{FeatureAblation{}, LeaveOneOut{}, Occlusion{}} {
		t.Run(m.Info().Name, func(t *testing.T) {
			options := sdktest.Options{Exact: true}
			skipped := skipped
			if m.Info().Name == "occlusion" {
				options.Params = map[string]string{"window": "1"}
			} else { // no parameter has another name
				skipped = slices.Insert(slices.Clone(skipped), 2, "parameters/aliases")
			}
			r := sdktest.Check(t.Context(), sdktest.Method(m), options)
			var got []string
			for _, result := range r.Results {
				if result.Status == sdktest.Skip {
					got = append(got, result.ID)
				}
			}
			if diff := cmp.Diff(skipped, got); diff != "" || !r.OK() {
				var b strings.Builder
				if err := r.WriteText(&b); err != nil {
					t.Fatal(err)
				}
				t.Errorf("skipped: %s%s", diff, b.String())
			}
		})
	}
}

// formula is a model whose target is a function of the units that are kept.
type formula struct {
	f     func(keep []uint8) float64
	calls int
}

func (m *formula) Info() sdk.ModelInfo { return sdk.ModelInfo{MaskToken: "[MASK]"} }

func (m *formula) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	m.calls++
	keep, err := sdk.Values[uint8](f.Units)
	if err != nil {
		return nil, err
	}
	n, width := f.Units.Shape[0], f.Units.Shape[1]
	y := make([]float64, n)
	for i := range y {
		y[i] = m.f(keep[i*width : (i+1)*width])
	}
	return column{sdk.NewTensor(y, n)}, nil
}

type column struct{ t *sdk.Tensor }

func (c column) Tensor(string, int) (*sdk.Tensor, error) { return c.t, nil }

// explain runs a method on n units, with parameters beside the defaults.
func explain(m sdk.Method, model sdk.Model, n int, params sdk.Params) (*sdk.Explanation, error) {
	r := &sdk.Request{Params: sdk.Params{}}
	for _, p := range m.Info().Params {
		r.Params[p.Name] = p.Default
	}
	for name, v := range params {
		r.Params[name] = v
	}
	for i := range n {
		word := "w" + strconv.Itoa(i)
		start := len(r.Text)
		r.Text += word + " "
		span := sdk.Span{Start: start, End: start + len(word)}
		r.Tokens = append(r.Tokens, sdk.Token{ID: int32(i), Text: word, Start: span.Start, End: span.End})
		r.Units = append(r.Units, sdk.Unit{Text: word, Spans: []sdk.Span{span}, Tokens: []int{i}})
	}
	return m.Explain(context.Background(), model, r)
}

// TestLinear: of a linear model every method finds the weights: a window their
// sum, so that a unit has the mean of the sums that it is in.
func TestLinear(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(-8, 8), 1, 12).Draw(rt, "weights")
		n := len(weights)
		window := rapid.IntRange(1, max(n-1, 3)).Draw(rt, "window")
		stride := rapid.IntRange(1, window).Draw(rt, "stride")
		model := &formula{f: func(keep []uint8) float64 {
			sum := 0.5
			for i, k := range keep {
				sum += weights[i] * float64(k)
			}
			return sum
		}}
		near := func(what string, got, want []float64) {
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-9 {
					rt.Fatalf("%s: %v, want %v", what, got, want)
				}
			}
		}
		for name, c := range map[string]struct {
			m sdk.Method
			p sdk.Params
		}{
			"ablation": {FeatureAblation{}, nil},
			"out":      {LeaveOneOut{}, nil},
			"in":       {LeaveOneOut{}, sdk.Params{"direction": "in"}},
			"window 1": {Occlusion{}, sdk.Params{"window": int64(1)}},
		} {
			e, err := explain(c.m, model, n, c.p)
			if err != nil {
				rt.Fatal(err)
			}
			near(name, e.Attributions[0].Values, weights)
			near(name+" baseline", []float64{*e.Baseline, e.Diagnostics[0].Value}, []float64{0.5, 0})
		}

		given := sdk.Params{"window": int64(window), "stride": int64(stride)}
		if window >= n { // the default, or one that does not fit
			if window != 3 && n > 1 || window > n && window != 3 {
				if _, err := explain(Occlusion{}, model, n, given); err == nil {
					rt.Fatalf("a window of %d units covers %d", window, n)
				}
				return
			}
			window = max(n-1, 1)
			stride = min(stride, window)
		}
		want, covered := make([]float64, n), make([]float64, n)
		for start, last := 0, false; !last; start += stride {
			last = start+window >= n
			sum := 0.0
			for i := start; i < min(start+window, n); i++ {
				sum += weights[i]
			}
			for i := start; i < min(start+window, n); i++ {
				want[i] += sum
				covered[i]++
			}
		}
		for i := range want {
			want[i] /= covered[i]
		}
		e, err := explain(Occlusion{}, model, n, given)
		if err != nil {
			rt.Fatal(err)
		}
		near("occlusion", e.Attributions[0].Values, want)
	})
}

// TestWindows holds the number of windows to the reference's ⌈(n−window)/stride⌉+1.
func TestWindows(t *testing.T) {
	for _, c := range []struct {
		n, window, stride int
		want              [][2]int
	}{
		{1, 3, 1, [][2]int{{0, 1}}},
		{3, 3, 1, [][2]int{{0, 3}}},
		{8, 3, 2, [][2]int{{0, 3}, {2, 5}, {4, 7}, {6, 8}}},
		{7, 3, 2, [][2]int{{0, 3}, {2, 5}, {4, 7}}},
	} {
		if diff := cmp.Diff(c.want, windows(c.n, c.window, c.stride)); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
	}
}

// TestWindowFits: a window over all units, which tells none from another, is refused;
// the default is one less than a short input's units, and the reference takes one over all.
func TestWindowFits(t *testing.T) {
	for _, c := range []struct {
		window, n int
		replay    bool
		want      int    // 0 for
		refused   string // the error
	}{
		{3, 16, false, 3, ""}, {15, 16, false, 15, ""}, {3, 3, false, 2, ""}, {3, 2, false, 1, ""}, {3, 1, false, 1, ""}, {1, 1, false, 1, ""},
		{16, 16, true, 16, ""}, {3, 3, true, 3, ""}, {3, 2, true, 2, ""},
		{50, 16, false, 0, "window=50 covers all of the 16 units at once, so that each gets the same score: use a window of at most 15"},
		{16, 16, false, 0, "window=16 covers all of the 16 units at once, so that each gets the same score: use a window of at most 15"},
		{17, 16, true, 0, "window=17 covers all of the 16 units at once, so that each gets the same score: use a window of at most 15"},
		{2, 1, false, 0, "window=2 covers more than the input, which has one unit: leave it out, or use smaller units"},
	} {
		got, err := fits(c.window, c.n, c.replay)
		if got != c.want || err == nil != (c.refused == "") || err != nil && err.Error() != c.refused {
			t.Errorf("%+v: %d, %v", c, got, err)
		}
	}
	model := &formula{f: func(keep []uint8) float64 { return float64(keep[0]) + 2*float64(keep[1]) + 4*float64(keep[2]) }}
	e, err := explain(Occlusion{}, model, 3, sdk.Params{"stride": int64(3)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{3, 3, 4}, e.Attributions[0].Values); diff != "" {
		t.Error(diff)
	}
	if last := e.Diagnostics[len(e.Diagnostics)-1]; last != (sdk.Diagnostic{Name: "window", Value: 2}) {
		t.Errorf("the window is said to be %+v", last)
	}
}

// TestPreset: compat=captum replaces tokens in their places.
func TestPreset(t *testing.T) {
	for _, m := range []sdk.Method{FeatureAblation{}, Occlusion{}} {
		for compat, want := range map[string]string{"none": "unit", "captum": "token"} {
			p, err := sdktest.Params(m.Info(), map[string]string{"compat": compat})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.String("fill_by"); got != want {
				t.Errorf("%s, compat=%s: fill_by=%s", m.Info().Name, compat, got)
			}
		}
	}
}

// TestDirections: two units that are worth something only together are worth it
// each when left out, and nothing when added alone.
func TestDirections(t *testing.T) {
	model := &formula{f: func(keep []uint8) float64 { return float64(keep[0] & keep[1]) }}
	for direction, want := range map[string]float64{"out": 1, "in": 0} {
		e, err := explain(LeaveOneOut{}, model, 3, sdk.Params{"direction": direction})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]float64{want, want, 0}, e.Attributions[0].Values); diff != "" {
			t.Errorf("%s: %s", direction, diff)
		}
		if gap := e.Diagnostics[0]; gap.Name != "completeness_gap" || gap.Value != 2*want-1 {
			t.Errorf("%s: %+v", direction, gap)
		}
		// The squares that the values leave, of those that the mean leaves.
		fit := map[string]float64{"out": 1 - 1/1.2, "in": 1 - 1/0.8}[direction]
		if r2 := e.Diagnostics[1]; r2.Name != "r2" || math.Abs(r2.Value-fit) > 1e-12 {
			t.Errorf("%s: %+v, want %v", direction, r2, fit)
		}
	}
	if model.calls != 2 {
		t.Errorf("%d forwards for two explanations", model.calls)
	}
}

// emptied is a formula that reads no input without any unit.
type emptied struct{ *formula }

func (m emptied) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	keep, err := sdk.Values[uint8](f.Units)
	if err != nil {
		return nil, err
	}
	for row := range slices.Chunk(keep, f.Units.Shape[1]) {
		if !slices.Contains(row, 1) {
			return nil, sdk.NewError(sdk.EUnsupported, "nothing to run")
		}
	}
	return m.formula.Forward(ctx, f)
}

// TestNothingLeft: what units take away is told of models too that read no empty
// input, without a baseline; what they add to it is not.
func TestNothingLeft(t *testing.T) {
	model := emptied{&formula{f: func(keep []uint8) float64 { return float64(keep[0]) + 2*float64(keep[1]*keep[2]) }}}
	e, err := explain(LeaveOneOut{}, model, 3, sdk.Params{"special": "replace"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{1, 2, 2}, e.Attributions[0].Values); diff != "" || e.Baseline != nil || len(e.Diagnostics) != 1 || e.Diagnostics[0].Name != "r2" {
		t.Errorf("%s, %v, %+v", diff, e.Baseline, e.Diagnostics)
	}
	for name, p := range map[string]sdk.Params{"in": {"special": "replace", "direction": "in"}, "kept": {}} {
		if _, err := explain(LeaveOneOut{}, model, 3, p); !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	finite := &formula{f: func([]uint8) float64 { return 1 }}
	for name, c := range map[string]struct {
		m     sdk.Method
		model *formula
		n     int
		p     sdk.Params
		want  string
	}{
		"no units":      {FeatureAblation{}, finite, 0, nil, "the input has no units to attribute to: give a text with at least one word"},
		"stride":        {Occlusion{}, finite, 3, sdk.Params{"stride": int64(4)}, "stride=4 leaves units between two windows of 3 that none covers: use a stride of at most window"},
		"mask string":   {FeatureAblation{}, finite, 3, sdk.Params{"fill": "pad", "mask_string": "x"}, "mask_string has no effect with fill=pad: use fill=text"},
		"fill token":    {FeatureAblation{}, finite, 3, sdk.Params{"fill": "pad", "fill_token": int64(3)}, "fill_token has no effect with fill=pad: use fill=token"},
		"no fill token": {FeatureAblation{}, finite, 3, sdk.Params{"fill": "token"}, "fill=token needs the id of a token: give fill_token"},
		"two fills":     {FeatureAblation{}, finite, 3, sdk.Params{"mask_string": "x", "fill_token": int64(3)}, "mask_string and fill_token exclude each other: give one of them"},
		"too many":      {FeatureAblation{}, finite, 9000, nil, "the input has 9000 units, and their variants do not fit into memory: use coarser units (--units sentence), or a larger stride"},
		"not finite":    {LeaveOneOut{}, &formula{f: func([]uint8) float64 { return math.NaN() }}, 3, nil, "the model's output on a variant of the input is not a finite number: try --output logit, or another fill or baseline"},
		"not finite up": {Occlusion{}, &formula{f: func([]uint8) float64 { return math.Inf(1) }}, 3, nil, "the model's output on a variant of the input is not a finite number: try --output logit, or another fill or baseline"},
	} {
		if _, err := explain(c.m, c.model, c.n, c.p); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
