// Command wasm is the WebAssembly module of the Shapley value family.
package main

import (
	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	for _, m := range shap.Methods() {
		guest.Register(m)
	}
}

func main() {}
