package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// module is a compiled module, or the error of compiling it, once ready is
// closed.
type module struct {
	ready chan struct{}
	wasm  *wasm.Module
	err   error
}

// search reads the registry files in force.
func (h *Host) search() (*registry.List, error) {
	list, err := h.files()
	if err != nil {
		return nil, &Error{Kind: KindMethod, Msg: err.Error(), Hint: "mend the registry file, or name another with --registry", Err: err}
	}
	return list, nil
}

func (h *Host) files() (*registry.List, error) {
	if h.options.BuiltinOnly {
		return registry.Only(h.options.Registry, h.options.Methods.Registry)
	}
	cwd, err := os.Getwd()
	if err != nil {
		cwd = ""
	}
	return registry.Search(h.options.Registry, os.Getenv, cwd, h.options.Methods.Registry)
}

// Methods returns the registry files in force and what they declare.
func (h *Host) Methods() (*registry.List, error) { return h.list() }

// entry finds a method by name.
func (h *Host) entry(name string) (registry.Entry, error) {
	list, err := h.list()
	if err != nil {
		return registry.Entry{}, err
	}
	e, err := list.Find(name)
	if missing, ok := errors.AsType[*registry.NotFoundError](err); ok {
		hint := "see xai methods list"
		if said := meant(name, missing.Nearest, list.Entries); said != "" {
			hint = said + " " + hint
		}
		return e, &Error{Kind: KindUsage, Msg: "there is no method " + strconv.Quote(name), Hint: hint, Err: err}
	}
	return e, err
}

// Method describes a method of the registry, its parameters included.
func (h *Host) Method(name string) (registry.Entry, sdk.Info, error) {
	e, err := h.entry(name)
	if err != nil {
		return e, sdk.Info{}, err
	}
	return e, infoOf(e.Method), nil
}

// Limits returns the limits that hold for a method: those that it declares, the
// host's own where it declares none, and no more than the machine's policy allows.
// Fuel is 0 where nobody counts instructions.
func (h *Host) Limits(e registry.Entry) (registry.Limits, error) {
	policy, err := registry.ReadPolicy(cmp.Or(h.options.PolicyFile, registry.SystemPolicyPath()))
	if err != nil {
		return registry.Limits{}, &Error{Kind: KindMethod, Msg: err.Error(), Hint: "nothing runs until whoever manages this machine has mended it", Err: err}
	}
	limits := policy.Clamp(e.Limits, defaultsOf(e))
	if e.Kind == registry.KindProcess {
		limits.Fuel = 0
	}
	return limits, nil
}

// Params returns the value of every parameter that a method would run with,
// given what the user typed. It needs no model, so that a mistake is found
// before one is opened.
func (h *Host) Params(method string, given map[string]string) (sdk.Params, error) {
	_, info, err := h.Method(method)
	if err != nil {
		return nil, err
	}
	return ParseParams(info, given)
}

// infoOf translates a declaration of the registry into the vocabulary of
// methods.
func infoOf(m registry.Method) sdk.Info {
	info := sdk.Info{Name: m.Name, Version: m.Version, Summary: m.Summary, Source: m.Source}
	for _, n := range m.Needs {
		info.Needs = append(info.Needs, sdk.Need(n))
	}
	for _, p := range m.Params {
		info.Params = append(info.Params, sdk.Param{
			Name: p.Name, Aliases: p.Aliases, Type: sdk.ParamType(p.Type), Default: p.Default,
			Min: p.Min, Max: p.Max, Values: p.Values, Doc: p.Doc, Compat: p.Compat,
		})
	}
	return info
}

// load reads, verifies and compiles a method's module, which the user has granted
// what it needs. A module is compiled once; its bytes are verified at every load.
// A compilation cannot be stopped, so a caller that gives up leaves it to the
// next one.
func (h *Host) load(ctx context.Context, e registry.Entry) (*wasm.Module, error) {
	bytes, err := h.loader().Module(ctx, e)
	if err != nil {
		return nil, loadError(e, err)
	}
	if err := h.mayRun(ctx, e, bytes); err != nil {
		return nil, err
	}
	return h.compiled(ctx, e, bytes)
}

// mayRun says whether a module whose bytes are verified is what was declared, and
// is granted what it needs.
func (h *Host) mayRun(ctx context.Context, e registry.Entry, module []byte) error {
	if err := h.sealed(e, module); err != nil {
		return err
	}
	return h.granted(ctx, e)
}

// compiled compiles a module whose bytes are verified.
func (h *Host) compiled(ctx context.Context, e registry.Entry, bytes []byte) (*wasm.Module, error) {
	failed := func(err error) error {
		if err == nil || is[*Error](err) {
			return err
		}
		return &Error{Kind: KindMethod, Msg: "method " + e.Name + ": " + err.Error(), Err: err}
	}
	runtime, err := h.sandbox(ctx)
	dir := ""
	if err == nil && !e.Embedded {
		runtime, dir, err = h.apart(ctx, runtime)
	}
	if err != nil {
		return nil, failed(err)
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, failed(errors.New("the host is closed"))
	}
	m, ok := h.modules[e.SHA256]
	if !ok {
		m = &module{ready: make(chan struct{})}
		h.modules[e.SHA256] = m
		h.working.Go(func() {
			defer close(m.ready)
			defer func() {
				if v := recover(); v != nil {
					m.err = fmt.Errorf("the compilation failed: %v", v)
				}
				if m.err != nil {
					h.mu.Lock()
					delete(h.modules, e.SHA256)
					h.mu.Unlock()
				}
			}()
			ctx := context.WithoutCancel(ctx)
			if !e.Embedded {
				m.err = h.compileApart(ctx, bytes, dir)
			}
			compile := runtime.Compile
			if e.Embedded {
				compile = runtime.CompileEmbedded
			}
			if m.err == nil {
				m.wasm, m.err = compile(ctx, bytes)
			}
		})
	}
	h.mu.Unlock()
	select {
	case <-m.ready:
		return m.wasm, failed(m.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// compileApart has a module that is not the binary's own compiled in a confined
// process, which leaves the machine code in dir, before this one takes it from
// there: the compiler reads what anybody may have written.
func (h *Host) compileApart(ctx context.Context, module []byte, dir string) error {
	if files, err := os.ReadDir(wasm.CacheFolder(dir, module)); err == nil && len(files) > 0 {
		return nil
	}
	m, err := process.NewModule(module, process.ModuleOptions{CacheDir: dir, XAI: h.options.XAI})
	if err != nil {
		return err
	}
	return m.Compile(ctx)
}

// apart returns what takes machine code that was compiled apart, and the folder that
// it takes it from: the cache and, where nothing can be kept there, a folder of this
// host alone, which Close removes.
func (h *Host) apart(ctx context.Context, cached *wasm.Runtime) (*wasm.Runtime, string, error) {
	if dir := h.cacheDir(); dir != "" && cached.CacheError() == nil {
		return cached, dir, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, "", errors.New("the host is closed")
	}
	if h.private != nil {
		return h.private, h.privateDir, nil
	}
	fail := func(err error) (*wasm.Runtime, string, error) {
		return nil, "", &Error{Kind: KindMethod, Msg: "there is no folder to compile methods in: " + err.Error(), Hint: "make the cache folder yours, or set XDG_CACHE_HOME or TMPDIR to a folder of yours", Err: err}
	}
	dir, err := os.MkdirTemp("", "xai-modules-*") // for its owner alone
	if err != nil {
		return fail(err)
	}
	runtime, err := wasm.New(ctx, dir)
	if err == nil {
		if err = runtime.CacheError(); err != nil {
			err = errors.Join(err, runtime.Close(ctx))
		}
	}
	if err != nil {
		return fail(errors.Join(err, os.RemoveAll(dir)))
	}
	h.private, h.privateDir = runtime, dir
	return runtime, dir, nil
}

// sandbox returns what compiles modules.
func (h *Host) sandbox(ctx context.Context) (*wasm.Runtime, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errors.New("the host is closed")
	}
	var err error
	if h.runtime == nil {
		h.runtime, err = wasm.New(ctx, h.cacheDir())
	}
	return h.runtime, err
}

// loader reads what entries name.
func (h *Host) loader() registry.Loader {
	l := registry.Loader{Builtin: h.options.Methods.Module}
	if dir := h.cacheDir(); dir != "" {
		l.Store = registry.NewStore(filepath.Join(dir, "store"))
	}
	return l
}

// loadError words why the content of a method cannot be had.
func loadError(e registry.Entry, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	hint := "check the method's url and sha256 in " + e.File.Path
	if missing, ok := errors.AsType[*registry.NotFetchedError](err); ok {
		hint = "xai plugin add " + missing.Name + " fetches it"
	} else if dir := filepath.Dir(e.File.Path); errors.Is(err, fs.ErrNotExist) && sources(dir) {
		hint = "build it: xai plugin build " + dir
	}
	return &Error{Kind: KindMethod, Msg: err.Error(), Hint: hint, Err: err}
}

// sources reports whether a folder seems to be one that a method is built from.
func sources(dir string) bool {
	files, err := os.ReadDir(dir)
	return err == nil && slices.ContainsFunc(files, func(f fs.DirEntry) bool {
		return slices.Contains([]string{".go", ".rs", ".c", ".ts", ".py"}, filepath.Ext(f.Name()))
	})
}

// Prepare compiles a method's module ahead of its first use, for a caller that
// opens a model meanwhile. What fails here fails again in Explain, which says
// so.
func (h *Host) Prepare(ctx context.Context, method string) {
	if e, err := h.entry(method); err == nil && e.Embedded { // others may not run yet
		_, _ = h.load(ctx, e)
	}
}
