package core

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
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
		return cmp.Or(e.Kind, KindInternal)
	}
	return KindInternal
}

// input wraps the error of reading something: a model, a tokenizer, a file. No
// hint stands for what is usual where errors are of that type.
func input(what string, err error, hint string) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	hint = cmp.Or(hint, advice(err))
	msg := strings.TrimSuffix(plain(err.Error()), ": "+hint) // of an error that has a hint itself
	return &Error{Kind: KindInput, Msg: what + ": " + msg, Hint: hint, Err: err}
}

// advice says what to do about an error of the engine, or of a file that it
// reads.
func advice(err error) string {
	if e, ok := errors.AsType[*checkpoint.MissingError](err); ok && e.File != "." {
		return e.Hint
	}
	if e, ok := errors.AsType[*checkpoint.UnsupportedError](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*safetensors.UnsupportedError](err); ok {
		return e.Hint
	}
	switch {
	case is[*engine.MemoryError](err):
		return "allow more with --memory, or ask for less at a time"
	case is[*engine.InputError](err):
		return "change that part of the input to what the model takes"
	case errors.Is(err, fs.ErrNotExist):
		return "check the path, and whether all files are there"
	case is[*safetensors.FormatError](err), is[*checkpoint.IndexError](err):
		return "get the file again, or write it anew: it is damaged"
	case is[*checkpoint.ConfigError](err), is[*checkpoint.TensorError](err):
		return "get config.json and the weights again, both of the same model"
	}
	return ""
}

// is reports whether err wraps an error of a type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// plain drops the names of Go packages, with which their errors begin, from a
// message for users.
func plain(message string) string {
	for _, name := range []string{"engine: ", "checkpoint: ", "safetensors: ", "torch: ", "tokenizer: "} {
		message = strings.ReplaceAll(strings.TrimPrefix(message, name), ": "+name, ": ")
	}
	return message
}

// LimitError is the error of a method that ran into one of its limits, whatever it
// runs in. Errors of a Host wrap it.
type LimitError = contract.LimitError

// The limits that a LimitError names.
const (
	LimitMemory   = contract.LimitMemory
	LimitTimeout  = contract.LimitTimeout
	LimitFuel     = contract.LimitFuel
	LimitOutput   = contract.LimitOutput
	LimitHandles  = contract.LimitHandles  // what the method holds of tensors and replies
	LimitForwards = contract.LimitForwards // rows of forwards, and generated tokens
)

// usage returns a KindUsage error.
func usage(msg, hint string) error { return &Error{Kind: KindUsage, Msg: msg, Hint: hint} }

// less is how any method has less to do.
const less = "a shorter text, coarser units, or fewer samples or steps where the method has them"

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
	_, fault := errors.AsType[*contract.Fault](err)
	if e, ok := errors.AsType[*sdk.Error](err); ok && !fault {
		switch e.Code {
		case sdk.EInvalid, sdk.EName:
			kind = KindUsage
		case sdk.EUnsupported:
			kind = KindInput
		}
	}
	wrapped := &Error{Kind: kind, Msg: "method " + name + ": " + err.Error(), Err: err}
	if limit, ok := errors.AsType[*LimitError](err); ok {
		switch limit.Limit {
		case LimitTimeout:
			wrapped.Hint = "give it longer with --timeout, or ask for less: " + less
		case LimitFuel:
			wrapped.Hint = "give it more with --fuel, or ask for less: " + less
		case LimitMemory, LimitOutput, LimitForwards: // as methods.toml calls them
			wrapped.Hint = "raise " + limit.Limit + " in the method's limits in methods.toml, or ask for less: " + less
		default:
			wrapped.Hint = "ask for less: " + less
		}
	}
	return wrapped
}
