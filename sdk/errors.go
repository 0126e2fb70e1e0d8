package sdk

// Errno is the class of an error, with its code in the ABI.
type Errno int32

// The error codes.
const (
	EInvalid     Errno = -1  // EINVAL: an argument is malformed
	EHandle      Errno = -2  // EHANDLE: no such tensor or reply
	ECap         Errno = -3  // ECAP: the need was not granted
	EFault       Errno = -4  // EFAULT: a pointer outside the memory
	ERange       Errno = -5  // ERANGE: an index or size out of range
	ENoMem       Errno = -6  // ENOMEM: the memory limit
	EQuota       Errno = -7  // EQUOTA: a limit of the run
	ECancelled   Errno = -8  // ECANCELLED: the user or the deadline ended the run
	EUnsupported Errno = -9  // EUNSUPPORTED: the model or the host cannot do it
	EInternal    Errno = -10 // EINTERNAL: a defect of the host or the method
	EName        Errno = -11 // ENAME: no such name
)

var errnoNames = [...]string{"EINVAL", "EHANDLE", "ECAP", "EFAULT", "ERANGE", "ENOMEM", "EQUOTA", "ECANCELLED", "EUNSUPPORTED", "EINTERNAL", "ENAME"}

// String returns the code's name as the ABI spells it, for example "EINVAL".
func (e Errno) String() string {
	if i := int(-e) - 1; i >= 0 && i < len(errnoNames) {
		return errnoNames[i]
	}
	return "EUNKNOWN"
}

// Error is an error of a method or of the host, with its class. Two errors of
// the same Code match under errors.Is when the target has no Message.
type Error struct {
	Code    Errno
	Message string
}

// Error returns the message, or the code's name where there is none.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.String()
	}
	return e.Message
}

// Is reports whether target is an *Error of the same code without a message.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Message == "" || t.Message == e.Message)
}

// NewError returns an *Error.
func NewError(code Errno, message string) *Error { return &Error{Code: code, Message: message} }

// Recovered returns the error that stands for a panic with the value v, the
// same in process and in a module.
func Recovered(v any) *Error {
	message := "the method panicked"
	switch v := v.(type) {
	case error:
		message += ": " + v.Error()
	case string:
		message += ": " + v
	}
	return NewError(EInternal, message)
}
