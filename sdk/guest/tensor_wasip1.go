package guest

import (
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// chunk is how many bytes cross in one call at most, so that counts stay well
// inside an i32.
const chunk = 1 << 30

// view returns the bytes of the elements of data.
func view(data any) []byte {
	switch v := data.(type) {
	case []uint8:
		return v
	case []int32:
		return cast(v)
	case []int64:
		return cast(v)
	case []float32:
		return cast(v)
	case []float64:
		return cast(v)
	}
	return nil
}

func cast[T sdk.Element](v []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(zero)))
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
	b := view(data)
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
	size := t.Len()
	switch dtype {
	case sdk.U8:
		t.Data = make([]uint8, size)
	case sdk.I32:
		t.Data = make([]int32, size)
	case sdk.I64:
		t.Data = make([]int64, size)
	case sdk.F32:
		t.Data = make([]float32, size)
	case sdk.F64:
		t.Data = make([]float64, size)
	default:
		return nil, sdk.NewError(sdk.EUnsupported, "the tensor holds "+dtype.String()+", which Go has no slice for")
	}
	b := view(t.Data)
	for off := 0; off < len(b); off += chunk {
		p, n := bytes(b[off:min(off+chunk, len(b))])
		if rc := tensorRead(h, int64(off), p, n); rc < 0 {
			return nil, hostError(rc)
		}
	}
	return t, nil
}
