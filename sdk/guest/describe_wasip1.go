package guest

import (
	"unsafe"

	"github.com/xai-go/xai/sdk/abi"
)

// description keeps what xai_describe returned.
var description []byte

// xaiDescribe returns the description of the module's method, or a list of them
// where it has several, as ptr << 32 | len.
//
//go:wasmexport xai_describe
func xaiDescribe() uint64 {
	description = nil
	for i, m := range methods {
		if i > 0 {
			description = append(description, ',')
		}
		description = abi.AppendDescription(description, m.Info(), abi.VersionText)
	}
	if len(methods) != 1 {
		description = append(append([]byte{'['}, description...), ']')
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(description))))<<32 | uint64(len(description))
}
