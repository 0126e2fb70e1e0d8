package wasm

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/random"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Stats are what one explanation took.
type Stats struct {
	Compile     time.Duration // of the module, once
	Instantiate time.Duration
	Guest       time.Duration // in the module, without Forward
	Forward     time.Duration // in the model
	HostCalls   int
	Forwards    int
	Rows        int64 // of all forwards
	BytesIn     int64 // of tensors, read by the module
	BytesOut    int64 // of tensors, written by the module
	MemoryBytes int64 // of the module at its end
}

// Explain runs the method info.Name of the module on a fresh instance, and
// drops the instance. The explanation has passed the checks that one in process
// has.
//
// It ends early with ctx.Err() where ctx is done, with a *LimitError where the
// method ran into limits, with the model's own error where a forward failed
// and the method passed that on, and with an *sdk.Error otherwise.
func (m *Module) Explain(ctx context.Context, model sdk.Model, req *sdk.Request, info sdk.Info, limits Limits) (*sdk.Explanation, Stats, error) {
	limits = limits.withDefaults()
	c := newCall(contract.Model(model, info, req), contract.Complete(req, info), info, limits)
	c.stats.Compile = m.compile
	if err := ctx.Err(); err != nil {
		return nil, c.stats, err
	}
	if m.layout.minimum > limits.MemoryBytes {
		return nil, c.stats, memoryError(limits)
	}
	run, cancel := contract.WithTimeout(ctx, limits.Timeout)
	defer cancel()
	run = context.WithValue(run, callKey{}, c)
	c.ctx = run
	rc, err := m.run(experimental.WithMemoryAllocator(run, &c.memory), c)
	c.stats.MemoryBytes = int64(len(c.memory.buf))
	if err != nil || rc != 0 {
		if ended := contract.Ended(run); ended != nil {
			return nil, c.stats, ended
		}
		return nil, c.stats, c.failure(rc, err)
	}
	e, err := c.assemble()
	if err == nil {
		err = contract.Check(e, req)
	}
	if err != nil {
		return nil, c.stats, err
	}
	return e, c.stats, nil
}

// run instantiates the module and calls its exports.
func (m *Module) run(ctx context.Context, c *call) (rc sdk.Errno, err error) {
	start := time.Now()
	out := &lines{c: c}
	defer out.flush()
	instance, err := m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().
		WithName("").
		WithStartFunctions().
		WithStdout(out).
		WithStderr(out).
		WithRandSource(random.New(c.request.Seed, c.info.Name, random.WASI)))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, instance.Close(context.WithoutCancel(ctx))) }()
	stop := instance.ExportedGlobal(exportStop).(api.MutableGlobal)
	defer context.AfterFunc(ctx, func() { stop.Set(1) })()
	for _, name := range []string{exportStart, abi.ExportInit} {
		if f := instance.ExportedFunction(name); f != nil {
			if _, err := f.Call(ctx); err != nil {
				return 0, err
			}
		}
	}
	started := time.Now()
	c.stats.Instantiate = started.Sub(start)
	defer func() { c.stats.Guest = time.Since(started) - c.stats.Forward }()
	version, err := invoke(ctx, instance, abi.ExportVersion)
	if err != nil {
		return 0, err
	}
	if err := negotiate(version); err != nil {
		return 0, err
	}
	request := abi.AppendRequest(nil, c.info.Name)
	ptr, err := invoke(ctx, instance, abi.ExportAlloc, uint64(len(request)))
	if err != nil {
		return 0, err
	}
	if ptr == 0 {
		return 0, memoryError(c.limits)
	}
	if !instance.Memory().Write(ptr, request) {
		return 0, sdk.NewError(sdk.EFault, "the module's "+abi.ExportAlloc+" returned a pointer outside its memory")
	}
	code, err := invoke(ctx, instance, abi.ExportExplain, uint64(ptr), uint64(len(request)))
	return sdk.Errno(int32(code)), err
}

// invoke calls an export that returns an i32.
func invoke(ctx context.Context, m api.Module, name string, args ...uint64) (uint32, error) {
	out, err := m.ExportedFunction(name).Call(ctx, args...)
	if err != nil {
		return 0, err
	}
	return uint32(out[0]), nil
}

// negotiate refuses a module whose ABI this host does not speak.
func negotiate(version uint32) error {
	major, minor := version>>16, version&0xffff
	text := func(major, minor uint32) string {
		return strconv.FormatUint(uint64(major), 10) + "." + strconv.FormatUint(uint64(minor), 10)
	}
	switch {
	case major > abi.Major || major == abi.Major && minor > abi.Minor:
		return sdk.NewError(sdk.EUnsupported, "the module speaks ABI "+text(major, minor)+" and this xai speaks "+text(abi.Major, abi.Minor)+": a newer xai is needed")
	case major < abi.Major:
		return sdk.NewError(sdk.EUnsupported, "the module speaks ABI "+text(major, minor)+" and this xai speaks "+text(abi.Major, abi.Minor)+": a newer version of the method is needed")
	}
	return nil
}

// failure returns the error of a run that returned rc or, where the module was
// stopped, err.
func (c *call) failure(rc sdk.Errno, err error) error {
	var exit *sys.ExitError
	_, ours := errors.AsType[*sdk.Error](err)
	_, limit := errors.AsType[*LimitError](err)
	switch {
	case ours || limit:
		return err
	case err != nil && c.memory.refused:
		return memoryError(c.limits)
	case errors.As(err, &exit):
		return sdk.NewError(sdk.EInternal, "the module ended itself with exit code "+strconv.FormatUint(uint64(exit.ExitCode()), 10))
	case err != nil:
		return sdk.NewError(sdk.EInternal, "the module was stopped: "+trap(err))
	case !known(rc):
		return sdk.NewError(sdk.EInternal, "the module returned "+strconv.Itoa(int(rc))+", which is neither 0 nor an error code")
	case rc == sdk.EQuota && c.exceeded != nil:
		return c.exceeded
	}
	said := ""
	if c.said != nil && c.said.Code == rc {
		said = c.said.Message
	}
	if host := c.failures[rc]; host != nil && (said == "" || said == message(host)) {
		return host
	}
	if rc == sdk.ENoMem && said == "" {
		return memoryError(c.limits)
	}
	return sdk.NewError(rc, said)
}

// trap returns what stopped a module, without the stack that follows.
func trap(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if _, after, ok := strings.Cut(line, "wasm error: "); ok {
		line = after
	}
	return clean(line, abi.MaxMessage)
}

// assemble makes an explanation of the results.
func (c *call) assemble() (*sdk.Explanation, error) {
	e := &sdk.Explanation{}
	stderrs := map[string][]float64{}
	for _, r := range c.results {
		base, isStderr := strings.CutSuffix(r.name, abi.SuffixStderr)
		diagnostic, isDiagnostic := strings.CutPrefix(r.name, abi.PrefixDiagnostics)
		values, isF64 := r.Data.([]float64)
		wrong := func(want string) error {
			return sdk.NewError(sdk.EInternal, "the method returned "+r.name+" as something else than "+want)
		}
		switch {
		case r.meta.Units != nil && r.name != abi.ResultAttributions:
			return nil, sdk.NewError(sdk.EInternal, "the method returned units with "+r.name+", and only "+abi.ResultAttributions+" has them")
		case isStderr:
			if !isF64 || !contract.IsAttribution(r.meta.Axes) || len(r.Shape) != 1 {
				return nil, wrong("f64 over units or tokens")
			}
			stderrs[base] = values
		case isDiagnostic, r.name == abi.ResultBaseline:
			if !isF64 || len(r.Shape) != 0 || len(r.meta.Axes) != 0 {
				return nil, wrong("one f64 without dimensions")
			}
			if isDiagnostic {
				e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: diagnostic, Value: values[0]})
			} else {
				e.Baseline = &values[0]
			}
		case r.name == abi.ResultAttributions, contract.IsAttribution(r.meta.Axes):
			if !isF64 || !contract.IsAttribution(r.meta.Axes) || len(r.Shape) != 1 {
				return nil, wrong("f64 over units or tokens")
			}
			a := sdk.Attribution{Name: r.name, Over: r.meta.Axes[0], Values: values}
			if r.name == abi.ResultAttributions {
				e.Units = r.meta.Units
				e.Attributions = append([]sdk.Attribution{a}, e.Attributions...)
			} else {
				e.Attributions = append(e.Attributions, a)
			}
		default:
			e.Tensors = append(e.Tensors, sdk.NamedTensor{Name: r.name, Axes: r.meta.Axes, Tensor: *r.Tensor})
		}
	}
	for i := range e.Attributions {
		a := &e.Attributions[i]
		a.Stderr = stderrs[a.Name]
		delete(stderrs, a.Name)
	}
	for name := range stderrs {
		return nil, sdk.NewError(sdk.EInternal, "the method returned standard errors of "+name+", which it did not return")
	}
	return e, nil
}

// lines passes what a module writes to its standard output and error on to the
// log, line by line.
type lines struct {
	c    *call
	line []byte
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	for _, x := range b {
		if x == '\n' {
			l.flush()
		} else if len(l.line) < 4*abi.MaxMessage {
			l.line = append(l.line, x)
		}
	}
	return len(b), nil
}

func (l *lines) flush() {
	if len(l.line) > 0 {
		l.c.writeLog(sdk.Debug, string(l.line))
		l.line = l.line[:0]
	}
}

// timed adds the time that f takes to d.
func timed[T any](d *time.Duration, f func() (T, error)) (T, error) {
	start := time.Now()
	defer func() { *d += time.Since(start) }()
	return f()
}
