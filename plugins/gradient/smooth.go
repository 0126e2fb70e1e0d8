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
type SmoothGrad struct{}

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
func (SmoothGrad) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := newSmoothing(ctx, model, r)
	if err != nil {
		return nil, err
	}
	return s.explain(ctx)
}

// smoothing is the sample of noisy copies, and what it is drawn with.
type smoothing struct {
	*field
	estimate *samples
	most     int // samples
	variant  string
	random   *num.Rand
	noise    func(i int, row []float64) // writes the input with noise: of a block of samples, sample i
}

// newSmoothing reads the input of a request.
func newSmoothing(ctx context.Context, model sdk.Model, r *sdk.Request) (*smoothing, error) {
	p := r.Params
	if err := drawsAtOnce(p); err != nil {
		return nil, err
	}
	if p.Int("num_samples") < 2 && p.String("variant") == smoothVar && p.String(paramCompat) != captum {
		return nil, invalid("variant=vargrad takes the variance between samples: use num_samples=2 or more")
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
	s := &smoothing{field: f, most: n, variant: p.String("variant"), random: num.NewRand(r.Rand)}
	deviation := f.deviation()
	s.noise = func(_ int, row []float64) { f.noisy(row, s.random, deviation) }
	how := p.String(paramReduce)
	switch {
	case how != reduceAuto:
	case s.variant == smoothMean:
		how = reduceL2
	default:
		how = reduceSum
	}
	s.estimate = newSamples(newResult(r, how), s.variant, n, f.size(), 1)
	s.estimate.positive, s.estimate.biased = p.Bool("abs"), p.String(paramCompat) == captum
	s.estimate.result.sizes = s.estimate.positive || s.variant != smoothMean
	f.total = n
	return s, nil
}

// explain takes the sample.
func (s *smoothing) explain(ctx context.Context) (*sdk.Explanation, error) {
	e := s.estimate
	var x *sdk.Explanation
	err := rounds(s.most, s.request.Params.Float(game.ParamMaxStderr), func(until int) (largest float64, err error) {
		err = s.walk(ctx, until-e.n, s.noise, func(_ int, gradient []float64) {
			if e.positive {
				for j, v := range gradient {
					gradient[j] = math.Abs(v)
				}
			}
			e.add(gradient)
		})
		if err == nil {
			err = s.random.Err()
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
	if s.variant == smoothMean {
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
