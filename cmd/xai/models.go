package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
)

func (a *app) models() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "models",
		Short: "List and describe models",
		Long: `A model is a folder as Hugging Face lays it out (config.json, model.safetensors
and tokenizer files), or one that the binary embeds, builtin:NAME.`,
		Example: examples(
			"xai models list", "the embedded models",
			"xai models info builtin:sentiment-en", "what one of them is",
			"xai models info ./my-bert --format json", "a model folder, for a program",
		),
		Args: cobra.ArbitraryArgs,
		RunE: help,
	}
	cmd.AddCommand(a.modelsList(), a.modelsInfo())
	return cmd
}

// modelDetail is the JSON form of a model.
type modelDetail struct {
	core.ModelRef
	Labels     []string `json:"labels"`
	Layers     int      `json:"layers"`
	Hidden     int      `json:"hidden"`
	Heads      int      `json:"heads"`
	Vocabulary int      `json:"vocabulary"`
	Positions  int      `json:"positions"`
	Parameters int64    `json:"parameters"`
	DType      string   `json:"dtype"`
	Kernel     string   `json:"kernel"`
}

// describe opens the model ref, describes it and closes it.
func (a *app) describe(cmd *cobra.Command, host *core.Host, ref string) (modelDetail, error) {
	m, err := host.OpenModel(cmd.Context(), ref)
	if err != nil {
		return modelDetail{}, err
	}
	defer m.Close()
	id, err := m.Ref(cmd.Context())
	if err != nil {
		return modelDetail{}, err
	}
	info := m.Engine().Info()
	return modelDetail{
		ModelRef: id, Labels: info.Labels, Layers: info.Layers, Hidden: info.Hidden, Heads: info.Heads,
		Vocabulary: info.Vocabulary, Positions: info.Positions, Parameters: info.Parameters,
		DType: string(info.DType), Kernel: m.Engine().Kernel(),
	}, nil
}

func (a *app) modelsList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the embedded models",
		Long:  "List prints the models that the binary embeds: -m takes them, and model folders.",
		Example: examples(
			"xai models list", "the embedded models",
			"xai models list --format json | jq -r '.models[].id'", "for a program",
			`xai explain -m builtin:sentiment-en "Some text."`, "how one is used",
		),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			details := []modelDetail{}
			for _, name := range host.ModelNames() {
				d, err := a.describe(cmd, host, name)
				if err != nil {
					return err
				}
				details = append(details, d)
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, map[string][]modelDetail{"models": details})
				}
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, d := range details {
					fmt.Fprintf(t, "%s\t%s\t%s parameters\t%s\n", d.ID, d.Architecture, count(d.Parameters), strings.Join(d.Labels, ", "))
				}
				return t.Flush()
			})
		},
	}
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

func (a *app) modelsInfo() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "info MODEL",
		Short: "Describe a model",
		Long: `Info opens a model and prints its architecture, task, labels, size, and the
SHA-256 of its weights and of its tokenizer, which results carry.`,
		Example: examples(
			"xai models info builtin:sentiment-zh", "an embedded model",
			"xai models info ./my-bert", "a model folder",
			"xai models info ./my-bert --format json | jq -r .sha256", "for a program",
		),
		Args: oneArg("a model"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.modelNames(), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			d, err := a.describe(cmd, host, args[0])
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, d)
				}
				return a.modelTerm(w, d)
			})
		},
	}
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// maxLabels is how many labels of a model a person is shown.
const maxLabels = 20

func (a *app) modelTerm(w io.Writer, d modelDetail) error {
	labels := fmt.Sprintf("%d: %s", len(d.Labels), strings.Join(d.Labels[:min(len(d.Labels), maxLabels)], ", "))
	if len(d.Labels) > maxLabels {
		labels += " …"
	}
	fmt.Fprintln(w, a.term().Level.Bold(report.Line(d.ID)))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range [][2]string{
		{"architecture", d.Architecture},
		{"task", d.Task},
		{"labels", labels},
		{"size", fmt.Sprintf("%s parameters: %d layers, hidden %d, %d heads, vocabulary %d", count(d.Parameters), d.Layers, d.Hidden, d.Heads, d.Vocabulary)},
		{"reads", plural(d.Positions, "token")},
		{"computes in", d.DType + ", " + d.Kernel},
		{"weights", d.SHA256},
		{"tokenizer", d.TokenizerSHA256},
	} {
		fmt.Fprintf(t, "  %s\t%s\n", f[0], report.Line(f[1]))
	}
	return t.Flush()
}

// count formats a large number with three significant digits.
func count(n int64) string {
	v, unit := float64(n), ""
	for _, next := range []string{" thousand", " million", " billion"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, next
	}
	return fmt.Sprintf("%.3g%s", v, unit)
}
