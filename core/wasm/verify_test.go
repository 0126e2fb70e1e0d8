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

func TestVerifyBounds(t *testing.T) {
	u32 := func(v uint32) []byte { return appendU32(nil, v) }
	body := func(content []byte) []byte { return append(u32(uint32(len(content))), content...) }
	for name, c := range map[string]struct {
		binary []byte
		want   string
	}{
		"body":             {assemble(section(sectionCode, u32(1), body(make([]byte, maxBody+1)))), "has a function of 131073 bytes"},
		"locals":           {assemble(section(sectionCode, u32(1), body([]byte{2, 0xe8, 0x07, 0x7f, 1, 0x7f}))), "has a function of 1001 local variables"},
		"locals overflow":  {assemble(section(sectionCode, u32(1), body(bytes.Repeat([]byte{3, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f}, 3)))), "local variables, and 1000 is the most"},
		"functions":        {assemble(section(sectionFunction, u32(maxFunctions+1))), "has too many functions: 50000"},
		"types":            {assemble(section(sectionType, u32(maxTypes+1))), "has too many types: 10000"},
		"imports":          {assemble(section(sectionImport, u32(maxImports+1))), "has too many imports: 1000"},
		"exports":          {assemble(section(sectionExport, u32(maxExports+1))), "has too many exports: 10000"},
		"globals":          {assemble(section(sectionGlobal, u32(maxGlobals+1))), "has too many globals: 10000"},
		"tables":           {assemble(section(sectionTable, u32(maxTables+1))), "has too many tables: 4"},
		"table kind":       {assemble(section(sectionTable, u32(1), []byte{0x40, 0x00, 0x70, 0, 1})), "has a table of a kind"},
		"table of 64 bits": {assemble(section(sectionTable, u32(1), []byte{0x70, 4, 1})), "has a table of a kind"},
		"memories":         {assemble(section(sectionMemory, u32(2), []byte{0, 1, 0, 1})), "has more than one memory"},
		"shared memory":    {assemble(section(sectionMemory, u32(1), []byte{3, 1, 1})), "has a memory that is shared"},
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
	l, err := verify(binary)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][][]byte{"xai.method": {[]byte("one"), {}}, "xai.build": {[]byte("b")}}
	if diff := cmp.Diff(want, l.sections); diff != "" {
		t.Error(diff)
	}
}

func TestTablesAreClamped(t *testing.T) {
	binary := module(t, "table_grow")
	l, err := verify(binary)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(l.binary, binary) {
		t.Error("a table without a maximum was left as it is")
	}
	again, err := verify(l.binary)
	if err != nil || !bytes.Equal(again.binary, l.binary) {
		t.Errorf("the clamped module changes again: %v", err)
	}
	if l, err := verify(module(t, "minimal")); err != nil || !bytes.Equal(l.binary, module(t, "minimal")) {
		t.Errorf("a module without tables changes: %v", err)
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

func FuzzVerify(f *testing.F) {
	for _, name := range []string{"minimal", "table_grow", "model", "import_signature"} {
		f.Add(module(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := verify(b)
		if err != nil {
			if _, ok := errors.AsType[*sdk.Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := verify(l.binary)
		if err != nil {
			t.Fatalf("the clamped module is refused: %v", err)
		}
		if !bytes.Equal(again.binary, l.binary) || !slices.Equal(again.imports, l.imports) {
			t.Fatal("the clamped module is another one")
		}
	})
}
