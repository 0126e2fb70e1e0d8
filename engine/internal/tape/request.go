package tape

import (
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// Request says what a forward is to compute. Plans are made for it once and
// serve any batch of its form.
type Request struct {
	Form     arch.Form
	Logits   bool              // the head's output at the rows it reads
	AllReads bool              // every token is read, whatever the graph's rule
	Captures []point.Selection // values to return
	Edits    []point.Edit      // changes, applied in this order
	// Gradients are the points with respect to which the objective is
	// differentiated: as its consumers read them, after edits. nil makes no
	// backward pass.
	Gradients []point.Selection
	// Rule passes the objective back in the place of the chain rule: Gradients
	// are then of relevance. Such a request has no edits.
	Rule Rule
	// Recompute keeps only what passes between blocks and computes the rest of
	// a block again on the way back: the same bits from less memory.
	Recompute bool
	// Reuse computes what depends on a token's id, position and type alone once
	// for all tokens that are alike: see [Program.Shared].
	Reuse bool
	// KeepRows computes the last layers at all tokens even where the head reads
	// few of them.
	KeepRows bool
}
