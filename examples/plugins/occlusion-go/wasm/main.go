// The module of the method occlusion-go.
package main

import (
	occlusion "github.com/xai-go/xai/examples/plugins/occlusion-go"
	"github.com/xai-go/xai/sdk/guest"
)

func init() { guest.Register(occlusion.Method{}) }

func main() {}
