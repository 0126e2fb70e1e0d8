package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins"
)

// newHost returns a host with the built-in methods, and with the golden models
// beside the embedded ones.
func newHost(t testing.TB, o core.Options) *core.Host {
	t.Helper()
	o.Methods = core.Builtin(plugins.Builtin())
	if o.CacheDir == "" {
		o.CacheDir = cacheDir
	}
	host, err := core.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

// cacheDir is shared by the tests of the package, so that each module is
// compiled once.
var cacheDir string

func TestMain(m *testing.M) {
	core.WorkerMain()
	dir, err := os.MkdirTemp("", "xai-core-test-*")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func open(t testing.TB, host *core.Host, ref string) *core.Model {
	t.Helper()
	model, err := host.OpenModel(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(model.Close)
	return model
}

// expected is what the models' trainer computed in float32; a float16 load
// differs by less than 0.001.
type expected struct {
	Expected []struct {
		Text     string    `json:"text"`
		InputIDs []int32   `json:"input_ids"`
		Logits   []float64 `json:"logits"`
	} `json:"expected"`
}

func TestEmbeddedModelsMatchTheirCards(t *testing.T) {
	host := newHost(t, core.Options{})
	for _, name := range []string{"sentiment-en", "sentiment-zh"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("builtin", name, "expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want expected
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			model := open(t, host, "builtin:"+name)
			for _, w := range want.Expected {
				p, err := model.Predict(context.Background(), []core.Input{{Text: w.Text}}, core.PredictOptions{})
				if err != nil {
					t.Fatal(err)
				}
				var ids []int32
				for _, token := range p.Rows[0].Tokens {
					ids = append(ids, token.ID)
				}
				if diff := cmp.Diff(w.InputIDs, ids); diff != "" {
					t.Errorf("%q: ids (-want +got):\n%s", w.Text, diff)
				}
				golden.Close(t, w.Text, p.Rows[0].Readouts[0].Logits, w.Logits, 0.001)
				if got := core.DefaultModel(w.Text); got != "builtin:"+name {
					t.Errorf("%q is explained with %s, want builtin:%s", w.Text, got, name)
				}
			}
		})
	}
}

// TestLIMEMatchesTheReference runs the whole path, tokenizer to coefficients,
// with the reference's random stream, and compares what the reference computed.
func TestLIMEMatchesTheReference(t *testing.T) {
	cases := []string{"lime_bert_small", "lime_bert_10feat", "lime_bert_500", "lime_bert_bow", "lime_bert_width5", "lime_distil_top2"}
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			c := golden.Load(t, name)
			var config struct {
				Text        string   `json:"text"`
				NumSamples  int      `json:"num_samples"`
				NumFeatures int      `json:"num_features"`
				Labels      []int    `json:"labels"`
				RandomState uint64   `json:"random_state"`
				Modes       []string `json:"modes"`
				Bow         bool     `json:"bow"`
				MaskString  *string  `json:"mask_string"`
				KernelWidth float64  `json:"kernel_width"`
			}
			fields, err := json.Marshal(c.Config)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(fields, &config); err != nil {
				t.Fatal(err)
			}
			host := newHost(t, core.Options{Models: map[string]fs.FS{c.Model: golden.ModelFS(t, c.Model)}})
			model := open(t, host, "builtin:"+c.Model)
			for _, mode := range config.Modes {
				for _, label := range config.Labels {
					params := map[string]string{
						"compat":            "lime",
						"num_samples":       fmt.Sprint(config.NumSamples),
						"num_features":      fmt.Sprint(config.NumFeatures),
						"kernel_width":      fmt.Sprint(config.KernelWidth),
						"bow":               fmt.Sprint(config.Bow),
						"feature_selection": mode,
					}
					if config.MaskString != nil {
						params["mask_string"] = *config.MaskString
					}
					x, err := host.Explain(context.Background(), model, core.Request{
						Input: core.Input{Text: config.Text}, Params: params, Seed: config.RandomState, Target: fmt.Sprint(label),
					})
					if err != nil {
						t.Fatal(err)
					}
					key := fmt.Sprintf("%s.%d.", mode, label)
					coef := c.Want(t, key+"coef")
					features := c.WantInts(t, key+"features")
					want := make([]float64, len(x.Input.Units))
					for i, f := range features {
						want[f] = coef[i]
					}
					got := make([]float64, len(want))
					for i, v := range x.Attributions[0].Values {
						got[i] = float64(v)
					}
					golden.Close(t, key+"coef", got, want, 1e-6)
					golden.Close(t, key+"intercept", []float64{float64(x.Diagnostics["intercept"])}, c.Want(t, key+"intercept"), c.Outputs[key+"intercept"].F32Atol)
					golden.Close(t, key+"score", []float64{float64(x.Diagnostics["r2"])}, c.Want(t, key+"score"), c.Outputs[key+"score"].F32Atol)
				}
			}
		})
	}
}

// marshal returns the JSON of an explanation without what the run took.
func marshal(t *testing.T, x *core.Explanation) []byte {
	t.Helper()
	x.Provenance.WallSeconds, x.Provenance.Fuel, x.Provenance.BytesIn, x.Provenance.BytesOut = 0, 0, 0, 0
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const sentence = "A gripping, beautifully shot film, and not bad at all for a debut."

func TestSameBits(t *testing.T) {
	run := func(o core.Options, r core.Request) []byte {
		host := newHost(t, o)
		r.Input.Text = sentence
		r.Params = map[string]string{"num_samples": "200"}
		x, err := host.Explain(context.Background(), open(t, host, "builtin:sentiment-en"), r)
		if err != nil {
			t.Fatal(err)
		}
		x.Method.Runtime, x.Provenance.Sandbox = "", ""
		return marshal(t, x)
	}
	want := run(core.Options{Threads: 1}, core.Request{})
	tests := []struct {
		name string
		o    core.Options
		r    core.Request
	}{
		{"again", core.Options{Threads: 1}, core.Request{}},
		{"two threads", core.Options{Threads: 2}, core.Request{}},
		{"four threads", core.Options{Threads: 4}, core.Request{}},
		{"in process", core.Options{Threads: 1}, core.Request{Runtime: core.RuntimeNative}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := run(test.o, test.r); !bytes.Equal(want, got) {
				t.Errorf("other bytes:\n%s\nwant\n%s", got, want)
			}
		})
	}
	if got := run(core.Options{}, core.Request{Seed: 1}); bytes.Equal(want, got) {
		t.Error("another seed gives the same bytes")
	}
}

// TestExplainCutAtTheBeginning explains a text whose beginning is cut: the same
// as the rest of it alone, even where words are deleted.
func TestExplainCutAtTheBeginning(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("builtin/sentiment-en")); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "tokenizer_config.json")
	data, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Replace(data, []byte("{"), []byte(`{"truncation_side":"left",`), 1)
	if err := os.WriteFile(config, data, 0o600); err != nil {
		t.Fatal(err)
	}
	host := newHost(t, core.Options{})
	model := open(t, host, dir)
	rest := strings.Repeat("good ", 254)
	lost := strings.Repeat("bad ", 300)
	explain := func(text string) *core.Explanation {
		x, err := host.Explain(context.Background(), model, core.Request{Input: core.Input{Text: text}, Runtime: core.RuntimeNative, Params: map[string]string{"num_samples": "10"}})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	want, got := explain(rest), explain(lost+rest)
	if !slices.Equal(got.Attributions[0].Values, want.Attributions[0].Values) {
		t.Error("what was cut changes the values")
	}
	if len(got.Input.Dropped) != 300 || len(got.Input.Units) != 254 {
		t.Fatalf("%d dropped tokens and %d units, want 300 and 254", len(got.Input.Dropped), len(got.Input.Units))
	}
	if u := got.Input.Units[0]; u.Text != "good" || u.Start != len(lost) {
		t.Errorf("the first unit is %q at byte %d, want good at %d", u.Text, u.Start, len(lost))
	}
}

func TestExplainSizes(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	explain := func(t *testing.T, text string) *core.Explanation {
		x, err := host.Explain(context.Background(), model, core.Request{Input: core.Input{Text: text}, Params: map[string]string{"num_samples": "50"}})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(x.Attributions[0].Values), len(x.Input.Units); got != want {
			t.Errorf("%d values for %d units", got, want)
		}
		return x
	}
	t.Run("one word", func(t *testing.T) {
		x := explain(t, "superb")
		if len(x.Input.Units) != 1 || len(x.Input.Dropped) != 0 {
			t.Errorf("%d units and %d dropped tokens, want 1 and 0", len(x.Input.Units), len(x.Input.Dropped))
		}
	})
	t.Run("10,000 words", func(t *testing.T) {
		x := explain(t, strings.Repeat("good ", 10_000))
		if len(x.Input.Units) != 254 || len(x.Input.Dropped) != 9746 {
			t.Errorf("%d units and %d dropped tokens, want 254 and 9746", len(x.Input.Units), len(x.Input.Dropped))
		}
		if first := x.Input.Dropped[0]; first.Start != 254*5 {
			t.Errorf("the first dropped token is at byte %d, want %d", first.Start, 254*5)
		}
	})
}

// TestLIMEsOwnWordsWhateverTheUnits: the preset cuts its own words, so the
// policy that cuts the request's must not change a bit.
func TestLIMEsOwnWordsWhateverTheUnits(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	explain := func(units, fill string) []core.Float {
		x, err := host.Explain(context.Background(), model, core.Request{
			Input: core.Input{Text: sentence}, Units: units,
			Params: map[string]string{"compat": "lime", "num_samples": "100", "num_features": "20", "fill": fill},
		})
		if err != nil {
			t.Fatal(err)
		}
		return x.Attributions[0].Values
	}
	want := explain(core.UnitsWord, "delete")
	for _, units := range []string{core.UnitsToken, core.UnitsSentence} {
		if diff := cmp.Diff(want, explain(units, "delete")); diff != "" {
			t.Errorf("units %s (-word +%s):\n%s", units, units, diff)
		}
	}
	changed := false
	for _, v := range explain(core.UnitsWord, "zero") {
		changed = changed || v != 0
	}
	if !changed {
		t.Error("fill=zero drops nothing: every value is 0")
	}
}

func TestExplainRefuses(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	tests := []struct {
		name string
		r    core.Request
		kind core.Kind
		want string
	}{
		{"empty", core.Request{}, core.KindInput, "empty"},
		{"spaces", core.Request{Input: core.Input{Text: " \t\n\u3000"}}, core.KindInput, "only spaces"},
		{"control characters", core.Request{Input: core.Input{Text: "\x00\x1b\u200b"}}, core.KindInput, "control characters"},
		{"not UTF-8", core.Request{Input: core.Input{Text: "caf\xe9"}}, core.KindInput, "UTF-8 at byte 3"},
		{"unknown method", core.Request{Input: core.Input{Text: "x"}, Method: "lame"}, core.KindUsage, "lame"},
		{"unknown parameter", core.Request{Input: core.Input{Text: "x"}, Params: map[string]string{"num_sample": "5"}}, core.KindUsage, "num_sample"},
		{"unknown class", core.Request{Input: core.Input{Text: "x"}, Target: "NEUTRAL"}, core.KindUsage, "NEUTRAL"},
		{"unknown units", core.Request{Input: core.Input{Text: "x"}, Units: "paragraph"}, core.KindUsage, "paragraph"},
		{"unknown runtime", core.Request{Input: core.Input{Text: "x"}, Runtime: "docker"}, core.KindUsage, "docker"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := host.Explain(context.Background(), model, test.r)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one that says %q", err, test.want)
			}
			if got := core.KindOf(err); got != test.kind {
				t.Errorf("kind %d, want %d", got, test.kind)
			}
		})
	}
}

// TestStepsRefusedBeforeTheRun: what has no steps is refused before the method asks
// the model for anything.
func TestStepsRefusedBeforeTheRun(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	_, err := host.Explain(t.Context(), model, core.Request{
		Input: core.Input{Text: "A gripping film."}, Method: "leave-one-out", Runtime: core.RuntimeNative, Steps: true,
		Progress: func(done, total int) { t.Errorf("%d of %d rows had been run", done, total) },
	})
	if err == nil || core.KindOf(err) != core.KindUsage || !strings.Contains(err.Error(), "only a continuation has steps") {
		t.Errorf("the error is %v", err)
	}
}

func TestCloseWaitsAndRefusesAfter(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	started := make(chan struct{})
	result := make(chan error, 1)
	go func() {
		r := core.Request{Input: core.Input{Text: sentence}}
		first := true
		r.Progress = func(done, total int) {
			if first {
				close(started)
				first = false
			}
		}
		_, err := host.Explain(context.Background(), model, r)
		result <- err
	}()
	<-started
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Errorf("the run under way at Close: %v", err)
	}
	if _, err := host.Explain(context.Background(), model, core.Request{Input: core.Input{Text: "good"}}); err == nil {
		t.Error("a closed host explains")
	}
}

func TestExplainStopsWhenCancelled(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	ctx, cancel := context.WithCancel(context.Background())
	r := core.Request{Input: core.Input{Text: sentence}, Params: map[string]string{"num_samples": "20000"}}
	r.Progress = func(done, total int) { cancel() }
	_, err := host.Explain(ctx, model, r)
	if core.KindOf(err) != core.KindInterrupted {
		t.Errorf("error %v, want an interruption", err)
	}
	// The next run is unharmed.
	if _, err := host.Explain(context.Background(), model, core.Request{Input: core.Input{Text: "good"}}); err != nil {
		t.Error(err)
	}
}

// TestRawInputsEqualTheirText holds units of tokens to the row that the raw
// input path builds from ids.
func TestRawInputsEqualTheirText(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	x, err := host.Explain(context.Background(), model, core.Request{
		Input: core.Input{Text: sentence}, Units: core.UnitsToken, Params: map[string]string{"num_samples": "100"},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "in.safetensors")
	writeInputs(t, path, x.Input.InputIDs)
	inputs, err := core.ReadInputs(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := host.Explain(context.Background(), model, core.Request{Input: inputs[0], Params: map[string]string{"num_samples": "100"}})
	if err != nil {
		t.Fatal(err)
	}
	n := len(x.Input.InputIDs)
	values := raw.Attributions[0].Values
	if len(values) != n || values[0] != 0 || values[n-1] != 0 {
		t.Fatalf("%d values, first %v, last %v; want one a token and 0 for the special ones", len(values), values[0], values[n-1])
	}
	if diff := cmp.Diff(x.Attributions[0].Values, values[1:n-1]); diff != "" {
		t.Errorf("raw ids give other values than the text (-text +raw):\n%s", diff)
	}
	if math.Abs(float64(raw.Target.Value-x.Target.Value)) != 0 {
		t.Errorf("target %v, want %v", raw.Target.Value, x.Target.Value)
	}
}

func ExampleHost_Explain() {
	ctx := context.Background()
	host, err := core.New(core.Options{Methods: core.Builtin(plugins.Builtin())})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()
	model, err := host.OpenModel(ctx, "builtin:sentiment-en")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer model.Close()
	x, err := host.Explain(ctx, model, core.Request{
		Input:  core.Input{Text: "The acting is superb, the story is not."},
		Method: "lime",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	most := 0
	values := x.Attributions[0].Values
	for i, v := range values {
		if v > values[most] {
			most = i
		}
	}
	fmt.Println(x.Target.Label, "because of", x.Input.Units[most].Text)
	// Output: POSITIVE because of superb
}
