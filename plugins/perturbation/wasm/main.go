// Command wasm is the WebAssembly module of the perturbation family.
package main

import (
	"github.com/xai-go/xai/plugins/perturbation"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	for _, m := range perturbation.Methods() {
		guest.Register(m)
	}
}

func main() {}
