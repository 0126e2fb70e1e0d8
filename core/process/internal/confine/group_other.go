//go:build !unix && !windows

package confine

import (
	"os"
	"os/exec"
)

// separate does nothing: there are no groups of processes here.
func separate(*exec.Cmd) {}

// end kills a process.
func end(p *os.Process) { _ = p.Kill() }
