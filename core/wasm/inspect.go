package wasm

import (
	"cmp"
	"maps"
	"slices"

	"github.com/xai-go/xai/sdk"
)

// Inspection is what a module says of itself, without being compiled or run.
type Inspection struct {
	Imports     []Import
	Exports     []Export            // in the order of their names
	Sections    map[string][][]byte // the custom sections whose names begin with "xai.", in their order
	MemoryMin   int64               // bytes at the start
	MemoryMax   int64               // bytes that it asks for at most; 0 where it names no bound
	Tables      []Table
	Functions   int        // of its own
	LargestBody int        // bytes of code of one of them
	Needs       []sdk.Need // that the imports imply, in the order of their names
}

// Import is a function that a module imports.
type Import struct {
	Module, Name string
	Signature    string   // "(i32, i32) → i64"
	Need         sdk.Need // without which it cannot be imported; empty for none
}

// Export is something that a module exports.
type Export struct {
	Name      string
	Kind      string // "function", "table", "memory" or "global"
	Signature string // of a function
}

// Table is a table of a module.
type Table struct {
	Element  string // "funcref" or "externref"
	Min, Max uint32 // elements; this host allows no more than Max
}

// Inspect reads a module. The error says why this host would not run it, an
// *sdk.Error; where the sections can be read all the same, there is an Inspection
// beside it. What only the compiler sees, such as the types of values in code, is
// not looked at.
func Inspect(binary []byte) (x *Inspection, err error) {
	defer caught(&err)
	v, err := read(binary)
	if err != nil {
		return nil, err
	}
	l := v.layout
	x = &Inspection{
		Sections: l.sections, MemoryMin: l.minimum, MemoryMax: l.maximum,
		Functions: l.bodies, LargestBody: l.largest, Needs: l.needs(),
	}
	for _, f := range l.imports {
		x.Imports = append(x.Imports, Import{f.module, f.name, f.signature.String(), f.need()})
	}
	kinds := map[byte]string{kindFunction: "function", kindTable: "table", kindMemory: "memory", kindGlobal: "global"}
	for _, name := range slices.Sorted(maps.Keys(l.exports)) {
		e := Export{Name: name, Kind: kinds[l.exports[name].kind]}
		if l.exports[name].kind == kindFunction {
			e.Signature = l.exports[name].signature.String()
		}
		x.Exports = append(x.Exports, e)
	}
	for _, t := range l.tables {
		x.Tables = append(x.Tables, Table{valueCodes[codeOf[t.element]].name, t.min, t.max})
	}
	return x, cmp.Or(v.check(), v.scanCode())
}
