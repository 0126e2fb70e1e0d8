package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/registry"
)

func (a *app) pluginRemove() *cobra.Command {
	var user bool
	var format string
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a method out of the methods.toml that declares it",
		Long: `Remove takes a method's stanza, and the comment right above it, out of the project's
methods.toml, of the user's where the project does not declare it or --user says so,
or of that of --registry. The file is written whole or not at all. What was granted
stays granted: xai plugin revoke takes it back.`,
		Example: examples(
			"xai plugin remove shapely-ish", "from the project, or else from your own file",
			"xai plugin remove shapely-ish --user", "from your own file",
		),
		Args: oneArg("the name of a method"),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			list, err := host.Methods()
			if err != nil {
				return err
			}
			path, err := a.declaredIn(list, args[0], user)
			if err != nil {
				return err
			}
			err = host.EditRegistry(cmd.Context(), path, func(text []byte) ([]byte, error) {
				return seal.Remove(text, path, args[0])
			})
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, struct {
						Name string `json:"name"`
						File string `json:"file"`
					}{args[0], path})
				}
				fmt.Fprintf(w, "%s was taken out of %s.\n", args[0], report.Line(path))
				if next, ok := without(list, path, args[0]); ok {
					fmt.Fprintf(w, "  The name now finds that of %s.\n", report.Line(next.File.Path))
				}
				lockNote(w, list, path)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&user, "user", false, "take it out of your own methods.toml")
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	cmd.ValidArgsFunction = a.completeMethod
	return cmd
}

// declaredIn returns the file that a method is to be taken out of.
func (a *app) declaredIn(list *registry.List, name string, user bool) (string, error) {
	e, err := list.Find(name)
	if err != nil {
		return "", usage("see xai methods list", "%s", err)
	}
	only := ""
	if user || a.registry != "" {
		if only, err = a.registryFile(user); err != nil {
			return "", err
		}
		if e, ok := list.In(only, name); ok {
			return e.File.Path, nil
		}
		return "", usage("xai methods list --why says where it is declared", "%s declares no method %s", only, name)
	}
	for _, e := range append([]registry.Entry{e}, e.Shadows...) {
		if e.Origin == registry.OriginProject || e.Origin == registry.OriginUser {
			return e.File.Path, nil
		}
	}
	if e.Origin == registry.OriginBuiltin {
		return "", usage("only what a methods.toml of yours declares can be taken out of it", "%s is a method of xai itself", name)
	}
	return "", usage("name that file with --registry to take it out", "%s is declared in %s, which is neither the project's nor yours", name, e.File.Path)
}

// without returns what a name finds where one file does not declare it.
func without(list *registry.List, path, name string) (registry.Entry, bool) {
	e, err := list.Find(name)
	if err != nil {
		return registry.Entry{}, false
	}
	for _, e := range append([]registry.Entry{e}, e.Shadows...) {
		if e.File.Path != path {
			return e, true
		}
	}
	return registry.Entry{}, false
}
