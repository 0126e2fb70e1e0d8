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
func New(_ context.Context, cacheDir string) (*Runtime, error) {
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
// A compilation of seconds cannot be stopped midway: ctx is looked at before it
// begins.
func (r *Runtime) Compile(ctx context.Context, binary []byte) (*Module, error) {
	start := time.Now()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, err
	}
	defer r.compiling.Done()
	v, err := verify(binary)
	if err != nil {
		return nil, err
	}
	m := &Module{layout: v}
	if r.cache != nil {
		sum := sha256.Sum256(binary)
		if disk, err := r.cache.open(sum); err == nil {
			if err := m.build(ctx, disk); err == nil {
				// A module that cannot be sealed is compiled again next time.
				_ = r.cache.seal(sum)
			} else {
				_ = m.close(ctx)
				m = &Module{layout: v}
			}
		}
	}
	if m.runtime == nil {
		if err := m.build(ctx, wazero.NewCompilationCache()); err != nil {
			_ = m.close(ctx)
			return nil, err
		}
	}
	m.layout.binary = nil
	m.compile = time.Since(start)
	r.mu.Lock()
	r.modules = append(r.modules, m)
	r.mu.Unlock()
	return m, nil
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

// build compiles the module with machine code from cache, and links what it
// imports.
func (m *Module) build(ctx context.Context, cache wazero.CompilationCache) (err error) {
	defer func() {
		// The compiler has been handed bytes that someone else wrote.
		if v := recover(); v != nil {
			err = sdk.NewError(sdk.EInternal, "the module broke the compiler: "+hostcall.Clean(fmt.Sprint(v), abi.MaxMessage))
		}
	}()
	m.cache = cache
	m.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(cache).
		WithDebugInfoEnabled(false).
		WithCoreFeatures(api.CoreFeaturesV2))
	workers := experimental.WithCompilationWorkers(ctx, goruntime.GOMAXPROCS(0))
	m.compiled, err = m.runtime.CompileModule(workers, m.layout.binary)
	if err != nil {
		return sdk.NewError(sdk.EInvalid, "the module is not valid WebAssembly: "+hostcall.Clean(err.Error(), abi.MaxMessage))
	}
	if m.layout.importsFrom(wasi_snapshot_preview1.ModuleName) {
		if _, err := wasi_snapshot_preview1.Instantiate(ctx, m.runtime); err != nil {
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

// Sections returns the module's custom sections of that name in their order, for
// names that begin with "xai.": a module of several methods has one
// "xai.method" for each.
func (m *Module) Sections(name string) [][]byte { return m.layout.sections[name] }
