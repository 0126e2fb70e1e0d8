package wasm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/sdk"
)

func module(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "modules", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// section returns a section of the binary format.
func section(id byte, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(appendU32([]byte{id}, uint32(len(body))), body...)
}

// assemble returns the parts behind the head of a module.
func assemble(parts ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(parts, nil)...)
}

// method returns a module that has what the ABI asks for, with that body of
// xai_explain.
func method(explain ...byte) []byte {
	export := func(name string, kind, index byte) []byte {
		return append(append([]byte{byte(len(name))}, name...), kind, index)
	}
	zero := []byte{4, 0, opI32Const, 0, opEnd} // a body that returns 0, with its size
	return assemble(
		section(sectionType, []byte{3, typeFunc, 0, 1, typeI32, typeFunc, 1, typeI32, 1, typeI32, typeFunc, 2, typeI32, typeI32, 1, typeI32}),
		section(sectionFunction, []byte{3, 0, 1, 2}),
		section(sectionMemory, []byte{1, 0, 1}),
		section(sectionExport, []byte{4}, export("memory", kindMemory, 0), export("xai_abi", kindFunction, 0), export("xai_alloc", kindFunction, 1), export("xai_explain", kindFunction, 2)),
		section(sectionCode, []byte{3}, zero, zero, appendU32(nil, uint32(len(explain))), explain),
	)
}

func TestVerifyBounds(t *testing.T) {
	u32 := func(v uint32) []byte { return appendU32(nil, v) }
	for name, c := range map[string]struct {
		binary []byte
		want   string
	}{
		"body":             {method(make([]byte, maxBody+1)...), "has a function of 131073 bytes"},
		"locals":           {method(2, 0xe8, 0x07, 0x7f, 1, 0x7f), "has a function of 1001 local variables"},
		"locals overflow":  {method(bytes.Repeat([]byte{3, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f}, 3)...), "local variables, and 1000 is the most"},
		"no code":          {assemble(section(sectionMemory, []byte{1, 0, 1})), "has no code"},
		"codes":            {assemble(section(sectionType, []byte{1, typeFunc, 0, 0}), section(sectionFunction, []byte{1, 0}), section(sectionCode, []byte{0})), "is cut short or malformed"},
		"start index":      {assemble(section(sectionStart, []byte{0})), "is cut short or malformed"},
		"start's type":     {assemble(section(sectionType, []byte{1, typeFunc, 0, 1, typeI32}), section(sectionFunction, []byte{1, 0}), section(sectionStart, []byte{0})), "is cut short or malformed"},
		"host's export":    {assemble(section(sectionExport, []byte{1, 8}, []byte("xai:stop"), []byte{3, 0})), `exports "xai:stop", and names that begin with xai: are the host's`},
		"exported global":  {assemble(section(sectionExport, []byte{1, 1, 'g', 3, 0})), "is cut short or malformed"},
		"functions":        {assemble(section(sectionFunction, u32(maxFunctions+1))), "has too many functions: 50000"},
		"types":            {assemble(section(sectionType, u32(maxTypes+1))), "has too many types: 10000"},
		"imports":          {assemble(section(sectionImport, u32(maxImports+1))), "has too many imports: 1000"},
		"exports":          {assemble(section(sectionExport, u32(maxExports+1))), "has too many exports: 10000"},
		"globals":          {assemble(section(sectionGlobal, u32(maxGlobals+1))), "has too many globals: 10000"},
		"tables":           {assemble(section(sectionTable, u32(maxTables+1))), "has too many tables: 4"},
		"table kind":       {assemble(section(sectionTable, u32(1), []byte{0x40, 0x00, 0x70, 0, 1})), "has a table of a kind"},
		"table of 64 bits": {assemble(section(sectionTable, u32(1), []byte{0x70, 4, 1})), "has a table of a kind"},
		"memories":         {assemble(section(sectionMemory, u32(2), []byte{0, 1, 0, 1})), "has too many memories: 1"},
		"shared memory":    {assemble(section(sectionMemory, u32(1), []byte{3, 1, 1})), "has a memory that is shared"},
		"value type":       {assemble(section(sectionType, []byte{1, typeFunc, 1, 0x6e, 0})), "is cut short or malformed"},
		"parameters":       {assemble(section(sectionType, []byte{1, typeFunc}, u32(maxValues+1), bytes.Repeat([]byte{typeI32}, maxValues+1), []byte{0})), "has too many parameters or results of a function: 1000"},
		"results":          {assemble(section(sectionType, []byte{1, typeFunc, 0}, u32(maxValues+1), bytes.Repeat([]byte{typeI32}, maxValues+1))), "has too many parameters or results of a function: 1000"},
		"type of a local":  {method(1, 1, 0x6e, opI32Const, 0, opEnd), "has a function that is malformed"},
		"type of a global": {assemble(section(sectionGlobal, []byte{1, 0x6e, 0, opI32Const, 0, opEnd})), "is cut short or malformed"},
		"global's value":   {assemble(section(sectionGlobal, []byte{1, typeI32, 0, opI32Const, 0, opI32Const, 0, opI32Add, opEnd})), "is cut short or malformed"},
		"segments":         {assemble(section(sectionElement, u32(maxSegments+1))), "has too many segments of elements: 10000"},
		"elements":         {assemble(section(sectionElement, []byte{2, 5, typeFuncRef, 1, opRefNull, typeFuncRef, opEnd, 5, typeFuncRef}, u32(maxElements))), "has too many elements of tables: 262144"},
		"elements of 4 G":  {assemble(section(sectionElement, []byte{1, 1, 0}, u32(1<<32-1))), "has too many elements of tables: 262144"},
		"element flags":    {assemble(section(sectionElement, []byte{1, 8})), "is cut short or malformed"},
		"no table":         {assemble(section(sectionElement, []byte{1, 0, opI32Const, 0, opEnd, 0})), "is cut short or malformed"},
		"table's end":      {assemble(section(sectionTable, []byte{1, typeFuncRef, 0, 1}), section(sectionElement, []byte{1, 4, opI32Const, 1, opEnd, 1, opRefNull, typeFuncRef, opEnd})), "has elements beyond the end of their table"},
		"before a table":   {assemble(section(sectionTable, []byte{1, typeFuncRef, 0, 1}), section(sectionElement, []byte{1, 4, opI32Const, 0x7f, opEnd, 0})), "has elements beyond the end of their table"},
		"data segments":    {assemble(section(sectionData, u32(maxData+1))), "has too many segments of data: 100000"},
		"data flags":       {assemble(section(sectionData, []byte{1, 3})), "is cut short or malformed"},
		"other memory":     {assemble(section(sectionData, []byte{1, 2, 1})), "is cut short or malformed"},
		"memory's end":     {assemble(section(sectionMemory, []byte{1, 0, 1}), section(sectionData, []byte{1, 0}, i32(65536), []byte{opEnd, 1, 0})), "has data beyond the end of its memory"},
		"before a memory":  {assemble(section(sectionMemory, []byte{1, 0, 1}), section(sectionData, []byte{1, 0, opI32Const, 0x80, 0x40, opEnd, 1, 0})), "has data beyond the end of its memory"},
		"no memory":        {assemble(section(sectionData, []byte{1, 0, opI32Const, 0, opEnd, 1, 0})), "has data beyond the end of its memory"},
		"sections":         {assemble(section(sectionCustom, []byte{9}, []byte("xai.build"), make([]byte, maxSections))), "has more than 1 MiB of sections that describe it"},
		"struct type":      {assemble(section(sectionType, u32(1), []byte{0x5f, 0})), "has types that are not functions"},
		"order":            {assemble(section(sectionMemory, u32(1), []byte{0, 1}), section(sectionType, u32(0))), "has an unknown section, or sections that are out of order"},
		"twice":            {assemble(section(sectionTable, u32(0)), section(sectionTable, u32(0))), "out of order"},
		"tag section":      {assemble(section(13, u32(0))), "has an unknown section"},
		"trailing bytes":   {assemble(section(sectionTable, u32(0), []byte{0})), "is cut short or malformed at byte 12"},
		"type index":       {assemble(section(sectionFunction, u32(1), u32(0))), "is cut short or malformed"},
		"export index":     {assemble(section(sectionExport, u32(1), []byte{1, 'f', 0, 0})), "is cut short or malformed"},
		"LEB of 6 bytes":   {assemble([]byte{0, 0x80, 0x80, 0x80, 0x80, 0x80, 0}), "is cut short or malformed"},
		"LEB of 36 bits":   {assemble([]byte{0, 0xff, 0xff, 0xff, 0xff, 0x1f}), "is cut short or malformed"},
		"section of 4 GiB": {assemble([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f}), "is cut short or malformed"},
		"name of 4 GiB":    {assemble(section(sectionCustom, u32(1<<32-1))), "is cut short or malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(c.binary)
			if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != sdk.EInvalid || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestSectionsAreKept(t *testing.T) {
	binary := module(t, "minimal")
	for _, s := range [][2]string{{"xai.method", "one"}, {"producers", "x"}, {"xai.method", ""}, {"xai.build", "b"}} {
		binary = append(binary, section(sectionCustom, appendU32(nil, uint32(len(s[0]))), []byte(s[0]+s[1]))...)
	}
	v, err := read(binary)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][][]byte{"xai.method": {[]byte("one"), {}}, "xai.build": {[]byte("b")}}
	if diff := cmp.Diff(want, v.layout.sections); diff != "" {
		t.Error(diff)
	}
}

// The rewritten module must name none of the types, functions and globals that
// are added: a module that does is refused before it is one.
func TestRewriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"the slice":           {[]byte{0, opLoop, typeEmpty, opI32Const, 9, opGlobalSet, 0, 0x0c, 0, opEnd, opUnreachable, opEnd}, "has a function that is malformed"},
		"the stop":            {[]byte{0, opGlobalGet, 1, opEnd}, "has a function that is malformed"},
		"the yield":           {[]byte{0, opCall, 3, opUnreachable, opEnd}, "has a function that is malformed"},
		"a reference to it":   {[]byte{0, opRefFunc, 3, opUnreachable, opEnd}, "has a function that is malformed"},
		"its type":            {[]byte{0, opI32Const, 0, opCallIndirect, 3, 0, opUnreachable, opEnd}, "has a function that is malformed"},
		"a block of its type": {[]byte{0, opBlock, 3, opEnd, opUnreachable, opEnd}, "has a function that is malformed"},
		"a loop of its type":  {[]byte{0, opLoop, 3, opEnd, opUnreachable, opEnd}, "has a function that is malformed"},
		"a cut constant":      {[]byte{0, opI32Const}, "has a function that is malformed"},
		"a long constant":     {[]byte{0, opI32Const, 0x80, 0x80, 0x80, 0x80, 0x80, 0, opEnd}, "has a function that is malformed"},
		"a cut float":         {[]byte{0, 0x44, 0, 0, 0}, "has a function that is malformed"},
		"a jump of 4 G":       {[]byte{0, opBrTable, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}, "has a function that is malformed"},
		"a tail call":         {[]byte{0, 0x12, 0, opEnd}, "has the instruction 0x12, which this host does not support"},
		"an exception":        {[]byte{0, 0x06, typeEmpty, opEnd, opEnd}, "has the instruction 0x6, which"},
		"an atomic":           {[]byte{0, 0xfe, 0, opEnd}, "has the instruction 0xfe, which"},
		"a bulk operation":    {[]byte{0, opBulk, 18, opEnd}, "has the instruction 0xfc 18, which"},
		"a relaxed vector":    {[]byte{0, opVector, 0x80, 2, opEnd}, "has the instruction 0xfd 256, which"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(method(c.body...))
			if e, ok := errors.AsType[*sdk.Error](err); !ok || e.Code != sdk.EInvalid || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := verify(method(0, opI32Const, 0, opEnd)); err != nil {
		t.Errorf("the method without a fault: %v", err)
	}
}

func TestTablesAreClamped(t *testing.T) {
	for name, c := range map[string]struct{ in, want []byte }{
		"without a maximum": {[]byte{1, 0x70, 0, 1}, []byte{1, 0x70, 1, 1, 0x80, 0x80, 4}},
		"with a large one":  {[]byte{1, 0x6f, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, []byte{1, 0x6f, 1, 1, 0x80, 0x80, 4}},
		"with a small one":  {[]byte{2, 0x70, 1, 1, 2, 0x70, 1, 0, 0}, []byte{2, 0x70, 1, 1, 2, 0x70, 1, 0, 0}},
	} {
		binary := method(0, opI32Const, 0, opEnd)
		at := bytes.Index(binary, section(sectionMemory, []byte{1, 0, 1}))
		binary = slices.Insert(binary, at, section(sectionTable, c.in)...)
		rewritten, err := verify(binary)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Contains(rewritten, section(sectionTable, c.want)) {
			t.Errorf("%s: %x", name, rewritten)
		}
	}
}

// The functions that a module can import are those of docs/ABI.md.
func TestImportsAreTheDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "ABI.md"))
	if err != nil {
		t.Fatal(err)
	}
	docs := string(text)
	part := func(from, to string) string {
		_, after, ok := strings.Cut(docs, "\n"+from+"\n")
		before, _, ok2 := strings.Cut(after, "\n"+to+"\n")
		if !ok || !ok2 {
			t.Fatalf("docs/ABI.md has no %s before %s", from, to)
		}
		return before
	}
	want, got := map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| `([^`]+)` \\|").FindAllStringSubmatch(part("## Imports", "### Tensors"), -1) {
		want[m[1]] = m[2]
	}
	for name, f := range hostFunctions {
		got[name] = f.signature.String()
		if !strings.Contains(docs, "`"+name+"(") {
			t.Errorf("docs/ABI.md does not describe %s", name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("xai1 differs from docs/ABI.md (-docs +host):\n%s", diff)
	}
	var listed, allowed []string
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(part("## The sandbox", "There is no file, no network, no time of day, no environment, no argument. The same module, request and model give the same bits."), -1) {
		if m[1] != "wasi_snapshot_preview1" {
			listed = append(listed, m[1])
		}
	}
	for name := range wasiFunctions {
		allowed = append(allowed, name)
	}
	slices.Sort(listed)
	slices.Sort(allowed)
	if diff := cmp.Diff(listed, allowed); diff != "" {
		t.Errorf("WASI differs from docs/ABI.md (-docs +host):\n%s", diff)
	}
}
