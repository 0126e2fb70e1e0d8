package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

func (a *app) methods() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "methods",
		Short: "List and describe explanation methods",
		Long: `Methods are declared in methods.toml files: the one that --registry names, the one
that $XAI_METHODS names, the project's, the user's, the system's, and the one in
the binary. The first that declares a name wins.`,
		Example: examples(
			"xai methods list", "what there is",
			"xai methods list --why", "which files were read, and what they replace",
			"xai methods info lime", "what a method takes",
		),
		Args: cobra.ArbitraryArgs,
		RunE: help,
	}
	cmd.AddCommand(a.methodsList(), a.methodsInfo())
	return cmd
}

// methodSummary is a method in the JSON form of methods list.
type methodSummary struct {
	Name           string   `json:"name"`
	Version        string   `json:"version"`
	Summary        string   `json:"summary"`
	Kind           string   `json:"kind"`
	Needs          []string `json:"needs"`
	Origin         string   `json:"origin"`
	File           string   `json:"file"`
	ShadowsBuiltin bool     `json:"shadows_builtin"`
}

func summarise(e registry.Entry) methodSummary {
	return methodSummary{
		Name: e.Name, Version: e.Version, Summary: e.Summary, Kind: e.Kind, Needs: slices.Concat([]string{}, e.Needs),
		Origin: string(e.Origin), File: e.File.Path, ShadowsBuiltin: e.ShadowsBuiltin,
	}
}

// placeSummary is a registry file in the JSON form of methods list.
type placeSummary struct {
	Origin  string `json:"origin"`
	Path    string `json:"path"`
	Found   bool   `json:"found"`
	Methods int    `json:"methods"`
}

func (a *app) methodsList() *cobra.Command {
	var format string
	var why bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the methods that a name finds",
		Long: `List prints every method that a name finds. With --why it prints which registry
files were considered, in order of precedence, and which declarations were
replaced by one of the same name before them.`,
		Example: examples(
			"xai methods list", "all methods",
			"xai methods list --why", "where each comes from",
			"xai methods list --format json | jq -r '.methods[].name'", "for a program",
		),
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			list, err := host.Methods()
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return listJSON(w, list)
				}
				return a.listTerm(w, list, why)
			})
		},
	}
	cmd.Flags().BoolVar(&why, "why", false, "say which files were read and what was replaced")
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

func listJSON(w io.Writer, list *registry.List) error {
	out := struct {
		Methods []methodSummary `json:"methods"`
		Shadows []methodSummary `json:"shadows"`
		Places  []placeSummary  `json:"places"`
	}{[]methodSummary{}, []methodSummary{}, []placeSummary{}}
	for _, e := range list.Entries {
		out.Methods = append(out.Methods, summarise(e))
		for _, s := range e.Shadows {
			out.Shadows = append(out.Shadows, summarise(s))
		}
	}
	for _, p := range list.Places {
		s := placeSummary{Origin: string(p.Origin), Path: p.Path, Found: p.File != nil}
		if p.File != nil {
			s.Methods = len(p.File.Methods)
		}
		out.Places = append(out.Places, s)
	}
	return report.JSON(w, out)
}

func (a *app) listTerm(w io.Writer, list *registry.List, why bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range list.Entries {
		note := ""
		if e.ShadowsBuiltin {
			note = " (in place of the embedded one)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s%s\n", report.Line(e.Name), report.Line(e.Version), e.Origin, report.Line(e.Summary), note)
	}
	if err := t.Flush(); err != nil || !why {
		return err
	}
	fmt.Fprintln(w, "\nRegistry files, the first that declares a name wins:")
	for _, p := range list.Places {
		found := "not there"
		if p.File != nil {
			found = plural(len(p.File.Methods), "method")
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", p.Origin, report.Line(p.Path), found)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range list.Entries {
		for _, s := range e.Shadows {
			same := "other bytes"
			if s.SHA256 == e.SHA256 {
				same = "the same bytes"
			}
			fmt.Fprintf(w, "%s of %s stands before that of %s, which has %s.\n", report.Line(e.Name), report.Line(e.File.Path), report.Line(s.File.Path), same)
		}
	}
	return nil
}

// plural counts something.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// methodDetail is the JSON form of methods info.
type methodDetail struct {
	methodSummary
	Source  string        `json:"source"`
	Card    string        `json:"card"` // of a method of xai itself, in its repository
	URL     string        `json:"url"`  // empty of a process that has an executable a platform
	SHA256  string        `json:"sha256"`
	Signer  string        `json:"signer"`  // empty where nobody has to have signed it
	Granted bool          `json:"granted"` // it has what it needs, or needs no grant
	Wants   []string      `json:"wants"`   // what was not granted yet
	ABI     string        `json:"abi"`
	Limits  methodLimits  `json:"limits"`
	Params  []methodParam `json:"params"`
}

// methodLimits are the limits that hold: of the registry or the host's own, and no
// more than the policy allows. Of a process nobody counts instructions: its fuel is
// 0.
type methodLimits struct {
	Memory   int64   `json:"memory_bytes"`
	Timeout  float64 `json:"timeout_seconds"`
	Forwards int64   `json:"forwards"`
	Output   int64   `json:"output_bytes"`
	Log      int64   `json:"log_bytes"`
	Fuel     int64   `json:"fuel"`
}

// methodParam is a parameter in the JSON form of methods info.
type methodParam struct {
	Name    string         `json:"name"`
	Aliases []string       `json:"aliases"`
	Type    string         `json:"type"`
	Default any            `json:"default"`
	Min     *float64       `json:"min"`
	Max     *float64       `json:"max"`
	Values  []string       `json:"values"`
	Doc     string         `json:"doc"`
	Compat  map[string]any `json:"compat"` // defaults where the parameter compat has that value
}

func (a *app) methodsInfo() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "info NAME",
		Short: "Describe a method and its parameters",
		Long: `Info prints what a method does, where it comes from and where its card is, who signed it,
what it may use of the host and whether that is granted, the limits that hold for it, its own or the host's
and no more than the policy of the machine allows, and every parameter with its default.`,
		Example: examples(
			"xai methods info lime", "what lime takes",
			"xai methods info lime --format json | jq '.params[] | {name, default}'", "the defaults, for a program",
			"xai explain -M lime -p num_samples=5000 \"Some text.\"", "how a parameter is set",
		),
		Args: oneArg("the name of a method"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.methodNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			e, info, err := host.Method(args[0])
			if err != nil {
				return err
			}
			if e.Limits, err = host.Limits(e); err != nil {
				return err
			}
			wants, err := host.Asks(e)
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, detail(e, info, wants))
				}
				return a.infoTerm(w, e, info, wants)
			})
		},
	}
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// detail describes an entry that has the limits which hold, and what it wants that
// was not granted yet.
func detail(e registry.Entry, info sdk.Info, wants *registry.Ask) methodDetail {
	d := methodDetail{
		methodSummary: summarise(e), Source: e.Source, Card: card(e), URL: e.URL, SHA256: e.SHA256, ABI: e.ABI,
		Signer: e.Signer, Granted: wants == nil, Wants: []string{},
		Limits: methodLimits{e.Limits.Memory, e.Limits.Timeout.Seconds(), e.Limits.Forwards, e.Limits.Output, e.Limits.Log, e.Limits.Fuel},
		Params: []methodParam{},
	}
	if wants != nil {
		d.Wants = wants.Wants()
	}
	for _, p := range info.Params {
		d.Params = append(d.Params, methodParam{
			Name: p.Name, Aliases: slices.Concat([]string{}, p.Aliases), Type: string(p.Type), Default: p.Default,
			Min: p.Min, Max: p.Max, Values: slices.Concat([]string{}, p.Values), Doc: p.Doc,
			Compat: maps.Collect(maps.All(p.Compat)),
		})
	}
	return d
}

// card returns where the card of an embedded method stands in the repository: beside
// the sources of its module. It is empty of any other method.
func card(e registry.Entry) string {
	module, builtin := strings.CutPrefix(e.URL, "builtin:")
	family, ok := strings.CutSuffix(module, ".wasm")
	if !e.Embedded || !builtin || !ok {
		return ""
	}
	return "plugins/" + family + "/README.md"
}

func (a *app) infoTerm(w io.Writer, e registry.Entry, info sdk.Info, wants *registry.Ask) error {
	t := a.term()
	fmt.Fprintf(w, "%s %s: %s\n", t.Level.Bold(report.Line(e.Name)), report.Line(e.Version), report.Line(e.Summary))
	fields := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(fields, "  %s\t%s\n", name, report.Line(value))
		}
	}
	field("source", e.Source)
	if path := card(e); path != "" {
		field("card", path+" in xai's repository: what it computes and costs, and when it misleads")
	}
	field("needs", strings.Join(e.Needs, ", "))
	what := "module"
	if e.Kind == registry.KindProcess {
		what = "executable"
	}
	field(what, e.URL)
	field("sha256", e.SHA256)
	for _, a := range e.Artifacts {
		field(a.OS+"/"+a.Arch, a.URL)
		field("sha256", a.SHA256)
	}
	field("signer", e.Signer)
	switch {
	case e.Embedded:
		field("granted", "yes: it is a method of xai itself")
	case wants == nil:
		field("granted", "yes")
	default:
		field("granted", "not yet: to "+strings.Join(wants.Wants(), "; to "))
	}
	field("declared in", fmt.Sprintf("%s (%s)", e.File.Path, e.Origin))
	field("limits", limits(e.Limits))
	if err := fields.Flush(); err != nil {
		return err
	}
	if len(info.Params) == 0 {
		_, err := fmt.Fprintln(w, "\nIt takes no parameters.")
		return err
	}
	fmt.Fprintln(w, "\nParameters, set with -p NAME=VALUE:")
	a.listParams(w, info)
	return nil
}

// listParams lists the parameters of a method with their defaults.
func (a *app) listParams(w io.Writer, info sdk.Info) {
	t := a.term()
	for _, p := range info.Params {
		fmt.Fprintf(w, "  %s = %s  %s\n", t.Level.Bold(report.Line(p.Name)), defaults(p), t.Level.Dim(report.Line(domain(p))))
		fmt.Fprint(w, t.Paragraph(p.Doc, "      "))
	}
}

// methodHelp has the help of cmd end with the parameters of the method that its
// flag names.
func (a *app) methodHelp(cmd *cobra.Command) {
	usual := cmd.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		usual(cmd, args)
		name := cmd.Flag("method")
		if !name.Changed {
			return
		}
		host, err := a.host()
		if err == nil {
			defer host.Close()
			var info sdk.Info
			if _, info, err = host.Method(name.Value.String()); err == nil {
				if len(info.Params) == 0 {
					fmt.Fprintf(a.stdout, "\n%s takes no parameters.\n", report.Line(info.Name))
					return
				}
				fmt.Fprintf(a.stdout, "\nParameters of %s, set with -p NAME=VALUE:\n", report.Line(info.Name))
				a.listParams(a.stdout, info)
				return
			}
		}
		fmt.Fprintf(a.stderr, "note: %s\n", report.Line(err.Error()))
	})
}

// defaults says what a parameter is where it is not given, also under the
// presets that change it.
func defaults(p sdk.Param) string {
	verb := "%v"
	if p.Type == sdk.String {
		verb = "%q"
	}
	s := fmt.Sprintf(verb, p.Default)
	for _, preset := range slices.Sorted(maps.Keys(p.Compat)) {
		s += fmt.Sprintf(", "+verb+" under compat=%s", p.Compat[preset], report.Line(preset))
	}
	return s
}

// domain says which values a parameter takes, and its other names.
func domain(p sdk.Param) string {
	s := string(p.Type)
	switch {
	case p.Type == sdk.Enum:
		s = strings.Join(p.Values, "|")
	case p.Min != nil && p.Max != nil:
		s += ", " + core.Bound(*p.Min) + " to " + core.Bound(*p.Max)
	case p.Min != nil:
		s += ", at least " + core.Bound(*p.Min)
	case p.Max != nil:
		s += ", at most " + core.Bound(*p.Max)
	}
	if len(p.Aliases) > 0 {
		s += "; also " + strings.Join(p.Aliases, ", ")
	}
	return s
}

// limits lists limits.
func limits(l registry.Limits) string {
	var out []string
	if l.Memory > 0 {
		out = append(out, core.Size(l.Memory)+" of memory")
	}
	if l.Timeout > 0 {
		out = append(out, length(l.Timeout))
	}
	if l.Forwards > 0 {
		out = append(out, fmt.Sprintf("%d forward rows", l.Forwards))
	}
	if l.Fuel > 0 {
		out = append(out, rounded(l.Fuel)+" instructions")
	}
	if l.Output > 0 {
		out = append(out, core.Size(l.Output)+" of results")
	}
	if l.Log > 0 {
		out = append(out, core.Size(l.Log)+" of log")
	}
	return strings.Join(out, ", ")
}

// rounded formats a number as --fuel takes it, in the largest unit that leaves it
// whole.
func rounded(n int64) string {
	unit := ""
	for _, next := range []string{"k", "M", "G", "T"} {
		if n%1000 != 0 || n == 0 {
			break
		}
		n, unit = n/1000, next
	}
	return strconv.FormatInt(n, 10) + unit
}

// length formats a length of time without the units that are zero at its end.
func length(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
