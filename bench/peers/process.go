package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// setting is what decides how fast PyTorch's products of matrices are.
type setting struct {
	Core     string `json:"openblas_coretype,omitempty"` // empty: what OpenBLAS takes the processor for
	OpenBLAS int    `json:"openblas_num_threads"`
	OMP      int    `json:"omp_num_threads"`
}

// environment returns the environment with the setting, whatever it was set to
// before.
func (s setting) environment() []string {
	var all []string
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); {
		case strings.HasPrefix(name, "OPENBLAS_"), strings.HasPrefix(name, "OMP_"), strings.HasPrefix(name, "MKL_"), name == "PYTHONPATH":
		default:
			all = append(all, v)
		}
	}
	if s.Core != "" {
		all = append(all, "OPENBLAS_CORETYPE="+s.Core)
	}
	return append(all, fmt.Sprint("OPENBLAS_NUM_THREADS=", s.OpenBLAS), fmt.Sprint("OMP_NUM_THREADS=", s.OMP))
}

func (s setting) String() string {
	text := fmt.Sprintf("OPENBLAS_NUM_THREADS=%d OMP_NUM_THREADS=%d", s.OpenBLAS, s.OMP)
	if s.Core != "" {
		text = "OPENBLAS_CORETYPE=" + s.Core + " " + text
	}
	return text
}

// process is a running Python with the peers. It is used by one goroutine at a
// time.
type process struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	says    tail // what it writes to stderr
	scratch string
}

// start starts a process. It ends with ctx, or when it is closed.
func (p *python) start(ctx context.Context, s setting) (*process, error) {
	scratch, err := os.MkdirTemp("", "xai-bench-peers-*")
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{"serve.py": serve, "bert.py": bert} {
		err = errors.Join(err, os.WriteFile(filepath.Join(scratch, name), data, 0o666))
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	started := &process{scratch: scratch, command: exec.CommandContext(ctx, p.program[0], slices.Concat(p.program[1:], []string{filepath.Join(scratch, "serve.py")})...)}
	started.command.Stderr = &started.says
	started.command.Env = s.environment()
	if p.path != nil {
		started.command.Env = append(started.command.Env, "PYTHONPATH="+strings.Join(p.path, string(os.PathListSeparator)))
	}
	if cache, err := os.UserCacheDir(); err == nil { // nothing is written into checkouts
		started.command.Env = append(started.command.Env, "PYTHONPYCACHEPREFIX="+filepath.Join(cache, "xai", "bench", "pycache"))
	}
	var out io.ReadCloser
	if started.in, err = started.command.StdinPipe(); err == nil {
		if out, err = started.command.StdoutPipe(); err == nil {
			err = started.command.Start()
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	started.out = bufio.NewReader(out)
	return started, nil
}

// close ends the process. The error says what it wrote before it failed.
func (p *process) close() error {
	p.in.Close() // which fails if the process has ended; Wait says why it has
	err := p.command.Wait()
	if err != nil {
		err = fmt.Errorf("the peers' process: %w\n%s", err, p.says.text())
	}
	return errors.Join(err, os.RemoveAll(p.scratch))
}

// pid returns the number under which the system knows the process.
func (p *process) pid() int { return p.command.Process.Pid }

// command is a line that the process is told.
type command map[string]any

// with returns the command with more arguments.
func (c command) with(key string, value any) command {
	all := command{key: value}
	for k, v := range c {
		if k != key {
			all[k] = v
		}
	}
	return all
}

// Package is a package of Python's.
type Package struct {
	Version string  `json:"version,omitempty"`
	Folder  string  `json:"-"`
	Import  float64 `json:"import_ms,omitempty"`
	Error   string  `json:"error,omitempty"` // why it is not there
}

// explained is what the process answers to explain and, but for the values of
// several rows, to predict.
type explained struct {
	Values      []float64 `json:"values"`
	Wall        float64   `json:"ms"`
	Processor   float64   `json:"processor_ms"`
	Evaluations int       `json:"evaluations"`
}

// do sends a command and waits for its answer.
func (p *process) do(c command, answer any) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = p.in.Write(append(line, '\n'))
	if err == nil {
		line, err = p.out.ReadBytes('\n')
	}
	if err != nil {
		return fmt.Errorf("the peers' process has ended: %w\n%s", err, p.says.text())
	}
	var failed struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(line, &failed); err != nil {
		return fmt.Errorf("the peers' process says %q: %w", line, err)
	}
	if failed.Error != "" {
		return fmt.Errorf("the peers' process: %v %v: %s", c["do"], c["method"], failed.Error)
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
