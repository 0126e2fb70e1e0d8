package tape

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/checkpoint/stored"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
)

// weights are the tensors that the graphs of a model name, each loaded once.
// They are immutable but for what is made when it is first needed: the
// transposed matrices of gradients, and the means of tables of words.
type weights[T kernel.Float] struct {
	vectors map[key][]T
	linears map[key]*linear[T]
	means   map[key]func() []T // of the rows of each table of words
}

// linear is a linear layer with the ways back through it.
type linear[T kernel.Float] struct {
	*nn.Linear[T]
	back derived[T] // dx = dy·W
	// With the signs of W apart, z = [x⁺ ‖ x⁻]·[W⁺ ‖ W⁻]ᵀ, and the way back
	// through that.
	signed, signedBack derived[T]
}

func newLinear[T kernel.Float](layer *nn.Linear[T]) *linear[T] {
	l := &linear[T]{Linear: layer}
	l.back = derived[T]{make: layer.Transposed, bytes: layer.Bytes()}
	l.signed = derived[T]{make: layer.Signed, bytes: 2 * layer.Bytes()}
	l.signedBack = derived[T]{make: func() *nn.Linear[T] { return l.signed.get().Transposed() }, bytes: 2 * layer.Bytes()}
	return l
}

// derived is a layer that is made of another one's weights when it is first
// needed.
type derived[T kernel.Float] struct {
	make  func() *nn.Linear[T]
	bytes int64
	once  sync.Once
	layer *nn.Linear[T]
	// counted tells that its memory is accounted for; see [Program].
	counted bool
}

func (d *derived[T]) get() *nn.Linear[T] {
	d.once.Do(func() { d.layer = d.make() })
	return d.layer
}

// meanRow returns the mean of the rows of a table, [rows, width], summed in
// double precision from the first row to the last.
func meanRow[T kernel.Float](table []T, width int) []T {
	sum := make([]float64, width)
	for row := range slices.Chunk(table, width) {
		for j, v := range row {
			sum[j] += float64(v)
		}
	}
	mean := make([]T, width)
	for j, v := range sum {
		mean[j] = T(v / float64(len(table)/width))
	}
	return mean
}

// key tells weights apart.
type key struct {
	name       string
	lo, hi     int
	transposed bool
}

func keyOf(w arch.Weight) key { return key{w.Name, w.Lo, w.Hi, w.Transposed} }

// named calls f for every weight that the graphs name, each once: for those of
// linear layers with matrix set. What is read of one tensor, such as the table
// of words and the unembedding that is tied to it, follows each other.
func named(graphs []*arch.Graph, f func(w arch.Weight, matrix bool)) {
	type reading struct {
		w      arch.Weight
		matrix bool
	}
	var tensors []string
	readings := map[string][]reading{}
	type entry struct {
		key
		matrix bool
	}
	seen := map[entry]bool{}
	for _, g := range graphs {
		for w, matrix := range g.Weights() {
			if seen[entry{keyOf(w), matrix}] {
				continue
			}
			seen[entry{keyOf(w), matrix}] = true
			if readings[w.Name] == nil {
				tensors = append(tensors, w.Name)
			}
			readings[w.Name] = append(readings[w.Name], reading{w, matrix})
		}
	}
	for _, name := range tensors {
		for _, r := range readings[name] {
			f(r.w, r.matrix)
		}
	}
}

// Need returns the bytes that the weights of an architecture take once they are
// loaded. It reads no weight.
func Need(c *checkpoint.Checkpoint, a *arch.Architecture, dtype arch.DType) int64 {
	n := int64(0)
	integers := integers(a, dtype)
	named(graphs(a), func(w arch.Weight, matrix bool) {
		out, in := w.Dims()
		size := dtype.Size()
		switch {
		case matrix && integers[keyOf(w)]:
			size = 1
			n += 8 * int64(out) // scales and sums
		case matrix && halves(c, a.Prefix, w, dtype):
			size = 2
		}
		n += int64(out) * int64(in) * size
	})
	return n
}

// integers returns the keys of the matrices that are kept in 8 bits where that
// is asked for: those of the blocks. What comes behind them reads few rows, and
// its errors would reach the logits as they are.
func integers(a *arch.Architecture, dtype arch.DType) map[key]bool {
	if dtype != arch.INT8 {
		return nil
	}
	keys := map[key]bool{}
	for _, g := range graphs(a) {
		for _, n := range g.Nodes {
			if op, ok := n.Op.(arch.Linear); ok && n.Block >= 0 && n.Block < a.Info.Layers {
				_, in := op.W.Dims()
				keys[keyOf(op.W)] = in <= kernel.Int8Depth
			}
		}
	}
	return keys
}

// halves tells whether a matrix is kept in 16 bits: where it is stored so, or
// rounding to them is asked for.
func halves(c *checkpoint.Checkpoint, prefix string, w arch.Weight, dtype arch.DType) bool {
	return dtype == arch.BF16 || dtype != arch.F64 && stored16(c, prefix, w)
}

// stored16 tells whether a weight is stored in 16 bits.
func stored16(c *checkpoint.Checkpoint, prefix string, w arch.Weight) bool {
	for _, name := range append([]string{w.Name}, w.Or...) {
		if info, ok := c.Tensor(prefix, name); ok {
			return info.DType == stored.BF16 || info.DType == stored.F16
		}
	}
	return false
}

// load reads everything that the graphs name.
func load[T kernel.Float](ctx context.Context, c *checkpoint.Checkpoint, a *arch.Architecture, dtype arch.DType) (*weights[T], int64, error) {
	w := &weights[T]{vectors: map[key][]T{}, linears: map[key]*linear[T]{}, means: map[key]func() []T{}}
	l := &loader[T]{Loader: checkpoint.NewLoader[T](ctx, c, a.Prefix)}
	integers := integers(a, dtype)
	named(graphs(a), func(of arch.Weight, matrix bool) {
		switch {
		case l.Err() != nil:
		case matrix && integers[keyOf(of)]:
			w.integers(l, of)
		case matrix:
			w.linear(l, of, halves(c, a.Prefix, of, dtype), stored16(c, a.Prefix, of))
		default:
			w.vector(l, of)
		}
	})
	for _, g := range graphs(a) {
		for _, n := range g.Nodes {
			if op, ok := n.Op.(arch.Words); ok && w.means[keyOf(op.Table)] == nil {
				table := w.vectors[keyOf(op.Table)]
				w.means[keyOf(op.Table)] = sync.OnceValue(func() []T { return meanRow(table, n.Width) })
			}
		}
	}
	return w, l.Parameters(), l.Err()
}

// loader reads tensors, and keeps the one that was read last, because [named]
// lets the parts of a tensor follow each other.
type loader[T kernel.Float] struct {
	*checkpoint.Loader[T]
	name   string
	values []T
	bits   []uint16
	format stored.DType
}

// read reads the tensor of a weight: into l.bits where it is stored in 16 bits
// and these can stay so, else into l.values. It tells whether there is one.
func (l *loader[T]) read(w arch.Weight, keep bool) bool {
	name := l.First(w.Name, w.Or...)
	if w.Optional && !l.Has(name) {
		return false
	}
	if l.name == name && (l.bits != nil) == keep {
		return true
	}
	l.name, l.values, l.bits = name, nil, nil
	if keep {
		l.bits, l.format = l.Bits(name, w.Shape...)
	} else {
		l.values = l.Tensor(name, w.Shape...)
	}
	return l.Err() == nil
}

// vector loads a tensor that is used as it is stored.
func (w *weights[T]) vector(l *loader[T], of arch.Weight) {
	if !l.read(of, false) {
		return
	}
	values := l.values
	if of.Hi > 0 {
		values = values[of.Lo:of.Hi]
	}
	w.vectors[keyOf(of)] = values
}

// linear loads and packs the matrix of linear layers; with half in 16 bits, and
// with kept in those that are stored.
func (w *weights[T]) linear(l *loader[T], of arch.Weight, half, kept bool) {
	if !l.read(of, half && kept) {
		return
	}
	out, in := of.Dims()
	var packed any
	switch {
	case half && kept:
		format := kernel.BF16
		if l.format == stored.F16 {
			format = kernel.F16
		}
		packed = kernel.Pack16(out, in, straight(l.bits, of), format)
	case half:
		values := straight(l.values, of)
		bits := make([]uint16, len(values))
		for i, v := range values {
			bits[i] = brainFloat(float32(v))
		}
		packed = kernel.Pack16(out, in, bits, kernel.BF16)
	default:
		packed = kernel.Pack(out, in, straight(l.values, of))
	}
	w.linears[keyOf(of)] = newLinear(nn.FromWeights(packed.(*kernel.Weights[T]), nil))
}

// integers loads the matrix of linear layers and packs it in 8 bits.
func (w *weights[T]) integers(l *loader[T], of arch.Weight) {
	if !l.read(of, false) {
		return
	}
	out, in := of.Dims()
	packed := kernel.PackInt8(out, in, any(straight(l.values, of)).([]float32))
	w.linears[keyOf(of)] = newLinear(nn.FromWeights(any(packed).(*kernel.Weights[T]), nil))
}

// brainFloat returns the bfloat16 nearest to a finite number, ties to even.
func brainFloat(v float32) uint16 {
	bits := math.Float32bits(v)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// straight returns the matrix of a weight, [out, in], from its stored values.
func straight[E any](values []E, w arch.Weight) []E {
	out, in := w.Dims()
	if !w.Transposed {
		return values[w.Lo*in:][:out*in]
	}
	width := len(values) / in
	matrix := make([]E, out*in)
	const block = 32 // rows and columns that stay in the cache together
	for o0 := 0; o0 < out; o0 += block {
		for i0 := 0; i0 < in; i0 += block {
			for o := o0; o < min(o0+block, out); o++ {
				for i := i0; i < min(i0+block, in); i++ {
					matrix[o*in+i] = values[i*width+w.Lo+o]
				}
			}
		}
	}
	return matrix
}
