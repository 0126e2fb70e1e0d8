//go:build amd64 || arm64

package confine

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filter says which system calls a process is refused, beside those that nothing
// in a box needs.
type filter struct {
	Net     bool // no sockets but listening ones of its own, and no connections
	Fork    bool // no processes, only threads
	Signals bool // to itself alone
	Modes   bool // of files: to whom they belong, who may what, when they changed
}

// forbidden are system calls that reach into other processes, the kernel or the
// file system's structure, or past the other rules, such as memory that no limit
// counts.
var forbidden = []uint32{
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_SHMGET, unix.SYS_MSGGET, unix.SYS_SEMGET,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_QUOTACTL, unix.SYS_ACCT,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
}

// modes are system calls that change what is known of a file by its path. Landlock
// leaves them be.
var modes = append([]uint32{
	unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_SETXATTRAT, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_REMOVEXATTRAT,
}, olderModes...)

// newNamespaces are the flags of clone that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// Where struct seccomp_data has what a filter looks at. Arguments are 64 bits,
// little-endian; their lower half is looked at, as the kernel does for those that
// are an int.
const (
	dataCall = 0
	dataArch = 4
	dataArgs = 16
)

// program returns the filter as instructions for the kernel, for the process pid.
func (f filter) program(pid uint32) []unix.SockFilter {
	var p []unix.SockFilter
	load := func(at uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at})
	}
	// unless runs the next skip instructions only where the test holds.
	unless := func(test uint16, k uint32, skip uint8) {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jf: skip})
	}
	end := func(action uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action})
	}
	const (
		allow = unix.SECCOMP_RET_ALLOW
		deny  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	refuse := func(call uint32) {
		unless(unix.BPF_JEQ, call, 1)
		end(deny)
	}
	// only allows a call whose argument, masked, has a value.
	only := func(call uint32, arg int, mask, value uint32) {
		unless(unix.BPF_JEQ, call, 5)
		load(uint32(dataArgs + 8*arg))
		p = append(p, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask})
		unless(unix.BPF_JEQ, value, 1)
		end(allow)
		end(deny)
	}

	load(dataArch)
	unless(unix.BPF_JEQ, auditArch, 0)
	p[len(p)-1].Jt, p[len(p)-1].Jf = 1, 0
	end(unix.SECCOMP_RET_KILL_PROCESS)
	load(dataCall)
	if otherCalls != 0 { // those of another ABI of the same processor
		unless(unix.BPF_JGE, otherCalls, 1)
		end(unix.SECCOMP_RET_KILL_PROCESS)
	}
	for _, call := range forbidden {
		refuse(call)
	}
	// The flags of clone3 are out of sight; libraries then take clone.
	unless(unix.BPF_JEQ, unix.SYS_CLONE3, 1)
	end(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	if f.Fork {
		only(unix.SYS_CLONE, 0, newNamespaces|unix.CLONE_THREAD, unix.CLONE_THREAD)
		for _, call := range forks {
			refuse(call)
		}
	} else {
		only(unix.SYS_CLONE, 0, newNamespaces, 0)
	}
	if f.Net {
		// A datagram can be sent without a connection, a stream cannot.
		unless(unix.BPF_JEQ, unix.SYS_SOCKET, 7)
		load(dataArgs)
		unless(unix.BPF_JEQ, unix.AF_UNIX, 4)
		load(dataArgs + 8)
		p = append(p, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0xf})
		unless(unix.BPF_JEQ, unix.SOCK_STREAM, 1)
		end(allow)
		end(deny)
		only(unix.SYS_SOCKETPAIR, 1, 0xf, unix.SOCK_STREAM)
		refuse(unix.SYS_CONNECT)
	}
	if f.Modes {
		for _, call := range modes {
			refuse(call)
		}
	}
	if f.Signals {
		for _, call := range []uint32{unix.SYS_KILL, unix.SYS_TGKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO} {
			only(call, 0, 1<<32-1, pid)
		}
		for _, call := range []uint32{unix.SYS_TKILL, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_SETPRIORITY, unix.SYS_IOPRIO_SET} {
			refuse(call)
		}
		for _, call := range []uint32{unix.SYS_PRLIMIT64, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES} {
			only(call, 0, 1<<32-1, 0)
		}
	}
	end(allow)
	return p
}

// install holds the calling thread to the filter, and what it executes. New
// privileges are out of its reach already.
func (f filter) install(pid int) error {
	p := f.program(uint32(pid))
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// seccompWorks reports whether the kernel takes filters on this processor.
func seccompWorks() bool {
	// Without a filter the kernel says that the pointer is wrong, not the operation.
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0)
	return errno == unix.EFAULT
}
