package wasm

import (
	"bytes"
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
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/internal/random"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Stats are what one explanation took.
type Stats struct {
	hostcall.Stats
	Compile     time.Duration // of the module, once
	Instantiate time.Duration
	Guest       time.Duration // in the module, without Forward
	Fuel        int64         // instructions of the module, as they are charged
	MemoryBytes int64         // of the module at its end
}

// call is the state of one explanation: the host's side, and the memory of the
// module. One goroutine uses it.
type call struct {
	*hostcall.Call
	info    sdk.Info
	seed    uint64
	memory  linearMemory
	timings Stats
}

// Explain runs the method info.Name of the module on a fresh instance, and
// drops the instance. The explanation has passed the checks that one in process
// has.
//
// It ends early with ctx.Err() where ctx is done, with a *core.LimitError where the
// method ran into limits, with the model's own error where a forward failed
// and the method passed that on, with a *contract.Fault where the method used
// the host wrongly, and with an *sdk.Error otherwise.
func (m *Module) Explain(ctx context.Context, model sdk.Model, req *sdk.Request, info sdk.Info, limits Limits) (*sdk.Explanation, Stats, error) {
	stats := Stats{Compile: m.compile}
	if err := ctx.Err(); err != nil {
		return nil, stats, err
	}
	if err := m.layout.checkNeeds(info); err != nil {
		return nil, stats, err
	}
	limits = bounded(limits)
	run, cancel := contract.WithTimeout(ctx, limits.Timeout)
	defer cancel()
	c := newCall(run, model, req, info, limits)
	c.timings.Compile = m.compile
	var rc sdk.Errno
	err := m.run(run, c, func(ctx context.Context, instance api.Module) (err error) {
		rc, err = explain(ctx, instance, c)
		return err
	})
	stats = c.timings
	stats.Stats = c.Counted()
	stats.MemoryBytes = int64(len(c.memory.buf))
	if err != nil || rc != 0 {
		if ended := contract.Ended(run); ended != nil {
			return nil, stats, ended
		}
	}
	if err != nil {
		return nil, stats, err
	}
	e, err := c.End(rc)
	return e, stats, err
}

func newCall(ctx context.Context, model sdk.Model, req *sdk.Request, info sdk.Info, limits Limits) *call {
	return &call{
		Call: hostcall.New(ctx, model, req, info, limits), info: info, seed: req.Seed,
		memory: linearMemory{limit: uint64(limits.MemoryBytes)},
	}
}

// run calls f with a fresh instance that has been initialised, and drops the
// instance. It returns a *core.LimitError or an *sdk.Error where the module was stopped,
// and f's own error.
func (m *Module) run(ctx context.Context, c *call, f func(ctx context.Context, instance api.Module) error) error {
	if m.layout.minimum > c.Limits.MemoryBytes {
		return hostcall.MemoryError(c.Limits)
	}
	start := time.Now()
	out := &lines{ctx: ctx, c: c.Call}
	defer out.flush()
	ctx = experimental.WithMemoryAllocator(context.WithValue(ctx, callKey{}, c), &c.memory)
	instance, err := m.runtime.InstantiateModule(ctx, m.compiled, wazero.NewModuleConfig().
		WithName("").
		WithStartFunctions().
		WithStdout(out).
		WithStderr(out).
		WithRandSource(&drawn{ctx: ctx, source: random.New(c.seed, c.info.Name, random.WASI)}))
	if err != nil {
		return c.stopped(err)
	}
	defer instance.Close(context.WithoutCancel(ctx))
	meter := meterOf(instance)
	meter.fuel.Set(uint64(c.Limits.Fuel))
	c.Spend = meter.spend
	err = meter.during(ctx, func() error {
		for _, name := range []string{exportStart, abi.ExportInit} {
			if f := instance.ExportedFunction(name); f != nil {
				if _, err := f.Call(ctx); err != nil {
					return err
				}
			}
		}
		started := time.Now()
		c.timings.Instantiate = started.Sub(start)
		defer func() { c.timings.Guest = time.Since(started) - c.Stats.Forward }()
		return f(ctx, instance)
	})
	left := meter.left()
	c.timings.Fuel = min(c.Limits.Fuel-left, c.Limits.Fuel)
	switch {
	case left < 0: // whatever it returned: it may end before it would yield
		return hostcall.FuelError(c.Limits)
	case err != nil && uint32(meter.depth.Get()) > maxDepth:
		return sdk.NewError(sdk.EInternal, "the module was stopped: stack overflow")
	case err != nil:
		return c.stopped(err)
	}
	return nil
}

// explain calls the exports of an explanation, and returns the code that the last
// one of them returned.
func explain(ctx context.Context, instance api.Module, c *call) (sdk.Errno, error) {
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
		return 0, hostcall.MemoryError(c.Limits)
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
	refuse := func(message string) error { return &contract.Fault{Err: sdk.NewError(sdk.EUnsupported, message)} }
	switch {
	case major > abi.Major || major == abi.Major && minor > abi.Minor:
		return refuse("the module speaks ABI " + text(major, minor) + " and this xai speaks " + text(abi.Major, abi.Minor) + ": a newer xai is needed")
	case major < abi.Major:
		return refuse("the module speaks ABI " + text(major, minor) + " and this xai speaks " + text(abi.Major, abi.Minor) + ": a newer version of the method is needed")
	}
	return nil
}

// meter holds the globals that rewriting adds to an instance. But for stop, they
// are read and written while the module does not run.
type meter struct{ slice, fuel, stop, depth api.MutableGlobal }

func meterOf(instance api.Module) meter {
	of := func(name string) api.MutableGlobal { return instance.ExportedGlobal(name).(api.MutableGlobal) }
	return meter{of(exportSlice), of(exportFuel), of(exportStop), of(exportDepth)}
}

// during runs f, and stops the module soon after ctx is done.
func (m meter) during(ctx context.Context, f func() error) error {
	defer context.AfterFunc(ctx, func() { m.stop.Set(1) })()
	return f()
}

// left returns the fuel that is left, which is negative where the module wanted
// more.
func (m meter) left() int64 { return int64(m.fuel.Get()) + int64(int32(m.slice.Get())) }

// spend takes fuel, if there is as much.
func (m meter) spend(fuel int64) bool {
	left := m.left() - fuel
	if left < 0 {
		return false
	}
	m.slice.Set(0)
	m.fuel.Set(uint64(left))
	return true
}

// stopped returns the error of a run that ended otherwise than by returning.
func (c *call) stopped(err error) error {
	var exit *sys.ExitError
	_, ours := errors.AsType[*sdk.Error](err)
	_, limit := errors.AsType[*contract.LimitError](err)
	switch {
	case ours || limit:
		return err
	case c.memory.refused:
		return hostcall.MemoryError(c.Limits)
	case errors.As(err, &exit):
		return sdk.NewError(sdk.EInternal, "the module ended itself with exit code "+strconv.FormatUint(uint64(exit.ExitCode()), 10))
	}
	return sdk.NewError(sdk.EInternal, "the module was stopped: "+trap(err))
}

// trap returns what stopped a module, without the stack that follows.
func trap(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if _, after, ok := strings.Cut(line, "wasm error: "); ok {
		line = after
	}
	return hostcall.Clean(line, abi.MaxMessage)
}

// lines passes what a module writes to its standard output and error on to the
// log, line by line.
type lines struct {
	ctx  context.Context // of the run
	c    *hostcall.Call
	line []byte
}

// maxLine is how many bytes of a line are looked at.
const maxLine = 4 * abi.MaxMessage

// Write implements io.Writer. It fails once the run has to end: one call of a module
// may write all of its memory a million times, or nothing at all.
func (l *lines) Write(b []byte) (int, error) {
	for rest := b; ; {
		if err := l.ctx.Err(); err != nil {
			return len(b) - len(rest), err
		}
		if len(rest) == 0 {
			return len(b), nil
		}
		part := rest[:min(len(rest), piece)]
		rest = rest[len(part):]
		for len(part) > 0 {
			line, after, ended := bytes.Cut(part, []byte{'\n'})
			l.line = append(l.line, line[:min(len(line), maxLine-len(l.line))]...)
			if ended {
				l.flush()
			}
			part = after
		}
	}
}

func (l *lines) flush() {
	if len(l.line) > 0 {
		l.c.WriteLog(sdk.Debug, string(l.line))
		l.line = l.line[:0]
	}
}
