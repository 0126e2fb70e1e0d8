package process_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/process/testdata/method"
	"github.com/xai-go/xai/sdk"
)

// came is what came of an explanation.
type came struct {
	err  error
	logs []string
	took time.Duration
}

// misbehave has a test program under a name that says what it does explain, and
// returns what runs that.
func misbehave(t *testing.T, name string, limits process.Limits) func() came {
	t.Helper()
	p := program(t, name, process.Confine{AddressSpace: 8 << 30})
	s, r := session(t, nil)
	var logs []string
	r.Log = func(_ sdk.Level, line string) { logs = append(logs, line) }
	return func() came {
		start := time.Now()
		_, _, err := p.Explain(t.Context(), s, r, method.Method{}.Info(), limits)
		return came{err, logs, time.Since(start)}
	}
}

// TestHostile holds that whatever a process does wrong ends in an error with a
// type, and leaves nothing.
func TestHostile(t *testing.T) {
	const protocol = "the executable does not speak the protocol of methods"
	for _, c := range []struct {
		name  string
		code  sdk.Errno
		wants string
		log   string // a line of it
	}{
		{"hello-exit", sdk.EInternal, "the method's process ended itself with exit code 3", "there is nothing to serve"},
		{"hello-closed", sdk.EInternal, protocol, ""},
		{"hello-garbage", sdk.EInternal, protocol, ""},
		{"hello-long", sdk.EInternal, protocol, ""},
		{"hello-flood", sdk.EInternal, "the method's process listens where it may not", ""},
		{"hello-version", sdk.EUnsupported, "the process speaks protocol 2 and this xai speaks 1: a newer xai is needed", ""},
		{"hello-elsewhere", sdk.EInternal, "the method's process listens where it may not", ""},
		{"hello-tcp", sdk.EInternal, "the method's process listens where it may not", ""},
		{"hello-nobody", sdk.EInternal, "the method's process broke the connection", ""},
		{"hello-certificate", sdk.EInternal, "the connection to the method's process fails", ""},
		{"raw-unstarted", sdk.EInternal, "does not say first that it has started", ""},
		{"raw-started-twice", sdk.EInternal, "says twice that it has started", ""},
		{"raw-newer", sdk.EUnsupported, "the process speaks ABI 1.1 and this xai speaks 1.0: a newer xai is needed", ""},
		{"raw-older", sdk.EUnsupported, "the process speaks ABI 0.0 and this xai speaks 1.0: a newer version of the method is needed", ""},
		{"raw-return", sdk.EInternal, "the method's process ended the explanation without a result", ""},
		{"raw-status", sdk.EInternal, "the method's process broke the connection: the [31mmethod[0m is upset", ""},
		{"raw-exit", sdk.EInternal, "the method's process ended itself with exit code 3", "leaving early"},
		{"raw-exit-well", sdk.EInternal, "the method's process ended itself before it had a result", ""},
		{"hello-late", sdk.EInternal, protocol, ""},
		{"raw-exit-call", sdk.EInternal, "the method's process ended itself before it had a result", ""},
		{"raw-trailer", sdk.EInternal, "the method's process broke the connection", ""},
		{"raw-status-long", sdk.EInternal, "the method's process broke the connection", ""},
		{"raw-end-twice", sdk.ERange, "ERANGE", ""},
		{"raw-kill", sdk.EInternal, "the method's process", ""},
		{"raw-segv", sdk.EInternal, "the method's process ended itself with exit code 2: panic: runtime error: invalid memory address or nil pointer dereference", "panic: runtime error: invalid memory address or nil pointer dereference"},
		{"raw-giant", sdk.EInternal, "the method's process sent a message of more than 16 MiB", ""},
		{"raw-code", sdk.EInternal, "the method returned -77, which is neither 0 nor an error code", ""},
		{"raw-no-results", sdk.EInternal, "the method returned no attributions", ""},
		{"raw-result-twice", sdk.EName, "the method returned two results named baseline", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			leavesNothing(t)
			got := misbehave(t, c.name, process.Limits{Timeout: time.Minute, MemoryBytes: 3 << 30})()
			if ours, ok := errors.AsType[*sdk.Error](got.err); !ok || ours.Code != c.code || !strings.Contains(got.err.Error(), c.wants) {
				t.Errorf("got %v, want %v: %s", got.err, c.code, c.wants)
			}
			if c.log != "" && !slices.Contains(got.logs, c.log) {
				t.Errorf("the log is %q, want the line %q", got.logs, c.log)
			}
		})
	}
}

// TestEndless holds that what never ends does end, all at once, and that none of
// it fills the log.
func TestEndless(t *testing.T) {
	leavesNothing(t)
	limits := process.Limits{Timeout: 10 * time.Second, MemoryBytes: 3 << 30}
	all := map[string]func() came{}
	for _, name := range []string{
		"hello-silent", "hello-slow", "hello-mute", "raw-hang", "raw-progress", "raw-log", "raw-deaf", "raw-stderr", "raw-stdout",
		"hello-shout", "raw-stop", "raw-parts", "raw-slow",
	} {
		all[name] = misbehave(t, name, limits)
	}
	var group sync.WaitGroup
	for name, run := range all {
		group.Go(func() {
			got := run()
			if limit, ok := errors.AsType[*contract.LimitError](got.err); !ok || limit.Limit != "timeout" {
				t.Errorf("%s: got %v, want the deadline", name, got.err)
			}
			if got.took > limits.Timeout+5*time.Second {
				t.Errorf("%s: it took %v", name, got.took)
			}
			size := 0
			for _, line := range got.logs {
				size += len(line) + 1
			}
			if size > 70<<10 {
				t.Errorf("%s: it wrote %d bytes to the log, and may write 64 KiB", name, size)
			}
			if name == "raw-stdout" || name == "raw-log" {
				if len(got.logs) == 0 || !strings.HasPrefix(got.logs[len(got.logs)-1], "the method's log was cut") {
					t.Errorf("%s: the log has %d lines, and does not say that it was cut", name, len(got.logs))
				}
			}
		})
	}
	group.Wait()
}

// TestWrongCalls holds that calls that are wrong are answered as what they are, and
// a thousand at once in their order.
func TestWrongCalls(t *testing.T) {
	leavesNothing(t)
	logs := misbehave(t, "raw-calls", process.Limits{Timeout: time.Minute})().logs
	slices.Sort(logs)
	want := []string{
		"a thousand calls at once were answered in their order",
		"after all: 0", "dims: -1", "forward: -1", "free: -2", "generate: -1", "grad: -1", "info: -2", "input: -11", "level: -1", "long: -5",
		"new: -1", "nothing: -9", "op: -9", "param: -11", "progress: -1", "random: -5", "read: -2", "reply: -2", "result: -2", "strided: -2",
		"tokenize: 1", "write: -2",
	}
	if diff := cmp.Diff(want, logs); diff != "" {
		t.Error(diff)
	}
}

func TestOpen(t *testing.T) {
	b := pluginBuilt()
	if b.err != nil {
		t.Fatal(b.err)
	}
	_, err := process.Open(process.Options{Path: b.path, SHA256: strings.Repeat("0", 64)})
	if !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) || !strings.Contains(err.Error(), b.sha256) {
		t.Errorf("another hash: %v", err)
	}
	if _, err := process.Open(process.Options{Path: b.path + ".not", SHA256: b.sha256}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	p, err := process.Open(process.Options{Path: b.path, SHA256: b.sha256})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Errorf("closed: %v", err)
		}
	}
}

// TestWhatWasVerifiedRuns holds that a file that changes after it was verified
// changes nothing, or is noticed.
func TestWhatWasVerifiedRuns(t *testing.T) {
	leavesNothing(t)
	b := pluginBuilt()
	if b.err != nil {
		t.Fatal(b.err)
	}
	content, err := os.ReadFile(b.path)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/" + exe("plugin")
	if err := os.WriteFile(path, content, 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := process.Open(process.Options{Path: path, SHA256: b.sha256, Unconfined: runtime.GOOS != "linux"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, r := session(t, nil)
	_, _, err = p.Explain(t.Context(), s, r, method.Method{}.Info(), process.Limits{})
	if runtime.GOOS == "linux" && err != nil {
		t.Errorf("what was verified does not run: %v", err)
	}
	if runtime.GOOS != "linux" && !strings.Contains(err.Error(), "was pinned") {
		t.Errorf("the change was not noticed: %v", err)
	}
}

func TestMethods(t *testing.T) {
	leavesNothing(t)
	got, err := program(t, "plugin", process.Confine{}).Methods(t.Context(), process.Limits{})
	if err != nil || !strings.HasPrefix(string(got), `[{"name":"everything","version":"1.0.0"`) {
		t.Errorf("%s, %v", got, err)
	}
	_, err = program(t, "raw-return", process.Confine{}).Methods(t.Context(), process.Limits{})
	if !errors.Is(err, &sdk.Error{Code: sdk.ERange}) {
		t.Errorf("a description that is too long: %v", err)
	}
	_, err = program(t, "hello-exit", process.Confine{}).Methods(t.Context(), process.Limits{})
	if want := sdk.NewError(sdk.EInternal, "the method's process ended itself with exit code 3: there is nothing to serve"); !errors.Is(err, want) {
		t.Errorf("ended at once: %v, want %v", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := program(t, "plugin", process.Confine{}).Methods(ctx, process.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestHandles holds that what a method was given and holds at its end is counted.
func TestHandles(t *testing.T) {
	leavesNothing(t)
	s, r := session(t, nil)
	_, stats, err := program(t, "plugin", process.Confine{}).Explain(t.Context(), s, r, method.Method{}.Info(), process.Limits{})
	if err != nil || stats.Handles == 0 || stats.OpenHandles != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// TestPrints holds that what a method prints is in its log, to the last line.
func TestPrints(t *testing.T) {
	leavesNothing(t)
	p := program(t, "plugin", process.Confine{})
	s, r := session(t, map[string]string{"mode": "print", "label": "somebody", "inside": "false"})
	var logs []string
	r.Log = func(_ sdk.Level, line string) { logs = append(logs, line) }
	if _, _, err := p.Explain(t.Context(), s, r, method.Method{}.Info(), process.Limits{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(logs, "printed by somebody") {
		t.Errorf("the log is %q", logs)
	}
}
