package gradient

import (
	"math"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// The scales of noise.
const (
	noiseRelative = "relative"
	noiseAbsolute = "absolute"
)

// noiseParams declares the parameters of noise, with the default of its width, and that
// of compat=captum where it is another.
func noiseParams(stdevs, compat float64) []sdk.Param {
	width := sdk.Param{
		Name: "stdevs", Aliases: []string{"stdev", "sigma"}, Type: sdk.Float, Default: stdevs, Min: sdk.Bound(0), Max: sdk.Bound(1e6),
		Doc: "the standard deviation of the Gaussian noise that is added to the embeddings",
	}
	if compat != stdevs {
		width.Compat = preset(compat)
	}
	return []sdk.Param{
		width,
		{
			Name: "noise", Type: sdk.Enum, Default: noiseRelative, Values: []string{noiseRelative, noiseAbsolute}, Compat: preset(noiseAbsolute),
			Doc: "what stdevs is measured by: relative is the range of the embeddings, from the least component to the largest; absolute is 1",
		},
	}
}

// changed reports whether a token is changed.
func (f *field) changed(i int) bool {
	t := f.request.Tokens[i]
	return !t.Fixed && (!t.Special || f.request.Params.String(paramSpecial) == "replace")
}

// deviation returns the standard deviation of the noise.
func (f *field) deviation() float64 {
	stdevs := f.request.Params.Float("stdevs")
	if stdevs == 0 || f.request.Params.String("noise") == noiseAbsolute {
		return stdevs
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i := range f.tokens {
		if f.changed(i) {
			for _, v := range f.values[i*f.width : (i+1)*f.width] {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low > high {
		return 0
	}
	return float64(stdevs * (high - low))
}

// noisy writes the field's values with noise on all tokens that are changed.
func (f *field) noisy(dst []float64, random *num.Rand, deviation float64) {
	copy(dst, f.values)
	for i := range f.tokens {
		if f.changed(i) {
			for j := i * f.width; j < (i+1)*f.width; j++ {
				dst[j] += float64(deviation * random.NormFloat64())
			}
		}
	}
}

// sampling declares the parameters of the number of samples.
func sampling(n, compat int64) []sdk.Param {
	return []sdk.Param{
		{
			Name: "num_samples", Aliases: []string{"nsamples", "n_samples", "nt_samples"}, Type: sdk.Int, Default: n, Min: sdk.Bound(1), Max: sdk.Bound(maxSamples), Compat: preset(compat),
			Doc: "random samples, each a gradient",
		},
		game.MaxStderr("num_samples"),
	}
}
