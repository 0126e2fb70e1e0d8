package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"golang.org/x/sys/unix"
)

// breakout tries what a confined process may not do. Each attempt is a line of the
// log: its name and what came of it, "done" where nothing held it.
type breakout struct{}

// Info implements sdk.Method.
func (breakout) Info() sdk.Info {
	return sdk.Info{Name: "breakout", Version: "1.0.0", Params: []sdk.Param{
		{Name: "what", Type: sdk.Enum, Values: []string{"all", "forks", "threads", "daemons", "files"}},
		{Name: "host", Type: sdk.Int},      // its pid
		{Name: "tcp", Type: sdk.String},    // addresses where the test listens
		{Name: "udp", Type: sdk.String},    //
		{Name: "stream", Type: sdk.String}, //
		{Name: "packet", Type: sdk.String}, //
		{Name: "secret", Type: sdk.String}, // a file that everybody can read
	}}
}

// Explain implements sdk.Method.
func (breakout) Explain(_ context.Context, _ sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	e := &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: make([]float64, len(r.Units))}}}
	say := func(name, result string) { r.Log(sdk.Note, name+": "+result) }
	try := func(name string, f func() error) {
		err := f()
		if err == nil {
			say(name, "done")
			return
		}
		say(name, err.Error())
	}
	switch r.Params.String("what") {
	case "forks":
		made, errno := bomb(1000, false)
		say("forks", strconv.Itoa(made)+" "+errno.Error())
		return e, nil
	case "daemons": // each leaves its session and its parent
		made, errno := bomb(20, true)
		say("daemons", strconv.Itoa(made)+" "+errno.Error())
		return e, nil
	case "threads":
		stop := make(chan bool)
		for range 2000 { // the runtime ends itself where it gets no more
			go func() {
				b := make([]byte, 1)
				p, _ := pipe()
				_, _ = syscall.Read(p, b)
				<-stop
			}()
		}
		time.Sleep(time.Second)
		say("threads", "done")
		return e, nil
	case "files":
		for i := 0; ; i++ {
			if f, err := os.Create(fmt.Sprintf("f%d", i)); err == nil {
				f.Close()
			}
		}
	}
	host := r.Params.Int("host")
	read := func(path string) func() error {
		return func() error {
			b, err := os.ReadFile(path)
			if err == nil && len(b) == 0 {
				err = errors.New("it is empty")
			}
			return err
		}
	}
	call := func(number uintptr, args ...uintptr) func() error {
		var a [6]uintptr
		copy(a[:], args)
		return func() error {
			if _, _, errno := syscall.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
				return errno
			}
			return nil
		}
	}
	dial := func(network, address string) func() error {
		return func() error {
			c, err := net.DialTimeout(network, address, time.Second)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("hello"))
			return err
		}
	}

	try("read a file", read(r.Params.String("secret")))
	try("read /etc/passwd", read("/etc/passwd"))
	try("read the host's environment", read(fmt.Sprintf("/proc/%d/environ", host)))
	try("read its own environment", read("/proc/self/environ"))
	try("read the memory of the host", read(fmt.Sprintf("/proc/%d/maps", host)))
	try("list /", func() error { _, err := os.ReadDir("/"); return err })
	temporary := filepath.Dir(filepath.Dir(os.TempDir())) // the system's, around that of the process
	try("list the folder of temporary files", func() error { _, err := os.ReadDir(temporary); return err })
	try("write a file", func() error {
		// A file that is too long raises a signal, which would end this.
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil || limit.Cur == 0 {
			return errors.New("file size limit 0")
		}
		return os.WriteFile("file", []byte("written"), 0o600)
	})
	try("write to the folder of temporary files", func() error { return os.WriteFile(filepath.Join(temporary, "xai-was-here"), nil, 0o600) })
	try("make a folder", func() error { return os.Mkdir("folder", 0o700) })
	try("make a link", func() error { return os.Symlink("/etc", "link") })
	try("make a device", func() error { return unix.Mknod("device", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1))) })
	try("change a file's mode", func() error { return os.Chmod(r.Params.String("secret"), 0o777) })
	try("dial TCP", dial("tcp", r.Params.String("tcp")))
	try("listen on TCP", func() error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			l.Close()
		}
		return err
	})
	try("send UDP", dial("udp", r.Params.String("udp")))
	try("dial a unix socket", dial("unix", r.Params.String("stream")))
	try("dial an abstract socket", dial("unix", "@"+filepath.Base(r.Params.String("stream"))))
	try("send to a unix socket", func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendto(fd, []byte("hello"), 0, &unix.SockaddrUnix{Name: r.Params.String("packet")})
	})
	try("send from a pair to a unix socket", func() error {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendto(fds[0], []byte("hello"), 0, &unix.SockaddrUnix{Name: r.Params.String("packet")})
	})
	try("talk netlink", func() error { _, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0); return err })
	try("execute a program", func() error { return exec.Command("/bin/true").Run() })
	try("signal the host", func() error { return syscall.Kill(host, 0) })
	try("signal all", func() error { // nobody but itself
		if err := syscall.Kill(-1, 0); err != nil {
			return err
		}
		return errors.New("nobody is there") // or they are in its namespace
	})
	try("trace the host", call(syscall.SYS_PTRACE, syscall.PTRACE_ATTACH, uintptr(host)))
	try("read the host's memory", call(unix.SYS_PROCESS_VM_READV, uintptr(host), 0, 0, 0, 0, 0))
	try("become root", func() error {
		if os.Getuid() == 0 {
			return nil
		}
		return call(syscall.SYS_SETUID, 0)()
	})
	try("have privileges", func() error {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		if err := unix.Capget(&head, &data[0]); err != nil {
			return err
		}
		if data[0].Effective|data[1].Effective|data[0].Permitted|data[1].Permitted == 0 {
			return errors.New("none")
		}
		return nil
	})
	try("gain privileges", func() error {
		if v, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || v == 1 {
			return errors.New("none can be gained")
		}
		return nil
	})
	try("mount", func() error { return unix.Mount("none", ".", "tmpfs", 0, "") })
	try("make a user namespace", call(syscall.SYS_UNSHARE, unix.CLONE_NEWUSER))
	try("clone into a user namespace", func() error {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			return errno
		}
		if pid == 0 {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
		return nil
	})
	try("change the root", func() error { return syscall.Chroot(".") })
	var params [256]byte
	try("set up io_uring", call(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params))))
	try("load BPF", call(unix.SYS_BPF, 0, uintptr(unsafe.Pointer(&params)), 256))
	key := append([]byte("user"), 0)
	try("keep a key", call(unix.SYS_ADD_KEY, uintptr(unsafe.Pointer(&key[0])), uintptr(unsafe.Pointer(&key[0])), uintptr(unsafe.Pointer(&key[0])), 4, ^uintptr(4)+1))
	try("see a variable", func() error {
		for _, v := range os.Environ() {
			if strings.HasPrefix(v, "XAI_TEST_SECRET=") || strings.HasPrefix(v, "PATH=") || strings.HasPrefix(v, "HOME=") {
				return nil
			}
		}
		return errors.New("there is none")
	})
	try("find an open file", func() error {
		for fd := 3; fd < 1024; fd++ {
			path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			if err == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/memfd:") {
				return nil
			}
		}
		return errors.New("none")
	})
	try("map much memory", func() error {
		b, err := unix.Mmap(-1, 0, 16<<30, unix.PROT_NONE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
		if err == nil {
			_ = unix.Munmap(b)
		}
		return err
	})
	try("keep memory in a file", func() error {
		fd, err := unix.MemfdCreate("x", 0)
		if err != nil {
			return err
		}
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil || limit.Cur == 0 {
			return errors.New("file size limit 0")
		}
		return unix.Ftruncate(fd, 1<<20)
	})
	try("share memory that nobody counts", call(unix.SYS_SHMGET, 0, 4096, 0o1600))
	try("leave semaphores behind", call(unix.SYS_SEMGET, 0, 1, 0o1600))
	// What it needs works.
	try("(write to /dev/null)", func() error { return os.WriteFile(os.DevNull, []byte("x"), 0) })
	try("(read randomness)", read2("/dev/urandom"))
	try("(declared variable)", func() error {
		if os.Getenv("XAI_TEST_DECLARED") != "declared" {
			return errors.New("it is not there")
		}
		return nil
	})
	return e, nil
}

func read2(path string) func() error {
	return func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Read(make([]byte, 8))
		return err
	}
}

func pipe() (int, error) {
	var p [2]int
	err := syscall.Pipe(p[:])
	return p[0], err
}

// bomb makes up to n processes that wait for good, and returns how many came to
// be, and why no more. A daemon has left its session and its parent.
func bomb(n int, daemon bool) (int, error) {
	forever := syscall.Timespec{Sec: 1 << 30}
	for i := range n {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if errno != 0 {
			return i, errno
		}
		if pid == 0 {
			wait(&forever, daemon)
		}
	}
	return n, errors.New("nothing held it")
}

// wait is all that a process without Go's runtime does: a function that could be
// preempted would go on with what other goroutines of its parent were at.
//
//go:nosplit
func wait(forever *syscall.Timespec, daemon bool) {
	if daemon {
		syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0)
		if pid, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); pid != 0 {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	for {
		syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(forever)), 0, 0)
	}
}
