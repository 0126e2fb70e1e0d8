// Package methodtest is for the tests of methods: hosts that run them in process,
// whether or not the binary embeds them, on the models of the reference cases.
package methodtest

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// Model opens a model of the reference cases, in f64 or f32, on a host that has
// those methods and no other. It is closed with the test.
func Model(t testing.TB, model, dtype string, methods ...sdk.Method) (*core.Host, *core.Model) {
	t.Helper()
	file := registry.File{Path: "methods.toml"}
	for _, m := range methods {
		file.Methods = append(file.Methods, seal.Of(m.Info()).Entry("builtin:under-test.wasm", strings.Repeat("0", 64)))
	}
	text, err := file.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	embedded := core.Builtin{Registry: text, Native: map[string]sdk.Method{}}
	for _, m := range methods {
		embedded.Native[m.Info().Name] = m
	}
	host, err := core.New(core.Options{
		Models: map[string]fs.FS{model: golden.ModelFS(t, model)}, Methods: embedded, BuiltinOnly: true, DType: dtype, Threads: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	m, err := host.OpenModel(t.Context(), "builtin:"+model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return host, m
}

// Explain runs a method in process on a row of token ids.
func Explain(t testing.TB, h *core.Host, m *core.Model, r core.Request) *core.Explanation {
	t.Helper()
	r.Runtime = core.RuntimeNative
	x, err := h.Explain(t.Context(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// Row is an input of token ids.
func Row(ids []int64) core.Input {
	row := &core.Raw{}
	for _, id := range ids {
		row.IDs = append(row.IDs, int32(id))
	}
	return core.Input{Raw: row}
}

// Values are an explanation's first attributions as numbers.
func Values(x *core.Explanation) []float64 {
	values := make([]float64, len(x.Attributions[0].Values))
	for i, v := range x.Attributions[0].Values {
		values[i] = float64(v)
	}
	return values
}
