package main

import (
	"github.com/spf13/cobra"
)

func (a *app) plugin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Write explanation methods of your own",
		Long: `Plugin is for who writes a method: a WebAssembly module, in any language, that runs
in xai's sandbox. A folder of one is begun, built, looked at and tested here.`,
		Example: examples(
			"xai plugin new shapely-ish --lang go", "a folder with a method that works, to change",
			"xai plugin build shapely-ish", "compile it, describe it, pin it in its methods.toml",
			"xai plugin test shapely-ish", "the conformance kit",
		),
		Args: cobra.ArbitraryArgs,
		RunE: help,
	}
	cmd.AddCommand(a.pluginNew())
	return cmd
}
