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
	in := a.terminalInput()
	if in == nil {
		return nil
	}
	return a.askOn(in)
}

// confirm is ask for other questions, about facts that are sentences without their
// full stops.
func (a *app) confirm() func(ctx context.Context, facts []string, question string) (bool, error) {
	in := a.terminalInput()
	if in == nil {
		return nil
	}
	return func(ctx context.Context, facts []string, question string) (bool, error) {
		return a.question(ctx, in, facts, question)
	}
}

// terminalInput returns standard input where it and standard error are a terminal,
// otherwise nil.
func (a *app) terminalInput() *os.File {
	in, ok := a.stdin.(*os.File)
	_, watched := terminalWidth(a.stderr)
	if !ok || !watched || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	return in
}

// askOn asks on standard error and reads the answers from in.
func (a *app) askOn(in io.Reader) func(context.Context, *registry.Ask) (bool, error) {
	return func(ctx context.Context, ask *registry.Ask) (bool, error) {
		return a.question(ctx, in, []string{ask.String()}, "Allow it, now and whenever these bytes run?")
	}
}

// question tells facts and asks a question on standard error, and reads the answer
// from in.
func (a *app) question(ctx context.Context, in io.Reader, facts []string, question string) (bool, error) {
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
	for _, fact := range facts {
		fmt.Fprintf(a.stderr, "%s.\n", report.Line(fact))
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
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
