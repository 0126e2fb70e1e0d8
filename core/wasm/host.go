package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// hostFunction is a function of the namespace xai1. It moves its arguments and
// its answer across the border; a value that is not negative, or an error that
// the guest sees as its errno, is what it returns.
type hostFunction struct {
	signature signature
	need      sdk.Need // without which it cannot be imported; empty for none
	run       func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error)
}

// hostFunctions are the functions that a module can import.
var hostFunctions = map[string]hostFunction{
	"tensor_new": {"iii:I", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		rank := min(uint64(uint32(a[1])), abi.MaxRank+1) // which is refused
		dims, err := region(mem, a[2], 8*rank)
		if err != nil {
			return 0, err
		}
		return c.TensorNew(sdk.DType(uint32(a[0])), dims)
	}},
	"tensor_info": {"Iii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		return answer(mem, a[1], a[2])(c.TensorInfo(int64(a[0])))
	}},
	"tensor_read": {"IIii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		from, err := c.TensorRead(int64(a[0]), a[1], uint64(uint32(a[3])))
		if err != nil {
			return 0, err
		}
		to, err := region(mem, a[2], a[3])
		return int64(copy(to, from)), err
	}},
	"tensor_read_strided": {"Iiiii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		spec, err := region(mem, a[1], a[2])
		if err != nil {
			return 0, err
		}
		size, copyTo, err := c.TensorReadStrided(int64(a[0]), spec, uint64(uint32(a[4])))
		if err != nil {
			return 0, err
		}
		to, err := region(mem, a[3], uint64(size))
		if err != nil {
			return 0, err
		}
		copyTo(to)
		return int64(size), nil
	}},
	"tensor_write": {"IIii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		to, err := c.TensorWrite(int64(a[0]), a[1], uint64(uint32(a[3])))
		if err != nil {
			return 0, err
		}
		from, err := region(mem, a[2], a[3])
		return int64(copy(to, from)), err
	}},
	"tensor_free": {"I:i", "", func(c *hostcall.Call, _ api.Memory, a []uint64) (int64, error) {
		return 0, c.Free(int64(a[0]))
	}},
	"tokenize": {"ii:I", sdk.NeedTokenize, given((*hostcall.Call).Tokenize)},
	"forward":  {"ii:I", sdk.NeedForward, given((*hostcall.Call).Forward)},
	"grad":     {"ii:I", sdk.NeedGradients, given((*hostcall.Call).Grad)},
	"generate": {"ii:I", sdk.NeedGenerate, given((*hostcall.Call).Generate)},
	"reply_get": {"Iiii:I", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		name, err := region(mem, a[1], a[2])
		if err != nil {
			return 0, err
		}
		return c.ReplyGet(int64(a[0]), name, int32(a[3]))
	}},
	"op": {"iii:I", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		spec, err := frame(mem, a[1], a[2])
		if err != nil {
			return 0, err
		}
		return c.Op(abi.Op(uint32(a[0])), spec)
	}},
	"param_get": {"iiii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		name, err := region(mem, a[0], a[1])
		if err != nil {
			return 0, err
		}
		return answer(mem, a[2], a[3])(c.ParamGet(name))
	}},
	"input_get": {"iii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		return answer(mem, a[1], a[2])(c.InputGet(abi.Input(uint32(a[0]))))
	}},
	"rng_fill": {"ii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		b, err := region(mem, a[0], a[1])
		if err != nil {
			return 0, err
		}
		return 0, c.Random(b)
	}},
	"progress": {"II:i", "", func(c *hostcall.Call, _ api.Memory, a []uint64) (int64, error) {
		return 0, c.Progress(int64(a[0]), int64(a[1]))
	}},
	"log": {"iii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		line, err := region(mem, a[1], a[2])
		if err != nil {
			return 0, err
		}
		return 0, c.Log(int32(a[0]), line)
	}},
	"error": {"iii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		text, err := region(mem, a[1], a[2])
		if err != nil {
			return 0, err
		}
		c.SetError(int32(a[0]), text)
		return 0, nil
	}},
	"result": {"iiIii:i", "", func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		name, err := region(mem, a[0], a[1])
		if err != nil {
			return 0, err
		}
		meta, err := frame(mem, a[3], a[4])
		if err != nil {
			return 0, err
		}
		return 0, c.Result(name, int64(a[2]), meta)
	}},
}

// given is a function of (ptr, len) that returns a handle.
func given(f func(c *hostcall.Call, b []byte) (int64, error)) func(*hostcall.Call, api.Memory, []uint64) (int64, error) {
	return func(c *hostcall.Call, mem api.Memory, a []uint64) (int64, error) {
		b, err := frame(mem, a[0], a[1])
		if err != nil {
			return 0, err
		}
		return f(c, b)
	}
}

// callKey is the key of a context's *call.
type callKey struct{}

// instantiateHost makes the functions of xai1 known to r.
func instantiateHost(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(abi.Namespace)
	for name, f := range hostFunctions {
		params, results := f.signature.types()
		b.NewFunctionBuilder().WithGoModuleFunction(f, params, results).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// Call implements api.GoModuleFunction.
func (f hostFunction) Call(ctx context.Context, m api.Module, stack []uint64) {
	c := ctx.Value(callKey{}).(*call)
	stack[0] = uint64(c.Do(func() (int64, error) { return f.run(c.Call, m.Memory(), stack) }))
}

// region returns the guest's memory at ptr, which stays the guest's.
func region(mem api.Memory, ptr, n uint64) ([]byte, error) {
	b, ok := mem.Read(uint32(ptr), uint32(n))
	if !ok {
		return nil, sdk.NewError(sdk.EFault, "a pointer is outside the module's memory")
	}
	return b, nil
}

// frame returns a frame of the guest's. One that is too long is refused as such,
// wherever it ends.
func frame(mem api.Memory, ptr, n uint64) ([]byte, error) {
	if err := hostcall.CheckFrame(uint64(uint32(n))); err != nil {
		return nil, err
	}
	return region(mem, ptr, n)
}

// answer returns what writes a value to the guest where it fits, and returns its
// length in any case.
func answer(mem api.Memory, ptr, n uint64) func(value []byte, err error) (int64, error) {
	return func(value []byte, err error) (int64, error) {
		if err == nil && len(value) <= int(uint32(n)) {
			var to []byte
			to, err = region(mem, ptr, uint64(len(value)))
			copy(to, value)
		}
		return int64(len(value)), err
	}
}
