package process

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
)

// input reads the host's input of that key.
func (h *host) input(key abi.Input, read func(in *abi.Reader)) error {
	a, err := h.call(&wire.Event{Event: &wire.Event_InputGet{InputGet: &wire.InputGet{Key: uint32(key)}}})
	if err != nil {
		return err
	}
	r := abi.NewReader(a.Data)
	read(r)
	return r.End()
}

// request assembles the request from the host's inputs and parameters.
func (h *host) request(ctx context.Context, info sdk.Info) (*sdk.Request, error) {
	steps := &progress{ctx: ctx, h: h}
	r := &sdk.Request{
		Params:   make(sdk.Params, len(info.Params)),
		Rand:     &random{h: h},
		Progress: steps.report,
		Log: func(level sdk.Level, message string) {
			_, _ = h.call(&wire.Event{Event: &wire.Event_Log{Log: &wire.Log{Level: int32(level), Line: []byte(message)}}})
		},
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
		if err := h.input(in.key, in.read); err != nil {
			return nil, err
		}
	}
	var pair string
	switch err := h.input(abi.InputTextPair, func(in *abi.Reader) { pair = in.Text() }); {
	case err == nil:
		r.TextPair = &pair
	case !errors.Is(err, &sdk.Error{Code: sdk.EName}):
		return nil, err
	}
	for _, p := range info.Params {
		a, err := h.call(&wire.Event{Event: &wire.Event_ParamGet{ParamGet: &wire.ParamGet{Name: []byte(p.Name)}}})
		if err != nil {
			return nil, err
		}
		in := abi.NewReader(a.Data)
		r.Params[p.Name] = in.Param()
		if err := in.End(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// random is the host's stream of random bytes. It reads ahead, since how the bytes
// are cut does not matter and a call costs as much as a thousand of them.
type random struct {
	h     *host
	ahead []byte
}

// readAhead is how many bytes one call asks for.
const readAhead = 4096

// Read implements io.Reader.
func (r *random) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(r.ahead) == 0 {
		size := min(max(len(b), readAhead), wire.MaxChunk)
		a, err := r.h.call(&wire.Event{Event: &wire.Event_RngFill{RngFill: &wire.RngFill{Size: uint32(size)}}})
		if err != nil {
			return 0, err
		}
		if len(a.Data) == 0 {
			return 0, sdk.NewError(sdk.EInternal, "the host has no random bytes")
		}
		r.ahead = a.Data
	}
	n := copy(b, r.ahead)
	r.ahead = r.ahead[n:]
	return n, nil
}

// progress reports the method's own work. Nobody looks at more than a few steps a
// second, so that those between are not sent.
type progress struct {
	ctx context.Context
	h   *host

	mu   sync.Mutex
	sent time.Time
}

// progressEvery is the time between two steps that are sent.
const progressEvery = 20 * time.Millisecond

func (p *progress) report(done, total int) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if done >= 0 && done < total && time.Since(p.sent) < progressEvery {
		return nil
	}
	p.sent = time.Now()
	_, err := p.h.call(&wire.Event{Event: &wire.Event_Progress{Progress: &wire.Progress{Done: int64(done), Total: int64(total)}}})
	return err
}
