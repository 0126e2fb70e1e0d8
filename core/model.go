package core

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"slices"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

// Model is an open model. It is safe for concurrent use.
type Model struct {
	id        string
	engine    *engine.Model
	tokenizer *tokenizer.Tokenizer // nil where the folder holds none
	labels    []string
	head      head
}

// OpenModel opens a Hugging Face style model folder, or an embedded model by
// its name builtin:NAME.
func (h *Host) OpenModel(ctx context.Context, ref string) (*Model, error) {
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
	opts := []engine.Option{engine.WithThreads(h.options.Threads), engine.WithDType(engine.DType(h.options.DType))}
	if h.options.Memory > 0 {
		opts = append(opts, engine.WithMemory(h.options.Memory))
	}
	e, err := engine.Open(ctx, fsys, opts...)
	if err != nil {
		return nil, engineError(ref, err)
	}
	if task := e.Info().Task; task != taskClassification {
		e.Close()
		return nil, &Error{Kind: KindInput, Msg: "the model " + ref + " does " + task + ", which this version does not explain"}
	}
	kind, err := headOf(e)
	if err != nil {
		e.Close()
		return nil, engineError(ref, err)
	}
	return &Model{id: ref, engine: e, tokenizer: tok, labels: e.Labels(), head: kind}, nil
}

// taskClassification is the task whose outputs this version explains.
const taskClassification = "sequence-classification"

// headOf reads from the configuration what a classifier's logits mean.
func headOf(e *engine.Model) (head, error) {
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
		return &Error{Kind: KindUsage, Msg: option.Option + ": " + option.Reason, Err: err}
	}
	return input(ref, err, "")
}

// Close releases the model's threads.
func (m *Model) Close() { m.engine.Close() }

// ID returns the reference that the model was opened by.
func (m *Model) ID() string { return m.id }

// Engine returns the model as the engine runs it.
func (m *Model) Engine() *engine.Model { return m.engine }

// Info describes the model to a method.
func (m *Model) Info() sdk.ModelInfo {
	e := m.engine.Info()
	info := sdk.ModelInfo{ID: m.id, Architecture: e.ModelType, Task: e.Task, Labels: slices.Clone(m.labels)}
	if m.tokenizer != nil {
		info.MaskToken, _ = m.tokenizer.MaskToken()
	}
	return info
}

// Tokenizer returns the model's tokenizer, nil where its folder holds none.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tokenizer }

// Ref identifies the model in a result. The first call reads the weights again
// to hash them.
func (m *Model) Ref(ctx context.Context) (ModelRef, error) {
	weights, err := m.engine.WeightsDigest(ctx)
	if err != nil {
		return ModelRef{}, engineError(m.id, err)
	}
	e := m.engine.Info()
	ref := ModelRef{ID: m.id, Architecture: e.ModelType, Task: e.Task, SHA256: weights}
	if m.tokenizer != nil {
		ref.TokenizerSHA256 = m.tokenizer.Digest()
	}
	return ref, nil
}

// maxTokens is the longest sequence that the model reads: what its position
// table holds and, where that is less, what its tokenizer says.
func (m *Model) maxTokens() int {
	n := m.engine.Info().Length
	if m.tokenizer != nil {
		if t := m.tokenizer.MaxLength(); t > 0 && (n == 0 || t < n) {
			n = t
		}
	}
	return n
}

// encodeRow tokenises a text (and its pair), special tokens included. It
// reports whether it had to cut it to what the model reads.
func (m *Model) encodeRow(text string, pair *string) (r row, cut bool, err error) {
	if pair == nil {
		ids := m.tokenizer.AppendIDs(nil, text)
		if len(ids) <= m.maxTokens() {
			return row{n: len(ids), ids: ids}, false, nil
		}
	}
	enc, err := m.tokenizer.Encode(text, tokenizer.Options{Pair: pair, MaxLength: m.maxTokens()})
	if err != nil {
		return row{}, false, sdk.NewError(sdk.EInvalid, err.Error())
	}
	return rowOf(enc, pair != nil), len(enc.Dropped) > 0, nil
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
func rowOf(enc *tokenizer.Encoding, pair bool) row {
	r := row{n: len(enc.Tokens)}
	for _, t := range enc.Tokens {
		r.ids = append(r.ids, t.ID)
		if pair {
			r.types = append(r.types, t.Type)
		}
	}
	return r
}

// run returns the logits of each row.
func (m *Model) run(ctx context.Context, rows []row, progress func(done, total int)) ([][]float64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var opts []engine.ForwardOption
	if progress != nil {
		opts = append(opts, engine.Progress(progress))
	}
	out, err := m.engine.Forward(ctx, batch(rows), opts...)
	if err != nil {
		return nil, engineError(m.id, err)
	}
	logits := make([][]float64, len(rows))
	for i := range logits {
		logits[i] = out.Row(i)
		for _, v := range logits[i] {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, &Error{Kind: KindInput, Msg: "the model " + m.id + " answers with numbers that are not finite", Hint: "its weights, or the embeddings it was given, hold NaN or overflow"}
			}
		}
	}
	return logits, nil
}
