package wasm

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// probeLimits bound a Probe.
var probeLimits = Limits{
	MemoryBytes: 64 << 20, Timeout: 10 * time.Second, Fuel: 2e7, Forwards: 1, HandleBytes: 1 << 20, OutputBytes: 1 << 20, LogBytes: 1 << 10,
}

// maxDescription bounds what xai_describe returns.
const maxDescription = 1 << 20 // bytes

// Probed is what a module says when it is asked.
type Probed struct {
	Major, Minor uint16 // of the ABI that it was built against
	Description  []byte // what xai_describe returns; nil where it is not exported
}

// Probe asks a module that nobody trusts yet for its version of the ABI and for its
// description. It interprets the module, as it is rewritten to run, with little
// memory, fuel and time, no model and no request; nothing is compiled or kept. It
// does not compare the description with the sections of the module.
//
// It ends early with ctx.Err() where ctx is done, with a *core.LimitError or with an
// *sdk.Error.
func Probe(ctx context.Context, binary []byte) (p *Probed, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	defer caught(&err)
	v, err := read(binary)
	if err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	rewritten, err := v.rewrite(binary)
	if err != nil {
		return nil, err
	}
	limits := bounded(probeLimits)
	run, cancel := contract.WithTimeout(ctx, limits.Timeout)
	defer cancel()
	m := &Module{layout: v.layout}
	defer func() { err = errors.Join(err, m.close(context.WithoutCancel(ctx))) }()
	if err := m.build(run, wazero.NewRuntimeConfigInterpreter(), nil, rewritten); err != nil {
		return nil, err
	}
	p = &Probed{}
	err = m.run(run, newCall(run, nobody{}, &sdk.Request{}, sdk.Info{}, limits), p.ask)
	if err != nil {
		if ended := contract.Ended(run); ended != nil {
			err = ended
		}
		return nil, err
	}
	return p, nil
}

// ask calls the exports that describe the module.
func (p *Probed) ask(ctx context.Context, instance api.Module) error {
	version, err := invoke(ctx, instance, abi.ExportVersion)
	if err != nil {
		return err
	}
	p.Major, p.Minor = uint16(version>>16), uint16(version)
	f := instance.ExportedFunction(abi.ExportDescribe)
	if f == nil {
		return nil
	}
	out, err := f.Call(ctx)
	if err != nil {
		return err
	}
	ptr, n := uint32(out[0]>>32), uint32(out[0])
	text, ok := instance.Memory().Read(ptr, n)
	switch {
	case !ok:
		return sdk.NewError(sdk.EFault, "the module's "+abi.ExportDescribe+" returned a pointer outside its memory")
	case n > maxDescription:
		return sdk.NewError(sdk.ERange, "the module's "+abi.ExportDescribe+" returned more than 1 MiB")
	}
	p.Description = bytes.Clone(text)
	return nil
}

// nobody is the model of a probe.
type nobody struct{}

func (nobody) Info() sdk.ModelInfo { return sdk.ModelInfo{} }

func (nobody) Forward(context.Context, *sdk.Forward) (sdk.Reply, error) {
	return nil, sdk.NewError(sdk.EUnsupported, "the module is only asked what it is: there is no model")
}
