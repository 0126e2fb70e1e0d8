package tape

import (
	"context"
	"fmt"
	"sync"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
)

// weights are the tensors that the graphs of a model name, each loaded once.
// They are immutable but for the transposed matrices, which are packed when a
// gradient first needs them.
type weights[T kernel.Float] struct {
	vectors map[string][]T
	linears map[string]*linear[T]
}

// linear is a linear layer with the way back through it.
type linear[T kernel.Float] struct {
	*nn.Linear[T]
	once sync.Once
	back *nn.Linear[T] // dx = dy·W
}

// backward returns the layer dx = dy·W.
func (l *linear[T]) backward() *nn.Linear[T] {
	l.once.Do(func() { l.back = l.Linear.Transposed() })
	return l.back
}

// key tells weights apart.
func key(w arch.Weight) string { return fmt.Sprintf("%s[%d:%d]%t", w.Name, w.Lo, w.Hi, w.Transposed) }

// load reads everything that the graphs name.
func load[T kernel.Float](ctx context.Context, c *checkpoint.Checkpoint, a *arch.Architecture, graphs []*arch.Graph) (*weights[T], int64, error) {
	w := &weights[T]{vectors: map[string][]T{}, linears: map[string]*linear[T]{}}
	l := &loader[T]{Loader: checkpoint.NewLoader[T](ctx, c, a.Prefix), stored: map[string][]T{}}
	for _, g := range graphs {
		for _, n := range g.Nodes {
			switch op := n.Op.(type) {
			case arch.Words:
				w.vector(l, op.Table)
			case arch.Embed:
				w.vector(l, op.Table)
			case arch.Repeat:
				w.vector(l, op.Row)
			case arch.Norm:
				w.vector(l, op.Gamma)
				w.vector(l, op.Beta)
			case arch.Attention:
				if r := op.Relative; r != nil {
					for _, v := range []arch.Weight{r.Content, r.Position, r.Segment, r.Segments} {
						w.vector(l, v)
					}
				}
			case arch.Linear:
				w.linear(l, op.Projection)
			}
			if err := l.Err(); err != nil {
				return nil, 0, err
			}
		}
	}
	return w, l.Parameters(), nil
}

// loader reads tensors, and keeps those that several weights are parts of as
// long as it lives.
type loader[T kernel.Float] struct {
	*checkpoint.Loader[T]
	stored map[string][]T
}

// tensor returns the stored values of a weight.
func (l *loader[T]) tensor(w arch.Weight) []T {
	name := w.Name
	for _, other := range w.Or {
		if l.Has(name) {
			break
		}
		name = other
	}
	if w.Optional && !l.Has(name) {
		return nil
	}
	if values, ok := l.stored[name]; ok {
		return values
	}
	values := l.Tensor(name, w.Shape...)
	if w.Hi > 0 || name != w.Name { // part of a whole, or tied
		clear(l.stored) // the parts of a tensor follow each other
		l.stored[name] = values
	}
	return values
}

// vector loads a tensor that is used as it is stored.
func (w *weights[T]) vector(l *loader[T], of arch.Weight) {
	if !of.Given() || w.vectors[key(of)] != nil {
		return
	}
	values := l.tensor(of)
	if values != nil && of.Hi > 0 {
		values = values[of.Lo:of.Hi]
	}
	w.vectors[key(of)] = values
}

// linear loads and packs a linear layer.
func (w *weights[T]) linear(l *loader[T], p arch.Projection) {
	if w.linears[key(p.W)] != nil {
		return
	}
	values := l.tensor(p.W)
	var bias []T
	if p.Bias.Given() {
		w.vector(l, p.Bias)
		bias = w.vectors[key(p.Bias)]
	}
	if l.Err() != nil {
		return
	}
	out, in := p.W.Dims()
	if p.W.Transposed {
		stored := out
		if p.W.Hi > 0 {
			stored = p.W.Elements() / in
		}
		straight := make([]T, out*in)
		for o := range out {
			for i := range in {
				straight[o*in+i] = values[i*stored+p.W.Lo+o]
			}
		}
		values = straight
	}
	w.linears[key(p.W)] = &linear[T]{Linear: nn.NewLinear(out, in, values, bias)}
}
