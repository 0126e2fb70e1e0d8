// Command wasm is the WebAssembly module of the attention family.
package main

import (
	"github.com/xai-go/xai/plugins/attention"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	for _, m := range attention.Methods() {
		guest.Register(m)
	}
}

func main() {}
