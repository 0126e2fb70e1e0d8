package main

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
)

// complete registers shell completion for the flags of cmd that have few
// values: embedded models, methods, their parameters, and words of a choice.
func (a *app) complete(cmd *cobra.Command) {
	values := func(list func() []string, directive cobra.ShellCompDirective) cobra.CompletionFunc {
		return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, s := range list() {
				if strings.HasPrefix(s, typed) {
					out = append(out, s)
				}
			}
			return out, directive
		}
	}
	register := func(flag string, f cobra.CompletionFunc) {
		if cmd.Flags().Lookup(flag) != nil {
			cmd.RegisterFlagCompletionFunc(flag, f)
		}
	}
	register("model", values(a.modelNames, cobra.ShellCompDirectiveDefault))
	register("method", values(a.methodNames, cobra.ShellCompDirectiveNoFileComp))
	register("param", values(func() []string { return a.paramNames(cmd) }, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
	register("points", values(func() []string { return a.pointNames(cmd) }, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
	for _, flag := range []string{"format", "output", "runtime"} {
		if f := cmd.Flags().Lookup(flag); f != nil {
			if c, ok := f.Value.(choice); ok {
				register(flag, values(func() []string { return c.words }, cobra.ShellCompDirectiveNoFileComp))
			}
		}
	}
	register("units", values(func() []string { return []string{core.UnitsToken, core.UnitsWord, core.UnitsSentence} }, cobra.ShellCompDirectiveNoFileComp))
	for _, flag := range []string{"file", "inputs", "out-file"} {
		register(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		})
	}
}

// completeModel completes a first argument that is a model.
func (a *app) completeModel(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.modelNames(), cobra.ShellCompDirectiveDefault
}

// modelNames returns the embedded models.
func (a *app) modelNames() []string {
	host, err := a.host()
	if err != nil {
		return nil
	}
	defer host.Close()
	return host.ModelNames()
}

// methodNames returns the methods that the registry knows.
func (a *app) methodNames() []string {
	host, err := a.host()
	if err != nil {
		return nil
	}
	defer host.Close()
	list, err := host.Methods()
	if err != nil {
		return nil
	}
	names := make([]string, len(list.Entries))
	for i, e := range list.Entries {
		names[i] = e.Name
	}
	return names
}

// pointNames returns the points of the model that cmd was given.
func (a *app) pointNames(cmd *cobra.Command) []string {
	host, err := a.host()
	if err != nil {
		return nil
	}
	defer host.Close()
	points, err := host.Points(cmp.Or(cmd.Flag("model").Value.String(), core.DefaultModel("")), "")
	if err != nil {
		return nil
	}
	names := make([]string, len(points))
	for i, p := range points {
		names[i] = p.Name
	}
	return names
}

// paramNames returns the parameters of the method that cmd was given, as the
// beginning of key=value.
func (a *app) paramNames(cmd *cobra.Command) []string {
	host, err := a.host()
	if err != nil {
		return nil
	}
	defer host.Close()
	_, info, err := host.Method(cmd.Flag("method").Value.String())
	if err != nil {
		return nil
	}
	names := make([]string, len(info.Params))
	for i, p := range info.Params {
		names[i] = p.Name + "="
	}
	return names
}
