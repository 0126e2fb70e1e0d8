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

// ActivationByName returns the activation that a configuration names under
// key, by the names of the reference implementation (activations.py).
func ActivationByName[T kernel.Float](key, name string) (Activation[T], error) {
	activations := map[string]Activation[T]{
		"gelu":              kernel.GELU[T],
		"gelu_python":       kernel.GELU[T],
		"gelu_new":          kernel.GELUTanh[T],
		"gelu_fast":         kernel.GELUTanh[T],
		"gelu_pytorch_tanh": kernel.GELUTanh[T],
		"gelu_10":           gelu10[T],
		"quick_gelu":        kernel.QuickGELU[T],
		"silu":              kernel.SiLU[T],
		"swish":             kernel.SiLU[T],
		"relu":              kernel.ReLU[T],
		"relu6":             relu6[T],
		"tanh":              kernel.Tanh[T],
		"sigmoid":           kernel.Sigmoid[T],
		"mish":              mish[T],
		"linear":            nil,
	}
	activation, ok := activations[name]
	if !ok {
		return nil, &checkpoint.UnsupportedError{
			What: fmt.Sprintf("%s %q", key, name),
			Hint: "known are " + strings.Join(slices.Sorted(maps.Keys(activations)), ", "),
		}
	}
	return activation, nil
}

// gelu10 is GELU clipped to [−10, 10].
func gelu10[T kernel.Float](x []T) {
	kernel.GELU(x)
	for i, v := range x {
		x[i] = min(max(v, -10), 10)
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
