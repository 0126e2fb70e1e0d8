// Package engine runs pre-trained language models: it opens a checkpoint and
// answers batched forward passes, in which every named point of the model can be
// read, edited and differentiated with respect to ([Capture], [Edits],
// [Gradients]; package point has the names), and continues texts
// ([Model.Generate]).
//
// Its workload is thousands of variants of one input. Batches are therefore
// ragged: sequences of different lengths lie one after another and nothing is
// padded. The bits of a result depend on the sequence, the model, the number
// format and the kernel family that [Model.Kernel] names: not on the number of
// threads, nor on what else is in the batch or where in it the sequence stands.
package engine

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/xai-go/xai/engine/arch"
	_ "github.com/xai-go/xai/engine/arch/bert"
	_ "github.com/xai-go/xai/engine/arch/distilbert"
	_ "github.com/xai-go/xai/engine/arch/gpt2"
	_ "github.com/xai-go/xai/engine/arch/roberta"
	_ "github.com/xai-go/xai/engine/arch/xlnet"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/internal/parallel"
	"github.com/xai-go/xai/engine/internal/tape"
)

// Info says what a model is and how large its inputs may be.
type Info = arch.Info

// DType is the number format that a model computes in.
type DType = arch.DType

// The number formats. F64 is the reference: plain Go loops in double precision,
// many times slower.
const (
	F32 = arch.F32
	F64 = arch.F64
	// BF16 rounds the weights of linear layers to 16 bits and computes in
	// single precision: half the memory. Weights that are stored in 16 bits
	// stay so in F32 too.
	BF16 = arch.BF16
	// INT8 rounds the weights of the blocks' linear layers to 8 bits, one scale
	// an output, and what these layers read to 8 bits, one scale and zero point
	// a row; products are of integers and exact. Embeddings, norms, attention
	// and what stands before and behind the blocks are as in F32. Forwards take
	// about a third of the time where the processor multiplies bytes (AVX-512
	// VNNI); products are half as fast again as in F32 with AVX2, and slower than
	// in F32 on arm64. It has no gradients: what is rounded goes in steps.
	INT8 = arch.INT8
)

// DefaultMemory is the memory budget of a model in bytes unless [WithMemory]
// sets another.
const DefaultMemory = 4 << 30

// Option configures [Open].
type Option func(*options)

type options struct {
	threads int
	dtype   DType
	memory  int64
}

// WithThreads sets the number of threads that forwards share; 0, the default,
// means GOMAXPROCS. Results do not depend on it.
func WithThreads(n int) Option { return func(o *options) { o.threads = n } }

// WithDType sets the number format, "f32" (the default, also for ""), "f64",
// "bf16" or "int8".
func WithDType(d DType) Option { return func(o *options) { o.dtype = d } }

// WithMemory sets a budget in bytes for the weights, the working memory of all
// forwards that run at the same time, and what they return. A forward waits
// for others where that makes it fit, and is refused with a [*MemoryError]
// where nothing does.
func WithMemory(bytes int64) Option { return func(o *options) { o.memory = bytes } }

// Model is a loaded model. Its methods may be called from many goroutines at
// the same time.
type Model struct {
	architecture *arch.Architecture
	network      tape.Network
	info         Info
	checkpoint   *checkpoint.Checkpoint
	kernel       string
	pool         *parallel.Pool
	runners      *runners
	closed       atomic.Bool

	// wide holds the network in double precision, nil until it is needed, but while
	// somebody makes it.
	wide chan *tape.Wide

	plain struct {
		sync.Mutex
		programs map[plainRequest]tape.Program
	}

	// digest holds the result of Digest, empty until it is known, but while
	// somebody computes it.
	digest chan string

	// release gives back the memory of a model that shares the rest with another,
	// which owns the threads; nil of others.
	release func()
}

// Open loads the model in a folder of Hugging Face's layout, which may be a
// directory, an embedded one or an archive. Weights are read, converted and
// packed before it returns, and the files are closed; it stops when ctx is
// cancelled. Close releases the threads of the model.
//
// Errors are those of packages checkpoint and safetensors where a file is
// missing, malformed or unsupported, [*OptionError] and [*MemoryError].
func Open(ctx context.Context, fsys fs.FS, opts ...Option) (*Model, error) {
	o := options{memory: DefaultMemory}
	for _, option := range opts {
		option(&o)
	}
	if o.dtype == "" {
		o.dtype = F32
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := kernel.Err(); err != nil {
		return nil, &OptionError{Option: "XAI_KERNEL", Reason: err.Error()}
	}
	c, err := checkpoint.Open(fsys)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	architecture, err := describe(c.Config)
	if err != nil {
		return nil, err
	}
	need := tape.Need(c, architecture, o.dtype)
	if need > o.memory {
		return nil, &MemoryError{What: "the weights as " + string(o.dtype), Need: need, Budget: o.memory}
	}
	network, err := tape.Open(ctx, c, architecture, o.dtype)
	if err != nil {
		return nil, err
	}
	architecture.Info.DType, architecture.Info.Parameters = o.dtype, network.Parameters()
	m := &Model{
		architecture: architecture,
		network:      network,
		info:         architecture.Info,
		checkpoint:   c,
		kernel:       kernel.Family(),
		pool:         parallel.New(o.threads),
		digest:       make(chan string, 1),
		wide:         make(chan *tape.Wide, 1),
	}
	m.digest <- ""
	m.wide <- nil
	if o.dtype == F64 {
		m.kernel = "generic" // the only loops in double precision
	}
	m.runners = newRunners(o.memory, need)
	return m, nil
}

// Describe reads what a model is, and the graphs of what it computes, from its
// config.json alone. Errors are those of package checkpoint. What only weights
// tell, the number of parameters, is missing, and the number format is [F32].
func Describe(fsys fs.FS) (*arch.Architecture, error) {
	config, err := checkpoint.ReadConfig(fsys)
	if err != nil {
		return nil, err
	}
	architecture, err := describe(config)
	if err != nil {
		return nil, err
	}
	architecture.Info.DType = F32
	return architecture, nil
}

func describe(config *checkpoint.Config) (*arch.Architecture, error) {
	modelType, err := config.ModelType()
	if err != nil {
		return nil, err
	}
	open, err := arch.Lookup(modelType)
	if err != nil {
		return nil, err
	}
	return open(config)
}

func (o *options) check() error {
	switch {
	case o.threads < 0 || o.threads > 1024:
		return &OptionError{Option: "threads", Reason: fmt.Sprintf("%d is not between 0 and 1024", o.threads)}
	case o.dtype != F32 && o.dtype != F64 && o.dtype != BF16 && o.dtype != INT8:
		return &OptionError{Option: "dtype", Reason: fmt.Sprintf("%q is not %q, %q, %q or %q", o.dtype, F32, F64, BF16, INT8)}
	case o.memory <= 0:
		return &OptionError{Option: "memory", Reason: fmt.Sprintf("%d bytes are no budget", o.memory)}
	}
	return nil
}

// Info returns what the model is.
func (m *Model) Info() Info { return m.info }

// Graph returns what the model computes for inputs of the form of in, with its
// named points. The caller must not change it.
func (m *Model) Graph(in Input) *arch.Graph { return m.network.Graph(form(in)) }

// Config returns the configuration that the model was opened with.
func (m *Model) Config() *checkpoint.Config { return m.checkpoint.Config }

// Labels returns the names of the classes in the order of the logits. The
// caller must not change it.
func (m *Model) Labels() []string { return m.info.Labels }

// Kernel returns the kernel family that computes: "avx512", "avx2", "neon" or
// "generic". Results are the same bits wherever it is the same.
func (m *Model) Kernel() string { return m.kernel }

// Threads returns the number of threads that forwards share.
func (m *Model) Threads() int { return m.pool.Threads() }

// Digest returns a SHA-256 of the model's configuration and weights in
// hexadecimal, as [checkpoint.Checkpoint.Digest] has it. The first call reads the
// weights again, and fails if they are no longer those that were opened; others
// wait for it until their ctx is cancelled.
func (m *Model) Digest(ctx context.Context) (digest string, err error) {
	select {
	case digest = <-m.digest:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { m.digest <- digest }()
	if digest == "" {
		digest, err = m.checkpoint.Digest(ctx)
	}
	return digest, err
}

// Close ends the threads of the model. Forwards in progress finish on their
// callers' goroutines; later ones fail with [ErrClosed].
func (m *Model) Close() {
	switch {
	case m.closed.Swap(true):
	case m.release != nil:
		m.release()
		m.narrow()
	default:
		m.pool.Close()
	}
}
