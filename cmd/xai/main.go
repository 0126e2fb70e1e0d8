// Command xai explains what a pre-trained language model did.
//
// Run xai without arguments for a start, and xai COMMAND --help for examples.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/xai-go/xai/core"
)

func main() {
	core.WorkerMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// grace is how long a run that is cancelled, or past --timeout, may take to end
// by itself. What does not notice in that time (the compilation of a module) is
// left behind.
const grace = 200 * time.Millisecond

// run is the whole program: it runs the command line args and returns the exit
// code. It returns soon after ctx is cancelled or --timeout has passed, even where
// the command does not.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	late := make(chan struct{})
	a := &app{late: sync.OnceFunc(func() { close(late) }), args: args, stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv}
	done := make(chan error, 1)
	go func() { done <- a.execute(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(grace):
			err = ctx.Err()
		}
	case <-late:
		select {
		case err = <-done:
		case <-time.After(grace):
			err = context.DeadlineExceeded
		}
	}
	a.abandon()
	switch {
	case err == nil, readerGone(err): // it has seen enough
		return 0
	case ctx.Err() != nil:
		err = &core.Error{Kind: core.KindInterrupted, Msg: "interrupted"}
	case a.timeout > 0 && errors.Is(err, context.DeadlineExceeded):
		err = &core.Error{Kind: core.KindMethod, Msg: fmt.Sprintf("the run took longer than %s", length(a.timeout)), Hint: "give it longer with --timeout"}
	}
	return a.report(err)
}

// recoverError turns a panic of a command into an error, so that a defect is
// reported in the same form as everything else, and with where it happened.
func recoverError(err *error) {
	if r := recover(); r != nil {
		*err = &core.Error{Kind: core.KindInternal, Msg: fmt.Sprintf("xai has a defect: %v\n\n%s", r, debug.Stack()), Hint: "please report it with the command line that caused it"}
	}
}
