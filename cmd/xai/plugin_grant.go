package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/registry"
)

// grantSummary is the JSON form of what was granted to a method.
type grantSummary struct {
	Name    string   `json:"name"`
	SHA256  string   `json:"sha256"`
	Kind    string   `json:"kind"`
	Needs   []string `json:"needs"`
	Granted []string `json:"granted"` // now; empty where it had it all
}

func (a *app) pluginGrant() *cobra.Command {
	var yes bool
	var format string
	cmd := &cobra.Command{
		Use:   "grant NAME",
		Short: "Grant a method what it needs",
		Long: `Grant shows what a method wants that it was not granted yet: powers over the model,
to run as a process, to be confined less, to stand in place of a method of xai itself.
On a terminal it asks; elsewhere it grants, and says what that was. A grant belongs to
the method's bytes: other bytes ask again, and so do these where they come to need
more. The policy of the machine stands above it.`,
		Example: examples(
			"xai plugin grant shapely-ish", "look at what it wants, and allow it",
			"xai plugin grant shapely-ish --yes", "without a question",
		),
		Args: oneArg("the name of a method"),
		RunE: func(cmd *cobra.Command, args []string) error {
			i, _, err := a.installer(format)
			if err != nil {
				return err
			}
			defer i.Host.Close()
			e, _, err := i.Host.Method(args[0])
			if err != nil {
				return err
			}
			if err := i.Host.Examine(cmd.Context(), e); err != nil {
				return err
			}
			ask, err := i.Host.Asks(e)
			if err != nil {
				return err
			}
			out := grantSummary{Name: e.Name, SHA256: e.SHA256, Kind: e.Kind, Needs: slices.Concat([]string{}, e.Needs), Granted: []string{}}
			if ask != nil {
				ok, err := grantedBy(cmd.Context(), i, ask, yes)
				if err != nil {
					return err
				}
				if !ok {
					return &core.Error{Kind: core.KindMethod, Msg: "nothing was granted to " + e.Name}
				}
				if err := i.Host.Grant(cmd.Context(), ask); err != nil {
					return err
				}
				out.SHA256, out.Granted = ask.Grant.SHA256, ask.Wants()
			}
			return a.write(func(w io.Writer) error {
				switch {
				case format == "json":
					return report.JSON(w, out)
				case e.Embedded:
					fmt.Fprintf(w, "%s has the bytes of a method of xai itself, which needs no grant.\n", e.Name)
				case ask == nil:
					fmt.Fprintf(w, "%s was granted all that it needs already.\n", e.Name)
				default:
					fmt.Fprintf(w, "%s %s may now %s.\n  sha256   %s\n  of       %s\n", e.Name, report.Line(e.Version), report.Line(strings.Join(out.Granted, "; ")), out.SHA256, report.Line(e.File.Path))
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "grant it without a question")
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	cmd.ValidArgsFunction = a.completeMethod
	return cmd
}

func (a *app) pluginRevoke() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Take back what was granted to a method",
		Long: `Revoke takes back what you have granted under a name, and to the bytes that the name
finds now under whatever name, so that the method asks again. The method need not be
declared any more.`,
		Example: examples("xai plugin revoke shapely-ish", "have it ask again"),
		Args:    oneArg("the name of a method"),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			taken, err := host.Revoke(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(taken) == 0 { // a mistyped name must not pass for done
				if _, _, err := host.Method(args[0]); err != nil {
					return err
				}
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, revoked(taken))
				}
				if len(taken) == 0 {
					fmt.Fprintf(w, "Nothing was granted to %s.\n", args[0])
				}
				for _, g := range taken {
					fmt.Fprintf(w, "%s may no longer run with what was granted to it: %s.\n  sha256   %s\n", g.Name, strings.Join(slices.Concat([]string{g.Kind}, g.Needs), ", "), g.SHA256)
				}
				return nil
			})
		},
	}
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	cmd.ValidArgsFunction = a.completeMethod
	return cmd
}

type revokedGrants struct {
	Revoked []grantSummary `json:"revoked"`
}

func revoked(taken []registry.Grant) revokedGrants {
	out := revokedGrants{[]grantSummary{}}
	for _, g := range taken {
		out.Revoked = append(out.Revoked, grantSummary{Name: g.Name, SHA256: g.SHA256, Kind: g.Kind, Needs: slices.Concat([]string{}, g.Needs), Granted: []string{}})
	}
	return out
}
