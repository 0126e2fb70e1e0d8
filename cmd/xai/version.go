package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
)

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of xai",
		Long:    "Version prints the version, the commit that it was built from, the Go that built\nit, and the platform.",
		Example: examples("xai version", "which xai this is"),
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.write(func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "xai %s%s, %s, %s/%s\n", core.Version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return err
			})
		},
	}
}

// revision returns the commit that the binary was built from, where it is known.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", modified"
		}
	}
	if commit == "" {
		return ""
	}
	return " (" + commit + dirty + ")"
}
