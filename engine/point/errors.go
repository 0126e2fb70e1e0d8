package point

import (
	"fmt"
	"strings"
)

// SyntaxError reports a specification that cannot be read.
type SyntaxError struct {
	Spec   string
	Offset int // in bytes, of what is wrong
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%q cannot be read at byte %d: %s", e.Spec, e.Offset, e.Reason)
}

// UnknownError reports a name that no point of the model has.
type UnknownError struct {
	Name   string
	Near   []string // names that the model has, the nearest first; may be empty
	Reason string   // why there is no such point; may be empty
}

func (e *UnknownError) Error() string {
	s := fmt.Sprintf("the model has no point %s", e.Name)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if len(e.Near) > 0 {
		return s + "; did you mean " + strings.Join(e.Near, " or ") + "?"
	}
	if e.Reason == "" {
		s += "; list its points to see all names"
	}
	return s
}

// MismatchError reports what a point exists for but does not allow: a slice
// outside of it, an edit where there can be none, values of another shape.
type MismatchError struct {
	Name   string // as it was asked for
	Reason string
}

func (e *MismatchError) Error() string { return fmt.Sprintf("%s %s", e.Name, e.Reason) }

func mismatch(name, format string, args ...any) error {
	return &MismatchError{Name: name, Reason: fmt.Sprintf(format, args...)}
}
