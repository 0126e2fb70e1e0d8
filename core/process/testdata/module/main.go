// Command module is the method of the tests as a module.
package main

import (
	"github.com/xai-go/xai/core/process/testdata/method"
	"github.com/xai-go/xai/sdk/guest"
)

func init() { guest.Register(method.Method{}) }

func main() {}
