package checkpoint

import (
	"context"
	"fmt"
	"slices"

	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// Loader reads the tensors of one model as T. Like [Fields] it keeps the first
// error and then returns nil from every call, so that an architecture loads all
// its tensors and looks at [Loader.Err] once. It is used by one goroutine.
//
// A tensor with a value that is no finite number is an error, because one NaN
// in the weights makes every result NaN.
//
// Memory is bounded: beside the tensors that it returns a loader holds less
// than a megabyte.
type Loader[T float32 | float64] struct {
	ctx        context.Context
	checkpoint *Checkpoint
	prefix     string
	parameters int64
	counted    map[string]bool // the names of tensors among parameters
	err        error
}

// NewLoader returns a loader for names that begin with prefix ("bert.") or
// stand outside of the base model, where prefix may be absent from the file.
// It stops between tensors when ctx is cancelled.
func NewLoader[T float32 | float64](ctx context.Context, c *Checkpoint, prefix string) *Loader[T] {
	return &Loader[T]{ctx: ctx, checkpoint: c, prefix: prefix, counted: map[string]bool{}}
}

// Info describes a tensor without reading it: its format, shape, and the name
// that it has in the file.
func (l *Loader[T]) Info(name string) (stored.Info, bool) { return l.checkpoint.Tensor(l.prefix, name) }

// Has reports whether there is a tensor of a name.
func (l *Loader[T]) Has(name string) bool {
	_, ok := l.Info(name)
	return ok
}

// First returns the first of several names that there is a tensor of, for
// instance of a head that may be tied to the embeddings. If there is none it
// returns the first name, so that an error will speak of that.
func (l *Loader[T]) First(name string, others ...string) string {
	if l.Has(name) {
		return name
	}
	if i := slices.IndexFunc(others, l.Has); i >= 0 {
		return others[i]
	}
	return name
}

// Tensor returns the values of a tensor of the given shape, row-major. The
// slice belongs to the caller.
func (l *Loader[T]) Tensor(name string, shape ...int) []T {
	return load(l, name, shape, readAs[T], nonFinite[T])
}

// Bits returns the bits of the values of a tensor that is stored in 16 bits,
// and their format, F16 or BF16. That the tensor is stored so is up to the
// caller, who asks [Loader.Info].
func (l *Loader[T]) Bits(name string, shape ...int) ([]uint16, stored.DType) {
	info, _ := l.Info(name)
	check := func(bits []uint16) (int, float64) { return nonFiniteBits(info.DType, bits) }
	return load(l, name, shape, container.ReadBits, check), info.DType
}

// Err returns the first error: a [*TensorError], a [*ValueError], an error of
// the container, or that of the context.
func (l *Loader[T]) Err() error { return l.err }

// Parameters returns the number of values of the tensors read so far. A tensor
// that was read several times, as tied weights are, counts once.
func (l *Loader[T]) Parameters() int64 { return l.parameters }

// load reads a tensor by read and holds its shape and its values to what they
// should be. check returns the index of a value that is not finite, and the
// value, or −1.
func load[T float32 | float64, V any](l *Loader[T], name string, shape []int, read func(container, string) ([]V, error), check func([]V) (int, float64)) []V {
	if l.err == nil {
		l.err = l.ctx.Err()
	}
	if l.err != nil {
		return nil
	}
	f, info, ok := l.checkpoint.lookup(l.prefix, name)
	if !ok {
		l.err = &TensorError{File: l.checkpoint.files[0].name, Name: name, Want: shape}
		return nil
	}
	if !slices.Equal(info.Shape, shape) {
		l.err = &TensorError{File: f.name, Name: info.Name, Want: shape, Got: info.Shape}
		return nil
	}
	values, err := read(f.tensors, info.Name)
	if err != nil {
		l.err = fmt.Errorf("checkpoint: %s: %w", f.name, err)
		return nil
	}
	if i, value := check(values); i >= 0 {
		l.err = &ValueError{File: f.name, Name: info.Name, At: coordinates(i, shape), Value: value}
		return nil
	}
	if !l.counted[info.Name] {
		l.counted[info.Name] = true
		l.parameters += int64(len(values))
	}
	return values
}

func readAs[T float32 | float64](c container, name string) ([]T, error) {
	var values []T
	var err error
	switch p := any(&values).(type) {
	case *[]float32:
		*p, err = c.ReadF32(name)
	case *[]float64:
		*p, err = c.ReadF64(name)
	}
	return values, err
}
