package nn

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/kernel"
)

// Activation is a function of one number, applied to a slice in place. nil is
// the identity.
type Activation[T kernel.Float] func(x []T)

// Derivative computes dx = dy·f′(x) of an activation f, where x is what f was
// applied to. dx may be dy or x. nil is the identity.
type Derivative[T kernel.Float] func(dx, dy, x []T)

type function[T kernel.Float] struct {
	f          Activation[T]
	derivative Derivative[T]
}

// functions are the activations by the names of the reference implementation
// (activations.py).
func functions[T kernel.Float]() map[string]function[T] {
	gelu := function[T]{kernel.GELU[T], kernel.GELUGrad[T]}
	tanh := function[T]{kernel.GELUTanh[T], kernel.GELUTanhGrad[T]}
	silu := function[T]{kernel.SiLU[T], kernel.SiLUGrad[T]}
	return map[string]function[T]{
		"gelu":              gelu,
		"gelu_python":       gelu,
		"gelu_new":          tanh,
		"gelu_fast":         tanh,
		"gelu_pytorch_tanh": tanh,
		"gelu_10":           {gelu10[T], gelu10Grad[T]},
		"quick_gelu":        {kernel.QuickGELU[T], kernel.QuickGELUGrad[T]},
		"silu":              silu,
		"swish":             silu,
		"relu":              {kernel.ReLU[T], kernel.ReLUGrad[T]},
		"relu6":             {relu6[T], relu6Grad[T]},
		"tanh":              {kernel.Tanh[T], kernel.TanhGrad[T]},
		"sigmoid":           {kernel.Sigmoid[T], kernel.SigmoidGrad[T]},
		"mish":              {mish[T], mishGrad[T]},
		"linear":            {},
	}
}

// ActivationByName returns the activation that a configuration names under
// key, with its derivative.
func ActivationByName[T kernel.Float](key, name string) (Activation[T], Derivative[T], error) {
	known := functions[T]()
	a, ok := known[name]
	if !ok {
		return nil, nil, &checkpoint.UnsupportedError{
			What: fmt.Sprintf("%s %q", key, name),
			Hint: "known are " + strings.Join(slices.Sorted(maps.Keys(known)), ", "),
		}
	}
	return a.f, a.derivative, nil
}

// gelu10 is GELU clipped to [−10, 10].
func gelu10[T kernel.Float](x []T) {
	kernel.GELU(x)
	for i, v := range x {
		x[i] = min(max(v, -10), 10)
	}
}

// gelu10Grad is the derivative of GELU where that is within (−10, 10).
func gelu10Grad[T kernel.Float](dx, dy, x []T) {
	inside := make([]bool, len(x))
	for i, v := range x {
		inside[i] = v < 10 // GELU never reaches −10
	}
	kernel.GELUGrad(dx, dy, x)
	for i, is := range inside {
		if !is {
			dx[i] = 0
		}
	}
}

// relu6 is min(max(x, 0), 6).
func relu6[T kernel.Float](x []T) {
	for i, v := range x {
		x[i] = min(max(v, 0), 6)
	}
}

// mish is x·tanh(ln(1 + eˣ)). With n = eˣ·(eˣ + 2) that is x·n/(n + 2), and
// where eˣ would overflow it is x.
func mish[T kernel.Float](x []T) {
	for i, v := range x {
		if v > 40 {
			continue
		}
		e := math.Exp(float64(v))
		n := e * (e + 2)
		x[i] = T(float64(v) * n / (n + 2))
	}
}

// relu6Grad is 1 within (0, 6).
func relu6Grad[T kernel.Float](dx, dy, x []T) {
	for i, v := range x {
		switch {
		case v != v:
			dx[i] = v
		case v > 0 && v < 6:
			dx[i] = dy[i]
		default:
			dx[i] = 0
		}
	}
}

// mishGrad is tanh(s) + x·σ(x)·(1 − tanh²(s)) with s = ln(1 + eˣ).
func mishGrad[T kernel.Float](dx, dy, x []T) {
	for i, v := range x {
		f := 1.0
		if v <= 40 {
			e := math.Exp(float64(v))
			n := e * (e + 2)
			t := n / (n + 2)
			f = t + float64(v)*e/(1+e)*(1-t*t)
		}
		dx[i] = T(float64(dy[i]) * f)
	}
}
