//go:build !linux

package confine

import (
	"context"
	"io"
	"os"
	"os/exec"
)

// Probe finds nothing to confine with.
func Probe(string) Machine { return Machine{} }

func plan(_ Machine, r Rights) Confinement { return Confinement{rights: r} }

func newUser(Machine) (user, error) { return user{}, nil }

// shimMain ends a program that was taken for a shim.
func shimMain() { os.Exit(1) }

func self() (string, error) { return os.Executable() }

// seal returns the hash alone: there is no memory that nobody can change.
func seal(f *os.File) (*os.File, string, error) {
	sum, err := hashOf(f, io.Discard)
	return nil, sum, err
}

// verified returns the path to start, after a look at what lies there.
func (e *Executable) verified() (string, error) {
	if e.sha256 == "" {
		return e.path, nil
	}
	f, err := os.Open(e.path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	got, err := hashOf(f, io.Discard)
	if err == nil && got != e.sha256 {
		err = &HashError{e.path, e.sha256, got}
	}
	return e.path, err
}

func openSelf(string) (*os.File, error) { return nil, nil }

// start starts the command as it is.
func (b *Box) start(_ context.Context, c Command) (*Child, error) {
	path, err := c.Exe.verified()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, b.Dir
	separate(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	child := &Child{lifeline: stdin, done: make(chan struct{})}
	var theirs [2]*os.File
	if child.Stdout, theirs[0], err = os.Pipe(); err != nil {
		stdin.Close()
		return nil, err
	}
	if child.Stderr, theirs[1], err = os.Pipe(); err != nil {
		stdin.Close()
		child.Stdout.Close()
		theirs[0].Close()
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = theirs[0], theirs[1]
	err = cmd.Start()
	theirs[0].Close()
	theirs[1].Close()
	if err != nil {
		child.Close()
		return nil, err
	}
	child.Pid = cmd.Process.Pid
	child.kill = func() { end(cmd.Process) }
	go func() {
		_ = cmd.Wait() // what it says is in the state
		child.state = cmd.ProcessState
		close(child.done)
	}()
	return child, nil
}

// Limit does nothing.
func (b *Box) Limit(*Child, int64) error { return nil }
