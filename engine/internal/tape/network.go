// Package tape runs the graphs of architectures: forward, backwards, and with
// every named point open to be read, edited and differentiated.
//
// A request on a graph becomes a plan, a list of steps over buffers, in four
// moves: lowering makes real what is virtual in the graph where the request
// touches it; narrowing drops what nobody reads and moves the last layers to
// the rows that are read; each operation writes its forward step down, and on
// the way back its vector-Jacobian product; finally steps are grouped and
// buffers placed, so that the memory of a run is known before it begins. A plan
// serves any batch of its form and is shared by all runners.
package tape

import (
	"context"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
	"github.com/xai-go/xai/engine/internal/parallel"
	"github.com/xai-go/xai/engine/result"
)

// Network is a loaded model. It is safe for concurrent use.
type Network interface {
	// Parameters returns the number of weights.
	Parameters() int64
	// Graph returns the graph of a form.
	Graph(form arch.Form) *arch.Graph
	// Plan makes the plan of a request, which must fit the graph of its form.
	Plan(req *Request) Program
}

// Program is the plan of a request without its number format.
type Program interface {
	// Bytes returns the working memory of a runner for groups of a size.
	Bytes(size Size) int64
	// Unpacked returns the bytes of the weights that the way back packs a second
	// time and that no call of Pack has counted yet, of this program or another
	// of the network; Pack counts them. Whoever accounts for memory calls both
	// under one lock.
	Unpacked() int64
	Pack()
	// Shared returns the program that computes what a token's id, position and
	// type alone determine, and the widths of its tables: nil where the request
	// does not ask for that or nothing is gained. A batch for it lists tokens
	// that differ from each other, and has the Tables that it fills, which the
	// batch of the program itself then reads.
	Shared() (Program, []int)
	// Runner returns the working memory for groups of a size. It takes over
	// that of old, which may be nil.
	Runner(size Size, old Executor) Executor
}

// Executor is a [Runner] without its number format.
type Executor interface {
	// Forward runs a group and writes its share of out; see [Runner.Forward].
	Forward(ctx context.Context, pool *parallel.Pool, group Batch, objective result.Objective, out *result.Output) error
}

// network is a model of one number format.
type network[T kernel.Float] struct {
	info       arch.Info
	weights    *weights[T]
	parameters int64
	graphs     map[arch.Form]*arch.Graph
}

// graphs returns the graphs of all forms of a model.
func graphs(a *arch.Architecture) (all []*arch.Graph) {
	for _, form := range a.Info.Forms() {
		all = append(all, a.Graph(form))
	}
	return all
}

// Open loads the weights of an architecture as dtype.
func Open(ctx context.Context, c *checkpoint.Checkpoint, a *arch.Architecture, dtype arch.DType) (Network, error) {
	if dtype == arch.F64 {
		return open[float64](ctx, c, a, dtype)
	}
	return open[float32](ctx, c, a, dtype)
}

func open[T kernel.Float](ctx context.Context, c *checkpoint.Checkpoint, a *arch.Architecture, dtype arch.DType) (Network, error) {
	n := &network[T]{info: a.Info, graphs: map[arch.Form]*arch.Graph{}}
	for _, form := range a.Info.Forms() {
		g := a.Graph(form)
		n.graphs[form] = g
		for _, node := range g.Nodes {
			if op, ok := node.Op.(arch.Activate); ok {
				if _, _, err := nn.ActivationByName[T](op.Key, op.Name); err != nil {
					return nil, err
				}
			}
		}
	}
	var err error
	n.weights, n.parameters, err = load[T](ctx, c, a, dtype)
	return n, err
}

// Parameters implements [Network].
func (n *network[T]) Parameters() int64 { return n.parameters }

// Plan implements [Network].
func (n *network[T]) Plan(req *Request) Program {
	return newPlan(n.weights, n.Graph(req.Form), req)
}

// Graph implements [Network].
func (n *network[T]) Graph(form arch.Form) *arch.Graph {
	return n.graphs[n.info.Form(form)]
}
