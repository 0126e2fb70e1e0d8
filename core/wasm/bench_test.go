package wasm_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/xai-go/xai/core/native"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/core/wasm/testdata/toy"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
)

// benchmarkModule runs a hand-written module that does something n times and
// returns -1.
func benchmarkModule(b *testing.B, name string, n float64, unit string) {
	m, err := hostileRuntime(b).Compile(b.Context(), hostile(b, name))
	if err != nil {
		b.Fatal(err)
	}
	r := request(nil)
	for b.Loop() {
		if _, _, err := m.Explain(b.Context(), &model{}, r, hostileInfo, wasm.Limits{}); err == nil || err.Error() != "EINVAL" {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, unit)
}

func BenchmarkHostCall(b *testing.B) { benchmarkModule(b, "bench_calls", 1e6, "ns/call") }

func BenchmarkMebibyteInAndOut(b *testing.B) { benchmarkModule(b, "bench_copies", 100, "ns/MiB") }

// BenchmarkExplain is a whole explanation of the toy in a Go module: an
// instance, six forwards that cost nothing, and its results.
func BenchmarkExplain(b *testing.B) {
	m := toyModule(b)
	var instantiate, guest float64
	for b.Loop() {
		_, stats, err := m.Explain(b.Context(), &model{}, request(nil), toy.Method{}.Info(), wasm.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		instantiate += stats.Instantiate.Seconds()
		guest += stats.Guest.Seconds()
	}
	b.ReportMetric(instantiate/float64(b.N)*1e6, "µs-instantiate/op")
	b.ReportMetric(guest/float64(b.N)*1e6, "µs-guest/op")
}

// BenchmarkExplainHandWritten is the same for a module without a runtime of its
// own.
func BenchmarkExplainHandWritten(b *testing.B) {
	m, err := hostileRuntime(b).Compile(b.Context(), hostile(b, "minimal"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := m.Explain(b.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExplainNative(b *testing.B) {
	for b.Loop() {
		if _, err := native.Explain(b.Context(), toy.Method{}, &model{}, request(nil)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkManyRows is 5000 rows of the toy's own loop with a progress report
// each: what the guest itself costs.
func BenchmarkManyRows(b *testing.B) {
	m := toyModule(b)
	params := sdk.Params{"n": int64(5000), "extras": false}
	for b.Loop() {
		if _, _, err := m.Explain(b.Context(), &model{}, request(params), toy.Method{}.Info(), wasm.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLime is LIME's own part of an explanation of 100 words: what its
// module takes beside a model that costs little, as it runs and with nothing that
// counts or yields.
func BenchmarkLime(b *testing.B) {
	binary, err := plugins.Builtin().Module("lime.wasm")
	if err != nil {
		b.Fatal(err)
	}
	for name, compile := range map[string]func(*wasm.Runtime) (*wasm.Module, error){
		"fuel":      func(r *wasm.Runtime) (*wasm.Module, error) { return r.CompileEmbedded(b.Context(), binary) },
		"unmetered": func(r *wasm.Runtime) (*wasm.Module, error) { return r.CompileUnmetered(b.Context(), binary) },
	} {
		b.Run(name, func(b *testing.B) {
			runtime, err := wasm.New(b.Context(), "")
			if err != nil {
				b.Fatal(err)
			}
			defer runtime.Close(context.Background())
			module, err := compile(runtime)
			if err != nil {
				b.Fatal(err)
			}
			r, info := limeRequest(100, 1000)
			var guest float64
			var fuel int64
			for b.Loop() {
				_, stats, err := module.Explain(b.Context(), &model{}, r, info, wasm.Limits{MemoryBytes: 512 << 20})
				if err != nil {
					b.Fatal(err)
				}
				guest += stats.Guest.Seconds()
				fuel = stats.Fuel
			}
			b.ReportMetric(guest/float64(b.N)*1e6, "µs-guest/op")
			b.ReportMetric(float64(fuel), "fuel")
		})
	}
}

// lime returns the module of the built-in LIME and a request for it.
func lime(tb testing.TB, words, samples int) (*wasm.Module, *sdk.Request, sdk.Info) {
	tb.Helper()
	binary, err := plugins.Builtin().Module("lime.wasm")
	if err != nil {
		tb.Fatal(err)
	}
	runtime, err := wasm.New(tb.Context(), "")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { runtime.Close(context.Background()) })
	module, err := runtime.Compile(tb.Context(), binary)
	if err != nil {
		tb.Fatal(err)
	}
	r, info := limeRequest(words, samples)
	return module, r, info
}

// limeRequest asks the built-in LIME for an explanation of so many words.
func limeRequest(words, samples int) (*sdk.Request, sdk.Info) {
	info := plugins.Builtin().Native["lime"].Info()
	r := request(nil)
	r.Params = sdk.Params{}
	for _, p := range info.Params {
		r.Params[p.Name] = p.Default
	}
	r.Params["num_samples"] = int64(samples)
	r.Text, r.Tokens, r.Units = "", nil, nil
	for i := range words {
		word := "w" + strconv.Itoa(i)
		start := len(r.Text)
		r.Text += word + " "
		end := start + len(word)
		r.Tokens = append(r.Tokens, sdk.Token{ID: int32(i), Text: word, Start: start, End: end, RuneStart: start, RuneEnd: end})
		r.Units = append(r.Units, sdk.Unit{Text: word, Spans: []sdk.Span{{Start: start, End: end}}, Tokens: []int{i}})
	}
	return r, info
}

func BenchmarkCompile(b *testing.B) {
	toyModule(b)
	binary := toyOnce().binary
	compile := func(b *testing.B, dir string) {
		r, err := wasm.New(b.Context(), dir)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Compile(b.Context(), binary); err != nil {
			b.Fatal(err)
		}
		r.Close(context.Background())
	}
	b.Run("cold", func(b *testing.B) {
		dir := b.TempDir()
		for b.Loop() {
			if err := os.RemoveAll(filepath.Join(dir, "wasm")); err != nil {
				b.Fatal(err)
			}
			compile(b, dir)
		}
	})
	b.Run("cached", func(b *testing.B) {
		dir := b.TempDir()
		compile(b, dir)
		for b.Loop() {
			compile(b, dir)
		}
	})
}
