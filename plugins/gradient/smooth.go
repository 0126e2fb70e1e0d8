package gradient

import (
	"context"
	"math"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// SmoothGrad averages the gradient over noisy copies of the input: Smilkov, Thorat,
// Kim, Viégas and Wattenberg, "SmoothGrad: removing noise by adding noise", 2017;
// the mean of its squares and its variance are those of Hooker et al., "A Benchmark
// for Interpretability Methods in Deep Neural Networks", NeurIPS 2019, and Adebayo
// et al., "Local Explanation Methods for Deep Neural Networks Lack Sensitivity to
// Parameter Values", 2018. The zero value is ready, and safe for concurrent use.
type SmoothGrad struct {
	noise [][]float64 // of each sample, in tests
}

// Info implements sdk.Method.
func (SmoothGrad) Info() sdk.Info {
	own := []sdk.Param{
		{
			Name: "variant", Aliases: []string{"nt_type"}, Type: sdk.Enum, Default: smoothMean, Values: []string{smoothMean, smoothSquare, smoothVar},
			Doc: "of the gradients of the samples: their mean, the mean of their squares, or their variance",
		},
		{
			Name: "abs", Type: sdk.Bool, Default: false, Compat: preset(true),
			Doc: "take the magnitude of each component of each sample's gradient",
		},
	}
	own = append(own, sampling(usualSmooth, 5)...)
	own = append(own, noiseParams(0.15, 1)...)
	return sdk.Info{
		Name:    "smoothgrad",
		Version: "1.0.0",
		Summary: "The mean gradient, its mean square or its variance, near the input",
		Source:  "Smilkov et al. 2017, arXiv:1706.03825; captum NoiseTunnel of Saliency",
		Needs:   []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedEmbeddings, sdk.NeedActivations, sdk.NeedPatch},
		Params:  common(reduceAuto, own...),
	}
}

// Explain implements sdk.Method.
func (m SmoothGrad) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	p := r.Params
	if err := drawsAtOnce(p); err != nil {
		return nil, err
	}
	f, err := newField(model, r)
	if err != nil {
		return nil, err
	}
	n := f.samples(usualSmooth, 1)
	if err := f.checkSamples(n); err != nil {
		return nil, err
	}
	if _, err := f.read(ctx, false); err != nil {
		return nil, err
	}
	random, deviation := num.NewRand(r.Rand), f.deviation()
	how, variant := p.String(paramReduce), p.String("variant")
	switch {
	case how != reduceAuto:
	case variant == smoothMean:
		how = reduceL2
	default:
		how = reduceSum
	}
	e := newSamples(newResult(r, how), variant, n, f.size(), 1)
	e.positive, e.biased = p.Bool("abs"), p.String(paramCompat) == captum
	e.result.sizes = e.positive || variant != smoothMean
	f.total = n
	var x *sdk.Explanation
	err = rounds(n, p.Float(game.ParamMaxStderr), func(until int) (largest float64, err error) {
		err = f.walk(ctx, until-e.n, func(i int, row []float64) {
			if m.noise == nil {
				f.noisy(row, random, deviation)
				return
			}
			for j, v := range m.noise[i] {
				row[j] = f.values[j] + v
			}
		}, func(_ int, gradient []float64) {
			if e.positive {
				for j, v := range gradient {
					gradient[j] = math.Abs(v)
				}
			}
			e.add(gradient)
		})
		if err == nil {
			err = random.Err()
		}
		if err != nil {
			return 0, err
		}
		x, largest = e.explanation()
		return largest, nil
	})
	if err != nil {
		return nil, err
	}
	if err := e.diagnose(ctx, x); err != nil {
		return nil, err
	}
	if variant == smoothMean {
		e.result.cancels(x, e.values(-1))
	}
	diagnose(x, "samples", float64(e.n))
	return x, nil
}

// usualSmooth is the default of num_samples.
const usualSmooth = 50

// drawsAtOnce refuses max_stderr beside the reference, which stops at no precision.
func drawsAtOnce(p sdk.Params) error {
	if p.String(paramCompat) != captum || p.Float(game.ParamMaxStderr) == 0 {
		return nil
	}
	return invalid("max_stderr needs compat=none: the reference draws its whole sample at once")
}

// samples returns num_samples, of which each are a draw, or more where that is usual,
// the default, and max_stderr is given.
func (f *field) samples(usual, each int) int {
	n := f.request.Params.Int("num_samples")
	if n == usual {
		n = game.Most(f.request.Params, usual, min(maxSamples, each*(maxDraws/f.tokens)))
	}
	return n
}

// checkSamples refuses more samples than memory holds.
func (f *field) checkSamples(n int) error {
	if n*f.tokens > maxDraws {
		return invalid("num_samples=" + strconv.Itoa(n) + " is too many for " + strconv.Itoa(f.tokens) + " tokens: use at most " + strconv.Itoa(maxDraws/f.tokens))
	}
	return nil
}
