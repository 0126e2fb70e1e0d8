package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xai-go/xai/core"
)

func TestSize(t *testing.T) {
	for _, c := range []struct {
		given string
		want  size
	}{
		{"1", 1}, {"4096", 4096}, {"10B", 10}, {"2KiB", 2048}, {"512MiB", 512 << 20}, {"1.5GiB", 3 << 29}, {"1TiB", 1 << 40},
		{"1kB", 1000}, {"1KB", 1000}, {"3MB", 3e6}, {"2 GB", 2e9},
		{"", 0}, {"MiB", 0}, {"0", 0}, {"-1", 0}, {"1e300", 0}, {"NaN", 0}, {"Inf", 0}, {"1PiB", 0}, {"9e9TiB", 0}, {"0.5", 0},
	} {
		var got size
		err := got.Set(c.given)
		if got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%q is %d (%v), want %d", c.given, got, err, c.want)
		}
		if err != nil && core.KindOf(err) != core.KindUsage {
			t.Errorf("%q: the error is of kind %d", c.given, core.KindOf(err))
		}
	}
}

// closedPipe is a reader that has seen enough.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Err: syscall.EPIPE}
}

// fullDisk fails for another reason.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestRunOutput(t *testing.T) {
	for _, c := range []struct {
		name string
		w    io.Writer
		want int
	}{{"closed pipe", closedPipe{}, 0}, {"full disk", fullDisk{}, 3}} {
		var stderr bytes.Buffer
		if got := run(t.Context(), []string{"version"}, nil, c.w, &stderr, os.Getenv); got != c.want {
			t.Errorf("%s: exit code %d, want %d (%s)", c.name, got, c.want, stderr.String())
		}
		if (stderr.Len() == 0) != (c.want == 0) {
			t.Errorf("%s: standard error is %q", c.name, stderr.String())
		}
	}
}

// blocked is a reader that never gives anything.
type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

// TestRunInterrupted checks that a run ends where its command cannot notice
// that it was cancelled.
func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	var stdout, stderr bytes.Buffer
	start := time.Now()
	code := run(ctx, []string{"explain"}, blocked{}, &stdout, &stderr, os.Getenv)
	if code != 5 || stdout.Len() > 0 || stderr.String() != "error: interrupted\n" {
		t.Errorf("exit code %d, %q, %q", code, stdout.String(), stderr.String())
	}
	if d := time.Since(start); d > 10*grace {
		t.Errorf("it took %v to end", d)
	}
}

// TestRunLate checks that --timeout ends a command that waits for its input.
func TestRunLate(t *testing.T) {
	for _, command := range []string{"explain", "predict"} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{command, "--timeout", "20ms"}, blocked{}, &stdout, &stderr, os.Getenv)
		want := "error: the run took longer than 20ms\nhint: give it longer with --timeout\n"
		if code != 4 || stdout.Len() > 0 || stderr.String() != want {
			t.Errorf("%s: exit code %d, %q, %q", command, code, stdout.String(), stderr.String())
		}
	}
}

// TestPredictDType checks that the two number formats agree but for rounding,
// and that they are two.
func TestPredictDType(t *testing.T) {
	logits := func(dtype string) []float64 {
		var stdout, stderr bytes.Buffer
		args := []string{"predict", "A gripping, beautifully shot film.", "--format", "json", "--dtype", dtype}
		if code := run(t.Context(), args, nil, &stdout, &stderr, os.Getenv); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		var p struct{ Logits []float64 }
		if err := json.Unmarshal(stdout.Bytes(), &p); err != nil || len(p.Logits) != 2 {
			t.Fatalf("%v: %s", err, stdout.String())
		}
		return p.Logits
	}
	single, double := logits("f32"), logits("f64")
	for i, want := range double {
		if d := math.Abs(single[i] - want); d == 0 || d > 2e-5 {
			t.Errorf("logit %d is %v in f32 and %v in f64", i, single[i], want)
		}
	}
}

func TestLength(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{500 * time.Millisecond, "500ms"}, {30 * time.Second, "30s"}, {time.Minute, "1m"}, {90 * time.Second, "1m30s"},
		{time.Hour, "1h"}, {10 * time.Minute, "10m"}, {70 * time.Minute, "1h10m"}, {time.Hour + time.Second, "1h0m1s"},
	} {
		if got := length(c.d); got != c.want {
			t.Errorf("%v is %q, want %q", c.d, got, c.want)
		}
	}
}

func TestRunDefect(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"version"}, nil, panicking{}, &stderr, os.Getenv)
	text := stderr.String()
	if code != 1 || !strings.HasPrefix(text, "error: xai has a defect: boom\n\ngoroutine ") || !strings.Contains(text, "\nhint: ") {
		t.Errorf("exit code %d, %q", code, text)
	}
	if !strings.Contains(text, "panicking.Write") {
		t.Errorf("nothing says where it happened: %q", text)
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("boom") }

// TestOutput checks that a file is written whole or not at all.
func TestOutput(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	fail := errors.New("no result")
	text := func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }
	for _, c := range []struct {
		name string
		ctx  context.Context
		f    func(io.Writer) error
		want string
		err  error
	}{
		{"done", t.Context(), text, "new", nil},
		{"the result fails", t.Context(), func(w io.Writer) error { text(w); return fail }, "old", fail},
		{"cancelled", cancelled, text, "old", context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "file")
			if err := os.WriteFile(name, []byte("old"), 0o666); err != nil {
				t.Fatal(err)
			}
			a := &app{}
			o, err := a.openOutput(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := o.write(c.ctx, a, c.f); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got, err := os.ReadFile(name); err != nil || string(got) != c.want {
				t.Errorf("the file holds %q (%v), want %q", got, err, c.want)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 1 {
				t.Errorf("other files are left behind: %v", entries)
			}
		})
	}
	t.Run("abandoned", func(t *testing.T) {
		dir := t.TempDir()
		a := &app{}
		f, err := a.create(&output{target: filepath.Join(dir, "file"), mode: 0o666})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		a.abandon()
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("files are left behind: %v", entries)
		}
		if _, err := a.create(&output{target: filepath.Join(dir, "other"), mode: 0o666}); err == nil {
			t.Error("another file is begun")
		}
	})
}

func TestBar(t *testing.T) {
	var b bytes.Buffer
	start := time.Now()
	bar := bar{w: &b, width: 60, start: start}
	for _, c := range []struct {
		name        string
		at          time.Duration
		done, total int
		want        string
	}{
		{"too early", 400 * time.Millisecond, 10, 100, ""},
		{"drawn", 2 * time.Second, 25, 100, "\r\x1b[K  " + strings.Repeat("━", 9) + strings.Repeat("·", 27) + "  25 % 25/100 6s left"},
		{"too soon again", 2*time.Second + 50*time.Millisecond, 26, 100, ""},
		{"nothing to do", 3 * time.Second, 0, 0, ""},
		{"the beginning", 4 * time.Second, 0, 100, "\r\x1b[K  " + strings.Repeat("·", 40) + "   0 % 0/100"},
		{"the end", 5 * time.Second, 100, 100, "\r\x1b[K  " + strings.Repeat("━", 35) + " 100 % 100/100 0s left"},
		{"more than all", 5500 * time.Millisecond, 101, 100, "\r\x1b[K  " + strings.Repeat("━", 35) + " 100 % 101/100 0s left"},
		{"less than nothing", 5700 * time.Millisecond, -3, 100, "\r\x1b[K  " + strings.Repeat("·", 40) + "   0 % -3/100"},
	} {
		b.Reset()
		bar.draw(start.Add(c.at), c.done, c.total)
		if got := b.String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	bar.width = 20
	b.Reset()
	bar.draw(start.Add(6*time.Second), 50, 100)
	if got := b.String(); got != "\r\x1b[K  50 % 50/100 6s left" {
		t.Errorf("narrow: %q", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1}, 2}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.v); got != c.want {
			t.Errorf("median(%v) = %v", c.v, got)
		}
	}
}

// TestBoundHeap: the garbage collector knows the budget, and what a method may
// take beside it.
func TestBoundHeap(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	// What an embedded model remembers, answers, handles and results.
	const others = 64<<20 + 512<<20 + 256<<20 + 16<<20 + beside
	for _, c := range []struct {
		args []string
		env  string
		want int64
	}{
		{[]string{"predict", "good"}, "", 4<<30 + 64<<20 + others},
		{[]string{"predict", "good", "--memory", "1GiB"}, "", 1<<30 + 64<<20 + others},
		{[]string{"predict", "good", "--memory", "1GiB"}, "2GiB", before},
		{[]string{"explain", "good", "--memory", "1GiB", "-M", "lime"}, "", 1<<30 + 512<<20 + others}, // lime's own memory
		{[]string{"tokenize", "good", "--memory", "1GiB", "--dtype", "int8"}, "", 2<<30 + 64<<20 + 64<<20 + others},
	} {
		debug.SetMemoryLimit(before)
		getenv := func(key string) string {
			if key == "GOMEMLIMIT" {
				return c.env
			}
			return os.Getenv(key)
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), c.args, nil, &stdout, &stderr, getenv); code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr.String())
		}
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%q with GOMEMLIMIT=%q: the limit is %d, want %d", c.args, c.env, got, c.want)
		}
	}
}

// TestLongMessages: what a message quotes may be long, the message is not; its
// beginning and its end say what is wrong.
func TestLongMessages(t *testing.T) {
	name := strings.Repeat("*é", 1<<16) + "x"
	for _, format := range [][]string{nil, {"--format", "json"}} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"models", "points", "builtin:sentiment-en", name}, format...), nil, &stdout, &stderr, os.Getenv)
		if text := stderr.String(); code != 2 || len(text) > 4000 || !strings.Contains(text, "*é*é") || !strings.Contains(text, "no name matches") {
			t.Errorf("exit code %d, %d bytes: %.200s", code, len(text), text)
		}
	}
}
