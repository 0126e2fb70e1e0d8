package shap_test

import (
	"context"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// multiLayer is the first output of captum's BasicModel_MultiLayer.
func multiLayer(x [3]float64) float64 {
	sum := x[0] + x[1] + x[2]
	y := -1.0
	for _, bias := range []float64{-10, 1, 1, 1} {
		y += max(sum+bias, 0)
	}
	return y
}

// TestPublished: the values that captum's tests of Shapley values and of KernelSHAP
// assert, on its toy model.
func TestPublished(t *testing.T) {
	for name, c := range map[string]struct {
		input, baseline [3]float64
		groups          [3]int
		want            []float64 // of each group
		within          float64
	}{
		"input":             {[3]float64{20, 50, 30}, [3]float64{}, [3]int{0, 1, 2}, []float64{76.66666, 196.66666, 116.66666}, 1e-4},
		"groups":            {[3]float64{20, 50, 30}, [3]float64{}, [3]int{0, 0, 1}, []float64{275, 115}, 1e-9},
		"baseline":          {[3]float64{20, 50, 30}, [3]float64{10, 20, 10}, [3]int{0, 1, 2}, []float64{40, 120, 80}, 1e-9},
		"groups, baseline":  {[3]float64{20, 50, 30}, [3]float64{4, 4, 4}, [3]int{0, 0, 1}, []float64{248, 104}, 1e-9},
		"second of a batch": {[3]float64{2, 10, 3}, [3]float64{}, [3]int{0, 1, 2}, []float64{7, 32.5, 10.5}, 1e-9},
		"switches":          {[3]float64{10, 0, 10}, [3]float64{}, [3]int{0, 0, 1}, []float64{35, 35}, 1e-9},
		"switches, all on":  {[3]float64{10, 0, 10}, [3]float64{10, 10, 10}, [3]int{0, 0, 1}, []float64{-40, 0}, 1e-9},
	} {
		model := &formula{f: func(keep uint) float64 {
			x := c.baseline
			for i, g := range c.groups {
				if keep>>g&1 == 1 {
					x[i] = c.input[i]
				}
			}
			return multiLayer(x)
		}}
		for _, m := range estimators() {
			t.Run(name+"/"+m.Info().Name, func(t *testing.T) {
				golden.Close(t, "values", values(explain(t, m, len(c.want), model, 1)), c.want, c.within)
			})
		}
		if len(c.want) == 2 { // whose hierarchy holds nothing back
			golden.Close(t, name+"/partition-shap", values(explain(t, shap.Partition{}, 2, model, 1)), c.want, c.within)
		}
	}
}

// TestPairs: where players act together in pairs at most, one order forwards and
// backwards is exact.
func TestPairs(t *testing.T) {
	const n = 14
	coef := random(n, 9)
	f := func(s uint) float64 {
		sum := 0.5
		for i := range n {
			for j := range i + 1 {
				if s>>i&1 == 1 && s>>j&1 == 1 {
					sum += coef(uint(1)<<i | uint(1)<<j)
				}
			}
		}
		return sum
	}
	want := values(explain(t, shap.Exact{}, n, &formula{f: f}, 1))
	model := &formula{f: f}
	e := explain(t, shap.Permutation{}, n, model, 1, "num_samples", "1")
	golden.Close(t, "values", values(e), want, 1e-9)
	if e.Attributions[0].Stderr != nil {
		t.Error("one order has no standard error")
	}
	if len(model.asked) != 2*n || model.forwards != 1 {
		t.Errorf("%d coalitions in %d forwards, want %d in one", len(model.asked), model.forwards, 2*n)
	}
	for _, m := range []sdk.Method{shap.Sampling{}, shap.Kernel{}} {
		e := explain(t, m, n, &formula{f: f}, 1, "num_samples", "300")
		golden.Close(t, m.Info().Name, values(e), want, 1e-9)
		if worst := diagnostic(e, "max_stderr"); worst > 1e-9 {
			t.Errorf("%s: a standard error of %v", m.Info().Name, worst)
		}
	}
}

// TestMaxStderr: sampling stops when the values are as precise as asked for.
func TestMaxStderr(t *testing.T) {
	const n = 16
	f := random(n, 3)
	for _, c := range []struct {
		method sdk.Method
		most   []string
	}{
		{shap.Kernel{}, []string{"num_samples", "20000"}},
		{shap.Permutation{}, []string{"num_samples", "1000"}},
		{shap.Sampling{}, []string{"num_samples", "40000"}},
	} {
		used := map[string]int{}
		for _, bound := range []string{"0.04", "0.02", "0.0000001"} {
			model := &formula{f: f}
			e := explain(t, c.method, n, model, 1, append(c.most, "max_stderr", bound)...)
			used[bound] = len(model.asked)
			worst := diagnostic(e, "max_stderr")
			if bound == "0.04" && worst > 0.04 || bound == "0.02" && worst > 0.02 || math.IsNaN(worst) {
				t.Errorf("%s: the largest standard error is %v, bound %s", c.method.Info().Name, worst, bound)
			}
		}
		if !(used["0.04"] < used["0.02"] && used["0.02"] < used["0.0000001"]) {
			t.Errorf("%s: coalitions by bound: %v", c.method.Info().Name, used)
		}
		if used["0.0000001"] > 40000 {
			t.Errorf("%s: %d coalitions are more than the limit", c.method.Info().Name, used["0.0000001"])
		}
	}
}

// TestMaxStderrAlone: the default number of samples is no bound of the precision that
// is asked for, and another one is; what cannot be reached ends all the same, with all
// coalitions where there are few.
func TestMaxStderrAlone(t *testing.T) {
	const n = 20
	few := random(12, 3)
	f := func(set uint) float64 { return few(set&0xfff^set>>8) + 0.1*few(set>>8) }
	for _, m := range []sdk.Method{shap.Kernel{}, shap.Permutation{}, shap.Sampling{}} {
		name := m.Info().Name
		usual := &formula{f: f}
		bound := diagnostic(explain(t, m, n, usual, 1), "max_stderr") / 2
		text := strconv.FormatFloat(bound, 'g', -1, 64)
		model := &formula{f: f}
		if worst := diagnostic(explain(t, m, n, model, 1, "max_stderr", text), "max_stderr"); worst > bound || worst == 0 {
			t.Errorf("%s: an error of %v with %d coalitions, and %v was asked for", name, worst, len(model.asked), bound)
		}
		if len(model.asked) <= len(usual.asked) {
			t.Errorf("%s: %d coalitions, and %d without a bound", name, len(model.asked), len(usual.asked))
		}
		least := 2 * (n + 64)
		if m == (shap.Permutation{}) {
			least = 2 + 4*2*(n-1)
		}
		model = &formula{f: f}
		explain(t, m, n, model, 1, "max_stderr", "1000")
		if got := len(model.asked); got > least && got > len(usual.asked) {
			t.Errorf("%s: %d coalitions for a bound that the first ones reach", name, got)
		}
		model = &formula{f: f}
		if explain(t, m, n, model, 1, "max_stderr", "1e-12"); len(model.asked) > 100_002 {
			t.Errorf("%s: %d coalitions for a bound that is out of reach", name, len(model.asked))
		}
		model = &formula{f: few}
		e := explain(t, m, 12, model, 1, "max_stderr", "1e-12")
		if worst := diagnostic(e, "max_stderr"); worst != 0 || len(model.asked) != 1<<12 {
			t.Errorf("%s: an error of %v with %d of %d coalitions", name, worst, len(model.asked), 1<<12)
		}
		golden.Close(t, name, values(e), values(explain(t, shap.Exact{}, 12, &formula{f: few}, 1)), 1e-9)
	}
	model := &formula{f: f}
	explain(t, shap.Permutation{}, n, model, 1, "max_stderr", "1e-12", "num_samples", "10")
	if most := 2 + 10*2*(n-1); len(model.asked) > most {
		t.Errorf("%d coalitions of ten orders that were asked for", len(model.asked))
	}
}

// TestLeftOut: what the selection leaves out has the value 0 and no standard error, and
// the largest is that of the others.
func TestLeftOut(t *testing.T) {
	const n = 16
	f := random(n, 3)
	for _, params := range [][]string{{"num_samples", "300"}, {"max_stderr", "0.02"}, {"num_samples", "300", "compat", "shap"}} {
		e := explain(t, shap.Kernel{}, n, &formula{f: f}, 1, append(params, "l1_reg", "num_features(3)")...)
		a, left, worst := e.Attributions[0], 0, 0.0
		for i, s := range a.Stderr {
			if math.IsNaN(s) != (a.Values[i] == 0) {
				t.Errorf("%v: the value %v has the error %v", params, a.Values[i], s)
			}
			if math.IsNaN(s) {
				left++
			} else {
				worst = math.Max(worst, s)
			}
		}
		if got := diagnostic(e, "max_stderr"); left != n-3 || got != worst || worst == 0 {
			t.Errorf("%v: %d are left out, and the largest error is said to be %v, and is %v", params, left, got, worst)
		}
	}
}

// TestInteractions: indices of order 2 on a product, whose interactions are known.
func TestInteractions(t *testing.T) {
	const n = 4
	f := func(s uint) float64 { // x0·x1 + 2·x2 + x1·x2·x3
		x := func(i int) float64 { return float64(s >> i & 1) }
		return x(0)*x(1) + 2*x(2) + x(1)*x(2)*x(3)
	}
	third, half := 1.0/3, 0.5
	for kind, want := range map[string][]float64{
		"shapley-interaction": {
			half, 1, 0, 0,
			1, half + third, half, half,
			0, half, 2 + third, half,
			0, half, half, third,
		},
		"shapley-taylor": {
			0, 1, 0, 0,
			1, 0, third, third,
			0, third, 2, third,
			0, third, third, 0,
		},
		"shap": {
			0, half, 0, 0,
			half, 0, third / 2, third / 2,
			0, third / 2, 2, third / 2,
			0, third / 2, third / 2, 0,
		},
	} {
		e := explain(t, shap.Exact{}, n, &formula{f: f}, 1, "interactions", kind)
		golden.Close(t, kind, e.Tensors[0].Data.([]float64), want, 1e-12)
	}
	e := explain(t, shap.Exact{}, n, &formula{f: f}, 1)
	if e.Tensors != nil {
		t.Error("interactions that nobody asked for")
	}
}

// TestTopLabels: classes are explained beside the target, from the same evaluations.
func TestTopLabels(t *testing.T) {
	const n = 5
	f, g := random(n, 3), random(n, 4)
	for _, b := range []struct {
		m      sdk.Method
		params []string
	}{
		{shap.Kernel{}, nil}, {shap.Permutation{}, nil}, {shap.Sampling{}, nil}, {shap.Exact{}, nil}, {shap.Partition{}, nil},
		{shap.Sampling{}, []string{"compat", "captum"}}, {shap.Sampling{}, []string{"compat", "shap"}},
		{shap.Permutation{}, []string{"num_samples", "2"}},
	} {
		model := &formula{f: f, classes: func(s uint) []float64 {
			return []float64{f(s), g(s) + 10, -100} // the second is the largest on the input
		}}
		e := explain(t, b.m, n, model, 1, append(b.params, "top_labels", "2")...)
		plain := explain(t, b.m, n, &formula{f: f}, 1, b.params...)
		if b.params == nil || b.params[1] != "shap" { // which looks at all classes for its second round
			golden.Close(t, b.m.Info().Name, values(e), values(plain), 1e-12)
		}
		names := []string{"class.1", "class.0"}
		for i, a := range e.Attributions[1:] {
			if a.Name != names[i] {
				t.Errorf("%s: attribution %d is %s, want %s", b.m.Info().Name, i+1, a.Name, names[i])
			}
		}
		golden.Close(t, b.m.Info().Name+" class.0", e.Attributions[2].Values, values(e), 1e-12)
		if gap := diagnostic(e, "class.1.completeness_gap"); !(math.Abs(gap) < 1e-2) {
			t.Errorf("%s: gap of class 1 %v", b.m.Info().Name, gap)
		}
	}
}

// TestRefusals: parameters and inputs that cannot be.
func TestRefusals(t *testing.T) {
	f := func(uint) float64 { return 0 }
	for _, c := range []struct {
		m      sdk.Method
		n      int
		params []string
	}{
		{shap.Kernel{}, 0, nil},
		{shap.Kernel{}, 20, []string{"num_samples", "39"}},
		{shap.Kernel{}, 2001, nil},
		{shap.Kernel{}, 1000, []string{"num_samples", "100000"}},
		{shap.Kernel{}, 5, []string{"l1_reg", "best"}},
		{shap.Kernel{}, 5, []string{"l1_reg", "num_features(0)"}},
		{shap.Kernel{}, 5, []string{"l1_reg", "-1"}},
		{shap.Kernel{}, 5, []string{"l1_reg", "NaN"}},
		{shap.Kernel{}, 5, []string{"compat", "shap", "max_stderr", "0.1"}},
		{shap.Permutation{}, 20, []string{"max_evals", "39"}},
		{shap.Permutation{}, 20, []string{"compat", "shap", "max_evals", "40"}},
		{shap.Permutation{}, 2000, []string{"num_samples", "100000"}},
		{shap.Permutation{}, 5, []string{"compat", "shap", "special", "replace"}},
		{shap.Permutation{}, 5, []string{"compat", "shap", "fill_by", "token"}},
		{shap.Partition{}, 5, []string{"compat", "shap", "fill", "delete"}},
		{shap.Partition{}, 5, []string{"compat", "shap", "fill", "mask"}}, // of a tokenizer that has none
		{shap.Partition{}, 5, []string{"compat", "shap", "fill_token", "3"}},
		{shap.Partition{}, 5, []string{"segments", "tokens"}},
		{shap.Permutation{}, 5, []string{"collapse", "true"}},
		{shap.Sampling{}, 20, []string{"num_samples", "100"}},
		{shap.Sampling{}, 20, []string{"compat", "shap", "num_samples", "30"}},
		{shap.Sampling{}, 20, []string{"compat", "captum", "max_stderr", "1"}},
		{shap.Exact{}, 15, nil},
		{shap.Exact{}, 64, nil},
		{shap.Exact{}, 5, []string{"max_evals", "31"}},
		{shap.Exact{}, 5, []string{"mask_string", "x", "fill", "mask"}},
	} {
		if _, err := try(c.m, c.n, &formula{f: f}, 1, c.params...); err == nil {
			t.Errorf("%s of %d units with %v is not refused", c.m.Info().Name, c.n, c.params)
		}
	}
}

// continuation is a formula whose outputs are no classes.
type continuation struct{ *formula }

func (m continuation) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	reply, err := m.formula.Forward(ctx, f)
	return target{reply}, err
}

type target struct{ sdk.Reply }

func (r target) Tensor(name string, i int) (*sdk.Tensor, error) {
	if name != sdk.ReplyTarget {
		return nil, sdk.NewError(sdk.EUnsupported, "no row of "+name)
	}
	return r.Reply.Tensor(name, i)
}

// TestTargetsWithoutClasses: the references that look at all outputs say so where
// there are none.
func TestTargetsWithoutClasses(t *testing.T) {
	for _, m := range []sdk.Method{shap.Partition{}, shap.Sampling{}} {
		p, err := sdktest.Params(m.Info(), map[string]string{"compat": "shap"})
		if err != nil {
			t.Fatal(err)
		}
		r := &sdk.Request{Params: p, Text: "w0 w1", Target: sdk.Target{Kind: sdk.KindContinuation, Output: sdk.LogProb}}
		for i := range 2 {
			token := sdk.Token{ID: int32(i), Text: "w" + strconv.Itoa(i), Start: 3 * i, End: 3*i + 2}
			r.Tokens = append(r.Tokens, token)
			r.Units = append(r.Units, sdk.Unit{Text: token.Text, Tokens: []int{i}, Spans: []sdk.Span{{Start: token.Start, End: token.End}}})
		}
		_, err = m.Explain(t.Context(), continuation{&formula{f: func(uint) float64 { return 0 }, mask: "[MASK]"}}, r)
		if err == nil || !strings.Contains(err.Error(), "use compat=none") {
			t.Errorf("%s: %v", m.Info().Name, err)
		}
	}
}

// TestTooManyUnits: the error of exact-shap names all that helps, and nothing that
// does not.
func TestTooManyUnits(t *testing.T) {
	for _, c := range []struct {
		n      int
		params []string
		want   string
	}{
		{15, nil, "the input has 15 units, and all their coalitions are 2^15, more than max_evals=16384: use partition-shap, permutation-shap or kernel-shap, coarser units (--units sentence), -p max_evals=32768, or a shorter text"},
		{20, []string{"max_evals", "1000"}, "2^20, more than max_evals=1000: use partition-shap, permutation-shap or kernel-shap, coarser units (--units sentence), -p max_evals=1048576, or a shorter text"},
		{21, nil, "use partition-shap, permutation-shap or kernel-shap, coarser units (--units sentence), or a shorter text"},
		{30, []string{"compat", "shap"}, "2^30, more than max_evals=100000: use partition-shap, permutation-shap or kernel-shap, compat=none with coarser units (--units sentence), or a shorter text"},
	} {
		_, err := try(shap.Exact{}, c.n, &formula{f: func(uint) float64 { return 0 }}, 1, c.params...)
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%d units: %v, want %q", c.n, err, c.want)
		}
	}
}
