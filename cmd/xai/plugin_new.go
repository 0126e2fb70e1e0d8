package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/internal/scaffold"
	"github.com/xai-go/xai/internal/toolchain"
	"github.com/xai-go/xai/internal/words"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/registry"
)

func (a *app) pluginNew() *cobra.Command {
	var lang, dir, module, replace string
	var names []string
	for _, l := range scaffold.Languages {
		names = append(names, string(l))
	}
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Begin a method: a folder that builds and passes its tests",
		Long: `New writes a folder with a small method that works: its source, a methods.toml that
declares it, a README with the commands that build it, a test and a workflow for
GitHub. Methods in Rust, C, AssemblyScript and Python get the SDK as a file of the
folder; those in Go require the module github.com/xai-go/xai at the version of this xai,
or with --replace take it from a checkout of yours, which works without a network and
with versions that nobody has published.

process-go and process-python are methods that run as processes of their own, for what
a module cannot have: Python's libraries, a GPU. xai confines them where it can.`,
		Example: examples(
			"xai plugin new my-method --lang go --module github.com/me/my-method", "in Go",
			"xai plugin new my-method --lang go --replace ~/src/xai", "in Go, with the SDK of a checkout of xai",
			"xai plugin new my-method --lang c", "in C: clang is all that it takes",
			"xai plugin new my-method --lang rust --dir methods/mine", "in another folder than ./my-method",
		),
		Args: oneArg("a name for the method"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if lang == "" {
				return usage("use "+words.Or(names...), "xai plugin new needs a language: --lang")
			}
			language := toolchain.Language(lang)
			if language != toolchain.Go && language != toolchain.ProcessGo && (module != "" || replace != "") {
				return usage("leave it out", "--module and --replace are of methods in Go")
			}
			if replace != "" {
				var err error
				if replace, err = checkout(replace); err != nil {
					return err
				}
			}
			if embedded, err := registry.Parse(plugins.Builtin().Registry, registry.BuiltinPath); err != nil {
				return err
			} else if _, taken := embedded.Method(name); taken {
				return usage("take another name, so that nobody mistakes one for the other", "%s is a method of xai itself", name)
			}
			files, err := scaffold.Files(scaffold.Options{Name: name, Language: language, Version: "v" + core.Version, Module: module, Replace: replace})
			if e, ok := errors.AsType[*scaffold.OptionError](err); ok {
				return usage(e.Hint, "%s", e.Msg)
			} else if err != nil {
				return err
			}
			if dir == "" {
				dir = name
			}
			switch err := scaffold.Write(cmd.Context(), dir, files); {
			case errors.Is(err, scaffold.ErrNotEmpty):
				return &core.Error{Kind: core.KindInput, Msg: "the folder " + dir + " is not empty", Hint: "name one that is not there yet with --dir"}
			case cmd.Context().Err() != nil:
				return cmd.Context().Err()
			case err != nil:
				return fileError(err, "cannot write", dir)
			}
			build, test := "xai plugin build "+shellWord(dir), "xai plugin test "+shellWord(dir)
			return a.print(fmt.Sprintf("%s holds a method that works, in %s. Next:\n\n  %s\n  %s\n", report.Line(dir), language, report.Line(build), report.Line(test)))
		},
	}
	f := cmd.Flags()
	f.StringVar(&lang, "lang", "", "`LANGUAGE`: "+words.Or(names...))
	f.StringVar(&dir, "dir", "", "write into this `FOLDER`, which must be empty or not there yet (default: NAME)")
	f.StringVar(&module, "module", "", "of Go: the module's `PATH`, such as github.com/me/my-method (default: example.org/NAME)")
	f.StringVar(&replace, "replace", "", "of Go: take the SDK from this `CHECKOUT` of xai and not from its release")
	a.complete(cmd)
	cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	for _, flag := range []string{"dir", "replace"} {
		cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		})
	}
	return cmd
}

var ofXAI = regexp.MustCompile(`(?m)^module github\.com/xai-go/xai\r?$`)

// checkout returns the absolute path of a checkout of xai.
func checkout(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil || !ofXAI.Match(text) {
		return "", usage("name the folder that holds the go.mod of github.com/xai-go/xai", "--replace: %s is no checkout of xai", dir)
	}
	return dir, nil
}

var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./:\\-]+$`)

// shellWord quotes a word for a shell where it has to be: in double quotes, which
// all shells know, as far as these take every letter for itself.
func shellWord(word string) string {
	if plainPath.MatchString(word) {
		return word
	}
	if !strings.ContainsAny(word, "\"$`\\!%\n") {
		return `"` + word + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
