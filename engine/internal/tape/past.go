package tape

import (
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/result"
)

// Past is what the tokens of a sequence leave behind for those that follow in a
// causal model: their keys and values, layer by layer. The zero value is that of
// no token.
type Past struct {
	Length int // tokens
	layers []layerPast
}

// layerPast is the keys and values of one attention, [Length, width].
type layerPast struct{ keys, values result.Tensor }

// Bytes returns the size of the keys and values.
func (p *Past) Bytes() int64 {
	n := int64(0)
	for _, l := range p.layers {
		for _, t := range []result.Tensor{l.keys, l.values} {
			n += 4*int64(len(t.F32)) + 8*int64(len(t.F64))
		}
	}
	return n
}

// Fork returns a copy that can be continued by itself.
func (p *Past) Fork() *Past {
	c := &Past{Length: p.Length}
	for _, l := range p.layers {
		c.layers = append(c.layers, layerPast{cut(l.keys), cut(l.values)})
	}
	return c
}

// cut returns a tensor whose values are copied when others are appended.
func cut(t result.Tensor) result.Tensor {
	t.F32, t.F64 = t.F32[:len(t.F32):len(t.F32)], t.F64[:len(t.F64):len(t.F64)]
	return t
}

// past returns what was kept of the tokens before sequence i, or nil.
func (b Batch) past(i int) *Past {
	if b.Past == nil {
		return nil
	}
	return b.Past[b.Sequence(i)]
}

// keep adds the keys and values of the batch to what is kept for later.
func (a *attention[T]) keep(r *Runner[T], in []int) {
	if r.batch.Keep == nil {
		return
	}
	for seq := range r.batch.Sequences() {
		to := r.batch.Keep[r.batch.Sequence(seq)]
		if to == nil {
			continue
		}
		if past := r.batch.past(seq); a.layer == 0 && past != to {
			*to = Past{}
			if past != nil {
				*to = *past.Fork()
			}
		}
		for len(to.layers) <= a.layer {
			to.layers = append(to.layers, layerPast{})
		}
		lo, hi := r.sets[a.keys].starts[seq], r.sets[a.keys].starts[seq+1]
		l := &to.layers[a.layer]
		extend(&l.keys, r.span(in[1], lo, hi))
		extend(&l.values, r.span(in[2], lo, hi))
		if a.layer == a.last {
			to.Length += hi - lo
		}
	}
}

// extend appends values to a tensor.
func extend[T kernel.Float](t *result.Tensor, x []T) {
	if x, ok := any(x).([]float32); ok {
		t.F32 = append(t.F32, x...)
		return
	}
	t.F64 = append(t.F64, any(x).([]float64)...)
}

// values returns the values of a tensor whose format is T.
func values[T float32 | float64](t result.Tensor) []T {
	switch any(T(0)).(type) {
	case float32:
		return any(t.F32).([]T)
	default:
		return any(t.F64).([]T)
	}
}
