package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// What pip installs, and the program that serves the peers.
var (
	//go:embed requirements.txt
	requirements []byte
	//go:embed serve.py
	serve []byte
	//go:embed bert.py
	bert []byte
)

// pythons says where Python and its packages come from.
type pythons struct {
	program string // of the user, empty to look for one
	sources string // folder of checkouts, empty for none
	apt     bool   // may install Debian's packages
}

// python is a Python that has PyTorch.
type python struct {
	program []string // and its arguments
	path    []string // PYTHONPATH
	from    string   // for people
	notes   []string // what was tried and did not work
}

// debian are the packages of Debian that the peers import. Debian has none of
// the peers themselves.
var debian = strings.Fields("python3-torch python3-sklearn python3-scipy python3-numpy python3-pandas python3-numba python3-matplotlib python3-tqdm python3-cloudpickle python3-packaging")

// find looks for a Python with PyTorch, and installs one where it may: by pip
// into the user's cache folder, or with apt's packages, which the system's Python
// has. It never asks for rights that it has not.
func (p pythons) find(ctx context.Context, log io.Writer) (*python, error) {
	found := &python{}
	if p.sources != "" {
		path, err := checkouts(p.sources)
		if err != nil {
			return nil, err
		}
		found.path = path
	}
	if p.program != "" {
		found.program, found.from = []string{p.program}, p.program
		return found, has(ctx, p.program)
	}
	fmt.Fprintln(log, "looking for the peers: pip")
	program, err := venv(ctx)
	if err == nil {
		found.program, found.from = []string{program}, "pip"
		return found, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	found.notes = append(found.notes, err.Error())
	const system = "/usr/bin/python3"
	found.program, found.from = []string{system}, "the system's Python"
	missing := has(ctx, system)
	if missing == nil {
		return found, nil
	}
	install := append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, debian...)
	if !p.apt {
		return nil, fmt.Errorf("%w; %w: on Debian, give -apt as root, or run\n\tsudo %s", err, missing, strings.Join(install, " "))
	}
	fmt.Fprintln(log, strings.Join(install, " "))
	apt := exec.CommandContext(ctx, install[0], install[1:]...)
	apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := apt.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("apt-get install: %w: %s", err, lastLine(out))
	}
	return found, has(ctx, system)
}

// has returns an error where a Python does not have PyTorch.
func has(ctx context.Context, program string) error {
	out, err := exec.CommandContext(ctx, program, "-c", "import torch").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s has no PyTorch: %w: %s", program, err, lastLine(out))
	}
	return nil
}

// venv has pip install the peers into a folder of the user's cache, unless they
// are there, and returns the folder's Python.
func venv(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	inside := filepath.Join("bin", "python")
	system := "python3"
	if runtime.GOOS == "windows" {
		inside, system = filepath.Join("Scripts", "python.exe"), "python"
	}
	dir := filepath.Join(cache, "xai", "bench", fmt.Sprintf("peers-%.6x", sha256.Sum256(requirements)))
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, inside), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", err
	}
	// Installed beside and then renamed, so that dir is whole or absent.
	work, err := os.MkdirTemp(filepath.Dir(dir), "install-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	list := filepath.Join(work, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o666); err != nil {
		return "", err
	}
	for _, command := range [][]string{
		{system, "-m", "venv", work},
		{filepath.Join(work, inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "0", "-r", list},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w: %s", strings.Join(command[1:3], " "), err, lastLine(out))
		}
	}
	if err := os.Rename(work, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // and nobody else was faster
			return "", err
		}
	}
	return filepath.Join(dir, inside), nil
}

// checkouts returns the folders in a folder that have a Python package of their
// own name.
func checkouts(folder string) ([]string, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	found, err := filepath.Glob(filepath.Join(folder, "*", "*", "__init__.py"))
	if err != nil {
		return nil, err
	}
	sources, err := filepath.Glob(filepath.Join(folder, "*", "src", "*", "__init__.py"))
	if err != nil {
		return nil, err
	}
	var path []string
	for _, file := range append(found, sources...) {
		parent := filepath.Dir(filepath.Dir(file))
		checkout := strings.TrimSuffix(parent, string(filepath.Separator)+"src")
		if filepath.Base(filepath.Dir(file)) == filepath.Base(checkout) {
			path = append(path, parent)
		}
	}
	if path == nil {
		return nil, fmt.Errorf("%s has no checkout of a package, such as lime/lime/__init__.py", folder)
	}
	return path, nil
}

// lastLine returns the last line that a program wrote.
func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
