package tape

import "github.com/xai-go/xai/engine/arch"

// Size bounds the groups that a runner can take.
type Size struct {
	Sequences int
	Tokens    int // of all sequences
	Reads     int // rows that the head reads, of all sequences
	Targets   int // of all sequences
	Memory    int // cached rows of all sequences
	Longest   int // tokens of the longest sequence
	Context   int // tokens and cached rows of the longest sequence
	Threads   int // of the pool that it will be given; 1 for none
}

// rows returns the number of rows of a set.
func (s Size) rows(set arch.RowSet) int {
	switch set {
	case arch.Tokens:
		return s.Tokens
	case arch.Reads:
		return s.Reads
	case arch.Targets:
		return s.Targets
	case arch.Memory:
		return s.Memory
	case arch.Context:
		return s.Memory + s.Tokens
	case arch.Relative:
		return s.Context + s.Longest
	}
	panic("tape: no such set of rows")
}

// Union returns the size of what holds s and t.
func (s Size) Union(t Size) Size {
	return Size{
		Sequences: max(s.Sequences, t.Sequences), Tokens: max(s.Tokens, t.Tokens), Reads: max(s.Reads, t.Reads),
		Targets: max(s.Targets, t.Targets), Memory: max(s.Memory, t.Memory), Longest: max(s.Longest, t.Longest),
		Context: max(s.Context, t.Context), Threads: max(s.Threads, t.Threads),
	}
}

// Size returns the size of a batch that is run as one group; Threads is 0.
func (b Batch) Size() Size {
	s := Size{Sequences: b.Sequences(), Tokens: b.Rows()}
	for i := range b.Sequences() {
		lo, hi := b.Range(i)
		sequence := b.Sequence(i)
		before := b.prefix(i)
		if b.Reads == nil {
			s.Reads += before + hi - lo
		} else {
			s.Reads += len(b.Reads[sequence])
		}
		if b.Targets != nil {
			s.Targets += len(b.Targets[sequence])
		}
		if b.MemoryStarts != nil {
			cached := b.MemoryStarts[sequence+1] - b.MemoryStarts[sequence]
			s.Memory += cached
			before += cached
		}
		if past := b.past(i); past != nil {
			before += past.Length
		}
		s.Longest, s.Context = max(s.Longest, hi-lo), max(s.Context, before+hi-lo)
	}
	return s
}

// Holds tells whether groups of size t fit into s.
func (s Size) Holds(t Size) bool {
	return s.Sequences >= t.Sequences && s.Tokens >= t.Tokens && s.Reads >= t.Reads && s.Targets >= t.Targets &&
		s.Memory >= t.Memory && s.Longest >= t.Longest && s.Context >= t.Context && s.Threads >= t.Threads
}
