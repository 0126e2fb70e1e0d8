package shap_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// formula is a model whose target is a function of the units that are kept, a bit for
// each.
type formula struct {
	f        func(keep uint) float64
	classes  func(keep uint) []float64 // nil for one class: the target
	mask     string
	special  []int32 // the ids of special tokens
	forwards int
	asked    map[uint]int // how often a coalition was asked for
	texts    []string
}

func (m *formula) Info() sdk.ModelInfo {
	return sdk.ModelInfo{MaskToken: m.mask, SpecialIDs: m.special}
}

func (m *formula) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	m.forwards++
	if m.asked == nil {
		m.asked = map[uint]int{}
	}
	m.texts = append(m.texts, f.Texts...)
	if f.Texts != nil {
		zero := make([]float64, len(f.Texts))
		return answer{sdk.ReplyTarget: sdk.NewTensor(zero, len(zero)), sdk.ReplyProbs: sdk.NewTensor(zero, len(zero), 1)}, nil
	}
	keep, err := sdk.Values[uint8](f.Units)
	if err != nil {
		return nil, err
	}
	n, width := f.Units.Shape[0], f.Units.Shape[1]
	var y, all []float64
	for i := range n {
		set := uint(0)
		for j, k := range keep[i*width : (i+1)*width] {
			set |= uint(k) << j
		}
		m.asked[set]++
		y = append(y, m.f(set))
		if m.classes != nil {
			all = append(all, m.classes(set)...)
		} else {
			all = append(all, m.f(set))
		}
	}
	return answer{sdk.ReplyTarget: sdk.NewTensor(y, n), sdk.ReplyProbs: sdk.NewTensor(all, n, len(all)/n)}, nil
}

// explain runs a method on a formula of n units.
func explain(t testing.TB, m sdk.Method, n int, model *formula, seed uint64, params ...string) *sdk.Explanation {
	t.Helper()
	e, err := try(m, n, model, seed, params...)
	if err != nil {
		t.Fatalf("%s: %v", m.Info().Name, err)
	}
	return e
}

func try(m sdk.Method, n int, model *formula, seed uint64, params ...string) (*sdk.Explanation, error) {
	given := map[string]string{}
	for i := 0; i < len(params); i += 2 {
		given[params[i]] = params[i+1]
	}
	p, err := sdktest.Params(m.Info(), given)
	if err != nil {
		return nil, err
	}
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	r := &sdk.Request{Seed: seed, Params: p, Rand: rand.NewChaCha8(key), Target: sdk.Target{Kind: "class", Output: sdk.Prob, Value: model.f(1<<n - 1)}}
	var words []string
	at := 0
	for i := range n {
		word := "w" + strconv.Itoa(i)
		r.Tokens = append(r.Tokens, sdk.Token{ID: int32(i), Text: word, Start: at, End: at + len(word)})
		r.Units = append(r.Units, sdk.Unit{Text: word, Spans: []sdk.Span{{Start: at, End: at + len(word)}}, Tokens: []int{i}})
		words = append(words, word)
		at += len(word) + 1
	}
	r.Text = strings.Join(words, " ")
	return m.Explain(context.Background(), model, r)
}

func values(e *sdk.Explanation) []float64 { return e.Attributions[0].Values }

func diagnostic(e *sdk.Explanation, name string) float64 {
	for _, d := range e.Diagnostics {
		if d.Name == name {
			return d.Value
		}
	}
	return math.NaN()
}

// brute returns the Shapley values from the definition by orders: the mean of what a
// player adds over all n! of them.
func brute(n int, f func(uint) float64) []float64 {
	values := make([]float64, n)
	orders := 0
	var walk func(set uint)
	path := make([]float64, n)
	walk = func(set uint) {
		if bits.OnesCount(set) == n {
			orders++
			for i, v := range path {
				values[i] += v
			}
			return
		}
		for i := range n {
			if set>>i&1 == 0 {
				path[i] = f(set|1<<i) - f(set)
				walk(set | 1<<i)
			}
		}
	}
	walk(0)
	for i := range values {
		values[i] /= float64(orders)
	}
	return values
}

// table draws a game of n players.
func table(t *rapid.T, n int, label string) func(uint) float64 {
	v := rapid.SliceOfN(rapid.Float64Range(-1, 1), 1<<n, 1<<n).Draw(t, label)
	return func(set uint) float64 { return v[set] }
}

// random returns a game of n players with interactions of all orders.
func random(n int, seed uint64) func(uint) float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	v := make([]float64, 1<<n)
	main := make([]float64, n)
	for i := range main {
		main[i] = r.NormFloat64()
	}
	for set := range v {
		for i, m := range main {
			if set>>i&1 == 1 {
				v[set] += m
			}
		}
		v[set] = math.Tanh(v[set]/2) + 0.1*r.NormFloat64()
	}
	return func(set uint) float64 { return v[set] }
}

// estimators are the methods whose values are Shapley values where everything fits
// into their budgets.
func estimators() []sdk.Method {
	return []sdk.Method{shap.Kernel{}, shap.Permutation{}, shap.Sampling{}, shap.Exact{}}
}

// TestShapley: with all coalitions at hand, every method gives the values of the
// definition.
func TestShapley(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		f := table(t, n, "v")
		want := brute(n, f)
		for _, m := range estimators() {
			e, err := try(m, n, &formula{f: f}, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range values(e) {
				if math.Abs(v-want[i]) > 1e-9 {
					t.Fatalf("%s: value %d is %v, want %v", m.Info().Name, i, v, want[i])
				}
			}
			if gap := diagnostic(e, "completeness_gap"); math.Abs(gap) > 1e-9 {
				t.Fatalf("%s: gap %v", m.Info().Name, gap)
			}
			if *e.Baseline != f(0) {
				t.Fatalf("%s: baseline %v, want %v", m.Info().Name, *e.Baseline, f(0))
			}
			for _, s := range e.Attributions[0].Stderr {
				if s > 1e-9 {
					t.Fatalf("%s: a standard error of %v where nothing is left to chance", m.Info().Name, s)
				}
			}
		}
	})
}

// budgets are parameters with which each method samples a game of ten players.
var budgets = []struct {
	method sdk.Method
	params []string
}{
	{shap.Kernel{}, []string{"num_samples", "300"}},
	{shap.Kernel{}, []string{"num_samples", "300", "compat", "shap", "l1_reg", "none"}},
	{shap.Permutation{}, []string{"max_evals", "300"}},
	{shap.Permutation{}, []string{"max_evals", "300", "order", "tree"}},
	{shap.Sampling{}, []string{"num_samples", "400"}},
	{shap.Partition{}, []string{"max_evals", "60"}},
	{shap.Partition{}, []string{"max_evals", "2000"}},
	{shap.Exact{}, nil},
}

// TestLaws: whatever the sample, values add up, a player that adds nothing gets
// nothing where all else is additive, and explanations add as games do.
func TestLaws(t *testing.T) {
	const n = 10
	f, g := random(n, 1), random(n, 2)
	for _, b := range budgets {
		name := b.method.Info().Name + " " + strings.Join(b.params, " ")
		t.Run(name, func(t *testing.T) {
			a, c := &formula{f: f}, &formula{f: g}
			of := explain(t, b.method, n, a, 3, b.params...)
			if gap := diagnostic(of, "completeness_gap"); math.Abs(gap) > 1e-9 {
				t.Errorf("efficiency: the values are off by %v", gap)
			}
			for set, times := range a.asked {
				if times > 1 {
					t.Errorf("coalition %b was asked for %d times", set, times)
				}
			}
			// Partition and Sampling choose by what they see.
			if m := b.method.Info().Name; m != "sampling-shap" && (m != "partition-shap" || b.params[1] == "2000") {
				other := explain(t, b.method, n, c, 3, b.params...)
				both := explain(t, b.method, n, &formula{f: func(s uint) float64 { return 2*f(s) - g(s) }}, 3, b.params...)
				for i, v := range values(both) {
					if want := 2*values(of)[i] - values(other)[i]; math.Abs(v-want) > 1e-9 {
						t.Errorf("linearity: value %d is %v, want %v", i, v, want)
					}
				}
			}
			weights := []float64{3, -1, 0, 2, 0.5, -4, 0, 1, 1, 7}
			linear := explain(t, b.method, n, &formula{f: func(s uint) float64 {
				sum := 0.25
				for i, w := range weights {
					sum += w * float64(s>>i&1)
				}
				return sum
			}}, 3, b.params...)
			tolerance := 1e-9
			if b.method.Info().Name == "partition-shap" && b.params[1] == "60" {
				return // parts that are not split share by size
			}
			golden.Close(t, "a linear model", values(linear), weights, tolerance)
			if r2 := diagnostic(linear, "r2"); math.Abs(r2-1) > 1e-9 {
				t.Errorf("r2 of a linear model is %v", r2)
			}
			dummy := explain(t, b.method, n, &formula{f: func(s uint) float64 { return f(s &^ 4) }}, 3, b.params...)
			if v := values(dummy)[2]; math.Abs(v) > 0.05 || b.method.Info().Name != "kernel-shap" && b.method.Info().Name != "sampling-shap" && math.Abs(v) > 1e-12 {
				t.Errorf("dummy: a player without effect gets %v", v)
			}
		})
	}
}

// TestFidelity: r2 is weighted by the Shapley kernel, which Shapley values fit best:
// of three players of whom two are worth 1 together, half of the differences are left.
func TestFidelity(t *testing.T) {
	pair := func(set uint) float64 { return float64(set & 1 * (set >> 1 & 1)) }
	e := explain(t, shap.Exact{}, 3, &formula{f: pair}, 1)
	// Values ½, ½, 0. Coalitions of one: 0 for ½, ½, 0; of two: 1 for 1, 0 for ½
	// twice. Each has the same weight, the mean is 1/6.
	if r2 := diagnostic(e, "r2"); math.Abs(r2-(1-1/(5.0/6))) > 1e-12 {
		t.Errorf("r2 %v", r2)
	}
}

// TestSymmetry: players that are alike get the same, where nothing is sampled.
func TestSymmetry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(t, "n")
		f := table(t, n, "v")
		swapped := func(s uint) uint { // the first two players exchanged
			return s&^3 | s&1<<1 | s>>1&1
		}
		model := &formula{f: func(s uint) float64 { return f(s) + f(swapped(s)) }}
		for _, m := range append(estimators(), shap.Partition{}) {
			if m.Info().Name == "partition-shap" && n > 2 {
				continue // unless they are halves of one part
			}
			e, err := try(m, n, model, 1)
			if err != nil {
				t.Fatal(err)
			}
			if v := values(e); math.Abs(v[0]-v[1]) > 1e-9 {
				t.Fatalf("%s: %v and %v", m.Info().Name, v[0], v[1])
			}
		}
	})
}

// TestConvergence: estimates come nearer to the exact values with more coalitions, and
// are as far from them as their standard errors say.
func TestConvergence(t *testing.T) {
	const n, runs = 11, 120
	f := random(n, 5)
	exact := values(explain(t, shap.Exact{}, n, &formula{f: f}, 1))
	tree := values(explain(t, shap.Partition{}, n, &formula{f: f}, 1, "max_evals", "100000"))
	for _, c := range []struct {
		method sdk.Method
		want   []float64
		params []string
	}{
		{shap.Kernel{}, exact, []string{"num_samples", "200"}},
		{shap.Kernel{}, exact, []string{"num_samples", "1200"}},
		{shap.Kernel{}, exact, []string{"num_samples", "400", "compat", "shap", "l1_reg", "none"}},
		{shap.Permutation{}, exact, []string{"num_samples", "10"}},
		{shap.Permutation{}, exact, []string{"num_samples", "60"}},
		{shap.Permutation{}, tree, []string{"num_samples", "20", "order", "tree"}},
		{shap.Sampling{}, exact, []string{"num_samples", "400"}},
		{shap.Sampling{}, exact, []string{"num_samples", "1500"}},
		{shap.Sampling{}, exact, []string{"num_samples", "60", "compat", "captum"}},
		{shap.Sampling{}, exact, []string{"num_samples", "2000", "compat", "shap"}},
	} {
		t.Run(c.method.Info().Name+" "+strings.Join(c.params, " "), func(t *testing.T) {
			square, claimed := 0.0, 0.0
			for seed := range uint64(runs) {
				e := explain(t, c.method, n, &formula{f: f}, seed, c.params...)
				for i, v := range values(e) {
					square += (v - c.want[i]) * (v - c.want[i])
					s := e.Attributions[0].Stderr[i]
					claimed += s * s
				}
			}
			off, said := math.Sqrt(square/(n*runs)), math.Sqrt(claimed/(n*runs))
			t.Logf("off by %.5f, said %.5f", off, said)
			if !(said > 0.8*off && said < 1.5*off) {
				t.Errorf("the values are off by %.5f on average, and the standard errors say %.5f", off, said)
			}
		})
	}
}

// TestPenaltyLeavesNone: a penalty under which no unit has a value is refused, with one
// that leaves some; under the reference's preset, and of another class, the values are 0
// and have no errors of their own.
func TestPenaltyLeavesNone(t *testing.T) {
	f := func(set uint) float64 { return 0.5 + 0.1*float64(set&1) - 0.02*float64(set>>1&1) }
	model := func() *formula { return &formula{f: f} }
	params := func(more ...string) []string { return append([]string{"num_samples", "60"}, more...) }
	_, err := try(shap.Kernel{}, 8, model(), 1, params("l1_reg", "10")...)
	if !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
		t.Fatalf("error %v", err)
	}
	said := regexp.MustCompile(`^l1_reg=10 is a penalty that leaves no unit a value: use ([0-9.e-]+) or less, or num_features\(K\)$`).FindStringSubmatch(err.Error())
	if said == nil {
		t.Fatalf("error %q", err)
	}
	e := explain(t, shap.Kernel{}, 8, model(), 1, params("l1_reg", said[1])...)
	if v := values(e); v[0] == 0 || v[2] != 0 {
		t.Errorf("with the penalty that was said, values %v", v)
	}
	e = explain(t, shap.Kernel{}, 8, model(), 1, params("l1_reg", "10", "compat", "shap")...)
	for i, v := range values(e) {
		if v != 0 || !math.IsNaN(e.Attributions[0].Stderr[i]) {
			t.Errorf("unit %d has the value %v ± %v", i, v, e.Attributions[0].Stderr[i])
		}
	}
	if gap := diagnostic(e, "completeness_gap"); math.Abs(gap+0.08) > 1e-12 || diagnostic(e, "max_stderr") != 0 || diagnostic(e, "certain_top") != 0 {
		t.Errorf("diagnostics %+v", e.Diagnostics)
	}
	flat := &formula{f: func(uint) float64 { return 0.5 }}
	if v := values(explain(t, shap.Kernel{}, 8, flat, 1, params("l1_reg", "10")...)); slices.Max(v) != 0 || slices.Min(v) != 0 {
		t.Errorf("of a constant, values %v", v)
	}
	none := &formula{f: f, classes: func(uint) []float64 { return []float64{0.9, 0.1} }}
	e = explain(t, shap.Kernel{}, 8, none, 1, params("l1_reg", said[1], "top_labels", "1")...)
	if v := e.Attributions[1].Values; slices.Max(v) != 0 || slices.Min(v) != 0 {
		t.Errorf("of a class that nothing moves, values %v", v)
	}
}
