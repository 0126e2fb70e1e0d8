package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shimMain follows the orders and becomes the process. It does not return.
func shimMain() {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	data, err := io.ReadAll(os.NewFile(fdOrders, "orders"))
	if err == nil && len(data) == 0 { // somebody asks whether this works
		os.Exit(0)
	}
	var o orders
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	switch {
	case err != nil:
	case o.End:
		err = endAll(o)
	case o.Bound != 0:
		if err = o.become(); err == nil {
			err = boundSpace(o.Bound, o.AddressSpace)
		}
	default:
		err = o.follow()
	}
	if err != nil {
		_, _ = os.NewFile(fdStatus, "status").WriteString(err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

// endAll ends every process of a user, but for this one. It acts as that user and is
// another one, lest they end or stop it first.
func endAll(o orders) error {
	if o.UID == 0 || o.Other == 0 {
		return errors.New("every process of root would end")
	}
	if err := syscall.Setgroups([]int{}); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(o.GID, o.GID, o.GID); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	if err := syscall.Setresuid(o.Other, o.UID, o.Other); err != nil {
		return os.NewSyscallError("setresuid", err)
	}
	if err := unix.Kill(-1, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return os.NewSyscallError("kill", err)
	}
	return nil
}

// follow does what the orders say. It returns where that fails.
func (o *orders) follow() error {
	step := func(what string, err error) error {
		if err != nil {
			return fmt.Errorf("the process cannot be confined: %s: %w", what, err)
		}
		return nil
	}
	argv, err := syscall.SlicePtrFromStrings(append([]string{o.Name}, o.Args...))
	if err != nil {
		return step("arguments", err)
	}
	envv, err := syscall.SlicePtrFromStrings(o.Env)
	if err != nil {
		return step("environment", err)
	}
	if err := step("folder", os.Chdir(o.Dir)); err != nil {
		return err
	}
	unix.Umask(0o077)
	// Of the files, the executable alone stays: a script is read through it. Before
	// Linux 5.11 that does not cover what another program had left open in the host.
	_ = unix.CloseRange(3, 1<<32-1, unix.CLOSE_RANGE_CLOEXEC)
	for fd, flags := range map[uintptr]int{fdOrders: unix.FD_CLOEXEC, fdStatus: unix.FD_CLOEXEC, fdExe: 0} {
		if _, err := unix.FcntlInt(fd, unix.F_SETFD, flags); err != nil {
			return step("files", err)
		}
	}
	var rules *landlock
	if o.Landlock > 0 && !o.Files {
		if rules, err = o.rules(); err != nil {
			return step("Landlock", err)
		}
	}
	for _, limit := range []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_FSIZE, o.FileSize}, {unix.RLIMIT_NOFILE, o.Open}, {unix.RLIMIT_MEMLOCK, 0}, {unix.RLIMIT_MSGQUEUE, 0},
	} {
		if err := setLimit(limit.resource, limit.value); err != nil {
			return step("limits", err)
		}
	}
	if o.CPU > 0 {
		if err := setLimit(unix.RLIMIT_CPU, o.CPU); err != nil {
			return step("limits", err)
		}
	}
	if err := step("user", o.become()); err != nil {
		return err
	}
	// Another user's process is not ended with its parent, unless it asks again.
	if err := step("parent", unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)); err != nil {
		return err
	}
	if hostGone() {
		os.Exit(1)
	}
	if err := step("privileges", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); err != nil {
		return err
	}
	if rules != nil {
		if err := step("Landlock", rules.enforce()); err != nil {
			return err
		}
	}
	if o.Tasks > 0 {
		if err := step("limits", setLimit(unix.RLIMIT_NPROC, o.Tasks)); err != nil {
			return err
		}
	}
	if o.Seccomp {
		if err := step("system calls", o.Filter.install(os.Getpid())); err != nil {
			return err
		}
	}
	if err := step("limits", setLimit(unix.RLIMIT_AS, o.AddressSpace)); err != nil {
		return err
	}
	empty := [1]byte{}
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, fdExe, uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])), unix.AT_EMPTY_PATH, 0)
	return fmt.Errorf("the executable does not start: %w", errno)
}

// rules returns the rules on files.
func (o *orders) rules() (*landlock, error) {
	rules, err := newLandlock(o.Landlock, o.Net)
	if err != nil {
		return nil, err
	}
	own := uint64(mayServe)
	if o.Keep {
		own |= mayKeep
	}
	if err := rules.allow(o.Dir, own); err != nil {
		return nil, err
	}
	const readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	for path, access := range map[string]uint64{
		"/dev/null": readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE, "/dev/zero": readFile, "/dev/random": readFile, "/dev/urandom": readFile,
	} {
		if err := rules.allow(path, access); err != nil {
			return nil, err
		}
	}
	for _, path := range o.Read {
		if err := rules.allow(path, mayRead); err != nil {
			return nil, err
		}
	}
	if o.Self {
		// Where it is a copy in memory after all, it needs no rule.
		if err := rules.allowFile(fdExe, mayRead); err != nil && !errors.Is(err, unix.EBADFD) {
			return nil, err
		}
		// A build with cgo has its loader and the C library beside it.
		for _, libraries := range []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"} {
			if err := rules.allow(libraries, mayRead); err != nil && !errors.Is(err, unix.ENOENT) {
				return nil, err
			}
		}
	}
	return rules, nil
}

// become takes the user of the orders, and leaves no privilege behind.
func (o *orders) become() error {
	if o.UID == 0 {
		if os.Geteuid() != 0 {
			return nil
		}
		// Root without privileges; what cannot be given up is not there.
		for capability := range uintptr(64) {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		}
		return nil
	}
	if err := syscall.Setgroups([]int{}); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setresgid(o.GID, o.GID, o.GID); err != nil {
		return os.NewSyscallError("setresgid", err)
	}
	return os.NewSyscallError("setresuid", syscall.Setresuid(o.UID, o.UID, o.UID))
}

// hostGone reports whether the host has ended, whose end of the standard input is
// then closed.
func hostGone() bool {
	fds := []unix.PollFd{{Fd: 0}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}

func setLimit(resource int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	value = min(value, now.Max)
	return os.NewSyscallError("setrlimit", unix.Prlimit(0, resource, &unix.Rlimit{Cur: value, Max: value}, nil))
}
