package arch

// Point is a named value that callers read, edit and differentiate. Names and
// shapes are those of HookedTransformer, one meaning on every architecture.
type Point struct {
	Name  string
	Axes  []Axis // of the tensor that callers see; the first is B unless it has none
	Node  Value  // that it belongs to
	Stage Stage  // where in the node
	Layer int    // −1 outside of the blocks
	// Differentiable tells that gradients with respect to it can be asked for,
	// Editable that it can be changed, Virtual that it is computed only where
	// it is asked for.
	Differentiable, Editable, Virtual bool
}

// Stage says where in a node a point lies.
type Stage uint8

// The stages.
const (
	Out        Stage = iota // the node's value
	Divisor                 // of a norm: √(var + eps)
	Normalized              // of a norm: before gamma and beta
	Scores                  // of attention: what enters the softmax
	Pattern                 // of attention: the softmax
	Content                 // of attention: XLNet's (q + Content)·k
	Position                // of attention: XLNet's (q + Position)·r
	Segment                 // of attention: XLNet's (q + Segment)·s
	Result                  // of the linear layer behind attention: each head's share
	IDs                     // the token ids
)

// Axis is one axis of a point. Letters: B batch, T tokens (queries), S keys,
// H heads, K key heads, E width of a head, D residual stream, De word
// embedding, F feed-forward, V vocabulary, C classes, P targets, R relative
// positions, M memory, and 1.
type Axis struct {
	Letter string
	Size   int // 0 where it depends on the input
}
