// Package hostcall is the host's side of one explanation, whatever the method
// runs in: the functions of ABI 1 (docs/ABI.md) over Go values, with the limits
// that they are held to. A sandbox moves bytes across its border and calls them;
// so a method meets the same answers and the same errors in a module and in a
// process.
package hostcall

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Stats are what an explanation asked of the host.
type Stats struct {
	HostCalls int
	Forward   time.Duration // in the model
	Forwards  int           // calls that ran the model
	Rows      int64         // of all of them
	BytesIn   int64         // of tensors, read by the method
	BytesOut  int64         // of tensors, written by the method

	Handles     int64 // tensors and replies that the method was given; see Counted
	OpenHandles int64 // those of them that it holds, results not counted
}

// Call is the state of one explanation. It is not safe for concurrent use.
type Call struct {
	Limits Limits // with defaults
	Stats  Stats
	// Spend takes fuel for what the host computes for the method, and reports
	// whether there was as much. It is nil where nobody counts.
	Spend func(fuel int64) bool

	ctx     context.Context // ends at the deadline
	model   sdk.Model       // under the contract
	request *sdk.Request
	info    sdk.Info

	handles handles
	results []result
	named   map[string]bool // the names of results
	output  int64           // bytes of all results
	logged  int64           // bytes of log lines

	last     error                // of the last function that failed
	failures map[sdk.Errno]error  // the last of each code
	said     *sdk.Error           // what the method said with error()
	exceeded *contract.LimitError // the limit that the method last ran into
}

// New returns the host's side of an explanation of the request by a method that
// info describes. The context of its forwards is ctx.
func New(ctx context.Context, model sdk.Model, request *sdk.Request, info sdk.Info, limits Limits) *Call {
	return &Call{
		Limits:   limits.WithDefaults(),
		ctx:      ctx,
		model:    contract.Model(model, info, request),
		request:  contract.Complete(request, info),
		info:     info,
		handles:  handles{tensors: map[int64]*tensor{}, replies: map[int64]reply{}},
		named:    map[string]bool{},
		failures: map[sdk.Errno]error{},
	}
}

// result is what the method handed over under a name.
type result struct {
	name string
	meta *abi.Meta
	*sdk.Tensor
}

// Do runs a function of the host and returns its value, or the code of its
// error, which it remembers. A panic of the host is EINTERNAL. Once the run has
// to end no function does anything: a method may make thousands of calls before
// it is stopped, each of which could take long.
func (c *Call) Do(f func() (int64, error)) (value int64) {
	c.Stats.HostCalls++
	if err := c.ctx.Err(); err != nil {
		return int64(c.Fail(err))
	}
	defer func() {
		if v := recover(); v != nil {
			value = int64(c.Fail(sdk.NewError(sdk.EInternal, "the host failed: "+Clean(fmt.Sprint(v), abi.MaxMessage))))
		}
	}()
	v, err := f()
	if err != nil {
		return int64(c.Fail(err))
	}
	return v
}

// Fail remembers err as that of the function that failed last, and returns its
// code.
func (c *Call) Fail(err error) sdk.Errno {
	code := errno(err)
	c.last, c.failures[code] = err, err
	return code
}

// exceed remembers a limit that a function ran into, and returns the error that
// the method sees.
func (c *Call) exceed(e *contract.LimitError) error {
	c.exceeded = e
	return sdk.NewError(sdk.EQuota, "the method "+e.Error())
}

// errno returns the code under which a method sees err.
func errno(err error) sdk.Errno {
	if e, ok := errors.AsType[*sdk.Error](err); ok && known(e.Code) {
		return e.Code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return sdk.ECancelled
	}
	return sdk.EInternal
}

// known reports whether code is one of the ABI's.
func known(code sdk.Errno) bool { return code >= sdk.EName && code <= sdk.EInvalid }

// message returns the message under which a method sees err.
func message(err error) string { return Clean(err.Error(), abi.MaxMessage) }

// Clean returns s as one line for a terminal: valid UTF-8 of at most n bytes,
// without control characters and those that change the direction of text.
func Clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// checkName returns a name that the method gave, within its bound.
func checkName(name []byte) (string, error) {
	if len(name) > abi.MaxName {
		return "", sdk.NewError(sdk.EName, "a name is longer than "+strconv.Itoa(abi.MaxName)+" bytes")
	}
	return string(name), nil
}

// CheckFrame checks the length of a frame that the method gives.
func CheckFrame(n uint64) error {
	if n > abi.MaxFrame {
		return sdk.NewError(sdk.ERange, "a frame is longer than "+contract.Size(abi.MaxFrame))
	}
	return nil
}

// ParamGet is param_get: the type and the value of a parameter.
func (c *Call) ParamGet(name []byte) ([]byte, error) {
	text, err := checkName(name)
	if err != nil {
		return nil, err
	}
	for _, p := range c.info.Params {
		if p.Name != text {
			continue
		}
		var w abi.Writer
		if !w.Param(p.Type, c.request.Params[text]) {
			return nil, sdk.NewError(sdk.EInternal, "the parameter "+text+" has no value of its type")
		}
		return w.B, nil
	}
	return nil, sdk.NewError(sdk.EName, "the method declares no parameter "+Clean(text, 100))
}

// InputGet is input_get: an input of the request.
func (c *Call) InputGet(key abi.Input) ([]byte, error) {
	var w abi.Writer
	r := c.request
	switch key {
	case abi.InputText:
		w.Text(r.Text)
	case abi.InputTextPair:
		if r.TextPair == nil {
			return nil, sdk.NewError(sdk.EName, "the request has no second text")
		}
		w.Text(*r.TextPair)
	case abi.InputIDs:
		for _, t := range r.Tokens {
			w.U32(uint32(t.ID))
		}
	case abi.InputTokens:
		w.Tokens(r.Tokens)
	case abi.InputUnits:
		w.Units(r.Units)
	case abi.InputSpecial:
		for _, t := range r.Tokens {
			w.Bool(t.Special)
		}
	case abi.InputKeep:
		for _, t := range r.Tokens {
			w.Bool(t.Special || t.Fixed)
		}
	case abi.InputTarget:
		w.Target(r.Target)
	case abi.InputSeed:
		w.U64(r.Seed)
	case abi.InputModel:
		w.Model(c.model.Info())
	case abi.InputGrants:
		grants := make([]string, len(c.info.Needs))
		for i, n := range c.info.Needs {
			grants[i] = string(n)
		}
		w.Strings(grants)
	case abi.InputError:
		if c.last != nil {
			w.Text(message(c.last))
		}
	default:
		return nil, sdk.NewError(sdk.EName, "the input's key is unknown")
	}
	if len(w.B) > math.MaxInt32 {
		return nil, sdk.NewError(sdk.ERange, "a value is too long for the method")
	}
	return w.B, nil
}

// drawn is how many random bytes are drawn between looks at the deadline.
const drawn = 1 << 20

// Random is rng_fill: the next bytes of the run's random stream, each of which takes
// one of fuel.
func (c *Call) Random(b []byte) error {
	if c.Spend != nil && !c.Spend(int64(len(b))) {
		return c.exceed(FuelError(c.Limits))
	}
	for len(b) > 0 {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := c.request.Rand.Read(b[:min(len(b), drawn)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// Progress is progress: what the method says of its own work.
func (c *Call) Progress(done, total int64) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	return c.request.Progress(int(done), int(total))
}

// Log is log: a line for the user's log.
func (c *Call) Log(level int32, line []byte) error {
	l := sdk.Level(level)
	if l < sdk.Debug || l > sdk.Warning {
		return sdk.NewError(sdk.EInvalid, "a log line's level is unknown")
	}
	c.WriteLog(l, string(line[:min(len(line), 4*abi.MaxMessage)]))
	return nil
}

// WriteLog passes a line on, until the limit is used up.
func (c *Call) WriteLog(level sdk.Level, line string) {
	if c.logged > c.Limits.LogBytes {
		return
	}
	line = Clean(line, abi.MaxMessage)
	c.logged += int64(len(line)) + 1
	if c.logged > c.Limits.LogBytes {
		level, line = sdk.Warning, "the method's log was cut at "+contract.Size(c.Limits.LogBytes)
	}
	c.request.Log(level, line)
}

// SetError is error: the message for the code that the method will return.
func (c *Call) SetError(code int32, text []byte) {
	c.said = sdk.NewError(sdk.Errno(code), Clean(string(text[:min(len(text), 4*abi.MaxMessage)]), abi.MaxMessage))
}

// Result is result: a tensor under a name.
func (c *Call) Result(name []byte, h int64, meta []byte) error {
	text, err := checkName(name)
	if err != nil {
		return err
	}
	if err := contract.CheckName(text); err != nil {
		return err
	}
	t, err := c.tensor(h)
	if err != nil {
		return err
	}
	if err := CheckFrame(uint64(len(meta))); err != nil {
		return err
	}
	m, err := abi.ParseMeta(meta)
	if err != nil {
		return err
	}
	if c.named[text] {
		return sdk.NewError(sdk.EName, "the method returned two results named "+text)
	}
	cost := int64(len(text)) + int64(len(meta)) + int64(len(t.bytes))
	if cost > c.Limits.OutputBytes-c.output || len(c.results) >= abi.MaxResults {
		return c.exceed(outputError(c.Limits))
	}
	c.output += cost
	c.named[text] = true
	t.writable = false
	c.results = append(c.results, result{text, m, t.Tensor})
	return nil
}

// timed has the model answer, and adds the time that it takes to d.
func timed[T any](d *time.Duration, f func() (T, error)) (T, error) {
	start := time.Now()
	defer func() { *d += time.Since(start) }()
	v, err := f()
	if err != nil {
		err = &refusal{err}
	}
	return v, err
}

// refusal is the error that the model answered with. It is about what the user asked
// for, such as a point that there is not, unless the contract calls it a
// *contract.Fault; all other errors of the host are about how the method called it.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

// wanted reports whether a forward's spec asks for the output of that name.
func wanted(spec *abi.Forward, name string) bool {
	switch name {
	case sdk.ReplyTarget, sdk.ReplyLogits, sdk.ReplyProbs, sdk.ReplyLogProbs:
		return spec.Want == nil || slices.ContainsFunc(spec.Want, func(w abi.Want) bool { return w.String() == name })
	}
	return slices.Contains(spec.Points, name) || slices.ContainsFunc(spec.Wrt, func(p string) bool { return sdk.Grad(p) == name })
}
