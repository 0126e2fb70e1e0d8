// Package guest turns an sdk.Method into a WebAssembly module that the host
// runs in its sandbox. The main package of a module registers its methods:
//
//	package main
//
//	import (
//		"github.com/xai-go/xai/sdk/guest"
//		"example.org/occlude"
//	)
//
//	func init() { guest.Register(occlude.Method{}) }
//
//	func main() {}
//
// and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags="-s -w" -buildmode=c-shared -o occlude.wasm
//
// On wasip1 the package exports the functions of ABI 1 and implements sdk.Model
// over the host's. Elsewhere Register only keeps the methods, so that a module's
// main package builds and vets on every platform.
package guest
