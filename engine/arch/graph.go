package arch

// Value is a matrix that a graph computes: one row for each member of a row
// set, Width columns. It is the index of its node.
type Value int

// None stands for no value where one is optional.
const None Value = -1

// RowSet says what the rows of a value are. The number of rows depends on the
// batch; the sets do not.
type RowSet uint8

// The row sets.
const (
	Tokens   RowSet = iota // the tokens of all sequences
	Reads                  // the tokens that the head reads: the classifier's token, or the positions that the caller asks for
	Targets                // predicted positions: the query stream of XLNet
	Relative               // relative positions, from the farthest behind to the farthest ahead; the same for all sequences
	Memory                 // cached rows of earlier segments
	Context                // Memory, then Tokens, sequence by sequence
)

// Graph is an architecture: what it computes, written down once. It holds no
// weights, only their names, and runs nowhere by itself. Whatever runs it gets
// from it the forward pass, the gradients and every named point.
type Graph struct {
	Nodes  []Node  // each reads earlier ones alone
	Points []Point // in the order of execution
	Logits Value   // over Reads, or over Targets where there are any
	Read   Read    // which tokens are Reads unless the caller says so
	// Norm says where the norms of a block stand: NormPost, NormPre.
	Norm Placement
}

// Read is a rule that picks the token of a sequence that a classifier reads.
type Read struct {
	From Reader
	Pad  int32 // of BeforePad
}

// Reader is a rule of [Read].
type Reader uint8

// The rules.
const (
	Every     Reader = iota // all tokens: the head answers at every position
	First                   // the first token: [CLS]
	Last                    // the last token
	BeforePad               // the one before the first Pad, or the last where none comes before: GPT-2's classifier
)

// Placement says where a block's norms stand.
type Placement uint8

// The placements.
const (
	NormPost Placement = iota // after the sum with the residual: BERT
	NormPre                   // before attention and feed-forward: GPT-2
)

// Node is an operation with the matrix that it computes.
type Node struct {
	Op    Op
	Rows  RowSet
	Width int
	Block int // layer that it belongs to; −1 before the first, Layers behind the last
}

// Op is an operation of a graph. The set is closed: each has a forward and a
// vector-Jacobian product in the engine, so that nobody else implements one.
type Op interface {
	// Inputs returns the values that the operation reads.
	Inputs() []Value

	op()
}

// Words looks the word embeddings of the tokens up, or takes the embeddings
// that the caller gives in their place.
type Words struct {
	Table Weight // [vocabulary, width]
}

// Embed looks rows of a learned table up by what the tokens carry.
type Embed struct {
	Table Weight // [n, width]
	By    Key
}

// Key says what an [Embed] looks up by.
type Key uint8

// The keys.
const (
	ByPosition Key = iota
	ByType
)

// Repeat gives every row the same learned values: XLNet's g₀.
type Repeat struct {
	Row Weight // width values in all
}

// Sinusoids are the relative position encodings of Transformer-XL: for the
// position p of a row of [Relative], [sin(p·f) ‖ cos(p·f)] with
// f_k = 10000^(−2k/width).
type Sinusoids struct {
	Clamp int // positions are clamped to ±Clamp where it is above 0
}

// Remembered are the memories that the caller gives for a layer, [Memory, width].
type Remembered struct{ Layer int }

// Concat puts the rows of a [Memory] value before those of a [Tokens] value,
// sequence by sequence.
type Concat struct{ Memory, Tokens Value }

// Select picks the rows of a set: Reads or Targets out of Tokens.
type Select struct{ X Value }

// Spread puts the rows of Targets where they are mapped to among Tokens, those
// of the same token summed; the other rows are zero.
type Spread struct{ X Value }

// Add is A + B.
type Add struct{ A, B Value }

// Mul is A ∘ B.
type Mul struct{ A, B Value }

// Scale is Factor·X.
type Scale struct {
	X      Value
	Factor float64
}

// Norm is LayerNorm, (x − mean)/√(var + Eps)·Gamma + Beta, or with RMS set
// x/√(mean(x²) + Eps)·Gamma.
type Norm struct {
	X           Value
	Gamma, Beta Weight // [width]
	Eps         float64
	RMS         bool
	// Like is the norm whose points are this one's too, where several
	// consumers norm what they read by themselves; otherwise None.
	Like Value
}

// Linear is x·Wᵀ + b.
type Linear struct {
	X Value
	Projection
}

// Projection is the weights of a linear layer.
type Projection struct {
	W    Weight // [out, in]
	Bias Weight // [out]; the zero Weight where there is none
}

// Activate applies a function to every value, by the names of the reference
// implementation: gelu, gelu_new, relu, tanh …
type Activate struct {
	X    Value
	Name string
	Key  string // of the configuration that it was named under, for errors
}

// Edge passes X on to one consumer. It is where a caller edits what that
// consumer alone reads; untouched, it costs nothing. Where Heads is not 0 each
// of the consumer's heads has an edge of its own.
type Edge struct {
	X     Value
	Heads int
}

// Attention is softmax(Factor·(Q·Kᵀ + …) + mask)·V, head by head. Query, Key and
// Value hold the heads side by side. A query of Tokens, Reads or Targets sees
// the keys of its own sequence, the hidden ones excepted.
type Attention struct {
	Query, Key, Value Value
	Heads             int
	KeyHeads          int // query head h reads key head h/(Heads/KeyHeads)
	Factor            float64
	Causal            bool // a query sees the keys up to its own position
	Window            int  // where above 0, the last so many of them alone
	// SeesSelf makes a token see itself even where it is hidden, and obey the
	// caller's permutation mask otherwise: the content stream of XLNet.
	SeesSelf bool
	// Uniform makes a query that sees no key weigh all keys alike, which is
	// what adding −10³⁰ to all its scores comes to: the query stream of XLNet,
	// for the first token of a permutation. Elsewhere such a query gets 0.
	Uniform bool
	// Relative adds Transformer-XL's terms; nil adds none.
	Relative *RelativeTerms
}

// RelativeTerms are the further terms of XLNet's scores (Yang et al. 2019,
// arXiv:1906.08237): query i and key j score
//
//	(q_i + Content)·k_j + (q_i + Position)·r_{i−j} + (q_i + Segment)·s_ij
type RelativeTerms struct {
	R                          Value  // over Relative, heads side by side
	Content, Position, Segment Weight // [heads, width of a head]: r_w_bias, r_r_bias, r_s_bias
	Segments                   Weight // [2, heads, width of a head]: same type, other type
}

// Inputs implements [Op], here and for all of them.
func (Words) Inputs() []Value      { return nil }
func (Embed) Inputs() []Value      { return nil }
func (Repeat) Inputs() []Value     { return nil }
func (Sinusoids) Inputs() []Value  { return nil }
func (Remembered) Inputs() []Value { return nil }
func (o Concat) Inputs() []Value   { return []Value{o.Memory, o.Tokens} }
func (o Select) Inputs() []Value   { return []Value{o.X} }
func (o Spread) Inputs() []Value   { return []Value{o.X} }
func (o Add) Inputs() []Value      { return []Value{o.A, o.B} }
func (o Mul) Inputs() []Value      { return []Value{o.A, o.B} }
func (o Scale) Inputs() []Value    { return []Value{o.X} }
func (o Norm) Inputs() []Value     { return []Value{o.X} }
func (o Linear) Inputs() []Value   { return []Value{o.X} }
func (o Activate) Inputs() []Value { return []Value{o.X} }
func (o Edge) Inputs() []Value     { return []Value{o.X} }

func (o Attention) Inputs() []Value {
	in := []Value{o.Query, o.Key, o.Value}
	if o.Relative != nil {
		in = append(in, o.Relative.R)
	}
	return in
}

func (Words) op()      {}
func (Embed) op()      {}
func (Repeat) op()     {}
func (Sinusoids) op()  {}
func (Remembered) op() {}
func (Concat) op()     {}
func (Select) op()     {}
func (Spread) op()     {}
func (Add) op()        {}
func (Mul) op()        {}
func (Scale) op()      {}
func (Norm) op()       {}
func (Linear) op()     {}
func (Activate) op()   {}
func (Edge) op()       {}
func (Attention) op()  {}
