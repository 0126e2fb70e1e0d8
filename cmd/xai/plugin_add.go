package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/install"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/registry"
)

func (a *app) pluginAdd() *cobra.Command {
	var r install.Request
	var user bool
	var format string
	cmd := &cobra.Command{
		Use:   "add SOURCE",
		Short: "Add a method: fetch it, verify it, grant what it needs, declare it",
		Long: `Add takes a method from SOURCE:

  a path       a module that was sealed, a methods.toml, or the folder of one
  https://…    a module, with its signature beside it where there is a signer
  oci://…      an artefact of an OCI registry, as xai plugin push publishes it
  NAME         a method that a methods.toml declares already: it is fetched alone

It says which hosts it contacts. Bytes from another machine must have the hash that
--sha256 or the address gives, or the signature of --signer; where there is neither
it asks whether they are the right ones. It shows what the method needs, asks, and
then declares it in the project's methods.toml, the nearest one or a new one here, in
the user's with --user, or in that of --registry. What the policy of the machine
forbids is not fetched. Nothing of a method is run.`,
		Example: examples(
			"xai plugin add ./shapely-ish.wasm", "a module on this machine",
			"xai plugin add oci://ghcr.io/owner/shapely-ish:1.2.0 --signer ed25519:RWQ…", "whatever that publisher has signed",
			"xai plugin add https://example.org/m.wasm --sha256 3f2a… --yes", "in a script: the hash is known, and all it needs is granted",
			"xai plugin add shapely-ish", "fetch what the project declares",
		),
		Args: oneArg("a path, an address or the name of a method"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.Source, r.Absolute = args[0], user
			if r.File, err = a.registryFile(user); err != nil {
				return err
			}
			return a.installing(format, func(i *install.Installer) ([]install.Method, error) {
				return i.Add(cmd.Context(), r)
			}, maybeNew)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&r.Names, "name", nil, "of a source with several methods, the one of this `NAME`; may be repeated")
	f.StringVar(&r.SHA256, "sha256", "", "the module must have this `HASH`")
	f.StringVar(&r.Signer, "signer", "", "the module must be signed by this `KEY`, such as ed25519:RWQ…")
	f.BoolVar(&user, "user", false, "declare it in your own methods.toml, for all projects")
	f.BoolVar(&r.Granted, "yes", false, "grant what it needs without a question, and say what that was")
	f.Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.methodNames(), cobra.ShellCompDirectiveDefault
	}
	return cmd
}

func (a *app) pluginFetch() *cobra.Command {
	var granted bool
	var format string
	cmd := &cobra.Command{
		Use:   "fetch [NAME]…",
		Short: "Fetch the methods that are declared",
		Long: `Fetch fetches methods that a methods.toml declares and that are on another machine,
all of them where none is named, verifies every one, and asks for what they need. Where
one fails it goes on with the others, says what it has, and fails with all that it has
not. It says which hosts it contacts.`,
		Example: examples(
			"xai plugin fetch", "after a checkout of a project",
			"xai plugin fetch --yes", "in a script: what the methods need is granted",
		),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.installing(format, func(i *install.Installer) ([]install.Method, error) {
				if len(names) == 0 {
					list, err := i.Host.Methods()
					if err != nil {
						return nil, err
					}
					for _, e := range list.Entries {
						if e.Origin != registry.OriginBuiltin {
							names = append(names, e.Name)
						}
					}
				}
				return i.Fetch(cmd.Context(), granted, names...)
			})
		},
	}
	cmd.Flags().BoolVar(&granted, "yes", false, "grant what they need without a question, and say what that was")
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	cmd.ValidArgsFunction = a.completeMethods
	return cmd
}

// completeMethods completes arguments that are methods.
func (a *app) completeMethods(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return slices.DeleteFunc(a.methodNames(), func(name string) bool { return slices.Contains(args, name) }), cobra.ShellCompDirectiveNoFileComp
}

// completeMethod completes a first argument that is a method.
func (a *app) completeMethod(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeMethods(cmd, args, typed)
}

// registryFile returns the methods.toml that a command changes: that of --registry,
// the user's, or the project's, which need not be there yet.
func (a *app) registryFile(user bool) (string, error) {
	switch {
	case user && a.registry != "":
		return "", usage("leave one of them out", "--user and --registry name two files")
	case a.registry != "":
		return a.registry, nil
	case user:
		if path := registry.UserPath(a.getenv); path != "" {
			return path, nil
		}
		return "", &core.Error{Kind: core.KindInput, Msg: "this system names no folder for configuration", Hint: "set XDG_CONFIG_HOME to a folder of yours, or name a file with --registry"}
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", fileError(err, "cannot find", "the working directory")
	}
	return registry.ProjectPath(cwd), nil
}

// contacts are the hosts that a command has contacted.
type contacts struct {
	mu    sync.Mutex
	hosts []string
}

// installer returns what fetches and publishes. Every host is noted on standard
// error, unless the result is JSON, which has them.
func (a *app) installer(format string, set ...func(*core.Options)) (*install.Installer, *contacts, error) {
	host, err := a.host(set...)
	if err != nil {
		return nil, nil, err
	}
	c := &contacts{hosts: []string{}}
	i := &install.Installer{Host: host, Confirm: a.confirm(), Contact: func(host string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if slices.Contains(c.hosts, host) {
			return
		}
		c.hosts = append(c.hosts, host)
		if format != "json" {
			a.note("contacting " + host)
		}
	}}
	if show := a.showProgress(); show != nil {
		i.Progress = func(done, total int64) { show(int(done), int(total)) }
	}
	return i, c, nil
}

// maybeNew has the host go on where the file of --registry is not there yet.
func maybeNew(o *core.Options) {
	if _, err := os.Stat(o.Registry); errors.Is(err, os.ErrNotExist) {
		o.Registry = ""
	}
}

// note writes a note to standard error.
func (a *app) note(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.progress != nil && !a.progress.drawn.IsZero() {
		fmt.Fprint(a.progress.w, "\r\x1b[K")
	}
	fmt.Fprintf(a.stderr, "note: %s\n", report.Line(s))
}

// installing adds or fetches methods and says what was done.
func (a *app) installing(format string, do func(*install.Installer) ([]install.Method, error), set ...func(*core.Options)) error {
	i, c, err := a.installer(format, set...)
	if err != nil {
		return err
	}
	defer i.Host.Close()
	methods, failed := do(i)
	several, _ := errors.AsType[*install.FetchError](failed)
	if failed != nil && several == nil && len(methods) == 0 {
		return a.advise(failed)
	}
	list, err := i.Host.Methods()
	if err != nil {
		return err
	}
	err = a.write(func(w io.Writer) error { // what is here is told, whatever is not
		if format == "json" {
			return report.JSON(w, added(methods, several, c.hosts))
		}
		return addedTerm(w, list, methods, several)
	})
	if err == nil && failed != nil {
		err = a.advise(failed)
	}
	return err
}

// advise completes the hint of a refusal with the command line that goes on.
func (a *app) advise(err error) error {
	e, ok := errors.AsType[*core.Error](err)
	if !ok {
		return err
	}
	again := func(flags ...string) string {
		args := slices.Clone(a.args)
		at := len(args)
		if i := slices.Index(args, "--"); i >= 0 {
			at = i
		}
		args = slices.Insert(args, at, flags...)
		for i, s := range args {
			args[i] = shellWord(s)
		}
		return "xai " + strings.Join(args, " ")
	}
	with := *e
	if t, ok := errors.AsType[*install.UntrustedError](err); ok {
		with.Hint = "if that is what its publisher says: " + again("--sha256", t.SHA256)
	} else if _, several := errors.AsType[*install.FetchError](err); several {
		// Each of them has a reason of its own.
	} else if u, ok := errors.AsType[*install.UngrantedError](err); ok && !u.Denied {
		with.Hint = "if you trust it: " + again("--yes")
	}
	return &with
}

// addedMethod is a method in the JSON form of what was added.
type addedMethod struct {
	Name           string   `json:"name"`
	Version        string   `json:"version"`
	Kind           string   `json:"kind"`
	URL            string   `json:"url"`
	SHA256         string   `json:"sha256"`
	Digest         string   `json:"digest"`
	Signer         string   `json:"signer"`
	Needs          []string `json:"needs"`
	File           string   `json:"file"`
	Change         string   `json:"change"` // of the file: "added", "rewritten" or "unchanged"
	Granted        []string `json:"granted"`
	ShadowsBuiltin bool     `json:"shadows_builtin"`
	Behind         string   `json:"behind"`
	Newer          string   `json:"newer"` // the version that was declared before, where it is above this one
}

type addedMethods struct {
	Methods   []addedMethod  `json:"methods"`
	Failed    []failedMethod `json:"failed"`
	Contacted []string       `json:"contacted"`
}

// failedMethod is a method that is not here.
type failedMethod struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func added(methods []install.Method, failed *install.FetchError, contacted []string) addedMethods {
	out := addedMethods{[]addedMethod{}, []failedMethod{}, contacted}
	if failed != nil {
		for _, f := range failed.Failures {
			j := failedMethod{Name: f.Name, Message: f.Err.Error()}
			if e, ok := errors.AsType[*core.Error](f.Err); ok {
				j.Hint = e.Hint
			}
			out.Failed = append(out.Failed, j)
		}
	}
	for _, m := range methods {
		j := addedMethod{
			Name: m.Name, Version: m.Version, Kind: m.Kind, URL: m.URL, SHA256: m.SHA256, Digest: m.Digest, Signer: m.Signer,
			Needs: slices.Concat([]string{}, m.Needs), File: m.File.Path, Change: m.Change.String(), Granted: []string{},
			ShadowsBuiltin: m.ShadowsBuiltin, Behind: m.Behind, Newer: m.Newer,
		}
		if m.Granted != nil {
			j.Granted = m.Granted.Wants()
		}
		out.Methods = append(out.Methods, j)
	}
	return out
}

func addedTerm(w io.Writer, list *registry.List, methods []install.Method, failed *install.FetchError) error {
	if failed != nil {
		for _, f := range failed.Failures {
			fmt.Fprintf(w, "%s is not here: %s.\n", f.Name, report.Line(f.Err.Error()))
		}
	} else if len(methods) == 0 {
		fmt.Fprintln(w, "Nothing is declared that is not in the binary.")
	}
	for _, m := range methods {
		name, file := report.Line(m.Name+" "+m.Version), report.Line(m.File.Path)
		switch m.Change {
		case seal.Added:
			fmt.Fprintf(w, "%s was added to %s.\n", name, file)
		case seal.Pinned, seal.Rewritten:
			fmt.Fprintf(w, "%s takes the place of what %s declared.\n", name, file)
		default:
			fmt.Fprintf(w, "%s of %s is here, and what it should be.\n", name, file)
		}
		field := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "  %-8s %s\n", name, report.Line(value))
			}
		}
		field(m.Kind, m.URL)
		field("sha256", m.SHA256)
		field("signer", m.Signer)
		if m.Granted != nil {
			field("granted", "to "+strings.Join(m.Granted.Wants(), "; to "))
		}
		if m.ShadowsBuiltin {
			fmt.Fprintln(w, "  It stands in place of the method of this name that xai has itself.")
		}
		if m.Newer != "" {
			fmt.Fprintf(w, "  It is older than what was declared, version %s: mind who offers you an older one.\n", report.Line(m.Newer))
		}
		if m.Behind != "" {
			fmt.Fprintf(w, "  %s has a method of this name and comes first, so that the name does not find this one.\n", report.Line(m.Behind))
		}
		if m.Change != seal.Unchanged {
			lockNote(w, list, m.File.Path)
		}
	}
	return nil
}

// lockNote says that a lock is not what its file is any more, where that is so. The
// list may be what the file was before.
func lockNote(w io.Writer, list *registry.List, file string) {
	path := registry.LockPath(file)
	if _, err := os.Lstat(path); err != nil {
		return
	}
	lock, err := registry.ReadLock(path)
	if err == nil {
		var text []byte
		if text, err = readAtMost(file, maxDescription); err == nil {
			var now *registry.File
			if now, err = registry.Parse(text, file); err == nil && len(lock.Compare(list.With(now))) == 0 {
				return
			}
		}
	}
	fmt.Fprintf(w, "  %s does not say so yet: xai plugin lock\n", report.Line(path))
}

// grantedBy asks where somebody can be asked, unless yes says it all.
func grantedBy(ctx context.Context, i *install.Installer, ask *registry.Ask, yes bool) (bool, error) {
	if yes || i.Confirm == nil {
		return true, nil
	}
	return i.Confirm(ctx, []string{ask.String()}, "Allow it, now and whenever these bytes run?")
}
