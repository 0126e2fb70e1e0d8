package guest

import (
	"context"
	"errors"
	"runtime"
	"unsafe"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// buffers keeps what xai_alloc returned until the explanation is over.
var buffers [][]byte

//go:wasmexport xai_abi
func xaiABI() int32 { return abi.Version }

//go:wasmexport xai_alloc
func xaiAlloc(n uint32) uint32 {
	b := make([]byte, max(n, 1))
	buffers = append(buffers, b)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}

//go:wasmexport xai_explain
func xaiExplain(request unsafe.Pointer, n uint32) int32 {
	err := explain(unsafe.Slice((*byte)(request), n))
	buffers = nil
	runtime.Gosched()
	if err == nil {
		return 0
	}
	code := sdk.EInternal
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		code = e.Code
	}
	p, length := text(err.Error())
	setError(int32(code), p, length)
	return int32(code)
}

func explain(request []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = sdk.Recovered(v)
		}
	}()
	name, err := abi.ParseRequest(request)
	if err != nil {
		return err
	}
	m := find(name)
	if m == nil {
		return sdk.NewError(sdk.EName, "the module has no method "+name)
	}
	r, err := readRequest(m.Info())
	if err != nil {
		return err
	}
	host := &model{}
	if err := input(abi.InputModel, func(in *abi.Reader) { host.info = in.Model() }); err != nil {
		return err
	}
	e, err := m.Explain(context.Background(), host, r)
	if err != nil {
		return err
	}
	if e == nil {
		return sdk.NewError(sdk.EInternal, "the method returned neither an explanation nor an error")
	}
	return writeExplanation(e)
}

// fetch calls get with larger buffers until the value fits.
func fetch(get func(out unsafe.Pointer, n uint32) int32) ([]byte, error) {
	b := make([]byte, 512)
	for {
		p, n := bytes(b)
		need := get(p, n)
		if need < 0 {
			return nil, hostError(need)
		}
		if int(need) <= len(b) {
			return b[:need], nil
		}
		b = make([]byte, need)
	}
}

// input reads the host's input of that key.
func input(key abi.Input, read func(r *abi.Reader)) error {
	b, err := fetch(func(out unsafe.Pointer, n uint32) int32 { return inputGet(uint32(key), out, n) })
	if err != nil {
		return err
	}
	r := abi.NewReader(b)
	read(r)
	return r.End()
}

// hostError returns the error of a host call that failed with code.
func hostError(code int32) error {
	var message [abi.MaxMessage]byte
	p, n := bytes(message[:])
	n = uint32(max(0, inputGet(uint32(abi.InputError), p, n)))
	return sdk.NewError(sdk.Errno(code), string(message[:n]))
}

// readRequest assembles the request from the host's inputs and parameters.
func readRequest(info sdk.Info) (*sdk.Request, error) {
	r := &sdk.Request{
		Params:   make(sdk.Params, len(info.Params)),
		Rand:     random{},
		Progress: reportProgress,
		Log:      writeLog,
	}
	inputs := []struct {
		key  abi.Input
		read func(in *abi.Reader)
	}{
		{abi.InputText, func(in *abi.Reader) { r.Text = in.Text() }},
		{abi.InputTokens, func(in *abi.Reader) { r.Tokens = in.Tokens() }},
		{abi.InputUnits, func(in *abi.Reader) { r.Units = in.Units() }},
		{abi.InputTarget, func(in *abi.Reader) { r.Target = in.Target() }},
		{abi.InputSeed, func(in *abi.Reader) { r.Seed = in.U64() }},
	}
	for _, in := range inputs {
		if err := input(in.key, in.read); err != nil {
			return nil, err
		}
	}
	var pair string
	switch err := input(abi.InputTextPair, func(in *abi.Reader) { pair = in.Text() }); {
	case err == nil:
		r.TextPair = &pair
	case !errors.Is(err, &sdk.Error{Code: sdk.EName}):
		return nil, err
	}
	for _, p := range info.Params {
		b, err := fetch(func(out unsafe.Pointer, n uint32) int32 {
			name, length := text(p.Name)
			return paramGet(name, length, out, n)
		})
		if err != nil {
			return nil, err
		}
		r.Params[p.Name] = abi.NewReader(b).Param()
	}
	return r, nil
}

// random is the host's stream of random bytes.
type random struct{}

// Read implements io.Reader.
func (random) Read(b []byte) (int, error) {
	p, n := bytes(b[:min(len(b), chunk)])
	if rc := rngFill(p, n); rc < 0 {
		return 0, hostError(rc)
	}
	return int(n), nil
}

func reportProgress(done, total int) error {
	defer runtime.Gosched()
	if rc := progress(int64(done), int64(total)); rc < 0 {
		return hostError(rc)
	}
	return nil
}

func writeLog(level sdk.Level, message string) {
	p, n := text(message)
	log(int32(level), p, n)
}

// writeExplanation hands the results to the host.
func writeExplanation(e *sdk.Explanation) error {
	for i, a := range e.Attributions {
		meta := abi.Meta{Axes: []string{a.Over}}
		if i == 0 {
			meta.Units = e.Units
		}
		if err := write(a.Name, meta, a.Values, len(a.Values)); err != nil {
			return err
		}
		if a.Stderr != nil {
			meta.Units = nil
			if err := write(a.Name+abi.SuffixStderr, meta, a.Stderr, len(a.Stderr)); err != nil {
				return err
			}
		}
	}
	for _, t := range e.Tensors {
		if err := write(t.Name, abi.Meta{Axes: t.Axes}, t.Data, t.Shape...); err != nil {
			return err
		}
	}
	if e.Baseline != nil {
		if err := write(abi.ResultBaseline, abi.Meta{}, []float64{*e.Baseline}); err != nil {
			return err
		}
	}
	for _, d := range e.Diagnostics {
		if err := write(abi.PrefixDiagnostics+d.Name, abi.Meta{}, []float64{d.Value}); err != nil {
			return err
		}
	}
	return nil
}

func write(name string, meta abi.Meta, data any, shape ...int) error {
	h, err := send(data, shape...)
	if err != nil {
		return err
	}
	p, n := text(name)
	mp, mn := bytes(abi.AppendMeta(nil, &meta))
	if rc := result(p, n, h, mp, mn); rc < 0 {
		return hostError(rc)
	}
	return nil
}
