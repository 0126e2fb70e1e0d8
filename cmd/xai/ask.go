package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/registry"
)

// ask returns what asks the user whether a method may have what it needs, nil
// where nobody can be asked: where standard input or standard error is no
// terminal.
func (a *app) ask() func(context.Context, *registry.Ask) (bool, error) {
	in, ok := a.stdin.(*os.File)
	_, watched := terminalWidth(a.stderr)
	if !ok || !watched || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return a.askOn(in)
}

// askOn asks on standard error and reads the answers from in.
func (a *app) askOn(in io.Reader) func(context.Context, *registry.Ask) (bool, error) {
	return func(ctx context.Context, ask *registry.Ask) (bool, error) {
		a.clearProgress()
		a.mu.Lock()
		hidden := a.progress
		a.progress = nil
		a.mu.Unlock()
		defer func() {
			a.mu.Lock()
			a.progress = hidden
			a.mu.Unlock()
		}()
		fmt.Fprintf(a.stderr, "%s.\nAllow it, now and whenever these bytes run? [y/N] ", report.Line(ask.String()))
		answer := make(chan string, 1)
		go func() { // a read cannot be interrupted; the program ends with it
			line, _ := bufio.NewReader(in).ReadString('\n')
			answer <- line
		}()
		select {
		case line := <-answer:
			switch strings.ToLower(strings.TrimSpace(line)) {
			case "y", "yes":
				return true, nil
			}
			return false, nil
		case <-ctx.Done():
			fmt.Fprintln(a.stderr)
			return false, ctx.Err()
		}
	}
}
