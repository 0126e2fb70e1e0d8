package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// hostFunction is a function of the namespace xai1. It returns a value that is
// not negative, or an error that the guest sees as its errno.
type hostFunction struct {
	signature signature
	run       func(c *call, mem api.Memory, a []uint64) (int64, error)
}

// hostFunctions are the functions that a module can import.
var hostFunctions = map[string]hostFunction{
	"tensor_new":          {"iii:I", (*call).tensorNew},
	"tensor_info":         {"Iii:i", (*call).tensorInfo},
	"tensor_read":         {"IIii:i", (*call).tensorRead},
	"tensor_read_strided": {"Iiiii:i", (*call).tensorReadStrided},
	"tensor_write":        {"IIii:i", (*call).tensorWrite},
	"tensor_free":         {"I:i", (*call).tensorFree},
	"forward":             {"ii:I", (*call).forward},
	"reply_get":           {"Iiii:I", (*call).replyGet},
	"param_get":           {"iiii:i", (*call).paramGet},
	"input_get":           {"iii:i", (*call).inputGet},
	"rng_fill":            {"ii:i", (*call).rngFill},
	"progress":            {"II:i", (*call).progress},
	"log":                 {"iii:i", (*call).log},
	"error":               {"iii:i", (*call).error},
	"result":              {"iiIii:i", (*call).result},
}

// wasiFunctions are the functions of WASI that a module can import. None of
// them reaches outside: there are no folders, arguments or environment, the
// clock counts reads, random numbers follow from the seed, and what is written
// goes to the log.
var wasiFunctions = map[string]signature{
	"args_get":            "ii:i",
	"args_sizes_get":      "ii:i",
	"environ_get":         "ii:i",
	"environ_sizes_get":   "ii:i",
	"clock_res_get":       "ii:i",
	"clock_time_get":      "iIi:i",
	"fd_close":            "i:i",
	"fd_fdstat_get":       "ii:i",
	"fd_fdstat_set_flags": "ii:i",
	"fd_prestat_get":      "ii:i",
	"fd_prestat_dir_name": "iii:i",
	"fd_read":             "iiii:i",
	"fd_seek":             "iIii:i",
	"fd_write":            "iiii:i",
	"poll_oneoff":         "iiii:i",
	"proc_exit":           "i:",
	"random_get":          "ii:i",
	"sched_yield":         ":i",
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

// Call implements api.GoModuleFunction. A panic of the host ends in EINTERNAL.
func (f hostFunction) Call(ctx context.Context, m api.Module, stack []uint64) {
	c := ctx.Value(callKey{}).(*call)
	c.stats.HostCalls++
	defer func() {
		if v := recover(); v != nil {
			stack[0] = uint64(int64(c.fail(hostPanic(v))))
		}
	}()
	v, err := f.run(c, m.Memory(), stack)
	if err != nil {
		v = int64(c.fail(err))
	}
	stack[0] = uint64(v)
}

// region returns the guest's memory at ptr, which stays the guest's.
func region(mem api.Memory, ptr, n uint64) ([]byte, error) {
	b, ok := mem.Read(uint32(ptr), uint32(n))
	if !ok {
		return nil, sdk.NewError(sdk.EFault, "a pointer is outside the module's memory")
	}
	return b, nil
}

// name returns a name of the guest's.
func name(mem api.Memory, ptr, n uint64) (string, error) {
	if uint32(n) > abi.MaxName {
		return "", sdk.NewError(sdk.ERange, "a name is longer than 255 bytes")
	}
	b, err := region(mem, ptr, n)
	return string(b), err
}

// frame returns a frame of the guest's.
func frame(mem api.Memory, ptr, n uint64) ([]byte, error) {
	if uint32(n) > abi.MaxFrame {
		return nil, sdk.NewError(sdk.ERange, "a frame is longer than 16 MiB")
	}
	return region(mem, ptr, n)
}

// answer writes value to the guest where it fits, and returns its length in any
// case.
func answer(mem api.Memory, ptr, n uint64, value []byte) (int64, error) {
	if len(value) > maxAnswer {
		return 0, sdk.NewError(sdk.ERange, "a value is too long for the module")
	}
	if len(value) <= int(uint32(n)) {
		b, err := region(mem, ptr, uint64(len(value)))
		if err != nil {
			return 0, err
		}
		copy(b, value)
	}
	return int64(len(value)), nil
}
