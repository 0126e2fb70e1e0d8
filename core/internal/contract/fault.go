package contract

// Fault is the error of a method that used the host wrongly: a malformed frame,
// a power that it did not declare, a result that is none, another version of the
// ABI. It wraps the
// error that the host answered with, whose class would else blame the user.
type Fault struct{ Err error }

// Error returns the wrapped error's message.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the wrapped error.
func (f *Fault) Unwrap() error { return f.Err }
