package process

import (
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/process/wire"
	"google.golang.org/grpc"
)

// host makes the calls of one explanation. Calls that come at once wait for each
// other.
type host struct {
	stream grpc.BidiStreamingServer[wire.Input, wire.Event]

	mu      sync.Mutex
	ended   bool
	replies map[int64]bool // handles that were not freed

	dropped struct {
		sync.Mutex
		handles []int64 // to be freed with the next call
	}
}

func newHost(stream grpc.BidiStreamingServer[wire.Input, wire.Event]) *host {
	return &host{stream: stream, replies: map[int64]bool{}}
}

// call makes a call and returns its answer. An answer that is an error is an
// *sdk.Error; where the host has given up it is the context's error.
func (h *host) call(e *wire.Event) (*wire.Answer, error) {
	var last *wire.Answer
	err := h.exchange([]*wire.Event{e}, func(a *wire.Answer) error {
		last = a
		return nil
	})
	return last, err
}

// maxAhead is how many answers may be under way while events are sent: they have to
// fit into what gRPC holds of a stream, lest both sides wait.
const maxAhead = 256

// exchange sends the events of one call, and hands each of its answers to visit,
// whose first error it returns. What is to be freed goes ahead of it, so that
// nobody waits for that.
func (h *host) exchange(events []*wire.Event, visit func(*wire.Answer) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return sdk.NewError(sdk.EInternal, "the explanation is over, and its model was used")
	}
	ahead, err := h.drop(h.drops())
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := h.stream.Send(e); err != nil {
			return h.gone(err)
		}
	}
	if err := h.skip(ahead); err != nil {
		return err
	}
	var failed error
	for {
		a, err := h.receiveAnswer()
		switch {
		case err != nil:
			return err
		case failed != nil:
		case a.Value < 0:
			failed = sdk.NewError(sdk.Errno(a.Value), a.Message)
		default:
			failed = visit(a)
		}
		if !a.More {
			return failed
		}
	}
}

// drop frees handles, and returns how many answers to that were not read yet.
func (h *host) drop(handles []int64) (ahead int, err error) {
	for _, handle := range handles {
		delete(h.replies, handle)
		if err := h.stream.Send(&wire.Event{Event: &wire.Event_TensorFree{TensorFree: &wire.TensorFree{Handle: handle}}}); err != nil {
			return 0, h.gone(err)
		}
		if ahead++; ahead == maxAhead {
			if err := h.skip(ahead); err != nil {
				return 0, err
			}
			ahead = 0
		}
	}
	return ahead, nil
}

// skip reads answers that nobody waits for.
func (h *host) skip(n int) error {
	for ; n > 0; n-- {
		if _, err := h.receiveAnswer(); err != nil {
			return err
		}
	}
	return nil
}

// receiveAnswer waits for the host's next answer.
func (h *host) receiveAnswer() (*wire.Answer, error) {
	in, err := h.stream.Recv()
	if err != nil {
		return nil, h.gone(err)
	}
	if a := in.GetAnswer(); a != nil {
		return a, nil
	}
	return nil, sdk.NewError(sdk.EInternal, "the host sent something else than an answer")
}

// gone returns the error of a connection that ended.
func (h *host) gone(err error) error {
	if ended := h.stream.Context().Err(); ended != nil {
		return ended
	}
	return sdk.NewError(sdk.EInternal, "the connection to the host ended: "+err.Error())
}

// end frees what is left, replies among it that the method no longer has and no
// garbage collector has looked for, and sends the last event. Whoever still holds
// the model is refused from then on.
func (h *host) end(ended *wire.Ended) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	ahead, err := h.drop(h.drops())
	if err == nil {
		err = h.skip(ahead)
	}
	if err == nil {
		ahead, err = h.drop(slices.Collect(maps.Keys(h.replies)))
	}
	if err == nil {
		err = h.skip(ahead) // lest the host answers where nobody is
	}
	if err != nil {
		return err
	}
	return h.stream.Send(&wire.Event{Event: &wire.Event_Ended{Ended: ended}})
}

// free has a tensor or a reply dropped with the next call.
func (h *host) free(handle int64) {
	h.dropped.Lock()
	defer h.dropped.Unlock()
	h.dropped.handles = append(h.dropped.handles, handle)
}

// keep has a reply's handle dropped once nobody holds the reply, and at the end.
func (h *host) keep(r *reply, handle int64) {
	h.mu.Lock()
	h.replies[handle] = true
	h.mu.Unlock()
	runtime.AddCleanup(r, h.free, handle)
}

// drops returns the handles that are to be freed, once.
func (h *host) drops() []int64 {
	h.dropped.Lock()
	defer h.dropped.Unlock()
	handles := h.dropped.handles
	h.dropped.handles = nil
	return handles
}
