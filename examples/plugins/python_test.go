package plugins_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/examples/plugins/occlusion-go"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

// TestMain lets the tests confine processes.
func TestMain(m *testing.M) {
	process.WorkerMain()
	os.Exit(m.Run())
}

const (
	// python is the interpreter of the test's methods. Another user than the
	// test's runs it, who may not read everybody's.
	python    = "/usr/bin/python3"
	sdkPython = "../../sdk/python"
)

// packed packs a method in Python and returns the file.
func packed(t *testing.T, source string) string {
	t.Helper()
	if _, err := os.Stat(python); runtime.GOOS != "linux" || err != nil {
		t.Skipf("the methods of this test run with %s of Linux", python)
	}
	out := filepath.Join(t.TempDir(), "method.pyz")
	pack := exec.Command(python, "-I", filepath.Join(sdkPython, "xai.py"), "pack", source, "-o", out)
	if text, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// opened opens the file under the confinement that the example declares.
func opened(t *testing.T, path string) *process.Program {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	c := pythonEntry(t).Confine
	p, err := process.Open(process.Options{
		Path: path, SHA256: hex.EncodeToString(sum[:]),
		Confine:    process.Confine{Read: c.Read, Env: c.Env, AddressSpace: 512 << 20},
		Unconfined: true, // on a machine that cannot
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pythonEntry is what the example declares.
func pythonEntry(t *testing.T) registry.Method {
	t.Helper()
	const path = "occlusion-python/methods.toml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := registry.Parse(text, path)
	if err != nil {
		t.Fatal(err)
	}
	return file.Methods[0]
}

// TestPythonAgrees compares occlusion in Python with the one in Go in process.
func TestPythonAgrees(t *testing.T) {
	p := opened(t, packed(t, "occlusion-python/occlusion.py"))
	info := occlusion.Method{}.Info()
	info.Name = "occlusion-python"
	pair := "it was not"
	for name, c := range map[string]struct {
		in             toy.Input
		window, stride int64
		fill           string
		err            string
	}{
		"words":               {in: toy.Input{Text: "the acting is superb, the story is not"}, window: 1, stride: 1},
		"windows":             {in: toy.Input{Text: "the acting is superb, the story is not"}, window: 3, stride: 2},
		"one window of all":   {in: toy.Input{Text: "the acting is superb"}, window: 1<<63 - 1, stride: 1 << 32, fill: "delete"},
		"a pair, in logits":   {in: toy.Input{Text: "the acting is superb", TextPair: &pair, Output: sdk.Logit}, window: 2, stride: 1, fill: "average"},
		"tokens":              {in: toy.Input{Text: "an unwatchable mess 🎬", Units: toy.UnitsToken}, window: 2, stride: 1, fill: "hide"},
		"no units":            {in: toy.Input{Text: " "}, window: 1, stride: 1, err: "the input has no units"},
		"a stride too long":   {in: toy.Input{Text: "superb"}, window: 2, stride: 3, err: "stride=3 leaves units out"},
		"a fill that is none": {in: toy.Input{Text: "superb"}, window: 1, stride: 1, fill: "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.fill == "" {
				c.fill = "auto"
			}
			c.in.Params = sdk.Params{"window": c.window, "stride": c.stride, "fill": c.fill}
			s, err := toy.Transformer(1).Open(c.in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := native.Explain(t.Context(), occlusion.Method{}, s, s.Request())
			got, _, gotErr := p.Explain(t.Context(), s, s.Request(), info, process.Limits{})
			if c.fill == "nothing" { // what the registry would not let through
				if gotErr == nil || !strings.Contains(gotErr.Error(), "'nothing' is no fill: use one of mask, ") {
					t.Errorf("error %v", gotErr)
				}
				return
			}
			if c.err != "" {
				if err == nil || gotErr == nil || err.Error() != gotErr.Error() || !strings.Contains(gotErr.Error(), c.err) {
					t.Errorf("error %v, and in Go %v", gotErr, err)
				}
				return
			}
			if err != nil || gotErr != nil {
				t.Fatal(gotErr, err)
			}
			if diff := cmp.Diff(want, got, bits); diff != "" {
				t.Errorf("Python differs from Go in process:\n%s", diff)
			}
		})
	}
}

// TestPythonIsPinned holds the example's methods.toml to its sources, and to what
// the program says of itself.
func TestPythonIsPinned(t *testing.T) {
	path := packed(t, "occlusion-python/occlusion.py")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(b), "#!/usr/bin/env python3\n") {
		t.Errorf("the file begins with %q", b[:40])
	}
	entry := pythonEntry(t)
	sum := sha256.Sum256(b)
	for _, a := range entry.Artifacts {
		if a.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("methods.toml pins %s for %s/%s, and the sources give %x", a.SHA256, a.OS, a.Arch, sum)
		}
	}
	text, err := opened(t, path).Methods(t.Context(), process.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	described, err := seal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	info := occlusion.Method{}.Info()
	info.Name = "occlusion-python"
	if diff := cmp.Diff(seal.Of(info), described); diff != "" {
		t.Errorf("it describes itself otherwise than Go (-Go +Python):\n%s", diff)
	}
}

// callsPython opens the method of sdk/python that calls everything.
func callsPython(t *testing.T) *process.Program {
	return opened(t, packed(t, sdkPython+"/testdata/calls.py"))
}

// TestPythonCalls runs that method and compares what the model, the log and the
// results show, as TestSDKs does.
func TestPythonCalls(t *testing.T) {
	var lines []string
	model, r := &recorder{}, callsRequest("all", &lines)
	e, stats, err := callsPython(t).Explain(t.Context(), model, r, callsInfo(), process.Limits{})
	if err != nil {
		t.Fatalf("%v\nits log:\n%s", err, strings.Join(lines, "\n"))
	}
	if diff := cmp.Diff(wantLines, lines); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantForwards(r), model.forwards, bits); diff != "" {
		t.Errorf("the forwards (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"embeddings", "many"}, model.wrt); diff != "" {
		t.Errorf("the points of the gradient (-want +got):\n%s", diff)
	}
	generations := []*sdk.Generation{
		{Prompt: []int32{5, 6}, MaxTokens: 3, Temperature: 0.5, TopK: 2, TopP: 0.75, Seed: 9},
		{MaxTokens: 1},
	}
	if diff := cmp.Diff(generations, model.generations); diff != "" {
		t.Errorf("the generations (-want +got):\n%s", diff)
	}
	if want := "zwei Wörter"; model.tokenized != want {
		t.Errorf("tokenize was given %q, want %q", model.tokenized, want)
	}
	if diff := cmp.Diff(wantExplanation(r), e, bits); diff != "" {
		t.Errorf("the explanation (-want +got):\n%s", diff)
	}
	t.Logf("started in %v, and took %v for %d calls", stats.Start, stats.Method, stats.HostCalls)
}

// TestPythonEnds runs the ways in which a method ends.
func TestPythonEnds(t *testing.T) {
	p := callsPython(t)
	for _, c := range []struct {
		what, method string
		limits       process.Limits
		err          string // that the user reads
		code         sdk.Errno
		log          []string // lines
	}{
		{what: "plain"},
		{what: "release"},
		{what: "large"},
		{what: "print", log: []string{"to standard output", "to standard error", "to the file"}},
		{what: "plain", method: "other", err: "the process has no method other", code: sdk.EName},
		{what: "fail", err: "a message of -5 and 7696581394432", code: sdk.EUnsupported},
		{what: "host", err: "the forward did not ask for the output nothing", code: sdk.EName},
		{what: "cancel", err: "context canceled"},
		{
			what: "trap", err: "the method failed: IndexError: list index out of range (calls.py, line 50)", code: sdk.EInternal,
			log: []string{"Traceback (most recent call last):", "IndexError: list index out of range"},
		},
		{what: "exit", err: "the method failed: SystemExit: enough (calls.py, line", code: sdk.EInternal},
		{what: "end", err: "exit code 7", code: sdk.EInternal},
		{what: "memory", err: "512 MiB of memory"},
		{what: "nothing", err: "the method returned something else than an Explanation", code: sdk.EInternal},
		{what: "short", err: "1 ", code: sdk.EInternal},
		{what: "words", err: "the method returned attributions that cannot be read: a tensor holds numbers, and was given a text", code: sdk.EInternal},
		{what: "secret", err: "the method failed: PermissionError: [Errno 13] Permission denied: '/etc/passwd' (calls.py, line", code: sdk.EInternal},
		{what: "loop", limits: process.Limits{Timeout: 4 * time.Second}, err: "limit of 4s", log: []string{"looping"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.what == "secret" && p.Confinement().Files == "" {
				c.err = "" // this machine cannot keep files from a process
			}
			var lines []string
			info := callsInfo()
			if c.method != "" {
				info.Name = c.method
			}
			e, _, err := p.Explain(t.Context(), &recorder{}, callsRequest(c.what, &lines), info, c.limits)
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err == "":
				if diff := cmp.Diff([]float64{1, 2, 3}, e.Attributions[0].Values); diff != "" {
					t.Error(diff)
				}
			case err == nil || !strings.Contains(err.Error(), c.err) || strings.ContainsAny(err.Error(), "\n"):
				t.Errorf("error %v, want one that says %q", err, c.err)
			case c.code != 0 && !errors.Is(err, &sdk.Error{Code: c.code}):
				t.Errorf("the error %v has not the code %v", err, c.code)
			}
			for _, line := range c.log {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.TrimLeft(l, "!") == line }) {
					t.Errorf("the log is %q, and should have %q", lines, line)
				}
			}
		})
	}
}

// TestPythonIsCancelled gives up methods that do not listen.
func TestPythonIsCancelled(t *testing.T) {
	p := callsPython(t)
	for _, what := range []string{"loop", "sleep", "deaf"} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := callsRequest(what, new([]string))
			var cancelled time.Time
			r.Log = func(level sdk.Level, line string) {
				if level == sdk.Note {
					cancelled = time.Now()
					cancel()
				}
			}
			_, _, err := p.Explain(ctx, &recorder{}, r, callsInfo(), process.Limits{})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(cancelled); took > 10*time.Second {
				t.Errorf("it took %v to end", took)
			}
		})
	}
}
