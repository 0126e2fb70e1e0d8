package wasm

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/xai-go/xai/sdk"
)

// FuzzRewrite holds that rewriting changes neither whether a module is valid, nor
// what it does.
func FuzzRewrite(f *testing.F) {
	names, err := filepath.Glob(filepath.Join("testdata", "modules", "*.wasm"))
	if err != nil || len(names) == 0 {
		f.Fatal("no modules", err)
	}
	for _, name := range names {
		f.Add(module(f, strings.TrimSuffix(filepath.Base(name), ".wasm")))
	}
	f.Fuzz(func(t *testing.T, binary []byte) {
		if len(binary) > 1<<16 {
			return
		}
		v, err := read(binary)
		if err == nil {
			err = v.check()
		}
		var rewritten []byte
		if err == nil {
			rewritten, err = v.rewrite(binary)
		}
		if err != nil {
			if _, ok := errors.AsType[*sdk.Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithDebugInfoEnabled(false).WithCoreFeatures(api.CoreFeaturesV2))
		defer r.Close(t.Context())
		plain := withoutCustomSections(binary)
		before, err := r.CompileModule(t.Context(), plain)
		after, err2 := r.CompileModule(t.Context(), rewritten)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("as it is: %v; rewritten: %v", err, err2)
		}
		if err != nil || v.layout.minimum > 1<<22 || growsTables(v, plain) {
			return
		}
		if err := zeros(t.Context(), r, v.layout); err != nil {
			t.Fatal(err)
		}
		want, finished := traceOf(t.Context(), r, after, v, true)
		if !finished { // nor might the other
			return
		}
		if got, _ := traceOf(t.Context(), r, before, v, false); got != want {
			t.Fatalf("as it is: %+v; rewritten: %+v", got, want)
		}
	})
}

// trace is what a module did.
type trace struct {
	results, memory uint64
	stopped         string
}

// traceOf runs a module's start function and the exports that a method has. It
// reports whether it ran to its end within little fuel, and without a stack so
// deep that the host's limit on it shows.
func traceOf(ctx context.Context, r wazero.Runtime, c wazero.CompiledModule, v *verifier, rewritten bool) (trace, bool) {
	var x trace
	h := fnv.New64a()
	memory := &linearMemory{limit: 1 << 23}
	i, err := r.InstantiateModule(experimental.WithMemoryAllocator(ctx, memory), c, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	var m meter
	if err == nil {
		defer i.Close(ctx)
		if rewritten {
			m = meterOf(i)
			m.fuel.Set(100_000)
			if f := i.ExportedFunction(exportStart); f != nil {
				_, err = f.Call(ctx)
			}
		}
	}
	for _, call := range []struct {
		name string
		args []uint64
	}{{"_initialize", nil}, {"xai_abi", nil}, {"xai_describe", nil}, {"xai_alloc", []uint64{100}}, {"xai_explain", []uint64{3, 5}}} {
		if err != nil || i.ExportedFunction(call.name) == nil {
			continue
		}
		var out []uint64
		out, err = i.ExportedFunction(call.name).Call(ctx, call.args...)
		for _, v := range out {
			h.Write([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24), byte(v >> 32), byte(v >> 40), byte(v >> 48), byte(v >> 56)})
		}
	}
	x.results = h.Sum64()
	if err != nil {
		x.stopped = trap(err)
	}
	h.Reset()
	h.Write(memory.buf)
	x.memory = h.Sum64()
	if !rewritten {
		return x, true
	}
	return x, m.fuel != nil && m.left() >= 0 && x.stopped != "stack overflow"
}

// zeros makes known what a module imports, as functions that return 0.
func zeros(ctx context.Context, r wazero.Runtime, l *layout) error {
	modules := map[string]wazero.HostModuleBuilder{}
	for _, f := range l.imports {
		b, ok := modules[f.module]
		if !ok {
			b = r.NewHostModuleBuilder(f.module)
			modules[f.module] = b
		}
		params, results := f.signature.types()
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			if len(results) > 0 {
				stack[0] = 0
			}
		}), params, results).Export(f.name)
	}
	for _, b := range modules {
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

// growsTables reports whether a module may see that its tables are clamped.
func growsTables(v *verifier, binary []byte) bool {
	open := slices.ContainsFunc(v.layout.tables, func(t tableLimits) bool { return t.max == maxTable })
	return open && bytes.Contains(binary, []byte{opBulk, bulkTableGrow})
}

// withoutCustomSections returns a module without sections that mean nothing to
// its validity.
func withoutCustomSections(binary []byte) []byte {
	out := slices.Clone(binary[:8])
	for s := (&scanner{b: binary, at: 8}); s.at < len(binary); {
		if id, content := s.byte(), s.take(s.u32()); id != sectionCustom {
			out = appendSection(out, id, content)
		}
	}
	return out
}
