package engine

import (
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/tape"
)

// Memory is what a forward takes, in bytes.
type Memory struct {
	Weights int64 // of the model, those packed again for gradients included
	Working int64 // of all threads
	Results int64 // what is returned
}

// Total returns the sum.
func (m Memory) Total() int64 { return m.Weights + m.Working + m.Results }

// Memory returns what [Model.Forward] would take for an input, without running
// it, and the error with which it would refuse.
func (m *Model) Memory(in Input, opts ...ForwardOption) (Memory, error) {
	r := &request{Request: tape.Request{Logits: true}}
	for _, option := range opts {
		option(r)
	}
	r.Form = form(in)
	graph := m.network.Graph(r.Form)
	batch, err := in.batch(m.architecture, graph.Read)
	if err != nil {
		return Memory{}, err
	}
	r.AllReads = graph.Read.From == arch.Every && in.Reads == nil
	if err := r.check(graph, batch); err != nil {
		return Memory{}, err
	}
	results := r.bytes(m.info, batch)
	program, p, err := m.prepare(r, batch, results, r.sharesPrefixes(graph, in, batch))
	if err != nil {
		return Memory{}, err
	}
	return Memory{Weights: m.runners.loaded(), Working: int64(p.runners) * program.Bytes(p.size), Results: results}, nil
}

// loaded returns the bytes of the weights.
func (r *runners) loaded() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.weights
}
