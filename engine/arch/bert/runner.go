package bert

import (
	"context"
	"math"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/nn"
	"github.com/xai-go/xai/engine/internal/parallel"
)

// queryBlock is the number of queries of a job where threads share the
// attention of a long sequence. Every job packs the keys and values of its head
// again, so it is not small.
const queryBlock = 192

// runner is the working memory of one forward. Its matrices share one slice:
//
//	x     [rows, d]   the residual stream
//	z     [rows, d]   attention output of all heads; in the head, the pooled rows
//	wide  [rows, …]   queries, keys and values [3d]; then a branch [d] beside the
//	                  feed-forward activations [f]; in the head, the logits
type runner[T kernel.Float] struct {
	*network[T]
	x, z, wide []T
	scratch    []kernel.Scratch[T] // per worker
	jobs       []job
}

// job is the attention of a block of queries of one head of one sequence.
type job struct{ sequence, head, lo, hi int }

// wideColumns is the widest that a row of runner.wide gets.
func (n *network[T]) wideColumns() int {
	return max(3*n.Hidden, n.Hidden+n.intermediate, len(n.Labels))
}

// RunnerBytes implements [arch.Network].
func (n *network[T]) RunnerBytes(size arch.Size) int64 {
	e := int64(n.Hidden / n.Heads)
	// The kernels pack the keys and values of a head, padded to panels, beside
	// the scores of a block of queries.
	keys, width, scores := int64(size.Longest)+64, e+64, int64(96)
	attention := keys * (2*width + scores)
	matrices := int64(size.Rows) * int64(2*n.Hidden+n.wideColumns())
	return (matrices + int64(size.Threads)*attention) * n.DType.Size()
}

// NewRunner implements [arch.Network].
func (n *network[T]) NewRunner(size arch.Size) arch.Runner {
	rows, d := size.Rows, n.Hidden
	memory := make([]T, rows*(2*d+n.wideColumns()))
	return &runner[T]{
		network: n,
		x:       memory[:rows*d],
		z:       memory[rows*d : 2*rows*d],
		wide:    memory[2*rows*d:],
		scratch: make([]kernel.Scratch[T], size.Threads),
	}
}

// Forward implements [arch.Runner].
func (r *runner[T]) Forward(ctx context.Context, pool *parallel.Pool, b arch.Batch, out *arch.Output) error {
	if err := r.embed(ctx, pool, b); err != nil {
		return err
	}
	r.keepHiddenState(0, b, out)
	// Nobody reads the last layer but for the rows of the head, unless all of
	// it is asked for.
	headOnly := out.HiddenStates == nil && out.Attentions == nil
	for l := range r.layers {
		gathered := headOnly && l == len(r.layers)-1
		rows, err := r.attention(ctx, pool, l, gathered, b, out)
		if err != nil {
			return err
		}
		if err := r.feedForward(ctx, pool, &r.layers[l], rows); err != nil {
			return err
		}
		r.keepHiddenState(l+1, b, out)
	}
	if !headOnly {
		r.gather(b)
	}
	return r.classify(ctx, pool, b, out)
}

// embed computes x = LayerNorm(word + type + position), summed in that order.
func (r *runner[T]) embed(ctx context.Context, pool *parallel.Pool, b arch.Batch) error {
	d := r.Hidden
	for i := range b.Sequences() {
		lo, hi := b.Range(i)
		err := nn.Rows(ctx, pool, hi-lo, func(from, to int) {
			for t := from; t < to; t++ {
				row := lo + t
				x := r.x[row*d : (row+1)*d]
				switch {
				case b.Embeds != nil:
					for j, v := range b.Embeds[row*d : (row+1)*d] {
						x[j] = T(v)
					}
				case b.IDs[row] < 0:
					clear(x)
				default:
					id := int(b.IDs[row])
					copy(x, r.word[id*d:(id+1)*d])
				}
				if r.types != nil {
					kind := 0
					if b.TypeIDs != nil {
						kind = int(b.TypeIDs[row])
					}
					kernel.Add(x, r.types[kind*d:(kind+1)*d])
				}
				p := t
				if b.PositionIDs != nil {
					p = int(b.PositionIDs[row])
				}
				kernel.Add(x, r.position[p*d:(p+1)*d])
				r.embedNorm.Apply(x)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// attention computes x = LayerNorm(x + W_o·heads(x)) and returns the rows of x.
// Where it is gathered those are the first tokens of the sequences alone: keys
// and values come from all tokens, queries from these.
func (r *runner[T]) attention(ctx context.Context, pool *parallel.Pool, l int, gathered bool, b arch.Batch, out *arch.Output) (int, error) {
	layer, d, rows := &r.layers[l], r.Hidden, b.Rows()
	if err := layer.keyValue.Apply(ctx, pool, r.wide[d:], 3*d, r.x, d, rows, nil); err != nil {
		return 0, err
	}
	if gathered {
		rows = r.gather(b)
	}
	if err := layer.query.Apply(ctx, pool, r.wide, 3*d, r.x, d, rows, nil); err != nil {
		return 0, err
	}
	var patterns []arch.Tensor
	if out.Attentions != nil {
		patterns = out.Attentions[l]
	}
	block := queryBlock
	if pool == nil {
		block = rows
	}
	r.plan(b, gathered, block)
	if pool == nil {
		for _, j := range r.jobs {
			r.attend(j, gathered, b, patterns, &r.scratch[0])
		}
	} else if err := pool.For(ctx, len(r.jobs), func(worker, i int) {
		r.attend(r.jobs[i], gathered, b, patterns, &r.scratch[worker])
	}); err != nil {
		return 0, err
	}
	branch := r.wide[:rows*d] // queries, keys and values are spent
	if err := layer.output.Apply(ctx, pool, branch, d, r.z, d, rows, nil); err != nil {
		return 0, err
	}
	return rows, layer.outputNorm.AddTo(ctx, pool, r.x[:rows*d], branch)
}

// plan lists the jobs of a layer's attention, each of at most block queries.
func (r *runner[T]) plan(b arch.Batch, gathered bool, block int) {
	r.jobs = r.jobs[:0]
	for i := range b.Sequences() {
		lo, hi := b.Range(i)
		queries := hi - lo
		if gathered {
			queries = 1
		}
		for q := 0; q < queries; q += block {
			for h := range r.Heads {
				r.jobs = append(r.jobs, job{sequence: i, head: h, lo: q, hi: min(q+block, queries)})
			}
		}
	}
}

// attend computes z = softmax(q·kᵀ/√E)·v for one job.
func (r *runner[T]) attend(j job, gathered bool, b arch.Batch, patterns []arch.Tensor, scratch *kernel.Scratch[T]) {
	d, e := r.Hidden, r.Hidden/r.Heads
	lo, hi := b.Range(j.sequence)
	length := hi - lo
	row := lo + j.lo // of the first query, in wide and in z
	if gathered {
		row = j.sequence
	}
	var mask []uint8
	if b.Mask != nil {
		mask = b.Mask[lo:hi]
	}
	var pattern []T
	if patterns != nil {
		p := arch.Values[T](patterns[b.First+j.sequence])
		pattern = p[(j.head*length+j.lo)*length : (j.head*length+j.hi)*length]
	}
	head := j.head * e
	kernel.Attention(r.z[row*d+head:], d,
		r.wide[row*3*d+head:], 3*d,
		r.wide[lo*3*d+d+head:], 3*d,
		r.wide[lo*3*d+2*d+head:], 3*d,
		j.hi-j.lo, length, e, T(1/math.Sqrt(float64(e))), mask, pattern, scratch)
}

// feedForward computes x = LayerNorm(x + W₂·act(W₁·x)).
func (r *runner[T]) feedForward(ctx context.Context, pool *parallel.Pool, layer *layer[T], rows int) error {
	d, f := r.Hidden, r.intermediate
	branch, inner := r.wide[:rows*d], r.wide[rows*d:rows*(d+f)]
	if err := layer.up.Apply(ctx, pool, inner, f, r.x, d, rows, layer.activation); err != nil {
		return err
	}
	if err := layer.down.Apply(ctx, pool, branch, d, inner, f, rows, nil); err != nil {
		return err
	}
	return layer.downNorm.AddTo(ctx, pool, r.x[:rows*d], branch)
}

// gather moves the first token of every sequence to the front of x and returns
// their number.
func (r *runner[T]) gather(b arch.Batch) int {
	d := r.Hidden
	for i := range b.Sequences() {
		lo, _ := b.Range(i) // never before i, so that nothing is overwritten that is still to be moved
		copy(r.x[i*d:(i+1)*d], r.x[lo*d:(lo+1)*d])
	}
	return b.Sequences()
}

// classify computes the logits from the gathered rows of x.
func (r *runner[T]) classify(ctx context.Context, pool *parallel.Pool, b arch.Batch, out *arch.Output) error {
	n, d, classes := b.Sequences(), r.Hidden, len(r.Labels)
	if err := r.head.dense.Apply(ctx, pool, r.z, d, r.x, d, n, r.head.activation); err != nil {
		return err
	}
	logits := r.wide[:n*classes]
	if err := r.head.classifier.Apply(ctx, pool, logits, classes, r.z, d, n, nil); err != nil {
		return err
	}
	for i, v := range logits {
		out.Logits[b.First*classes+i] = float64(v)
	}
	return nil
}

// keepHiddenState copies x to hidden state i of the output if it is asked for.
func (r *runner[T]) keepHiddenState(i int, b arch.Batch, out *arch.Output) {
	if out.HiddenStates == nil {
		return
	}
	d := r.Hidden
	copy(arch.Values[T](out.HiddenStates[i])[b.Starts[0]*d:], r.x[:b.Rows()*d])
}
