package contract

import (
	"context"
	"strconv"
	"time"
)

// LimitTimeout is the Limit of a method that ran past its deadline.
const LimitTimeout = "timeout"

// LimitError is the error of a method that ran into one of its limits.
type LimitError struct {
	Limit   string // which: LimitTimeout, or one of the sandbox's
	Message string // what the method did, for a sentence that begins with its name
}

// Error returns the message.
func (e *LimitError) Error() string { return e.Message }

// WithTimeout returns a context of a run that may take d.
func WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, &LimitError{Limit: LimitTimeout, Message: "ran longer than its limit of " + Seconds(d)})
}

// Ended returns why the run of ctx has to end: nil while it has not, the
// *LimitError of WithTimeout, or ctx.Err() where the caller gave up.
func Ended(ctx context.Context) error {
	if limit, ok := context.Cause(ctx).(*LimitError); ok {
		return limit
	}
	return ctx.Err()
}

// Seconds returns d in seconds where it is a whole number of them.
func Seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return d.String()
}
