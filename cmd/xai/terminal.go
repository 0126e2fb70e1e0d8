package main

import (
	"strconv"

	"github.com/xai-go/xai/core/report"
)

// term says how results are laid out on standard output: as wide and colourful
// as the terminal is, or as $COLUMNS and the variables of report.DetectLevel
// ask for.
func (a *app) term() report.Term {
	width, terminal := terminalWidth(a.stdout)
	if !terminal {
		return a.plain()
	}
	enableEscapes(a.stdout)
	return a.layout(width, true)
}

// plain says how results are laid out in a file.
func (a *app) plain() report.Term {
	width, _ := strconv.Atoi(a.getenv("COLUMNS"))
	return a.layout(max(width, 0), false)
}

func (a *app) layout(width int, terminal bool) report.Term {
	t := report.Term{Width: width, Level: report.DetectLevel(a.getenv, terminal)}
	if a.noColour {
		t.Level = report.NoColour
	}
	return t
}
