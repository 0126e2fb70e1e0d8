package wasm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// What a module may be, before it is compiled. Tables are not part of the memory
// limit, and neither are the compiler's time and memory, which effort estimates.
const (
	maxModule    = 32 << 20 // bytes
	maxBody      = 128 << 10
	maxFunctions = 50_000
	maxTypes     = 10_000
	maxValues    = 1_000 // parameters of a function, and results
	maxImports   = 1_000
	maxExports   = 10_000
	maxGlobals   = 10_000
	maxLocals    = 1_000 // of one function
	maxTables    = 4
	maxTable     = 65_536  // elements
	maxElements  = 262_144 // of all segments, which an instance copies
	maxSegments  = 10_000  // of elements
	maxData      = 100_000 // segments; Go's linker makes one wherever there are a few zeros
	maxSections  = 1 << 20 // bytes of the custom sections that are kept
	maxEffort    = 4e6     // microseconds of compiling, as estimated, for a function
	maxEfforts   = 30e6    // and for all
)

// The sections of the binary format.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// sectionOrder is the order that sections other than custom ones come in.
const sectionOrder = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0c\x0a\x0b"

// The kinds of imports and exports.
const (
	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
)

// layout is what reading a module finds out about it.
type layout struct {
	sections map[string][][]byte // the custom sections whose names begin with "xai."
	imports  []hostImport
	exports  map[string]export
	minimum  int64 // bytes of memory at the start
	maximum  int64 // that the module asks for at most; 0 where it names none
	tables   []tableLimits
	bodies   int // functions of its own
	largest  int // bytes of the largest one
}

type hostImport struct {
	module, name string
	signature    signature
}

type export struct {
	kind      byte
	signature signature // of a function
	imported  bool      // it is a function of the host
}

type tableLimits struct {
	element  byte
	min, max uint32
}

func (l *layout) importsFrom(module string) bool {
	return slices.ContainsFunc(l.imports, func(f hostImport) bool { return f.module == module })
}

func refuse(message string) error { return sdk.NewError(sdk.EInvalid, "the module "+message) }

func tooMany(what string, most int) error {
	return refuse("has too many " + what + ": " + strconv.Itoa(most) + " is the most")
}

func tooLong(n int) error {
	return refuse("has a function of " + strconv.Itoa(n) + " bytes, and " + strconv.Itoa(maxBody) + " is the most")
}

// verifier holds what one section says and a later one needs.
type verifier struct {
	layout      *layout
	types       []functionType
	functions   []uint32 // their types; imported ones first
	globals     uint32
	present     map[byte]bool // sections
	start       *uint32       // the start function, where there is one
	elements    int           // of all segments
	kept        int           // bytes of custom sections
	codeSection []byte
	leaves      []bool // functions that call none of the module
	efforts     int64  // of the types
	code        code   // of the scan of one function
}

type functionType struct {
	signature       signature
	params, results int
}

// read reads the sections of a module.
func read(binary []byte) (*verifier, error) {
	if len(binary) > maxModule {
		return nil, refuse("is larger than 32 MiB")
	}
	if len(binary) < 8 || string(binary[:8]) != "\x00asm\x01\x00\x00\x00" {
		return nil, refuse("is not a WebAssembly module of version 1")
	}
	v := &verifier{layout: &layout{sections: map[string][][]byte{}, exports: map[string]export{}}, present: map[byte]bool{}}
	s := &scanner{b: binary, at: 8}
	last := 0 // the order of the last section
	for !s.failed && s.at < len(binary) {
		id := s.byte()
		content := &scanner{b: s.take(s.u32())}
		if s.failed {
			break
		}
		if id != sectionCustom {
			order := strings.IndexByte(sectionOrder, id) + 1
			if order <= last {
				return nil, refuse("has an unknown section, or sections that are out of order")
			}
			last = order
			v.present[id] = true
		}
		if err := v.section(id, content); err != nil {
			return nil, err
		}
		s.failed = content.failed || content.at != len(content.b)
	}
	if s.failed {
		return nil, refuse("is cut short or malformed at byte " + strconv.Itoa(s.at))
	}
	return v, nil
}

// section reads one section. What is malformed in it shows in s.failed.
func (v *verifier) section(id byte, s *scanner) error {
	switch id {
	case sectionCustom:
		name, content := s.name(), s.rest()
		if strings.HasPrefix(name, "xai.") {
			if v.kept += len(name) + len(content); v.kept > maxSections {
				return refuse("has more than 1 MiB of sections that describe it")
			}
			v.layout.sections[name] = append(v.layout.sections[name], slices.Clone(content))
		}
	case sectionType:
		return v.vector(s, "types", maxTypes, v.typeEntry)
	case sectionImport:
		return v.vector(s, "imports", maxImports, v.importEntry)
	case sectionFunction:
		return v.vector(s, "functions", maxFunctions, func(s *scanner) error {
			v.functions = append(v.functions, s.index(len(v.types)))
			return nil
		})
	case sectionTable:
		return v.vector(s, "tables", maxTables, v.tableEntry)
	case sectionMemory:
		return v.vector(s, "memories", 1, func(s *scanner) error {
			flag := s.byte()
			if flag > 1 {
				return refuse("has a memory that is shared or of 64 bits, which this host does not support")
			}
			v.layout.minimum = int64(s.u32()) * page
			if flag == 1 {
				v.layout.maximum = int64(s.u32()) * page
			}
			return nil
		})
	case sectionGlobal:
		return v.vector(s, "globals", maxGlobals, func(s *scanner) error {
			v.globals++
			s.valueType()
			s.byte()
			v.constant(s)
			return nil
		})
	case sectionStart:
		index := s.index(len(v.functions))
		if s.failed || v.types[v.functions[index]].signature != ":" {
			s.failed = true
			break
		}
		v.start = &index
	case sectionExport:
		return v.vector(s, "exports", maxExports, v.exportEntry)
	case sectionElement:
		return v.vector(s, "segments of elements", maxSegments, v.elementEntry)
	case sectionData:
		return v.vector(s, "segments of data", maxData, v.dataEntry)
	case sectionDataCount:
		s.u32()
	case sectionCode:
		n := s.u32()
		if int64(n) != int64(len(v.functions)-len(v.layout.imports)) {
			s.failed = true
			break
		}
		v.layout.bodies = int(n)
		for ; n > 0 && !s.failed; n-- {
			size := s.u32()
			if size > maxBody {
				return tooLong(int(size))
			}
			s.take(size)
			v.layout.largest = max(v.layout.largest, int(size))
		}
		v.codeSection = s.b
	}
	return nil
}

// scanCode scans all functions, and refuses what would take too long to compile.
func (v *verifier) scanCode() error {
	v.leaves = make([]bool, len(v.functions))
	efforts := v.efforts
	return v.scanAll(func(f int, _ []byte, c *code) error {
		v.leaves[f] = c.leaf
		efforts += c.effort()
		if c.effort() > maxEffort || efforts > maxEfforts {
			return refuse("would take too long to compile: it needs fewer or smaller functions, with fewer jumps, blocks and local variables in each")
		}
		return nil
	})
}

// scanAll scans the functions of the module's own.
func (v *verifier) scanAll(each func(f int, body []byte, c *code) error) error {
	s := &scanner{b: v.codeSection}
	for i := range int(s.u32()) {
		f := len(v.layout.imports) + i
		body := s.take(s.u32())
		c, err := v.scan(body, v.types[v.functions[f]])
		if err == nil {
			err = each(f, body, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// vector reads a vector of at most that many entries.
func (v *verifier) vector(s *scanner, what string, most uint32, entry func(s *scanner) error) error {
	n := s.u32()
	if n > most {
		return tooMany(what, int(most))
	}
	for ; n > 0 && !s.failed; n-- {
		if err := entry(s); err != nil && !s.failed {
			return err
		}
	}
	return nil
}

func (v *verifier) typeEntry(s *scanner) error {
	if s.byte() != typeFunc {
		return refuse("has types that are not functions, which this host does not support")
	}
	params, results := s.valueTypes(), s.valueTypes()
	if len(params) > maxValues || len(results) > maxValues {
		return tooMany("parameters or results of a function", maxValues)
	}
	v.efforts += effortFunction + effortValue*int64(len(params)+len(results))
	v.types = append(v.types, functionType{signature(params + ":" + results), len(params), len(results)})
	return nil
}

func (v *verifier) importEntry(s *scanner) error {
	f := hostImport{module: s.name(), name: s.name()}
	if s.byte() != kindFunction {
		return refuse("imports " + f.quoted() + ", which is no function: only functions can be imported")
	}
	t := s.index(len(v.types))
	if s.failed {
		return nil
	}
	f.signature = v.types[t].signature
	v.layout.imports = append(v.layout.imports, f)
	v.functions = append(v.functions, t)
	return nil
}

func (v *verifier) tableEntry(s *scanner) error {
	t := tableLimits{element: s.byte(), max: maxTable}
	flag := s.byte()
	if t.element != typeFuncRef && t.element != typeExternRef || flag > 1 {
		return refuse("has a table of a kind that this host does not support")
	}
	t.min = s.u32()
	if flag == 1 {
		most := s.u32()
		s.failed = s.failed || most < t.min
		t.max = min(t.max, most)
	}
	if t.min > maxTable {
		return refuse("has a table of " + strconv.FormatUint(uint64(t.min), 10) + " elements, and " + strconv.Itoa(maxTable) + " is the most")
	}
	v.layout.tables = append(v.layout.tables, t)
	return nil
}

func (v *verifier) exportEntry(s *scanner) error {
	name, e := s.name(), export{kind: s.byte()}
	if strings.HasPrefix(name, exportTag) {
		return refuse("exports " + hostcall.Clean(strconv.Quote(name), 100) + ", and names that begin with " + exportTag + " are the host's")
	}
	switch e.kind {
	case kindFunction:
		if index := s.index(len(v.functions)); !s.failed {
			e.signature = v.types[v.functions[index]].signature
			e.imported = int(index) < len(v.layout.imports)
		}
	case kindGlobal:
		s.index(int(v.globals))
	case kindTable, kindMemory:
		s.u32()
	default:
		s.failed = true
	}
	v.layout.exports[name] = e
	return nil
}

// elementEntry reads a segment of elements. Its flags say whether it is copied
// to a table at the start, whether it names that table or else its type, and
// whether its elements are expressions.
func (v *verifier) elementEntry(s *scanner) error {
	flags := s.u32()
	if flags > 7 {
		s.failed = true
		return nil
	}
	active, explicit, expressions := flags&1 == 0, flags&2 != 0, flags&4 != 0
	table, offset := uint32(0), uint64(0)
	if active {
		if explicit {
			table = s.u32()
		}
		offset = s.offset()
	}
	if !active || explicit {
		if expressions {
			s.refType()
		} else {
			s.zero() // the kind of functions
		}
	}
	n := s.u32()
	if v.elements += int(min(n, maxElements+1)); v.elements > maxElements {
		return tooMany("elements of tables", maxElements)
	}
	for i := n; i > 0 && !s.failed; i-- {
		if expressions {
			v.constant(s)
		} else {
			s.index(len(v.functions))
		}
	}
	if active && !s.failed {
		if int64(table) >= int64(len(v.layout.tables)) {
			s.failed = true
		} else if offset+uint64(n) > uint64(v.layout.tables[table].min) {
			return refuse("has elements beyond the end of their table")
		}
	}
	return nil
}

func (v *verifier) dataEntry(s *scanner) error {
	flags := s.u32()
	if flags > 2 || flags == 2 && s.u32() != 0 {
		s.failed = true
		return nil
	}
	offset := uint64(0)
	if flags != 1 {
		offset = s.offset()
	}
	data := s.take(s.u32())
	if flags != 1 && !s.failed && offset+uint64(len(data)) > uint64(v.layout.minimum) {
		return refuse("has data beyond the end of its memory")
	}
	return nil
}

// constant reads a constant expression, which without imported globals is one
// instruction.
func (v *verifier) constant(s *scanner) {
	switch s.byte() {
	case opI32Const:
		s.skip(5)
	case opI64Const:
		s.skip(10)
	case opF32Const:
		s.take(4)
	case opF64Const:
		s.take(8)
	case opVector:
		s.failed = s.u32() != vectorConst || s.failed
		s.take(16)
	case opRefNull:
		s.refType()
	case opRefFunc:
		s.index(len(v.functions))
	default:
		s.failed = true
	}
	s.end()
}

// check holds the imports and exports to the ABI.
func (v *verifier) check() error {
	for _, f := range v.layout.imports {
		want, ok := f.host()
		if !ok {
			return refuse("imports " + f.quoted() + ", which this host does not have")
		}
		if want != f.signature {
			return refuse("imports " + f.quoted() + " as " + f.signature.String() + ", and the host's is " + want.String())
		}
	}
	if v.layout.bodies == 0 {
		return refuse("has no code")
	}
	if v.layout.exports[abi.ExportMemory].kind != kindMemory {
		return refuse("does not export its memory as " + strconv.Quote(abi.ExportMemory) + ", so it is no method for xai")
	}
	for _, e := range []struct {
		name     string
		want     signature
		optional bool
	}{
		{abi.ExportVersion, ":i", false},
		{abi.ExportAlloc, "i:i", false},
		{abi.ExportExplain, "ii:i", false},
		{abi.ExportInit, ":", true},
		{abi.ExportDescribe, ":I", true},
	} {
		have, ok := v.layout.exports[e.name]
		if !ok && e.optional {
			continue
		}
		if !ok || have.kind != kindFunction {
			return refuse("does not export the function " + e.name + ", so it is no method for xai")
		}
		if have.imported {
			return refuse("exports a function of the host as " + e.name + ", which has to be its own")
		}
		if have.signature != e.want {
			return refuse("exports " + e.name + " as " + have.signature.String() + ", and the ABI's is " + e.want.String())
		}
	}
	return nil
}

// host returns the signature of the host's function that f names.
func (f hostImport) host() (signature, bool) {
	switch f.module {
	case abi.Namespace:
		h, ok := hostFunctions[f.name]
		return h.signature, ok
	case wasi_snapshot_preview1.ModuleName:
		s, ok := wasiFunctions[f.name]
		return s, ok
	}
	return "", false
}

// quoted returns the function's name for a message.
func (f hostImport) quoted() string { return hostcall.Clean(f.module+"."+f.name, 100) }
