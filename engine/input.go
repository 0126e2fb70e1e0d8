package engine

import (
	"fmt"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/tape"
)

// Input is a ragged batch: the tokens of all sequences one after another,
// without padding. IDs, TypeIDs, PositionIDs and Mask have one value for a token;
// nil means the default. Forward only reads it, but for what Keep names.
type Input struct {
	// IDs are token ids. [ZeroWord] and [MeanWord] stand for what is no token of
	// the vocabulary; positions and types are added to them as to any other.
	IDs []int32
	// Embeds replaces the word embeddings of IDs, [tokens, Info.Embedding], as
	// they come out of the lookup: before positions, types and norms. IDs
	// beside them say where padding is, which some models take positions from.
	Embeds []float32
	// Lengths are the numbers of tokens of the sequences, each at least 1; nil
	// means one sequence of all tokens, or no sequence where there are none.
	Lengths []int
	// TypeIDs are token types (segments), 0 by default. A model without types
	// ignores them: its tokenizer may well tell the texts of a pair apart.
	TypeIDs []int32
	// PositionIDs are positions. By default they count from 0 or from where the
	// model's do; a model without a table of positions ignores them.
	PositionIDs []int32
	// Mask is 1 for a token that others attend to and 0 for one that is
	// invisible to all queries of its sequence; 1 by default. Positions count
	// hidden tokens too.
	Mask []uint8
	// Reads are, for each sequence, the positions at which a model that answers
	// at every token is read, in any order; nil means all. What is not read is
	// not computed.
	Reads [][]int
	// Targets are, for each sequence, the positions that XLNet's query stream
	// predicts: the logits are theirs. nil runs the content stream alone.
	Targets [][]int
	// PermMask has, for each sequence, [length, length] row-major: 1 where a
	// query (row) cannot see a key of XLNet. nil hides nothing.
	PermMask [][]uint8
	// Memories are, for each layer, the cached rows of earlier segments of all
	// sequences, [rows, Info.Hidden], and MemoryLengths their numbers for each
	// sequence.
	Memories      [][]float32
	MemoryLengths []int
	// Past has, for each sequence, what an earlier forward kept of the tokens
	// before these; sequences may share it, and nil stands for none. Keep says
	// where to keep them and these for a later one: in the same Past, which
	// then grows, or in another, which is begun anew. A forward that fails
	// leaves what no later one can continue, and one [WithoutLogits], which may
	// leave layers out, keeps nothing. Mask must hide nothing beside them. Points
	// have the tokens of this forward alone; only the keys of scores and patterns,
	// their axis S, begin with those of the past. For causal models.
	Past, Keep []*Past
}

// The ids of what is no token of a vocabulary.
const (
	ZeroWord = tape.ZeroWord // −1: a word embedding that is all zeros
	MeanWord = tape.MeanWord // −2: the mean of the word embeddings of the whole vocabulary
)

// batch validates an input against the limits of a model and fills in
// defaults. read is the model's rule for what is read.
func (in Input) batch(a *arch.Architecture, read arch.Read) (tape.Batch, error) {
	info := &a.Info
	b := tape.Batch{IDs: in.IDs, Embeds: in.Embeds, TypeIDs: in.TypeIDs, PositionIDs: in.PositionIDs, Mask: in.Mask}
	tokens := len(in.IDs)
	if in.Embeds != nil {
		if len(in.Embeds)%info.Embedding != 0 {
			return b, inputError("Embeds", "has %d values, no multiple of the embedding width %d", len(in.Embeds), info.Embedding)
		}
		if n := len(in.Embeds) / info.Embedding; in.IDs != nil && n != tokens {
			return b, inputError("Embeds", "has rows for %d tokens beside %d IDs", n, tokens)
		}
		tokens = len(in.Embeds) / info.Embedding
	}
	if err := in.lengths(info, &b, tokens); err != nil {
		return b, err
	}
	if err := in.tokens(info, &b, tokens); err != nil {
		return b, err
	}
	if err := in.rows(info, &b, read); err != nil {
		return b, err
	}
	if err := in.memories(info, &b); err != nil {
		return b, err
	}
	for _, past := range []struct {
		name string
		list []*Past
	}{{"Past", in.Past}, {"Keep", in.Keep}} {
		if past.list != nil && len(past.list) != b.Sequences() {
			return b, inputError(past.name, "has %d entries for %d sequences", len(past.list), b.Sequences())
		}
	}
	b.Past, b.Keep = rowsOf(in.Past), rowsOf(in.Keep)
	if info.Positions > 0 && b.PositionIDs == nil {
		b.PositionIDs = positions(a, &b)
		for row, p := range b.PositionIDs {
			if int(p) >= info.Positions {
				return b, tokenError("Lengths", b.Starts, row, "is at position %d; the model has %d: truncate the sequence", p, info.Positions)
			}
		}
	}
	return b, nil
}

// lengths checks Lengths and sets where the sequences start.
func (in Input) lengths(info *Info, b *tape.Batch, tokens int) error {
	lengths := in.Lengths
	if lengths == nil && tokens > 0 {
		lengths = []int{tokens}
	}
	b.Starts = make([]int, 1, len(lengths)+1)
	sum := 0
	for i, n := range lengths {
		if n <= 0 || n > tokens-sum {
			return &InputError{"Lengths", i, -1, fmt.Sprintf("has length %d, but %d of %d tokens are left for it and those after it", n, tokens-sum, tokens)}
		}
		if info.Length > 0 && n > info.Length && in.PositionIDs == nil {
			return &InputError{"Lengths", i, -1, fmt.Sprintf("has %d tokens, but the model has %d positions: truncate it", n, info.Length)}
		}
		sum += n
		b.Starts = append(b.Starts, sum)
	}
	if sum != tokens {
		return inputError("Lengths", "sum up to %d, but there are %d tokens", sum, tokens)
	}
	return nil
}

// tokens checks what there is one of for each token.
func (in Input) tokens(info *Info, b *tape.Batch, tokens int) error {
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
			return inputError(field.name, "has %d values for %d tokens", field.length, tokens)
		}
	}
	if info.Types == 0 {
		b.TypeIDs = nil
	}
	if info.Positions == 0 {
		b.PositionIDs = nil
	}
	for _, check := range []struct {
		name      string
		values    []int32
		low, high int // allowed are [low, high)
	}{
		{"IDs", in.IDs, int(MeanWord), info.Vocabulary},
		{"TypeIDs", b.TypeIDs, 0, info.Types},
		{"PositionIDs", b.PositionIDs, 0, info.Positions},
	} {
		for row, v := range check.values {
			if int(v) < check.low || int(v) >= check.high {
				return tokenError(check.name, b.Starts, row, "is %d; the model takes %d to %d", v, check.low, check.high-1)
			}
		}
	}
	for row, v := range in.Mask {
		if v > 1 {
			return tokenError("Mask", b.Starts, row, "is %d; it must be 0 or 1", v)
		}
	}
	return nil
}

// rows settles what is read, and checks Targets and PermMask.
func (in Input) rows(info *Info, b *tape.Batch, read arch.Read) error {
	n := b.Sequences()
	for _, field := range []struct {
		name      string
		positions [][]int
	}{{"Reads", in.Reads}, {"Targets", in.Targets}} {
		if field.positions == nil {
			continue
		}
		if len(field.positions) != n {
			return inputError(field.name, "has positions for %d sequences, not %d", len(field.positions), n)
		}
		for i, positions := range field.positions {
			lo, hi := b.Range(i)
			for _, p := range positions {
				if p < 0 || p >= hi-lo {
					return &InputError{field.name, i, -1, fmt.Sprintf("names position %d of %d tokens", p, hi-lo)}
				}
			}
		}
	}
	switch {
	case in.Targets != nil && !info.Targets:
		return inputError("Targets", "are given, but a %s model has no query stream", info.ModelType)
	case in.PermMask != nil && !info.Targets:
		return inputError("PermMask", "is given, but a %s model takes no permutation mask", info.ModelType)
	case in.PermMask != nil && len(in.PermMask) != n:
		return inputError("PermMask", "has masks for %d sequences, not %d", len(in.PermMask), n)
	case in.Reads != nil && (read.From != arch.Every || in.Targets != nil):
		return inputError("Reads", "are given, but the model says itself what it reads")
	}
	for i, hidden := range in.PermMask {
		lo, hi := b.Range(i)
		if len(hidden) != (hi-lo)*(hi-lo) {
			return &InputError{"PermMask", i, -1, fmt.Sprintf("has %d values for %d tokens; it needs their square", len(hidden), hi-lo)}
		}
		for at, v := range hidden {
			if v > 1 {
				return &InputError{"PermMask", i, at / (hi - lo), fmt.Sprintf("is %d; it must be 0 or 1", v)}
			}
		}
	}
	b.Targets, b.Hidden, b.Reads = in.Targets, in.PermMask, in.Reads
	if read.From == arch.Every {
		return nil
	}
	b.Reads = make([][]int, n)
	for i := range b.Reads {
		lo, hi := b.Range(i)
		at := hi - lo - 1
		switch read.From {
		case arch.First:
			at = 0
		case arch.BeforePad:
			for t := lo; in.IDs != nil && t < hi; t++ {
				if in.IDs[t] == read.Pad {
					if t > lo {
						at = t - lo - 1
					}
					break
				}
			}
		}
		b.Reads[i] = []int{at}
	}
	return nil
}

// memories checks the cached rows of earlier segments.
func (in Input) memories(info *Info, b *tape.Batch) error {
	if in.Memories == nil && in.MemoryLengths == nil {
		return nil
	}
	switch {
	case !info.Memories:
		return inputError("Memories", "are given, but a %s model takes none", info.ModelType)
	case len(in.Memories) != info.Layers:
		return inputError("Memories", "are of %d layers; the model has %d", len(in.Memories), info.Layers)
	case len(in.MemoryLengths) != b.Sequences():
		return inputError("MemoryLengths", "has %d values for %d sequences", len(in.MemoryLengths), b.Sequences())
	}
	b.MemoryStarts = []int{0}
	for i, n := range in.MemoryLengths {
		if n < 0 || n > len(in.Memories[0]) {
			return &InputError{"MemoryLengths", i, -1, fmt.Sprintf("has %d cached rows; Memories hold %d of all sequences", n, len(in.Memories[0])/info.Hidden)}
		}
		b.MemoryStarts = append(b.MemoryStarts, b.MemoryStarts[i]+n)
	}
	for l, rows := range in.Memories {
		if want := b.MemoryStarts[b.Sequences()] * info.Hidden; len(rows) != want {
			return inputError("Memories", "of layer %d have %d values; MemoryLengths ask for %d", l, len(rows), want)
		}
	}
	b.Memories = in.Memories
	return nil
}

// positions returns the default positions: counted from the model's first one,
// over the tokens that are no padding where the model counts so.
func positions(a *arch.Architecture, b *tape.Batch) []int32 {
	out := make([]int32, b.Rows())
	for i := range b.Sequences() {
		lo, hi := b.Range(i)
		next := int32(a.FirstPosition)
		if b.Past != nil && b.Past[i] != nil {
			next += int32(b.Past[i].Length)
		}
		for t := lo; t < hi; t++ {
			if a.PadPosition != nil && b.IDs != nil && b.IDs[t] == *a.PadPosition {
				out[t] = *a.PadPosition
				continue
			}
			out[t] = next
			next++
		}
	}
	return out
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
