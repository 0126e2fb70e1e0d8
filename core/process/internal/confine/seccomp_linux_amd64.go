package confine

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_X86_64
	otherCalls = 0x40000000 // x32
)

// forks are calls beside clone that make processes.
var forks = []uint32{unix.SYS_FORK, unix.SYS_VFORK}

// olderModes are calls that newer ones stand in for.
var olderModes = []uint32{unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT}
