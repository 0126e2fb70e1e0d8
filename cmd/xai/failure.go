package main

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
)

// failure is the JSON form of an error.
type failure struct {
	Kind     string `json:"kind"`
	Message  string `json:"message"`
	Hint     string `json:"hint"`
	ExitCode int    `json:"exit_code"`
}

// report writes err to standard error, one sentence and a hint, and returns
// the exit code. With --format json it is one JSON object.
func (a *app) report(err error) int {
	f := failure{Message: err.Error(), ExitCode: int(core.KindOf(err))}
	if e, ok := errors.AsType[*core.Error](err); ok {
		f.Hint = e.Hint
	}
	switch core.Kind(f.ExitCode) {
	case core.KindUsage:
		f.Kind = "usage"
	case core.KindInput:
		f.Kind = "input"
	case core.KindMethod:
		f.Kind = "method"
	case core.KindInterrupted:
		f.Kind = "interrupted"
	default:
		f.Kind = "internal"
	}
	if errors.Is(err, errProblems) { // xai did what it should
		f.Kind = "problems"
	}
	line := report.Lines // what went wrong inside is told in full
	if f.Kind != "internal" {
		line = report.Line
		f.Message, f.Hint = sentence(f.Message), sentence(f.Hint)
	}
	a.clearProgress()
	if wantsJSON(a.args) {
		report.JSON(a.stderr, map[string]failure{"error": f})
		return f.ExitCode
	}
	fmt.Fprintf(a.stderr, "error: %s\n", line(f.Message))
	if f.Hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", report.Line(f.Hint))
	}
	return f.ExitCode
}

// sentence cuts the middle out of a message that nobody could read: it quotes a
// name or an expression of a file, which may be as long as the file.
func sentence(s string) string {
	const most, end = 1000, 300
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	runes := []rune(s)
	return string(runes[:most-end]) + " … " + string(runes[len(runes)-end:])
}

// wantsJSON reports whether args ask for JSON. It reads them raw, since they
// may be what is wrong.
func wantsJSON(args []string) bool {
	if i := slices.Index(args, "--"); i >= 0 {
		args = args[:i]
	}
	i := slices.Index(args, "--format")
	return slices.Contains(args, "--format=json") || i >= 0 && i+1 < len(args) && args[i+1] == "json"
}
