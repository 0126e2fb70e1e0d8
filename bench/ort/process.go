package ort

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/xai-go/xai/bench/lines"
)

// Process is a running ONNX Runtime. It is used by one goroutine at a time.
type Process struct {
	*lines.Process
	scratch string // folder for outputs
}

// Start starts a process. It ends with ctx, or when it is closed.
func (r *Runtime) Start(ctx context.Context) (*Process, error) {
	scratch, err := os.MkdirTemp("", "xai-bench-ort-*")
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, "node", "--input-type=commonjs", "--eval", string(program))
	command.Dir = r.dir // where require finds the package
	started, err := lines.Start("ONNX Runtime's process", command)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	return &Process{started, scratch}, nil
}

// Close ends the process. The error says what it wrote before it failed.
func (p *Process) Close() error { return errors.Join(p.Process.Close(), os.RemoveAll(p.scratch)) }

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
	return p.Do(command, answer, command["do"], command["session"])
}
