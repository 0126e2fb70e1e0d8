package sdk

import "context"

// Model is what a method sees of the model under explanation. Further powers
// (gradients, activations, edits, generation) are further interfaces, found by
// type assertion.
//
// A Model belongs to one explanation and is not safe for concurrent use by the
// method: one Forward with many rows is the way to ask for much.
type Model interface {
	// Info describes the model. It costs nothing.
	Info() ModelInfo
	// Forward evaluates variants of the request's input, N rows in one call.
	// The host builds the rows, removes duplicates, runs what is left in
	// batches of its own size, reports progress and honours cancellation.
	Forward(ctx context.Context, f *Forward) (Reply, error)
}

// ModelInfo describes the model under explanation.
type ModelInfo struct {
	ID           string // as the user named it
	Architecture string // "bert", "distilbert" …
	Task         string // "sequence-classification" …
	Labels       []string
	MaskToken    string // empty where the tokenizer has none
}

// Forward asks for the model's output on N variants of the input. Exactly one
// of Units, Masks, Texts and IDs says what the rows are.
type Forward struct {
	// Units is a u8 tensor [N,U] over the request's units, or over Over where
	// that is set: 1 keeps a unit, 0 drops it. For a text the host edits the
	// TEXT of each row (separators between units stay), then tokenises again.
	Units *Tensor
	// Masks is a u8 tensor [N,T] over the request's tokens: 1 keeps, 0 drops.
	// Special and fixed tokens are always kept.
	Masks *Tensor
	// Texts are N texts to tokenise in place of the request's.
	Texts []string
	// IDs are N rows of token ids, special tokens included.
	IDs [][]int32

	// Over replaces the request's units as the columns of Units.
	Over []Unit
	// Fill is what a dropped unit or token becomes. The zero value is the
	// tokenizer's mask token.
	Fill Fill
	// Target is a target expression; empty stands for the request's target.
	Target string
	// KeepDuplicates runs equal rows again instead of once.
	KeepDuplicates bool
}

// FillKind says what a dropped unit or token becomes.
type FillKind uint32

// The fill policies.
const (
	FillMask   FillKind = iota // the tokenizer's mask token
	FillPad                    // the tokenizer's padding token
	FillDelete                 // nothing: the row gets shorter
	FillZero                   // the zero vector in place of the word embedding
	FillText                   // Fill.Text
	FillToken                  // the token Fill.Token
)

// Fill is a fill policy with its argument.
type Fill struct {
	Kind  FillKind
	Text  string // of FillText
	Token int32  // of FillToken
}

// FillNames are the names of the policies that a parameter "fill" takes, in
// the order of FillMask … FillText.
var FillNames = []string{"mask", "pad", "delete", "zero", "text"}

// ParseFill returns the policy of that name.
func ParseFill(name string) (FillKind, bool) {
	for i, n := range FillNames {
		if n == name {
			return FillKind(i), true
		}
	}
	return 0, false
}

// The names of the tensors in a Reply.
const (
	ReplyTarget   = "target"   // f64 [N]: the target's value
	ReplyLogits   = "logits"   // f64 [N,C]
	ReplyProbs    = "probs"    // f64 [N,C]
	ReplyLogProbs = "logprobs" // f64 [N,C]
)

// Reply holds the outputs of one Forward. What is not asked for is not moved
// across the sandbox.
type Reply interface {
	// Tensor returns the output of that name (ReplyTarget …). The index
	// selects a layer where an output has one a layer, and is 0 elsewhere.
	Tensor(name string, index int) (*Tensor, error)
}
