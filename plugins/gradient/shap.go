package gradient

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// GradientSHAP is the mean of integrated gradients over several baselines, its
// integral estimated at random places: expected gradients, Erion, Janizek,
// Sturmfels, Lundberg and Lee, "Improving performance of deep learning models with
// axiomatic attribution priors and expected gradients", Nature Machine Intelligence
// 3, 2021. The zero value is ready, and safe for concurrent use.
type GradientSHAP struct{}

// usualPaths is the default of num_samples.
const usualPaths = 100

// Info implements sdk.Method.
func (GradientSHAP) Info() sdk.Info {
	own := sampling(usualPaths, 5)
	own = append(own, sdk.Param{
		Name: paramBaseline, Aliases: []string{"baselines"}, Type: sdk.String, Default: baseAuto,
		Doc: "what paths come from, names separated by commas of which samples take one after the other: zero (or 0), pad, mask, average, token, text, or vocabulary for other random tokens in every sample; auto is text and token where they are given, else zero (but on XLNet), average and, where the tokenizer has one, mask, and under compat=captum zero alone",
	})
	own = append(own, baselineParams("the texts of baseline=text, one a line: their tokens take the places of the input's, of which those that are left are padded; one of a single token stands at every position")...)
	own = append(own, noiseParams(0, 0)...)
	own = append(own, multiply())
	return sdk.Info{
		Name:    "gradient-shap",
		Version: "1.0.0",
		Summary: "Integrated gradients over several baselines, estimated from samples",
		Source:  "Erion et al. 2021, arXiv:1906.10670; captum GradientShap, shap GradientExplainer",
		Needs:   []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedEmbeddings, sdk.NeedActivations, sdk.NeedPatch},
		Params:  common(reduceSum, own...),
	}
}

// Explain implements sdk.Method. A sample is the gradient at a random place α
// between a baseline and the input, times what lies between them; unless the
// reference is replayed, it is the mean of that and of the one at 1−α, in which
// what is linear in α cancels. Their mean is estimated for each baseline by
// itself, the baselines taking turns. With multiply=false a sample is the gradient
// alone.
func (GradientSHAP) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	w, err := newPaths(ctx, model, r)
	if err != nil {
		return nil, err
	}
	return w.explain(ctx)
}

// paths are the samples, and what they are drawn with.
type paths struct {
	*field
	estimate  *samples
	most      int // samples
	each      int // rows of a sample
	bases     []baseline
	draw      int             // the baseline that is drawn anew for each sample, −1 for none
	base      func(k int) int // of sample k
	place     func(k int) float64
	random    *num.Rand
	words     *num.MT19937 // a stream of their own, so that nothing depends on how many are drawn at a time
	multiply  bool         // gradients by what lies between the baseline and the input
	deviation float64      // of the noise
	output    float64      // Σ of the baselines' outputs
}

// newPaths reads the input and the baselines of a request.
func newPaths(ctx context.Context, model sdk.Model, r *sdk.Request) (*paths, error) {
	p := r.Params
	replay := p.String(paramCompat) == captum
	if err := drawsAtOnce(p); err != nil {
		return nil, err
	}
	names, err := kinds(p, true, references(model.Info(), replay)...)
	if err != nil {
		return nil, err
	}
	f, err := newField(model, r)
	if err != nil {
		return nil, err
	}
	each := 2 // rows of a sample
	if replay {
		each = 1
	}
	n := f.samples(usualPaths, each) / each
	if err := f.checkSamples(n); err != nil {
		return nil, err
	}
	if _, err := f.read(ctx, false); err != nil {
		return nil, err
	}
	bases, draw, err := f.gather(ctx, names, replay)
	if err != nil {
		return nil, err
	}
	strata := len(bases)
	switch {
	case strata*f.size() > maxCells*4:
		return nil, invalid("the input and its " + strconv.Itoa(strata) + " baselines do not fit into memory: give fewer baselines, or a shorter text")
	case !replay && n < strata:
		hint := "use " + strconv.Itoa(2*strata) + " or more"
		if strata > 1 {
			hint += ", baseline=zero, which takes 2, or compat=captum, which draws its one baseline's samples one by one"
		}
		return nil, invalid("num_samples=" + strconv.Itoa(p.Int("num_samples")) + " is too few for " + strconv.Itoa(strata) + " baselines, each of which takes two: " + hint)
	}
	w := &paths{field: f, most: n, each: each, bases: bases, draw: draw, random: num.NewRand(r.Rand), multiply: p.Bool(paramMultiply), deviation: f.deviation()}
	if draw >= 0 {
		w.words = num.NewMT19937(w.random.Uint64())
	}
	w.base = func(k int) int { return k % len(bases) }
	w.place = func(int) float64 { return w.random.Float64() }
	if replay { // NumPy's stream, as captum draws from it
		stream := num.NewMT19937(r.Seed)
		order := make([]int64, n)
		if strata > 1 {
			order = stream.RandInt(0, int64(strata), n)
		}
		w.base = func(k int) int { return int(order[k]) }
		w.place = func(int) float64 { return stream.Float64() }
		strata = 1
	}
	w.estimate = newSamples(newResult(r, p.String(paramReduce)), smoothMean, n, f.size(), strata)
	f.total = n * each
	return w, nil
}

// explain takes the samples.
func (w *paths) explain(ctx context.Context) (*sdk.Explanation, error) {
	var x *sdk.Explanation
	err := rounds(w.most, w.request.Params.Float(game.ParamMaxStderr), func(until int) (largest float64, err error) {
		for w.estimate.n < until && err == nil {
			err = w.chunk(ctx, until)
		}
		if err == nil {
			err = w.random.Err()
		}
		if err != nil {
			return 0, err
		}
		x, largest = w.estimate.explanation()
		return largest, nil
	})
	if err != nil {
		return nil, err
	}
	if err := w.estimate.diagnose(ctx, x); err != nil {
		return nil, err
	}
	if values := w.estimate.values(-1); w.multiply {
		w.estimate.result.complete(x, values, w.output/float64(w.estimate.n))
	} else {
		w.estimate.result.cancels(x, values)
	}
	diagnose(x, "samples", float64(w.estimate.n*w.each))
	return x, nil
}

// chunk takes samples until there are so many; not as many at once where the baselines
// of each would have to be held.
func (w *paths) chunk(ctx context.Context, until int) error {
	start := w.estimate.n
	if w.draw >= 0 {
		until = min(until, start+len(w.bases)*max(1, blockCells/max(w.each*w.size(), 1)))
	}
	from, err := w.origins(ctx, start, until)
	if err != nil {
		return err
	}
	at := make([]float64, until-start)  // the place of each sample
	ends := make(map[int][]float64)     // the input of each, with noise; of those in the block
	sample := make([]float64, w.size()) // Σ over the rows of one
	return w.walk(ctx, w.each*(until-start), func(i int, row []float64) {
		k := i / w.each
		if i%w.each == 0 {
			at[k] = w.place(start + k)
			if w.deviation > 0 {
				ends[k] = make([]float64, w.size())
				w.noisy(ends[k], w.random, w.deviation)
			}
		}
		alpha, b, end := at[k], from[k].values, w.values
		if i%w.each == 1 {
			alpha = 1 - alpha
		}
		if w.deviation > 0 {
			end = ends[k]
		}
		for j, x := range end {
			row[j] = b[j] + float64(alpha*(x-b[j]))
		}
	}, func(i int, gradient []float64) {
		k := i / w.each
		b, end := from[k], w.values
		if w.deviation > 0 {
			end = ends[k]
		}
		if i%w.each == 0 {
			clear(sample)
		}
		for j, g := range gradient {
			if w.multiply {
				g = float64(g * (end[j] - b.values[j]))
			}
			sample[j] += float64(g / float64(w.each))
		}
		if i%w.each == w.each-1 {
			delete(ends, k)
			w.output += b.output
			w.estimate.add(sample)
		}
	})
}

// origins returns what each of some samples comes from.
func (w *paths) origins(ctx context.Context, start, until int) ([]baseline, error) {
	from := make([]baseline, until-start)
	var fresh []int
	for k := range from {
		if i := w.base(start + k); i != w.draw {
			from[k] = w.bases[i]
		} else {
			fresh = append(fresh, k)
		}
	}
	if len(fresh) == 0 {
		return from, nil
	}
	all, err := w.drawn(ctx, w.words, len(fresh))
	if err != nil {
		return nil, err
	}
	for i, k := range fresh {
		from[k] = all[i]
	}
	return from, nil
}

// references returns the baselines of baseline=auto.
func references(m sdk.ModelInfo, replay bool) []string {
	names := []string{baseZero, baseAverage}
	switch {
	case replay:
		names = names[:1]
	case zeroOr(m) == baseAverage:
		names = names[1:]
	}
	if !replay && m.MaskToken != "" {
		names = append(names, baseMask)
	}
	return names
}

// gather returns the baselines of those names. That of baseline=vocabulary, which is
// drawn anew for each sample, is at the index draw, −1 for none, and empty.
func (f *field) gather(ctx context.Context, names []string, replay bool) (bases []baseline, draw int, err error) {
	draw = -1
	for _, name := range names {
		if name == baseVocabulary {
			if replay {
				return nil, draw, invalid("baseline=vocabulary needs compat=none: the reference draws from a list of baselines")
			}
			draw = len(bases)
			bases = append(bases, baseline{})
			continue
		}
		all, err := f.baselines(ctx, name, true)
		if err != nil {
			return nil, draw, err
		}
		bases = append(bases, all...)
	}
	return bases, draw, nil
}
