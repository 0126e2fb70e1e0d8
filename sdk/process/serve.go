package process

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"unsafe"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
	"google.golang.org/grpc"
)

// Serve serves methods to the xai that started this program, and returns when
// xai has no more use for it. It is all that main does. A program that was started
// by somebody else says so and exits. Serve panics where two methods have one
// name.
func Serve(methods ...sdk.Method) {
	s := &server{methods: map[string]sdk.Method{}, stderr: os.Stderr}
	for _, m := range methods {
		info := m.Info()
		if s.methods[info.Name] != nil {
			panic("process: method " + info.Name + " is served twice")
		}
		s.methods[info.Name] = m
		s.infos = append(s.infos, info)
	}
	if os.Getenv(wire.Handshake.MagicCookieKey) == wire.Handshake.MagicCookieValue {
		go endWithHost(os.Stdin)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: wire.Plugins(s),
		Logger:           hclog.NewNullLogger(),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxInput))...)
		},
	})
}

// maxInput bounds what the host sends in one message: a text that is explained
// comes in one piece.
const maxInput = 1 << 30

// endWithHost ends this process when the host has ended, however that came.
func endWithHost(lifeline *os.File) {
	_, _ = io.Copy(io.Discard, lifeline)
	os.Exit(1)
}

// server is the service that the host calls.
type server struct {
	wire.UnimplementedMethodServer
	methods map[string]sdk.Method
	infos   []sdk.Info
	stderr  *os.File
	reclaim sync.Once
}

// output has what methods print go to the log in its order. go-plugin, which has
// put streams of its own in the place of both files, may lose what comes last.
func (s *server) output() {
	s.reclaim.Do(func() { os.Stdout, os.Stderr = s.stderr, s.stderr })
}

// Describe implements wire.MethodServer.
func (s *server) Describe(context.Context, *wire.DescribeRequest) (*wire.Description, error) {
	var b []byte
	for i, info := range s.infos {
		if i > 0 {
			b = append(b, ',')
		}
		b = abi.AppendDescription(b, info, abi.VersionText)
	}
	if len(s.infos) != 1 {
		b = append(append([]byte{'['}, b...), ']')
	}
	return &wire.Description{Json: b}, nil
}

// Reporter is a method that has more to say at the end of an explanation than an
// error code. The host listens to those of its own processes.
type Reporter interface {
	// Report returns what Ended.Report holds, given the error of Explain.
	Report(err error) []byte
}

// Explain implements wire.MethodServer.
func (s *server) Explain(stream grpc.BidiStreamingServer[wire.Input, wire.Event]) error {
	s.output()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := stream.Send(&wire.Event{Event: &wire.Event_Started{Started: &wire.Started{Abi: abi.Version}}}); err != nil {
		return err
	}
	h := newHost(stream)
	ended := &wire.Ended{}
	method, err := s.explain(stream.Context(), h, first.GetRequest().GetFrame())
	if err != nil {
		code := codeOf(err)
		ended.Code = int32(code)
		if _, err := h.call(&wire.Event{Event: &wire.Event_Error{Error: &wire.Error{Code: int32(code), Text: []byte(err.Error())}}}); err != nil {
			return err
		}
	}
	if r, ok := method.(Reporter); ok {
		ended.Report = r.Report(err)
	}
	return h.end(ended)
}

// codeOf returns the code under which the host sees an error.
func codeOf(err error) sdk.Errno {
	if e, ok := errors.AsType[*sdk.Error](err); ok {
		return e.Code
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return sdk.ECancelled
	}
	return sdk.EInternal
}

// explain runs the method that the request frame names, and hands its results
// over.
func (s *server) explain(ctx context.Context, h *host, frame []byte) (method sdk.Method, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = sdk.Recovered(v)
		}
	}()
	if !littleEndian {
		return nil, sdk.NewError(sdk.EUnsupported, "methods run as processes on little-endian machines alone: run the method in process")
	}
	name, err := abi.ParseRequest(frame)
	if err != nil {
		return nil, err
	}
	method = s.methods[name]
	if method == nil {
		return nil, sdk.NewError(sdk.EName, "the process has no method "+name)
	}
	r, err := h.request(ctx, method.Info())
	if err != nil {
		return method, err
	}
	m, err := h.model()
	if err != nil {
		return method, err
	}
	e, err := method.Explain(ctx, m, r)
	if err != nil {
		return method, err
	}
	if e == nil {
		return method, sdk.NewError(sdk.EInternal, "the method returned neither an explanation nor an error")
	}
	return method, h.write(e)
}

// littleEndian says whether this machine's tensors have the ABI's bytes.
var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()
