package safetensors

import (
	"errors"
	"fmt"
)

// ErrNotFound is wrapped by the error for a name that the file does not have.
var ErrNotFound = errors.New("tensor not found")

// FormatError reports a file that is damaged, cut short or contradicts itself.
type FormatError struct {
	Offset int64  // byte offset in the file at which the fault was seen
	Reason string // what is wrong there
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("safetensors: malformed file at byte %d: %s", e.Offset, e.Reason)
}

// UnsupportedError reports a tensor that is well-formed but cannot be read as
// asked.
type UnsupportedError struct {
	Tensor  string // name of the tensor
	Feature string // what has no implementation
	Hint    string // what to do
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("safetensors: tensor %q: %s is not supported: %s", e.Tensor, e.Feature, e.Hint)
}

func malformed(offset int64, format string, args ...any) error {
	return &FormatError{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}
