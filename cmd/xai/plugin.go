package main

import (
	"github.com/spf13/cobra"
)

func (a *app) plugin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Add explanation methods, and write your own",
		Long: `Plugin adds methods of other people, each held to its hash or its signer and granted
what it needs, and is for who writes one: a WebAssembly module, in any language, that
runs in xai's sandbox. A folder of one is begun, built, looked at, tested, signed and
published here.`,
		Example: examples(
			"xai plugin add oci://ghcr.io/owner/shapely-ish:1.2.0 --signer ed25519:RWQ…", "somebody's method, for this project",
			"xai plugin lock", "write down what the project's methods are",
			"xai plugin new shapely-ish --lang go", "a folder with a method that works, to change",
			"xai plugin build shapely-ish", "compile it, describe it, pin it in its methods.toml",
			"xai plugin test shapely-ish", "the conformance kit",
		),
		Args: cobra.ArbitraryArgs,
		RunE: help,
	}
	cmd.AddCommand(a.pluginNew(), a.pluginBuild(), a.pluginInspect(), a.pluginSeal(), a.pluginTest())
	cmd.AddCommand(a.pluginAdd(), a.pluginFetch(), a.pluginRemove(), a.pluginLock(), a.pluginGrant(), a.pluginRevoke(), a.pluginKeygen(), a.pluginSign(), a.pluginPush())
	return cmd
}
