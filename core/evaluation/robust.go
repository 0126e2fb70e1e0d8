package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/sdk"
)

// paramDetailed is the parameter that has a gradient method return what it
// attributes to every component of every token, and the tensor's name.
const paramDetailed = "embedding_attributions"

// paramLayer is the parameter that has a gradient method attribute to another point
// than the word embeddings.
const paramLayer = "layer"

// EmbeddingInfidelity is captum's infidelity: the mean over noises I, each [T,D],
// of
//
//	(Σ I·φ − (f(x) − f(x − I)))²
//
// where x are the word embeddings of the input and φ [T,D] is attributed to them.
// Normalised scales Σ I·φ by what fits the differences best.
func EmbeddingInfidelity(ctx context.Context, v *core.Variants, attributions []float64, noises [][]float64) (plain, normalised float64, err error) {
	n := len(v.Request().Tokens)
	if n == 0 || len(attributions)%n != 0 {
		return 0, 0, input(fmt.Sprintf("there are %d attributions for the embeddings of %d tokens", len(attributions), n), "give one for each component")
	}
	moved := make([]float64, 0, (1+len(noises))*len(attributions))
	moved = append(moved, make([]float64, len(attributions))...) // the input itself
	products := make([]float64, len(noises))
	for i, noise := range noises {
		if len(noise) != len(attributions) {
			return 0, 0, input("a noise has another shape than the attributions", "")
		}
		for k, u := range noise {
			moved = append(moved, -u)
			products[i] += u * attributions[k]
		}
	}
	values, err := sdk.Evaluate(ctx, v, Moved(v, moved, 1+len(noises)))
	if err != nil {
		return 0, 0, modelError(err)
	}
	changes := make([]float64, len(noises))
	for i := range changes {
		changes[i] = values[0] - values[1+i]
	}
	return metric.Infidelity(products, changes, false), metric.Infidelity(products, changes, true), nil
}

// Moved asks for rows of the input with noise, [rows,T,D], added to the word
// embeddings.
func Moved(v *core.Variants, noise []float64, rows int) *sdk.Forward {
	n := len(v.Request().Tokens)
	return &sdk.Forward{
		Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, rows*n), rows, n), KeepDuplicates: true,
		Edits: []sdk.Edit{{Point: "embeddings", Op: sdk.EditAdd, Value: sdk.NewTensor(noise, rows, n, len(noise)/rows/n)}},
	}
}

// EmbeddingSensitivity is captum's sensitivity_max: the largest distance of the
// explanation of x + u from that of x, over the norm of the latter, for noises u
// [T,D] on the word embeddings x. explain returns what is attributed to the
// embeddings with a noise.
func EmbeddingSensitivity(noises [][]float64, size int, explain func(noise []float64) ([]float64, error)) (float64, error) {
	of, err := explain(make([]float64, size))
	if err != nil {
		return 0, err
	}
	var neighbours [][]float64
	for _, noise := range noises {
		other, err := explain(noise)
		if err != nil {
			return 0, err
		}
		if len(other) != len(of) {
			return 0, input("the explanation of a neighbour has another shape", "")
		}
		neighbours = append(neighbours, other)
	}
	return metric.MaxSensitivity(of, neighbours), nil
}

// embeddings returns the word embeddings of the input, [T,D].
func embeddings(ctx context.Context, v *core.Variants) ([]float32, error) {
	tokens := len(v.Request().Tokens)
	reply, err := v.Forward(ctx, &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, tokens), 1, tokens), Points: []string{"embeddings"}})
	if err != nil {
		return nil, modelError(err)
	}
	t, err := reply.Tensor("embeddings", 0)
	if err != nil {
		return nil, err
	}
	if wide, err := sdk.Values[float64](t); err == nil {
		x := make([]float32, len(wide))
		for i, v := range wide {
			x[i] = float32(v)
		}
		return x, nil
	}
	return sdk.Values[float32](t)
}

// noises draws n noises of a size, each element from f.
func noises(n, size int, f func() float64) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, size)
		for k := range out[i] {
			out[i][k] = f()
		}
	}
	return out
}

// embedding measures an explanation of embeddings, which e holds component by
// component. Over several windows it is the mean, weighted as they are, and the
// largest sensitivity. Where the method does not explain embeddings without a text,
// as one whose baseline is a token, the sensitivity is left out, and the log says
// why.
func (r *run) embedding(ctx context.Context, i int, w *window, request core.Request, e *core.Explanation, values map[string]float64) error {
	attributions, ok := detailed(e)
	if !ok || len(w.Request().Tokens) == 0 || r.NoiseSamples == 0 || inside(e) {
		return nil
	}
	normal := r.random(i, "infidelity")
	var plain, normalised float64
	var x []float32
	err := r.counted(&r.runs.Measuring, func() (err error) {
		if x, err = embeddings(ctx, w.Variants); err != nil || len(x) != len(attributions) {
			return err
		}
		plain, normalised, err = EmbeddingInfidelity(ctx, w.Variants, attributions, noises(r.NoiseSamples, len(attributions), func() float64 { return r.Noise * normal.NormFloat64() }))
		return err
	})
	if err := cmp.Or(err, normal.Err()); err != nil || len(x) != len(attributions) {
		return err
	}
	values[embeddingInfidelity] += w.weight * plain
	values[embeddingInfidelityNormalised] += w.weight * normalised
	uniform := r.random(i, "sensitivity")
	request.Progress = nil
	sensitivity, err := EmbeddingSensitivity(noises(r.NoiseSamples, len(x), func() float64 { return r.Noise * (2*uniform.Float64() - 1) }), len(x), func(noise []float64) ([]float64, error) {
		moved := slices.Clone(x)
		for k, u := range noise {
			moved[k] += float32(u)
		}
		request.Input = w.Embedded(moved)
		e, err := r.explanation(ctx, request)
		if err != nil {
			return nil, err
		}
		values, _ := detailed(e)
		return values, nil
	})
	if errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
		r.warn("how far noise moves its explanations is not measured: " + err.Error())
		sensitivity, err = math.NaN(), nil
	}
	if err := cmp.Or(err, uniform.Err()); err != nil {
		return err
	}
	values[embeddingSensitivity] = max(values[embeddingSensitivity], sensitivity)
	return nil
}

// inside reports whether an explanation is of a point inside of the model, and not of
// the word embeddings, which noise is added to.
func inside(e *core.Explanation) bool {
	layer, _ := e.Method.Params[paramLayer].(string)
	return layer != "" && layer != "embeddings"
}

// detailed returns what an explanation attributes to every component of every
// token.
func detailed(e *core.Explanation) ([]float64, bool) {
	for _, t := range e.Tensors {
		if t.Name == paramDetailed {
			values := make([]float64, len(t.Values))
			for i, v := range t.Values {
				values[i] = float64(v)
			}
			return values, true
		}
	}
	return nil, false
}

// largest returns the larger of two numbers, or the one that is a number.
func largest(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// sensitivity explains neighbours of a window, each without one unit drawn at
// random, and returns the largest distance of their scores from those of the same
// units in the window, over the norm of those: NaN where there is none, as of a
// single unit and of pairs of texts.
func (r *run) sensitivity(ctx context.Context, i int, w *window, request core.Request, scores []float64) (float64, error) {
	own := w.Request()
	if own.TextPair != nil || own.Text == "" || len(own.Units) < 2 || len(scores) != len(own.Units) {
		return math.NaN(), nil
	}
	draws := r.random(i, "neighbours")
	order := draws.Perm(len(own.Units))
	most := math.NaN()
	for _, u := range order[:min(r.Neighbours, len(order))] {
		span := own.Units[u].Spans[0]
		request.Input, request.Progress = core.Input{Text: own.Text[:span.Start] + own.Text[span.End:]}, nil
		e, err := r.explanation(ctx, request)
		if core.KindOf(err) == core.KindInput { // nothing is left to explain
			continue
		}
		if err != nil {
			return 0, err
		}
		v, err := r.model.Variants(ctx, request)
		if err != nil {
			return 0, err
		}
		units, other, err := (&window{Variants: v}).scores(e)
		if err != nil {
			return 0, err
		}
		if len(units) != len(own.Units)-1 {
			continue // what stood around it is cut otherwise
		}
		rest := slices.Concat(scores[:u], scores[u+1:])
		most = largest(most, metric.MaxSensitivity(rest, [][]float64{other}))
	}
	return most, draws.Err()
}
