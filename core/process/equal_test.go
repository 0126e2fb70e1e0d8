package process_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/process/testdata/method"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
)

var bits = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }),
	cmpopts.EquateEmpty(),
}

// declared is the method with another description.
type declared struct {
	method.Method
	info sdk.Info
}

func (d declared) Info() sdk.Info { return d.info }

// runtimes are what runs the method, all of which must be the same.
type runtimes map[string]func(ctx context.Context, m sdk.Model, r *sdk.Request, info sdk.Info) (*sdk.Explanation, error)

func newRuntimes(t *testing.T) runtimes {
	t.Helper()
	p := program(t, "plugin", process.Confine{})
	m := module(t, compiled(t))
	return runtimes{
		"process": func(ctx context.Context, m sdk.Model, r *sdk.Request, info sdk.Info) (*sdk.Explanation, error) {
			e, _, err := p.Explain(ctx, m, r, info, process.Limits{})
			return e, err
		},
		"module apart": func(ctx context.Context, model sdk.Model, r *sdk.Request, info sdk.Info) (*sdk.Explanation, error) {
			e, _, err := m.Explain(ctx, model, r, info, wasm.Limits{})
			return e, err
		},
	}
}

// TestEqualsNative holds that a method has the same bits, and writes the same log,
// in process, in a process and as a module in a process.
func TestEqualsNative(t *testing.T) {
	leavesNothing(t)
	all := newRuntimes(t)
	all["native"] = inProcess
	for name, params := range map[string]map[string]string{
		"everything": nil,
		"outside":    {"inside": "false", "scale": "-0.1", "label": ""},
		"many rows":  {"n": "500"},
		"one row":    {"n": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(runtime string) (*sdk.Explanation, []string) {
				s, r := session(t, params)
				var logs []string
				r.Log = func(_ sdk.Level, line string) { logs = append(logs, line) }
				e, err := all[runtime](t.Context(), s, r, method.Method{}.Info())
				if err != nil {
					t.Fatal(err)
				}
				return e, logs
			}
			want, wantLog := run("native")
			for runtime := range all {
				got, gotLog := run(runtime)
				if diff := cmp.Diff(want, got, bits); diff != "" {
					t.Errorf("%s differs from the method in process (-native +%s):\n%s", runtime, runtime, diff)
				}
				if diff := cmp.Diff(wantLog, gotLog, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s writes another log:\n%s", runtime, diff)
				}
			}
		})
	}
}

func inProcess(ctx context.Context, m sdk.Model, r *sdk.Request, info sdk.Info) (*sdk.Explanation, error) {
	return native.Explain(ctx, declared{info: info}, m, r)
}

// broken is a model whose disk is gone.
type broken struct{ sdk.Model }

var errBroken = errors.New("the disk under the model is gone")

func (broken) Forward(context.Context, *sdk.Forward) (sdk.Reply, error) { return nil, errBroken }

func TestErrorsEqualNative(t *testing.T) {
	leavesNothing(t)
	all := newRuntimes(t)
	internal := func(text string) error { return sdk.NewError(sdk.EInternal, text) }
	for name, c := range map[string]struct {
		params map[string]string
		needs  []sdk.Need // all
		model  func(sdk.Model) sdk.Model
		want   error
	}{
		"sdk error":       {params: map[string]string{"mode": "fail"}, want: sdk.NewError(sdk.ERange, "the method is out of range")},
		"panic":           {params: map[string]string{"mode": "panic"}, want: internal("the method panicked: the method is upset")},
		"index":           {params: map[string]string{"mode": "index"}, want: internal("the method panicked: runtime error: index out of range [6] with length 6")},
		"target":          {params: map[string]string{"mode": "wrap"}, want: &sdk.Error{Code: sdk.EName}},
		"nothing":         {params: map[string]string{"mode": "nothing"}, want: internal("the method returned neither an explanation nor an error")},
		"short":           {params: map[string]string{"mode": "short"}, want: internal("the method returned 1 values of attributions for 6 units")},
		"point ungranted": {needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedGenerate, sdk.NeedTokenize, sdk.NeedHiddenStates}, want: &sdk.Error{Code: sdk.ECap}},
		"no such point":   {params: map[string]string{"mode": "unknown"}, want: &sdk.Error{Code: sdk.EName}},
		"model's error":   {model: func(m sdk.Model) sdk.Model { return broken{m} }, want: errBroken},
		"without powers":  {model: func(m sdk.Model) sdk.Model { return struct{ sdk.Model }{m} }, want: &sdk.Error{Code: sdk.ECap}},
	} {
		t.Run(name, func(t *testing.T) {
			info := method.Method{}.Info()
			if c.needs != nil {
				info.Needs = c.needs
			}
			run := func(explain func(context.Context, sdk.Model, *sdk.Request, sdk.Info) (*sdk.Explanation, error)) error {
				s, r := session(t, c.params)
				var m sdk.Model = s
				if c.model != nil {
					m = c.model(m)
				}
				_, err := explain(t.Context(), m, r, info)
				return err
			}
			err := run(inProcess)
			if !errors.Is(err, c.want) {
				t.Fatalf("in process: %v, want %v", err, c.want)
			}
			text := err.Error()
			for runtime, explain := range all {
				if err := run(explain); !errors.Is(err, c.want) || err.Error() != text {
					t.Errorf("%s: %v, want %v, as %s", runtime, err, c.want, text)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	leavesNothing(t)
	info := method.Method{}.Info()
	p, m := program(t, "plugin", process.Confine{}), module(t, compiled(t))
	for name, c := range map[string]struct {
		params map[string]string
		limits process.Limits
		limit  string
		text   string
	}{
		"time":    {map[string]string{"mode": "spin"}, process.Limits{Timeout: time.Second}, contract.LimitTimeout, "ran longer than its limit of 1s"},
		"waiting": {map[string]string{"mode": "wait"}, process.Limits{Timeout: time.Second}, contract.LimitTimeout, "ran longer than its limit of 1s"},
		"memory":  {map[string]string{"mode": "hog"}, process.Limits{MemoryBytes: 64 << 20}, contract.LimitMemory, "needs more than its 64 MiB of memory"},
		"output":  {nil, process.Limits{OutputBytes: 100}, contract.LimitOutput, "returned more than its 100 bytes of results"},
		"handles": {map[string]string{"n": "1000"}, process.Limits{HandleBytes: 2048}, contract.LimitHandles, "holds more than its 2 KiB of tensors"},
		"rows":    {map[string]string{"mode": "rows", "n": "20"}, process.Limits{Forwards: 10}, contract.LimitForwards, "asks for more than its 10 rows"},
	} {
		t.Run(name, func(t *testing.T) {
			for runtime, explain := range map[string]func(sdk.Model, *sdk.Request) error{
				"process": func(model sdk.Model, r *sdk.Request) error {
					_, _, err := p.Explain(t.Context(), model, r, info, c.limits)
					return err
				},
				"module apart": func(model sdk.Model, r *sdk.Request) error {
					_, _, err := m.Explain(t.Context(), model, r, info, c.limits)
					return err
				},
			} {
				s, r := session(t, c.params)
				r.Log = func(_ sdk.Level, line string) { t.Log(line) }
				start := time.Now()
				err := explain(s, r)
				if runtime == "module apart" && c.params["mode"] == "wait" {
					continue // nobody tells a module, which waits for good
				}
				limit, ok := errors.AsType[*contract.LimitError](err)
				if !ok || limit.Limit != c.limit || !strings.Contains(limit.Message, c.text) {
					t.Errorf("%s: %v, want the limit of %s that says %q", runtime, err, c.limit, c.text)
				}
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("%s: it took %v", runtime, took)
				}
			}
		})
	}
}

// TestConcurrent runs sixteen explanations at once, one of which the user gives up.
func TestConcurrent(t *testing.T) {
	leavesNothing(t)
	p := program(t, "plugin", process.Confine{})
	info := method.Method{}.Info()
	s, r := session(t, nil)
	want, err := native.Explain(t.Context(), method.Method{}, s, r)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 16 {
		params := map[string]string{}
		if i == 7 {
			params["mode"] = "wait"
		}
		s, r := session(t, params)
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i == 7 {
				r.Progress = func(int, int) error {
					cancel()
					return nil
				}
			}
			got, _, err := p.Explain(ctx, s, r, info, process.Limits{Timeout: 2 * time.Minute})
			if i == 7 {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the cancelled one: %v", err)
				}
				return
			}
			if err != nil {
				t.Errorf("number %d: %v", i, err)
			} else if diff := cmp.Diff(want, got, bits); diff != "" {
				t.Errorf("number %d differs:\n%s", i, diff)
			}
		})
	}
	group.Wait()
}

// TestCancelled holds that nobody waits for a method that was given up, at any
// moment of it.
func TestCancelled(t *testing.T) {
	leavesNothing(t)
	p := program(t, "plugin", process.Confine{})
	for _, after := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond, 200 * time.Millisecond} {
		s, r := session(t, map[string]string{"mode": "spin"})
		ctx, cancel := context.WithTimeout(t.Context(), after)
		start := time.Now()
		_, _, err := p.Explain(ctx, s, r, method.Method{}.Info(), process.Limits{})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", after, err)
		}
		if took := time.Since(start) - after; took > 5*time.Second {
			t.Errorf("after %v it took %v more", after, took)
		}
	}
}
