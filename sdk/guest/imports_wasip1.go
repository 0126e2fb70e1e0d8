package guest

import "unsafe"

// The functions of the host, as docs/ABI.md describes them. A pointer that Go
// passes stays valid for the call, since the host keeps none.

//go:wasmimport xai1 tensor_new
func tensorNew(dtype, rank uint32, dims unsafe.Pointer) int64

//go:wasmimport xai1 tensor_info
func tensorInfo(h int64, out unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 tensor_read
func tensorRead(h, off int64, p unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 tensor_write
func tensorWrite(h, off int64, p unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 tensor_free
func tensorFree(h int64) int32

//go:wasmimport xai1 forward
func forward(spec unsafe.Pointer, n uint32) int64

//go:wasmimport xai1 grad
func grad(spec unsafe.Pointer, n uint32) int64

//go:wasmimport xai1 generate
func generate(spec unsafe.Pointer, n uint32) int64

//go:wasmimport xai1 tokenize
func tokenize(text unsafe.Pointer, n uint32) int64

//go:wasmimport xai1 reply_get
func replyGet(reply int64, name unsafe.Pointer, n uint32, index int32) int64

//go:wasmimport xai1 param_get
func paramGet(name unsafe.Pointer, nameLen uint32, out unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 input_get
func inputGet(key uint32, out unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 rng_fill
func rngFill(p unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 progress
func progress(done, total int64) int32

//go:wasmimport xai1 log
func log(level int32, p unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 error
func setError(code int32, p unsafe.Pointer, n uint32) int32

//go:wasmimport xai1 result
func result(name unsafe.Pointer, nameLen uint32, h int64, meta unsafe.Pointer, metaLen uint32) int32

func bytes(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func text(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}
