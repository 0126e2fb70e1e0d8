package core

import (
	"context"

	"github.com/xai-go/xai/sdk"
)

// Variants is one input of an open model as a method sees it, for a program that
// evaluates variants of the input itself: an sdk.Model with every power, the
// input's tokens and units, and its target. What it runs, the model remembers
// for explanations of the same input, and the other way round. It is not safe
// for concurrent use.
type Variants struct {
	*session
	request *sdk.Request
}

// Variants prepares an input: it encodes it, cuts it into units and evaluates
// it, which settles the target. Of the request, Input, Target, Output, Units and
// Progress count.
func (m *Model) Variants(ctx context.Context, r Request) (*Variants, error) {
	if err := m.explainable(r.Input); err != nil {
		return nil, err
	}
	s, err := m.session(ctx, &r)
	if err != nil {
		return nil, err
	}
	return &Variants{s, s.request()}, nil
}

// Request describes the input: its text as far as the model reads it, its
// tokens, units and target. Nobody may change it.
func (v *Variants) Request() *sdk.Request { return v.request }

// Dropped returns how many tokens do not fit the model.
func (v *Variants) Dropped() int { return len(v.enc.dropped) }

// Unknown returns how many of the input's tokens the model's vocabulary lacks: it
// cannot tell them apart.
func (v *Variants) Unknown() int { return v.model.unknown(v.enc.tokens) }

// Over gives units of a method's own cutting their tokens.
func (v *Variants) Over(units []sdk.Unit) []sdk.Unit { return v.enc.withTokens(units) }

// Rows returns how many rows the model has run since it was opened, of all that
// was asked of it.
func (m *Model) Rows() int64 { return m.ran.Load() }

// Asked returns how many rows were asked of it.
func (v *Variants) Asked() int { return v.evaluations }

// Embedded returns the input with vectors [T,D] in the place of its T tokens' word
// embeddings. Special tokens stay out of what is explained.
func (v *Variants) Embedded(vectors []float32) Input {
	r := v.enc.row
	raw := &Raw{Embeds: vectors, TypeIDs: r.types, PositionIDs: r.positions, Mask: r.mask, Keep: make([]uint8, r.n)}
	for i, t := range v.enc.tokens {
		if t.Special || t.Fixed {
			raw.Keep[i] = 1
		}
	}
	return Input{Raw: raw}
}
