package kernel

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// Environment is the variable that forces a kernel family when the process
// starts; see [Err].
const Environment = "XAI_KERNEL"

// family is one set of float32 kernels. Each function has the meaning of the
// loop of the same name in generic.go.
type family struct {
	name       string
	columns    int // panel width of Weights and Panels
	lanes      int // rows that interleave takes; divides columns
	group      int // inputs whose 8-bit weights lie together
	linear     func(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32)
	linear16   func(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32)
	quantize   func(words []uint32, stride int, x []float32, ldx, m, n, group int)
	product8   func(dst []float32, ldd int, rows []uint32, stride, m int, w *Weights[float32], bias []float32)
	product    func(dst []float32, ldd int, x []float32, ldx int, transposed bool, m int, panels []float32, stride, in, out int, bias []float32, add bool)
	interleave func(panel []float32, columns int, rows []float32, ld, n, in int, scale float32)
	stack      func(panel []float32, columns int, rows []float32, ld, n, width int, scale float32)
	add        func(dst, x []float32)
	layerNorm  func(dst, x []float32, d int, gamma, beta []float32, eps float32)
	softmax    func(x []float32, ld, rows, n int)
	gelu       func(x []float32)
	gate       func(x []float32, linear, cubic float64)
	sigmoid    func(x []float32)
	tanh       func(x []float32)
	relu       func(x []float32)

	stats         func(mean, divisor, x []float32, d int, eps float32)
	normalize     func(dst, x []float32, d int, mean, divisor []float32)
	affine        func(dst, x []float32, d int, gamma, beta []float32)
	rmsNorm       func(dst, x []float32, d int, gamma []float32, eps float32)
	layerNormGrad func(dx, dy, x []float32, d int, gamma []float32, eps float32)
	rmsNormGrad   func(dx, dy, x []float32, d int, gamma []float32, eps float32)
	softmaxGrad   func(dscore, pattern, dpattern []float32, ld, rows, n int)
	geluGrad      func(dx, dy, x []float32)
	gateGrad      func(dx, dy, x []float32, linear, cubic float64)
	sigmoidGrad   func(dx, dy, x []float32)
	tanhGrad      func(dx, dy, x []float32)
	reluGrad      func(dx, dy, x []float32)
	mul           func(dst, x []float32)
	scale         func(dst []float32, a float32)
	addScaled     func(dst []float32, a float32, x []float32)
	dot           func(x, y []float32) float32
	rotate        func(x []float32, ld, rows, heads, e, half int, cos, sin []float32, back bool)

	// peak runs n rounds of fused multiply-adds and returns the number of
	// operations that they were; nil in the generic family.
	peak func(n int) float64
}

var generic = &family{
	name:       "generic",
	columns:    genericColumns,
	lanes:      genericColumns,
	group:      4,
	linear:     linear[float32],
	linear16:   linear16,
	quantize:   quantize,
	product8:   product8,
	product:    product[float32],
	interleave: interleave[float32],
	stack:      stack[float32],
	add:        add[float32],
	layerNorm:  layerNorm[float32],
	softmax:    softmax[float32],
	gelu:       gelu[float32],
	gate:       gate[float32],
	sigmoid:    sigmoid[float32],
	tanh:       tanh[float32],
	relu:       relu[float32],

	stats:         stats[float32],
	normalize:     normalize[float32],
	affine:        affine[float32],
	rmsNorm:       rmsNorm[float32],
	layerNormGrad: layerNormGrad[float32],
	rmsNormGrad:   rmsNormGrad[float32],
	softmaxGrad:   softmaxGrad[float32],
	geluGrad:      geluGrad[float32],
	gateGrad:      gateGrad[float32],
	sigmoidGrad:   sigmoidGrad[float32],
	tanhGrad:      tanhGrad[float32],
	reluGrad:      reluGrad[float32],
	mul:           mul[float32],
	scale:         scale[float32],
	addScaled:     addScaled[float32],
	dot:           dot[float32],
	rotate:        rotate[float32],
}

var (
	// active is the family of the calls that begin now.
	active atomic.Pointer[family]
	// environmentErr says why the environment's choice was refused.
	environmentErr error
)

func init() { environmentErr = Select(os.Getenv(Environment)) }

// Families returns the names of the kernel families that this machine can run,
// the fastest first.
func Families() []string {
	var names []string
	for _, f := range available() {
		names = append(names, f.name)
	}
	return names
}

// Family returns the name of the selected family of float32 kernels: "avx512",
// "avx2", "neon" or "generic". Results are the same bits wherever it is the
// same.
func Family() string { return active.Load().name }

// Select makes name the family of the float32 calls and of the [Pack] calls
// that begin from now on; "" selects the fastest. Weights keep the family that
// they were packed for, so select before a model is loaded. The error is a
// [*FamilyError], and then the selection is unchanged, or the fastest if there
// was none yet.
func Select(name string) error {
	families := available()
	active.CompareAndSwap(nil, families[0])
	if name == "" {
		active.Store(families[0])
		return nil
	}
	for _, f := range families {
		if f.name == name {
			active.Store(f)
			return nil
		}
	}
	return &FamilyError{Name: name, Available: Families()}
}

// Err returns nil, or the [*FamilyError] that says why the family named by the
// environment variable XAI_KERNEL could not be selected at the start; the
// fastest family is selected then.
func Err() error { return environmentErr }

// FamilyError reports a kernel family that this machine cannot run or that
// does not exist.
type FamilyError struct {
	Name      string   // the family asked for
	Available []string // the families that can be selected
}

func (e *FamilyError) Error() string {
	return fmt.Sprintf("kernel family %q is not available on this machine: choose one of %s", e.Name, strings.Join(e.Available, ", "))
}

// familyOf returns the family that computes in T: float64 is always generic.
func familyOf[T Float]() *family {
	if _, ok := any(T(0)).(float32); ok {
		return active.Load()
	}
	return generic
}
