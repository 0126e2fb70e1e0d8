package process

import (
	"sync"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
)

// host answers the calls of one explanation, which come one at a time.
type host struct {
	mu   sync.Mutex // of call, which the lines of the log use too
	call *hostcall.Call
	over bool // nobody may use call but who closed it

	written int64        // by the parts of a write so far
	failed  *wire.Answer // the first error among them
}

// close ends the use of call by others.
func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
}

// log passes on a line that the process wrote to its standard output or error.
func (h *host) log(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.call.WriteLog(sdk.Debug, line)
	}
}

// answer makes the call of an event and hands the answers to send, one or several.
func (h *host) answer(e *wire.Event, send func(*wire.Answer) error) error {
	if e, ok := e.Event.(*wire.Event_TensorWrite); ok {
		return h.write(e.TensorWrite, send)
	}
	h.written, h.failed = 0, nil
	a := h.do(e)
	// Nothing changes the bytes meanwhile, since the next call waits.
	for a.Value >= 0 && len(a.Data) > wire.MaxChunk && streams(e) {
		if err := send(&wire.Answer{Value: wire.MaxChunk, Data: a.Data[:wire.MaxChunk], More: true}); err != nil {
			return err
		}
		a.Data = a.Data[wire.MaxChunk:]
		a.Value = int64(len(a.Data))
	}
	return send(a)
}

// streams reports whether a call may be answered in parts.
func streams(e *wire.Event) bool {
	switch e.Event.(type) {
	case *wire.Event_TensorRead, *wire.Event_TensorReadStrided:
		return true
	}
	return false
}

// write is one part of a write, whose last part is answered.
func (h *host) write(w *wire.TensorWrite, send func(*wire.Answer) error) error {
	if h.failed == nil {
		a := h.run(func() (int64, []byte, error) {
			if len(w.Data) > wire.MaxChunk {
				return 0, nil, sdk.NewError(sdk.ERange, "a part of a write is longer than "+contract.Size(wire.MaxChunk))
			}
			to, err := h.call.TensorWrite(w.Handle, w.Offset, uint64(len(w.Data)))
			return int64(copy(to, w.Data)), nil, err
		})
		if a.Value < 0 {
			h.failed = a
		} else {
			h.written += a.Value
		}
	}
	if w.More {
		return nil
	}
	a := h.failed
	if a == nil {
		a = &wire.Answer{Value: h.written}
	}
	h.written, h.failed = 0, nil
	return send(a)
}

// do makes the call of an event.
func (h *host) do(e *wire.Event) *wire.Answer {
	c := h.call
	return h.run(func() (int64, []byte, error) {
		switch e := e.Event.(type) {
		case *wire.Event_TensorNew:
			if len(e.TensorNew.Dims)%8 != 0 {
				return 0, nil, sdk.NewError(sdk.EInvalid, "a tensor's dimensions are i64")
			}
			return plain(c.TensorNew(sdk.DType(e.TensorNew.Dtype), e.TensorNew.Dims))
		case *wire.Event_TensorInfo:
			return data(c.TensorInfo(e.TensorInfo.Handle))
		case *wire.Event_TensorRead:
			return data(c.TensorRead(e.TensorRead.Handle, e.TensorRead.Offset, e.TensorRead.Size))
		case *wire.Event_TensorReadStrided:
			r := e.TensorReadStrided
			size, copyTo, err := c.TensorReadStrided(r.Handle, r.Spec, r.Capacity)
			if err != nil {
				return 0, nil, err
			}
			to := make([]byte, size)
			copyTo(to)
			return data(to, nil)
		case *wire.Event_TensorFree:
			return 0, nil, c.Free(e.TensorFree.Handle)
		case *wire.Event_Tokenize:
			return plain(c.Tokenize(e.Tokenize.Text))
		case *wire.Event_Forward:
			return plain(c.Forward(e.Forward.GetSpec()))
		case *wire.Event_Grad:
			return plain(c.Grad(e.Grad.GetSpec()))
		case *wire.Event_Generate:
			return plain(c.Generate(e.Generate.Spec))
		case *wire.Event_ReplyGet:
			return plain(c.ReplyGet(e.ReplyGet.Reply, e.ReplyGet.Name, e.ReplyGet.Index))
		case *wire.Event_Op:
			if err := hostcall.CheckFrame(uint64(len(e.Op.Spec))); err != nil {
				return 0, nil, err
			}
			return plain(c.Op(abi.Op(e.Op.Code), e.Op.Spec))
		case *wire.Event_ParamGet:
			return data(c.ParamGet(e.ParamGet.Name))
		case *wire.Event_InputGet:
			return data(c.InputGet(abi.Input(e.InputGet.Key)))
		case *wire.Event_RngFill:
			if e.RngFill.Size > wire.MaxChunk {
				return 0, nil, sdk.NewError(sdk.ERange, "more than "+contract.Size(wire.MaxChunk)+" of random bytes at once")
			}
			b := make([]byte, e.RngFill.Size)
			return data(b, c.Random(b))
		case *wire.Event_Progress:
			return 0, nil, c.Progress(e.Progress.Done, e.Progress.Total)
		case *wire.Event_Log:
			return 0, nil, c.Log(e.Log.Level, e.Log.Line)
		case *wire.Event_Error:
			c.SetError(e.Error.Code, e.Error.Text)
			return 0, nil, nil
		case *wire.Event_Result:
			return 0, nil, c.Result(e.Result.Name, e.Result.Handle, e.Result.Meta)
		}
		return 0, nil, sdk.NewError(sdk.EUnsupported, "the method makes a call that this version does not know")
	})
}

// plain is the answer of a function without bytes.
func plain(value int64, err error) (int64, []byte, error) { return value, nil, err }

// data is the answer of a function whose value is a number of bytes.
func data(b []byte, err error) (int64, []byte, error) { return int64(len(b)), b, err }

// run runs a function of the host and returns its answer.
func (h *host) run(f func() (int64, []byte, error)) *wire.Answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := &wire.Answer{}
	a.Value = h.call.Do(func() (value int64, err error) {
		value, a.Data, err = f()
		return value, err
	})
	if a.Value < 0 {
		a.Data = nil
		if message, err := h.call.InputGet(abi.InputError); err == nil {
			a.Message = string(message)
		}
	}
	return a
}
