package wasm

import (
	"strings"

	"github.com/tetratelabs/wazero/api"
)

// signature is the type of a function, written as its value types: "ii:i".
type signature string

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
	value byte
	name  string
}{
	'i': {typeI32, "i32"},
	'I': {typeI64, "i64"},
	'f': {typeF32, "f32"},
	'F': {typeF64, "f64"},
	'v': {typeV128, "v128"},
	'r': {typeFuncRef, "funcref"},
	'x': {typeExternRef, "externref"},
}

// codeOf is valueCodes the other way round, with 0 for what is no value type.
var codeOf = func() (codes [256]byte) {
	for code, v := range valueCodes {
		codes[v.value] = code
	}
	return codes
}()

func list(codes string) string {
	names := make([]string, 0, min(len(codes), 17))
	for i, c := range []byte(codes) {
		if i == 16 {
			names = append(names, "…")
			break
		}
		names = append(names, valueCodes[c].name)
	}
	return strings.Join(names, ", ")
}
