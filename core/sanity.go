package core

import (
	"context"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/sdk"
)

// Sanity is a check of a method on one input by parameter randomisation (Adebayo et
// al. 2018, Sanity Checks for Saliency Maps, arXiv:1810.03292): the input is explained
// again with models of which ever more weights are in another order, from the head
// down to the embeddings. Scores that stay what they are do not come from what the
// model has learnt. Its JSON form is part of Schema.
type Sanity struct {
	Stages []SanityStage `json:"stages"` // each with all weights of those before it
	// Forwards are the rows that the models ran for it, beside those of the
	// explanation, and Gradients those of them that they differentiated.
	Forwards  int `json:"forwards"`
	Gradients int `json:"gradients"`
}

// SanityStage compares the explanation with that of a model whose weights are in
// another order from the head down to Down.
//
// Values is Spearman's rank correlation of the scores with those of the model itself,
// and Magnitudes that of their absolute values: 1 where the ranks are the same, 0
// where all scores of one of the two are the same and those of the other are not, NaN
// of fewer than two scores, or where the method cuts other units or
// finds scores that are not finite.
type SanityStage struct {
	Down       string `json:"down"`   // "head", "layer.N" from the last one down, "embeddings"
	Target     Float  `json:"target"` // what that model answers
	Values     Float  `json:"values"`
	Magnitudes Float  `json:"magnitudes"`
}

// SanityHardly is the rank correlation from which on scores hardly change when every
// weight does: half of the way from an order that has nothing to do with the first to
// the same.
const SanityHardly = 0.5

// Chance returns the rank correlation that scores of n units which have nothing to do
// with each other exceed in one of twenty cases, or 1: 1.645 standard deviations,
// 1/√(n − 1) each, of a correlation of ranks.
func (s *Sanity) Chance(n int) float64 {
	if n < 2 {
		return 1
	}
	return min(1, 1.645/math.Sqrt(float64(n-1)))
}

// insensitive reports whether n scores are the same for a model that has learnt
// nothing: by rank, in value and in magnitude, more than chance has it. Of so few that
// chance has them in any order now and then, all that is known is that they differ or
// not.
func (s *Sanity) insensitive(n int) bool {
	if len(s.Stages) == 0 || n < 2 {
		return false
	}
	last := s.Stages[len(s.Stages)-1]
	least := max(SanityHardly, s.Chance(n))
	if least == 1 {
		return !slices.ContainsFunc(s.Stages, func(stage SanityStage) bool { return stage.Values != 1 || stage.Magnitudes != 1 })
	}
	return float64(last.Values) >= least && float64(last.Magnitudes) >= least
}

// checkSanity explains the input of s, of which result is the explanation, with
// randomised models. again runs the method on another session.
func (s *session) checkSanity(ctx context.Context, r Request, result *sdk.Explanation, again func(*session, float64) (*sdk.Explanation, error)) (*Sanity, error) {
	layers := s.model.engine.Info().Layers
	stages := layers + 2
	r.Target, r.Output = s.target.expr, s.target.output // which need not be the defaults there
	progress := r.Progress
	check := &Sanity{}
	current := s.model
	var copies []*Model
	defer func() {
		for _, m := range slices.Backward(copies) {
			m.Close()
		}
	}()
	for i := range stages {
		block := layers - i
		next, err := current.redrawn(ctx, block, r.Seed)
		if err != nil {
			return nil, err
		}
		copies, current = append(copies, next), next
		if progress != nil {
			r.Progress = func(done, total int) { progress(i*total+done, stages*total) }
		}
		other, err := next.session(ctx, &r)
		if err != nil {
			return nil, err
		}
		value := other.value()
		e, err := again(other, value)
		if err != nil {
			return nil, err
		}
		down := "layer." + strconv.Itoa(block)
		switch block {
		case layers:
			down = "head"
		case -1:
			down = "embeddings"
		}
		values, magnitudes := rankCorrelations(result.Attributions[0].Values, e.Attributions[0].Values)
		check.Stages = append(check.Stages, SanityStage{Down: down, Target: Float(value), Values: Float(values), Magnitudes: Float(magnitudes)})
		check.Forwards += other.forwards
		check.Gradients += other.gradients
	}
	return check, nil
}

// redrawn returns the model with the weights of a block in another order. It has no
// cache: what it says of a row is nobody else's.
func (m *Model) redrawn(ctx context.Context, block int, seed uint64) (*Model, error) {
	e, err := m.engine.Redrawn(ctx, block, seed)
	if err != nil {
		return nil, engineError(m.id, err)
	}
	return &Model{id: m.id, engine: e, tokenizer: m.tokenizer, labels: m.labels, head: m.head, memory: m.memory, typed: m.typed}, nil
}

// rankCorrelations returns the rank correlations of two lists of scores and of their
// magnitudes, as SanityStage has them.
func rankCorrelations(a, b []float64) (values, magnitudes float64) {
	if len(a) != len(b) || len(a) < 2 || notFinite(a) > 0 || notFinite(b) > 0 {
		return math.NaN(), math.NaN()
	}
	sizes := func(v []float64) []float64 {
		out := make([]float64, len(v))
		for i := range v {
			out[i] = math.Abs(v[i])
		}
		return out
	}
	return rankCorrelation(a, b), rankCorrelation(sizes(a), sizes(b))
}

func rankCorrelation(a, b []float64) float64 {
	constant := func(v []float64) bool {
		return !slices.ContainsFunc(v, func(x float64) bool { return x != v[0] })
	}
	switch {
	case constant(a) && constant(b):
		return 1
	case constant(a) || constant(b):
		return 0
	}
	return metric.Spearman(a, b)
}
