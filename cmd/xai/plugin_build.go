package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/author"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/internal/toolchain"
	"github.com/xai-go/xai/registry"
)

// registryName is the registry file of a folder.
const registryName = "methods.toml"

// sdkModule is the module of Go that the SDK is of.
const sdkModule = "github.com/xai-go/xai"

func (a *app) pluginBuild() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "build [FOLDER]",
		Short: "Compile a method, describe it and pin it in its methods.toml",
		Long: `Build compiles the sources of a folder with the compiler of their language: go, rustc,
clang, or asc of AssemblyScript. It seals the module (see xai plugin seal) and brings
the methods.toml of the folder up to date: the hash and what else the module says of
itself. Comments, order, limits and whatever else stands there are kept.

Where methods.toml declares a process, build makes its executable, with go or out of
Python, and starts it once, confined, to ask what it serves. Compilers, and the xai.py
of the folder, run as you: build what you would run.

Without FOLDER it builds the folder that it is run in.`,
		Example: examples(
			"xai plugin build", "the method in this folder",
			"xai plugin build my-method --format json", "another folder, for a program",
		),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return oneArg("a folder")(cmd, args)
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			s, err := a.build(cmd.Context(), dir, format == "json")
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, s)
				}
				fmt.Fprintf(w, "%s\n\n%s\n", s, s.Stanza)
				registry := report.Line(s.Registry)
				says := map[string]string{
					"":          "There is no " + registryName + " beside the sources: put this into one.",
					"added":     registry + " declares it now.",
					"pinned":    registry + " has its hash now.",
					"rewritten": registry + " said something else of it, and has this stanza now.",
					"unchanged": registry + " says so already.",
				}
				_, err := fmt.Fprintln(w, says[s.Change])
				return err
			})
		},
	}
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// build builds the method in a folder. What a compiler prints goes to standard
// error unless that is for a program to read.
func (a *app) build(ctx context.Context, dir string, quiet bool) (*sealed, error) {
	file, entries, err := folderRegistry(dir)
	if err != nil {
		return nil, err
	}
	var declared registry.Method // what is built
	for _, e := range entries {
		if isLocal(e.URL) {
			declared = e
			break
		}
	}
	source, err := toolchain.Find(dir, declared.Name, declared.Kind == registry.KindProcess)
	if err != nil {
		return nil, sourceError(dir, err)
	}
	target := source.Output()
	if declared.URL != "" {
		target = filepath.FromSlash(declared.URL)
	}
	target = filepath.Join(dir, target)
	out, err := a.openOutput(target)
	if err != nil {
		return nil, err
	}
	temporary, err := os.MkdirTemp("", "xai-build-")
	if err != nil {
		return nil, fileError(err, "cannot write", os.TempDir())
	}
	defer os.RemoveAll(temporary)
	built := filepath.Join(temporary, filepath.Base(target))
	compiler, err := source.Build(ctx, built)
	if err != nil {
		return nil, a.compilerError(err, quiet)
	}
	var s *sealed
	if source.Language.Process() {
		s, err = askProgram(ctx, target, built, declared)
	} else {
		s, err = sealBuilt(ctx, target, built, compiler)
	}
	if err != nil {
		return nil, err
	}
	s.Toolchain = compiler
	if source.Language.Process() && !out.exists {
		out.mode = 0o777
	}
	if err := out.write(ctx, a, func(w io.Writer) error { _, err := w.Write(s.content); return err }); err != nil {
		return nil, err
	}
	if entries == nil {
		return s, nil
	}
	return s, a.pin(ctx, file, s)
}

// sealBuilt seals the module that was built, which is going to be target.
func sealBuilt(ctx context.Context, target, built, compiler string) (*sealed, error) {
	module, err := readModule(built)
	if err != nil {
		return nil, err
	}
	s, err := sealModule(ctx, target, module, nil, &seal.Build{Toolchain: compiler})
	if err != nil {
		return nil, builtError(target, err)
	}
	return s, nil
}

// askProgram asks the executable that was built what it serves.
func askProgram(ctx context.Context, target, built string, declared registry.Method) (*sealed, error) {
	program, err := os.ReadFile(built)
	if err != nil {
		return nil, fileError(err, "cannot read", built)
	}
	methods, err := author.Programs(ctx, programOptions(built, hexSum(program), declared.Confine))
	if err != nil {
		err = builtError(target, err)
		if e, ok := errors.AsType[*core.Error](err); ok {
			e.Hint = "nothing was written; the executable may say why if you start it yourself"
		}
		return nil, err
	}
	s, err := newSealed(target, program, methods, func(m seal.Method, url, sum string) registry.Method {
		e := m.Entry(url, sum)
		e.Kind, e.Confine = registry.KindProcess, declared.Confine
		return e
	})
	if err != nil {
		return nil, builtError(target, err)
	}
	return s, nil
}

// programOptions are those of an executable whose author runs it: it is confined as far
// as this machine can.
func programOptions(path, sum string, c *registry.Confine) process.Options {
	return process.Options{Path: path, SHA256: sum, Confine: core.ConfineOf(c), Unconfined: true}
}

// builtError says that what was built was refused.
func builtError(target string, err error) error {
	err = moduleError(target, err)
	if e, ok := errors.AsType[*core.Error](err); ok {
		e.Hint = "nothing was written; mend the sources, and build again"
		if errors.Is(err, author.ErrUndescribed) {
			e.Hint = "the SDKs say how a method is described; docs/ABI.md has the form of it"
		}
	}
	return err
}

// pin brings a registry file up to date with a module that lies beside it.
func (a *app) pin(ctx context.Context, file string, s *sealed) error {
	url, err := filepath.Rel(filepath.Dir(file), s.File)
	if err != nil {
		return fileError(err, "cannot write", file)
	}
	change := seal.Unchanged
	err = registry.Edit(ctx, "", file, func(text []byte) ([]byte, error) {
		change = seal.Unchanged
		for _, m := range s.methods {
			changed, c, err := seal.Update(text, file, s.entry(m, filepath.ToSlash(url), s.SHA256))
			if err != nil {
				return nil, err
			}
			text, change = changed, max(change, c)
		}
		return text, nil
	})
	if err != nil {
		return registryError(file, err)
	}
	s.Registry, s.Change = file, change.String()
	return nil
}

// folderRegistry returns the methods that the registry file of a folder declares,
// nil where there is no such file.
func folderRegistry(dir string) (file string, entries []registry.Method, err error) {
	file = filepath.Join(dir, registryName)
	text, err := readAtMost(file, 2<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil, nil
	} else if err != nil {
		return file, nil, fileError(err, "cannot read", file)
	}
	f, err := registry.Parse(text, file)
	if err != nil {
		return file, nil, registryError(file, err)
	}
	return file, append([]registry.Method{}, f.Methods...), nil
}

// registryError words what is wrong with a registry file.
func registryError(file string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &core.Error{Kind: core.KindMethod, Msg: err.Error(), Hint: "mend " + file, Err: err}
}

// isLocal reports whether an address of a registry file is a path below its
// folder.
func isLocal(url string) bool {
	return !strings.Contains(url, ":") && filepath.IsLocal(filepath.FromSlash(url))
}

func sourceError(dir string, err error) error {
	if e, ok := errors.AsType[*toolchain.SourceError](err); ok {
		return &core.Error{Kind: core.KindInput, Msg: e.Error(), Hint: e.Hint, Err: err}
	}
	return fileError(err, "cannot read", dir)
}

// compilerError words why nothing was built.
func (a *app) compilerError(err error, quiet bool) error {
	if e, ok := errors.AsType[*toolchain.MissingError](err); ok {
		return &core.Error{Kind: core.KindInput, Msg: e.Error(), Hint: e.Hint, Err: err}
	}
	e, ok := errors.AsType[*toolchain.FailedError](err)
	if !ok {
		return err
	}
	if output := strings.TrimSpace(e.Output); output != "" && !quiet {
		fmt.Fprintln(a.stderr, report.Lines(output))
	}
	hint := "mend the sources, and build again"
	if strings.Contains(e.Output, sdkModule+"@") || strings.Contains(e.Output, "module lookup disabled") { // it is not to be had
		hint = "if that version of the SDK is not published, take it from a checkout of xai: xai plugin new --replace CHECKOUT, or in a folder that is there: go mod edit -replace=" + sdkModule + "=CHECKOUT"
	}
	return &core.Error{Kind: core.KindInput, Msg: e.Error(), Hint: hint, Err: err}
}
