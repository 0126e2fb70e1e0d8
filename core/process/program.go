package process

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/process/internal/confine"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
)

// Confine is what a method's process may do beside computing and talking to its
// host. The zero value is as little as there is.
type Confine struct {
	Files        bool     // see and change every file that its user can
	Net          bool     // reach the network, and what listens on this machine
	AddressSpace int64    // bytes, of each process; 0 for 4 GiB
	Tasks        int      // threads and processes; 0 for 256 threads and no other process
	Env          []string // names of the variables of this program's environment that it sees
	Read         []string // absolute paths below which it may read and execute; where the host is root, what everybody may
}

// rights returns what the confinement itself has to know.
func (c Confine) rights() confine.Rights {
	return confine.Rights{Files: c.Files, Net: c.Net, AddressSpace: c.AddressSpace, Tasks: c.Tasks, Read: c.Read}
}

// environment returns the variables that the process sees.
func (c Confine) environment() []string {
	env := []string{}
	for _, name := range c.Env {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Confinement says what holds a process, and what nothing does.
type Confinement = confine.Confinement

// Machine says what a machine can confine with.
type Machine = confine.Machine

// Probe finds out what this machine can confine with. xai is the path of an xai
// binary for a program that does not call WorkerMain; empty for this program.
func Probe(xai string) Machine { return confine.Probe(xai) }

// Plan returns what holds a process on this machine that may do what c says.
func Plan(c Confine, xai string) Confinement { return confine.Plan(c.rights(), xai) }

// ErrNoWorker is the error of a program that neither called WorkerMain nor named an
// xai binary, and asked for what that takes.
var ErrNoWorker = confine.ErrNoShim

// Limits bound one explanation. MemoryBytes bounds how much the address space of a
// process grows after its start; 0 stands for DefaultMemory.
type Limits = hostcall.Limits

// DefaultMemory is the memory of a process that declares none. Threads and
// interpreters take address space that they do not use.
const DefaultMemory = 512 << 20

// bounded returns l with defaults.
func bounded(l Limits) Limits {
	l.MemoryBytes = cmp.Or(max(l.MemoryBytes, 0), DefaultMemory)
	return l.WithDefaults()
}

// Stats are what one explanation took.
type Stats struct {
	hostcall.Stats
	Start  time.Duration // of the process
	Method time.Duration // in the process, without Forward
}

// Options say what a Program is.
type Options struct {
	Path    string // of the executable, where nobody else can write
	SHA256  string // of the executable, in hexadecimal digits
	Confine Confine
	// Unconfined runs the process although this machine cannot hold it to Confine.
	Unconfined bool
	// XAI is the path of an xai binary, for a program that does not call WorkerMain.
	XAI string
}

// Program is an executable that serves methods. It is safe for concurrent use:
// every explanation has a process of its own.
type Program struct {
	options Options
	exe     *confine.Executable
}

// Open verifies an executable. On Linux what was verified is what runs, whatever
// happens to the file; elsewhere it is verified again at every start.
func Open(o Options) (*Program, error) {
	exe, err := confine.Open(o.Path, o.SHA256)
	if wrong, ok := errors.AsType[*confine.HashError](err); ok {
		return nil, sdk.NewError(sdk.EInvalid, "the executable "+wrong.Error())
	} else if err != nil {
		return nil, err
	}
	return &Program{o, exe}, nil
}

// Close frees what Open took. No explanation may be running. Closed again, it does
// nothing.
func (p *Program) Close() error { return p.exe.Close() }

// Confinement returns what holds the program's processes on this machine.
func (p *Program) Confinement() Confinement {
	return Plan(p.options.Confine, p.options.XAI)
}

// Describe returns the words for the confinement that a run under l has.
func (p *Program) Describe(l Limits) string { return describe(p.Confinement(), l) }

func describe(c Confinement, l Limits) string {
	l = bounded(l)
	words := "process: " + c.String()
	if c.Memory != "" {
		words += ", " + contract.Size(l.MemoryBytes) + " of it beyond its start"
	}
	return words + ", " + contract.Seconds(l.Timeout)
}

// Methods starts the program and asks what it serves: descriptions in JSON, as
// docs/ABI.md has them. Limits bound that.
func (p *Program) Methods(ctx context.Context, limits Limits) ([]byte, error) {
	limits = bounded(limits)
	run, cancel := contract.WithTimeout(ctx, limits.Timeout)
	defer cancel()
	s, err := p.start(run, limits, nil)
	if err != nil {
		return nil, err
	}
	plain, done := undated(run)
	defer done()
	answer, err := s.method.Describe(plain, &wire.DescribeRequest{})
	err = errors.Join(s.failure(run, limits, err), s.close())
	if err != nil {
		return nil, err
	}
	if len(answer.Json) > wire.MaxDescription {
		return nil, sdk.NewError(sdk.ERange, "the process describes itself in more than "+contract.Size(wire.MaxDescription))
	}
	return answer.Json, nil
}

// Explain runs the method info.Name of the program in a process of its own, which
// has ended when Explain returns. The explanation has passed the checks that one in
// process has.
//
// It ends early with ctx.Err() where ctx is done, with a *core.LimitError where the
// method ran into limits, with the model's own error where a forward failed and the
// method passed that on, with a *contract.Fault where the method used the host
// wrongly, and with an *sdk.Error otherwise.
func (p *Program) Explain(ctx context.Context, model sdk.Model, req *sdk.Request, info sdk.Info, limits Limits) (*sdk.Explanation, Stats, error) {
	limits = bounded(limits)
	e, _, stats, err := explain(ctx, p.start, model, req, info, limits)
	return e, stats, err
}

// start starts a process of the program.
func (p *Program) start(ctx context.Context, limits Limits, log func(line string)) (*session, error) {
	box, err := confine.New(p.options.Confine.rights(), p.options.XAI)
	if err != nil {
		return nil, internal("the process has no folder to run in", err)
	}
	if missing := box.Confinement.Missing(); len(missing) > 0 && !p.options.Unconfined {
		message := "nothing on this machine can confine the method's process, which then " + strings.Join(missing, ", ")
		if m := Probe(p.options.XAI); !m.Shim && (m.Seccomp || m.Landlock > 0) {
			message = ErrNoWorker.Error()
		}
		return nil, errors.Join(sdk.NewError(sdk.EUnsupported, message), box.Close())
	}
	return start(ctx, box, confine.Command{
		Exe: p.exe, Env: p.options.Confine.environment(), CPU: processorTime(limits),
	}, limits, log)
}

// explain runs a method in a process that begin starts. The second result is the
// report of a process of xai's own.
func explain(ctx context.Context, begin func(context.Context, Limits, func(line string)) (*session, error), model sdk.Model, req *sdk.Request, info sdk.Info, limits Limits) (*sdk.Explanation, []byte, Stats, error) {
	var stats Stats
	if err := ctx.Err(); err != nil {
		return nil, nil, stats, err
	}
	if !hostcall.LittleEndian {
		return nil, nil, stats, sdk.NewError(sdk.EUnsupported, "methods run as processes on little-endian machines alone: run the method in process")
	}
	run, cancel := contract.WithTimeout(ctx, limits.Timeout)
	defer cancel()
	h := &host{call: hostcall.New(run, model, req, info, limits)}
	begun := time.Now()
	s, err := begin(run, limits, h.log)
	stats.Start = time.Since(begun)
	var ended *wire.Ended
	if err == nil {
		began := time.Now()
		ended, err = s.explain(run, h, abi.AppendRequest(nil, info.Name))
		stats.Method = time.Since(began) - h.call.Stats.Forward
		err = errors.Join(s.failure(run, limits, err), s.close())
	}
	h.close()
	stats.Stats = h.call.Counted()
	if err != nil || ended.Code != 0 {
		if gone := contract.Ended(run); gone != nil {
			return nil, nil, stats, gone
		}
	}
	if err != nil {
		return nil, nil, stats, err
	}
	e, err := h.call.End(sdk.Errno(ended.Code))
	return e, ended.Report, stats, err
}

// internal returns the error of what should have worked.
func internal(what string, err error) error {
	return sdk.NewError(sdk.EInternal, what+": "+hostcall.Clean(err.Error(), abi.MaxMessage))
}
