package engine

import "github.com/xai-go/xai/engine/internal/tape"

// Operations returns the floating-point operations, two for a multiply-add, of
// the matrix products that [Model.Forward] computes for an input, and the error
// with which it would refuse. Of a last layer that is computed for some tokens
// alone, those count. What is computed once for several tokens or sequences
// counts for each, a causal query as if it saw all keys, and gradients do not
// count.
func (m *Model) Operations(in Input, opts ...ForwardOption) (float64, error) {
	r, err := m.begin(in, opts)
	if err != nil {
		return 0, err
	}
	return tape.Operations(m.network.Graph(r.Form), &r.Request, r.batch), nil
}
