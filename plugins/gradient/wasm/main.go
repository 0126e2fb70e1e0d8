// Command wasm is the WebAssembly module of the gradient family.
package main

import (
	"github.com/xai-go/xai/plugins/gradient"
	"github.com/xai-go/xai/sdk/guest"
)

func init() {
	guest.Register(gradient.Saliency{})
	guest.Register(gradient.InputXGradient{})
	guest.Register(gradient.IntegratedGradients{})
	guest.Register(gradient.SmoothGrad{})
	guest.Register(gradient.GradientSHAP{})

}

func main() {}
