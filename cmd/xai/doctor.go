package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
)

// errProblems is the cause of the error of a machine that something is wrong with.
var errProblems = errors.New("something is wrong with this machine")

func (a *app) doctor() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine has, and what is wrong with it",
		Long: `Doctor looks at the kernels that models run on, the caches, how methods are
confined, the registry files in force with their policy, lock and grants, every
method that they declare, and whether the embedded models answer. It changes
nothing and uses no network. Exit code 1 says that something is wrong.`,
		Example: examples(
			"xai doctor", "before a report of something that does not work",
			"xai doctor --format json | jq '.facts[] | select(.problem != \"\")'", "for a program",
		),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			facts := host.Diagnose(cmd.Context())
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			problems := 0
			for _, f := range facts {
				if f.Problem != "" {
					problems++
				}
			}
			err = a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, struct {
						Facts    []core.Fact `json:"facts"`
						Problems int         `json:"problems"`
					}{facts, problems})
				}
				return a.factsTerm(w, facts, problems)
			})
			if err == nil && problems > 0 {
				err = &core.Error{Kind: core.KindInternal, Msg: plural(problems, "problem") + " found", Hint: "what to do about each stands above", Err: errProblems}
			}
			return err
		},
	}
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

func (a *app) factsTerm(w io.Writer, facts []core.Fact, problems int) error {
	level := a.term().Level
	group := ""
	for _, f := range facts {
		if f.Group != group {
			group = f.Group
			fmt.Fprintln(w, level.Bold(strings.ToUpper(group[:1])+group[1:]))
		}
		mark := "ok"
		if f.Problem != "" {
			mark = level.Bold("!!")
		}
		fmt.Fprintf(w, "  %s %-20s %s\n", mark, report.Line(f.Name), report.Line(f.Value))
		if f.Problem != "" {
			fmt.Fprintf(w, "       problem: %s\n", report.Line(f.Problem))
		}
		if f.Hint != "" {
			fmt.Fprintf(w, "       hint: %s\n", report.Line(f.Hint))
		}
	}
	if problems == 0 {
		fmt.Fprintln(w, "Nothing is wrong.")
	}
	return nil
}
