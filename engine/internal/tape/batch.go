package tape

import "github.com/xai-go/xai/engine/result"

// Batch is a ragged batch: sequences of different lengths packed one after
// another without padding, so that a row is a token. The engine has validated
// what it holds. Slices of rows are nil where the default is meant.
type Batch struct {
	First       int       // index of the first sequence in the request
	Index       []int     // index of each sequence in the request, where they do not follow First in order
	Starts      []int     // row in the request at which each sequence begins, and the end: one more than there are sequences
	IDs         []int32   // [rows]; of tokens, ZeroWord or MeanWord. nil if there are Embeds
	Embeds      []float32 // [rows, Info.Embedding], in place of the word embeddings
	TypeIDs     []int32   // [rows]; default 0
	PositionIDs []int32   // [rows]
	Mask        []uint8   // [rows]; 0 hides a key from all queries of its sequence
	// Reads are the positions within its sequence that the head reads, for
	// each sequence of the request; nil stands for all of them.
	Reads [][]int
	// Targets are the positions that the query stream predicts, for each
	// sequence of the request; nil where there are none.
	Targets [][]int
	// Hidden has, for each sequence of the request, [length, length]: 1 where a
	// query (row) cannot see a key. nil hides none.
	Hidden [][]uint8
	// Memories has, for each layer, the cached rows of all sequences of the
	// request, [rows, width], and MemoryStarts where each sequence begins
	// among them, and the end. nil where there are none.
	Memories     [][]float32
	MemoryStarts []int
	// Prefixes has, for each sequence, the ranges of rows [lo, hi) of the batch
	// that come before its own ones, in order: what it has in common with
	// earlier sequences of a causal model. nil where there are none.
	Prefixes [][][2]int
	// Tables, [rows, width], are what a shared program computes and the program
	// itself reads: Alike has, for each row, the row of Tables that holds what
	// tokens like it have come to.
	Alike  []int32
	Tables []result.Tensor
	// Past has, for each sequence of the request, what was kept of the tokens
	// before those of the batch; Keep where to keep it, and these, for later.
	// Entries may be nil, and either may be.
	Past, Keep []*Past
}

// The ids of what is no token of a vocabulary: the word embedding that is all
// zeros, and the mean of all word embeddings. Both have the position and the
// type of any token.
const (
	ZeroWord int32 = -1
	MeanWord int32 = -2
)

// Sequence returns the index of sequence i of b in the request.
func (b Batch) Sequence(i int) int {
	if b.Index != nil {
		return b.Index[i]
	}
	return b.First + i
}

// prefix returns the number of rows before the own ones of sequence i that the
// batch itself computes.
func (b Batch) prefix(i int) int {
	n := 0
	if b.Prefixes != nil {
		for _, r := range b.Prefixes[i] {
			n += r[1] - r[0]
		}
	}
	return n
}

// Sequences returns the number of sequences.
func (b Batch) Sequences() int { return len(b.Starts) - 1 }

// Rows returns the number of tokens.
func (b Batch) Rows() int { return b.Starts[len(b.Starts)-1] - b.Starts[0] }

// Range returns the rows [lo, hi) of sequence i, both counted within b.
func (b Batch) Range(i int) (lo, hi int) {
	return b.Starts[i] - b.Starts[0], b.Starts[i+1] - b.Starts[0]
}

// Slice returns the sequences [lo, hi) of b, which share its memory.
func (b Batch) Slice(lo, hi int) Batch {
	from, to := b.Starts[lo]-b.Starts[0], b.Starts[hi]-b.Starts[0]
	s := b
	s.First, s.Starts = b.First+lo, b.Starts[lo:hi+1]
	if b.IDs != nil {
		s.IDs = b.IDs[from:to]
	}
	if b.Embeds != nil {
		width := len(b.Embeds) / b.Rows()
		s.Embeds = b.Embeds[from*width : to*width]
	}
	if b.TypeIDs != nil {
		s.TypeIDs = b.TypeIDs[from:to]
	}
	if b.PositionIDs != nil {
		s.PositionIDs = b.PositionIDs[from:to]
	}
	if b.Mask != nil {
		s.Mask = b.Mask[from:to]
	}
	if b.Alike != nil {
		s.Alike = b.Alike[from:to]
	}
	return s
}
