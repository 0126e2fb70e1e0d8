package sdk

import "context"

// Differentiable is a Model that can be differentiated. Its use is the need
// NeedGradients.
type Differentiable interface {
	Model
	// Gradient is Forward, and the gradient of each row's target at the points
	// wrt, each of which is one name as Forward.Points has them: the reply holds
	// Grad(name) for it, of the shape of the point: where f.Rule is another one
	// than RuleGradient, the relevance there in the place of the gradient. Reading
	// it at a point other than the word embeddings takes the point's own need too.
	Gradient(ctx context.Context, f *Forward, wrt []string) (Reply, error)
}

// Generator is a Model that continues texts. Its use is the need NeedGenerate.
type Generator interface {
	Model
	// Generate continues a row of tokens, one token after the other.
	Generate(ctx context.Context, g *Generation) (*Continuation, error)
}

// Tokenizer is a Model that cuts texts into tokens. Its use is the need
// NeedTokenize.
type Tokenizer interface {
	Model
	// Tokenize returns the tokens of a text as the model reads it, special ones
	// included. Nothing is cut off, however long it is.
	Tokenize(ctx context.Context, text string) ([]Token, error)
}

// Grad returns the name under which a reply has the gradient at a point.
func Grad(point string) string { return "grad(" + point + ")" }

// Gradient calls m's Gradient. It is an *Error of code EUnsupported where m has
// none.
func Gradient(ctx context.Context, m Model, f *Forward, wrt ...string) (Reply, error) {
	if d, ok := m.(Differentiable); ok {
		return d.Gradient(ctx, f, wrt)
	}
	return nil, NewError(EUnsupported, "the model has no gradients")
}

// Generate calls m's Generate. It is an *Error of code EUnsupported where m has
// none.
func Generate(ctx context.Context, m Model, g *Generation) (*Continuation, error) {
	if d, ok := m.(Generator); ok {
		return d.Generate(ctx, g)
	}
	return nil, NewError(EUnsupported, "the model generates no text")
}

// Tokenize calls m's Tokenize. It is an *Error of code EUnsupported where m has
// none.
func Tokenize(ctx context.Context, m Model, text string) ([]Token, error) {
	if d, ok := m.(Tokenizer); ok {
		return d.Tokenize(ctx, text)
	}
	return nil, NewError(EUnsupported, "the model has no tokenizer")
}

// Rule says how a target is passed back through a model, with its code in the
// ABI. Minors add rules: EUnsupported where the host or the model has not the one
// that is asked for.
type Rule uint32

// The rules. Whatever the rule, what is passed back begins at the logits with the
// target's gradient there.
const (
	// RuleGradient is the chain rule.
	RuleGradient Rule = 0
	// RuleLRPAlpha1 is layer-wise relevance propagation with α = 1 and β = 0 as
	// Chefer, Gur and Wolf have it for transformers ("Transformer Interpretability
	// Beyond Attention Visualization", CVPR 2021): what each input of a layer has
	// of what speaks for its outputs. The relevance of a layer's values adds up to
	// that of the layer behind it. It is that of whole values, of attention's
	// scores and of its patterns, and not passed back through edits.
	RuleLRPAlpha1 Rule = 1
)

var ruleNames = [...]string{"gradient", "lrp-alpha1"}

// Known reports whether r is one of the rules.
func (r Rule) Known() bool { return int64(r) < int64(len(ruleNames)) }

// String returns the rule's name.
func (r Rule) String() string {
	if r.Known() {
		return ruleNames[r]
	}
	return "unknown"
}

// Generation says how a row of tokens is continued.
type Generation struct {
	Prompt      []int32 // nil for the request's tokens
	MaxTokens   int     // above 0
	Temperature float64 // logits are divided by it; 0 takes the most probable token every time
	TopK        int     // only the K most probable tokens may be drawn; 0 is no bound
	TopP        float64 // only the most probable ones that together have P; 0 is no bound
	Seed        uint64
}

// Continuation is what a model generated.
type Continuation struct {
	IDs      []int32
	LogProbs []float64 // of each token, by the model itself: before temperature and bounds
	Text     string    // that the tokens add to the prompt's
}

// EditOp is what an edit does, with its code in the ABI.
type EditOp uint32

// The operations of edits.
const (
	EditReplace EditOp = iota // by Value: patching
	EditZero                  // by 0: ablation
	EditMean                  // by the mean over all positions of the row
	EditAdd                   // Value: steering
	EditScale                 // by Value: multiplication
)

var editNames = [...]string{"replace", "zero", "mean", "add", "scale"}

// Known reports whether o is one of the operations.
func (o EditOp) Known() bool { return int64(o) < int64(len(editNames)) }

// String returns the operation's name.
func (o EditOp) String() string {
	if o.Known() {
		return editNames[o]
	}
	return "unknown"
}

// TakesValue reports whether o has an argument.
func (o EditOp) TakesValue() bool { return o == EditReplace || o == EditAdd || o == EditScale }

// Edit changes what a point holds while the model runs: all that is computed
// from it sees the change, gradients included. Its use is the need NeedPatch.
type Edit struct {
	Point string // one point, with a slice where only a part of it is meant: "blocks.3.attn.hook_z[h=2]"
	Op    EditOp
	// Value is the argument of EditReplace, EditAdd and EditScale, f32 or f64: of
	// one element, or of the selection's shape, rows first, in which axes of 1
	// are repeated.
	Value *Tensor
}
