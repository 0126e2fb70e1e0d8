// Package sdk is the vocabulary of xai: what a model, a method, a request and
// an explanation are.
//
// An explanation method is one type with two methods:
//
//	type Method interface {
//		Info() Info
//		Explain(ctx context.Context, m Model, r *Request) (*Explanation, error)
//	}
//
// The same value runs in process (core/native), as a sandboxed WebAssembly
// module (sdk/guest on the inside, core/wasm on the outside) and in a process of
// its own (sdk/process, core/process), and gives the same bits in all three,
// provided that its arithmetic comes from sdk/num. sdk/sdktest holds it to what
// hosts rely on.
//
// The package imports the standard library alone and compiles to wasip1. It
// avoids reflection, fmt and encoding/json, because all that it links ends up
// in every module.
package sdk
