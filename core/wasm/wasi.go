package wasm

import (
	"context"
	"io"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

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

// The codes of WASI that functions of this package return.
const (
	wasiBadFile     = 8
	wasiFault       = 21
	wasiInvalid     = 28
	wasiUnsupported = 58
)

// ownWASI are the functions of WASI that are not wazero's. Nothing can stop those
// two, and one call goes through as much as the module has memory for: thousands of
// calls, which are made before the module yields, would take longer than any
// deadline.
var ownWASI = map[string]func(mem api.Memory, a []uint64) uint32{
	"fd_read":     readNothing,
	"poll_oneoff": pollAtOnce,
}

// instantiateWASI makes the functions of WASI known to r.
func instantiateWASI(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	for name, f := range ownWASI {
		params, results := wasiFunctions[name].types()
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
			stack[0] = uint64(f(m.Memory(), stack))
		}), params, results).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// readNothing is fd_read(fd, iovs, n, size): standard input is at its end.
func readNothing(mem api.Memory, a []uint64) uint32 {
	switch {
	case uint32(a[0]) != 0:
		return wasiBadFile
	case !mem.WriteUint32Le(uint32(a[3]), 0):
		return wasiFault
	}
	return 0
}

// The subscriptions and events of poll_oneoff, of which a module that waits for its
// three files and a clock has a few.
const (
	maxEvents        = 1024
	subscriptionSize = 48
	eventSize        = 32

	eventClock   = 0
	eventFDRead  = 1
	eventFDWrite = 2
)

// pollAtOnce is poll_oneoff(in, out, n, events): all that is waited for has come, on
// a clock that does not run. As in wazero a clock is relative, and writing is never
// waited for.
func pollAtOnce(mem api.Memory, a []uint64) uint32 {
	n := uint32(a[2])
	if n == 0 || n > maxEvents {
		return wasiInvalid
	}
	in, ok := mem.Read(uint32(a[0]), n*subscriptionSize)
	out, ok2 := mem.Read(uint32(a[1]), n*eventSize)
	if !ok || !ok2 {
		return wasiFault
	}
	events := make([]byte, len(out)) // which may be the memory of the subscriptions
	for i := range int(n) {
		s, e := in[i*subscriptionSize:], events[i*eventSize:]
		copy(e, s[:8]) // the user's own
		code, file := byte(0), s[16:20]
		switch e[10] = s[8]; {
		case s[8] == eventClock && s[40] == 1 && s[41] == 0:
			return wasiUnsupported // a time of day
		case s[8] == eventClock && s[40]|s[41] != 0, s[8] > eventFDWrite:
			return wasiInvalid
		case s[8] == eventClock:
		case file[1]|file[2]|file[3] != 0 || file[0] > 2:
			code = wasiBadFile
		case s[8] == eventFDWrite:
			code = wasiUnsupported
		}
		e[8] = code
	}
	copy(out, events)
	if !mem.WriteUint32Le(uint32(a[3]), n) {
		return wasiFault
	}
	return 0
}

// drawn are random numbers, of which there are none once the run has to end: one
// call may ask for as many as the module has memory for.
type drawn struct {
	ctx    context.Context
	source io.Reader
}

// Read implements io.Reader.
func (d *drawn) Read(b []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	return d.source.Read(b[:min(len(b), piece)])
}
