package hostcall

import (
	"math"
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// LittleEndian says whether this machine's tensors have the ABI's bytes.
var LittleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// tensor is what a handle stands for.
type tensor struct {
	*sdk.Tensor
	bytes    []byte // the memory of Data
	writable bool   // made by the method and not yet a result
}

// reply is what the handle of a reply stands for.
type reply struct {
	sdk.Reply
	spec  *abi.Forward // nil for that of no forward
	rows  int64
	bytes int64 // that it counts for
}

// rowBytes is what a row of a live reply counts for.
const rowBytes = 8

// handles are the tensors and replies of one explanation. A number is never
// used again.
type handles struct {
	last    int64
	tensors map[int64]*tensor
	replies map[int64]reply
	bytes   int64 // of all tensors and replies
}

// Handles returns how many tensors and replies the method holds.
func (c *Call) Handles() int { return len(c.handles.tensors) + len(c.handles.replies) }

// Counted returns the Stats with what the method was given so far, and holds.
func (c *Call) Counted() Stats {
	s, taken := c.Stats, make(map[*sdk.Tensor]bool, len(c.results))
	for _, r := range c.results {
		taken[r.Tensor] = true
	}
	s.Handles, s.OpenHandles = c.handles.last, int64(c.Handles())
	for _, t := range c.handles.tensors {
		if taken[t.Tensor] {
			s.OpenHandles--
		}
	}
	return s
}

// HandleBytes returns what these count for.
func (c *Call) HandleBytes() int64 { return c.handles.bytes }

// store gives t a handle, under the limits.
func (c *Call) store(t *tensor) (int64, error) {
	h := &c.handles
	if len(h.tensors)+len(h.replies) >= abi.MaxHandles || int64(len(t.bytes)) > c.Limits.HandleBytes-h.bytes {
		return 0, c.exceed(handlesError(c.Limits))
	}
	h.last++
	h.tensors[h.last] = t
	h.bytes += int64(len(t.bytes))
	return h.last, nil
}

func (c *Call) tensor(h int64) (*tensor, error) {
	if t, ok := c.handles.tensors[h]; ok {
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
	return v, bytesOf(v)
}

// bytesOf returns the memory of v.
func bytesOf[T sdk.Element](v []T) []byte {
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
		return bytesOf(v), true
	case []int64:
		return bytesOf(v), true
	case []float32:
		return bytesOf(v), true
	case []float64:
		return bytesOf(v), true
	}
	return nil, false
}

// TensorNew is tensor_new: the handle of a tensor of zeros. dims are i64, one
// after the other.
func (c *Call) TensorNew(dtype sdk.DType, dims []byte) (int64, error) {
	if dtype.Size() == 0 {
		return 0, sdk.NewError(sdk.EInvalid, "a tensor's element type is unknown")
	}
	if dtype == sdk.BF16 {
		return 0, sdk.NewError(sdk.EUnsupported, "a method cannot make a tensor of bf16")
	}
	if len(dims)/8 > abi.MaxRank {
		return 0, rankError()
	}
	shape := make([]int, len(dims)/8)
	r := abi.NewReader(dims)
	for i := range shape {
		shape[i] = int(r.I64())
	}
	n, ok := abi.Elements(shape)
	if !ok || n > math.MaxInt/dtype.Size() {
		return 0, sdk.NewError(sdk.ERange, "a tensor's shape is negative or too large")
	}
	// Before it is allocated, lest a number allocates.
	if int64(n*dtype.Size()) > c.Limits.HandleBytes-c.handles.bytes {
		return 0, c.exceed(handlesError(c.Limits))
	}
	t := &tensor{Tensor: &sdk.Tensor{Shape: shape}, writable: true}
	t.Data, t.bytes = newData(dtype, n)
	return c.store(t)
}

func rankError() error { return sdk.NewError(sdk.ERange, "a tensor has more than 8 dimensions") }

// TensorInfo is tensor_info: element type, rank and dimensions.
func (c *Call) TensorInfo(h int64) ([]byte, error) {
	t, err := c.tensor(h)
	if err != nil {
		return nil, err
	}
	var w abi.Writer
	w.U32(uint32(t.DType()))
	w.U32(uint32(len(t.Shape)))
	for _, d := range t.Shape {
		w.I64(int64(d))
	}
	return w.B, nil
}

// part returns the n bytes of b at off.
func part(b []byte, off, n uint64) ([]byte, error) {
	if n > math.MaxInt32 || off > uint64(len(b)) || n > uint64(len(b))-off {
		return nil, sdk.NewError(sdk.ERange, "a range is outside the tensor")
	}
	return b[off : off+n : off+n], nil
}

// TensorRead is tensor_read: n bytes of a tensor, to be copied before the next
// call.
func (c *Call) TensorRead(h int64, off, n uint64) ([]byte, error) {
	t, err := c.tensor(h)
	if err != nil {
		return nil, err
	}
	b, err := part(t.bytes, off, n)
	c.Stats.BytesIn += int64(len(b))
	return b, err
}

// TensorWrite is tensor_write: where n bytes of a tensor go, to be filled before
// the next call.
func (c *Call) TensorWrite(h int64, off, n uint64) ([]byte, error) {
	t, err := c.tensor(h)
	if err != nil {
		return nil, err
	}
	if !t.writable {
		return nil, sdk.NewError(sdk.EInvalid, "a tensor is the host's or a result, and cannot be written")
	}
	b, err := part(t.bytes, off, n)
	c.Stats.BytesOut += int64(len(b))
	return b, err
}

// TensorReadStrided is tensor_read_strided: the number of bytes that the spec
// selects, at most n, and what copies them to that many.
func (c *Call) TensorReadStrided(h int64, spec []byte, n uint64) (size int, copyTo func(to []byte), err error) {
	t, err := c.tensor(h)
	if err != nil {
		return 0, nil, err
	}
	if len(spec) != 24*len(t.Shape) {
		return 0, nil, sdk.NewError(sdk.EInvalid, "a strided read has a start, a length and a step for every dimension")
	}
	element := t.DType().Size()
	dims := make([]stride, len(t.Shape))
	counts := make([]int, len(dims))
	r := abi.NewReader(spec)
	for i := range dims {
		start, n, step := r.I64(), r.I64(), r.I64()
		extent := int64(t.Shape[i])
		if start < 0 || n < 0 || step < 1 || start > extent || n > 0 && (start >= extent || (n-1) > (extent-1-start)/step) {
			return 0, nil, sdk.NewError(sdk.ERange, "a strided read is outside the tensor")
		}
		dims[i] = stride{int(start), int(n), int(step)}
		counts[i] = int(n)
	}
	count, _ := abi.Elements(counts) // no more than the tensor's
	size = count * element
	if size > math.MaxInt32 || uint64(size) > n {
		return 0, nil, sdk.NewError(sdk.ERange, "a strided read is larger than its buffer")
	}
	c.Stats.BytesIn += int64(size)
	return size, func(to []byte) {
		if size > 0 {
			gather(to, t.bytes, dims, t.Shape, element)
		}
	}, nil
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

// Free is tensor_free, for tensors and replies.
func (c *Call) Free(handle int64) error {
	h := &c.handles
	if t, ok := h.tensors[handle]; ok {
		h.bytes -= int64(len(t.bytes))
		delete(h.tensors, handle)
		return nil
	}
	if r, ok := h.replies[handle]; ok {
		h.bytes -= r.bytes
		delete(h.replies, handle)
		return nil
	}
	return sdk.NewError(sdk.EHandle, "a handle is neither a tensor's nor a reply's")
}
