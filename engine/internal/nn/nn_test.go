package nn

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/parallel"
)

func random[T kernel.Float](n int) []T {
	r := rand.New(rand.NewPCG(uint64(n), 0))
	x := make([]T, n)
	for i := range x {
		x[i] = T(r.NormFloat64())
	}
	return x
}

// TestLinear compares with the definition, alone and over a pool, at sizes
// that fit neither the panels of the kernels nor the parts of a pool.
func TestLinear(t *testing.T) {
	t.Run("float32", func(t *testing.T) { testLinear[float32](t, 1e-5) })
	t.Run("float64", func(t *testing.T) { testLinear[float64](t, 1e-13) })
}

func testLinear[T kernel.Float](t *testing.T, tolerance float64) {
	pool := parallel.New(3)
	defer pool.Close()
	const in, pad = 29, 3
	for _, out := range []int{1, 37, 64, 200} {
		w, bias := random[T](out*in), random[T](out)
		l := FromWeights(kernel.Pack(out, in, w), bias)
		for _, m := range []int{0, 1, 5, 128, 131} {
			x := random[T](m*in + pad)
			ldd := out + pad
			alone, shared := make([]T, m*ldd), make([]T, m*ldd)
			if err := Multiply(t.Context(), nil, Product[T]{l, alone, ldd, x, in, m, kernel.ReLU[T], nil}); err != nil {
				t.Fatal(err)
			}
			if err := Multiply(t.Context(), pool, Product[T]{l, shared, ldd, x, in, m, kernel.ReLU[T], nil}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(alone, shared) {
				t.Errorf("[%d, %d] for %d rows: a pool changes the bits", out, in, m)
			}
			for r := range m {
				for o := range ldd {
					want := 0.0
					if o < out {
						want = float64(bias[o])
						for i := range in {
							want += float64(x[r*in+i]) * float64(w[o*in+i])
						}
						want = max(want, 0)
					}
					if got := float64(alone[r*ldd+o]); math.Abs(got-want) > tolerance*in {
						t.Fatalf("[%d, %d], row %d of %d, output %d: %v, want %v", out, in, r, m, o, got, want)
					}
				}
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := FromWeights(kernel.Pack(2, 2, make([]T, 4)), make([]T, 2))
	for _, p := range []*parallel.Pool{nil, pool} {
		if err := Multiply(ctx, p, Product[T]{l, make([]T, 2), 2, make([]T, 2), 2, 1, nil, nil}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func TestRowsCoversEachOnce(t *testing.T) {
	pool := parallel.New(3)
	defer pool.Close()
	for _, n := range []int{0, 1, 16, 17, 100} {
		for _, p := range []*parallel.Pool{nil, pool} {
			counts := make([]int, n)
			if err := Rows(t.Context(), p, n, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					counts[i]++
				}
			}); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(counts, func(c int) bool { return c != 1 }) {
				t.Errorf("%d rows: %v", n, counts)
			}
		}
	}
}

// TestActivations compares with the formulas of activations.py.
func TestActivations(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	gelu := func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }
	tanh := func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) }
	silu := func(x float64) float64 { return x * sigmoid(x) }
	clip := func(low, high float64, f func(float64) float64) func(float64) float64 {
		return func(x float64) float64 { return min(max(f(x), low), high) }
	}
	identity := func(x float64) float64 { return x }
	formulas := map[string]func(float64) float64{
		"gelu": gelu, "gelu_python": gelu, "gelu_new": tanh, "gelu_pytorch_tanh": tanh,
		"gelu_fast": func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(0.7978845608*x*(1+0.044715*x*x)))
		},
		"gelu_10": clip(-10, 10, gelu), "quick_gelu": func(x float64) float64 { return x * sigmoid(1.702*x) },
		"silu": silu, "swish": silu, "relu": clip(0, math.Inf(1), identity), "relu6": clip(0, 6, identity),
		"tanh": math.Tanh, "sigmoid": sigmoid, "linear": identity,
		"mish": func(x float64) float64 { return x * math.Tanh(math.Log1p(math.Exp(x))) },
	}
	x := []float64{-100, -20, -7, -3, -1, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 3, 5.5, 6.5, 9, 12, 45, 100, math.Inf(1), math.NaN()}
	for name, formula := range formulas {
		testActivation[float64](t, name, x, formula, 1e-9)
		testActivation[float32](t, name, x, formula, 2e-6)
	}
	var unsupported *checkpoint.UnsupportedError
	if _, _, err := ActivationByName[float32]("hidden_act", "gelu_3"); !errors.As(err, &unsupported) {
		t.Errorf("an unknown activation: %v", err)
	}
}

func testActivation[T kernel.Float](t *testing.T, name string, x []float64, formula func(float64) float64, tolerance float64) {
	t.Helper()
	activation, _, err := ActivationByName[T]("hidden_act", name)
	if err != nil {
		t.Error(err)
		return
	}
	got := make([]T, len(x))
	for i, v := range x {
		got[i] = T(v)
	}
	if activation != nil {
		activation(got)
	}
	for i, v := range x {
		want := formula(float64(T(v)))
		if g := float64(got[i]); g != want && !(math.Abs(g-want) <= tolerance*max(1, math.Abs(want))) && !(math.IsNaN(g) && math.IsNaN(want)) {
			t.Errorf("%s(%v) = %v, want %v", name, v, g, want)
		}
	}
}
