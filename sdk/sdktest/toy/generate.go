package toy

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/num"
)

// Generate implements sdk.Generator. The model has no memory of what came
// before, and runs the whole row for each token; special tokens are never
// generated. It ends where the model reads no further.
func (s *Session) Generate(ctx context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	switch {
	case g == nil || g.MaxTokens <= 0 || g.MaxTokens > abi.MaxTokens:
		return nil, invalid("a generation adds 1 to " + strconv.Itoa(abi.MaxTokens) + " tokens")
	case !(g.Temperature >= 0) || math.IsInf(g.Temperature, 1) || g.TopK < 0 || !(g.TopP >= 0 && g.TopP <= 1):
		return nil, invalid("the temperature of a generation or its bounds are out of range")
	}
	ids := slices.Clone(s.base.ids)
	if g.Prompt != nil {
		if err := s.model.readable("the prompt", g.Prompt); err != nil {
			return nil, err
		}
		ids = slices.Clone(g.Prompt)
	}
	out := &sdk.Continuation{IDs: []int32{}, LogProbs: []float64{}}
	random := source(g.Seed, 1)
	var text strings.Builder
	for len(out.IDs) < g.MaxTokens && (s.model.positions == 0 || len(ids) < s.model.positions) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := s.model.network
		logits := n.next(run(n, row{ids: ids}, nil, nil))
		if logits == nil {
			return nil, sdk.NewError(sdk.EUnsupported, "the model generates no text")
		}
		id := choose(logits, g, random)
		ids, out.IDs = append(ids, id), append(out.IDs, id)
		out.LogProbs = append(out.LogProbs, logits[id]-num.LogSumExp(logits))
		text.WriteString(" " + s.model.tokenizer.spell(id))
	}
	out.Text = text.String()
	return out, nil
}

// choose returns the next token.
func choose(logits []float64, g *sdk.Generation, random stream) int32 {
	if g.Temperature == 0 {
		return int32(argmax(logits))
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
		return 0
	})
	if g.TopK > 0 {
		order = order[:min(g.TopK, len(order))]
	}
	p := make([]float64, len(order))
	for i, id := range order {
		p[i] = logits[id] / g.Temperature
	}
	num.Softmax(p, p)
	if g.TopP > 0 {
		total := 0.0
		for i, v := range p {
			if total += v; total >= g.TopP {
				p = p[:i+1]
				break
			}
		}
	}
	u := float64(random.unit() * num.Sum(p))
	for i, v := range p {
		if u -= v; u < 0 {
			return int32(order[i])
		}
	}
	return int32(order[0])
}
