package sdk

import "context"

// Model is what a method sees of the model under explanation. Further powers
// are the interfaces Differentiable, Generator and Tokenizer; the functions
// Gradient, Generate and Tokenize ask for them. Evaluate is the usual Forward.
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

	// Sizes, each 0 where there is none or where the host does not say.
	Layers     int // blocks: those of "hidden_states[…]" and "attentions[…]"
	Heads      int // of attention in each layer
	Embedding  int // width of the word embeddings
	Hidden     int // width of the hidden states
	Vocabulary int // ids of tokens are less
	MaxTokens  int // of the longest row that the model reads, special ones included; 0 for no bound

	MaskID     *int32  // nil where the tokenizer has no mask token
	PadID      *int32  // nil where it has no padding token
	SpecialIDs []int32 // ascending; nil where there are none
}

// Forward asks for the model's output on N variants of the input. Exactly one
// of Units, Masks, Texts, IDs and Embeds says what the rows are.
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
	// Embeds is an f32 tensor [N,T,D]: in each row, vectors in the place of the
	// word embeddings of the request's T tokens. Its use is the need
	// NeedEmbeddings.
	Embeds *Tensor

	// Over replaces the request's units as Units' columns. Where one of them has
	// no spans, all are dropped token by token, special tokens included; fixed
	// tokens stay.
	Over []Unit
	// Fill is what a dropped unit or token becomes. The zero value is the
	// tokenizer's mask token.
	Fill Fill
	// Target is a target expression; empty stands for the request's target.
	Target string
	// KeepDuplicates runs equal rows again instead of once.
	KeepDuplicates bool

	// Points names what the reply holds of the model's inside, rows first and
	// padded with zeros to the longest one: "embeddings" (what a layer 0 reads of
	// the vocabulary, need NeedEmbeddings), "hidden_states[2]" (NeedHiddenStates),
	// "attentions[3][h=1]" or "blocks.3.attn.hook_pattern" (NeedAttentions), and
	// any other activation (NeedActivations, which covers the former too). A name
	// that selects several, such as "attentions", has one tensor for each: the
	// index of Reply.Tensor counts them in the order of the layers.
	Points []string
	// Edits change values on the way, in order, in every row. Their use is the
	// need NeedPatch.
	Edits []Edit
	// Rule says how a gradient passes the target back; of Gradient alone.
	Rule Rule
}

// FillKind says what a dropped unit or token becomes, with its code in the ABI.
type FillKind uint32

// The fill policies. FillZero, FillHide and FillAverage leave the other tokens
// and all positions alone: a unit of text is dropped token by token.
const (
	FillMask    FillKind = iota // the tokenizer's mask token
	FillPad                     // the tokenizer's padding token
	FillDelete                  // nothing: the row gets shorter
	FillZero                    // the zero vector in place of the word embedding
	FillText                    // Fill.Text
	FillToken                   // the token Fill.Token
	FillHide                    // itself, in its place, but no token attends to it
	FillAverage                 // the mean word embedding of the vocabulary
)

// fillNames has the name of each policy at its code.
var fillNames = [...]string{"mask", "pad", "delete", "zero", "text", "token", "hide", "average"}

// Known reports whether k is one of the policies.
func (k FillKind) Known() bool { return int64(k) < int64(len(fillNames)) }

// String returns the policy's name.
func (k FillKind) String() string {
	if k.Known() {
		return fillNames[k]
	}
	return "unknown"
}

// InPlace reports whether a dropped token leaves the others as they are, so that
// nothing is tokenised again.
func (k FillKind) InPlace() bool { return k == FillZero || k == FillHide || k == FillAverage }

// Fill is a fill policy with its argument.
type Fill struct {
	Kind  FillKind
	Text  string // of FillText
	Token int32  // of FillToken
}

// FillNames are the names of the policies that a parameter "fill" takes: all
// but FillToken.
var FillNames = []string{"mask", "pad", "delete", "zero", "hide", "average", "text"}

// ParseFill returns the policy of that name.
func ParseFill(name string) (FillKind, bool) {
	for k, n := range fillNames {
		if n == name {
			return FillKind(k), true
		}
	}
	return 0, false
}

// The names of the tensors in a Reply.
const (
	ReplyTarget   = "target"   // f64 [N]: the target's value
	ReplyLogits   = "logits"   // f64 [N,C], of a classifier of texts alone
	ReplyProbs    = "probs"    // f64 [N,C], likewise
	ReplyLogProbs = "logprobs" // f64 [N,C], likewise
)

// Reply holds the outputs of one Forward or Gradient. What is not asked for is
// not moved across the sandbox.
type Reply interface {
	// Tensor returns the output of that name: ReplyTarget …, a name of
	// Forward.Points, or Grad of a point. Points are f32, or f64 in a model that
	// computes so, and token ids i64. The index selects one of several points that
	// a name stands for, and is 0 elsewhere: it is an *Error of code ERange beyond
	// them, and of code EName for what was not asked for. The tensor may be the
	// host's own: a method does not change it.
	Tensor(name string, index int) (*Tensor, error)
}

// Evaluate returns the target's value in each row of f: all that many a method
// asks of a model. It is Forward, and the elements of ReplyTarget.
func Evaluate(ctx context.Context, m Model, f *Forward) ([]float64, error) {
	reply, err := m.Forward(ctx, f)
	if err != nil {
		return nil, err
	}
	t, err := reply.Tensor(ReplyTarget, 0)
	if err != nil {
		return nil, err
	}
	return Values[float64](t)
}
