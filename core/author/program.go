package author

import (
	"context"
	"fmt"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// Program is a method of an executable as a subject of the kit. It is safe for
// concurrent use.
type Program struct {
	program *process.Program
	method  seal.Method
	limits  process.Limits
}

var (
	_ sdktest.ParamReader = (*Program)(nil)
	_ sdktest.Instancer   = (*Program)(nil)
	_ sdktest.Granter     = (*Program)(nil)
)

// Programs starts an executable, confined as its options say, and returns the
// descriptions of the methods that it serves.
func Programs(ctx context.Context, o process.Options) ([]seal.Method, error) {
	p, err := process.Open(o)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	text, err := p.Methods(ctx, process.Limits{})
	if err != nil {
		return nil, err
	}
	methods, err := seal.ParseAll(text)
	if err != nil {
		return nil, fmt.Errorf("the executable describes itself wrongly: %w", err)
	}
	return methods, nil
}

// NewProgram opens an executable, and returns the method of it that is described
// so, each run of which is held to the limits.
func NewProgram(o process.Options, method seal.Method, limits process.Limits) (*Program, error) {
	p, err := process.Open(o)
	if err != nil {
		return nil, err
	}
	return &Program{p, method, limits}, nil
}

// Close frees what NewProgram took. No run may be going on.
func (p *Program) Close() error { return p.program.Close() }

// Info implements sdktest.Subject.
func (p *Program) Info() sdk.Info { return p.method.Info }

// Params implements sdktest.ParamReader.
func (p *Program) Params(given map[string]string) (sdk.Params, error) {
	return core.ParseParams(p.method.Info, given)
}

// Explain implements sdktest.Subject.
func (p *Program) Explain(ctx context.Context, model sdk.Model, r *sdk.Request) (*sdk.Explanation, sdktest.Usage, error) {
	return p.ExplainGranted(ctx, model, r, p.method.Needs)
}

// ExplainGranted implements sdktest.Granter.
func (p *Program) ExplainGranted(ctx context.Context, model sdk.Model, r *sdk.Request, needs []sdk.Need) (*sdk.Explanation, sdktest.Usage, error) {
	info := p.method.Info
	info.Needs = needs
	e, stats, err := p.program.Explain(ctx, model, r, info, p.limits)
	return e, usage(stats.Stats, 0, 0), err
}

// Instance implements sdktest.Instancer. Every run has a process of its own, so
// that the same executable serves.
func (p *Program) Instance(context.Context) (sdktest.Subject, error) { return shared{p}, nil }

// shared is a Program that somebody else closes.
type shared struct{ *Program }

// Close does nothing.
func (shared) Close() error { return nil }
