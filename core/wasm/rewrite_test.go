package wasm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
)

// metered is an instance of a rewritten module whose host functions return 0.
type metered struct {
	api.Module
	meter
}

// instance makes one in the interpreter, or with the compiler.
func instance(t testing.TB, config wazero.RuntimeConfig, binary []byte) metered {
	t.Helper()
	v, err := read(binary)
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := v.rewrite(binary)
	if err != nil {
		t.Fatal(err)
	}
	m := &Module{layout: v.layout}
	if err := m.build(t.Context(), config, nil, rewritten); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.close(context.Background()) })
	i, err := m.runtime.InstantiateModule(t.Context(), m.compiled, wazero.NewModuleConfig().WithStartFunctions().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	return metered{i, meterOf(i)}
}

// explain calls xai_explain with an amount of fuel, so that a slice of it is in
// use already, and returns what was used.
func (m metered) explain(t testing.TB, fuel int64, slice int32) (used int64, err error) {
	t.Helper()
	m.fuel.Set(uint64(fuel - int64(slice)))
	m.slice.Set(uint64(uint32(slice)))
	_, err = m.ExportedFunction("xai_explain").Call(t.Context(), 0, 0)
	return fuel - m.left(), err
}

func TestWhatIsCharged(t *testing.T) {
	const get, set, tee = opLocalGet, opLocalSet, opLocalTee
	eight := ops(get, 0, get, 0, opI32Add, get, 0, opI32Add, get, 0, opI32Add, set, 0) // is charged 8
	// times repeats a body and counts in a variable: 2 before it, and 5 each time.
	times := func(n int64, counter byte, body []byte) []byte {
		return ops(i32(n), set, counter, opLoop, typeEmpty, body, get, counter, i32(1), opI32Sub, tee, counter, opBrIf, 0, opEnd)
	}
	for name, c := range map[string]struct {
		body []byte
		want int64
	}{
		"a constant":             {ops(i32(0)), 1},
		"what is no code":        {ops(opNop, opBlock, typeEmpty, opEnd, i32(0), i32(0), opDrop), 2},
		"a loop":                 {ops(times(100, 1, nil), i32(0)), 2 + 100*5 + 1},
		"an empty loop":          {ops(opLoop, typeEmpty, opEnd, i32(0)), 1 + 1},
		"loops in each other":    {ops(times(10, 1, times(10, 0, nil)), i32(0)), 2 + 10*(2+5+10*5) + 1},
		"behind a loop":          {ops(times(100, 1, nil), eight, i32(0)), 2 + 100*5 + 8 + 1},
		"a small arm":            {ops(get, 0, opIf, typeEmpty, get, 0, opDrop, opEnd, i32(0)), 2 + 1 + 1},
		"an arm that is not run": {ops(get, 0, opIf, typeEmpty, eight, opEnd, i32(0)), 2 + 1},
		"an arm that is run":     {ops(i32(1), opIf, typeEmpty, eight, opEnd, i32(0)), 2 + 8 + 1},
		"the other arm":          {ops(get, 0, opIf, typeEmpty, eight, opElse, eight, eight, opEnd, i32(0)), 2 + 16 + 1},
		"a block jumped out of":  {ops(opBlock, typeEmpty, i32(1), opBrIf, 0, eight, opEnd, i32(0)), 2 + 8 + 1},
		"and what is behind it":  {ops(opBlock, typeEmpty, i32(1), opBrIf, 0, eight, opEnd, eight, i32(0)), 2 + 8 + 9},
		"behind a far jump":      {ops(opBlock, typeEmpty, opBlock, typeEmpty, opBr, 1, opEnd, eight, opEnd, i32(0)), 1 + 8 + 1},
		"behind a return":        {ops(opBlock, typeEmpty, i32(0), opBrIf, 0, i32(0), opReturn, opEnd, eight, i32(0)), 4},
		"no fill":                {ops(i32(0), i32(0), i32(0), opBulk, bulkMemoryFill, 0, i32(0)), 5 + bulkCost},
		"a fill":                 {ops(i32(0), i32(0), i32(8001), opBulk, bulkMemoryFill, 0, i32(0)), 5 + bulkCost + 1000},
		"a copy":                 {ops(i32(0), i32(0), i32(8001), opBulk, bulkMemoryCopy, 0, 0, i32(0)), 5 + bulkCost + 1000},
		"a growth":               {ops(i32(1), opMemoryGrow, 0, opDrop, i32(0)), 3 + growthCost},
		"a growth too far":       {ops(i32(-1), opMemoryGrow, 0, opDrop, i32(0)), 3 + growthCost},
	} {
		t.Run(name, func(t *testing.T) {
			m := instance(t, wazero.NewRuntimeConfigInterpreter(), method(ops(0, c.body, opEnd)...))
			got, err := m.explain(t, 1e6, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("%d is charged, want %d", got, c.want)
			}
		})
	}
}

// What a run takes does not depend on the engine, on how the fuel is cut into
// slices, or on how much there is beyond it; one less is too little.
func TestFuelIsExact(t *testing.T) {
	for name, fails := range map[string]bool{"instructions": false, "counts": false, "recurse_deep": false, "trap_divide": true} {
		t.Run(name, func(t *testing.T) {
			binary := module(t, name)
			interpreted, err := instance(t, wazero.NewRuntimeConfigInterpreter(), binary).explain(t, 1e9, 0)
			if name == "recurse_deep" { // deeper than the interpreter's stack
				interpreted, err = instance(t, wazero.NewRuntimeConfig(), binary).explain(t, 1e9, 0)
			}
			if (err != nil) != fails {
				t.Fatal(err)
			}
			for _, c := range []struct {
				fuel int64
				rest int32
			}{{0, 0}, {1, 0}, {1e15, 0}, {0, 1}, {sliceSize, sliceSize}, {sliceSize + 7, 12345}, {-1, 0}, {-1, 1}, {sliceSize - 1, 3}} {
				m := instance(t, wazero.NewRuntimeConfig(), binary)
				used, err := m.explain(t, interpreted+c.fuel, min(c.rest, int32(min(interpreted+c.fuel, sliceSize))))
				if enough := c.fuel >= 0; enough != (m.left() >= 0) || enough && (err != nil) != fails {
					t.Errorf("with %+d of fuel %d are left, and the error is %v", c.fuel, m.left(), err)
				}
				if c.fuel >= 0 && used != interpreted {
					t.Errorf("compiled it used %d, interpreted %d", used, interpreted)
				}
			}
		})
	}
}

// What the host computes for a module comes out of the same tank.
func TestSpend(t *testing.T) {
	m := instance(t, wazero.NewRuntimeConfigInterpreter(), module(t, "counts"))
	m.fuel.Set(5)
	m.slice.Set(7)
	if m.spend(13) || m.left() != 12 {
		t.Errorf("%d are left of 12", m.left())
	}
	if !m.spend(12) || m.left() != 0 || !m.spend(0) {
		t.Errorf("%d are left of none", m.left())
	}
	if used, err := m.explain(t, 0, 0); err == nil || used <= 0 {
		t.Errorf("without fuel it used %d (%v)", used, err)
	}
}

// Compiled modules are found by rewriteVersion among others.
func TestRewriteVersion(t *testing.T) {
	h := sha256.New()
	for _, name := range []string{"counts", "instructions", "loop_start"} {
		rewritten, err := verify(module(t, name))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(rewritten)
	}
	if got, want := rewriteVersion+" "+hex.EncodeToString(h.Sum(nil))[:16], "2 4db1944fa662c63d"; got != want {
		t.Errorf("rewriting does something else than it did: raise rewriteVersion, and say %q here", got)
	}
}

// What the compiler refuses as it is, it refuses after it was rewritten, or verify
// does: nothing that is added can be named, nor makes anything else be named.
func TestRewritingMakesNothingValid(t *testing.T) {
	export := ops(6, 6, []byte("memory"), kindMemory, 0)
	for i, name := range []string{"xai_abi", "xai_alloc", "xai_explain", "f", "g"} {
		export = ops(export, len(name), []byte(name), kindFunction, min(i, 2))
	}
	// with returns a method with four functions, the last one of which has no
	// name, with sections put in their place.
	with := func(body []byte, sections ...[]byte) []byte {
		zero := ops(4, 0, i32(0), opEnd)
		all := append([][]byte{
			section(sectionType, []byte{4, typeFunc, 0, 1, typeI32, typeFunc, 1, typeI32, 1, typeI32, typeFunc, 2, typeI32, typeI32, 1, typeI32, typeFunc, 0, 0}),
			section(sectionFunction, []byte{4, 0, 1, 2, 3}),
			section(sectionMemory, []byte{1, 0, 1}),
			section(sectionExport, export),
			section(sectionCode, []byte{4}, zero, zero, ops(len(body)+1, 0, body), []byte{2, 0, opEnd}),
		}, sections...)
		slices.SortStableFunc(all, func(a, b []byte) int {
			return strings.IndexByte(sectionOrder, a[0]) - strings.IndexByte(sectionOrder, b[0])
		})
		return assemble(all...)
	}
	null := ops(i32(0), opEnd)
	table := section(sectionTable, []byte{1, typeFuncRef, 0, 8})
	for name, c := range map[string]struct {
		binary []byte
		valid  bool
	}{
		"nothing wrong":                   {with(null), true},
		"a start function":                {with(null, section(sectionStart, []byte{3})), true},
		"a reference to it":               {with(ops(opRefFunc, 3, opDrop, null), section(sectionStart, []byte{3})), false},
		"one that is declared":            {with(ops(opRefFunc, 3, opDrop, null), section(sectionElement, []byte{1, 3, 0, 1, 3})), true},
		"elements":                        {with(null, table, section(sectionElement, ops(1, 0, i32(0), opEnd, 2, 3, 0))), true},
		"elements up to the end":          {with(null, table, section(sectionElement, ops(1, 0, i32(7), opEnd, 1, 3))), true},
		"data up to the end":              {with(null, section(sectionData, ops(1, 0, i32(65535), opEnd, 1, 0))), true},
		"the yield as an element":         {with(null, table, section(sectionElement, ops(1, 0, i32(0), opEnd, 1, 4))), false},
		"as a passive one":                {with(null, section(sectionElement, []byte{1, 1, 0, 1, 4})), false},
		"as an expression":                {with(null, section(sectionElement, []byte{1, 5, typeFuncRef, 1, opRefFunc, 4, opEnd})), false},
		"as a global":                     {with(null, section(sectionGlobal, []byte{1, typeFuncRef, 0, opRefFunc, 4, opEnd})), false},
		"a function as one":               {with(null, section(sectionGlobal, []byte{1, typeFuncRef, 0, opRefFunc, 3, opEnd})), true},
		"the slice in a global":           {with(null, section(sectionGlobal, []byte{1, typeI32, 0, opGlobalGet, 1, opEnd})), false},
		"the slice as an offset":          {with(null, table, section(sectionElement, ops(1, 0, opGlobalGet, 0, opEnd, 1, 3))), false},
		"the slice, set":                  {with(ops(i32(9), opGlobalSet, 0, null)), false},
		"the depth":                       {with(ops(opGlobalGet, 3, opDrop, null)), false},
		"the yield, called":               {with(ops(opCall, 4, null)), false},
		"its type":                        {with(ops(opBlock, 4, opEnd, null)), false},
		"a memory that is not there":      {with(ops(i32(0), i32(0), i32(0), opBulk, bulkMemoryFill, 1, null)), false},
		"a copy from another memory":      {with(ops(i32(0), i32(0), i32(0), opBulk, bulkMemoryCopy, 0, 1, null)), false},
		"a fill with a wide number":       {with(ops(i32(0), i32(0), opI64Const, 0, opBulk, bulkMemoryFill, 0, null)), false},
		"a fill with too little":          {with(ops(i32(0), i32(0), opBulk, bulkMemoryFill, 0, null)), false},
		"a fill with nothing, unreached":  {with(ops(opUnreachable, opBulk, bulkMemoryFill, 0, null)), true},
		"a growth with nothing, as well":  {with(ops(opUnreachable, opMemoryGrow, 0, opDrop, null)), true},
		"a length of a float":             {with(ops(i32(0), i32(0), opF32Const, 0, 0, 0, 0, opBulk, bulkTableInit, 0, 0, null), table, section(sectionElement, []byte{1, 1, 0, 1, 3})), false},
		"a length":                        {with(ops(i32(0), i32(0), i32(0), opBulk, bulkTableInit, 0, 0, null), table, section(sectionElement, []byte{1, 1, 0, 1, 3})), true},
		"a table larger than its maximum": {with(null, section(sectionTable, []byte{1, typeFuncRef, 1, 8, 7})), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
			defer r.Close(t.Context())
			if _, err := r.CompileModule(t.Context(), c.binary); (err == nil) != c.valid {
				t.Fatalf("the module of this test is not what it should be: %v", err)
			}
			rewritten, err := verify(c.binary)
			if err == nil {
				_, err = r.CompileModule(t.Context(), rewritten)
			}
			if (err == nil) != c.valid {
				t.Error(err)
			}
		})
	}
}

// Compilers take time for more than size.
func TestCompileBombsAreRefused(t *testing.T) {
	const k, get = 1 << 10, opLocalGet
	locals := func(n int, kind byte) []byte { return ops(1, appendU32(nil, uint32(n)), kind) }
	all := func(n int) (code []byte) { // reads and writes as many variables
		for i := range n {
			code = ops(code, get, appendU32(nil, uint32(i)), i32(1), opI32Add, opLocalSet, appendU32(nil, uint32(i)))
		}
		return code
	}
	rep := func(n int, code ...any) []byte { return bytes.Repeat(ops(code...), n) }
	jump := ops(get, 0, opBrIf, 0)
	for name, body := range map[string][]byte{
		"a large function":          ops(0, rep(743*k, opNop)),
		"many ifs":                  ops(0, rep(20*k, get, 0, opIf, typeEmpty, opEnd)),
		"ifs in each other":         ops(0, rep(20*k, get, 0, opIf, typeEmpty), rep(20*k, opEnd)),
		"many loops":                ops(0, rep(10*k, opLoop, typeEmpty, opEnd)),
		"loops in each other":       ops(0, rep(10*k, opLoop, typeEmpty), rep(10*k, jump, opEnd)),
		"blocks in each other":      ops(0, rep(40*k, opBlock, typeEmpty), rep(40*k, opEnd)),
		"variables in loops":        ops(locals(1000, typeI32), rep(k, opLoop, typeEmpty), all(1000), rep(k, jump, opEnd)),
		"a few in many loops":       ops(locals(50, typeI32), rep(4*k, opLoop, typeEmpty), all(50), rep(4*k, jump, opEnd)),
		"variables behind ifs":      ops(locals(1000, typeI32), all(1000), rep(5*k, get, 0, opIf, typeEmpty, opEnd), all(1000)),
		"vectors in loops":          ops(locals(1000, typeV128), rep(2*k, opLoop, typeEmpty), rep(2*k, jump, opEnd)),
		"jumps behind variables":    ops(locals(1000, typeI32), opBlock, typeEmpty, all(1000), jump, all(1000), rep(10*k, jump), opEnd, all(1000)),
		"a table behind variables":  ops(locals(1000, typeI32), opBlock, typeEmpty, all(1000), jump, all(1000), get, 0, opBrTable, appendU32(nil, 10*k), rep(10*k+1, 0), opEnd, all(1000)),
		"a loop of variables":       ops(locals(1000, typeI32), opLoop, typeEmpty, all(1000), rep(10*k, jump), opEnd, all(1000)),
		"a table of jumps":          ops(0, get, 0, opBrTable, appendU32(nil, 125*k), rep(125*k+1, 0)),
		"tables of jumps":           ops(0, rep(k, opBlock, typeEmpty, get, 0, opBrTable, 110, rep(111, 0), opEnd)),
		"jumps out of one block":    ops(0, opBlock, typeEmpty, rep(20*k, get, 0, opBrIf, 0), opEnd),
		"returns":                   ops(0, rep(10*k, get, 0, opIf, typeEmpty, i32(0), opReturn, opEnd)),
		"tables out of one block":   ops(0, opBlock, typeEmpty, rep(8*k, opBlock, typeEmpty, get, 0, opBrTable, 1, 1, 0, opEnd), opEnd),
		"growths of the memory":     ops(0, i32(0), rep(30*k, opMemoryGrow, 0), opDrop),
		"operations on tables":      ops(0, rep(12*k, i32(0), opRefNull, typeFuncRef, i32(0), opBulk, bulkTableFill, 0)),
		"calls with many values":    ops(0, rep(1000, i32(0)), rep(2*k, opCall, 3), rep(1000, opDrop)),
		"calls with some":           ops(0, rep(20, i32(0)), rep(40*k, opCall, 4), rep(20, opDrop)),
		"blocks with many values":   ops(0, rep(1000, i32(0)), rep(2*k, opBlock, 3, opEnd), rep(1000, opDrop)),
		"jumps with many values":    ops(0, opBlock, 5, rep(1000, i32(0)), rep(2*k, get, 0, opBrIf, 0), opEnd, rep(1000, opDrop)),
		"a table that carries many": ops(0, opBlock, 5, rep(1000, i32(0)), get, 0, opBrTable, appendU32(nil, 2*k), rep(2*k+1, 0), opEnd, rep(1000, opDrop)),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := verify(bomb(ops(body, i32(0), opEnd))); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
				t.Error(err)
			} else if !strings.Contains(err.Error(), "too long to compile") && !strings.Contains(err.Error(), "bytes, and 131072 is the most") {
				t.Error(err)
			}
		})
	}
	t.Run("many functions", func(t *testing.T) {
		half := ops(0, rep(k/2, get, 0, opIf, typeEmpty, opEnd), rep(15*k, get, 0, 0x28, 2, 0, opDrop), i32(0), opEnd)
		one := bomb(half)
		if _, err := verify(one); err != nil {
			t.Error(err)
		}
		var many [][]byte
		for range 80 {
			many = append(many, half)
		}
		if _, err := verify(bomb(half, many...)); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) || !strings.Contains(err.Error(), "too long to compile") {
			t.Error(err)
		}
	})
	t.Run("many types", func(t *testing.T) {
		wide := ops(typeFunc, appendU32(nil, 1000), rep(1000, typeI32), 0)
		binary := assemble(section(sectionType, appendU32(nil, 9000), bytes.Repeat(wide, 9000)), section(sectionFunction, []byte{1, 0}), section(sectionCode, []byte{1, 2, 0, opEnd}))
		if v, err := read(binary); err != nil || v.scanCode() == nil {
			t.Error(err)
		}
	})
}

// bomb returns a module with that body of xai_explain, functions 3 and 4 of a
// thousand and of twenty values, and more functions of the type of xai_explain.
func bomb(explain []byte, more ...[]byte) []byte {
	wide := func(n int, params bool) []byte {
		values := ops(appendU32(nil, uint32(n)), bytes.Repeat([]byte{typeI32}, n))
		if params {
			return ops(typeFunc, values, values)
		}
		return ops(typeFunc, 0, values)
	}
	types := ops(6, typeFunc, 0, 1, typeI32, typeFunc, 1, typeI32, 1, typeI32, typeFunc, 2, typeI32, typeI32, 1, typeI32, wide(1000, true), wide(20, true), wide(1000, false))
	functions := ops(appendU32(nil, uint32(5+len(more))), 0, 1, 2, 3, 4, bytes.Repeat([]byte{2}, len(more)))
	export := ops(4, 6, []byte("memory"), kindMemory, 0)
	for i, name := range []string{"xai_abi", "xai_alloc", "xai_explain"} {
		export = ops(export, len(name), []byte(name), kindFunction, i)
	}
	zero := ops(0, i32(0), opEnd)
	code := appendU32(nil, uint32(5+len(more)))
	for _, body := range append([][]byte{zero, zero, explain, {0, opUnreachable, opEnd}, {0, opUnreachable, opEnd}}, more...) {
		code = ops(code, appendU32(nil, uint32(len(body))), body)
	}
	return assemble(
		section(sectionType, types), section(sectionFunction, functions), section(sectionTable, []byte{1, typeFuncRef, 0, 8}),
		section(sectionMemory, []byte{1, 0, 1}), section(sectionExport, export), section(sectionCode, code))
}

// Real modules are far from the bounds.
func TestEffortOfRealModules(t *testing.T) {
	binary, err := plugins.Builtin().Module("lime.wasm")
	if err != nil {
		t.Fatal(err)
	}
	v, err := read(binary)
	if err != nil {
		t.Fatal(err)
	}
	v.leaves = make([]bool, len(v.functions))
	most, sum := int64(0), int64(0)
	err = v.scanAll(func(_ int, _ []byte, c *code) error {
		most, sum = max(most, c.effort()), sum+c.effort()
		return nil
	})
	if err != nil || most > maxEffort/10 || sum > maxEfforts/3 {
		t.Errorf("the effort is %d, and %d of one function (%v)", sum, most, err)
	}
}
