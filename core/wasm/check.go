package wasm

import (
	"cmp"

	"github.com/xai-go/xai/sdk"
)

// Check holds a module to what Compile and Explain hold it to before anything of
// it is compiled or run: its sections, its imports and exports, the bounds of its
// code, and the needs that the imports imply. What is wrong with it is an
// *sdk.Error.
func Check(binary []byte, info sdk.Info) (err error) {
	defer caught(&err)
	v, err := read(binary)
	if err != nil {
		return err
	}
	return cmp.Or(v.check(), v.scanCode(), v.layout.checkNeeds(info))
}
