package engine

import "context"

// Memory is what a forward takes, in bytes.
type Memory struct {
	Weights int64 // of the model, those packed again for gradients included
	Working int64 // of all threads
	Results int64 // what is returned and kept
}

// Total returns the sum.
func (m Memory) Total() int64 { return m.Weights + m.Working + m.Results }

// Memory returns what [Model.Forward] would take for an input, without running
// it, and the error with which it would refuse. As Forward does, it makes weights
// in double precision where the request needs them and they are not there yet, and
// waits for that until ctx is cancelled.
func (m *Model) Memory(ctx context.Context, in Input, opts ...ForwardOption) (Memory, error) {
	r, err := m.begin(in, opts)
	if err != nil {
		return Memory{}, err
	}
	program, p, err := m.prepare(ctx, r)
	if err != nil {
		return Memory{}, err
	}
	return Memory{
		Weights: m.runners.loaded(program),
		Working: int64(p.runners)*program.Bytes(p.size) + r.tables,
		Results: r.results,
	}, nil
}
