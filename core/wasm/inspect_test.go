package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/core/wasm/testdata/toy"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// sealed returns a module with custom sections "xai.method".
func sealed(binary []byte, methods ...string) []byte {
	binary = bytes.Clone(binary)
	for _, m := range methods {
		content := append([]byte("\x0axai.method"), m...)
		binary = append(binary, 0, byte(len(content)|0x80), byte(len(content)>>7))
		binary = append(binary, content...)
	}
	return binary
}

func TestInspect(t *testing.T) {
	description := `{"name":"one","needs":["forward"]}`
	x, err := wasm.Inspect(sealed(hostile(t, "instructions"), description))
	if err != nil {
		t.Fatal(err)
	}
	want := &wasm.Inspection{
		Exports: []wasm.Export{
			{Name: "memory", Kind: "memory"},
			{Name: "xai_abi", Kind: "function", Signature: "() → i32"},
			{Name: "xai_alloc", Kind: "function", Signature: "(i32) → i32"},
			{Name: "xai_explain", Kind: "function", Signature: "(i32, i32) → i32"},
		},
		Sections:  map[string][][]byte{"xai.method": {[]byte(description)}},
		MemoryMin: 64 << 10,
		Tables:    []wasm.Table{{Element: "funcref", Min: 4, Max: 8}, {Element: "externref", Min: 1, Max: 65536}},
		Functions: 7, LargestBody: x.LargestBody,
	}
	if diff := cmp.Diff(want, x); diff != "" {
		t.Error(diff)
	}
	if x.LargestBody < 300 || x.LargestBody > 600 {
		t.Errorf("the largest body has %d bytes", x.LargestBody)
	}
}

func TestInspectNeeds(t *testing.T) {
	x, err := wasm.Inspect(hostile(t, "needs"))
	if err != nil {
		t.Fatal(err)
	}
	imports := []wasm.Import{
		{Module: "xai1", Name: "tokenize", Signature: "(i32, i32) → i64", Need: sdk.NeedTokenize},
		{Module: "xai1", Name: "forward", Signature: "(i32, i32) → i64", Need: sdk.NeedForward},
		{Module: "xai1", Name: "grad", Signature: "(i32, i32) → i64", Need: sdk.NeedGradients},
		{Module: "xai1", Name: "generate", Signature: "(i32, i32) → i64", Need: sdk.NeedGenerate},
		{Module: "xai1", Name: "log", Signature: "(i32, i32, i32) → i32"},
		{Module: "wasi_snapshot_preview1", Name: "sched_yield", Signature: "() → i32"},
	}
	if diff := cmp.Diff(imports, x.Imports); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]sdk.Need{sdk.NeedForward, sdk.NeedGenerate, sdk.NeedGradients, sdk.NeedTokenize}, x.Needs); diff != "" {
		t.Error(diff)
	}
}

// What this host refuses can be looked at all the same, where it can be read.
func TestInspectRefused(t *testing.T) {
	for name, want := range map[string]string{
		"import_unknown":   "the module imports env.system, which this host does not have",
		"export_signature": "the module exports xai_explain as (i32) → i32, and the ABI's is (i32, i32) → i32",
	} {
		x, err := wasm.Inspect(hostile(t, name))
		if x == nil || x.Functions == 0 || err == nil || err.Error() != want {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
	for name, binary := range map[string][]byte{"nothing": nil, "truncated": hostile(t, "minimal")[:100], "table_large": hostile(t, "table_large")} {
		if x, err := wasm.Inspect(binary); x != nil || !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
}

func TestImportsNeedTheirNeeds(t *testing.T) {
	r := hostileRuntime(t)
	all := []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedGenerate, sdk.NeedTokenize}
	for name, c := range map[string]struct {
		sections []string
		needs    []sdk.Need
		want     string
	}{
		"all":               {nil, all, ""},
		"none":              {nil, nil, "the module imports xai1.tokenize, and the method hostile does not declare the need tokenize"},
		"but one":           {nil, []sdk.Need{sdk.NeedForward, sdk.NeedGenerate, sdk.NeedTokenize, sdk.NeedPatch}, "the module imports xai1.grad, and the method hostile does not declare the need gradients"},
		"by two methods":    {[]string{`{"name":"a","needs":["forward","tokenize"]}`, `{"name":"b","needs":["gradients","generate"]}`}, nil, ""},
		"by none of two":    {[]string{`{"name":"a","needs":["forward","tokenize"]}`, `{"name":"b"}`}, all, "the module imports xai1.grad, and none of its methods declares the need gradients"},
		"not a description": {[]string{`needs`}, all, "the module has a section xai.method that is no description of a method: "},
	} {
		t.Run(name, func(t *testing.T) {
			binary := sealed(hostile(t, "needs"), c.sections...)
			m, err := r.Compile(t.Context(), binary)
			if err != nil {
				t.Fatal(err)
			}
			inspection, err := wasm.Inspect(binary)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]sdk.Need{sdk.NeedForward, sdk.NeedGenerate, sdk.NeedGradients, sdk.NeedTokenize}, inspection.Needs); diff != "" {
				t.Error(diff)
			}
			info := sdk.Info{Name: "hostile", Needs: c.needs}
			err = wasm.Check(binary, info)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			_, stats, ran := m.Explain(t.Context(), &model{}, request(nil), info, wasm.Limits{})
			if refused := stats.Fuel == 0; refused != (c.want != "") || refused && ran.Error() != err.Error() {
				t.Errorf("it ran with %d of fuel: %v", stats.Fuel, ran)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	toyModule(t)
	const tired = "used more than its 20M of fuel" // or, with the race detector, ran out of time
	description := abi.AppendDescription(nil, toy.Method{}.Info(), abi.VersionText)
	for name, c := range map[string]struct {
		binary []byte
		want   wasm.Probed
		fails  string
	}{
		"describe":         {binary: hostile(t, "describe"), want: wasm.Probed{Major: 1, Description: []byte(`{"name":"one","needs":["forward"]}`)}},
		"no description":   {binary: hostile(t, "minimal"), want: wasm.Probed{Major: 1}},
		"abi_major":        {binary: hostile(t, "abi_major"), want: wasm.Probed{Major: 2}},
		"abi_minor":        {binary: hostile(t, "abi_minor"), want: wasm.Probed{Major: 1, Minor: 9}},
		"a Go module":      {binary: toyOnce().binary, want: wasm.Probed{Major: abi.Major, Minor: abi.Minor, Description: description}},
		"describe_outside": {binary: hostile(t, "describe_outside"), fails: "the module's xai_describe returned a pointer outside its memory"},
		"describe_loop":    {binary: hostile(t, "describe_loop"), fails: tired},
		"loop_start":       {binary: hostile(t, "loop_start"), fails: tired},
		"trap_start":       {binary: hostile(t, "trap_start"), fails: "the module was stopped: unreachable"},
		"memory_large":     {binary: hostile(t, "memory_large"), fails: "needs more than its 64 MiB of memory"},
		"import_unknown":   {binary: hostile(t, "import_unknown"), fails: "the module imports env.system, which this host does not have"},
		"garbage":          {binary: []byte("garbage"), fails: "the module is not a WebAssembly module of version 1"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := wasm.Probe(t.Context(), c.binary)
			if c.fails != "" {
				limit, ok := errors.AsType[*contract.LimitError](err)
				slow := ok && limit.Limit == contract.LimitTimeout && c.fails == tired
				if p != nil || err == nil || err.Error() != c.fails && !slow {
					t.Errorf("got %+v, %v", p, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, p); diff != "" {
				t.Error(diff)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wasm.Probe(ctx, hostile(t, "describe")); err != context.Canceled {
		t.Error(err)
	}
}
