package wasm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tetratelabs/wazero/api"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// maxAnswer is the largest value of param_get and input_get.
const maxAnswer = math.MaxInt32

// call is the state of one explanation. One goroutine uses it.
type call struct {
	ctx     context.Context // ends at the deadline
	model   sdk.Model       // under the contract
	request *sdk.Request
	info    sdk.Info
	limits  Limits
	stats   Stats

	memory  linearMemory
	handles handles
	results []result
	named   map[string]bool // the names of results
	output  int64           // bytes of all results
	logged  int64           // bytes of log lines

	last     error               // of the last host call that failed
	failures map[sdk.Errno]error // the last of each code
	said     *sdk.Error          // what the guest said with error()
	exceeded *LimitError         // the limit that the guest last ran into
}

func newCall(model sdk.Model, request *sdk.Request, info sdk.Info, limits Limits) *call {
	return &call{
		model: model, request: request, info: info, limits: limits,
		memory:   linearMemory{limit: uint64(limits.MemoryBytes)},
		handles:  handles{tensors: map[int64]*tensor{}, replies: map[int64]reply{}},
		named:    map[string]bool{},
		failures: map[sdk.Errno]error{},
	}
}

// result is what the guest handed over under a name.
type result struct {
	name string
	meta *abi.Meta
	*sdk.Tensor
}

// exceed remembers a limit that a host call ran into, and returns the error
// that the guest sees.
func (c *call) exceed(e *LimitError) error {
	c.exceeded = e
	return sdk.NewError(sdk.EQuota, "the method "+e.Error())
}

// fail remembers the error of a host call and returns its code.
func (c *call) fail(err error) sdk.Errno {
	code := errno(err)
	c.last, c.failures[code] = err, err
	return code
}

// errno returns the code under which a guest sees err.
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

// hostPanic returns the error of a host call that panicked with v.
func hostPanic(v any) error {
	return sdk.NewError(sdk.EInternal, "the host failed: "+clean(fmt.Sprint(v), abi.MaxMessage))
}

// clean returns s as one line for a terminal: valid UTF-8 of at most n bytes,
// without control characters and those that change the direction of text.
func clean(s string, n int) string {
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

// forward is forward(spec, spec_len) → reply.
func (c *call) forward(mem api.Memory, a []uint64) (int64, error) {
	b, err := frame(mem, a[0], a[1])
	if err != nil {
		return 0, err
	}
	spec, err := abi.ParseForward(b)
	if err != nil {
		return 0, err
	}
	f := &sdk.Forward{Over: spec.Over, Fill: spec.Fill, Target: spec.Target, KeepDuplicates: spec.KeepDuplicates}
	n, err := c.rows(f, spec)
	if err != nil {
		return 0, err
	}
	c.stats.Forwards++
	c.stats.Rows += n
	r, err := timed(&c.stats.Forward, func() (sdk.Reply, error) { return c.model.Forward(c.ctx, f) })
	if err != nil {
		return 0, err
	}
	c.handles.last++
	c.handles.replies[c.handles.last] = reply{r, spec.Want, n}
	c.handles.bytes += n * rowBytes
	return c.handles.last, nil
}

// admit checks n rows against the limits, before anything is allocated for them.
func (c *call) admit(n int64) error {
	h := &c.handles
	if n > c.limits.Forwards-c.stats.Rows {
		return c.exceed(forwardsError(c.limits))
	}
	if len(h.tensors)+len(h.replies) >= maxHandles || n > (c.limits.HandleBytes-h.bytes)/rowBytes {
		return c.exceed(handlesError(c.limits))
	}
	return nil
}

// rows fills in the rows of f from the tensors that spec names, and returns
// their number, which the limits admit.
func (c *call) rows(f *sdk.Forward, spec *abi.Forward) (int64, error) {
	t, err := c.tensor(uint64(spec.Handle))
	if err != nil {
		return 0, err
	}
	if spec.Rows == abi.FieldUnits || spec.Rows == abi.FieldMasks {
		if spec.Rows == abi.FieldUnits {
			f.Units = t.Tensor
		} else {
			f.Masks = t.Tensor
		}
		n := int64(1) // of a scalar, which the contract refuses
		if len(t.Shape) > 0 {
			n = int64(t.Shape[0])
		}
		return n, c.admit(n)
	}
	extra, err := c.tensor(uint64(spec.Extra))
	if err != nil {
		return 0, err
	}
	if spec.Rows == abi.FieldTexts {
		joined, ok := t.Data.([]uint8)
		offsets, ok2 := extra.Data.([]int64)
		if !ok || !ok2 || len(t.Shape) != 1 || len(extra.Shape) != 1 || len(offsets) == 0 {
			return 0, sdk.NewError(sdk.EInvalid, "texts are a u8 tensor [B] with offsets, an i64 tensor [N+1]")
		}
		n := int64(len(offsets) - 1)
		if err := c.admit(n); err != nil {
			return 0, err
		}
		f.Texts = make([]string, n)
		for i := range f.Texts {
			from, to := offsets[i], offsets[i+1]
			if from < 0 || from > to || to > int64(len(joined)) {
				return 0, sdk.NewError(sdk.ERange, "the offsets of texts do not ascend within them")
			}
			f.Texts[i] = string(joined[from:to])
		}
		return n, nil
	}
	ids, ok := t.Data.([]int32)
	lengths, ok2 := extra.Data.([]int32)
	if !ok || !ok2 || len(t.Shape) != 2 || len(extra.Shape) != 1 || len(lengths) != t.Shape[0] {
		return 0, sdk.NewError(sdk.EInvalid, "ids are an i32 tensor [N,T] with lengths, an i32 tensor [N]")
	}
	if err := c.admit(int64(len(lengths))); err != nil {
		return 0, err
	}
	f.IDs = make([][]int32, len(lengths))
	for i, n := range lengths {
		if n < 0 || int(n) > t.Shape[1] {
			return 0, sdk.NewError(sdk.ERange, "a length of ids is outside their row")
		}
		f.IDs[i] = ids[i*t.Shape[1]:][:n:n]
	}
	return int64(len(lengths)), nil
}

// replyGet is reply_get(reply, name, name_len, index) → handle.
func (c *call) replyGet(mem api.Memory, a []uint64) (int64, error) {
	r, ok := c.handles.replies[int64(a[0])]
	if !ok {
		return 0, sdk.NewError(sdk.EHandle, "a handle is no reply's")
	}
	name, err := name(mem, a[1], a[2])
	if err != nil {
		return 0, err
	}
	if r.want != nil && !slices.ContainsFunc(r.want, func(w abi.Want) bool { return w.String() == name }) {
		return 0, sdk.NewError(sdk.EName, "the forward did not want the output "+clean(name, 100))
	}
	// Before the model builds it.
	columns := int64(1)
	if name != sdk.ReplyTarget {
		columns = int64(len(c.model.Info().Labels))
	}
	if free := (c.limits.HandleBytes - c.handles.bytes) / int64(sdk.F64.Size()); columns > 0 && r.rows > free/columns {
		return 0, c.exceed(handlesError(c.limits))
	}
	t, err := r.Tensor(name, int(int32(a[3])))
	if err != nil {
		return 0, err
	}
	b, ok := dataBytes(t.Data)
	if n, ok2 := abi.Elements(t.Shape); !ok || !ok2 || n*t.DType().Size() != len(b) || len(t.Shape) > abi.MaxRank {
		return 0, sdk.NewError(sdk.EInternal, "the model's output "+clean(name, 100)+" has a wrong shape")
	}
	return c.store(&tensor{Tensor: t, bytes: b})
}

// paramGet is param_get(name, name_len, out, cap) → bytes.
func (c *call) paramGet(mem api.Memory, a []uint64) (int64, error) {
	name, err := name(mem, a[0], a[1])
	if err != nil {
		return 0, err
	}
	for _, p := range c.info.Params {
		if p.Name != name {
			continue
		}
		var w abi.Writer
		if !w.Param(p.Type, c.request.Params[name]) {
			return 0, sdk.NewError(sdk.EInternal, "the parameter "+name+" has no value of its type")
		}
		return answer(mem, a[2], a[3], w.B)
	}
	return 0, sdk.NewError(sdk.EName, "the method declares no parameter "+clean(name, 100))
}

// inputGet is input_get(key, out, cap) → bytes.
func (c *call) inputGet(mem api.Memory, a []uint64) (int64, error) {
	var w abi.Writer
	r := c.request
	switch abi.Input(uint32(a[0])) {
	case abi.InputText:
		w.Text(r.Text)
	case abi.InputTextPair:
		if r.TextPair == nil {
			return 0, sdk.NewError(sdk.EName, "the request has no second text")
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
		return 0, sdk.NewError(sdk.EName, "the input's key is unknown")
	}
	return answer(mem, a[1], a[2], w.B)
}

// message returns the message under which a guest sees err.
func message(err error) string { return clean(err.Error(), abi.MaxMessage) }

// rngFill is rng_fill(ptr, n) → 0.
func (c *call) rngFill(mem api.Memory, a []uint64) (int64, error) {
	b, err := region(mem, a[0], a[1])
	if err != nil {
		return 0, err
	}
	for len(b) > 0 {
		n, err := c.request.Rand.Read(b)
		if err != nil {
			return 0, err
		}
		b = b[n:]
	}
	return 0, nil
}

// progress is progress(done, total) → 0.
func (c *call) progress(_ api.Memory, a []uint64) (int64, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return 0, c.request.Progress(int(int64(a[0])), int(int64(a[1])))
}

// log is log(level, ptr, len) → 0.
func (c *call) log(mem api.Memory, a []uint64) (int64, error) {
	level := sdk.Level(int32(a[0]))
	if level < sdk.Debug || level > sdk.Warning {
		return 0, sdk.NewError(sdk.EInvalid, "a log line's level is unknown")
	}
	b, err := region(mem, a[1], a[2])
	if err != nil {
		return 0, err
	}
	c.writeLog(level, string(b[:min(len(b), 4*abi.MaxMessage)]))
	return 0, nil
}

// writeLog passes a line on, until the limit is used up.
func (c *call) writeLog(level sdk.Level, line string) {
	if c.logged > c.limits.LogBytes {
		return
	}
	line = clean(line, abi.MaxMessage)
	c.logged += int64(len(line)) + 1
	if c.logged > c.limits.LogBytes {
		level, line = sdk.Warning, "the method's log was cut at "+size(c.limits.LogBytes)
	}
	c.request.Log(level, line)
}

// error is error(code, ptr, len) → 0.
func (c *call) error(mem api.Memory, a []uint64) (int64, error) {
	b, err := region(mem, a[1], a[2])
	if err != nil {
		return 0, err
	}
	c.said = sdk.NewError(sdk.Errno(int32(a[0])), clean(string(b[:min(len(b), 4*abi.MaxMessage)]), abi.MaxMessage))
	return 0, nil
}

// result is result(name, name_len, h, meta, meta_len) → 0.
func (c *call) result(mem api.Memory, a []uint64) (int64, error) {
	name, err := name(mem, a[0], a[1])
	if err != nil {
		return 0, err
	}
	if err := contract.CheckName(name); err != nil {
		return 0, err
	}
	t, err := c.tensor(a[2])
	if err != nil {
		return 0, err
	}
	b, err := frame(mem, a[3], a[4])
	if err != nil {
		return 0, err
	}
	meta, err := abi.ParseMeta(b)
	if err != nil {
		return 0, err
	}
	if c.named[name] {
		return 0, sdk.NewError(sdk.EName, "the method returned two results named "+name)
	}
	cost := int64(len(name)) + int64(len(b)) + int64(len(t.bytes))
	if cost > c.limits.OutputBytes-c.output || len(c.results) >= abi.MaxResults {
		return 0, c.exceed(outputError(c.limits))
	}
	c.output += cost
	c.named[name] = true
	t.writable = false
	c.results = append(c.results, result{name, meta, t.Tensor})
	return 0, nil
}
