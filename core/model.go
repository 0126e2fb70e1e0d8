package core

import (
	"context"
	"slices"

	"github.com/xai-go/xai/engine"
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
	opts := []engine.Option{engine.WithThreads(h.options.Threads), engine.WithDType(h.options.DType)}
	if h.options.Memory > 0 {
		opts = append(opts, engine.WithMemory(h.options.Memory))
	}
	e, err := engine.Open(ctx, fsys, opts...)
	if err != nil {
		return nil, input(err, "")
	}
	m := &Model{id: ref, engine: e, tokenizer: e.Tokenizer(), labels: e.Labels()}
	switch e.ProblemType() {
	case "regression":
		m.head = regression
	case "multi_label_classification":
		m.head = multiLabel
	}
	return m, nil
}

// Close releases the model's memory and threads.
func (m *Model) Close() error { return m.engine.Close() }

// ID returns the reference that the model was opened by.
func (m *Model) ID() string { return m.id }

// Engine returns the model as the engine runs it.
func (m *Model) Engine() *engine.Model { return m.engine }

// Info describes the model to a method.
func (m *Model) Info() sdk.ModelInfo {
	info := sdk.ModelInfo{ID: m.id, Architecture: m.engine.Architecture(), Task: m.engine.Task(), Labels: slices.Clone(m.labels)}
	if m.tokenizer != nil {
		info.MaskToken, _ = m.tokenizer.MaskToken()
	}
	return info
}

// Ref identifies the model in a result.
func (m *Model) Ref() ModelRef {
	weights, tok := m.engine.Digest()
	return ModelRef{ID: m.id, Architecture: m.engine.Architecture(), Task: m.engine.Task(), SHA256: weights, TokenizerSHA256: tok}
}

// maxTokens is the longest sequence that the model reads: what its position
// table holds and, where that is less, what its tokenizer says.
func (m *Model) maxTokens() int {
	n := m.engine.MaxPositions()
	if m.tokenizer != nil {
		if t := m.tokenizer.MaxLength(); t > 0 && (n == 0 || t < n) {
			n = t
		}
	}
	return n
}

// encodeRow tokenises a text (and its pair), special tokens included, cut to
// what the model reads.
func (m *Model) encodeRow(text string, pair *string) (row, error) {
	if pair == nil {
		ids := m.tokenizer.AppendIDs(nil, text)
		if len(ids) <= m.maxTokens() {
			return row{n: len(ids), ids: ids}, nil
		}
	}
	enc, err := m.tokenizer.Encode(text, tokenizer.Options{Pair: pair, MaxLength: m.maxTokens()})
	if err != nil {
		return row{}, sdk.NewError(sdk.EInvalid, err.Error())
	}
	return rowOf(enc, pair != nil), nil
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
	out, err := m.engine.Forward(ctx, batch(rows), engine.Progress(progress))
	if err != nil {
		return nil, input(err, "")
	}
	return out.Logits, nil
}
