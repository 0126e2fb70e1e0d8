package engine

import (
	"fmt"

	"github.com/xai-go/xai/engine/arch"
)

// Input is a ragged batch: the tokens of all sequences one after another,
// without padding. Each slice but Lengths and Embeds has one value for a token;
// nil means the default. Forward only reads it.
type Input struct {
	// IDs are token ids. −1 stands for a token whose word embedding is all
	// zeros, which is no token of any vocabulary; its position and type are
	// added as for any other.
	IDs []int32
	// Embeds replaces IDs by word embeddings, [tokens, Info.Embedding], as
	// they come out of the lookup: before positions, types and norms.
	Embeds []float32
	// Lengths are the numbers of tokens of the sequences, each at least 1; nil
	// means one sequence of all tokens.
	Lengths []int
	// TypeIDs are token types (segments), 0 by default. A model without types
	// ignores them: its tokenizer may well tell the texts of a pair apart.
	TypeIDs []int32
	// PositionIDs are positions, 0 … length−1 by default.
	PositionIDs []int32
	// Mask is 1 for a token that others attend to and 0 for one that is
	// invisible to all queries of its sequence; 1 by default. Positions count
	// hidden tokens too.
	Mask []uint8
}

// batch validates an input against the limits of a model.
func (in Input) batch(info Info) (arch.Batch, error) {
	b := arch.Batch{IDs: in.IDs, Embeds: in.Embeds, TypeIDs: in.TypeIDs, PositionIDs: in.PositionIDs, Mask: in.Mask}
	tokens := len(in.IDs)
	switch {
	case in.IDs != nil && in.Embeds != nil:
		return b, inputError("Embeds", "cannot be given beside IDs: choose one")
	case in.Embeds != nil:
		if len(in.Embeds)%info.Embedding != 0 {
			return b, inputError("Embeds", "has %d values, no multiple of the embedding width %d", len(in.Embeds), info.Embedding)
		}
		tokens = len(in.Embeds) / info.Embedding
	}
	lengths := in.Lengths
	if lengths == nil && tokens > 0 {
		lengths = []int{tokens}
	}
	b.Starts = make([]int, 1, len(lengths)+1)
	sum := 0
	for i, n := range lengths {
		if n <= 0 || n > tokens-sum {
			return b, &InputError{"Lengths", i, -1, fmt.Sprintf("has length %d, but %d of %d tokens are left for it and those after it", n, tokens-sum, tokens)}
		}
		if n > info.Positions && in.PositionIDs == nil {
			return b, &InputError{"Lengths", i, -1, fmt.Sprintf("has %d tokens, but the model has %d positions: truncate it", n, info.Positions)}
		}
		sum += n
		b.Starts = append(b.Starts, sum)
	}
	if sum != tokens {
		return b, inputError("Lengths", "sum up to %d, but there are %d tokens", sum, tokens)
	}
	for _, field := range []struct {
		name   string
		length int
		given  bool
	}{
		{"TypeIDs", len(in.TypeIDs), in.TypeIDs != nil},
		{"PositionIDs", len(in.PositionIDs), in.PositionIDs != nil},
		{"Mask", len(in.Mask), in.Mask != nil},
	} {
		if field.given && field.length != tokens {
			return b, inputError(field.name, "has %d values for %d tokens", field.length, tokens)
		}
	}
	if info.Types == 0 {
		b.TypeIDs = nil
	}
	for _, check := range []struct {
		name      string
		values    []int32
		low, high int // allowed are [low, high)
	}{
		{"IDs", in.IDs, -1, info.Vocabulary},
		{"TypeIDs", b.TypeIDs, 0, info.Types},
		{"PositionIDs", in.PositionIDs, 0, info.Positions},
	} {
		for row, v := range check.values {
			if int(v) < check.low || int(v) >= check.high {
				return b, tokenError(check.name, b.Starts, row, "is %d; the model takes %d to %d", v, check.low, check.high-1)
			}
		}
	}
	for row, v := range in.Mask {
		if v > 1 {
			return b, tokenError("Mask", b.Starts, row, "is %d; it must be 0 or 1", v)
		}
	}
	return b, nil
}

func inputError(field, format string, args ...any) error {
	return &InputError{Field: field, Sequence: -1, Token: -1, Reason: fmt.Sprintf(format, args...)}
}

// tokenError says in which sequence a row lies.
func tokenError(field string, starts []int, row int, format string, args ...any) error {
	sequence := 0
	for starts[sequence+1] <= row {
		sequence++
	}
	return &InputError{field, sequence, row - starts[sequence], fmt.Sprintf(format, args...)}
}
