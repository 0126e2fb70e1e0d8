package wasm

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// What a module may be, before it is compiled. The compiler's time grows with
// the square of a function body; tables are not part of the memory limit.
const (
	maxModule    = 32 << 20 // bytes
	maxBody      = 128 << 10
	maxFunctions = 50_000
	maxTypes     = 10_000
	maxImports   = 1_000
	maxExports   = 10_000
	maxGlobals   = 10_000
	maxLocals    = 1_000 // of one function
	maxTables    = 4
	maxTable     = 65_536 // elements
)

// The sections of the binary format.
const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionMemory   = 5
	sectionGlobal   = 6
	sectionExport   = 7
	sectionStart    = 8
	sectionCode     = 10
)

// sectionOrder is the order that sections other than custom ones come in:
// element, data count, code and data follow exports and the start function.
const sectionOrder = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0c\x0a\x0b"

// The kinds of imports and exports.
const (
	kindFunction = 0
	kindMemory   = 2
	kindGlobal   = 3
)

// signature is the type of a function, written as its value types: "ii:i".
type signature string

// layout is what verify finds out about a module.
type layout struct {
	binary   []byte              // as rewrite left it; nil once it is compiled
	sections map[string][][]byte // the custom sections whose names begin with "xai."
	imports  []function
	exports  map[string]export
	minimum  int64 // bytes of memory at the start
}

type function struct {
	module, name string
	signature    signature
}

type export struct {
	kind      byte
	signature signature // of a function
}

func (l *layout) importsFrom(module string) bool {
	for _, f := range l.imports {
		if f.module == module {
			return true
		}
	}
	return false
}

func refuse(message string) error { return sdk.NewError(sdk.EInvalid, "the module "+message) }

// verify reads the sections of a module without running or compiling it,
// refuses what this host would not run, and rewrites the rest. It leaves the
// validation of the code to the compiler.
func verify(binary []byte) (*layout, error) {
	if len(binary) > maxModule {
		return nil, refuse("is larger than 32 MiB")
	}
	if len(binary) < 8 || string(binary[:8]) != "\x00asm\x01\x00\x00\x00" {
		return nil, refuse("is not a WebAssembly module of version 1")
	}
	v := &verifier{layout: &layout{binary: binary, sections: map[string][][]byte{}, exports: map[string]export{}}, sections: map[byte]bool{}}
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
			v.sections[id] = true
		}
		if err := v.section(id, content); err != nil {
			return nil, err
		}
		s.failed = content.failed
	}
	if s.failed {
		return nil, refuse("is cut short or malformed at byte " + strconv.Itoa(s.at))
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	rewritten, err := v.rewrite(binary)
	if err != nil {
		return nil, err
	}
	v.layout.binary = rewritten
	return v.layout, nil
}

// verifier holds what one section says and a later one needs.
type verifier struct {
	layout    *layout
	types     []signature
	functions []signature // imported ones first
	tables    []tableLimits
	globals   uint32
	sections  map[byte]bool // that are there
	start     *uint32       // the start function, where there is one
}

type tableLimits struct {
	element  byte
	min, max uint32
}

// section reads one section. What is malformed in it shows in s.failed.
func (v *verifier) section(id byte, s *scanner) error {
	switch id {
	case sectionCustom:
		name, content := s.name(), s.rest()
		if strings.HasPrefix(name, "xai.") {
			v.layout.sections[name] = append(v.layout.sections[name], slices.Clone(content))
		}
	case sectionType:
		n := s.u32()
		if n > maxTypes {
			return tooMany("types", maxTypes)
		}
		for ; n > 0 && !s.failed; n-- {
			if s.byte() != 0x60 {
				return refuse("has types that are not functions, which this host does not support")
			}
			params := s.valueTypes()
			v.types = append(v.types, signature(params+":"+s.valueTypes()))
		}
	case sectionImport:
		n := s.u32()
		if n > maxImports {
			return tooMany("imports", maxImports)
		}
		for ; n > 0 && !s.failed; n-- {
			f := function{module: s.name(), name: s.name()}
			kind := s.byte()
			t := s.u32()
			if s.failed {
				break
			}
			if kind != kindFunction {
				return refuse("imports " + f.quoted() + ", which is no function: only functions can be imported")
			}
			if int64(t) >= int64(len(v.types)) {
				s.failed = true
				break
			}
			f.signature = v.types[t]
			v.layout.imports = append(v.layout.imports, f)
			v.functions = append(v.functions, f.signature)
		}
	case sectionFunction:
		n := s.u32()
		if n > maxFunctions {
			return tooMany("functions", maxFunctions)
		}
		for ; n > 0 && !s.failed; n-- {
			t := s.u32()
			if int64(t) >= int64(len(v.types)) {
				s.failed = true
				break
			}
			v.functions = append(v.functions, v.types[t])
		}
	case sectionTable:
		n := s.u32()
		if n > maxTables {
			return tooMany("tables", maxTables)
		}
		for ; n > 0 && !s.failed; n-- {
			t := tableLimits{element: s.byte(), max: maxTable}
			if t.element != 0x70 && t.element != 0x6f {
				return refuse("has a table of a kind that this host does not support")
			}
			flag := s.byte()
			if flag > 1 {
				return refuse("has a table of a kind that this host does not support")
			}
			t.min = s.u32()
			if flag == 1 {
				t.max = min(t.max, s.u32())
			}
			if t.min > maxTable {
				return refuse("has a table of " + strconv.Itoa(int(t.min)) + " elements, and " + strconv.Itoa(maxTable) + " is the most")
			}
			v.tables = append(v.tables, t)
		}
	case sectionMemory:
		n := s.u32()
		if n > 1 {
			return refuse("has more than one memory")
		}
		if n == 1 {
			flag := s.byte()
			if flag > 1 {
				return refuse("has a memory that is shared or of 64 bits, which this host does not support")
			}
			v.layout.minimum = int64(s.u32()) * page
			if flag == 1 {
				s.u32()
			}
		}
	case sectionGlobal:
		if v.globals = s.u32(); v.globals > maxGlobals {
			return tooMany("globals", maxGlobals)
		}
		return nil // the rest is the compiler's
	case sectionStart:
		index := s.u32()
		if int64(index) >= int64(len(v.functions)) || v.functions[index] != ":" {
			s.failed = true
			break
		}
		v.start = &index
	case sectionExport:
		n := s.u32()
		if n > maxExports {
			return tooMany("exports", maxExports)
		}
		for ; n > 0 && !s.failed; n-- {
			name, e := s.name(), export{kind: s.byte()}
			index := s.u32()
			if strings.HasPrefix(name, exportTag) {
				return refuse("exports " + hostcall.Clean(strconv.Quote(name), 100) + ", and names that begin with " + exportTag + " are the host's")
			}
			if e.kind == kindFunction && int64(index) >= int64(len(v.functions)) || e.kind == kindGlobal && index >= v.globals {
				s.failed = true
				break
			}
			if e.kind == kindFunction {
				e.signature = v.functions[index]
			}
			v.layout.exports[name] = e
		}
	case sectionCode:
		n := s.u32()
		if int64(n) != int64(len(v.functions)-len(v.layout.imports)) {
			s.failed = true
			break
		}
		for ; n > 0 && !s.failed; n-- {
			size := s.u32()
			if size > maxBody {
				return tooLong(int(size))
			}
			body := &scanner{b: s.take(size)}
			var locals uint64
			for groups := body.u32(); groups > 0 && !body.failed; groups-- {
				locals += uint64(body.u32())
				body.byte()
			}
			if locals > maxLocals {
				return refuse("has a function of " + strconv.FormatUint(locals, 10) + " local variables, and " + strconv.Itoa(maxLocals) + " is the most")
			}
			s.failed = s.failed || body.failed
		}
	default:
		return nil // the compiler's
	}
	s.failed = s.failed || s.at != len(s.b)
	return nil
}

func tooMany(what string, most int) error {
	return refuse("has too many " + what + ": " + strconv.Itoa(most) + " is the most")
}

// check holds the imports and exports to the ABI.
func (v *verifier) check() error {
	for _, f := range v.layout.imports {
		var want signature
		var ok bool
		switch f.module {
		case abi.Namespace:
			var h hostFunction
			h, ok = hostFunctions[f.name]
			want = h.signature
		case wasi_snapshot_preview1.ModuleName:
			want, ok = wasiFunctions[f.name]
		}
		if !ok {
			return refuse("imports " + f.quoted() + ", which this host does not have")
		}
		if want != f.signature {
			return refuse("imports " + f.quoted() + " as " + f.signature.String() + ", and the host's is " + want.String())
		}
	}
	if !v.sections[sectionCode] || len(v.functions) == len(v.layout.imports) {
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
	} {
		have, ok := v.layout.exports[e.name]
		if !ok && e.optional {
			continue
		}
		if !ok || have.kind != kindFunction {
			return refuse("does not export the function " + e.name + ", so it is no method for xai")
		}
		if have.signature != e.want {
			return refuse("exports " + e.name + " as " + have.signature.String() + ", and the ABI's is " + e.want.String())
		}
	}
	return nil
}

// quoted returns the function's name for a message.
func (f function) quoted() string { return hostcall.Clean(f.module+"."+f.name, 100) }

// String returns the signature as "(i32, i64) → i32".
func (s signature) String() string {
	params, results, _ := strings.Cut(string(s), ":")
	out := "(" + list(params) + ")"
	if len(results) > 0 {
		out += " → " + list(results)
	}
	return out
}

// types returns the value types of a signature that this host declares.
func (s signature) types() (params, results []api.ValueType) {
	p, r, _ := strings.Cut(string(s), ":")
	of := func(codes string) []api.ValueType {
		out := make([]api.ValueType, len(codes))
		for i, c := range []byte(codes) {
			out[i] = valueCodes[c].value
		}
		return out
	}
	return of(p), of(r)
}

var valueCodes = map[byte]struct {
	value api.ValueType
	name  string
}{
	'i': {api.ValueTypeI32, "i32"},
	'I': {api.ValueTypeI64, "i64"},
	'f': {api.ValueTypeF32, "f32"},
	'F': {api.ValueTypeF64, "f64"},
}

func list(codes string) string {
	names := make([]string, 0, min(len(codes), 16))
	for i, c := range []byte(codes) {
		if i == 16 {
			names = append(names, "…")
			break
		}
		if t, ok := valueCodes[c]; ok {
			names = append(names, t.name)
		} else {
			names = append(names, "?")
		}
	}
	return strings.Join(names, ", ")
}

// scanner reads the binary format. After the first failure it returns zeros.
type scanner struct {
	b      []byte
	at     int
	failed bool
}

func (s *scanner) take(n uint32) []byte {
	if s.failed || int64(n) > int64(len(s.b)-s.at) {
		s.failed = true
		return nil
	}
	s.at += int(n)
	return s.b[s.at-int(n) : s.at]
}

func (s *scanner) byte() byte {
	if b := s.take(1); b != nil {
		return b[0]
	}
	return 0
}

// u32 reads an unsigned LEB128 of 32 bits.
func (s *scanner) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := s.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > math.MaxUint32 {
				break
			}
			return uint32(v)
		}
	}
	s.failed = true
	return 0
}

func (s *scanner) name() string { return string(s.take(s.u32())) }

func (s *scanner) rest() []byte { return s.take(uint32(len(s.b) - s.at)) }

// valueTypes reads a vector of value types as the codes of a signature, '?'
// for a type that no function of the ABI has.
func (s *scanner) valueTypes() string {
	types := s.take(s.u32())
	codes := make([]byte, len(types))
	for i, t := range types {
		codes[i] = '?'
		for c, v := range valueCodes {
			if v.value == t {
				codes[i] = c
			}
		}
	}
	return string(codes)
}

// appendU32 appends v as an unsigned LEB128.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}
