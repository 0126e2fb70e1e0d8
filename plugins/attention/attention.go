// Package attention explains a prediction by the attention inside of a
// transformer: its raw weights; attention rollout and attention flow (Abnar and
// Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020); and the
// relevance that gradients and layer-wise relevance propagation give to it
// (Chefer, Gur and Wolf, "Generic Attention-model Explainability", ICCV 2021,
// "Transformer Interpretability Beyond Attention Visualization", CVPR 2021, and
// their relatives).
//
// Every method makes a matrix, query × key: how much what stands at one position
// owes to the token at another one. It returns the matrix as a tensor, and as
// attributions the row that the target is read from, Target.Positions: the
// classifier's token of an encoder, the last token of a causal model. A unit has
// the sum over its tokens. Special and fixed tokens are no units; they stand in
// the matrix alone, and the diagnostic special_share says how much of the row
// they have.
//
// None of these is complete: values do not add up to the target. Nor is
// attention faithful by construction; the card says where it misleads.
package attention

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Methods returns the methods of the family.
func Methods() []sdk.Method { return []sdk.Method{Attention{}, Rollout{}, Flow{}, Chefer{}} }

// Attention gives each unit the attention that the target's position pays to it
// in one layer, or in the mean of all. The zero value is ready, and safe for
// concurrent use.
type Attention struct{}

const (
	paramLayer  = "layer"
	paramLayers = "layers"
	paramHead   = "head"
	paramAll    = "all"

	layersOne  = "one"
	layersMean = "mean"
)

// maxAll bounds the values of a tensor of all layers and heads, which is a result
// of the method's.
const maxAll = 1 << 21

// Info implements sdk.Method.
func (Attention) Info() sdk.Info {
	return sdk.Info{
		Name:    "attention",
		Version: "1.0.0",
		Summary: "The attention that the position of the target pays to each unit",
		Source:  "Vaswani et al. 2017, arXiv:1706.03762; against it as an explanation: Jain, Wallace 2019, arXiv:1902.10186",
		Needs:   []sdk.Need{sdk.NeedForward, sdk.NeedAttentions},
		Params: []sdk.Param{
			layerParam("the layer whose attention is returned; before 0 it counts from the last one"),
			{
				Name: paramLayers, Type: sdk.Enum, Default: layersOne, Values: []string{layersOne, layersMean},
				Doc: "one: that of layer; mean: the mean over all layers",
			},
			{
				Name: paramHead, Type: sdk.Int, Default: int64(-1), Min: sdk.Bound(-1), Max: sdk.Bound(maxHeads),
				Doc: "the head whose attention is returned; -1 fuses all heads",
			},
			fusionParam(),
			{
				Name: paramAll, Type: sdk.Bool, Default: false,
				Doc: "return the attention of every layer and head too, as the tensor attentions",
			},
			positionParam(),
		},
	}
}

// Explain implements sdk.Method. The tensor attention is the matrix, entropy is
// that of each row of what was read, in nats, [layer, head, query].
func (Attention) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := newSource(m, r)
	if err != nil {
		return nil, err
	}
	head, mean, all := r.Params.Int(paramHead), r.Params.String(paramLayers) == layersMean, r.Params.Bool(paramAll)
	wanted := r.Params.Int(paramLayer)
	switch {
	case mean && wanted != -1:
		return nil, invalid("layers=mean takes all layers and layer names one: leave one of them out")
	case head != -1 && r.Params.String(paramFusion) != fusionMean:
		return nil, invalid("fusion=" + r.Params.String(paramFusion) + " has no effect with head=" + strconv.Itoa(head) + ": leave one of them out")
	}
	at, err := s.layer(wanted)
	if err != nil {
		return nil, err
	}
	every := mean || all
	if all {
		if err := s.bounded(paramAll, s.layers*m.Info().Heads); err != nil {
			return nil, err
		}
	}
	var matrix, entropies []float64
	var list stack
	read := 0
	visit := func(l *layer) error {
		if head >= l.heads {
			return invalid("head=" + strconv.Itoa(head) + " is none of the model, which has " + strconv.Itoa(l.heads) + ": use 0 to " + strconv.Itoa(l.heads-1))
		}
		read++
		own := make([]float64, s.n*s.n)
		if head >= 0 {
			l.pattern(head, own)
		} else {
			l.fuse(r.Params.String(paramFusion), own)
		}
		entropies = append(entropies, l.entropies()...)
		if all {
			list.add(l.a)
		}
		if mean {
			if matrix == nil {
				matrix = make([]float64, s.n*s.n)
			}
			for i, v := range own {
				matrix[i] += v
			}
		} else if l.index == at {
			matrix = own
		}
		return nil
	}
	if every {
		err = s.every(ctx, nil, visit)
	} else {
		err = s.one(ctx, nil, at, visit)
	}
	if err != nil {
		return nil, err
	}
	if mean {
		for i := range matrix {
			matrix[i] /= float64(read)
		}
	}
	e := s.sizes(s.row(matrix))
	e.Tensors = append(e.Tensors, square("attention", matrix, s.n))
	e.Tensors = append(e.Tensors, tensor("entropy", entropies, []string{"layer", "head", "query"}, read, s.heads, s.n))
	if all {
		e.Tensors = append(e.Tensors, list.tensor("attentions", read, s.heads, s.n))
	}
	return e, nil
}
