package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// continued returns a session of a language model, for its powers beside
// explanations.
func continued(t testing.TB, m *Model, in Input) *session {
	t.Helper()
	enc, err := m.encode(in)
	if err != nil {
		t.Fatal(err)
	}
	return &session{model: m, enc: enc, known: make(map[rowKey]int)}
}

// TestGenerateIsGenerate holds a method's continuation to that of xai predict
// --generate: of the input, and of a prompt.
func TestGenerateIsGenerate(t *testing.T) {
	m := openGolden(t, "gpt2-text", Options{})
	text := Input{Text: "the film was"}
	s := continued(t, m, text)
	for name, g := range map[string]sdk.Generation{
		"greedy": {MaxTokens: 6},
		"drawn":  {MaxTokens: 9, Temperature: 0.8, TopK: 20, TopP: 0.9, Seed: 7},
		"prompt": {MaxTokens: 4, Prompt: sampleIDs(5)[0]},
	} {
		in := text
		if g.Prompt != nil {
			in = Input{Raw: &Raw{IDs: g.Prompt}}
		}
		want, err := m.Generate(t.Context(), in, Generation{Tokens: g.MaxTokens, Temperature: g.Temperature, TopK: g.TopK, TopP: g.TopP, Seed: g.Seed})
		if err != nil {
			t.Fatal(err)
		}
		got, err := contract.Model(s, sdk.Info{Needs: []sdk.Need{sdk.NeedGenerate}}, &sdk.Request{}).(sdk.Generator).Generate(t.Context(), &g)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&sdk.Continuation{IDs: want.IDs, LogProbs: want.LogProbs, Text: want.Text}, got); diff != "" || len(got.IDs) == 0 {
			t.Errorf("%s (-predict +method):\n%s", name, diff)
		}
	}
}

// TestGenerateRefuses: what a model cannot continue has the class that says so.
func TestGenerateRefuses(t *testing.T) {
	gpt := openGolden(t, "gpt2-text", Options{})
	length, vocabulary := gpt.engine.Info().Length, gpt.engine.Info().Vocabulary
	bare := continued(t, gpt, Input{Raw: &Raw{IDs: []int32{5, 6}, Mask: []uint8{1, 0}}})
	embeds := continued(t, gpt, Input{Raw: &Raw{Embeds: make([]float32, 2*gpt.engine.Info().Embedding)}})
	bert := rawSession(t, openGolden(t, "bert-seqcls", Options{}), Request{})
	text := continued(t, gpt, Input{Text: "the film"})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		s    *session
		g    sdk.Generation
		want error
		says string
	}{
		"a classifier":       {bert, sdk.Generation{MaxTokens: 1}, code(sdk.EUnsupported), "only causal language models generate"},
		"a masked row":       {bare, sdk.Generation{MaxTokens: 1}, code(sdk.EUnsupported), "give a prompt"},
		"embeddings":         {embeds, sdk.Generation{MaxTokens: 1}, code(sdk.EUnsupported), "give a prompt"},
		"no token":           {text, sdk.Generation{MaxTokens: 1, Prompt: []int32{3, int32(vocabulary)}}, code(sdk.ERange), "token 1 of the prompt is"},
		"the zero vector":    {text, sdk.Generation{MaxTokens: 1, Prompt: []int32{engine.ZeroWord}}, code(sdk.ERange), "is -1"},
		"a long prompt":      {text, sdk.Generation{MaxTokens: 1, Prompt: make([]int32, length+1)}, code(sdk.ERange), "the model reads"},
		"a long prompt fits": {text, sdk.Generation{MaxTokens: 1, Prompt: make([]int32, length)}, nil, ""},
		"a prompt for both":  {bare, sdk.Generation{MaxTokens: 1, Prompt: []int32{4}}, nil, ""},
	} {
		_, err := c.s.Generate(t.Context(), &c.g)
		if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := text.Generate(cancelled, &sdk.Generation{MaxTokens: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	gpt.engine.Close()
	if _, err := text.Generate(t.Context(), &sdk.Generation{MaxTokens: 1}); err == nil || is[*sdk.Error](err) || !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a model that is closed is the method's fault: %v", err)
	}
}

// TestTokenize holds a method's tokens to those of the input, and gives all of
// them however long the text is.
func TestTokenize(t *testing.T) {
	m := openGolden(t, "bert-text", Options{})
	s := started(t, m, Request{Input: Input{Text: "the film was good"}})
	for _, text := range []string{"the film was good", "", "Schön, 電影!"} {
		got, err := s.Tokenize(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		enc, err := m.encode(Input{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(enc.tokens, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-input +tokenize):\n%s", text, diff)
		}
	}
	long, err := s.Tokenize(t.Context(), strings.Repeat("film ", 1000))
	if err != nil || len(long) != 1002 || long[1000].End != 4999 || m.MaxTokens() >= 1000 {
		t.Errorf("%d tokens of 1000 words: %v", len(long), err)
	}
	if _, err := s.Tokenize(t.Context(), "\xff"); !errors.Is(err, code(sdk.EInvalid)) {
		t.Errorf("no text: %v", err)
	}
	small := started(t, openGolden(t, "bert-text", Options{Memory: 4 << 20}), Request{Input: Input{Text: "the film"}})
	if _, err := small.Tokenize(t.Context(), strings.Repeat("film ", 4000)); !errors.Is(err, code(sdk.ENoMem)) || !strings.Contains(err.Error(), "need 4.9 MiB") {
		t.Errorf("more than memory allows: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Tokenize(cancelled, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	bare := rawSession(t, openGolden(t, "bert-seqcls", Options{}), Request{})
	if _, err := bare.Tokenize(t.Context(), "a"); !errors.Is(err, code(sdk.EUnsupported)) {
		t.Errorf("without a tokenizer: %v", err)
	}
}

// TestOffers: a method that needs what the model does not have is refused before
// it runs, with the need in the sentence.
func TestOffers(t *testing.T) {
	plain := []sdk.Need{sdk.NeedForward, sdk.NeedEmbeddings, sdk.NeedHiddenStates, sdk.NeedAttentions, sdk.NeedActivations, sdk.NeedPatch}
	with := func(more ...sdk.Need) []sdk.Need { return append(slices.Clone(plain), more...) }
	text, bare := openGolden(t, "bert-text", Options{}), openGolden(t, "bert-seqcls", Options{})
	int8, gpt := openGolden(t, "bert-text", Options{DType: "int8"}), openGolden(t, "gpt2-text", Options{})
	for name, c := range map[string]struct {
		model *Model
		needs []sdk.Need
		kind  Kind // 0 where it is offered
		says  string
	}{
		"all of a classifier":        {text, with(sdk.NeedGradients, sdk.NeedTokenize), 0, ""},
		"all of a language model":    {gpt, with(sdk.NeedGradients, sdk.NeedTokenize, sdk.NeedGenerate), 0, ""},
		"all in 8 bits":              {int8, with(sdk.NeedTokenize), 0, ""},
		"all of a bare model":        {bare, with(sdk.NeedGradients), 0, ""},
		"gradients in 8 bits":        {int8, with(sdk.NeedGradients), KindInput, "method m needs gradients, and the model "},
		"generation of a classifier": {text, with(sdk.NeedGenerate), KindInput, "does sequence-classification"},
		"tokens of a bare model":     {bare, with(sdk.NeedTokenize), KindInput, "has no tokenizer"},
		"a need of tomorrow":         {text, with("telepathy"), KindMethod, "needs telepathy, which this version does not know"},
	} {
		err := c.model.offers(sdk.Info{Name: "m", Needs: c.needs})
		if c.kind == 0 && err != nil || c.kind != 0 && (err == nil || KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForwardMemory: a plain forward that does not fit has a class, too, and
// stays what it is to the user.
func TestForwardMemory(t *testing.T) {
	m := openGolden(t, "bert-text", Options{Threads: 1})
	s := started(t, m, Request{Input: Input{Text: "the film"}})
	err := m.provoked(engineError(m.id, &engine.MemoryError{What: "the rows", Need: 2 << 20, Budget: 1 << 20}), false)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != KindInput || !errors.Is(err, code(sdk.ENoMem)) || !strings.Contains(e.Hint, "--memory") {
		t.Errorf("memory: %#v", err)
	}
	m.engine.Close()
	if _, err := s.Forward(t.Context(), &sdk.Forward{Texts: []string{"film"}}); err == nil || is[*sdk.Error](err) {
		t.Errorf("a failure of the machine is the method's: %v", err)
	}
}

// TestUnfitFill: a fill that the model does not have matters to rows that drop
// something alone, so that the input itself can be asked for in any model.
func TestUnfitFill(t *testing.T) {
	gpt := openGolden(t, "gpt2-seqcls", Options{}) // without a tokenizer
	s := rawSession(t, gpt, Request{})
	whole, part := slices.Repeat([]uint8{1}, 9), slices.Repeat([]uint8{1}, 9)
	part[4] = 0
	f := &sdk.Forward{Masks: sdk.NewTensor(whole, 1, 9)}
	if got := s.logitsOf(t, f); !slices.Equal(got[0], s.answers[0].values) {
		t.Errorf("all kept: %v", got)
	}
	f.Masks = sdk.NewTensor(slices.Concat(whole, part), 2, 9)
	if _, err := s.Forward(t.Context(), f); !errors.Is(err, code(sdk.EUnsupported)) {
		t.Errorf("one dropped: %v", err)
	}
}
