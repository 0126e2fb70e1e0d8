// Package wasm runs explanation methods as WebAssembly modules under ABI 1
// (docs/ABI.md), on wazero. A module sees its request, the model through
// forwards, and nothing else of the machine: no file, no network, no clock, no
// environment.
package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Runtime compiles modules and keeps their machine code on disk. It is safe
// for concurrent use.
type Runtime struct {
	cache    *cache // nil where there is none
	cacheErr error

	compiling sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	modules []*Module
}

// New returns a Runtime whose machine code lies under cacheDir/wasm. Where that
// folder cannot be used every module is compiled anew; CacheError says why. An
// empty cacheDir keeps nothing on disk, and neither does a relative one: the
// folder that the program happens to stand in may be anyone's, and machine code
// from the cache runs unchecked.
func New(ctx context.Context, cacheDir string) (*Runtime, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !hostcall.LittleEndian {
		return nil, sdk.NewError(sdk.EUnsupported, "modules run on little-endian machines alone: run the method in process")
	}
	r := &Runtime{}
	switch {
	case cacheDir == "":
		r.cacheErr = errors.New("no folder is named for compiled modules")
	case !filepath.IsAbs(cacheDir):
		r.cacheErr = errors.New("the folder for compiled modules is relative: give an absolute path instead of " + cacheDir)
	default:
		r.cache, r.cacheErr = openCache(filepath.Join(cacheDir, "wasm"))
	}
	return r, nil
}

// CacheError returns why compiled modules are not kept on disk, nil where they
// are.
func (r *Runtime) CacheError() error { return r.cacheErr }

// Close waits for the compilations under way and closes every module of r. No
// explanation may be running. A Compile that comes later fails.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.compiling.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, m := range r.modules {
		errs = append(errs, m.close(ctx))
	}
	r.modules = nil
	return errors.Join(errs...)
}

// Compile verifies a module and compiles it, or takes its machine code from the
// cache. What is wrong with the module is an *sdk.Error. The module lives until
// the Runtime is closed.
//
// A compilation cannot be stopped midway: ctx is looked at before it begins. It
// takes one core, since only there a failure of the compiler can be caught.
func (r *Runtime) Compile(ctx context.Context, binary []byte) (*Module, error) {
	return r.compileWith(ctx, binary, 1)
}

// CompileEmbedded is Compile on all cores, for a module that the program embeds
// and so trusts not to break the compiler.
func (r *Runtime) CompileEmbedded(ctx context.Context, binary []byte) (*Module, error) {
	return r.compileWith(ctx, binary, goruntime.GOMAXPROCS(0))
}

func (r *Runtime) compileWith(ctx context.Context, binary []byte, workers int) (m *Module, err error) {
	start := time.Now()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	defer r.compiling.Done()
	defer caught(&err)
	if m, err = r.load(experimental.WithCompilationWorkers(ctx, workers), binary); err != nil {
		return nil, err
	}
	m.compile = time.Since(start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.modules = append(r.modules, m)
	return m, nil
}

// load verifies and compiles a module. A module whose rewritten form is in the
// cache has passed what the scan of its code looks for.
func (r *Runtime) load(ctx context.Context, binary []byte) (*Module, error) {
	v, err := read(binary)
	if err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(binary)
	disk, rewritten := r.cache.open(sum)
	if rewritten == nil {
		if rewritten, err = v.rewrite(binary); err != nil {
			return nil, err
		}
	}
	if disk != nil {
		m := &Module{layout: v.layout}
		if m.build(ctx, wazero.NewRuntimeConfig(), disk, rewritten) == nil {
			// A module that cannot be sealed is compiled again next time.
			_ = r.cache.seal(sum, rewritten)
			return m, nil
		}
		_ = m.close(ctx)
		if rewritten, err = v.rewrite(binary); err != nil {
			return nil, err
		}
	}
	m := &Module{layout: v.layout}
	if err := m.build(ctx, wazero.NewRuntimeConfig(), wazero.NewCompilationCache(), rewritten); err != nil {
		_ = m.close(ctx)
		return nil, err
	}
	return m, nil
}

// caught turns a panic into an error: of a reader or a compiler that was handed
// bytes which someone else wrote.
func caught(err *error) {
	if v := recover(); v != nil {
		*err = sdk.NewError(sdk.EInternal, "the module broke the compiler: "+hostcall.Clean(fmt.Sprint(v), abi.MaxMessage))
	}
}

// begin counts a compilation, which Close waits for.
func (r *Runtime) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("the runtime of modules is closed")
	}
	r.compiling.Add(1)
	return nil
}

// Module is a compiled module. It is safe for concurrent use: every explanation
// has an instance of its own.
type Module struct {
	layout   *layout
	cache    wazero.CompilationCache
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	compile  time.Duration
}

// build compiles the module, as it was rewritten, with machine code from cache if
// that is not nil, and links what it imports.
func (m *Module) build(ctx context.Context, config wazero.RuntimeConfig, cache wazero.CompilationCache, rewritten []byte) (err error) {
	returned := false
	defer func() {
		if !returned { // it panicked: what the compiler held may be locked
			m.runtime, m.cache = nil, nil
		}
	}()
	defer caught(&err)
	config = config.WithDebugInfoEnabled(false).WithCoreFeatures(api.CoreFeaturesV2)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	m.cache = cache
	m.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	m.compiled, err = m.runtime.CompileModule(ctx, rewritten)
	if err != nil {
		err = sdk.NewError(sdk.EInvalid, "the module is not valid WebAssembly: "+hostcall.Clean(err.Error(), abi.MaxMessage))
	} else {
		err = m.link(ctx)
	}
	returned = true
	return err
}

// link makes the functions known that the module imports.
func (m *Module) link(ctx context.Context) error {
	if m.layout.importsFrom(wasi_snapshot_preview1.ModuleName) {
		if err := instantiateWASI(ctx, m.runtime); err != nil {
			return err
		}
	}
	if m.layout.importsFrom(abi.Namespace) {
		return instantiateHost(ctx, m.runtime)
	}
	return nil
}

func (m *Module) close(ctx context.Context) error {
	var errs []error
	if m.runtime != nil {
		errs = append(errs, m.runtime.Close(ctx))
	}
	if m.cache != nil {
		errs = append(errs, m.cache.Close(ctx))
	}
	return errors.Join(errs...)
}
