package tape

import "github.com/xai-go/xai/engine/arch"

// Batch is a ragged batch: sequences of different lengths packed one after
// another without padding, so that a row is a token. The engine has validated
// what it holds. Slices of rows are nil where the default is meant.
type Batch struct {
	First       int       // index of the first sequence in the request
	Starts      []int     // row in the request at which each sequence begins, and the end: one more than there are sequences
	IDs         []int32   // [rows]; −1 is the all-zero word embedding. nil if there are Embeds
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
	return s
}

// Tensor is a value in the number format of the model, row-major: exactly one
// of F32 and F64 is set.
type Tensor struct {
	Shape []int
	F32   []float32
	F64   []float64
}

// NewTensor returns a tensor of zeros.
func NewTensor(dtype arch.DType, shape ...int) Tensor {
	n := 1
	for _, dim := range shape {
		n *= dim
	}
	if dtype == arch.F64 {
		return Tensor{Shape: shape, F64: make([]float64, n)}
	}
	return Tensor{Shape: shape, F32: make([]float32, n)}
}

// Float64 returns the values as float64, which is exact.
func (t Tensor) Float64() []float64 {
	if t.F64 != nil {
		return t.F64
	}
	values := make([]float64, len(t.F32))
	for i, v := range t.F32 {
		values[i] = float64(v)
	}
	return values
}

// Float32 returns the values as float32, rounded to nearest even.
func (t Tensor) Float32() []float32 {
	if t.F32 != nil {
		return t.F32
	}
	values := make([]float32, len(t.F64))
	for i, v := range t.F64 {
		values[i] = float32(v)
	}
	return values
}

// Len returns the number of values.
func (t Tensor) Len() int { return len(t.F32) + len(t.F64) }

// values returns the values of a tensor whose format is T.
func values[T float32 | float64](t Tensor) []T {
	switch any(T(0)).(type) {
	case float32:
		return any(t.F32).([]T)
	default:
		return any(t.F64).([]T)
	}
}
