package confine

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// orders are what a shim does before it becomes the process. Of what is in it,
// nothing fails in silence.
type orders struct {
	End   bool // instead of all else: end every process of the user
	Bound int  // instead of all else: bound the address space of this process of the user
	Name  string
	Args  []string
	Env   []string
	Dir   string

	UID, GID int // 0 where they stay
	Other    int // of End: a user that nobody else has
	Landlock int
	Files    bool // every file
	Net      bool
	Read     []string
	Keep     bool // folders and longer files in Dir
	Self     bool // the executable is no sealed copy
	Seccomp  bool
	Filter   filter

	AddressSpace, FileSize, Open, Tasks, CPU uint64 // limits; 0 of Tasks and CPU is none
}

// The files of a shim, beside the standard ones.
const (
	fdOrders = 3
	fdStatus = 4 // what went wrong; it closes when the process begins
	fdExe    = 5
)

// statusBytes bounds what a shim says that went wrong.
const statusBytes = 4096

// start starts the command in a shim, or as it is where there is none.
func (b *Box) start(ctx context.Context, c Command) (*Child, error) {
	o := b.orders(c)
	cmd := exec.Command(b.shim)
	cmd.Args = []string{"xai", ShimArg}
	cmd.Env = []string{}
	cmd.SysProcAttr = attributes(b.namespaces())
	if b.shim == "" {
		cmd.Path = "/proc/self/fd/" + strconv.Itoa(fdExe)
		cmd.Args = append([]string{o.Name}, o.Args...)
		cmd.Env, cmd.Dir = o.Env, o.Dir
	}
	theirs, ours, err := openPipes()
	if err != nil {
		return nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs.stdin, theirs.stdout, theirs.stderr
	cmd.ExtraFiles = []*os.File{theirs.orders, theirs.status, c.Exe.sealed}
	child := &Child{Stdout: ours.stdout, Stderr: ours.stderr, lifeline: ours.stdin, done: make(chan struct{})}
	err = child.run(cmd)
	theirs.close()
	if err != nil {
		ours.close()
		return nil, err
	}
	child.kill = func() { b.end(cmd.Process) }
	defer ours.status.Close()
	if b.shim == "" {
		ours.orders.Close()
		return child, nil
	}
	defer context.AfterFunc(ctx, child.Kill)()
	err = json.NewEncoder(ours.orders).Encode(o)
	err = errors.Join(err, ours.orders.Close())
	said, readErr := io.ReadAll(io.LimitReader(ours.status, statusBytes))
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case len(said) > 0:
		err = errors.New(strings.ToValidUTF8(string(said), "?"))
	case err == nil:
		err = readErr
	}
	if err == nil {
		return child, nil
	}
	child.Kill()
	<-child.done
	return nil, errors.Join(err, child.Close())
}

// orders returns what a shim is told of a command.
func (b *Box) orders(c Command) orders {
	o := orders{
		Name: c.Exe.Name, Args: c.Args, Env: c.Env, Dir: b.Dir,
		UID: b.user.uid, GID: b.user.gid,
		Landlock: b.machine.Landlock, Files: b.rights.Files, Net: b.rights.Net, Read: b.rights.Read,
		Keep: c.FileSize > 0, Self: c.Exe.sha256 == "",
		Seccomp: b.machine.Seccomp,
		Filter: filter{
			Net:     !b.rights.Net,
			Fork:    b.Confinement.alone,
			Signals: !b.machine.ProcessNamespace && b.user == user{},
			Modes:   !b.rights.Files && c.FileSize == 0,
		},
		AddressSpace: uint64(b.rights.AddressSpace), FileSize: uint64(c.FileSize), Open: openFiles,
		Tasks: uint64(b.rights.Tasks), CPU: uint64((c.CPU + time.Second - 1) / time.Second),
	}
	if b.user == (user{}) && b.namespaces()&unix.CLONE_NEWUSER == 0 {
		if os.Geteuid() == 0 {
			o.Tasks = 0 // root has no such limit
		} else {
			o.Tasks += uint64(tasks()) // which are counted together
		}
	}
	return o
}

// pipes are one side of what leads to a process and back.
type pipes struct{ stdin, stdout, stderr, orders, status *os.File }

func (p *pipes) close() {
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr, p.orders, p.status} {
		f.Close() // of none, too
	}
}

// openPipes returns the process's side of five pipes, of which it reads stdin and
// orders, and the host's.
func openPipes() (theirs, ours pipes, err error) {
	for _, ends := range [][2]**os.File{
		{&theirs.stdin, &ours.stdin}, {&ours.stdout, &theirs.stdout}, {&ours.stderr, &theirs.stderr},
		{&theirs.orders, &ours.orders}, {&ours.status, &theirs.status},
	} {
		if *ends[0], *ends[1], err = os.Pipe(); err != nil {
			theirs.close()
			ours.close()
			return theirs, ours, err
		}
	}
	return theirs, ours, nil
}

// run starts the command and waits for its end in the background.
func (c *Child) run(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	go func() {
		// The process ends with the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			c.Pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // what it says is in the state
		c.state = cmd.ProcessState
		close(c.done)
	}()
	return <-started
}

// end ends a process and its descendants. Where the host is killed before that, the
// kernel ends the process, and with it its namespace; where it has a user of its own
// instead, its descendants stay, as confined as they were.
func (b *Box) end(p *os.Process) {
	switch {
	case b.shim == "":
		_ = unix.Kill(-p.Pid, unix.SIGKILL) // its session's first group
	case b.machine.ProcessNamespace, b.user == user{}:
	default:
		_ = b.endUser()
	}
	_ = p.Kill()
}

// endUser ends every process of the box's user, which only that user can do
// without a race.
func (b *Box) endUser() error {
	other, err := newUser(b.machine)
	if err != nil {
		return err
	}
	return b.as(orders{End: true, Other: other.uid})
}

// asTimeout bounds what a shim does as the box's user: the user's processes may stop
// it, and then it does not.
const asTimeout = 10 * time.Second

// as has a shim do something as the box's user.
func (b *Box) as(o orders) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	o.UID, o.GID = b.user.uid, b.user.gid
	ctx, cancel := context.WithTimeout(context.Background(), asTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.shim)
	cmd.Args = []string{"xai", ShimArg}
	cmd.Env = []string{}
	cmd.SysProcAttr = attributes(0)
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = json.NewEncoder(w).Encode(o)
	w.Close()
	return errors.Join(err, cmd.Wait())
}

// Limit bounds the address space of a process that runs to what it has now and
// some bytes more, where that is less than the bound that it has. A process that
// has ended needs none.
func (b *Box) Limit(c *Child, more int64) error {
	if b.shim == "" {
		return nil
	}
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(c.Pid), "statm"))
	if err == nil && len(data) > 0 {
		size, _, _ := strings.Cut(string(data), " ")
		var pages int64
		if pages, err = strconv.ParseInt(size, 10, 64); err == nil {
			bound := uint64(min(b.rights.AddressSpace, pages*int64(os.Getpagesize())+more))
			err = boundSpace(c.Pid, bound)
			if errors.Is(err, unix.EPERM) && b.user != (user{}) { // root is not always all-powerful
				err = b.as(orders{Bound: c.Pid, AddressSpace: bound})
			}
		}
	}
	select {
	case <-c.done:
		return nil
	default:
		return err
	}
}

// boundSpace bounds the address space of a process.
func boundSpace(pid int, bytes uint64) error {
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, unix.RLIMIT_AS, &unix.Rlimit{Cur: bytes, Max: bytes}, nil))
}
