package wasm

import (
	"math"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// littleEndian says whether this machine's tensors have the ABI's bytes.
var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// tensor is what a handle stands for.
type tensor struct {
	*sdk.Tensor
	bytes    []byte // the memory of Data
	writable bool   // made by the guest and not yet a result
}

// reply is what the handle of a reply stands for.
type reply struct {
	sdk.Reply
	want []abi.Want // nil stands for all
	rows int64
}

// rowBytes is what a row of a live reply counts for.
const rowBytes = 8

// handles are the tensors and replies of one explanation. A number is never
// used again.
type handles struct {
	last    int64
	tensors map[int64]*tensor
	replies map[int64]reply
	bytes   int64 // of all tensors, and of the rows of all replies
}

// store gives t a handle, under the limits.
func (c *call) store(t *tensor) (int64, error) {
	h := &c.handles
	if len(h.tensors)+len(h.replies) >= maxHandles || int64(len(t.bytes)) > c.limits.HandleBytes-h.bytes {
		return 0, c.exceed(handlesError(c.limits))
	}
	h.last++
	h.tensors[h.last] = t
	h.bytes += int64(len(t.bytes))
	return h.last, nil
}

func (c *call) tensor(h uint64) (*tensor, error) {
	if t, ok := c.handles.tensors[int64(h)]; ok {
		return t, nil
	}
	return nil, sdk.NewError(sdk.EHandle, "a handle is no tensor's")
}

// newData returns zeroed elements, and their bytes.
func newData(dtype sdk.DType, n int) (data any, bytes []byte) {
	switch dtype {
	case sdk.U8:
		return elements[uint8](n)
	case sdk.I32:
		return elements[int32](n)
	case sdk.I64:
		return elements[int64](n)
	case sdk.F32:
		return elements[float32](n)
	default:
		return elements[float64](n)
	}
}

func elements[T sdk.Element](n int) (any, []byte) {
	v := make([]T, n)
	return v, memory(v)
}

// memory returns the bytes of v.
func memory[T sdk.Element](v []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(zero)))
}

// dataBytes returns the bytes of a tensor's elements, and false for a type
// that tensors do not have.
func dataBytes(data any) ([]byte, bool) {
	switch v := data.(type) {
	case []uint8:
		return v, true
	case []int32:
		return memory(v), true
	case []int64:
		return memory(v), true
	case []float32:
		return memory(v), true
	case []float64:
		return memory(v), true
	}
	return nil, false
}

// tensorNew is tensor_new(dtype, rank, dims) → handle.
func (c *call) tensorNew(mem api.Memory, a []uint64) (int64, error) {
	dtype, rank := sdk.DType(uint32(a[0])), uint32(a[1])
	if dtype.Size() == 0 {
		return 0, sdk.NewError(sdk.EInvalid, "a tensor's element type is unknown")
	}
	if dtype == sdk.BF16 {
		return 0, sdk.NewError(sdk.EUnsupported, "a module cannot make a tensor of bf16")
	}
	if rank > abi.MaxRank {
		return 0, sdk.NewError(sdk.ERange, "a tensor has more than 8 dimensions")
	}
	dims, err := region(mem, a[2], uint64(rank)*8)
	if err != nil {
		return 0, err
	}
	shape := make([]int, rank)
	r := abi.NewReader(dims)
	for i := range shape {
		shape[i] = int(r.I64())
	}
	n, ok := abi.Elements(shape)
	if !ok || n > math.MaxInt/dtype.Size() {
		return 0, sdk.NewError(sdk.ERange, "a tensor's shape is negative or too large")
	}
	// Before it is allocated, lest a number allocates.
	if int64(n*dtype.Size()) > c.limits.HandleBytes-c.handles.bytes {
		return 0, c.exceed(handlesError(c.limits))
	}
	t := &tensor{Tensor: &sdk.Tensor{Shape: shape}, writable: true}
	t.Data, t.bytes = newData(dtype, n)
	return c.store(t)
}

// tensorInfo is tensor_info(h, out, cap) → bytes.
func (c *call) tensorInfo(mem api.Memory, a []uint64) (int64, error) {
	t, err := c.tensor(a[0])
	if err != nil {
		return 0, err
	}
	var w abi.Writer
	w.U32(uint32(t.DType()))
	w.U32(uint32(len(t.Shape)))
	for _, d := range t.Shape {
		w.I64(int64(d))
	}
	return answer(mem, a[1], a[2], w.B)
}

// span returns the n bytes of b at off.
func span(b []byte, off, n uint64) ([]byte, error) {
	n = uint64(uint32(n))
	if n > math.MaxInt32 || off > uint64(len(b)) || n > uint64(len(b))-off {
		return nil, sdk.NewError(sdk.ERange, "a range is outside the tensor")
	}
	return b[off : off+n], nil
}

// tensorRead is tensor_read(h, off, ptr, n) → n.
func (c *call) tensorRead(mem api.Memory, a []uint64) (int64, error) {
	t, err := c.tensor(a[0])
	if err != nil {
		return 0, err
	}
	from, err := span(t.bytes, a[1], a[3])
	if err != nil {
		return 0, err
	}
	to, err := region(mem, a[2], a[3])
	if err != nil {
		return 0, err
	}
	c.stats.BytesIn += int64(len(from))
	return int64(copy(to, from)), nil
}

// tensorWrite is tensor_write(h, off, ptr, n) → n.
func (c *call) tensorWrite(mem api.Memory, a []uint64) (int64, error) {
	t, err := c.tensor(a[0])
	if err != nil {
		return 0, err
	}
	if !t.writable {
		return 0, sdk.NewError(sdk.EInvalid, "a tensor is the host's or a result, and cannot be written")
	}
	to, err := span(t.bytes, a[1], a[3])
	if err != nil {
		return 0, err
	}
	from, err := region(mem, a[2], a[3])
	if err != nil {
		return 0, err
	}
	c.stats.BytesOut += int64(len(from))
	return int64(copy(to, from)), nil
}

// tensorReadStrided is tensor_read_strided(h, spec, spec_len, ptr, cap) → bytes.
func (c *call) tensorReadStrided(mem api.Memory, a []uint64) (int64, error) {
	t, err := c.tensor(a[0])
	if err != nil {
		return 0, err
	}
	if uint32(a[2]) != uint32(24*len(t.Shape)) {
		return 0, sdk.NewError(sdk.EInvalid, "a strided read has a start, a length and a step for every dimension")
	}
	spec, err := region(mem, a[1], a[2])
	if err != nil {
		return 0, err
	}
	size := t.DType().Size()
	dims := make([]stride, len(t.Shape))
	r := abi.NewReader(spec)
	counts := make([]int, len(dims))
	for i := range dims {
		d := &dims[i]
		start, n, step := r.I64(), r.I64(), r.I64()
		extent := int64(t.Shape[i])
		if start < 0 || n < 0 || step < 1 || start > extent || n > 0 && (start >= extent || (n-1) > (extent-1-start)/step) {
			return 0, sdk.NewError(sdk.ERange, "a strided read is outside the tensor")
		}
		*d = stride{int(start), int(n), int(step)}
		counts[i] = d.n
	}
	n, _ := abi.Elements(counts) // no more than the tensor's
	if n*size > math.MaxInt32 || n*size > int(uint32(a[4])) {
		return 0, sdk.NewError(sdk.ERange, "a strided read is larger than its buffer")
	}
	to, err := region(mem, a[3], uint64(n*size))
	if err != nil {
		return 0, err
	}
	if n > 0 {
		gather(to, t.bytes, dims, t.Shape, size)
	}
	c.stats.BytesIn += int64(n * size)
	return int64(n * size), nil
}

// stride selects elements start, start+step … of one dimension, n of them.
type stride struct{ start, n, step int }

// gather copies what dims select of from, row-major, and returns the rest of to.
func gather(to, from []byte, dims []stride, shape []int, size int) []byte {
	if len(dims) == 0 {
		return to[copy(to, from[:size]):]
	}
	d := dims[0]
	block := len(from) / shape[0]
	if len(dims) == 1 && d.step == 1 {
		return to[copy(to, from[d.start*block:(d.start+d.n)*block]):]
	}
	for i := range d.n {
		at := (d.start + i*d.step) * block
		to = gather(to, from[at:at+block], dims[1:], shape[1:], size)
	}
	return to
}

// tensorFree is tensor_free(h) → 0, for tensors and replies.
func (c *call) tensorFree(_ api.Memory, a []uint64) (int64, error) {
	h := &c.handles
	id := int64(a[0])
	if t, ok := h.tensors[id]; ok {
		h.bytes -= int64(len(t.bytes))
		delete(h.tensors, id)
		return 0, nil
	}
	if r, ok := h.replies[id]; ok {
		h.bytes -= r.rows * rowBytes
		delete(h.replies, id)
		return 0, nil
	}
	return 0, sdk.NewError(sdk.EHandle, "a handle is neither a tensor's nor a reply's")
}
