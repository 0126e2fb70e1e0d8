package ort

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Process is a running ONNX Runtime. It is used by one goroutine at a time.
type Process struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	says    bytes.Buffer // what it writes to stderr
	scratch string       // folder for outputs
}

// Start starts a process. It ends with ctx, or when it is closed.
func (r *Runtime) Start(ctx context.Context) (*Process, error) {
	scratch, err := os.MkdirTemp("", "xai-bench-ort-*")
	if err != nil {
		return nil, err
	}
	p := &Process{scratch: scratch, command: exec.CommandContext(ctx, "node", "--input-type=commonjs", "--eval", string(program))}
	p.command.Dir = r.dir // where require finds the package
	p.command.Stderr = &p.says
	var out io.ReadCloser
	if p.in, err = p.command.StdinPipe(); err == nil {
		if out, err = p.command.StdoutPipe(); err == nil {
			err = p.command.Start()
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	p.out = bufio.NewReader(out)
	return p, nil
}

// Close ends the process. The error says what it wrote before it failed.
func (p *Process) Close() error {
	p.in.Close() // which fails if the process has ended; Wait says why it has
	err := p.command.Wait()
	if err != nil {
		err = fmt.Errorf("ONNX Runtime's process: %w\n%s", err, strings.TrimSpace(p.says.String()))
	}
	return errors.Join(err, os.RemoveAll(p.scratch))
}

// PID returns the number under which the system knows the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Load opens a model under a name, with all of its graph optimisations, for as
// many threads.
func (p *Process) Load(session, path string, threads int) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return p.do(map[string]any{"do": "load", "session": session, "path": path, "threads": threads}, nil)
}

// Unload closes a session and forgets its jobs.
func (p *Process) Unload(session string) error {
	return p.do(map[string]any{"do": "unload", "session": session}, nil)
}

// Array is an input of int32, row-major.
type Array struct {
	Dims []int   `json:"dims"`
	Data []int32 `json:"data"`
}

// Batch is what a session runs at a time: arrays by the names of its inputs.
type Batch map[string]Array

// Prepare makes a job: batches that a session will run one after another.
func (p *Process) Prepare(job, session string, batches []Batch) error {
	return p.do(map[string]any{"do": "prepare", "job": job, "session": session, "batches": batches}, nil)
}

// Run is how long a run of a job took: from the first call of its session to
// the end of the last, and in processor time of all threads.
type Run struct{ Wall, Processor time.Duration }

// Run runs a job as often as runs says.
func (p *Process) Run(job string, runs int) ([]Run, error) {
	var answer struct {
		Runs []struct {
			Milliseconds float64 `json:"ms"`
			Processor    float64 `json:"processor_us"`
		} `json:"runs"`
	}
	if err := p.do(map[string]any{"do": "run", "job": job, "runs": runs}, &answer); err != nil {
		return nil, err
	}
	var out []Run
	for _, r := range answer.Runs {
		out = append(out, Run{
			Wall:      time.Duration(r.Milliseconds * float64(time.Millisecond)),
			Processor: time.Duration(r.Processor * float64(time.Microsecond)),
		})
	}
	return out, nil
}

// Output runs a job once and returns an output of it, batch after batch.
func (p *Process) Output(job, output string) ([]float32, error) {
	path := filepath.Join(p.scratch, "output")
	if err := p.do(map[string]any{"do": "save", "job": job, "output": output, "path": path}, nil); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(data)/4)
	_, err = binary.Decode(data, binary.LittleEndian, values)
	return values, err
}

// do sends a command and waits for its answer.
func (p *Process) do(command map[string]any, answer any) error {
	line, err := json.Marshal(command)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(line, '\n'))
	if err == nil {
		line, err = p.out.ReadBytes('\n')
	}
	if err != nil {
		return fmt.Errorf("ONNX Runtime's process has ended: %w", err)
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &failed); err != nil {
		return fmt.Errorf("ONNX Runtime's process says %q: %w", line, err)
	}
	if failed.Error != "" {
		return fmt.Errorf("ONNX Runtime: %v %v: %s", command["do"], command["session"], failed.Error)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(line, answer)
}
