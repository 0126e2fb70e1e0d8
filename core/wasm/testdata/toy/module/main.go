// The toy method as a module.
package main

import (
	"github.com/xai-go/xai/core/wasm/testdata/toy"
	"github.com/xai-go/xai/sdk/guest"
)

func init() { guest.Register(toy.Method{}) }

func main() {}
