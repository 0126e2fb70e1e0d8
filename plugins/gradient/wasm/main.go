// Command wasm is the WebAssembly module of the gradient family.
package main

import (
	"github.com/xai-go/xai/plugins/gradient"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	for _, m := range gradient.Methods() {
		guest.Register(m)
	}
}

func main() {}
