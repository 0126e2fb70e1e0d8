// Command wasm is the WebAssembly module of the perturbation family.
package main

import (
	"github.com/xai-go/xai/plugins/perturbation"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	guest.Register(perturbation.FeatureAblation{})
	guest.Register(perturbation.LeaveOneOut{})
	guest.Register(perturbation.Occlusion{})
}

func main() {}
