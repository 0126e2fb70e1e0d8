package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Target of Rust. Others would ask for a file system.
const rustTarget = "wasm32-unknown-unknown"

// Command is one command of a build.
type Command struct {
	Env  []string // beside what the environment has
	Args []string // the program first
}

// String returns the command as a line for a shell.
func (c Command) String() string {
	var words []string
	for _, w := range c.Env {
		words = append(words, quote(w))
	}
	for _, w := range c.Args {
		words = append(words, quote(w))
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./=:,@%+-]+$`)

func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	if key, value, ok := strings.Cut(word, "="); ok && plainWord.MatchString(key) {
		return key + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// Commands returns the commands that build the file out, to run in the folder of
// the sources.
func (s Source) Commands(out string) []Command {
	switch s.Language {
	case Go:
		args := []string{"go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out}
		if s.unsummed() {
			args = slices.Insert(args, 2, "-mod=mod")
		}
		return []Command{{[]string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, append(args, s.Files...)}}
	case ProcessGo:
		args := []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out}
		if s.unsummed() {
			args = slices.Insert(args, 2, "-mod=mod")
		}
		return []Command{{[]string{"CGO_ENABLED=0"}, append(args, s.Files...)}}
	case ProcessPython:
		return []Command{{nil, append([]string{"python3", FilePython, "pack", "-o", out}, s.Files...)}}
	case Rust:
		return []Command{{nil, append([]string{
			"rustc", "--edition", "2021", "--crate-type", "cdylib", "--target", rustTarget,
			"-C", "opt-level=s", "-C", "lto", "-C", "panic=abort", "-C", "strip=symbols", "-o", out,
		}, s.Files...)}}
	case C:
		var commands []Command
		link := []string{"wasm-ld", "--no-entry", "--strip-all", "-o", out}
		for _, file := range s.Files {
			object := out
			if len(s.Files) > 1 {
				object = filepath.Join(filepath.Dir(out), file)
			}
			object = strings.TrimSuffix(object, filepath.Ext(object)) + ".o"
			commands = append(commands, Command{nil, []string{"clang", "--target=wasm32", "-std=c11", "-O2", "-mbulk-memory", "-Wall", "-c", "-o", object, file}})
			link = append(link, object)
		}
		return append(commands, Command{nil, link})
	case AssemblyScript:
		return []Command{{nil, append([]string{"asc", "-O", "--runtime", "incremental", "--use", "abort=xai_abort", "-o", out}, s.Files...)}}
	}
	return nil
}

// unsummed reports whether the folder is a module of Go that has not yet
// fetched what it requires.
func (s Source) unsummed() bool {
	if s.Dir == "" {
		return false
	}
	_, mod := os.Stat(filepath.Join(s.Dir, "go.mod"))
	_, sum := os.Stat(filepath.Join(s.Dir, "go.sum"))
	return mod == nil && errors.Is(sum, os.ErrNotExist)
}

// FailedError reports a program that did not do its work.
type FailedError struct {
	Program string
	Output  string // what it printed
	Err     error
}

// Error names the program and quotes the first error that it printed.
func (e *FailedError) Error() string {
	first := ""
	for line := range strings.Lines(e.Output) {
		line = strings.TrimSpace(line)
		if first == "" && line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "go: downloading ") {
			first = line
		}
		if strings.Contains(strings.ToLower(line), "error") {
			first = line
			break
		}
	}
	if first == "" {
		return fmt.Sprintf("%s failed: %v", e.Program, e.Err)
	}
	return e.Program + " failed: " + first
}

// Unwrap returns the cause.
func (e *FailedError) Unwrap() error { return e.Err }

// Build builds the file out, and returns which version of which compiler did.
// It is a *MissingError where a program is missing, and a *FailedError where
// one fails.
func (s Source) Build(ctx context.Context, out string) (compiler string, err error) {
	out, err = filepath.Abs(out)
	if err != nil {
		return "", err
	}
	commands := s.Commands(out)
	programs := make([]string, len(commands))
	for i, c := range commands { // before any of them runs
		if programs[i], err = s.program(ctx, c.Args[0]); err != nil {
			return "", err
		}
	}
	for i, c := range commands {
		if _, err := run(ctx, s.Dir, programs[i], c); err != nil {
			return "", err
		}
	}
	version := Command{nil, []string{commands[0].Args[0], "--version"}}
	if s.Language == Go || s.Language == ProcessGo {
		version = Command{nil, []string{"go", "env", "GOVERSION"}}
	}
	text, err := run(ctx, s.Dir, programs[0], version)
	if err != nil {
		return "", err
	}
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if s.Language == AssemblyScript {
		text = "asc " + strings.ToLower(strings.TrimPrefix(text, "Version "))
	}
	return text, nil
}

// maxOutput is how much is kept of what a program prints.
const maxOutput = 1 << 20

// run runs a command in a folder and returns what it printed to standard output.
func run(ctx context.Context, dir, program string, c Command) (string, error) {
	var out, all capped
	cmd := exec.CommandContext(ctx, program, c.Args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), c.Env...)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &all), &all
	cmd.WaitDelay = waitDelay
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", &FailedError{c.Args[0], string(all.kept), err}
	}
	return string(out.kept), nil
}

// capped keeps the beginning of what is written to it. It is safe for concurrent
// use.
type capped struct {
	mu   sync.Mutex
	kept []byte
}

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = append(c.kept, p[:min(len(p), maxOutput-len(c.kept))]...)
	return len(p), nil
}
