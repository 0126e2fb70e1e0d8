package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core/install"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/registry"
)

func (a *app) pluginPush() *cobra.Command {
	var p install.Publication
	var format string
	cmd := &cobra.Command{
		Use:   "push FILE oci://HOST/REPOSITORY:TAG",
		Short: "Publish a method at an OCI registry",
		Long: `Push publishes a sealed module with the declarations of its methods, or an executable,
and the signature FILE.minisig where there is one. The declarations are those of the
methods.toml beside FILE that pins these very bytes, with the limits that it sets, and
otherwise those that the module carries. Credentials are those of docker login. What
xai plugin add would refuse is not published.`,
		Example: examples(
			"xai plugin push shapely-ish.wasm oci://ghcr.io/owner/shapely-ish:1.2.0", "a module",
			"xai plugin push shapely-ish.wasm oci://ghcr.io/owner/shapely-ish:1.2.0 --signer ed25519:RWQ…", "with the signature beside it",
		),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("see "+cmd.CommandPath()+" --help", "%s needs a file and an address, and was given %s", cmd.CommandPath(), plural(len(args), "argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			i, c, err := a.installer(format)
			if err != nil {
				return err
			}
			defer i.Host.Close()
			p.File, p.Address = args[0], args[1]
			out, err := i.Publish(cmd.Context(), p)
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, published(out, c.hosts))
				}
				fmt.Fprintf(w, "%s is published.\n  %-8s %s\n  sha256   %s\n", report.Line(args[0]), out.Content, report.Line(out.URL), out.SHA256)
				signer := ""
				for _, m := range out.Methods {
					signer = m.Signer
					fmt.Fprintf(w, "  method   %s\n", report.Line(m.Name+" "+m.Version))
				}
				if signer != "" {
					fmt.Fprintf(w, "  signer   %s\n", signer)
					signer = " --signer " + signer
				}
				if out.Content == registry.ContentModule {
					fmt.Fprintf(w, "Others add it with: xai plugin add %s%s\n", shellWord(args[1]), signer)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&p.Signer, "signer", "", "the `KEY` whose signature FILE.minisig is, such as ed25519:RWQ… (default: what methods.toml says)")
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}

// publishedFile is the JSON form of what was published.
type publishedFile struct {
	URL       string            `json:"url"`
	SHA256    string            `json:"sha256"`
	Content   string            `json:"content"` // "module" or "executable"
	Signed    bool              `json:"signed"`
	Methods   []publishedMethod `json:"methods"`
	Contacted []string          `json:"contacted"`
}

type publishedMethod struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Needs   []string `json:"needs"`
	Signer  string   `json:"signer"`
}

func published(p *install.Published, contacted []string) publishedFile {
	out := publishedFile{p.URL, p.SHA256, p.Content.String(), p.Signature, []publishedMethod{}, contacted}
	for _, m := range p.Methods {
		out.Methods = append(out.Methods, publishedMethod{m.Name, m.Version, slices.Concat([]string{}, m.Needs), m.Signer})
	}
	return out
}
