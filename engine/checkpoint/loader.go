package checkpoint

import (
	"context"
	"fmt"
	"slices"
)

// Loader reads the tensors of one model as T. Like [Fields] it keeps the first
// error and then returns nil from every call, so that an architecture loads all
// its tensors and looks at [Loader.Err] once. It is used by one goroutine.
type Loader[T float32 | float64] struct {
	ctx        context.Context
	checkpoint *Checkpoint
	prefix     string
	parameters int64
	err        error
}

// NewLoader returns a loader for names that begin with prefix ("bert.") or
// stand outside of the base model, where prefix may be absent from the file.
// It stops between tensors when ctx is cancelled.
func NewLoader[T float32 | float64](ctx context.Context, c *Checkpoint, prefix string) *Loader[T] {
	return &Loader[T]{ctx: ctx, checkpoint: c, prefix: prefix}
}

// Tensor returns the values of a tensor of the given shape, row-major. The
// slice belongs to the caller.
func (l *Loader[T]) Tensor(name string, shape ...int) []T {
	if l.err != nil {
		return nil
	}
	if l.err = l.ctx.Err(); l.err != nil {
		return nil
	}
	info, ok := l.checkpoint.lookup(name, l.prefix)
	if !ok {
		l.err = &TensorError{File: WeightsFile, Name: name, Want: shape}
		return nil
	}
	if !slices.Equal(info.Shape, shape) {
		l.err = &TensorError{File: WeightsFile, Name: info.Name, Want: shape, Got: info.Shape}
		return nil
	}
	values, err := readAs[T](l.checkpoint, info.Name)
	if err != nil {
		l.err = fmt.Errorf("checkpoint: %s: %w", WeightsFile, err)
		return nil
	}
	l.parameters += int64(len(values))
	return values
}

// Has tells whether the checkpoint holds a tensor.
func (l *Loader[T]) Has(name string) bool {
	_, ok := l.checkpoint.lookup(name, l.prefix)
	return ok
}

// Err returns the first error: a [*TensorError], an error of the container, or
// that of the context.
func (l *Loader[T]) Err() error { return l.err }

// Parameters returns the number of values read so far.
func (l *Loader[T]) Parameters() int64 { return l.parameters }

func readAs[T float32 | float64](c *Checkpoint, name string) ([]T, error) {
	var values []T
	var err error
	switch p := any(&values).(type) {
	case *[]float32:
		*p, err = c.weights.ReadF32(name)
	case *[]float64:
		*p, err = c.weights.ReadF64(name)
	}
	return values, err
}
