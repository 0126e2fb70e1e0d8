// Package arch describes what an architecture is to the engine: something that
// opens a checkpoint and runs ragged batches through it. A family of
// architectures registers itself under the model_type of its configuration.
package arch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/parallel"
	"github.com/xai-go/xai/internal/nearest"
)

// DType is the number format that a model computes in.
type DType string

// The number formats. F64 is the reference: plain Go loops in double precision.
const (
	F32 DType = "f32"
	F64 DType = "f64"
)

// Size returns the bytes of one number.
func (d DType) Size() int64 {
	if d == F64 {
		return 8
	}
	return 4
}

// SequenceClassification is the task of a model that gives one row of logits
// for a sequence.
const SequenceClassification = "sequence-classification"

// Info says what a model is and how large its inputs may be.
type Info struct {
	ModelType    string   // family, "bert"
	Architecture string   // class of the reference implementation, "BertForSequenceClassification"
	Task         string   // for instance [SequenceClassification]
	Labels       []string // names of the classes in the order of the logits
	Layers       int
	Heads        int
	Hidden       int // width of the residual stream
	Embedding    int // width of a word embedding
	Vocabulary   int // ids are below it
	Types        int // token types are below it; 0 where the model has none
	Positions    int // positions are below it
	Parameters   int64
	DType        DType // what it computes in
}

// Network is a loaded model. It is immutable and safe for concurrent use.
type Network interface {
	Info() Info
	// RunnerBytes returns the working memory of a runner of that size.
	RunnerBytes(size Size) int64
	// NewRunner allocates the working memory for one group at a time.
	NewRunner(size Size) Runner
}

// Size bounds the groups that a runner can take.
type Size struct {
	Rows    int // tokens of all sequences
	Longest int // tokens of the longest sequence
	Threads int // of the pool that it will be given; 1 for none
}

// Runner runs groups of sequences through a network. It is used by one
// goroutine at a time.
type Runner interface {
	// Forward runs a group and writes its share of out. It works alone if pool
	// is nil, and over the pool otherwise; the bits are the same. It returns
	// the error of ctx if it was cancelled on the way.
	Forward(ctx context.Context, pool *parallel.Pool, group Batch, out *Output) error
}

// Open loads a checkpoint as an architecture computing in dtype.
type Open func(ctx context.Context, c *checkpoint.Checkpoint, dtype DType) (Network, error)

var registry = map[string]Open{}

// Register makes an architecture known under a model_type. It is called from
// init functions.
func Register(modelType string, open Open) {
	if registry[modelType] != nil {
		panic(fmt.Sprintf("arch: model_type %q is registered twice", modelType))
	}
	registry[modelType] = open
}

// Known returns the registered model types in order.
func Known() []string { return slices.Sorted(maps.Keys(registry)) }

// Lookup returns the architecture for a model_type. The error for an unknown
// one is a [*checkpoint.UnsupportedError] that lists those known, the nearest
// first.
func Lookup(modelType string) (Open, error) {
	if open, ok := registry[modelType]; ok {
		return open, nil
	}
	known := Known()
	if best, ok := nearest.Of(modelType, known); ok {
		known = slices.DeleteFunc(known, func(s string) bool { return s == best })
		known = append([]string{best}, known...)
	}
	return nil, &checkpoint.UnsupportedError{
		What: fmt.Sprintf("model_type %q", modelType),
		Hint: "known are " + strings.Join(known, ", "),
	}
}
