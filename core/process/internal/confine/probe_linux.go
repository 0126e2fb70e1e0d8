package confine

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// probes remembers what Probe found out with each shim.
var probes sync.Map // path → func() Machine

// Probe finds out what this machine can confine with, once for each shim.
func Probe(shim string) Machine {
	once, _ := probes.LoadOrStore(shim+"\x00"+strconv.FormatBool(ready.Load()), sync.OnceValue(func() Machine { return probe(shim) }))
	return once.(func() Machine)()
}

func probe(shim string) Machine {
	m := Machine{Landlock: landlockVersion(), Seccomp: seccompWorks()}
	if os.Geteuid() == 0 {
		_, err := newUser(Machine{Root: true})
		m.Root = err == nil
	}
	path, err := Self(shim)
	if err != nil {
		return m
	}
	m.Shim = true
	none, err := os.Open(os.DevNull)
	if err != nil {
		return m
	}
	defer none.Close()
	works := func(flags uintptr) bool {
		cmd := exec.Command(path)
		cmd.Args = []string{"xai", ShimArg}
		cmd.Env = []string{}
		cmd.SysProcAttr = attributes(flags)
		cmd.ExtraFiles = []*os.File{none}
		return cmd.Run() == nil // with no orders a shim ends well
	}
	user := uintptr(0)
	if os.Geteuid() != 0 {
		user = unix.CLONE_NEWUSER
	}
	switch {
	case works(user | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC):
		m.ProcessNamespace, m.NetworkNamespace, m.UserNamespace = true, true, user != 0
	case !works(0):
		m.Shim = false // it is no xai
	case user != 0 && !works(user):
	default:
		m.UserNamespace = user != 0
		m.ProcessNamespace = works(user | unix.CLONE_NEWPID)
		m.NetworkNamespace = works(user | unix.CLONE_NEWNET | unix.CLONE_NEWIPC)
	}
	return m
}

// attributes returns how a shim is started, in new namespaces as flags say.
func attributes(flags uintptr) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: flags}
	if flags&unix.CLONE_NEWUSER != 0 {
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// plan chooses what holds a process. The shim applies all of it.
func plan(m Machine, r Rights) Confinement {
	c := Confinement{rights: r}
	if !m.Shim {
		return c
	}
	const calls, namespace = "system calls", "namespace"
	if !r.Files && m.Landlock > 0 {
		c.Files = "Landlock " + strconv.Itoa(m.Landlock)
	}
	if !r.Net {
		switch {
		case m.NetworkNamespace:
			c.Network = namespace
		case m.Seccomp:
			c.Network = calls
		}
		if m.Seccomp {
			c.Sockets = calls
		}
	}
	switch {
	case m.Seccomp && r.Tasks == 0:
		c.Processes, c.alone = calls, true
	case m.ProcessNamespace:
		c.Processes = namespace
	case m.Root:
		c.Processes = "a user of its own"
	case m.Seccomp: // fewer than it may have
		c.Processes, c.alone = calls, true
	}
	c.Memory = "limit"
	return c
}

// namespaces returns the flags of a box's process.
func (b *Box) namespaces() uintptr {
	flags := uintptr(0)
	if b.machine.ProcessNamespace {
		flags |= unix.CLONE_NEWPID
	}
	if b.machine.NetworkNamespace && !b.rights.Net {
		flags |= unix.CLONE_NEWNET | unix.CLONE_NEWIPC
	}
	if flags != 0 && b.machine.UserNamespace {
		flags |= unix.CLONE_NEWUSER
	}
	return flags
}

// newUser returns a user and a group that nobody else has, for a host that is
// root: limits on processes do not bind root, and a user's processes can all be
// ended at once. It is the zero user where there is no such.
func newUser(m Machine) (user, error) {
	if !m.Root {
		return user{}, nil
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return user{}, err
	}
	uid, err := highID("/proc/self/uid_map", binary.LittleEndian.Uint32(random[:4]))
	if err != nil {
		return user{}, err
	}
	gid, err := highID("/proc/self/gid_map", binary.LittleEndian.Uint32(random[4:]))
	return user{uid, gid}, err
}

// highID returns one of the upper half of the largest range of a map, below 2^31,
// where there are enough of them that two are hardly the same.
func highID(path string, random uint32) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	start, size := uint64(0), uint64(0)
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) != 3 {
			continue
		}
		from, err1 := strconv.ParseUint(f[0], 10, 32)
		n, err2 := strconv.ParseUint(f[2], 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return 0, err
		}
		n = min(from+n, 1<<31) - min(from, 1<<31)
		if n > size {
			start, size = from, n
		}
	}
	if size < 1<<15 {
		return 0, errors.New("there are too few users to give a process one of its own")
	}
	half := size / 2
	return int(start + half + uint64(random)%(size-half)), nil
}

// self returns the path of this program, whatever lies where it was started from.
func self() (string, error) { return "/proc/self/exe", nil }

// tasks counts the tasks of the user who runs this.
func tasks() int {
	folders, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, d := range folders {
		if d.Name()[0] < '0' || d.Name()[0] > '9' {
			continue
		}
		info, err := d.Info()
		if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
			continue
		}
		if own, err := os.ReadDir("/proc/" + d.Name() + "/task"); err == nil {
			n += len(own)
		}
	}
	return n
}
