package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xai-go/xai/bench/lines"
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
	*lines.Process
	scratch string // folder of its programs
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
	command := exec.CommandContext(ctx, p.program[0], slices.Concat(p.program[1:], []string{filepath.Join(scratch, "serve.py")})...)
	command.Env = s.environment()
	if p.path != nil {
		command.Env = append(command.Env, "PYTHONPATH="+strings.Join(p.path, string(os.PathListSeparator)))
	}
	if cache, err := os.UserCacheDir(); err == nil { // nothing is written into checkouts
		command.Env = append(command.Env, "PYTHONPYCACHEPREFIX="+filepath.Join(cache, "xai", "bench", "pycache"))
	}
	started, err := lines.Start("the peers' process", command)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(scratch))
	}
	return &process{started, scratch}, nil
}

// close ends the process.
func (p *process) close() error { return errors.Join(p.Close(), os.RemoveAll(p.scratch)) }

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
func (p *process) do(c command, answer any) error { return p.Do(c, answer, c["do"], c["method"]) }
