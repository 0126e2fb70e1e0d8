package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

// Generation says how a continuation is drawn. The zero value is greedy: the
// most probable token at every step, of equal ones that with the lower id.
type Generation struct {
	MaxTokens   int     // generation needs it to be above 0
	Temperature float64 // logits are divided by it; 0 is greedy
	TopK        int     // only the K most probable tokens may be drawn; 0 is no bound
	TopP        float64 // only the most probable ones that together have P; 0 and 1 are no bound
	Stop        []int32 // ends after any of these tokens
	Seed        uint64
	// OnToken is called with every token, as soon as it is drawn, and its
	// log-probability by the model: before temperature and bounds. An error ends
	// the generation.
	OnToken func(id int32, logprob float64) error
}

// Generated is a continuation with the log-probability of each token.
type Generated struct {
	IDs      []int32
	LogProbs []float64
}

// Generate continues a prompt token by token. Keys and values are kept, so that
// each step computes one token. It ends early, without an error, where the
// model has no further position. The bits of a step are those of a forward of
// all tokens so far. A model of another task than [arch.CausalLM] is a
// [*checkpoint.UnsupportedError], settings without a meaning are an
// [*OptionError], and where there is no most probable token, since logits are
// NaN or infinite, it ends with [ErrNotFinite]; other errors are those of
// [Model.Forward] and of g.OnToken.
func (m *Model) Generate(ctx context.Context, prompt []int32, g Generation) (*Generated, error) {
	if m.info.Task != arch.CausalLM {
		return nil, &checkpoint.UnsupportedError{
			What: "to continue texts with " + m.info.Architecture,
			Hint: fmt.Sprintf("its task is %s; open a model for %s", m.info.Task, arch.CausalLM),
		}
	}
	if len(prompt) == 0 {
		return nil, inputError("IDs", "are empty: generation needs a token to begin with")
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	out := &Generated{}
	random := rand.New(rand.NewPCG(g.Seed, 0))
	past := &Past{}
	next := prompt
	for len(out.IDs) < g.MaxTokens {
		step, err := m.Forward(ctx, Input{IDs: next, Reads: [][]int{{len(next) - 1}}, Past: []*Past{past}, Keep: []*Past{past}})
		if err != nil {
			return nil, err
		}
		logits := step.Row(0)
		total := logSumExp(logits)
		if math.IsNaN(total) {
			return nil, ErrNotFinite
		}
		id := g.draw(logits, random)
		logprob := logits[id] - total
		out.IDs, out.LogProbs = append(out.IDs, int32(id)), append(out.LogProbs, logprob)
		if g.OnToken != nil {
			if err := g.OnToken(int32(id), logprob); err != nil {
				return nil, err
			}
		}
		if slices.Contains(g.Stop, int32(id)) || m.info.Length > 0 && past.Length() >= m.info.Length {
			break
		}
		next = []int32{int32(id)}
	}
	return out, nil
}

// check refuses settings without a meaning.
func (g *Generation) check() error {
	switch {
	case g.MaxTokens <= 0:
		return &OptionError{Option: "tokens", Reason: "generation needs a number above 0"}
	case !(g.Temperature >= 0) || math.IsInf(g.Temperature, 1):
		return &OptionError{Option: "temperature", Reason: "must be 0 or a finite number above it"}
	case g.TopK < 0:
		return &OptionError{Option: "top-k", Reason: "must be 0 or above"}
	case !(g.TopP >= 0 && g.TopP <= 1):
		return &OptionError{Option: "top-p", Reason: "must be between 0 and 1"}
	}
	return nil
}

// draw returns the next token. With bounds, as in the reference implementation,
// temperature comes first, then the K most probable, then the fewest most
// probable whose sum is at least P.
func (g *Generation) draw(logits []float64, random *rand.Rand) int {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	if g.Temperature == 0 {
		return best
	}
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return a - b
	})
	if g.TopK > 0 && g.TopK < len(order) {
		order = order[:g.TopK]
	}
	weights := make([]float64, len(order))
	sum := 0.0
	for i, id := range order {
		weights[i] = math.Exp((logits[id] - logits[best]) / g.Temperature)
		sum += weights[i]
	}
	if g.TopP > 0 && g.TopP < 1 {
		kept := 0.0
		for i, w := range weights {
			kept += w
			if kept >= g.TopP*sum {
				weights, sum = weights[:i+1], kept
				break
			}
		}
	}
	at := random.Float64() * sum
	for i, w := range weights {
		if at -= w; at < 0 {
			return order[i]
		}
	}
	return order[len(weights)-1]
}

// logSumExp returns ln Σ exp(x): NaN where a value is NaN or the largest one is
// infinite.
func logSumExp(x []float64) float64 {
	top, sum := slices.Max(x), 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
