package process

import (
	"context"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/process/wire"
	"google.golang.org/grpc"
)

// stream is a host that answers as the test says.
type stream struct {
	grpc.ServerStream
	ctx     context.Context
	sent    []*wire.Event
	answers []*wire.Answer
	most    int // answers at once
	answer  func(e *wire.Event) []*wire.Answer
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Send(e *wire.Event) error {
	s.sent = append(s.sent, e)
	s.answers = append(s.answers, s.answer(e)...)
	s.most = max(s.most, len(s.answers))
	return nil
}

func (s *stream) Recv() (*wire.Input, error) {
	if len(s.answers) == 0 {
		return nil, io.EOF
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	return &wire.Input{Input: &wire.Input_Answer{Answer: a}}, nil
}

func log(line string) *wire.Event {
	return &wire.Event{Event: &wire.Event_Log{Log: &wire.Log{Line: []byte(line)}}}
}

// TestFree holds that what is freed goes ahead of the next call, that its answers
// are not taken for the call's, and that few of them are under way.
func TestFree(t *testing.T) {
	s := &stream{ctx: t.Context(), answer: func(e *wire.Event) []*wire.Answer {
		if e.GetTensorFree() != nil {
			return []*wire.Answer{{Value: int64(sdk.EHandle), Message: "no such handle"}}
		}
		return []*wire.Answer{{Data: []byte("one, "), More: true}, {Value: 7, Data: []byte("two")}}
	}}
	h := newHost(s)
	for handle := range int64(1000) {
		h.free(handle)
	}
	var data []byte
	err := h.exchange([]*wire.Event{log("x")}, func(a *wire.Answer) error {
		data = append(data, a.Data...)
		return nil
	})
	if err != nil || string(data) != "one, two" {
		t.Errorf("got %q, %v", data, err)
	}
	if len(s.sent) != 1001 || s.sent[1000].GetLog() == nil || s.most > maxAhead+2 || len(s.answers) != 0 {
		t.Errorf("%d events, %d answers at once, %d left", len(s.sent), s.most, len(s.answers))
	}
	if a, err := h.call(log("y")); err != nil || a.Value != 7 || len(s.sent) != 1002 {
		t.Errorf("the next call: %v, %v, %d events", a, err, len(s.sent))
	}
}

// TestEndFrees holds that at the end everything is freed that is still there, each
// once, and that the host has answered by then.
func TestEndFrees(t *testing.T) {
	s := &stream{ctx: t.Context(), answer: func(*wire.Event) []*wire.Answer { return []*wire.Answer{{}} }}
	h := newHost(s)
	var replies []*reply
	for handle := range int64(1000) {
		r := &reply{h, handle}
		h.keep(r, handle)
		replies = append(replies, r)
	}
	h.free(3)    // by a cleanup
	h.free(5000) // a tensor
	if err := h.end(&wire.Ended{}); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(replies)
	freed := map[int64]int{}
	for _, e := range s.sent[:len(s.sent)-1] {
		freed[e.GetTensorFree().GetHandle()]++
	}
	if s.sent[len(s.sent)-1].GetEnded() == nil || len(freed) != 1001 || len(s.sent) != 1002 || s.most > maxAhead+2 || len(s.answers) > 1 {
		t.Errorf("%d events that free %d handles, %d answers at once, %d left", len(s.sent), len(freed), s.most, len(s.answers))
	}
}

// TestErrors holds what a call returns that the host refuses, or that comes when
// nobody listens any more.
func TestErrors(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &stream{ctx: ctx, answer: func(e *wire.Event) []*wire.Answer {
		if string(e.GetLog().GetLine()) == "refused" {
			return []*wire.Answer{{Value: int64(sdk.EQuota), Message: "there is no more"}}
		}
		return nil
	}}
	h := newHost(s)
	var e *sdk.Error
	for line, want := range map[string]*sdk.Error{
		"refused":  sdk.NewError(sdk.EQuota, "there is no more"),
		"no reply": sdk.NewError(sdk.EInternal, "the connection to the host ended: EOF"),
	} {
		var ok bool
		_, err := h.call(log(line))
		if e, ok = err.(*sdk.Error); !ok || *e != *want {
			t.Errorf("%s: %v, want %v", line, err, want)
		}
	}
	cancel()
	if _, err := h.call(log("given up")); err != context.Canceled {
		t.Errorf("given up: %v", err)
	}
	if err := h.end(&wire.Ended{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.call(log("late")); err == nil || slices.ContainsFunc(s.sent, func(e *wire.Event) bool { return string(e.GetLog().GetLine()) == "late" }) {
		t.Errorf("a call after the end: %v", err)
	}
}

// TestRandomReadsAhead holds that the host's bytes come in their order, however they
// are cut, in few calls.
func TestRandomReadsAhead(t *testing.T) {
	next := byte(0)
	s := &stream{ctx: t.Context(), answer: func(e *wire.Event) []*wire.Answer {
		b := make([]byte, e.GetRngFill().GetSize())
		for i := range b {
			b[i] = next
			next++
		}
		return []*wire.Answer{{Data: b}}
	}}
	r := &random{h: newHost(s)}
	want := byte(0)
	for _, n := range []int{1, 3, 4096, 0, 7, 10000, 2} {
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		for _, x := range b {
			if x != want {
				t.Fatalf("got %d, want %d", x, want)
			}
			want++
		}
	}
	if len(s.sent) > 6 {
		t.Errorf("%d calls", len(s.sent))
	}
}

func TestServeTwice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two methods have one name, and nobody minds")
		}
	}()
	Serve(named{}, named{})
}

type named struct{ sdk.Method }

func (named) Info() sdk.Info { return sdk.Info{Name: "twice"} }
