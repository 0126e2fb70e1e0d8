package contract

import (
	"context"
	"strconv"
	"time"
)

// The limits that a LimitError names.
const (
	LimitMemory   = "memory"
	LimitTimeout  = "timeout"
	LimitFuel     = "fuel"
	LimitOutput   = "output"
	LimitHandles  = "handles"
	LimitForwards = "forwards"
)

// LimitError is the error of a method that ran into one of its limits.
type LimitError struct {
	Limit   string // which: LimitMemory …
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

type replyKey struct{}

// WithReply returns a context of forwards and gradients whose reply may hold so
// many bytes: of the points and gradients, and of the outputs. A model that knows
// of it answers EQUOTA, with the figure, before it computes more.
func WithReply(ctx context.Context, bytes int64) context.Context {
	return context.WithValue(ctx, replyKey{}, bytes)
}

// ReplyBytes returns how many bytes a reply under ctx may hold, and false where
// nothing bounds it.
func ReplyBytes(ctx context.Context) (int64, bool) {
	bytes, ok := ctx.Value(replyKey{}).(int64)
	return bytes, ok
}

// Size returns a number of bytes to four digits, in the largest binary unit that is
// not above it.
func Size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	v, unit := float64(n), ""
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, next
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " " + unit
}

// Seconds returns d in seconds where it is a whole number of them.
func Seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return d.String()
}
