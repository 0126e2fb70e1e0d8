package core

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

// A session has all powers of a model; whether the model has them too, it says
// when it is asked.
var (
	_ sdk.Differentiable = (*session)(nil)
	_ sdk.Generator      = (*session)(nil)
	_ sdk.Tokenizer      = (*session)(nil)
	_ contract.Points    = (*session)(nil)
)

// offers refuses a method that needs what the model does not have.
func (m *Model) offers(info sdk.Info) error {
	for _, need := range info.Needs {
		task, why, hint := m.engine.Info().Task, "", ""
		switch {
		case !slices.Contains(sdk.Needs(), need):
			return &Error{Kind: KindMethod, Msg: "method " + info.Name + " needs " + string(need) + ", which this version does not know", Hint: "a newer xai may"}
		case need == sdk.NeedGradients && m.engine.Info().DType == engine.INT8:
			why, hint = "has none in 8 bits", "open it with --dtype f32"
		case need == sdk.NeedGenerate && task != arch.CausalLM:
			why, hint = "does "+task, "use a causal language model"
		case need == sdk.NeedTokenize && m.tokenizer == nil:
			why, hint = "has no tokenizer", "put tokenizer.json or vocab.txt into its folder"
		default:
			continue
		}
		return &Error{Kind: KindInput, Msg: "method " + info.Name + " needs " + string(need) + ", and the model " + m.id + " " + why, Hint: hint}
	}
	return nil
}

// Generate implements sdk.Generator.
func (s *session) Generate(ctx context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	start := time.Now()
	defer func() { s.forward += time.Since(start) }()
	m := s.model
	if task := m.engine.Info().Task; task != arch.CausalLM {
		return nil, sdk.NewError(sdk.EUnsupported, "only causal language models generate, and the model "+m.id+" does "+task)
	}
	raw := &Raw{IDs: g.Prompt}
	if g.Prompt == nil {
		base := s.enc.row
		raw = &Raw{IDs: base.ids, Mask: base.mask, PositionIDs: base.positions, TypeIDs: base.types}
		if base.ids == nil || base.mask != nil || base.positions != nil || base.types != nil {
			return nil, sdk.NewError(sdk.EUnsupported, "the input is more than a row of tokens, and a row to continue has its ids alone: give a prompt")
		}
	}
	if err := m.readable("the prompt", raw.IDs); err != nil {
		return nil, err
	}
	out, err := m.Generate(ctx, Input{Raw: raw}, Generation{Tokens: g.MaxTokens, Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, Seed: g.Seed})
	if err != nil {
		return nil, m.provoked(err, false)
	}
	return &sdk.Continuation{IDs: out.IDs, LogProbs: out.LogProbs, Text: out.Text}, nil
}

// Tokenize implements sdk.Tokenizer.
func (s *session) Tokenize(ctx context.Context, text string) ([]sdk.Token, error) {
	start := time.Now()
	defer func() { s.forward += time.Since(start) }()
	m := s.model
	if m.tokenizer == nil {
		return nil, sdk.NewError(sdk.EUnsupported, "the model "+m.id+" has no tokenizer, so it cuts no text")
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := (Input{Text: text}).texts(m.memory); err != nil {
		if !is[*engine.MemoryError](err) {
			return nil, sdk.NewError(sdk.EInvalid, err.Error())
		}
		return nil, m.provoked(err, false)
	}
	enc, err := m.tokenizer.Encode(text, tokenizer.Options{})
	if err != nil {
		return nil, sdk.NewError(sdk.EInvalid, plain(err.Error()))
	}
	return tokens(enc.Tokens), nil
}

// readable refuses rows of token ids that the model does not know, or that are
// longer than what it reads.
func (m *Model) readable(what string, ids []int32) error {
	info := m.engine.Info()
	if info.Length > 0 && len(ids) > info.Length {
		return sdk.NewError(sdk.ERange, what+" has "+strconv.Itoa(len(ids))+" tokens, and the model reads "+strconv.Itoa(info.Length)+" at most")
	}
	for i, id := range ids {
		if err := m.knows("token "+strconv.Itoa(i)+" of "+what, id); err != nil {
			return err
		}
	}
	return nil
}

// knows refuses an id that is no token's.
func (m *Model) knows(what string, id int32) error {
	if n := m.engine.Info().Vocabulary; id < 0 || int(id) >= n {
		return sdk.NewError(sdk.ERange, what+" is "+strconv.Itoa(int(id))+", and the ids of the model are 0 to "+strconv.Itoa(n-1))
	}
	return nil
}

// provoked gives the errors of a forward a code that a method can mend by asking
// for something else; given says that it gave the model embeddings or edits.
// Memory that does not suffice stays what it is to the user, too. All else is no
// business of the method's.
func (m *Model) provoked(err error, given bool) error {
	if is[*sdk.Error](err) {
		return err
	}
	code := sdk.EInvalid
	switch {
	case is[*engine.MemoryError](err):
		e, ok := errors.AsType[*Error](engineError(m.id, err))
		if !ok {
			return err
		}
		coded := *e
		coded.Err = errors.Join(sdk.NewError(sdk.ENoMem, e.Error()), err)
		return &coded
	case given && errors.Is(err, engine.ErrNotFinite):
		return sdk.NewError(sdk.EInvalid, "with these embeddings or edits the model answers with numbers that are not finite")
	case is[*engine.InputError](err):
		code = sdk.ERange
	case is[*engine.OptionError](err):
	case is[*point.MismatchError](err):
		if m.engine.Info().DType == engine.INT8 {
			code = sdk.EUnsupported // which has no gradients
		}
	default:
		return err
	}
	return sdk.NewError(code, plain(err.Error()))
}
