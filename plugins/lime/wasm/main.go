// Command wasm is the WebAssembly module of the LIME family.
package main

import (
	"github.com/xai-go/xai/plugins/lime"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	for _, m := range lime.Methods() {
		guest.Register(m)
	}
}

func main() {}
