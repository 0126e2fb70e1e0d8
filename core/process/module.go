package process

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/process/internal/confine"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// ModuleOptions say how a module runs apart.
type ModuleOptions struct {
	// CacheDir is the folder of wasm.New, from which a process is given what is
	// compiled of the module; empty to compile it in each.
	CacheDir string
	// XAI is the path of an xai binary, for a program that does not call WorkerMain.
	XAI string
}

// Module is a WebAssembly module whose sandbox is in a process of its own: what
// breaks the sandbox, or takes what the sandbox does not count, is still in a
// process that is confined and can be ended. It is safe for concurrent use.
type Module struct {
	binary  []byte
	options ModuleOptions
}

// NewModule returns a module that was read. It fails with ErrNoWorker where nobody
// can be started to run it.
func NewModule(binary []byte, o ModuleOptions) (*Module, error) {
	if _, err := confine.Self(o.XAI); err != nil {
		return nil, err
	}
	return &Module{binary, o}, nil
}

// Describe returns the words for the confinement that a run under l has.
func (m *Module) Describe(l wasm.Limits) string {
	return wasm.Describe(l) + "; in a process: " + confine.Plan(workerRights(l), m.options.XAI).String()
}

// Explain is wasm.Module's Explain, in a process of its own.
func (m *Module) Explain(ctx context.Context, model sdk.Model, req *sdk.Request, info sdk.Info, limits wasm.Limits) (*sdk.Explanation, wasm.Stats, error) {
	limits = limits.WithDefaults()
	begin := func(ctx context.Context, limits Limits, log func(string)) (*session, error) {
		// Defaults are the business of whoever made the request, and have types that
		// JSON does not keep.
		plain := info
		plain.Params = slices.Clone(info.Params)
		for i := range plain.Params {
			plain.Params[i].Default, plain.Params[i].Compat = nil, nil
		}
		box, command, err := m.worker(job{Info: plain, Limits: limits}, limits)
		if err != nil {
			return nil, err
		}
		defer command.Exe.Close()
		limits.MemoryBytes = beside(limits)
		return start(ctx, box, command, limits, log)
	}
	e, said, stats, err := explain(ctx, begin, model, req, info, limits)
	var r report
	if len(said) > 0 && json.Unmarshal(said, &r) != nil {
		return nil, wasm.Stats{Stats: stats.Stats}, sdk.NewError(sdk.EInternal, "the worker's report cannot be read")
	}
	r.Stats.Rows, r.Stats.Forwards = stats.Rows, stats.Forwards
	if err != nil {
		if _, ended := errors.AsType[*contract.LimitError](err); !ended && ctx.Err() == nil {
			if r.Limit != nil {
				err = &contract.LimitError{Limit: hostcall.Clean(r.Limit.Limit, abi.MaxName), Message: hostcall.Clean(r.Limit.Message, abi.MaxMessage)}
			} else if _, known := errors.AsType[*contract.Fault](err); r.Fault && !known {
				err = &contract.Fault{Err: err}
			}
		}
		return nil, r.Stats, err
	}
	return e, r.Stats, nil
}

// beside is the memory of a worker beside what it has at its start: the module's,
// which may be there twice while it grows, its stack, and what the compiler takes.
func beside(l Limits) int64 { return 3*l.MemoryBytes + 1<<30 }

// workerRights are those of a worker.
func workerRights(l Limits) confine.Rights {
	return confine.Rights{AddressSpace: confine.DefaultAddressSpace + beside(l.WithDefaults())}
}

// maxMachineCode bounds the machine code of a module, in bytes.
const maxMachineCode = 512 << 20

// worker makes a box for a job, with what the job takes.
func (m *Module) worker(j job, limits Limits) (*confine.Box, confine.Command, error) {
	path, err := confine.Self(m.options.XAI)
	if err != nil {
		return nil, confine.Command{}, sdk.NewError(sdk.EUnsupported, err.Error())
	}
	exe, err := confine.OpenSelf(path)
	if err != nil {
		return nil, confine.Command{}, internal("the program cannot start itself again", err)
	}
	box, err := confine.New(workerRights(limits), m.options.XAI)
	if err != nil {
		return nil, confine.Command{}, errors.Join(internal("the process has no folder to run in", err), exe.Close())
	}
	if err := m.provide(box, j); err != nil {
		return nil, confine.Command{}, errors.Join(internal("the process cannot be given its module", err), exe.Close(), box.Close())
	}
	return box, confine.Command{Exe: exe, Args: []string{confine.WorkerArg}, FileSize: maxMachineCode, CPU: processorTime(limits)}, nil
}

// provide writes the job, the module and what is compiled of it into the box.
func (m *Module) provide(box *confine.Box, j job) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(box.Dir, jobFile), data, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(box.Dir, moduleFile), m.binary, 0o600); err != nil {
		return err
	}
	if m.options.CacheDir != "" && !j.Compile {
		if err := m.copyCode(m.options.CacheDir, filepath.Join(box.Dir, cacheDir)); err != nil {
			return err
		}
	}
	return box.OwnAll(box.Dir)
}

// The bounds of a compilation.
const (
	compileTimeout = 30 * time.Second
	compileMemory  = 2 << 30
)

// Compile compiles the module in a process of its own, within 30 seconds and 2 GiB,
// into the folder of the options, where a wasm.Runtime then finds it: the compiler
// reads what anybody may have written. What is wrong with the module is an
// *sdk.Error, and what it takes beyond the bounds a *core.LimitError.
func (m *Module) Compile(ctx context.Context) error {
	limits := Limits{MemoryBytes: compileMemory, Timeout: compileTimeout}.WithDefaults()
	run, cancel := context.WithTimeoutCause(ctx, compileTimeout, &contract.LimitError{Limit: contract.LimitTimeout, Message: "takes longer than " + contract.Seconds(compileTimeout) + " to compile"})
	defer cancel()
	box, command, err := m.worker(job{Compile: true}, limits)
	if err != nil {
		return err
	}
	defer command.Exe.Close()
	said, err := output(run, box, command)
	if err == nil {
		err = m.install(box, said)
	}
	if err != nil {
		if gone := contract.Ended(run); gone != nil {
			err = gone
		}
	}
	return errors.Join(err, box.Close())
}

// output runs a command to its end and returns what it printed.
func output(ctx context.Context, box *confine.Box, command confine.Command) ([]byte, error) {
	child, err := box.Start(ctx, command)
	if err != nil {
		return nil, internal("the compiler does not start", err)
	}
	defer child.Close()
	defer context.AfterFunc(ctx, child.Kill)()
	if err := box.Limit(child, compileMemory); err != nil {
		child.Kill()
		<-child.Done()
		return nil, internal("the compiler's memory cannot be bounded", err)
	}
	var said complaint
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		out := &lines{write: said.hear}
		_, _ = io.Copy(out, child.Stderr)
		out.flush()
	}()
	const most = 16 << 10
	printed, readErr := io.ReadAll(io.LimitReader(child.Stdout, most))
	if len(printed) == most {
		child.Kill()
	}
	err = child.Wait()
	child.Kill() // whom it may have left behind
	<-heard
	if err != nil {
		if said.ofMemory() {
			return nil, &contract.LimitError{Limit: contract.LimitMemory, Message: "needs more than " + contract.Size(compileMemory) + " of memory to compile"}
		}
		return nil, sdk.NewError(sdk.EInternal, hostcall.Clean("the compiler "+err.Error()+": "+said.cause(), abi.MaxMessage))
	}
	return printed, readErr
}

// install keeps what a compilation left in the box, if the verdict is good.
func (m *Module) install(box *confine.Box, said []byte) error {
	var v verdict
	if err := json.Unmarshal(said, &v); err != nil {
		return internal("the compiler's verdict cannot be read", err)
	}
	if v.Code != 0 {
		return sdk.NewError(v.Code, hostcall.Clean(v.Message, abi.MaxMessage))
	}
	if m.options.CacheDir == "" {
		return nil
	}
	if err := m.copyCode(filepath.Join(box.Dir, cacheDir), m.options.CacheDir); err != nil {
		return internal("the compiled module cannot be kept", err)
	}
	return nil
}

// copyCode copies what is compiled of the module from one cache to another:
// regular files, and nothing through a link out of the cache. Hashes go ahead of
// what they are of, which would be removed without them. Nothing is copied where
// there is nothing.
func (m *Module) copyCode(from, to string) error {
	folder, err := filepath.Rel(from, wasm.CacheFolder(from, m.binary))
	if err != nil {
		return err
	}
	source, err := os.OpenRoot(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer source.Close()
	var hashes, code []string
	size := int64(0)
	err = fs.WalkDir(source.FS(), filepath.ToSlash(folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".tmp") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if size += info.Size(); size > maxMachineCode {
			return errors.New("the machine code of the module is larger than " + contract.Size(maxMachineCode))
		}
		if filepath.Ext(path) == ".sha256" {
			hashes = append(hashes, path)
		} else {
			code = append(code, path)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, path := range append(hashes, code...) {
		if err := copyFile(source, path, filepath.Join(to, filepath.FromSlash(path))); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file, whole or not at all.
func copyFile(source *os.Root, path, to string) error {
	in, err := source.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxMachineCode))
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Rename(out.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}
