package core

import (
	"context"
	"fmt"
	"slices"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/sdk"
)

// affords refuses a method that looks inside of the model where the budget has no room
// for the least that it can ask of this input, before anything is computed. What it
// asks beside that is known once it asks.
func (s *session) affords(ctx context.Context, needs []sdk.Need) error {
	name := s.least(needs)
	if name == "" {
		return nil
	}
	q := query{row: s.enc.row}
	switch s.model.engine.Info().Task {
	case arch.SequenceClassification:
	case arch.PermutationLM:
		if err := s.model.marks(q.row.n); err != nil {
			return err
		}
		q.row = q.row.predicting(1)
	default:
		q.reads = []int{0}
	}
	in := question{q}.input()
	selections, err := s.scope(in.TypeIDs != nil).resolve(name)
	if err != nil {
		return nil // which the method is told, if it asks
	}
	option := engine.Capture(selections...)
	if slices.Contains(needs, sdk.NeedGradients) {
		o := &objective{scale: s.model.scale(sdk.Logit)}
		option = engine.Gradients(o.value, selections...)
	}
	if _, err := s.model.engine.Memory(ctx, in, option); is[*engine.MemoryError](err) {
		return engineError(s.model.id, err)
	}
	return nil
}

// least returns the point at which a method takes gradients, or reads attention, that
// costs the least of those that its needs allow; empty where it does neither. The
// nearer to the output a point is, the less of the way back has to be remembered.
func (s *session) least(needs []sdk.Need) string {
	has := func(need sdk.Need) bool { return slices.Contains(needs, need) }
	pattern := fmt.Sprintf("blocks.%d.attn.hook_pattern", s.model.engine.Info().Layers-1)
	switch {
	case has(sdk.NeedGradients) && (has(sdk.NeedActivations) || has(sdk.NeedHiddenStates)):
		return "last_hidden_state"
	case has(sdk.NeedAttentions):
		return pattern
	case has(sdk.NeedGradients):
		return "embeddings"
	}
	return ""
}
