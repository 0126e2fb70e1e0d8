// Command wasm is the WebAssembly module of the Shapley value family.
package main

import (
	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	guest.Register(shap.Kernel{})
	guest.Register(shap.Partition{})
	guest.Register(shap.Permutation{})
	guest.Register(shap.Sampling{})
	guest.Register(shap.Exact{})
}

func main() {}
