package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/core/wasm/testdata/toy"
	"github.com/xai-go/xai/sdk"
)

// hostileInfo declares what the hand-written modules use.
var hostileInfo = sdk.Info{Name: "hostile", Needs: []sdk.Need{sdk.NeedForward}}

func hostile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "modules", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// hostileRuntime compiles without a cache on disk, once for a test.
func hostileRuntime(t testing.TB) *wasm.Runtime {
	t.Helper()
	r, err := wasm.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestRefusedModules(t *testing.T) {
	r := hostileRuntime(t)
	for name, want := range map[string]string{
		"memory_import":        "the module imports xai1.memory, which is no function: only functions can be imported",
		"memory_none":          `the module does not export its memory as "memory", so it is no method for xai`,
		"table_large":          "the module has a table of 100000000 elements, and 65536 is the most",
		"import_unknown":       "the module imports env.system, which this host does not have",
		"import_later":         "the module imports xai1.train, which this host does not have",
		"import_signature":     "the module imports xai1.progress as (i64) → i32, and the host's is (i64, i64) → i32",
		"import_open":          "the module imports wasi_snapshot_preview1.path_open, which this host does not have",
		"import_global":        "the module imports xai1.g, which is no function: only functions can be imported",
		"export_none":          `the module does not export its memory as "memory", so it is no method for xai`,
		"export_signature":     "the module exports xai_explain as (i32) → i32, and the ABI's is (i32, i32) → i32",
		"export_kind":          "the module does not export the function xai_explain, so it is no method for xai",
		"export_host_name":     `the module exports "xai:start", and names that begin with xai: are the host's`,
		"export_host_function": "the module exports a function of the host as xai_alloc, which has to be its own",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Compile(t.Context(), hostile(t, name))
			if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != sdk.EInvalid || e.Message != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func TestGarbageIsRefused(t *testing.T) {
	r := hostileRuntime(t)
	minimal := hostile(t, "minimal")
	narrow, wide := []byte{0x41, 0x10, 0x41, 0x0c}, []byte{0x42, 0x10, 0x41, 0x0c} // i32.const 16, i64.const 16; i32.const 12
	if bytes.Count(minimal, narrow) != 1 {
		t.Fatal("the minimal module has changed")
	}
	// changed returns a module with other bytes in the place of some that are there once.
	changed := func(name, old, now string) []byte {
		b := hostile(t, name)
		if bytes.Count(b, []byte(old)) != 1 {
			t.Fatalf("%x is not once in %s", old, name)
		}
		return bytes.Replace(b, []byte(old), []byte(now), 1)
	}
	for name, c := range map[string]struct {
		binary []byte
		want   string
	}{
		"empty":                     {nil, "the module is not a WebAssembly module of version 1"},
		"text":                      {bytes.Repeat([]byte("wasm?"), 50_000), "the module is not a WebAssembly module of version 1"},
		"large":                     {make([]byte, 32<<20+1), "the module is larger than 32 MiB"},
		"component":                 {[]byte("\x00asm\x0d\x00\x01\x00"), "the module is not a WebAssembly module of version 1"},
		"header":                    {minimal[:8], "the module has no code"},
		"truncated":                 {minimal[:len(minimal)-5], "the module is cut short or malformed at byte "},
		"bad type":                  {bytes.Replace(minimal, narrow, wide, 1), "the module is not valid WebAssembly: "},
		"more data than there is":   {changed("instructions", "\x0c\x01\x01\x0a", "\x0c\x01\x02\x0a"), "the module is not valid WebAssembly: "},
		"less data than there is":   {changed("instructions", "\x0c\x01\x01\x0a", "\x0c\x01\x00\x0a"), "the module is not valid WebAssembly: "},
		"memory of 64 bits":         {changed("minimal", "\x05\x03\x01\x00\x01", "\x05\x03\x01\x04\x01"), "the module has a memory that is shared or of 64 bits, which this host does not support"},
		"shared memory":             {changed("minimal", "\x05\x03\x01\x00\x01", "\x05\x04\x01\x03\x01\x01"), "the module has a memory that is shared or of 64 bits, which this host does not support"},
		"no memory":                 {changed("minimal", "\x05\x03\x01\x00\x01", "\x05\x01\x00"), "the module has data beyond the end of its memory"},
		"memory beyond 4 GiB":       {changed("minimal", "\x05\x03\x01\x00\x01", "\x05\x05\x01\x00\x81\x80\x04"), "the module is not valid WebAssembly: "},
		"function without an end":   {changed("code_unknown", "\x41\x9d\x7f\x0b", "\x41\x9d\x7f\x01"), "the module has a function that is malformed"},
		"a call through references": {changed("recurse_indirect", "\x04\x04\x01\x70", "\x04\x04\x01\x6f"), "the module is not valid WebAssembly: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Compile(t.Context(), c.binary)
			if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != sdk.EInvalid || !strings.HasPrefix(e.Message, c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestHostileRuns(t *testing.T) {
	disk := errors.New("the disk under the model is gone")
	type want struct {
		code  sdk.Errno // of an *sdk.Error, or
		limit string    // of a *core.LimitError
		text  string
	}
	r := hostileRuntime(t)
	good, err := r.Compile(t.Context(), hostile(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		want
		model  *model
		limits wasm.Limits
	}{
		"loop":             {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"loop_start":       {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"loop_init":        {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"loop_alloc":       {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"loop_host":        {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"calls":            {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"fills":            {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"instructions":     {want: want{code: sdk.EHandle, text: "EHANDLE"}}, // -1 and the one run of its start function
		"trap_load":        {want: want{code: sdk.EInternal, text: "the module was stopped: out of bounds memory access"}},
		"trap_unreachable": {want: want{code: sdk.EInternal, text: "the module was stopped: unreachable"}},
		"trap_divide":      {want: want{code: sdk.EInternal, text: "the module was stopped: integer divide by zero"}},
		"trap_start":       {want: want{code: sdk.EInternal, text: "the module was stopped: unreachable"}},
		"recurse":          {want: want{code: sdk.EInternal, text: "the module was stopped: stack overflow"}},
		"recurse_indirect": {want: want{code: sdk.EInternal, text: "the module was stopped: stack overflow"}},
		"recurse_wide":     {want: want{code: sdk.EInternal, text: "the module was stopped: stack overflow"}},
		"recurse_deep":     {want: want{code: sdk.EInvalid, text: "EINVAL"}},
		"pieces":           {want: want{code: sdk.EInvalid, text: "EINVAL"}},
		"counts":           {want: want{code: sdk.EInvalid, text: "EINVAL"}},
		"trap_fill":        {want: want{code: sdk.EInternal, text: "the module was stopped: out of bounds memory access"}},
		"trap_copy":        {want: want{code: sdk.EInternal, text: "the module was stopped: out of bounds memory access"}},
		"grow":             {want: want{limit: contract.LimitMemory, text: "needs more than its 64 MiB of memory"}},
		"grow_trap":        {want: want{limit: contract.LimitMemory, text: "needs more than its 3 MiB of memory"}, limits: wasm.Limits{MemoryBytes: 3<<20 + 1}},
		"memory_large":     {want: want{limit: contract.LimitMemory, text: "needs more than its 64 MiB of memory"}},
		"table_grow":       {want: want{limit: contract.LimitMemory, text: "needs more than its 64 MiB of memory"}},
		"pointer_read":     {want: want{code: sdk.EFault, text: "a pointer is outside the module's memory"}},
		"pointer_write":    {want: want{code: sdk.EFault, text: "a pointer is outside the module's memory"}},
		"exit":             {want: want{code: sdk.EInternal, text: "the module ended itself with exit code 3"}},
		"exit_zero":        {want: want{code: sdk.EInternal, text: "the module ended itself with exit code 0"}},
		"exit_init":        {want: want{code: sdk.EInternal, text: "the module ended itself with exit code 0"}},
		"sleep":            {want: want{code: sdk.EInvalid, text: "EINVAL"}},
		"descriptors":      {want: want{code: sdk.EInvalid, text: "EINVAL"}},
		"abi_older":        {want: want{code: sdk.EUnsupported, text: "the module speaks ABI 0.9 and this xai speaks 1.0: a newer version of the method is needed"}},
		"abi_minor":        {want: want{code: sdk.EUnsupported, text: "the module speaks ABI 1.9 and this xai speaks 1.0: a newer xai is needed"}},
		"abi_major":        {want: want{code: sdk.EUnsupported, text: "the module speaks ABI 2.0 and this xai speaks 1.0: a newer xai is needed"}},
		"alloc_null":       {want: want{limit: contract.LimitMemory, text: "needs more than its 64 MiB of memory"}},
		"alloc_outside":    {want: want{code: sdk.EFault, text: "the module's xai_alloc returned a pointer outside its memory"}},
		"result_none":      {want: want{code: sdk.EInternal, text: "the method returned no attributions"}},
		"result_twice":     {want: want{code: sdk.EName, text: "the method returned two results named attributions"}},
		"result_bytes":     {want: want{code: sdk.EInternal, text: "the method returned attributions as something else than f64 over units or tokens"}},
		"result_large":     {want: want{limit: contract.LimitOutput, text: "returned more than its 1 MiB of results"}, limits: wasm.Limits{OutputBytes: 1 << 20}},
		"code_unknown":     {want: want{code: sdk.EInternal, text: "the method returned -99, which is neither 0 nor an error code"}},
		"code_positive":    {want: want{code: sdk.EInternal, text: "the method returned 7, which is neither 0 nor an error code"}},
		"code_silent":      {want: want{code: sdk.ERange, text: "ERANGE"}},
		"code_other":       {want: want{code: sdk.ERange, text: "ERANGE"}},
		"message":          {want: want{code: sdk.ERange, text: "red [31malert\uFFFD next"}},
		"tensors_many":     {want: want{limit: contract.LimitHandles, text: "or more than 65536 of them"}},
		"tensor_huge":      {want: want{limit: contract.LimitHandles, text: "holds more than its 256 MiB of tensors"}},
		"chatty":           {want: want{code: sdk.EInvalid, text: "EINVAL"}},
		"forward":          {want: want{code: sdk.EInvalid, text: "the frame ends early"}},
		"loop_table":       {want: want{limit: contract.LimitTimeout, text: "ran longer than its limit of 100ms"}, limits: wasm.Limits{Timeout: 100 * time.Millisecond}},
		"values":           {want: want{code: sdk.EInvalid, text: "EINVAL"}},
		"handles":          {want: want{code: sdk.EInvalid, text: "a tensor is the host's or a result, and cannot be written"}}, // of the calls with EINVAL the last one
		"model":            {want: want{text: disk.Error()}, model: &model{fail: disk}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := r.Compile(t.Context(), hostile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if c.model == nil {
				c.model = &model{}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, stats, err := m.Explain(t.Context(), c.model, request(nil), hostileInfo, c.limits)
			if d := time.Since(start); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
			if err == nil {
				t.Fatal("it ran as if all were well")
			}
			if strings.Contains(err.Error(), "goroutine ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error shows the host's inside: %v", err)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 256<<20 {
				t.Errorf("the host allocated %d bytes", n)
			}
			if stats.MemoryBytes > 64<<20 {
				t.Errorf("it had %d bytes of memory", stats.MemoryBytes)
			}
			if _, _, err := good.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); err != nil {
				t.Errorf("the next explanation failed: %v", err)
			}
			e, isError := errors.AsType[*sdk.Error](err)
			limit, isLimit := errors.AsType[*contract.LimitError](err)
			switch {
			case !strings.Contains(err.Error(), c.text):
			case c.limit != "" && isLimit && limit.Limit == c.limit:
				return
			case c.code != 0 && isError && e.Code == c.code:
				return
			case c.model.fail != nil && errors.Is(err, c.model.fail):
				return
			}
			t.Errorf("got %T %v, want %+v", err, err, c.want)
		})
	}
}

// The deadline ends what a module has the host do, however much that is.
func TestDeadlineInTheHost(t *testing.T) {
	r := hostileRuntime(t)
	for name, timeout := range map[string]time.Duration{
		"write_vectors": 100 * time.Millisecond, "op_large": time.Second,
		// Each of these asks for a little too much thousands of times before it yields.
		"again_read": 100 * time.Millisecond, "again_write": 100 * time.Millisecond, "again_poll": 100 * time.Millisecond,
		"again_random": 100 * time.Millisecond, "again_copy": 100 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			m, err := r.Compile(t.Context(), hostile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, _, err = m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{Timeout: timeout})
			if limit, ok := errors.AsType[*contract.LimitError](err); !ok || limit.Limit != contract.LimitTimeout {
				t.Errorf("got %v", err)
			}
			if d := time.Since(start); d > 8*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}

// Whatever its arguments are, a function of the host answers with a value or a code,
// and takes no more memory than the limits allow.
func TestAnyArguments(t *testing.T) {
	m, err := hostileRuntime(t).Compile(t.Context(), hostile(t, "arguments"))
	if err != nil {
		t.Fatal(err)
	}
	info := hostileInfo
	info.Needs = sdk.Needs()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, stats, err := m.Explain(t.Context(), &model{}, request(nil), info, wasm.Limits{})
	runtime.ReadMemStats(&after)
	if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != sdk.EInvalid || strings.Contains(err.Error(), "the host failed") {
		t.Errorf("got %v", err)
	}
	if stats.HostCalls != 19*3000 {
		t.Errorf("%d calls were made", stats.HostCalls)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 512<<20 {
		t.Errorf("the host allocated %d bytes", n)
	}
}

// A module may call the host before it is asked to explain, and return what is strange.
func TestStrangeModules(t *testing.T) {
	r := hostileRuntime(t)
	for name, want := range map[string][]float64{
		"start_host":      {0, 0, 0},
		"results_strange": {math.Float64frombits(0x7ff8 << 48), math.Inf(1), math.Inf(-1)},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := r.Compile(t.Context(), hostile(t, name))
			if err != nil {
				t.Fatal(err)
			}
			e, _, err := m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, e.Attributions[0].Values, bits); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// No time at all is a limit as well, and a caller who has given up gets that.
func TestNoTime(t *testing.T) {
	m, err := hostileRuntime(t).Compile(t.Context(), hostile(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{Timeout: 1})
	if limit, ok := errors.AsType[*contract.LimitError](err); err != nil && (!ok || limit.Limit != contract.LimitTimeout) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	<-ctx.Done()
	if _, _, err := m.Explain(ctx, &model{}, request(nil), hostileInfo, wasm.Limits{}); err != context.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

// Whoever explains while the runtime is closed, or after, gets an error, and closing
// twice is no mistake.
func TestExplainWhileClosing(t *testing.T) {
	r, err := wasm.New(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Compile(t.Context(), hostile(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, _, err = m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{})
	if !errors.Is(err, &sdk.Error{Code: sdk.EInternal}) {
		t.Errorf("got %v", err)
	}
}

// As many functions as a module may have are no burden.
func TestManyFunctions(t *testing.T) {
	const most = 50_000
	n := []byte{0x80 | most&0x7f, 0x80 | most>>7&0x7f, most >> 14} // LEB128
	section := func(id byte, content ...[]byte) []byte {
		all := bytes.Join(content, nil)
		return append([]byte{id, byte(len(all)) | 0x80, byte(len(all)>>7) | 0x80, byte(len(all) >> 14)}, all...)
	}
	// () → i32, (i32) → i32, (i32, i32) → i32
	types := []byte{3, 0x60, 0, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 2, 0x7f, 0x7f, 1, 0x7f}
	export := []byte{4, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0}
	for i, name := range []string{"xai_abi", "xai_alloc", "xai_explain"} {
		export = append(append(append(export, byte(len(name))), name...), 0, byte(i))
	}
	bodies := append([]byte{6, 0, 0x41, 0x80, 0x80, 4, 0x0b}, bytes.Repeat([]byte{4, 0, 0x41, 0x7f, 0x0b}, most-1)...) // 0x10000, and -1
	binary := bytes.Join([][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"), section(1, types), section(3, n, []byte{0, 1, 2}, make([]byte, most-3)),
		section(5, []byte{1, 0, 1}), section(7, export), section(10, n, bodies),
	}, nil)
	m, err := hostileRuntime(t).Compile(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); !errors.Is(err, &sdk.Error{Code: sdk.EFault}) {
		t.Error(err)
	}
}

func TestMinimalModule(t *testing.T) {
	m, err := hostileRuntime(t).Compile(t.Context(), hostile(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	e, stats, err := m.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if a := e.Attributions[0]; len(a.Values) != 3 || a.Over != sdk.OverUnits {
		t.Errorf("got %+v", a)
	}
	if stats.HostCalls != 2 || stats.MemoryBytes != 64<<10 {
		t.Errorf("got %+v", stats)
	}
}

func TestForwardNeedsAGrant(t *testing.T) {
	info := toy.Method{}.Info()
	info.Needs = nil
	m := &model{}
	_, _, err := toyModule(t).Explain(t.Context(), m, request(nil), info, wasm.Limits{})
	if !errors.Is(err, &sdk.Error{Code: sdk.ECap}) || m.forwards != 0 {
		t.Errorf("got %v after %d forwards", err, m.forwards)
	}
}

func TestHostPanicIsAnError(t *testing.T) {
	_, _, err := toyModule(t).Explain(t.Context(), &model{panics: true}, request(nil), toy.Method{}.Info(), wasm.Limits{})
	if want := sdk.NewError(sdk.EInternal, "the host failed: runtime error in a kernel goroutine 1 [running]:"); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

func TestForwardsAreLimited(t *testing.T) {
	_, stats, err := toyModule(t).Explain(t.Context(), &model{}, request(nil), toy.Method{}.Info(), wasm.Limits{Forwards: 20})
	limit, ok := errors.AsType[*contract.LimitError](err)
	if !ok || limit.Limit != contract.LimitForwards || stats.Rows != 18 {
		t.Errorf("got %v after %+v", err, stats)
	}
}

func TestLogIsCutAndClean(t *testing.T) {
	m, err := hostileRuntime(t).Compile(t.Context(), hostile(t, "chatty"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	r := request(nil)
	r.Log = func(_ sdk.Level, s string) { lines = append(lines, s) }
	_, _, _ = m.Explain(t.Context(), &model{}, r, hostileInfo, wasm.Limits{LogBytes: 1 << 10})
	if len(lines) < 4 || lines[0] != "one" || lines[1] != "two[2J" || lines[2] != "one two[2J " {
		t.Fatalf("got %q", lines)
	}
	if last := lines[len(lines)-1]; last != "the method's log was cut at 1 KiB" {
		t.Errorf("the last line is %q", last)
	}
	if n := len(strings.Join(lines[:len(lines)-1], "\n")); n > 1<<10 {
		t.Errorf("%d bytes were logged", n)
	}
}

func TestCancelEndsTheGuest(t *testing.T) {
	toyModule(t) // whose compilation is not what is timed
	for name, explain := range map[string]func(ctx context.Context, cancel func()) error{
		"in a loop": func(ctx context.Context, cancel func()) error {
			time.AfterFunc(50*time.Millisecond, cancel)
			_, _, err := toyModule(t).Explain(ctx, &model{}, request(sdk.Params{"mode": "spin"}), toy.Method{}.Info(), wasm.Limits{})
			return err
		},
		"in a forward": func(ctx context.Context, cancel func()) error {
			m := &model{wait: make(chan struct{})}
			go func() { <-m.wait; cancel() }()
			_, _, err := toyModule(t).Explain(ctx, m, request(nil), toy.Method{}.Info(), wasm.Limits{})
			return err
		},
		"before": func(ctx context.Context, cancel func()) error {
			cancel()
			_, _, err := toyModule(t).Explain(ctx, &model{}, request(nil), toy.Method{}.Info(), wasm.Limits{})
			return err
		},
		"by the progress": func(ctx context.Context, cancel func()) error {
			r := request(nil)
			r.Progress = func(int, int) error { cancel(); return ctx.Err() }
			_, _, err := toyModule(t).Explain(ctx, &model{}, r, toy.Method{}.Info(), wasm.Limits{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			start := time.Now()
			if err := explain(ctx, cancel); err != context.Canceled {
				t.Errorf("got %v, want %v", err, context.Canceled)
			}
			if d := time.Since(start); d > 15*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	t.Run("caller's deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, _, err := toyModule(t).Explain(ctx, &model{}, request(sdk.Params{"mode": "spin"}), toy.Method{}.Info(), wasm.Limits{})
		if err != context.DeadlineExceeded {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestConcurrentExplanations(t *testing.T) {
	m := toyModule(t)
	want, _, err := m.Explain(t.Context(), &model{}, request(nil), toy.Method{}.Info(), wasm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got, _, err := m.Explain(t.Context(), &model{}, request(nil), toy.Method{}.Info(), wasm.Limits{})
			if err != nil {
				t.Error(err)
			} else if diff := cmp.Diff(want, got, bits); diff != "" {
				t.Error(diff)
			}
		})
		group.Go(func() {
			_, _, err := m.Explain(t.Context(), &model{}, request(sdk.Params{"mode": "panic"}), toy.Method{}.Info(), wasm.Limits{})
			if !errors.Is(err, &sdk.Error{Code: sdk.EInternal}) {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// A guest in a loop must let the collector of the whole process stop the world.
func TestGuestDoesNotBlockTheCollector(t *testing.T) {
	m, err := hostileRuntime(t).Compile(t.Context(), hostile(t, "loop"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() {
		_, _, err := m.Explain(ctx, &model{}, request(nil), hostileInfo, wasm.Limits{Timeout: 20 * time.Second})
		done <- err
	}()
	for range 10 {
		runtime.GC()
	}
	select {
	case err := <-done:
		t.Errorf("the collector waited for the guest, which ended with %v", err)
	default:
		cancel()
		if err := <-done; err != context.Canceled {
			t.Error(err)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	r := hostileRuntime(t)
	good, err := r.Compile(t.Context(), hostile(t, "minimal"))
	if err != nil {
		t.Fatal(err)
	}
	bad, err := r.Compile(t.Context(), hostile(t, "trap_load"))
	if err != nil {
		t.Fatal(err)
	}
	slow, err := r.Compile(t.Context(), hostile(t, "loop"))
	if err != nil {
		t.Fatal(err)
	}
	round := func() {
		for range 100 {
			if _, _, err := good.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := bad.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{}); err == nil {
				t.Fatal("the trap did not stop it")
			}
			if _, _, err := slow.Explain(t.Context(), &model{}, request(nil), hostileInfo, wasm.Limits{Timeout: time.Millisecond}); err == nil {
				t.Fatal("the deadline did not stop it")
			}
		}
	}
	files := func() int { // 0 where the system does not say
		open, _ := os.ReadDir("/dev/fd")
		return len(open)
	}
	// Goroutines that were told to end need a moment, and on a busy machine a long one.
	measure := func(most int) (goroutines int, heap uint64) {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
			if goroutines = runtime.NumGoroutine(); goroutines <= most || time.Now().After(deadline) {
				break
			}
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return goroutines, m.HeapAlloc
	}
	before := runtime.NumGoroutine()
	round()
	goroutines, heap := measure(before)
	open := files()
	round()
	after, heapAfter := measure(goroutines)
	if openAfter := files(); openAfter > open {
		t.Errorf("%d open files, and %d after 300 more explanations", open, openAfter)
	}
	if after > goroutines {
		t.Errorf("%d goroutines, and %d after 300 more explanations", goroutines, after)
	}
	if heapAfter > heap+4<<20 { // 300 instances of 64 KiB and more each would be 20 MB
		t.Errorf("%d bytes on the heap, and %d after 300 more explanations", heap, heapAfter)
	}
}

func TestModulesAreFresh(t *testing.T) {
	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm of WABT is not installed")
	}
	sources, err := filepath.Glob(filepath.Join("testdata", "modules", "*.wat"))
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources", err)
	}
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".wat")
		out := filepath.Join(t.TempDir(), name)
		if text, err := exec.Command(tool, source, "-o", out).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", source, err, text)
			continue
		}
		if b, err := os.ReadFile(out); err != nil || !bytes.Equal(b, hostile(t, name)) {
			t.Errorf("%s.wasm is stale: run testdata/modules/build.sh", name)
		}
	}
}
