// Package confine starts processes that may do little: on Linux without their
// help, elsewhere not at all, and says which.
//
// The host starts a shim, which is the host's own program again. The shim gives
// up what the process shall not have, and becomes the process. What the host
// decided is done in full or the process does not start.
package confine

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
)

// Rights are what a process may do beside computing and talking to its host. The
// zero value is as little as there is.
type Rights struct {
	Files        bool     // see and change every file that the user can
	Net          bool     // reach the network
	AddressSpace int64    // bytes; 0 for DefaultAddressSpace
	Tasks        int      // threads and processes; 0 for DefaultThreads and no other process
	Read         []string // absolute paths below which it may read and execute
}

// The bounds of a process that asks for none.
const (
	DefaultAddressSpace = 4 << 30
	DefaultThreads      = 256
)

// openFiles is how many files a process may have open.
const openFiles = 256

// withDefaults returns r with bounds in the place of zeros.
func (r Rights) withDefaults() Rights {
	if r.AddressSpace <= 0 {
		r.AddressSpace = DefaultAddressSpace
	}
	if r.Tasks <= 0 {
		r.Tasks = DefaultThreads
	}
	return r
}

// Machine says what this machine can confine with.
type Machine struct {
	Shim             bool // the program can start itself again, or was told of one that can
	Root             bool // it is run by root, and a process can be given another user
	Landlock         int  // the version of its ABI; 0 where there is none
	Seccomp          bool // filters of system calls
	UserNamespace    bool // for whoever is not root
	NetworkNamespace bool
	ProcessNamespace bool
}

// Confinement says what holds a process, and by what. A field that is empty is
// something that nothing holds.
type Confinement struct {
	Files     string // that it reaches no other files
	Network   string // that it reaches no network
	Sockets   string // that it reaches no other program on the machine
	Processes string // that no descendant outlives it
	Memory    string // that its memory has a bound, which each of its processes has

	rights Rights
	alone  bool // it starts no other process
}

// Missing returns what nothing holds although the process has no right to it, in
// words that complete "the process".
func (c Confinement) Missing() []string {
	var out []string
	add := func(held string, right bool, what string) {
		if held == "" && !right {
			out = append(out, what)
		}
	}
	add(c.Files, c.rights.Files, "reaches every file of yours")
	add(c.Network, c.rights.Net, "reaches the network")
	// Who may reach the network may reach what listens on this machine, too.
	add(c.Sockets, c.rights.Net, "reaches other programs of yours")
	add(c.Processes, false, "may leave processes behind")
	add(c.Memory, false, "takes as much memory as it likes")
	return out
}

// String returns the confinement in words for a receipt, the same on every run.
func (c Confinement) String() string {
	r := c.rights.withDefaults()
	var out []string
	add := func(held string, right bool, closed, open string) {
		switch {
		case right:
			out = append(out, open)
		case held == "":
			out = append(out, open+" (this machine cannot close that off)")
		default:
			out = append(out, closed+" ("+held+")")
		}
	}
	files := "no files"
	if len(r.Read) > 0 {
		files = "no files but below " + strings.Join(r.Read, ", ")
	}
	add(c.Files, r.Files, files, "all files")
	add(c.Network, r.Net, "no network", "the network")
	add(c.Sockets, r.Net, "no other programs", "other programs")
	switch {
	case c.alone:
		out = append(out, strconv.Itoa(r.Tasks)+" threads and no other process ("+c.Processes+")")
	case c.Processes != "":
		out = append(out, strconv.Itoa(r.Tasks)+" tasks that end together ("+c.Processes+")")
	default:
		out = append(out, "processes that may stay")
	}
	if c.Memory != "" {
		out = append(out, contract.Size(r.AddressSpace)+" of address space")
	} else {
		out = append(out, "any memory")
	}
	return strings.Join(out, ", ")
}

// ErrNoShim is why a process cannot be confined, or xai start itself again.
var ErrNoShim = errors.New("this program cannot start itself again to confine a process: call core.WorkerMain() first in its main, or name an xai binary")

// ShimArg and WorkerArg are the first arguments of a program that was started to be
// a shim, or to do what the host's worker does.
const (
	ShimArg   = "__confine"
	WorkerArg = "__worker"
)

// ready says that this program looks for ShimArg when it starts.
var ready atomic.Bool

// Main is called first in main. In a shim it does not return; elsewhere it notes
// that the program can be one.
func Main() {
	if len(os.Args) == 2 && os.Args[1] == ShimArg {
		shimMain()
	}
	ready.Store(true)
}

// Self returns the path of a program that can be started as a shim and a worker:
// named, or this one where Main was called.
func Self(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if !ready.Load() {
		return "", ErrNoShim
	}
	return self()
}

// Box is what one process is started in. It is made before the process, so that
// what it will be held by can be known.
type Box struct {
	Dir         string // a folder of its own, which is its working folder
	Confinement Confinement

	rights  Rights
	machine Machine
	shim    string // empty where there is none
	user    user
	lock    *lock
}

// user is the user and group of a process.
type user struct{ uid, gid int }

// New returns a box for a process with such rights; shim is the path of a program
// that calls Main, or empty for this one. Whether the process runs where something
// is missing is the caller's to decide.
func New(rights Rights, shim string) (*Box, error) {
	b := &Box{rights: rights.withDefaults(), machine: Probe(shim)}
	if b.machine.Shim {
		var err error
		if b.shim, err = Self(shim); err != nil {
			return nil, err
		}
	}
	b.Confinement = plan(b.machine, rights)
	var err error
	if b.user, err = newUser(b.machine); err != nil {
		return nil, err
	}
	temp := tempDir(b.user != user{})
	sweepOnce(temp)
	if b.Dir, b.lock, err = folder(temp); err != nil {
		return nil, err
	}
	if err := b.Own(b.Dir); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Plan returns what would hold a process with such rights.
func Plan(rights Rights, shim string) Confinement { return plan(Probe(shim), rights) }

// tempDir returns the system's folder for temporary files, or another one where it
// will not do: the path of a socket has hardly more than a hundred bytes, and
// another user has to get there.
func tempDir(shared bool) string {
	dir := os.TempDir()
	if len(dir) <= 50 && (!shared || open(dir)) {
		return dir
	}
	if info, err := os.Stat("/tmp"); err == nil && info.IsDir() {
		return "/tmp"
	}
	return dir
}

// open reports whether every user can pass through a folder.
func open(dir string) bool {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// Own gives a file or folder to the user that the process will have.
func (b *Box) Own(path string) error {
	if b.user == (user{}) {
		return nil
	}
	return os.Lchown(path, b.user.uid, b.user.gid)
}

// OwnAll gives a folder and all below it to the user that the process will have.
func (b *Box) OwnAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, b.Own(path))
	})
}

// Close removes the folder. The process has ended.
func (b *Box) Close() error {
	if err := os.RemoveAll(b.Dir); err != nil {
		return errors.Join(err, b.lock.file.Close()) // for the next sweep
	}
	return b.lock.release()
}

// Command is what a box runs.
type Command struct {
	Exe      *Executable
	Args     []string // after the name
	Env      []string
	FileSize int64         // bytes of a file that it may write in Dir; 0 for none
	CPU      time.Duration // of all its threads; 0 for no bound
}

// Child is a process in a box.
type Child struct {
	Pid    int
	Stdout *os.File
	Stderr *os.File

	lifeline io.Closer // its standard input, which ends with the host
	kill     func()
	killed   atomic.Bool
	once     sync.Once
	done     chan struct{}
	state    *os.ProcessState
}

// Done is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Kill ends the process and its descendants.
func (c *Child) Kill() {
	c.killed.Store(true)
	c.once.Do(c.kill)
}

// Wait waits until the process has ended and returns how: nil where it returned 0
// or was ended by Kill.
func (c *Child) Wait() error {
	<-c.done
	byItself := c.state.Exited() && runtime.GOOS != "windows"
	if c.state.Success() || c.killed.Load() && !byItself {
		return nil
	}
	return &ExitError{c.state}
}

// Close frees what the host has of a process that has ended.
func (c *Child) Close() error {
	return errors.Join(c.lifeline.Close(), c.Stdout.Close(), c.Stderr.Close())
}

// ExitError says how a process ended.
type ExitError struct{ State *os.ProcessState }

// Error returns what the process did, for a sentence that begins with its name.
func (e *ExitError) Error() string {
	if code := e.State.ExitCode(); code >= 0 {
		return "ended itself with exit code " + strconv.Itoa(code)
	}
	return "was ended by a " + e.State.String()
}

// Start starts the command. It returns once the process runs, in its confinement,
// or cannot.
func (b *Box) Start(ctx context.Context, c Command) (*Child, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return b.start(ctx, c)
}
