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
			"xai models points ./my-bert", "what can be read, edited and differentiated inside of it",
		),
		Args: cobra.ArbitraryArgs,
		RunE: help,
	}
	cmd.AddCommand(a.modelsList(), a.modelsInfo(), a.modelsPoints())
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
	Positions  int      `json:"positions"` // 0 where the model has no table of them
	Length     int      `json:"length"`    // tokens of the longest input; 0 where nothing bounds it
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
		Vocabulary: info.Vocabulary, Positions: info.Positions, Length: m.MaxTokens(), Parameters: info.Parameters,
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
					fmt.Fprintf(t, "%s\t%s\t%s parameters\t%s\n", d.ID, d.Architecture, count(d.Parameters), core.ClassLabels(d.Labels))
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
SHA-256 of its configuration and weights and that of its tokenizer, which
results carry. The first is what

  sha256sum config.json model.safetensors | sha256sum

prints in the folder of the model.`,
		Example: examples(
			"xai models info builtin:sentiment-zh", "an embedded model",
			"xai models info ./my-bert", "a model folder",
			"xai models info ./my-bert --format json | jq -r .sha256", "for a program",
		),
		Args:              oneArg("a model"),
		ValidArgsFunction: a.completeModel,
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

func (a *app) modelsPoints() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "points MODEL [NAMES]",
		Short: "List the values inside of a model that have a name",
		Long: `Points lists what xai activations can read, edit and differentiate, in the order
in which a model computes it: all, or those that NAMES match. It reads config.json
alone, no weights.

Axes: B sequences, T tokens, S tokens that are attended to, H heads, K key heads,
E width of a head, D width of the model, De of an embedding, F of the feed-forward
layer, V vocabulary, C classes; for XLNet P targets, R relative positions and M
memories. Of XLNet the list has the points of an input with target_mapping, mems and
token_type_ids.`,
		Example: examples(
			"xai models points builtin:sentiment-en", "all points",
			"xai models points ./my-bert 'blocks.0.attn.*'", "those of the first layer's attention",
			"xai models points ./my-bert --format json | jq -r '.points[].name'", "for a program",
		),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 {
				return usage("put the names in quotes, with commas between", "%s takes a model and names, and was given %d arguments", cmd.CommandPath(), len(args))
			}
			if len(args) == 0 {
				return usage("see "+cmd.CommandPath()+" --help", "%s needs a model", cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: a.completeModel,
		RunE: func(_ *cobra.Command, args []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			names := ""
			if len(args) > 1 {
				if names = args[1]; names == "" {
					return usage("leave them out for all points", "the names are empty")
				}
			}
			points, err := host.Points(args[0], names)
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, map[string]any{"points": points})
				}
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				for _, p := range points {
					var is []string
					for _, flag := range []struct {
						on   bool
						word string
					}{{p.Differentiable, "gradient"}, {p.Editable, "edit"}, {p.Virtual, "on demand"}} {
						if flag.on {
							is = append(is, flag.word)
						}
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.Name, p.Shape, strings.Join(is, ", "), strings.Join(p.Aliases, " "))
				}
				return t.Flush()
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
	labels := fmt.Sprintf("%d: %s", len(d.Labels), core.ClassLabels(d.Labels[:min(len(d.Labels), maxLabels)]))
	switch {
	case len(d.Labels) > maxLabels:
		labels += " …"
	case d.Labels == nil:
		labels = "none: it answers with tokens"
	}
	reads := "any number of tokens"
	if d.Length > 0 {
		reads = plural(d.Length, "token")
	}
	tokenizer := d.TokenizerSHA256
	if tokenizer == "" {
		tokenizer = "none: it reads --inputs alone"
	}
	fmt.Fprintln(w, a.term().Level.Bold(report.Line(d.ID)))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range [][2]string{
		{"architecture", d.Architecture},
		{"task", d.Task},
		{"labels", labels},
		{"size", fmt.Sprintf("%s parameters: %d layers, hidden %d, %d heads, vocabulary %d", count(d.Parameters), d.Layers, d.Hidden, d.Heads, d.Vocabulary)},
		{"reads", reads},
		{"computes in", d.DType + ", " + d.Kernel},
		{"model", d.SHA256},
		{"tokenizer", tokenizer},
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
