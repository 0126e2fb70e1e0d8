package engine

import (
	"context"

	"github.com/xai-go/xai/engine/internal/tape"
)

// doubles tells whether a request is computed in double precision though the model
// is not: relevance is, where the model is small enough.
func (m *Model) doubles(r *request) bool {
	return r.Rule != Gradient && len(r.Request.Gradients) > 0 && tape.WideBytes(m.network) > 0
}

// widen gives a request that needs it the network in double precision, which is made
// when it is first needed. Then it waits for forwards in progress where the weights do not fit
// beside them, and is refused with a [*MemoryError] where they never do. The caller
// holds none of the model's memory.
func (m *Model) widen(ctx context.Context, r *request) error {
	if !r.wide {
		return nil
	}
	var wide *tape.Wide
	select {
	case wide = <-m.wide:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { m.wide <- wide }()
	if wide == nil {
		if err := m.runners.weigh(ctx, "the weights, and those in double precision,", tape.WideBytes(m.network)); err != nil {
			return err
		}
		wide = tape.Widen(m.network)
	}
	r.network = wide.Network
	return nil
}

// format returns the model's Info with the number format that a request is
// computed in.
func (m *Model) format(r *request) Info {
	info := m.info
	if r.wide {
		info.DType = F64
	}
	return info
}

// narrow gives the memory of weights in double precision back.
func (m *Model) narrow() {
	w := <-m.wide
	m.wide <- nil
	if w != nil {
		m.runners.unweigh(func() int64 { return w.Bytes + w.Unpacked() })
	}
}
