package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/process/internal/confine"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/process"
)

// WorkerMain is what a program that embeds xai calls first in its main, so that xai
// can start it again: to confine the process of a method, and to run or compile a
// module apart. There it does not return; elsewhere it returns at once.
func WorkerMain() {
	confine.Main()
	if len(os.Args) == 2 && os.Args[1] == confine.WorkerArg {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// The files in a worker's folder.
const (
	jobFile    = "job.json"
	moduleFile = "module.wasm"
	cacheDir   = "cache"
)

// job is what a worker does with a module.
type job struct {
	Compile bool // into the cache, and nothing else
	Info    sdk.Info
	Limits  hostcall.Limits
}

// verdict is what a worker prints of a compilation.
type verdict struct {
	Code    sdk.Errno
	Message string
}

// report is what a worker says at the end of an explanation.
type report struct {
	Stats wasm.Stats
	Limit *contract.LimitError // that the module ran into in its sandbox
	Fault bool                 // the module used the host wrongly
}

// work does the job in the folder that the worker was started in.
func work() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(jobFile)
	if err != nil {
		return errors.New("this is what xai starts itself as, and nobody else")
	}
	var j job
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	module, err := os.ReadFile(moduleFile)
	if err != nil {
		return err
	}
	ctx := context.Background()
	runtime, err := wasm.New(ctx, filepath.Join(dir, cacheDir))
	if err != nil {
		return err
	}
	if j.Compile {
		return compile(ctx, runtime, module)
	}
	process.Serve(&sandboxed{job: j, runtime: runtime, module: module})
	return nil
}

// compile compiles a module into the cache, and prints the verdict on it.
func compile(ctx context.Context, runtime *wasm.Runtime, module []byte) error {
	if err := runtime.CacheError(); err != nil {
		return err
	}
	v := verdict{}
	if _, err := runtime.Compile(ctx, module); err != nil {
		v = verdict{sdk.EInternal, err.Error()}
		if e, ok := errors.AsType[*sdk.Error](err); ok {
			v.Code = e.Code
		}
	}
	return json.NewEncoder(os.Stdout).Encode(v)
}

// sandboxed is a method that is a module, in the sandbox of the worker.
type sandboxed struct {
	job     job
	runtime *wasm.Runtime
	module  []byte
	stats   wasm.Stats
}

var _ process.Reporter = (*sandboxed)(nil)

// Info implements sdk.Method.
func (s *sandboxed) Info() sdk.Info { return s.job.Info }

// Explain implements sdk.Method.
func (s *sandboxed) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	compiled, err := s.runtime.Compile(ctx, s.module)
	if err != nil {
		return nil, err
	}
	p, ok := m.(powers)
	if !ok {
		return nil, sdk.NewError(sdk.EInternal, "the worker's model lacks powers")
	}
	e, stats, err := compiled.Explain(ctx, remote{p}, r, s.job.Info, s.job.Limits)
	s.stats = stats
	return e, err
}

// Report implements process.Reporter.
func (s *sandboxed) Report(err error) []byte {
	r := report{Stats: s.stats}
	r.Limit, _ = errors.AsType[*contract.LimitError](err)
	_, r.Fault = errors.AsType[*contract.Fault](err)
	b, err := json.Marshal(r)
	if err != nil {
		return nil
	}
	return b
}

// powers are those of a model over the protocol.
type powers interface {
	sdk.Differentiable
	sdk.Generator
	sdk.Tokenizer
}

// remote is the host's model as the worker's sandbox sees it. What a point needs is
// the host's to say, which asks its own model.
type remote struct{ powers }

var _ contract.Points = remote{}

// PointNeeds implements contract.Points.
func (remote) PointNeeds(string) ([]sdk.Need, error) { return nil, nil }
