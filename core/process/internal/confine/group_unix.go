//go:build unix && !linux

package confine

import (
	"os"
	"os/exec"
	"syscall"
)

// separate has a process begin a session of its own, so that its group can be
// ended, and an interrupt from the terminal does not reach it.
func separate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// end ends a process and its group.
func end(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	_ = p.Kill()
}
