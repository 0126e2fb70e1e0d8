package confine

import (
	"os"
	"os/exec"
	"syscall"
)

// separate has an interrupt from the console not reach a process.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// end ends a process.
func end(p *os.Process) { _ = p.Kill() }
