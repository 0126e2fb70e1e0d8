package gradient

import (
	"context"
	"math"

	"github.com/xai-go/xai/sdk"
)

// Saliency is the gradient: Simonyan, Vedaldi and Zisserman, "Deep Inside
// Convolutional Networks", 2013, for text Li, Chen, Hovy and Jurafsky,
// "Visualizing and Understanding Neural Models in NLP", NAACL 2016. The zero
// value is ready, and safe for concurrent use.
type Saliency struct{}

// Info implements sdk.Method.
func (Saliency) Info() sdk.Info {
	return sdk.Info{
		Name:    "saliency",
		Version: "1.0.0",
		Summary: "The gradient of the target at each token's embedding",
		Source:  "Simonyan, Vedaldi, Zisserman 2013, arXiv:1312.6034; captum Saliency",
		Needs:   []sdk.Need{sdk.NeedGradients, sdk.NeedActivations},
		Params: common(reduceL2, sdk.Param{
			Name: "abs", Type: sdk.Bool, Default: false, Compat: preset(true),
			Doc: "take the magnitude of each component of the gradient, ahead of reduce",
		}),
	}
}

// Explain implements sdk.Method.
func (Saliency) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	f, err := newField(m, r)
	if err != nil {
		return nil, err
	}
	g, err := f.gradient(ctx)
	if err != nil {
		return nil, err
	}
	s := newResult(r, r.Params.String(paramReduce))
	if s.sizes = r.Params.Bool("abs"); s.sizes {
		for j, v := range g {
			g[j] = math.Abs(v)
		}
	}
	e := s.explanation(g)
	s.cancels(e, g)
	return e, nil
}

// InputXGradient is the input times the gradient: Shrikumar, Greenside,
// Shcherbina and Kundaje, "Not Just a Black Box", 2016. The zero value is ready,
// and safe for concurrent use.
type InputXGradient struct{}

// Info implements sdk.Method.
func (InputXGradient) Info() sdk.Info {
	return sdk.Info{
		Name:    "input-x-gradient",
		Version: "1.0.0",
		Summary: "Each token's embedding times the gradient of the target there",
		Source:  "Shrikumar et al. 2016, arXiv:1605.01713; captum InputXGradient",
		Needs:   []sdk.Need{sdk.NeedGradients, sdk.NeedEmbeddings, sdk.NeedActivations},
		Params:  common(reduceSum),
	}
}

// Explain implements sdk.Method.
func (InputXGradient) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	f, err := newField(m, r)
	if err != nil {
		return nil, err
	}
	g, err := f.read(ctx, true)
	if err != nil {
		return nil, err
	}
	for j, x := range f.values {
		g[j] = float64(g[j] * x)
	}
	return newResult(r, r.Params.String(paramReduce)).explanation(g), nil
}
