package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/author"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk/sdktest"
)

func (a *app) pluginTest() *cobra.Command {
	t := &kitRun{app: a}
	cmd := &cobra.Command{
		Use:   "test [FILE|FOLDER|NAME]",
		Short: "Run the conformance kit on a method, in its sandbox",
		Long: `Test runs a method on small exact models and holds it to what the host, its users and
their readers rely on: that it is what it declares, that the same request gives the
same bits, that it lets itself be cancelled, that words which do not matter get no
value, and more; docs/conformance-kit.md lists the checks.

It tests a module (FILE.wasm), the method that the methods.toml of a FOLDER declares,
or one that xai methods list knows by NAME; of these it tests processes too, confined
as they are declared. One by NAME has to be granted what it needs, as if it were to
explain; that of a FOLDER may neither reach the network nor see all files, unless --dev
says that it is yours. Without any it is the folder that it is run in. --exact and
--additive hold a method to more, where its author claims that. A module is compiled in
a confined process. --timeout bounds each run of the method, not the whole test.

It exits with 4 where a check failed, or where the module was refused.`,
		Example: examples(
			"xai plugin test my-method", "the method in a folder",
			"xai plugin test lime.wasm --format tap", "a module, for a program that reads TAP",
			"xai plugin test --format junit -o report.xml", "a report for a build server",
			"xai plugin test slow --timeout 2m --skip inputs/long", "a method that takes its time",
			"xai plugin test my-shap --additive -p num_samples=2000", "values that sum to what they explain",
		),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return oneArg("a module, a folder or a method")(cmd, args)
			}
			return nil
		},
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			what := "."
			if len(args) > 0 {
				what = args[0]
			}
			return t.run(cmd.Context(), what)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&t.method, "method", "M", "", "the `METHOD` of a module that has several")
	f.StringArrayVarP(&t.params, "param", "p", nil, "parameter of the method in all runs, as `KEY=VALUE`; may be repeated")
	f.StringSliceVar(&t.only, "only", nil, "run these `CHECKS` alone, such as axioms or inputs/long; with commas")
	f.StringSliceVar(&t.skip, "skip", nil, "leave these `CHECKS` out, such as inputs/long; with commas")
	f.BoolVar(&t.exact, "exact", false, "the method claims that the values of a linear model are its weights")
	f.BoolVar(&t.additive, "additive", false, "the method claims that its values sum to the target's value minus its baseline")
	f.Var(choice{&t.format, []string{"term", "tap", "junit", "json"}}, "format", "how to write the report (default: term)")
	f.Var(duration{&t.each}, "timeout", "how long each run of the method may take (default: 10s)")
	f.VarP(filename{&t.file}, "out-file", "o", "write the report to this `FILE`, whole or not at all")
	a.complete(cmd)
	return cmd
}

// kitRun is the command test with its flags.
type kitRun struct {
	*app
	method   string
	params   []string
	only     []string
	skip     []string
	each     time.Duration // of a run; 0 for the kit's own
	exact    bool
	additive bool
	format   string
	file     string

	close func() error // what the subject took; nil where that is nothing
}

// run runs the command.
func (t *kitRun) run(ctx context.Context, what string) error {
	o := sdktest.Options{Exact: t.exact, Additive: t.additive, Timeout: t.each}
	var err error
	if o.Params, err = pairs(t.params); err != nil {
		return err
	}
	if o.Only, err = t.chosen(); err != nil {
		return err
	}
	var out *output
	if t.file == "-" {
		t.file = ""
	}
	if t.file != "" {
		if out, err = t.openOutput(t.file); err != nil {
			return err
		}
	}
	host, err := t.host()
	if err != nil {
		return err
	}
	defer host.Close()
	subject, err := t.subject(ctx, host, what)
	if t.close != nil {
		defer t.close()
	}
	if err != nil {
		return err
	}
	if _, err := core.ParseParams(subject.Info(), o.Params); err != nil {
		return err
	}
	if progress := t.showProgress(); progress != nil {
		done := 0
		o.Done = func(sdktest.Result) {
			done++
			progress(done, max(done, len(o.Only)))
		}
	}
	r := sdktest.Check(ctx, subject, o)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	write := func(w io.Writer) error {
		switch t.format {
		case "tap":
			return r.WriteTAP(w)
		case "junit":
			return r.WriteJUnit(w)
		case "json":
			return r.WriteJSON(w)
		}
		return r.WriteText(w)
	}
	if out != nil {
		t.clearProgress()
		err = out.write(ctx, t.app, write)
	} else {
		err = t.write(write)
	}
	if err != nil || r.OK() {
		return err
	}
	if r.Count(sdktest.Fail) == 0 {
		return &core.Error{Kind: core.KindMethod, Msg: "no check of " + r.Method + " passed: all were skipped", Hint: "the report says why"}
	}
	failed := slices.DeleteFunc(slices.Clone(r.Results), func(c sdktest.Result) bool { return c.Status != sdktest.Fail })
	return &core.Error{
		Kind: core.KindMethod, Msg: fmt.Sprintf("%s failed %d of %s, %s first", r.Method, len(failed), plural(len(r.Results), "check"), failed[0].ID),
		Hint: "the report says what was expected and what came; docs/conformance-kit.md explains each check",
	}
}

// chosen returns the names of the checks that run: those of --only, or all, without
// those of --skip.
func (t *kitRun) chosen() ([]string, error) {
	var all, out []string
	for _, c := range sdktest.Checks() {
		group, _, _ := strings.Cut(c.ID, "/")
		if !slices.Contains(all, group) {
			all = append(all, group)
		}
		all = append(all, c.ID)
		among := func(names []string) bool { return slices.Contains(names, c.ID) || slices.Contains(names, group) }
		if (len(t.only) == 0 || among(t.only)) && !among(t.skip) {
			out = append(out, c.ID)
		}
	}
	for _, name := range slices.Concat(t.only, t.skip) {
		if slices.Contains(all, name) {
			continue
		}
		hint := "docs/conformance-kit.md lists them"
		if near, ok := nearest.Of(name, all); ok {
			hint = "did you mean " + near + "? " + hint
		}
		return nil, usage(hint, "no check is named %s", name)
	}
	if len(out) == 0 {
		return nil, usage("leave one of them in", "--skip leaves out all checks that would run")
	}
	return out, nil
}

// subject finds what is tested and makes it ready.
func (t *kitRun) subject(ctx context.Context, host *core.Host, what string) (sdktest.Subject, error) {
	info, err := os.Stat(what)
	switch {
	case err == nil && info.IsDir():
		return t.inFolder(ctx, what)
	case err == nil:
		module, err := readModule(what)
		if err != nil {
			return nil, err
		}
		return t.module(ctx, what, module, registry.Method{})
	case strings.ContainsAny(what, `/\.`):
		return nil, fileError(err, "cannot read", what)
	}
	e, _, err := host.Method(what)
	if err != nil {
		return nil, err
	}
	t.method = e.Name
	if e.Kind == registry.KindProcess {
		e, path, err := host.Executable(ctx, what)
		if err != nil {
			return nil, err
		}
		if err := t.granted(ctx, host, e); err != nil {
			return nil, err
		}
		return t.program(ctx, e.Name, path, e.Method)
	}
	e, module, err := host.Module(ctx, what)
	if err != nil {
		return nil, err
	}
	return t.module(ctx, e.Name, module, e.Method)
}

// granted holds a program that is none of the author's own to what the user has
// granted it, as an explanation does: it is about to run. A module needs no grant,
// since the kit's models hold nothing.
func (t *kitRun) granted(ctx context.Context, host *core.Host, e registry.Entry) error {
	if t.dev {
		return nil
	}
	ask, err := host.Asks(e)
	if ask == nil || err != nil {
		return err
	}
	if confirm := t.ask(); confirm != nil {
		yes, err := confirm(ctx, ask)
		if err != nil {
			return err
		}
		if yes {
			return host.Grant(ctx, ask)
		}
	}
	hint := "if you trust it: xai plugin grant " + e.Name
	if e.Origin == registry.OriginFlag {
		hint += ", with the same --registry"
	}
	return &core.Error{Kind: core.KindMethod, Msg: ask.String(), Hint: hint}
}

// inFolder makes the method ready that the registry file of a folder declares.
func (t *kitRun) inFolder(ctx context.Context, dir string) (sdktest.Subject, error) {
	file, entries, err := folderRegistry(dir)
	if err != nil {
		return nil, err
	}
	if entries == nil {
		return nil, &core.Error{Kind: core.KindInput, Msg: dir + " has no " + registryName, Hint: "name a module, or the folder of a method; xai plugin new begins one"}
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	at := slices.Index(names, t.method)
	switch {
	case t.method == "" && len(entries) == 1:
		at = 0
	case t.method == "":
		return nil, usage("name one with -M: "+strings.Join(names, ", "), "%s declares %s", file, plural(len(entries), "method"))
	case at < 0:
		return nil, usage("it declares "+strings.Join(names, ", "), "%s declares no method %s", file, t.method)
	}
	e := entries[at]
	if !isLocal(e.URL) {
		return nil, usage("name the method alone: xai plugin test "+e.Name, "the method %s of %s does not lie in that folder", e.Name, file)
	}
	path := filepath.Join(dir, filepath.FromSlash(e.URL))
	content, err := readAtMost(path, maxExecutable)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &core.Error{Kind: core.KindInput, Msg: path + " does not exist", Hint: "build it: xai plugin build " + shellWord(dir), Err: err}
	} else if err != nil {
		return nil, fileError(err, "cannot read", path)
	}
	t.method = e.Name
	if e.Kind == registry.KindProcess {
		e.SHA256 = hexSum(content)
		if c := e.Confine; c != nil && (c.Net || !c.Landlock) && !t.dev {
			return nil, &core.Error{Kind: core.KindMethod, Msg: fmt.Sprintf("%s would have %s run without its confinement", file, path), Hint: "if it is yours: xai plugin test " + shellWord(dir) + " --dev"}
		}
		return t.program(ctx, path, path, e)
	}
	return t.module(ctx, path, content, e)
}

// maxExecutable bounds what is read of a file that may be an executable.
const maxExecutable = 1 << 30

// program makes the method of an executable ready.
func (t *kitRun) program(ctx context.Context, file, path string, e registry.Method) (sdktest.Subject, error) {
	o := programOptions(path, e.SHA256, e.Confine)
	methods, err := author.Programs(ctx, o)
	if err != nil {
		return nil, programError(file, err)
	}
	method, err := t.choose(file, methods)
	if err != nil {
		return nil, err
	}
	s, err := author.NewProgram(o, method, t.limits(e))
	if err != nil {
		return nil, programError(file, err)
	}
	t.close = s.Close
	return s, nil
}

// programError says that an executable cannot be run.
func programError(file string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &core.Error{Kind: core.KindMethod, Msg: file + ": " + err.Error(), Hint: "[method.confine] of its declaration says what it may read; an interpreter has to be there", Err: err}
}

// limits are those of a declaration, zeros where there is none.
func (t *kitRun) limits(e registry.Method) wasm.Limits {
	l := wasm.Limits{MemoryBytes: e.Limits.Memory, Timeout: e.Limits.Timeout, Forwards: e.Limits.Forwards, OutputBytes: e.Limits.Output, LogBytes: e.Limits.Log, Fuel: e.Limits.Fuel}
	if t.fuel > 0 {
		l.Fuel = int64(t.fuel)
	}
	if t.each > 0 { // as --timeout of explain, and not less than the kit waits
		l.Timeout = t.each
	}
	return l
}

// choose returns the method that is tested of those that a file has.
func (t *kitRun) choose(file string, methods []seal.Method) (seal.Method, error) {
	names := namesOf(methods)
	if t.method == "" && len(methods) == 1 {
		return methods[0], nil
	}
	if t.method == "" {
		return seal.Method{}, usage("name one with -M: "+strings.Join(names, ", "), "%s has %s", file, plural(len(methods), "method"))
	}
	if at := slices.Index(names, t.method); at >= 0 {
		return methods[at], nil
	}
	return seal.Method{}, usage("it has "+strings.Join(names, ", "), "%s has no method %s", file, t.method)
}

// module makes a module ready. Where it comes with a declaration, that has the
// limits; what the module itself says of the method is what is tested.
func (t *kitRun) module(ctx context.Context, file string, module []byte, e registry.Method) (sdktest.Subject, error) {
	methods, err := author.Methods(ctx, module)
	if err != nil {
		return nil, moduleError(file, err)
	}
	method, err := t.choose(file, methods)
	if err != nil {
		return nil, err
	}
	runtime, closeRuntime, err := author.Compile(ctx, module, "")
	if err != nil {
		return nil, moduleError(file, err)
	}
	t.close = closeRuntime
	s, err := author.NewModule(ctx, runtime, module, method, t.limits(e))
	if err != nil {
		return nil, moduleError(file, err)
	}
	return s, nil
}

func namesOf(methods []seal.Method) []string {
	names := make([]string, len(methods))
	for i, m := range methods {
		names[i] = m.Name
	}
	return names
}
