package core_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// lengths is a method that never looks at the model: a unit is worth its length.
type lengths struct{ more float64 }

func (lengths) Info() sdk.Info {
	return sdk.Info{Name: "lengths", Version: "1.0.0", Summary: "The length of each unit", Source: "none"}
}

func (m lengths) Explain(_ context.Context, _ sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	values := make([]float64, len(r.Units))
	for i, u := range r.Units {
		values[i] = float64(len(u.Text))
	}
	values[0] += m.more
	return &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: values}}}, nil
}

// withLengths declares it as the one method of a host.
func withLengths(t *testing.T, more float64, dtype engine.DType) *core.Host {
	t.Helper()
	host, err := core.New(core.Options{CacheDir: cacheDir, BuiltinOnly: true, DType: string(dtype), Methods: core.Builtin{
		Registry: []byte("schema = 1\n[[method]]\nname = \"lengths\"\nkind = \"wasm\"\nurl = \"builtin:lengths.wasm\"\nsha256 = \"" + strings.Repeat("0", 64) + "\"\nabi = \"1.0\"\nversion = \"1.0.0\"\nsummary = \"The length of each unit\"\n"),
		Module:   func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		Native:   map[string]sdk.Method{"lengths": lengths{more}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

const long = "Although the first act drags and the villain is thin, the leads are charming, the music soars and the last scene is a quiet, moving, beautifully shot triumph."

// codes returns what an explanation doubts.
func codes(x *core.Explanation) (out []core.DoubtCode) {
	for _, d := range x.Doubts {
		out = append(out, d.Code)
	}
	return out
}

// TestSanityOfConstant: a method that never looks at the model does not notice that
// it has lost all that it had learnt, and is said not to.
func TestSanityOfConstant(t *testing.T) {
	host := withLengths(t, 0, engine.F32)
	x, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{
		Input: core.Input{Text: long}, Method: "lengths", Runtime: core.RuntimeNative, Sanity: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range x.Sanity.Stages {
		if math.Abs(float64(s.Values)-1) > 1e-12 || math.Abs(float64(s.Magnitudes)-1) > 1e-12 || s.Target == x.Target.Value {
			t.Errorf("%+v", s)
		}
	}
	if !slices.Contains(codes(x), core.DoubtInsensitive) {
		t.Errorf("doubts: %v", x.Doubts)
	}
}

// TestSanity: gradients and surrogates notice, on any transport, at any number of
// threads with the same bits, and nothing is left behind: neither in the model's
// cache nor in its memory.
func TestSanity(t *testing.T) {
	host := newHost(t, core.Options{Threads: 1})
	others := map[string]*core.Host{"3 threads": newHost(t, core.Options{Threads: 3}), "no cache": newHost(t, core.Options{Cache: -1})}
	model := open(t, host, "builtin:sentiment-en")
	for _, c := range []struct {
		method string
		params map[string]string
	}{{"input-x-gradient", nil}, {"lime", map[string]string{"num_samples": "50"}}} {
		t.Run(c.method, func(t *testing.T) {
			r := core.Request{Input: core.Input{Text: long}, Method: c.method, Params: c.params, Seed: 2, Runtime: core.RuntimeNative}
			before, err := host.Explain(t.Context(), model, r)
			if err != nil {
				t.Fatal(err)
			}
			if before.Sanity != nil {
				t.Error("a check that nobody asked for")
			}
			last, calls := 0, 0
			r.Sanity, r.Progress = true, func(done, total int) {
				if done < 0 || done > total {
					t.Errorf("%d of %d are done", done, total)
				}
				last, calls = total, calls+1
			}
			x, err := host.Explain(t.Context(), model, r)
			if err != nil {
				t.Fatal(err)
			}
			if calls == 0 || last < 6 {
				t.Errorf("%d calls of progress, the last of %d", calls, last)
			}
			r.Progress = nil
			var downs []string
			for _, s := range x.Sanity.Stages {
				downs = append(downs, s.Down)
			}
			if diff := cmp.Diff([]string{"head", "layer.3", "layer.2", "layer.1", "layer.0", "embeddings"}, downs); diff != "" {
				t.Error(diff)
			}
			end := x.Sanity.Stages[5]
			if chance := x.Sanity.Chance(len(x.Input.Units)); math.Abs(float64(end.Magnitudes)) > chance || slices.Contains(codes(x), core.DoubtInsensitive) {
				t.Errorf("it does not notice: %+v, chance %v, %v", end, chance, x.Doubts)
			}
			if x.Sanity.Forwards < 6 || c.method == "input-x-gradient" && x.Sanity.Gradients != 6 {
				t.Errorf("%d forwards, %d gradients", x.Sanity.Forwards, x.Sanity.Gradients)
			}
			after, err := host.Explain(t.Context(), model, core.Request{Input: r.Input, Method: r.Method, Params: r.Params, Seed: r.Seed, Runtime: r.Runtime})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before.Attributions, after.Attributions); diff != "" {
				t.Errorf("the model is another afterwards (-before +after):\n%s", diff)
			}
			for name, other := range others {
				again, err := other.Explain(t.Context(), open(t, other, model.ID()), r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(x.Sanity, again.Sanity); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			for _, runtime := range []string{core.RuntimeProcess, core.RuntimeWASM} {
				if c.method != "lime" {
					continue // one module is enough
				}
				r := r
				r.Runtime = runtime
				again, err := host.Explain(t.Context(), model, r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(x.Sanity, again.Sanity); diff != "" {
					t.Errorf("%s: %s", runtime, diff)
				}
			}
			if c.method == "lime" {
				return // one method is enough
			}
			v, err := host.Verify(t.Context(), model, x, r)
			if err != nil || !v.SameBits {
				t.Errorf("verified: %+v, %v", v, err)
			}
			changed := *x.Sanity
			changed.Stages = slices.Clone(changed.Stages)
			changed.Stages[3].Magnitudes += 0.25
			other := *x
			other.Sanity = &changed
			if v, err := host.Verify(t.Context(), model, &other, r); err != nil || v.SameBits {
				t.Errorf("another check was verified: %v", err)
			}
		})
	}
}

// TestSanityTargets: the check is of whatever is explained.
func TestSanityTargets(t *testing.T) {
	models := filepath.Join("..", "testdata", "conformance", "models")
	pair := "the film was good"
	hosts := map[string]*core.Host{}
	for _, dtype := range []string{"f32", "f64", "int8"} {
		hosts[dtype] = newHost(t, core.Options{DType: dtype})
	}
	for _, c := range []struct {
		model, dtype string
		r            core.Request
	}{
		{"gpt2-text", "f32", core.Request{Input: core.Input{Text: "the film was good"}, Target: "continuation: and not dull", Steps: true}},
		{"gpt2-text", "f32", core.Request{Input: core.Input{Text: "the film was good"}, Method: "saliency"}},
		{"gpt2-text", "f32", core.Request{Input: core.Input{Text: "the film was good"}, Method: "attention-rollout"}},
		{"bert-text", "f32", core.Request{Input: core.Input{Text: "the film was good", Pair: &pair}, Target: "0 - 1", Output: sdk.Logit}},
		{"distilbert-text", "f32", core.Request{Input: core.Input{Text: "the film was good"}, Method: "integrated-gradients", Params: map[string]string{"n_steps": "5"}}},
		{"bert-text", "f64", core.Request{Input: core.Input{Text: "the film was good"}, Method: "saliency"}},
		{"bert-text", "int8", core.Request{Input: core.Input{Text: "the film was good"}, Method: "leave-one-out"}},
		{"bert-qa", "f32", core.Request{Input: core.Input{Text: "was it good ?", Pair: &pair}, Method: "leave-one-out"}},
		{"xlnet-lm", "f32", core.Request{Input: core.Input{Text: "the film was good"}, Method: "leave-one-out"}},
	} {
		t.Run(c.model+" "+c.dtype+" "+c.r.Method+" "+c.r.Target, func(t *testing.T) {
			c.r.Sanity, c.r.Runtime = true, core.RuntimeNative
			host := hosts[c.dtype]
			var model *core.Model
			switch c.model {
			case "bert-qa":
				model = open(t, host, withVocabulary(t, c.model, "bert-text", "vocab.txt"))
			case "xlnet-lm":
				model = xlnet(t, core.Options{})
			default:
				model = open(t, host, filepath.Join(models, c.model))
			}
			x, err := host.Explain(t.Context(), model, c.r)
			if err != nil {
				t.Fatal(err)
			}
			if want := model.Engine().Info().Layers + 2; len(x.Sanity.Stages) != want {
				t.Fatalf("%d stages, want %d", len(x.Sanity.Stages), want)
			}
			last := x.Sanity.Stages[0].Target
			for i, s := range x.Sanity.Stages {
				if !(s.Values >= -1.000001 && s.Values <= 1.000001) || s.Target == x.Target.Value || i > 0 && s.Target == last {
					t.Errorf("%+v after %v", s, last)
				}
				last = s.Target
			}
		})
	}
}

// TestSanityBeside: explanations of the same model at the same time are of its own
// weights, while the check of another one shuffles copies of them.
func TestSanityBeside(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	r := core.Request{Input: core.Input{Text: long}, Method: "leave-one-out", Runtime: core.RuntimeNative}
	want, err := newHost(t, core.Options{Cache: -1}).Explain(t.Context(), model, r)
	if err != nil {
		t.Fatal(err)
	}
	checked := make(chan error, 1)
	go func() {
		r := r
		r.Sanity = true
		x, err := host.Explain(t.Context(), model, r)
		if err == nil && !cmp.Equal(x.Attributions, want.Attributions) {
			err = errors.New("what is checked is another explanation")
		}
		checked <- err
	}()
	for n := 0; ; n++ {
		x, err := host.Explain(t.Context(), model, r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Attributions, x.Attributions); diff != "" {
			t.Fatalf("explanation %d (-alone +beside):\n%s", n, diff)
		}
		select {
		case err := <-checked:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// TestSanityStops when the caller gives up, and is refused where the copies do not
// fit the memory.
func TestSanityStops(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	ctx, cancel := context.WithCancel(t.Context())
	r := core.Request{Input: core.Input{Text: long}, Method: "lime", Params: map[string]string{"num_samples": "50"}, Runtime: core.RuntimeNative, Sanity: true}
	stages := 0
	r.Progress = func(done, total int) {
		if total > 100 { // more than the explanation itself has
			stages++
			cancel()
		}
	}
	if _, err := host.Explain(ctx, model, r); !errors.Is(err, context.Canceled) || stages == 0 {
		t.Errorf("cancelled: %v after %d calls", err, stages)
	}
	before, err := model.Engine().Memory(t.Context(), engine.Input{IDs: []int32{2}, Lengths: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	tight := newHost(t, core.Options{Memory: before.Weights + before.Weights/2, Threads: 1})
	_, err = tight.Explain(t.Context(), open(t, tight, "builtin:sentiment-en"), r)
	if _, ok := errors.AsType[*engine.MemoryError](err); !ok || core.KindOf(err) != core.KindInput {
		t.Errorf("without memory: %v", err)
	}
}

// TestNotFinite: scores that are NaN or infinite are no explanation, and the error
// says what may help.
func TestNotFinite(t *testing.T) {
	for name, more := range map[string]float64{"NaN": math.NaN(), "infinite": math.Inf(-1)} {
		for _, format := range []engine.DType{engine.F32, engine.F64} {
			t.Run(name+","+string(format), func(t *testing.T) {
				host := withLengths(t, more, format)
				x, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "A good film."}, Method: "lengths", Runtime: core.RuntimeNative})
				e, ok := errors.AsType[*core.Error](err)
				if !ok || x != nil || e.Kind != core.KindMethod || !strings.Contains(e.Msg, "1 of 4 scores are NaN or infinite") {
					t.Fatalf("%v, %v", x, err)
				}
				if strings.Contains(e.Hint, "--dtype") != (format == engine.F32) || !strings.Contains(e.Hint, "--output") {
					t.Errorf("hint: %s", e.Hint)
				}
			})
		}
	}
}
