package confine

import "golang.org/x/sys/unix"

const (
	auditArch  = unix.AUDIT_ARCH_AARCH64
	otherCalls = 0
)

// forks are calls beside clone that make processes.
var forks []uint32

// olderModes are calls that newer ones stand in for.
var olderModes []uint32
