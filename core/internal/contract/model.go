package contract

import (
	"context"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Points is a model that says what its points are to a method.
type Points interface {
	// PointNeeds returns, each once, the needs of the points that a name stands
	// for: NeedEmbeddings, NeedHiddenStates, NeedAttentions or NeedActivations.
	// It returns the error of a forward that asks for a name that there is not.
	PointNeeds(name string) ([]sdk.Need, error)
}

// Model returns m restricted to what info declares that the method needs, with
// every call checked against the request before m sees it. It is a
// sdk.Differentiable, a sdk.Generator and a sdk.Tokenizer, whose answer is
// EUNSUPPORTED where m is none. What a point needs is what m says, as [Points];
// of any other model "embeddings" is the word embeddings, and every other name an
// activation's.
func Model(m sdk.Model, info sdk.Info, r *sdk.Request) sdk.Model {
	return &model{m, info.Needs, r}
}

type model struct {
	sdk.Model
	needs   []sdk.Need
	request *sdk.Request
}

var (
	_ sdk.Differentiable = (*model)(nil)
	_ sdk.Generator      = (*model)(nil)
	_ sdk.Tokenizer      = (*model)(nil)
)

// Forward implements sdk.Model.
func (m *model) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	if err := m.granted(sdk.NeedForward, "asks for a forward"); err != nil {
		return nil, err
	}
	if err := m.check(ctx, f); err != nil {
		return nil, err
	}
	if f.Rule != sdk.RuleGradient {
		return nil, invalid("a forward has a rule, which only a gradient passes its target back by")
	}
	return m.Model.Forward(ctx, f)
}

// Gradient implements sdk.Differentiable.
func (m *model) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	if err := m.granted(sdk.NeedGradients, "asks for gradients"); err != nil {
		return nil, err
	}
	if err := m.check(ctx, f); err != nil {
		return nil, err
	}
	if !f.Rule.Known() {
		return nil, sdk.NewError(sdk.EUnsupported, "the gradient is to be passed back by a rule that this version does not know")
	}
	if len(wrt) == 0 {
		return nil, invalid("a gradient names no point to take it at")
	}
	if err := checkNames(wrt); err != nil {
		return nil, err
	}
	for _, name := range wrt {
		if err := m.point(ctx, name, "takes the gradient at", sdk.NeedEmbeddings); err != nil {
			return nil, err
		}
	}
	return sdk.Gradient(ctx, m.Model, f, wrt...)
}

// Generate implements sdk.Generator.
func (m *model) Generate(ctx context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	if err := m.granted(sdk.NeedGenerate, "generates text"); err != nil {
		return nil, err
	}
	if err := checkGeneration(g); err != nil {
		return nil, err
	}
	return sdk.Generate(ctx, m.Model, g)
}

// Tokenize implements sdk.Tokenizer.
func (m *model) Tokenize(ctx context.Context, text string) ([]sdk.Token, error) {
	if err := m.granted(sdk.NeedTokenize, "cuts a text into tokens"); err != nil {
		return nil, err
	}
	if len(text) > abi.MaxText {
		return nil, outside("the text has " + strconv.Itoa(len(text)) + " bytes, and " + strconv.Itoa(abi.MaxText) + " is the most")
	}
	if !utf8.ValidString(text) {
		return nil, invalid("the text is not UTF-8")
	}
	return sdk.Tokenize(ctx, m.Model, text)
}

// check checks a forward, or a gradient's: first what it needs, as far as its
// fields say, then whether it has a meaning, then what its points need.
func (m *model) check(ctx context.Context, f *sdk.Forward) error {
	if f == nil {
		return invalid("the forward is nil")
	}
	if f.Embeds != nil {
		if err := m.granted(sdk.NeedEmbeddings, "gives embeddings in place of tokens"); err != nil {
			return err
		}
	}
	if len(f.Edits) > 0 {
		if err := m.granted(sdk.NeedPatch, "edits activations"); err != nil {
			return err
		}
	}
	if err := checkForward(f, m.request); err != nil {
		return err
	}
	for _, name := range f.Points {
		if err := m.point(ctx, name, "reads", ""); err != nil {
			return err
		}
	}
	return nil
}

// granted returns ECAP unless a need is among those that were granted.
func (m *model) granted(need sdk.Need, what string) error {
	if slices.Contains(m.needs, need) {
		return nil
	}
	return &Fault{sdk.NewError(sdk.ECap, "the method "+what+" without the need "+strconv.Quote(string(need))+", which its declaration must name")}
}

// point returns ECAP unless a name is of points whose needs were granted; one
// need is free.
func (m *model) point(ctx context.Context, name, what string, free sdk.Need) error {
	if slices.Contains(m.needs, sdk.NeedActivations) { // any point
		return nil
	}
	if err := ctx.Err(); err != nil { // there may be thousands of globs
		return err
	}
	needs := []sdk.Need{sdk.NeedActivations}
	if name == string(sdk.NeedEmbeddings) {
		needs[0] = sdk.NeedEmbeddings
	}
	if p, ok := m.Model.(Points); ok {
		var err error
		if needs, err = p.PointNeeds(name); err != nil {
			return err
		}
	}
	for _, need := range needs {
		if need == free {
			continue
		}
		if err := m.granted(need, what+" "+name); err != nil {
			return err
		}
	}
	return nil
}

// checkGeneration checks that a generation has a meaning.
func checkGeneration(g *sdk.Generation) error {
	switch {
	case g == nil:
		return invalid("the generation is nil")
	case g.MaxTokens <= 0:
		return invalid("a generation adds " + strconv.Itoa(g.MaxTokens) + " tokens, and 1 is the least")
	case g.MaxTokens > abi.MaxTokens:
		return outside("a generation adds " + strconv.Itoa(g.MaxTokens) + " tokens, and " + strconv.Itoa(abi.MaxTokens) + " is the most")
	case g.Prompt != nil && len(g.Prompt) == 0:
		return invalid("the prompt of a generation holds no token")
	case !(g.Temperature >= 0) || math.IsInf(g.Temperature, 1):
		return invalid("the temperature of a generation is neither 0 nor a finite number above it")
	case g.TopK < 0:
		return invalid("a generation draws from less than no tokens")
	case !(g.TopP >= 0 && g.TopP <= 1):
		return invalid("the probability that a generation draws from is not between 0 and 1")
	}
	for i, id := range g.Prompt {
		if id < 0 {
			return outside("token " + strconv.Itoa(i) + " of the prompt is " + strconv.Itoa(int(id)) + ", and ids count from 0")
		}
	}
	return nil
}
