package torch

import (
	"math/bits"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// global is a function or class of Python that a pickle may name.
type global string

// The functions that a pickle may call.
const (
	orderedDict      global = "collections.OrderedDict"
	rebuildTensor    global = "torch._utils._rebuild_tensor"
	rebuildTensorV2  global = "torch._utils._rebuild_tensor_v2"
	rebuildParameter global = "torch._utils._rebuild_parameter"
	torchSize        global = "torch.Size"
)

// maxRank is the number of dimensions that a tensor of PyTorch may have.
const maxRank = 64

// format is the number format of a storage.
type format struct {
	dtype stored.DType
	width int // bytes of a value
}

// storages are the classes of storages.
var storages = map[global]format{
	"torch.BoolStorage":          {stored.Bool, 1},
	"torch.ByteStorage":          {stored.U8, 1},
	"torch.CharStorage":          {stored.I8, 1},
	"torch.ShortStorage":         {stored.I16, 2},
	"torch.IntStorage":           {stored.I32, 4},
	"torch.LongStorage":          {stored.I64, 8},
	"torch.HalfStorage":          {stored.F16, 2},
	"torch.BFloat16Storage":      {stored.BF16, 2},
	"torch.FloatStorage":         {stored.F32, 4},
	"torch.DoubleStorage":        {stored.F64, 8},
	"torch.ComplexFloatStorage":  {"C64", 8},
	"torch.ComplexDoubleStorage": {"C128", 16},
}

// global pushes a function or class if a state dict may need it.
func (m *machine) global(op, name string) error {
	if len(name) > maxName {
		return m.fault("a name of Python has more than %d bytes", maxName)
	}
	switch g := global(name); g {
	case orderedDict, rebuildTensor, rebuildTensorV2, rebuildParameter, torchSize:
		m.push(g, 16)
	default:
		if _, ok := storages[g]; !ok {
			return m.refuse(op, name)
		}
		m.push(g, 16)
	}
	return nil
}

// call returns what a function gives for its arguments.
func (m *machine) call(function global, args tuple) (any, error) {
	switch function {
	case orderedDict: // (), or (items,) in pickles of Python 2
		d := &dict{ordered: true}
		if len(args) == 0 {
			return d, nil
		}
		if items, ok := args[0].(*list); ok && len(args) == 1 {
			for _, item := range items.items {
				p, ok := item.(tuple)
				if l, isList := item.(*list); isList {
					p, ok = l.items, true
				}
				if !ok || len(p) != 2 {
					return nil, m.fault("OrderedDict is made of a %s, which is no key and value", kind(item))
				}
				d.pairs = append(d.pairs, pair{p[0], p[1]})
			}
			m.memory += 64 * int64(len(d.pairs))
			return d, nil
		}
	case torchSize: // (dimensions,)
		if len(args) == 1 {
			if dims, ok := args[0].(tuple); ok {
				return dims, nil
			}
		}
	case rebuildParameter: // (tensor, requires_grad, backward_hooks)
		if len(args) == 3 {
			if t, ok := args[0].(*tensor); ok {
				return t, nil
			}
		}
	case rebuildTensor, rebuildTensorV2: // (storage, offset, size, stride), and (requires_grad, backward_hooks[, metadata])
		if len(args) == 7 && function == rebuildTensorV2 {
			if metadata, ok := args[6].(*dict); args[6] != nil && (!ok || len(metadata.pairs) > 0) {
				return nil, &UnsupportedError{Feature: "a tensor that is a lazy conjugate or negative"}
			}
			args = args[:6]
		}
		if function == rebuildTensorV2 && len(args) == 6 || function == rebuildTensor && len(args) == 4 {
			return m.tensor(args[0], args[1], args[2], args[3])
		}
	default:
		return nil, m.refuse("REDUCE", string(function))
	}
	return nil, m.fault("%s is called with %d arguments of which it makes nothing", function, len(args))
}

// storage is a run of values in the file.
type storage struct {
	format
	key      string
	elements int
	offset   int64 // in the file; negative until it is known
}

// tensor is a view of a storage.
type tensor struct {
	storage *storage
	offset  int // of the first value, in values
	shape   []int
	strides []int // in values, as many as shape
}

// tensor makes a view and checks that it lies in its storage.
func (m *machine) tensor(of, offset, size, stride any) (any, error) {
	t := &tensor{}
	first, ok := of.(*storage)
	begin, ok2 := index(offset)
	if t.storage, t.offset = first, begin; !ok || !ok2 {
		return nil, m.fault("a tensor is a view of a %s, from a %s on", kind(of), kind(offset))
	}
	var ok3 bool
	t.shape, ok = indices(size)
	t.strides, ok3 = indices(stride)
	if !ok || !ok3 || len(t.shape) != len(t.strides) || len(t.shape) > maxRank {
		return nil, m.fault("a tensor has sizes and strides that do not go together")
	}
	m.memory += int64(64 + 16*len(t.shape))
	n, ok := raw.Count(t.shape)
	if !ok {
		return nil, m.fault("the shape %v is too large for any file", t.shape)
	}
	if n == 0 {
		return t, nil
	}
	last := uint64(begin)
	for i, dim := range t.shape {
		high, span := bits.Mul64(uint64(dim-1), uint64(t.strides[i]))
		var carry uint64
		if last, carry = bits.Add64(last, span, 0); high != 0 || carry != 0 {
			last = 1<<64 - 1
			break
		}
	}
	if last >= uint64(first.elements) {
		return nil, m.fault("a tensor of shape %v, strides %v and offset %d exceeds its storage of %d values", t.shape, t.strides, t.offset, first.elements)
	}
	return t, nil
}

// index returns a non-negative integer.
func index(v any) (int, bool) {
	n, ok := v.(int64)
	if !ok || n < 0 || int64(int(n)) != n {
		return 0, false
	}
	return int(n), true
}

// indices returns a tuple of non-negative integers.
func indices(v any) ([]int, bool) {
	items, ok := v.(tuple)
	if !ok {
		return nil, false
	}
	dims := make([]int, len(items))
	for i, item := range items {
		if dims[i], ok = index(item); !ok {
			return nil, false
		}
	}
	return dims, true
}
