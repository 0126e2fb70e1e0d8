package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/sdk"
)

// bar is a progress bar on a terminal. It shows itself when a run has lasted
// for a while, and is cleared at the end.
type bar struct {
	w     io.Writer
	width int
	start time.Time
	drawn time.Time
}

// patience is how long a run may last before it shows a bar, and refresh how
// often the bar is drawn.
const (
	patience = 500 * time.Millisecond
	refresh  = 100 * time.Millisecond
)

// showProgress returns a callback for core.Request.Progress, nil where standard
// error is no terminal.
func (a *app) showProgress() func(done, total int) {
	width, ok := terminalWidth(a.stderr)
	if !ok {
		return nil
	}
	enableEscapes(a.stderr)
	a.mu.Lock()
	a.progress = &bar{w: a.stderr, width: width, start: time.Now()}
	a.mu.Unlock()
	return func(done, total int) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.progress != nil {
			a.progress.draw(time.Now(), done, total)
		}
	}
}

// draw draws the bar, at most once in refresh. What was done is taken to lie
// between nothing and all of it.
func (b *bar) draw(now time.Time, done, total int) {
	elapsed := now.Sub(b.start)
	if total <= 0 || elapsed < patience || now.Sub(b.drawn) < refresh {
		return
	}
	b.drawn = now
	share := max(0, min(float64(done)/float64(total), 1))
	left := ""
	if share > 0.005 {
		rest := time.Duration(float64(elapsed) * (1 - share) / share)
		left = fmt.Sprintf(" %s left", rest.Round(time.Second))
	}
	label := fmt.Sprintf(" %3.0f %% %d/%d%s", 100*share, done, total, left)
	width := min(b.width-len(label)-3, 40)
	if width < 4 {
		fmt.Fprintf(b.w, "\r\x1b[K%s", label)
		return
	}
	full := int(share*float64(width) + 0.5)
	fmt.Fprintf(b.w, "\r\x1b[K  %s%s%s", strings.Repeat("━", full), strings.Repeat("·", width-full), label)
}

// clearProgress takes the bar off the terminal, if there is one.
func (a *app) clearProgress() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.progress != nil && !a.progress.drawn.IsZero() {
		fmt.Fprint(a.progress.w, "\r\x1b[K")
	}
	a.progress = nil
}

// log writes what a method has to say to standard error: warnings always, notes
// where a person is watching.
func (a *app) log(level sdk.Level, message string) {
	_, watched := terminalWidth(a.stderr)
	word := "note"
	switch {
	case level == sdk.Warning:
		word = "warning"
	case level < sdk.Note || !watched:
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.progress != nil && !a.progress.drawn.IsZero() {
		fmt.Fprint(a.progress.w, "\r\x1b[K")
	}
	fmt.Fprintf(a.stderr, "%s: %s\n", word, report.Line(message))
}

// terminalWidth returns the columns of w, and false where it is no terminal.
func terminalWidth(w io.Writer) (int, bool) {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}
