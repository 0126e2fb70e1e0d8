package toolchain

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// waitDelay is how long a compiler that was interrupted may take to end.
const waitDelay = 2 * time.Second

// MissingError reports a program that is not on this machine.
type MissingError struct {
	Program string
	Msg     string
	Hint    string // how to get it
}

// Error says what is missing.
func (e *MissingError) Error() string { return e.Msg }

func missing(program string, l Language, hint string) error {
	return &MissingError{program, "building " + l.String() + " takes " + program + ", which is not installed or not in PATH", hint}
}

// program returns the path of a program that builds the sources.
func (s Source) program(ctx context.Context, name string) (string, error) {
	switch name {
	case "rustc":
		return rustc(ctx, s.Dir)
	case "asc":
		return asc(s.Dir)
	case "wasm-ld":
		return linker(ctx)
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	switch name {
	case "go":
		return "", missing(name, s.Language, "get Go from https://go.dev/dl")
	case "python3":
		return "", missing(name, s.Language, "get Python 3.9 or newer from your system, or from https://www.python.org")
	}
	return "", missing(name, s.Language, clangHint)
}

const clangHint = "install LLVM with its linker: apt install clang lld, brew install llvm lld, or https://releases.llvm.org"

// Missing returns the *MissingError of a language's first program that is not on
// this machine, nil where all are.
func Missing(ctx context.Context, l Language, dir string) error {
	s := Source{Dir: dir, Language: l, Files: []string{"."}}
	for _, c := range s.Commands("out.wasm") {
		if _, err := s.program(ctx, c.Args[0]); err != nil {
			return err
		}
	}
	return nil
}

// linker finds wasm-ld, which may lie beside a clang that is linked elsewhere.
func linker(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("wasm-ld"); err == nil {
		return filepath.Abs(path)
	}
	if clang, err := exec.LookPath("clang"); err == nil {
		text, err := run(ctx, "", clang, Command{nil, []string{"clang", "-print-prog-name=wasm-ld"}})
		if path := strings.TrimSpace(text); err == nil && filepath.IsAbs(path) {
			return path, nil
		}
	}
	return "", missing("wasm-ld", C, clangHint)
}

// rustc finds a compiler that has the target: a rustup toolchain without it may
// come first in PATH.
func rustc(ctx context.Context, dir string) (string, error) {
	candidates := []string{os.Getenv("RUSTC")}
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(folder) {
			candidates = append(candidates, filepath.Join(folder, "rustc"))
		}
	}
	without := ""
	for _, path := range candidates {
		if path == "" {
			continue
		}
		path, err := exec.LookPath(path)
		if err != nil {
			continue
		}
		text, err := run(ctx, dir, path, Command{nil, []string{"rustc", "--print", "target-libdir", "--target", rustTarget}})
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err == nil && isDir(strings.TrimSpace(text)) {
			return path, nil
		}
		without = path
	}
	if without != "" {
		return "", &MissingError{"rustc", without + " has no target " + rustTarget, "run rustup target add " + rustTarget + ", or on Debian apt install libstd-rust-dev-wasm32 lld"}
	}
	return "", missing("rustc", Rust, "get Rust from https://rustup.rs, then run rustup target add "+rustTarget)
}

// asc finds the compiler of AssemblyScript: that of the folder's node_modules,
// or of a folder around it, or the one in PATH.
func asc(dir string) (string, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at != filepath.Dir(at) {
		name := "asc"
		if runtime.GOOS == "windows" {
			name = "asc.cmd"
		}
		path := filepath.Join(at, "node_modules", ".bin", name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
		at = filepath.Dir(at)
	}
	if path, err := exec.LookPath("asc"); err == nil {
		return filepath.Abs(path)
	}
	install := "npm install"
	if dir != "." {
		install = "npm install --prefix " + quote(dir)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", missing("asc", AssemblyScript, "get Node.js from https://nodejs.org, then run "+install)
	}
	return "", missing("asc", AssemblyScript, "run "+install)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
