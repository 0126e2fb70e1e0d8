// Package lines talks to a program that reads a command and answers it, each a line
// of JSON: what a harness measures in another language.
package lines

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
)

// Process is such a program as it runs. It is used by one goroutine at a time.
type Process struct {
	name    string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	says    tail // what it writes to stderr
}

// Start starts a command, whose output and error output are the process' own. The
// name is what errors call it.
func Start(name string, command *exec.Cmd) (*Process, error) {
	p := &Process{name: name, command: command}
	command.Stderr = &p.says
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	return p, nil
}

// Close ends the process. The error says what it wrote before it failed.
func (p *Process) Close() error {
	p.in.Close() // which fails if the process has ended; Wait says why it has
	if err := p.command.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, err, p.says.text())
	}
	return nil
}

// PID returns the number under which the system knows the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Do sends a command and waits for its answer, which it decodes unless answer is
// nil. An answer with an error is an error, of which about says what was done.
func (p *Process) Do(command, answer any, about ...any) error {
	line, err := json.Marshal(command)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(line, '\n'))
	if err == nil {
		line, err = p.out.ReadBytes('\n')
	}
	if err != nil {
		return fmt.Errorf("%s has ended: %w\n%s", p.name, err, p.says.text())
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &failed); err != nil {
		return fmt.Errorf("%s says %q: %w", p.name, line, err)
	}
	if failed.Error != "" {
		return fmt.Errorf("%s: %s: %s", p.name, strings.TrimSpace(fmt.Sprintln(about...)), failed.Error)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(line, answer)
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mutex sync.Mutex
	end   bytes.Buffer
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.end.Write(p)
	if more := t.end.Len() - tailBytes; more > 0 {
		t.end.Next(more)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return strings.TrimSpace(t.end.String())
}
