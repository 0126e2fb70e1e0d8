package wasm_test

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/core/wasm/testdata/toy"
	"github.com/xai-go/xai/sdk"
)

// model is a deterministic sdk.Model whose outputs depend on every byte of what
// it is asked.
type model struct {
	mu       sync.Mutex
	forwards int
	fail     error         // of every forward
	panics   bool          // in every forward
	wait     chan struct{} // closed by a forward, which then waits for its context
}

func (m *model) Info() sdk.ModelInfo {
	return sdk.ModelInfo{ID: "toy model", Architecture: "hash", Task: "sequence-classification", Labels: []string{"no", "yes"}, MaskToken: "[MASK]"}
}

func (m *model) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	m.mu.Lock()
	m.forwards++
	m.mu.Unlock()
	switch {
	case m.fail != nil:
		return nil, m.fail
	case m.panics:
		panic("runtime error in a kernel\ngoroutine 1 [running]:")
	case m.wait != nil:
		close(m.wait)
		<-ctx.Done()
		return nil, ctx.Err()
	case f.Target == "nonsense":
		return nil, sdk.NewError(sdk.EName, "there is no target nonsense")
	}
	h := uint64(14695981039346656037)
	mix := func(b ...byte) {
		for _, x := range b {
			h = (h ^ uint64(x)) * 1099511628211
		}
	}
	mix([]byte(f.Target)...)
	mix([]byte(f.Fill.Text)...)
	mix(byte(f.Fill.Kind), byte(f.Fill.Token))
	for _, u := range f.Over {
		mix([]byte(u.Text)...)
	}
	if f.KeepDuplicates {
		mix(1)
	}
	var rows []uint64
	row := func(b []byte) {
		keep := h
		mix(b...)
		rows = append(rows, h)
		h = keep
	}
	for _, t := range []*sdk.Tensor{f.Units, f.Masks} {
		if t != nil {
			v, _ := sdk.Values[uint8](t)
			for i := range t.Shape[0] {
				row(v[i*t.Shape[1]:][:t.Shape[1]])
			}
		}
	}
	for _, t := range f.Texts {
		row([]byte(t))
	}
	for _, ids := range f.IDs {
		var b []byte
		for _, id := range ids {
			b = append(b, byte(id), byte(id>>8))
		}
		row(b)
	}
	return reply(rows), nil
}

type reply []uint64

func (r reply) Tensor(name string, _ int) (*sdk.Tensor, error) {
	width := 1
	switch name {
	case sdk.ReplyTarget:
	case sdk.ReplyLogits, sdk.ReplyProbs, sdk.ReplyLogProbs:
		width = 2
	default:
		return nil, sdk.NewError(sdk.EName, "there is no output "+name)
	}
	v := make([]float64, 0, len(r)*width)
	for _, h := range r {
		for c := range width {
			v = append(v, math.Sin(float64(h>>12+uint64(c+len(name)))))
		}
	}
	if width == 1 {
		return sdk.NewTensor(v, len(r)), nil
	}
	return sdk.NewTensor(v, len(r), width), nil
}

func request(params sdk.Params) *sdk.Request {
	r := &sdk.Request{
		Text: "schön gripping",
		Tokens: []sdk.Token{
			{ID: 2, Text: "[CLS]", Special: true},
			{ID: 17, Text: "schön", Start: 0, End: 6, RuneEnd: 5},
			{ID: 18, Text: "gripping", Start: 7, End: 15, RuneStart: 6, RuneEnd: 14, Fixed: true},
			{ID: 3, Text: "[SEP]", Special: true},
		},
		Units: []sdk.Unit{
			{Text: "schön", Spans: []sdk.Span{{End: 6}}, Tokens: []int{1}},
			{Text: "gripping", Spans: []sdk.Span{{Start: 7, End: 15}}, Tokens: []int{2}},
			{Text: "both", Spans: []sdk.Span{{End: 2}, {Start: 3, End: 4}}, Tokens: []int{1, 2}},
		},
		Target: sdk.Target{Kind: "class", Expr: "1", Index: 1, Label: "yes", Output: sdk.Prob, Value: 0.75},
		Seed:   42,
		Params: sdk.Params{},
	}
	for _, p := range (toy.Method{}).Info().Params {
		r.Params[p.Name] = p.Default
	}
	for k, v := range params {
		r.Params[k] = v
	}
	return r
}

// toyOnce builds the toy module and compiles it, once for all tests that ask
// for it; TestMain removes what that leaves.
var toyOnce = sync.OnceValue(func() (toy struct {
	dir     string
	binary  []byte
	runtime *wasm.Runtime
	module  *wasm.Module
	err     error
}) {
	toyBuilt = true
	if toy.dir, toy.err = os.MkdirTemp("", "toy"); toy.err != nil {
		return toy
	}
	out := filepath.Join(toy.dir, "toy.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", out, "./testdata/toy/module")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		toy.err = errors.New("the toy module does not build: " + string(text))
		return toy
	}
	if toy.binary, toy.err = os.ReadFile(out); toy.err != nil {
		return toy
	}
	if toy.runtime, toy.err = wasm.New(context.Background(), filepath.Join(toy.dir, "cache")); toy.err != nil {
		return toy
	}
	toy.module, toy.err = toy.runtime.Compile(context.Background(), toy.binary)
	return toy
})

var toyBuilt bool

func TestMain(m *testing.M) {
	code := m.Run()
	if toyBuilt {
		built := toyOnce()
		if built.runtime != nil {
			built.runtime.Close(context.Background())
		}
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

func toyModule(t testing.TB) *wasm.Module {
	t.Helper()
	built := toyOnce()
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.module
}

var bits = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }),
	cmpopts.EquateEmpty(),
}

func TestModuleEqualsNative(t *testing.T) {
	for name, params := range map[string]sdk.Params{
		"everything":   nil,
		"lean":         {"extras": false, "scale": -0.1},
		"many rows":    {"n": int64(5000)},
		"one row":      {"n": int64(1), "label": ""},
		"forward text": {"mode": "forward"},
	} {
		t.Run(name, func(t *testing.T) {
			var logs [2][]string
			run := func(i int, explain func(r *sdk.Request) (*sdk.Explanation, error)) *sdk.Explanation {
				r := request(params)
				r.Log = func(level sdk.Level, s string) { logs[i] = append(logs[i], s) }
				e, err := explain(r)
				if err != nil {
					t.Fatal(err)
				}
				return e
			}
			want := run(0, func(r *sdk.Request) (*sdk.Explanation, error) {
				return native.Explain(t.Context(), toy.Method{}, &model{}, r)
			})
			var stats wasm.Stats
			got := run(1, func(r *sdk.Request) (e *sdk.Explanation, err error) {
				e, stats, err = toyModule(t).Explain(t.Context(), &model{}, r, toy.Method{}.Info(), wasm.Limits{})
				return e, err
			})
			if diff := cmp.Diff(want, got, bits); diff != "" {
				t.Errorf("the module differs from the method in process (-native +wasm):\n%s", diff)
			}
			if diff := cmp.Diff(logs[0], logs[1], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("the logs differ:\n%s", diff)
			}
			t.Logf("%+v", stats)
		})
	}
}

func TestErrorsEqualNative(t *testing.T) {
	broken := errors.New("the disk under the model is gone")
	for name, c := range map[string]struct {
		params sdk.Params
		model  *model
		info   func(*sdk.Info)
		want   error
	}{
		"sdk error":     {params: sdk.Params{"mode": "fail"}, want: sdk.NewError(sdk.ERange, "the toy is out of range")},
		"panic":         {params: sdk.Params{"mode": "panic"}, want: sdk.NewError(sdk.EInternal, "the method panicked: the toy is upset")},
		"index":         {params: sdk.Params{"mode": "index"}, want: sdk.NewError(sdk.EInternal, "the method panicked: runtime error: index out of range [3] with length 3")},
		"target":        {params: sdk.Params{"mode": "wrap"}, want: sdk.NewError(sdk.EName, "there is no target nonsense")},
		"nothing":       {params: sdk.Params{"mode": "nothing"}, want: sdk.NewError(sdk.EInternal, "the method returned neither an explanation nor an error")},
		"short":         {params: sdk.Params{"mode": "short"}, want: sdk.NewError(sdk.EInternal, "the method returned 1 values of attributions for 3 units")},
		"wide":          {params: sdk.Params{"mode": "wide"}, want: sdk.NewError(sdk.EInvalid, "the rows of a forward have 2 columns for 3 units")},
		"model's error": {model: &model{fail: broken}, want: broken},
	} {
		t.Run(name, func(t *testing.T) {
			if c.model == nil {
				c.model = &model{}
			}
			_, err := native.Explain(t.Context(), toy.Method{}, c.model, request(c.params))
			if !errors.Is(err, c.want) {
				t.Errorf("in process: %v, want %v", err, c.want)
			}
			_, _, err = toyModule(t).Explain(t.Context(), c.model, request(c.params), toy.Method{}.Info(), wasm.Limits{})
			if !errors.Is(err, c.want) {
				t.Errorf("in the module: %v, want %v", err, c.want)
			}
		})
	}
}

func TestToyHitsLimits(t *testing.T) {
	for name, c := range map[string]struct {
		params sdk.Params
		limits wasm.Limits
		limit  string
		text   string
	}{
		"time":   {sdk.Params{"mode": "spin"}, wasm.Limits{Timeout: 200 * time.Millisecond}, contract.LimitTimeout, "ran longer than its limit of 200ms"},
		"memory": {sdk.Params{"mode": "hog"}, wasm.Limits{MemoryBytes: 32 << 20}, contract.LimitMemory, "needs more than its 32 MiB of memory"},
		"output": {nil, wasm.Limits{OutputBytes: 100}, contract.LimitOutput, "returned more than its 100 bytes of results"},
		"handle": {sdk.Params{"n": int64(1000)}, wasm.Limits{HandleBytes: 2048}, contract.LimitHandles, "holds more than its 2 KiB of tensors"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, _, err := toyModule(t).Explain(t.Context(), &model{}, request(c.params), toy.Method{}.Info(), c.limits)
			limit, ok := errors.AsType[*contract.LimitError](err)
			if !ok || limit.Limit != c.limit || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want a limit error that says %q", err, c.text)
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// A module's garbage collector runs when the module yields: 200 forwards that
// leave 96 KiB each must not fill the memory.
func TestMemoryStaysFlat(t *testing.T) {
	_, stats, err := toyModule(t).Explain(t.Context(), &model{}, request(sdk.Params{"mode": "garbage", "n": int64(200)}), toy.Method{}.Info(), wasm.Limits{MemoryBytes: 16 << 20, Forwards: 10_000_000})
	if err != nil {
		t.Fatalf("%v, at %+v", err, stats)
	}
	t.Logf("%+v", stats)
}
