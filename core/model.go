package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

// Model is an open model. It is safe for concurrent use.
type Model struct {
	id        string
	engine    *engine.Model
	tokenizer *tokenizer.Tokenizer // nil where the folder holds none
	labels    []string
	head      head // of a classifier of sequences
	memory    int64
	typed     bool // the tokenizer gives a single text token types beside 0
	cache     *cache
	float32   *float32s    // of a model in 8 bits; nil of others
	ran       atomic.Int64 // rows
}

// OpenModel opens a Hugging Face style model folder, or an embedded model by
// its name builtin:NAME.
func (h *Host) OpenModel(ctx context.Context, ref string) (*Model, error) {
	return h.open(ctx, ref, engine.DType(h.options.DType))
}

// open opens a model in a number format.
func (h *Host) open(ctx context.Context, ref string, dtype engine.DType) (*Model, error) {
	fsys, err := h.folder(ref)
	if err != nil {
		return nil, err
	}
	tok, err := openTokenizer(fsys, ref)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		tok = nil // raw inputs need none
	}
	opts := []engine.Option{engine.WithThreads(h.options.Threads), engine.WithDType(dtype)}
	memory := cmp.Or(h.options.Memory, engine.DefaultMemory)
	opts = append(opts, engine.WithMemory(memory))
	e, err := engine.Open(ctx, fsys, opts...)
	if err != nil {
		return nil, engineError(ref, err)
	}
	m := &Model{id: ref, engine: e, tokenizer: tok, labels: e.Labels(), memory: memory, cache: newCache(h.options.Cache)}
	if m.head, err = headOf(e); err != nil {
		e.Close()
		return nil, engineError(ref, err)
	}
	if dtype == engine.INT8 {
		m.float32 = &float32s{open: func(ctx context.Context) (*Model, error) { return h.open(ctx, ref, engine.F32) }}
	}
	if tok != nil {
		enc, err := tok.Encode("", tokenizer.Options{})
		m.typed = err == nil && slices.ContainsFunc(enc.TypeIDs(), func(t int32) bool { return t != 0 })
	}
	return m, nil
}

// headOf reads from the configuration what a classifier's logits mean.
func headOf(e *engine.Model) (head, error) {
	if e.Info().Task != arch.SequenceClassification {
		return singleLabel, nil
	}
	problem, err := e.Config().ProblemType()
	switch problem {
	case checkpoint.Regression:
		return regression, err
	case checkpoint.MultiLabel:
		return multiLabel, err
	}
	return singleLabel, err
}

// engineError words an error of the engine, which names its own package.
func engineError(ref string, err error) error {
	if option, ok := errors.AsType[*engine.OptionError](err); ok {
		hint := ""
		if option.Option == "threads" {
			hint = "use 0, which is all cores, or a number in those bounds"
		}
		return &Error{Kind: KindUsage, Msg: option.Option + ": " + option.Reason, Hint: hint, Err: err}
	}
	if _, ok := errors.AsType[*point.MismatchError](err); ok {
		return pointError(ref, err)
	}
	return input(ref, err, "")
}

// allows refuses what needs so many bytes where the memory budget is less.
func (m *Model) allows(what string, need int64) error {
	if need <= m.memory {
		return nil
	}
	return engineError(m.id, &engine.MemoryError{What: what, Need: need, Budget: m.memory})
}

// marks refuses a text of n tokens of which what each sees does not fit: [n,n] bytes.
func (m *Model) marks(n int) error {
	return m.allows(fmt.Sprintf("the marks of what %d tokens see", n), int64(n)*int64(n))
}

// Close releases the model's threads.
func (m *Model) Close() {
	m.engine.Close()
	if m.float32 != nil {
		m.float32.close()
	}
}

// ID returns the reference that the model was opened by.
func (m *Model) ID() string { return m.id }

// Engine returns the model as the engine runs it.
func (m *Model) Engine() *engine.Model { return m.engine }

// Info describes the model to a method.
func (m *Model) Info() sdk.ModelInfo {
	e := m.engine.Info()
	info := sdk.ModelInfo{
		ID: m.id, Architecture: e.ModelType, Task: e.Task, Labels: slices.Clone(m.labels),
		Layers: e.Layers, Heads: e.Heads, Embedding: e.Embedding, Hidden: e.Hidden, Vocabulary: e.Vocabulary, MaxTokens: m.MaxTokens(),
	}
	if tok := m.tokenizer; tok != nil {
		info.MaskToken, _ = tok.MaskToken()
		info.MaskID, info.PadID = optional(tok.MaskID()), optional(tok.PadID())
		info.SpecialIDs = tok.Special()
	}
	return info
}

// optional returns a pointer to the id of a token, nil where there is none.
func optional(id int32, ok bool) *int32 {
	if !ok {
		return nil
	}
	return &id
}

// Tokenizer returns the model's tokenizer, nil where its folder holds none.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tokenizer }

// Ref identifies the model in a result. The first call reads the weights again
// to hash them, behind the configuration.
func (m *Model) Ref(ctx context.Context) (ModelRef, error) {
	digest, err := m.engine.Digest(ctx)
	if err != nil {
		return ModelRef{}, engineError(m.id, err)
	}
	e := m.engine.Info()
	ref := ModelRef{ID: m.id, Architecture: e.ModelType, Task: e.Task, SHA256: digest}
	if m.tokenizer != nil {
		ref.TokenizerSHA256 = m.tokenizer.Digest()
	}
	return ref, nil
}

// MaxTokens returns the length of the longest sequence that the model reads: what
// its position table holds and, where that is less, what its tokenizer says; 0
// where nothing bounds it.
func (m *Model) MaxTokens() int {
	n := m.engine.Info().Length
	if m.tokenizer != nil {
		if t := m.tokenizer.MaxLength(); t > 0 && (n == 0 || t < n) {
			n = t
		}
	}
	return n
}

// encodeRow tokenises a text (and its pair) as encode does, and leaves room for
// further tokens. It reports whether it had to cut it to what the model reads.
func (m *Model) encodeRow(text string, pair *string, room int) (r row, cut bool, err error) {
	limit := m.MaxTokens()
	if o := m.encoding(pair, room); pair == nil && !m.typed && !o.NoSpecial {
		ids := m.tokenizer.AppendIDs(nil, text)
		if limit == 0 || len(ids) <= limit-room {
			return row{n: len(ids), ids: ids}, false, nil
		}
	}
	enc, err := m.encodeText(text, pair, room)
	if err != nil {
		return row{}, false, err
	}
	return rowOf(enc), len(enc.Dropped) > 0, nil
}

// encodeText tokenises a text of a method's (and its pair) as encode does.
func (m *Model) encodeText(text string, pair *string, room int) (*tokenizer.Encoding, error) {
	enc, err := m.tokenizer.Encode(text, m.encoding(pair, room))
	if err != nil {
		return nil, sdk.NewError(sdk.EInvalid, err.Error())
	}
	return enc, nil
}

// encoding says how texts are tokenised for the model's task, with room left for
// further tokens.
func (m *Model) encoding(pair *string, room int) tokenizer.Options {
	o := tokenizer.Options{Pair: pair, MaxLength: m.MaxTokens()}
	if o.MaxLength > 0 {
		o.MaxLength = max(o.MaxLength-room, 1)
	}
	switch m.engine.Info().Task {
	case arch.QuestionAnswering:
		o.Truncation = tokenizer.OnlySecond // a question is nothing without its end
	case arch.PermutationLM:
		o.NoSpecial = true // what follows has no mark of an end before it
	}
	return o
}

// unknown counts the tokens that the vocabulary lacks: what the model cannot
// read, it cannot tell apart.
func (m *Model) unknown(tokens []sdk.Token) int {
	if m.tokenizer == nil {
		return 0
	}
	id, ok := m.tokenizer.UnkID()
	n := 0
	for _, t := range tokens {
		if ok && t.ID == id {
			n++
		}
	}
	return n
}

// rowOf returns the row of an encoding.
func rowOf(enc *tokenizer.Encoding) row {
	r := row{n: len(enc.Tokens), ids: enc.IDs()}
	if types := enc.TypeIDs(); slices.ContainsFunc(types, func(t int32) bool { return t != 0 }) {
		r.types = types
	}
	return r
}

// forward runs rows. It refuses a model whose logits are not finite.
func (m *Model) forward(ctx context.Context, in engine.Input, opts ...engine.ForwardOption) (*engine.Output, error) {
	out, err := m.engine.Forward(ctx, in, opts...)
	if err != nil {
		return nil, engineError(m.id, err)
	}
	m.ran.Add(int64(len(in.Lengths)))
	if !finite(out.Logits.F32) || !finite(out.Logits.F64) {
		return nil, &Error{Kind: KindInput, Msg: "the model " + m.id + " answers with numbers that are not finite", Hint: "its weights, or the embeddings it was given, hold NaN or overflow", Err: engine.ErrNotFinite}
	}
	return out, nil
}

// finite reports whether x holds neither NaN nor an infinity.
func finite[T float32 | float64](x []T) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}
