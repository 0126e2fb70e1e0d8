package engine

import (
	"errors"
	"fmt"
)

// ErrClosed is what a forward on a closed model fails with.
var ErrClosed = errors.New("engine: the model is closed")

// ErrNotFinite is what [Model.Generate] fails with where a model's logits say
// nothing of what comes next.
var ErrNotFinite = errors.New("engine: the logits are NaN or infinite: the weights are damaged, or too large for the number format")

// OptionError reports an option of [Open] that makes no sense.
type OptionError struct {
	Option string
	Reason string
}

func (e *OptionError) Error() string { return fmt.Sprintf("engine: %s: %s", e.Option, e.Reason) }

// InputError reports an [Input] that the model cannot take.
type InputError struct {
	Field    string // of Input
	Sequence int    // index of the sequence at fault, or −1
	Token    int    // index of the token in its sequence, or −1
	Reason   string
}

func (e *InputError) Error() string {
	switch {
	case e.Token >= 0:
		return fmt.Sprintf("engine: %s: token %d of sequence %d %s", e.Field, e.Token, e.Sequence, e.Reason)
	case e.Sequence >= 0:
		return fmt.Sprintf("engine: %s: sequence %d %s", e.Field, e.Sequence, e.Reason)
	default:
		return fmt.Sprintf("engine: %s %s", e.Field, e.Reason)
	}
}

// MemoryError reports work that was not begun because it cannot fit into the
// memory budget.
type MemoryError struct {
	What   string
	Need   int64 // bytes
	Budget int64 // bytes, all of them
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("engine: %s need %s of memory, more than the budget of %s allows: raise the budget or ask for less", e.What, mebibytes(e.Need), mebibytes(e.Budget))
}

func mebibytes(bytes int64) string {
	if bytes < 1<<20/10 {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}
