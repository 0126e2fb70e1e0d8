package guest

import (
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/internal/handles"
)

// chunk is how many bytes cross in one call at most, so that counts stay well
// inside an i32.
const chunk = 1 << 30

// tensors are the handles of what one call is given.
type tensors []int64

// send copies a tensor to the host, where it stays until free.
func (t *tensors) send(data any, shape ...int) (int64, error) {
	h, err := send(data, shape...)
	if err == nil {
		*t = append(*t, h)
	}
	return h, err
}

// free drops the tensors.
func (t *tensors) free() {
	for _, h := range *t {
		tensorFree(h)
	}
}

// send copies a tensor to the host and returns its handle.
func send(data any, shape ...int) (int64, error) {
	dtype := (&sdk.Tensor{Data: data}).DType()
	dims := make([]int64, len(shape), max(1, len(shape)))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	h := tensorNew(uint32(dtype), uint32(len(dims)), unsafe.Pointer(unsafe.SliceData(dims)))
	if h < 0 {
		return 0, hostError(int32(h))
	}
	b := handles.Bytes(data)
	for off := 0; off < len(b); off += chunk {
		p, n := bytes(b[off:min(off+chunk, len(b))])
		if rc := tensorWrite(h, int64(off), p, n); rc < 0 {
			err := hostError(rc)
			tensorFree(h)
			return 0, err
		}
	}
	return h, nil
}

// receive copies the host's tensor h and frees it there.
func receive(h int64) (*sdk.Tensor, error) {
	defer tensorFree(h)
	var head [8 + 8*abi.MaxRank]byte
	p, n := bytes(head[:])
	rc := tensorInfo(h, p, n)
	if rc < 0 {
		return nil, hostError(rc)
	}
	r := abi.NewReader(head[:rc])
	dtype, rank := sdk.DType(r.U32()), r.U32()
	t := &sdk.Tensor{Shape: make([]int, rank)}
	for i := range t.Shape {
		t.Shape[i] = int(r.I64())
	}
	var b []byte
	var err error
	if t.Data, b, err = handles.Elements(dtype, t.Len()); err != nil {
		return nil, err
	}
	for off := 0; off < len(b); off += chunk {
		p, n := bytes(b[off:min(off+chunk, len(b))])
		if rc := tensorRead(h, int64(off), p, n); rc < 0 {
			return nil, hostError(rc)
		}
	}
	return t, nil
}
