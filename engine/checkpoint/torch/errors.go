package torch

import (
	"errors"
	"fmt"
)

// ErrNotFound is wrapped by the error for a name that the file does not have.
var ErrNotFound = errors.New("tensor not found")

// FormatError reports a file that is damaged, cut short or contradicts itself.
type FormatError struct {
	Offset int64  // byte offset in the file at or before which the fault was seen
	Reason string // what is wrong there
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("torch: malformed file at byte %d: %s", e.Offset, e.Reason)
}

func malformed(offset int64, format string, args ...any) error {
	return &FormatError{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// saveAgain is what to do with a file that has no reader here.
const saveAgain = "save the weights again as safetensors, for instance with save_pretrained(folder, safe_serialization=True)"

// UnsupportedError reports a file, or a tensor of it, that is well-formed but
// cannot be read.
type UnsupportedError struct {
	Tensor  string // empty where the file as a whole is meant
	Feature string // what has no implementation
	Hint    string // what to do with the tensor
}

func (e *UnsupportedError) Error() string {
	if e.Tensor == "" {
		return fmt.Sprintf("torch: %s is not supported: %s", e.Feature, saveAgain)
	}
	return fmt.Sprintf("torch: tensor %q: %s is not supported: %s", e.Tensor, e.Feature, e.Hint)
}

// RefusedError reports a file whose pickle names a function or class of Python
// that is not needed to describe tensors, or uses one otherwise than to
// describe them.
type RefusedError struct {
	Offset int64  // byte offset in the file
	Op     string // operation of the pickle: GLOBAL, REDUCE, BUILD …
	Name   string // what it names, for instance "os.system"
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("torch: refused to run %s of %s at byte %d: a model file may describe tensors and nothing else, since a pickle can run any program; if you trust the file, %s", e.Op, e.Name, e.Offset, saveAgain)
}
