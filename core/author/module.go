package author

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// Module is a method of a module as a subject of the kit. It is safe for
// concurrent use.
type Module struct {
	binary  []byte
	runtime *wasm.Runtime
	module  *wasm.Module
	method  seal.Method
	limits  wasm.Limits
}

var (
	_ sdktest.Verifier    = (*Module)(nil)
	_ sdktest.Describer   = (*Module)(nil)
	_ sdktest.ParamReader = (*Module)(nil)
	_ sdktest.Instancer   = (*Module)(nil)
	_ sdktest.Limiter     = (*Module)(nil)
	_ sdktest.Granter     = (*Module)(nil)
)

// Compile compiles a module in a confined process, into a folder of machine code
// that nobody else has, from which the runtime it returns takes it: the compiler
// reads what anybody may have written. xai is the path of an xai binary, empty for a
// program that calls core.WorkerMain. Close ends the runtime and removes the folder.
func Compile(ctx context.Context, binary []byte, xai string) (runtime *wasm.Runtime, close func() error, err error) {
	dir, err := os.MkdirTemp("", "xai-kit-*") // nothing is kept of an author's module
	if err != nil {
		return nil, nil, fmt.Errorf("there is no folder to compile it in; set TMPDIR to one: %w", err)
	}
	remove := func() error { return os.RemoveAll(dir) }
	m, err := process.NewModule(binary, process.ModuleOptions{CacheDir: dir, XAI: xai})
	if err == nil {
		err = m.Compile(ctx)
	}
	if err == nil {
		runtime, err = wasm.New(ctx, dir)
	}
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return runtime, func() error {
		return errors.Join(runtime.Close(context.WithoutCancel(ctx)), remove())
	}, nil
}

// NewModule compiles a module, and returns the method of it that is described so,
// each run of which is held to the limits. The module lives as long as runtime.
func NewModule(ctx context.Context, runtime *wasm.Runtime, binary []byte, method seal.Method, limits wasm.Limits) (*Module, error) {
	m, err := runtime.Compile(ctx, binary)
	if err != nil {
		return nil, err
	}
	return &Module{binary, runtime, m, method, limits}, nil
}

// Info implements sdktest.Subject.
func (m *Module) Info() sdk.Info { return m.method.Info }

// Params implements sdktest.ParamReader.
func (m *Module) Params(given map[string]string) (sdk.Params, error) {
	return core.ParseParams(m.method.Info, given)
}

// Explain implements sdktest.Subject.
func (m *Module) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, sdktest.Usage, error) {
	return m.explain(ctx, model, r, m.method.Info, m.limits)
}

// ExplainWithin implements sdktest.Limiter.
func (m *Module) ExplainWithin(ctx context.Context, model sdk.Model, r *sdk.Request, l sdktest.Limits) (*sdk.Explanation, sdktest.Usage, error) {
	limits := m.limits
	if l.Fuel != 0 {
		limits.Fuel = l.Fuel
	}
	return m.explain(ctx, model, r, m.method.Info, limits)
}

// ExplainGranted implements sdktest.Granter.
func (m *Module) ExplainGranted(ctx context.Context, model sdk.Model, r *sdk.Request, needs []sdk.Need) (*sdk.Explanation, sdktest.Usage, error) {
	info := m.method.Info
	info.Needs = needs
	return m.explain(ctx, model, r, info, m.limits)
}

func (m *Module) explain(ctx context.Context, model sdk.Model, r *sdk.Request, info sdk.Info, limits wasm.Limits) (*sdk.Explanation, sdktest.Usage, error) {
	e, stats, err := m.module.Explain(ctx, model, r, info, limits)
	return e, usage(stats.Stats, stats.Fuel, stats.MemoryBytes), err
}

// usage translates what a run took.
func usage(s hostcall.Stats, fuel, memory int64) sdktest.Usage {
	return sdktest.Usage{Fuel: fuel, MemoryBytes: memory, HostCalls: int64(s.HostCalls), Handles: s.Handles, OpenHandles: s.OpenHandles}
}

// Verify implements sdktest.Verifier.
func (m *Module) Verify(ctx context.Context) error {
	_, err := Methods(ctx, m.binary)
	if errors.Is(err, ErrUndescribed) {
		_, err = examine(ctx, m.binary, []seal.Method{m.method})
	}
	return err
}

// Describe implements sdktest.Describer. Both descriptions are in the form that
// package seal writes.
func (m *Module) Describe(ctx context.Context) (section, export []byte, err error) {
	sections, err := seal.Methods(m.binary)
	if err != nil {
		return nil, nil, err
	}
	p, err := wasm.Probe(ctx, m.binary)
	if err != nil {
		return nil, nil, err
	}
	exports, err := Described(p)
	if err != nil {
		return nil, nil, err
	}
	return m.find(sections), m.find(exports), nil
}

// find returns the description of the method among others, nil where there is
// none.
func (m *Module) find(methods []seal.Method) []byte {
	for _, other := range methods {
		if other.Name == m.method.Name {
			return other.Marshal()
		}
	}
	return nil
}

// Instance implements sdktest.Instancer.
func (m *Module) Instance(ctx context.Context) (sdktest.Subject, error) {
	return NewModule(ctx, m.runtime, m.binary, m.method, m.limits)
}
