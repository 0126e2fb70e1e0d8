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
type GradientSHAP struct {
	places []float64 // of each sample, and
	from   []int     // its baseline, in tests
}

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
	own = append(own, noiseParams(0, 0.0)...)
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
// itself, the baselines taking turns.
func (m GradientSHAP) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	p := r.Params
	replay := p.String(paramCompat) == captum
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
	random := num.NewRand(r.Rand)
	var words *num.MT19937 // a stream of their own, so that nothing depends on how many are drawn at a time
	if draw >= 0 {
		words = num.NewMT19937(random.Uint64())
	}
	place := func(int) float64 { return random.Float64() }
	base := func(k int) int { return k % strata }
	if replay { // NumPy's stream, as captum draws from it
		stream := num.NewMT19937(r.Seed)
		order := make([]int64, n)
		if strata > 1 {
			order = stream.RandInt(0, int64(strata), n)
		}
		base = func(k int) int { return int(order[k]) }
		place = func(int) float64 { return stream.Float64() }
		strata = 1
	}
	if m.places != nil {
		place = func(k int) float64 { return m.places[k] }
		base = func(k int) int { return m.from[k] }
		strata = 1
	}

	deviation := f.deviation()
	e := newSamples(newResult(r, p.String(paramReduce)), smoothMean, n, f.size(), strata)
	f.total = n * each
	output := 0.0 // Σ of the baselines' outputs
	var x *sdk.Explanation
	chunk := func(until int) error {
		start := e.n
		from := make(map[int]baseline) // what each sample of the chunk comes from, where it is drawn
		if draw >= 0 {
			until = min(until, start+strata*max(1, blockCells/max(each*f.size(), 1)))
			var drawn []int
			for k := start; k < until; k++ {
				if base(k) == draw {
					drawn = append(drawn, k)
				}
			}
			all, err := f.drawn(ctx, words, len(drawn))
			if err != nil {
				return err
			}
			for i, k := range drawn {
				from[k] = all[i]
			}
		}
		origin := func(k int) baseline {
			if base(k) == draw {
				return from[k]
			}
			return bases[base(k)]
		}
		at := make([]float64, until-start)  // the place of each sample
		ends := make(map[int][]float64)     // the input of each, with noise; of those in the block
		sample := make([]float64, f.size()) // Σ over the rows of one
		return f.walk(ctx, each*(until-start), func(i int, row []float64) {
			k := i / each
			if i%each == 0 {
				at[k] = place(start + k)
				if deviation > 0 {
					ends[k] = make([]float64, f.size())
					f.noisy(ends[k], random, deviation)
				}
			}
			alpha, b, end := at[k], origin(start+k).values, f.values
			if i%each == 1 {
				alpha = 1 - alpha
			}
			if deviation > 0 {
				end = ends[k]
			}
			for j, x := range end {
				row[j] = b[j] + float64(alpha*(x-b[j]))
			}
		}, func(i int, gradient []float64) {
			k := i / each
			b, end := origin(start+k), f.values
			if deviation > 0 {
				end = ends[k]
			}
			if i%each == 0 {
				clear(sample)
			}
			for j, g := range gradient {
				sample[j] += float64(g * (end[j] - b.values[j]) / float64(each))
			}
			if i%each == each-1 {
				delete(ends, k)
				output += b.output
				e.add(sample)
			}
		})
	}
	err = rounds(n, p.Float(game.ParamMaxStderr), func(until int) (largest float64, err error) {
		for e.n < until && err == nil {
			err = chunk(until)
		}
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
	e.result.complete(x, e.values(-1), output/float64(e.n))
	diagnose(x, "samples", float64(e.n*each))
	return x, nil
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
