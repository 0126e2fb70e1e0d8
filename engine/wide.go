package engine

import (
	"context"
	"sync"

	"github.com/xai-go/xai/engine/internal/tape"
)

// wide is the network of a model in double precision, made when it is first
// needed.
type wide struct {
	sync.Mutex
	*tape.Wide
}

// choose settles which network computes a request: for relevance one in double
// precision, where the model is small enough. It is refused with a [*MemoryError]
// where the budget has no room for the weights.
func (m *Model) choose(ctx context.Context, r *request) error {
	r.network = m.network
	if r.Rule == Gradient || len(r.Request.Gradients) == 0 {
		return nil
	}
	bytes := tape.WideBytes(m.network)
	if bytes == 0 {
		return nil
	}
	m.wide.Lock()
	defer m.wide.Unlock()
	if m.wide.Wide == nil {
		if err := m.runners.weigh(ctx, bytes); err != nil {
			return err
		}
		m.wide.Wide = tape.Widen(m.network)
	}
	r.network, r.wide = m.wide.Network, true
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
	m.wide.Lock()
	defer m.wide.Unlock()
	if w := m.wide.Wide; w != nil {
		m.wide.Wide = nil
		m.runners.unweigh(func() int64 { return w.Bytes + w.Unpacked() })
	}
}
