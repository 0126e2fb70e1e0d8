package tape

import (
	"sync"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/nn"
)

// wideParameters is the number of weights up to which a network in single precision
// passes relevance back in double precision.
const wideParameters = 1 << 24

// Wide is a network in double precision that has the weights of another one.
type Wide struct {
	Network
	// Bytes are what its weights take, without what the way back packs again, and
	// Unpacked returns the bytes of that, as far as they are counted; see [Program].
	Bytes    int64
	Unpacked func() int64
}

// WideBytes returns the bytes that [Widen] would take: 0 where there is nothing to
// widen, because the network computes in double precision itself, keeps its
// weights in 8 bits, or has so many that this would take too long.
func WideBytes(n Network) int64 {
	w, ok := n.(*network[float32])
	if !ok || w.parameters > wideParameters || w.info.DType == arch.INT8 {
		return 0
	}
	const number = 8
	bytes := int64(0)
	for _, v := range w.weights.vectors {
		bytes += number * int64(len(v))
	}
	for _, l := range w.weights.linears {
		out, in := l.Dims()
		bytes += number * int64(out) * int64(in)
	}
	return bytes
}

// Widen returns a network in double precision with the weights of n, of which
// WideBytes says that there is one.
func Widen(n Network) *Wide {
	from := n.(*network[float32])
	w := &weights[float64]{vectors: map[key][]float64{}, linears: map[key]*linear[float64]{}, means: map[key]func() []float64{}}
	for k, v := range from.weights.vectors {
		wide := make([]float64, len(v))
		for i, x := range v {
			wide[i] = float64(x)
		}
		if v == nil {
			wide = nil
		}
		w.vectors[k] = wide
	}
	var own []*linear[float64]
	for k, l := range from.weights.linears {
		wide := newLinear(nn.Widen(l.Linear))
		w.linears[k], own = wide, append(own, wide)
	}
	for _, g := range from.graphs {
		for _, node := range g.Nodes {
			if op, ok := node.Op.(arch.Words); ok {
				table := w.vectors[keyOf(op.Table)]
				w.means[keyOf(op.Table)] = sync.OnceValue(func() []float64 { return meanRow(table, node.Width) })
			}
		}
	}
	network := &network[float64]{info: from.info, weights: w, parameters: from.parameters, graphs: from.graphs}
	return &Wide{Network: network, Bytes: WideBytes(n), Unpacked: func() int64 { return counted(own) }}
}
