package core

import (
	"context"
	"errors"
	"strings"

	"github.com/xai-go/xai/sdk"
)

// Kind classes an error by who can mend it. Its number is the exit code of the
// command line.
type Kind int

// The kinds of errors.
const (
	KindInternal    Kind = 1 // none of the others: a defect, or a system that fails
	KindUsage       Kind = 2 // the request is wrong: a method, parameter or target
	KindInput       Kind = 3 // the model, tokenizer or input is missing, malformed or unsupported
	KindMethod      Kind = 4 // the method was refused, failed, or ran out of its limits
	KindInterrupted Kind = 5 // the caller cancelled
)

// Error is an error that a user meets: one sentence that says what is wrong,
// and a hint that says what to do. It wraps its cause.
type Error struct {
	Kind Kind
	Msg  string // one sentence; empty where Err says it all
	Hint string // what to do next; may be empty
	Err  error  // the cause; may be nil
}

// Error returns the sentence without the hint.
func (e *Error) Error() string {
	if e.Msg == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err: that of the *Error it wraps, KindInterrupted
// for a cancelled context, KindMethod for one past its deadline, and
// KindInternal for anything else.
func KindOf(err error) Kind {
	switch {
	case errors.Is(err, context.Canceled):
		return KindInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return KindMethod
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// input wraps the error of reading something: a model, a tokenizer, a file.
func input(what string, err error, hint string) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Kind: KindInput, Msg: what + ": " + plain(err.Error()), Hint: hint, Err: err}
}

// plain drops the names of Go packages, with which their errors begin, from a
// message for users.
func plain(message string) string {
	for _, name := range []string{"engine: ", "checkpoint: ", "safetensors: ", "torch: ", "tokenizer: "} {
		message = strings.ReplaceAll(strings.TrimPrefix(message, name), ": "+name, ": ")
	}
	return message
}

// usage returns a KindUsage error.
func usage(msg, hint string) error { return &Error{Kind: KindUsage, Msg: msg, Hint: hint} }

// methodError classes what a method's run returned: sdk errors that blame the
// model or the request keep that meaning, the rest is the method's own.
func methodError(name string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	kind := KindMethod
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		switch e.Code {
		case sdk.EInvalid, sdk.EName:
			kind = KindUsage
		case sdk.EUnsupported:
			kind = KindInput
		}
	}
	return &Error{Kind: kind, Msg: "method " + name + ": " + err.Error(), Err: err}
}
