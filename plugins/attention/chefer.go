package attention

import (
	"context"
	"math"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Chefer weighs attention by its gradient: with A the attention of a layer, ∇A the
// gradient of the target at it, and E = A ⊙ ∇A,
//
//	generic               R ← R + mean_h(max(E, 0))·R, from R = I, up through the layers
//	grad-rollout          R ← Ĉ·R, Ĉ = rows of (mean_h(max(E, 0)) + I) over their sums
//	attn-gradcam          max(mean_h(A·mean(∇A)), 0) of one layer
//	attention-x-gradient  mean_h(max(E, 0)) of one layer
//
// Chefer, Gur and Wolf, ICCV 2021, and what their papers compare it with. The zero
// value is ready, and safe for concurrent use.
type Chefer struct{}

const (
	paramVariant = "variant"

	variantGeneric = "generic"
	variantRollout = "grad-rollout"
	variantCAM     = "attn-gradcam"
	variantProduct = "attention-x-gradient"
)

// Info implements sdk.Method.
func (Chefer) Info() sdk.Info {
	return sdk.Info{
		Name:    "chefer",
		Version: "1.0.0",
		Summary: "Attention weighed by the target's gradient at it, gathered through the layers",
		Source:  "Chefer, Gur, Wolf 2021, arXiv:2103.15679; hila-chefer/Transformer-MM-Explainability",
		Needs:   []sdk.Need{sdk.NeedGradients, sdk.NeedAttentions},
		Params: []sdk.Param{
			{
				Name: paramVariant, Aliases: []string{"rule"}, Type: sdk.Enum, Default: variantGeneric,
				Values: []string{variantGeneric, variantRollout, variantCAM, variantProduct},
				Doc:    "generic: the relevance of the ICCV 2021 paper; grad-rollout: a rollout of the same weights; attn-gradcam and attention-x-gradient: of one layer alone",
			},
			startParam(),
			layerParam("of attn-gradcam and attention-x-gradient: the layer; before 0 it counts from the last one"),
			{
				Name: paramSteps, Type: sdk.Bool, Default: false,
				Doc: "of generic and grad-rollout: return the matrix after every layer too, as the tensor relevance_steps",
			},
			{
				Name: paramAll, Type: sdk.Bool, Default: false,
				Doc: "return attention times gradient of every layer and head too, as the tensor attention_x_gradient",
			},
			positionParam(),
		},
	}
}

// Explain implements sdk.Method. The tensor relevance is the matrix, and
// head_importance |ΣA ⊙ ∇A| of each head, [layer, head]: Michel, Levy and Neubig,
// "Are Sixteen Heads Really Better than One?", NeurIPS 2019.
func (Chefer) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := newSource(m, r)
	if err != nil {
		return nil, err
	}
	variant, start, wanted := r.Params.String(paramVariant), r.Params.Int(paramStart), r.Params.Int(paramLayer)
	steps, all := r.Params.Bool(paramSteps), r.Params.Bool(paramAll)
	through := variant == variantGeneric || variant == variantRollout
	switch {
	case through && wanted != -1:
		return nil, invalid("layer has no effect with variant=" + variant + ", which goes through all layers: use start_layer")
	case !through && (start != 0 || steps):
		return nil, invalid("start_layer and steps have no effect with variant=" + variant + ", which is of one layer: use layer")
	}
	w := &weighing{n: s.n, variant: variant, relevance: identity(s.n)}
	var importance, history, products []float64
	layers := 0
	one := picked{layer: wanted}
	err = s.every(ctx, true, func(l *layer) error {
		layers++
		if all && len(products)+l.heads*s.n*s.n > maxAll {
			return invalid("all=true returns more than " + strconv.Itoa(maxAll) + " values: leave it out, or give a shorter text")
		}
		weight := w.weigh(l, func(product []float64) {
			size := 0.0
			for _, v := range product {
				size += v
			}
			importance = append(importance, math.Abs(size))
			if all {
				products = append(products, product...)
			}
		})
		if !through {
			one.offer(weight)
			return nil
		}
		if layers <= start {
			return nil
		}
		w.add(weight)
		if steps {
			if len(history)+s.n*s.n > maxAll {
				return invalid("steps=true returns more than " + strconv.Itoa(maxAll) + " values: leave it out, or give a shorter text")
			}
			history = append(history, w.relevance...)
		}
		return nil
	})
	if err == nil && through && start >= layers {
		err = tooLate(start, layers)
	}
	if err != nil {
		return nil, err
	}
	matrix := w.relevance
	if !through {
		if matrix, err = one.matrix(); err != nil {
			return nil, err
		}
	}
	row := s.row(matrix)
	if variant == variantGeneric { // less the identity from which it started
		for _, at := range s.positions {
			row[at] -= 1 / float64(len(s.positions))
		}
	}
	e := s.explanation(row)
	e.Tensors = append(e.Tensors,
		square("relevance", matrix, s.n),
		tensor("head_importance", importance, []string{"layer", "head"}, layers, s.heads))
	if steps {
		e.Tensors = append(e.Tensors, tensor("relevance_steps", history, []string{"layer", "query", "key"}, layers-start, s.n, s.n))
	}
	if all {
		e.Tensors = append(e.Tensors, tensor("attention_x_gradient", products, []string{"layer", "head", "query", "key"}, layers, s.heads, s.n, s.n))
	}
	return e, nil
}

// weighing gathers the relevance of layers.
type weighing struct {
	n         int
	variant   string
	relevance []float64
}

// weigh returns what the variant makes of a layer: one matrix of all heads. each
// gets A ⊙ ∇A of every head.
func (w *weighing) weigh(l *layer, each func(product []float64)) []float64 {
	out := make([]float64, w.n*w.n)
	a, g := make([]float64, len(out)), make([]float64, len(out))
	for h := range l.heads {
		l.pattern(h, a)
		l.read(l.gradient, h, 0, g)
		if w.variant == variantCAM {
			mean := 0.0
			for _, v := range g {
				mean += v
			}
			mean /= float64(len(g))
			for i, v := range a {
				out[i] += float64(v * mean)
			}
		}
		for i, v := range a {
			g[i] = float64(v * g[i])
			if w.variant != variantCAM {
				out[i] += max(g[i], 0)
			}
		}
		each(g)
	}
	for i := range out {
		out[i] = max(out[i]/float64(l.heads), 0)
	}
	return out
}

// add takes a layer's matrix into the relevance.
func (w *weighing) add(weight []float64) {
	if w.variant == variantRollout {
		rolling{n: w.n, residual: true, normalise: true}.augment(weight)
		w.relevance = multiply(weight, w.relevance, w.n)
		return
	}
	more := multiply(weight, w.relevance, w.n)
	for i, v := range w.relevance {
		more[i] += v
	}
	w.relevance = more
}
