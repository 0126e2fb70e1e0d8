package core

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// The runtimes that a method can run in.
const (
	RuntimeWASM   = "wasm"   // a sandboxed module
	RuntimeNative = "native" // in process: built-in methods alone, for debugging
)

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
	var err error
	if h.options.Dev && !e.Embedded {
		if e, err = h.loader().AsIs(ctx, e); err != nil {
			return nil, loadError(e, err)
		}
	}
	if e.Limits, err = h.admit(e); err != nil {
		return nil, err
	}
	if r.Runtime == "" {
		r.Runtime = RuntimeWASM
	}
	switch r.Runtime {
	case RuntimeWASM:
		return h.inModule(ctx, e, info, r)
	case RuntimeNative:
		return h.inProcess(e, r)
	case "process":
		return nil, usage("this version runs no methods as processes", "use --runtime wasm or native")
	}
	hint := "use wasm or native"
	if near, ok := nearest.Of(r.Runtime, []string{RuntimeWASM, RuntimeNative}); ok {
		hint = "did you mean " + near + "? " + hint
	}
	return nil, usage("unknown runtime "+strconv.Quote(r.Runtime), hint)
}

// inModule readies a method that is a module, in the sandbox of this process.
func (h *Host) inModule(ctx context.Context, e registry.Entry, info sdk.Info, r *Request) (*ready, error) {
	limits := limitsOf(e.Limits, r)
	module, err := h.load(ctx, e)
	if err != nil {
		return nil, err
	}
	run := func(ctx context.Context, model sdk.Model, request *sdk.Request) (*sdk.Explanation, cost, error) {
		x, stats, err := module.Explain(ctx, model, request, info, limits)
		return x, cost{Stats: stats.Stats}, err
	}
	return &ready{run, e.SHA256, wasm.Describe(limits)}, nil
}

// inProcess readies a built-in method that runs in process.
func (h *Host) inProcess(e registry.Entry, r *Request) (*ready, error) {
	method, ok := h.options.Methods.Native[e.Name]
	if !ok || e.ShadowsBuiltin {
		return nil, usage("method "+e.Name+" does not run in process", "only built-in methods do: use --runtime wasm")
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = e.Limits.Timeout
	}
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

// limitsOf translates the limits of the registry, with those of the request in
// their place; zeros stand for the sandbox's defaults.
func limitsOf(l registry.Limits, r *Request) hostcall.Limits {
	limits := hostcall.Limits{MemoryBytes: l.Memory, Timeout: l.Timeout, Fuel: l.Fuel, OutputBytes: l.Output, LogBytes: l.Log, Forwards: l.Forwards}
	if r.Timeout > 0 {
		limits.Timeout = r.Timeout
	}
	if r.Fuel > 0 {
		limits.Fuel = r.Fuel
	}
	return limits
}
