package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// The runtimes that a method can run in.
const (
	RuntimeWASM    = "wasm"    // a sandboxed module
	RuntimeProcess = "process" // a confined process
	RuntimeNative  = "native"  // in process: built-in methods alone, for debugging
)

// WorkerMain is what a program that embeds a Host calls first in its main: the
// host starts the program again, and WorkerMain does not return there, to confine
// the processes of methods, and to compile or run modules that are not the
// program's own apart from it. A program that does not names an xai binary in
// [Options].XAI, or does without.
func WorkerMain() { process.WorkerMain() }

// ready is a method that may run, and can.
type ready struct {
	run     runFunc
	sha256  string // of what runs
	sandbox string // the words for its confinement
}

// runFunc runs a method on a model that belongs to this run alone.
type runFunc func(ctx context.Context, model sdk.Model, request *sdk.Request) (*sdk.Explanation, cost, error)

// cost is what a run asked of the host, and the instructions that it took.
type cost struct {
	hostcall.Stats
	fuel int64
}

// ready returns what runs the method, which may run. It fills in r.Runtime.
func (h *Host) ready(ctx context.Context, e registry.Entry, info sdk.Info, r *Request) (*ready, error) {
	// The user may give a method more than it declares, and nobody more than the
	// policy allows.
	e.Limits.Timeout = cmp.Or(r.Timeout, e.Limits.Timeout)
	e.Limits.Fuel = cmp.Or(r.Fuel, e.Limits.Fuel)
	e, err := h.admit(ctx, e)
	if err != nil {
		return nil, err
	}
	if r.Runtime == "" {
		r.Runtime = RuntimeWASM
		if e.Kind == registry.KindProcess {
			r.Runtime = RuntimeProcess
		}
	}
	if r.Fuel > 0 && (r.Runtime == RuntimeNative || e.Kind == registry.KindProcess) {
		return nil, usage("nobody counts the instructions of method "+e.Name+" where it runs", "leave --fuel out; --timeout bounds it")
	}
	var out *ready
	switch r.Runtime {
	case RuntimeWASM:
		if e.Kind == registry.KindProcess {
			return nil, usage("method "+e.Name+" is a process, not a module", "use --runtime process, or leave --runtime out")
		}
		out, err = h.inModule(ctx, e, info, r)
	case RuntimeProcess:
		if e.Kind == registry.KindProcess {
			out, err = h.asProcess(ctx, e, info, r)
		} else {
			out, err = h.moduleApart(ctx, e, info, r)
		}
	case RuntimeNative:
		out, err = h.inProcess(e)
	default:
		return nil, unknownRuntime(r.Runtime)
	}
	if err != nil {
		return nil, err
	}
	run := out.run
	out.run = func(ctx context.Context, model sdk.Model, request *sdk.Request) (*sdk.Explanation, cost, error) {
		x, took, err := run(ctx, model, request)
		return x, took, h.capped(e, err)
	}
	return out, nil
}

// capped says of a run that ran into a limit that it is the policy's, where nobody
// but whoever manages the machine can raise it.
func (h *Host) capped(e registry.Entry, err error) error {
	limit, ok := errors.AsType[*LimitError](err)
	if !ok {
		return err
	}
	policy, policyErr := registry.ReadPolicy(cmp.Or(h.options.PolicyFile, registry.SystemPolicyPath()))
	if policyErr != nil {
		return err
	}
	most, has := policy.Limits, e.Limits
	by := map[string]bool{
		LimitMemory:   most.Memory > 0 && has.Memory >= most.Memory,
		LimitTimeout:  most.Timeout > 0 && has.Timeout >= most.Timeout,
		LimitFuel:     most.Fuel > 0 && has.Fuel >= most.Fuel,
		LimitOutput:   most.Output > 0 && has.Output >= most.Output,
		LimitForwards: most.Forwards > 0 && has.Forwards >= most.Forwards,
	}
	if !by[limit.Limit] {
		return err
	}
	return &Error{
		Kind: KindMethod, Msg: "method " + e.Name + ": " + err.Error(),
		Hint: "the policy of this machine, " + policy.Path + ", allows no more: ask for less, such as " + less + ", or ask whoever manages it", Err: err,
	}
}

// unknownRuntime says that there is no such runtime.
func unknownRuntime(name string) error {
	hint := "use wasm, process or native"
	if near, ok := nearest.Of(name, []string{RuntimeWASM, RuntimeProcess, RuntimeNative}); ok {
		hint = "did you mean " + near + "? " + hint
	}
	return usage("unknown runtime "+strconv.Quote(name), hint)
}

// inModule readies a method that is a module, in the sandbox of this process.
func (h *Host) inModule(ctx context.Context, e registry.Entry, info sdk.Info, r *Request) (*ready, error) {
	limits := limitsOf(e.Limits)
	module, err := h.load(ctx, e)
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context, model sdk.Model, request *sdk.Request) (*sdk.Explanation, cost, error) {
		x, stats, err := module.Explain(ctx, model, request, info, limits)
		return x, cost{Stats: stats.Stats, fuel: stats.Fuel}, err
	}
	return &ready{run, e.SHA256, wasm.Describe(limits)}, nil
}

// moduleApart readies a method that is a module, in the sandbox of a confined
// process.
func (h *Host) moduleApart(ctx context.Context, e registry.Entry, info sdk.Info, r *Request) (*ready, error) {
	bytes, err := h.loader().Module(ctx, e)
	if err != nil {
		return nil, loadError(e, err)
	}
	if err := h.mayRun(ctx, e, bytes); err != nil {
		return nil, err
	}
	dir := h.cacheDir()
	if runtime, err := h.sandbox(ctx); err != nil || runtime.CacheError() != nil {
		dir = "" // then the process compiles it
	}
	module, err := process.NewModule(bytes, process.ModuleOptions{CacheDir: dir, XAI: h.options.XAI})
	if err != nil {
		return nil, methodError(e.Name, err)
	}
	limits := limitsOf(e.Limits)
	run := func(ctx context.Context, model sdk.Model, request *sdk.Request) (*sdk.Explanation, cost, error) {
		x, stats, err := module.Explain(ctx, model, request, info, limits)
		return x, cost{Stats: stats.Stats, fuel: stats.Fuel}, err
	}
	return &ready{run, e.SHA256, module.Describe(limits)}, nil
}

// asProcess readies a method that is a process.
func (h *Host) asProcess(ctx context.Context, e registry.Entry, info sdk.Info, r *Request) (*ready, error) {
	path, err := h.loader().Executable(ctx, e)
	if err != nil {
		return nil, loadError(e, err)
	}
	a, err := e.Artifact(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return nil, loadError(e, err)
	}
	o := process.Options{Path: path, SHA256: a.SHA256, Confine: ConfineOf(e.Confine), XAI: h.options.XAI}
	program, err := h.program(o)
	if err == nil && len(program.Confinement().Missing()) > 0 {
		// What it could do on this machine is what it has to be granted.
		e.Confine = unconfined(e.Confine)
		o.Unconfined = true
		program, err = h.program(o)
	}
	if err != nil {
		return nil, methodError(e.Name, err)
	}
	if err := h.granted(ctx, e); err != nil {
		return nil, err
	}
	limits := limitsOf(e.Limits)
	run := func(ctx context.Context, model sdk.Model, request *sdk.Request) (*sdk.Explanation, cost, error) {
		x, stats, err := program.Explain(ctx, model, request, info, limits)
		return x, cost{Stats: stats.Stats}, err
	}
	return &ready{run, a.SHA256, program.Describe(limits)}, nil
}

// program opens an executable, once.
func (h *Host) program(o process.Options) (*process.Program, error) {
	key := fmt.Sprintf("%+v", o)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errors.New("the host is closed")
	}
	if p, ok := h.programs[key]; ok {
		return p, nil
	}
	p, err := process.Open(o)
	if err == nil {
		h.programs[key] = p
	}
	return p, err
}

// ConfineOf translates what a registry file lets a process do.
func ConfineOf(c *registry.Confine) process.Confine {
	if c == nil {
		return process.Confine{}
	}
	return process.Confine{Files: !c.Landlock, Net: c.Net, AddressSpace: c.AddressSpace, Tasks: c.Processes, Env: c.Env, Read: c.Read}
}

// unconfined returns what a process may do that nothing confines.
func unconfined(c *registry.Confine) *registry.Confine {
	open := registry.Confine{Net: true}
	if c != nil {
		open.Env = c.Env
	}
	return &open
}

// inProcess readies a built-in method that runs in process.
func (h *Host) inProcess(e registry.Entry) (*ready, error) {
	method, ok := h.options.Methods.Native[e.Name]
	if !ok || e.ShadowsBuiltin {
		hint := "only built-in methods do: use --runtime wasm"
		if e.Kind == registry.KindProcess {
			hint = "only built-in methods do: leave --runtime out"
		}
		return nil, usage("method "+e.Name+" does not run in process", hint)
	}
	timeout := e.Limits.Timeout
	run := func(ctx context.Context, model sdk.Model, request *sdk.Request) (*sdk.Explanation, cost, error) {
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = native.WithTimeout(ctx, timeout)
			defer cancel()
		}
		x, err := native.Explain(ctx, method, model, request)
		return x, cost{}, err
	}
	return &ready{run, e.SHA256, "none: in process"}, nil
}

// limitsOf translates the limits that a policy left; zeros stand for the sandbox's
// defaults.
func limitsOf(l registry.Limits) hostcall.Limits {
	return hostcall.Limits{MemoryBytes: l.Memory, Timeout: l.Timeout, Fuel: l.Fuel, OutputBytes: l.Output, LogBytes: l.Log, Forwards: l.Forwards}
}
