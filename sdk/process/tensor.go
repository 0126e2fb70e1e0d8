package process

import (
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/internal/handles"
	"github.com/xai-go/xai/sdk/process/wire"
)

// tensors are the handles of what one call is given.
type tensors struct {
	h       *host
	handles []int64
}

// send copies a tensor to the host, where it stays until free.
func (t *tensors) send(data any, shape ...int) (int64, error) {
	handle, err := t.h.send(data, shape...)
	if err == nil {
		t.handles = append(t.handles, handle)
	}
	return handle, err
}

// free drops the tensors.
func (t *tensors) free() {
	for _, handle := range t.handles {
		t.h.free(handle)
	}
}

// send copies a tensor to the host and returns its handle.
func (h *host) send(data any, shape ...int) (int64, error) {
	dtype := (&sdk.Tensor{Data: data}).DType()
	var dims abi.Writer
	for _, d := range shape {
		dims.I64(int64(d))
	}
	a, err := h.call(&wire.Event{Event: &wire.Event_TensorNew{TensorNew: &wire.TensorNew{Dtype: uint32(dtype), Dims: dims.B}}})
	if err != nil {
		return 0, err
	}
	handle := a.Value
	b := handles.Bytes(data)
	var parts []*wire.Event
	for off := 0; off < len(b); off += wire.MaxChunk {
		end := min(off+wire.MaxChunk, len(b))
		parts = append(parts, &wire.Event{Event: &wire.Event_TensorWrite{TensorWrite: &wire.TensorWrite{
			Handle: handle, Offset: uint64(off), Data: b[off:end], More: end < len(b),
		}}})
	}
	if parts == nil {
		return handle, nil
	}
	if err := h.exchange(parts, func(*wire.Answer) error { return nil }); err != nil {
		h.free(handle)
		return 0, err
	}
	return handle, nil
}

// receive copies the host's tensor and frees it there.
func (h *host) receive(handle int64) (*sdk.Tensor, error) {
	defer h.free(handle)
	a, err := h.call(&wire.Event{Event: &wire.Event_TensorInfo{TensorInfo: &wire.TensorInfo{Handle: handle}}})
	if err != nil {
		return nil, err
	}
	r := abi.NewReader(a.Data)
	dtype, rank := sdk.DType(r.U32()), r.U32()
	t := &sdk.Tensor{Shape: make([]int, min(rank, abi.MaxRank))}
	for i := range t.Shape {
		t.Shape[i] = int(r.I64())
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	n, ok := abi.Elements(t.Shape)
	if !ok {
		return nil, sdk.NewError(sdk.EInternal, "the host's tensor has no shape")
	}
	var b []byte
	if t.Data, b, err = handles.Elements(dtype, n); err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return t, nil
	}
	got := 0
	err = h.exchange([]*wire.Event{{Event: &wire.Event_TensorRead{TensorRead: &wire.TensorRead{Handle: handle, Size: uint64(len(b))}}}}, func(a *wire.Answer) error {
		got += copy(b[got:], a.Data)
		return nil
	})
	if err == nil && got != len(b) {
		err = sdk.NewError(sdk.EInternal, "the host's tensor came in part")
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}
