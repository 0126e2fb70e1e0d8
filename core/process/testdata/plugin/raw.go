package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// mute listens, takes connections and says nothing on them.
func mute() {
	path := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	// A certificate that is one, of whoever started this.
	fmt.Println("1|1|unix|" + path + "|grpc|" + certificate())
	for {
		if _, err := l.Accept(); err != nil {
			panic(err)
		}
	}
}

// certificate returns the host's own as a process says its.
func certificate() string {
	const head = "-----BEGIN CERTIFICATE-----"
	body := os.Getenv("PLUGIN_CLIENT_CERT")[len(head):]
	var b []byte
	for _, c := range []byte(body) {
		switch {
		case c == '-':
			der, err := base64.StdEncoding.DecodeString(string(b))
			if err != nil {
				panic(err)
			}
			return base64.RawStdEncoding.EncodeToString(der)
		case c != '\n':
			b = append(b, c)
		}
	}
	panic("no certificate")
}

// raw speaks the protocol and breaks it as its name says.
type raw struct {
	wire.UnimplementedMethodServer
	name string
}

func serveRaw(name string) {
	if os.Getenv(wire.Handshake.MagicCookieKey) == "" {
		fmt.Fprintln(os.Stderr, "unknown test program "+name)
		os.Exit(2)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: wire.Plugins(&raw{name: name}),
		Logger:           hclog.NewNullLogger(),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(1<<30), grpc.MaxSendMsgSize(1<<31-1))...)
		},
	})
}

// Describe implements wire.MethodServer.
func (r *raw) Describe(context.Context, *wire.DescribeRequest) (*wire.Description, error) {
	return &wire.Description{Json: make([]byte, wire.MaxDescription+1)}, nil
}

// Explain implements wire.MethodServer.
func (r *raw) Explain(stream grpc.BidiStreamingServer[wire.Input, wire.Event]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	send := func(e *wire.Event) {
		if err := stream.Send(e); err != nil {
			fmt.Fprintln(os.Stderr, "send:", err)
			select {}
		}
	}
	started := &wire.Event{Event: &wire.Event_Started{Started: &wire.Started{Abi: abi.Version}}}
	ended := func(code int32) *wire.Event {
		return &wire.Event{Event: &wire.Event_Ended{Ended: &wire.Ended{Code: code}}}
	}
	progress := &wire.Event{Event: &wire.Event_Progress{Progress: &wire.Progress{Done: 1, Total: 2}}}
	line := &wire.Event{Event: &wire.Event_Log{Log: &wire.Log{Level: 1, Line: bytes.Repeat([]byte("x"), 4<<10)}}}
	answer := func() *wire.Answer {
		in, err := stream.Recv()
		if err != nil {
			fmt.Fprintln(os.Stderr, "receive:", err)
			select {}
		}
		return in.GetAnswer()
	}
	call := func(e *wire.Event) *wire.Answer {
		send(e)
		return answer()
	}
	switch r.name {
	case "raw-unstarted":
		send(progress)
	case "raw-started-twice":
		send(started)
		send(started)
	case "raw-newer":
		send(&wire.Event{Event: &wire.Event_Started{Started: &wire.Started{Abi: abi.Version + 1}}})
		select {}
	case "raw-older":
		send(&wire.Event{Event: &wire.Event_Started{Started: &wire.Started{Abi: abi.Version - 1<<16}}})
		select {}
	case "raw-return":
		send(started)
	case "raw-status":
		send(started)
		return status.Error(codes.Internal, "the \x1b[31mmethod\x1b[0m is upset")
	case "raw-alive":
		send(started)
		call(&wire.Event{Event: &wire.Event_Log{Log: &wire.Log{Level: 1, Line: []byte("alive")}}})
		hang()
	case "raw-hang":
		send(started)
		hang()
	case "raw-stop": // itself, which nobody who waits for it may take for an end
		send(started)
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) // which an init of a namespace survives
		hang()
	case "raw-parts": // of a write that has no last one
		send(started)
		h := call(&wire.Event{Event: &wire.Event_TensorNew{TensorNew: &wire.TensorNew{Dtype: 0, Dims: []byte{0, 0, 1, 0, 0, 0, 0, 0}}}}).Value
		for {
			send(&wire.Event{Event: &wire.Event_TensorWrite{TensorWrite: &wire.TensorWrite{Handle: h, Data: make([]byte, 1<<16), More: true}}})
		}
	case "raw-slow": // and never idle
		send(started)
		for {
			call(progress)
			time.Sleep(10 * time.Millisecond)
		}
	case "raw-exit-call": // in the middle of a call
		send(started)
		send(progress)
		os.Exit(0)
	case "raw-trailer":
		send(started)
		long := metadata.MD{}
		for i := range 1000 {
			long.Set(fmt.Sprintf("x-%d", i), strings.Repeat("x", 4<<10))
		}
		stream.SetTrailer(long)
		return nil
	case "raw-status-long":
		send(started)
		return status.Error(codes.Internal, strings.Repeat("long ", 1<<20))
	case "raw-end-twice":
		send(started)
		for {
			send(ended(-5))
		}
	case "raw-exit":
		send(started)
		fmt.Fprintln(os.NewFile(2, "stderr"), "leaving early")
		os.Exit(3)
	case "raw-exit-well":
		send(started)
		os.Exit(0)
	case "raw-kill":
		send(started)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // which an init of a namespace survives
		panic("out of the way")
	case "raw-segv":
		send(started)
		var p *int
		*p = 1
	case "raw-giant":
		send(started)
		send(&wire.Event{Event: &wire.Event_Result{Result: &wire.Result{Name: []byte("attributions"), Meta: make([]byte, 1<<27)}}})
		select {}
	case "raw-code":
		send(started)
		send(ended(-77))
		select {}
	case "raw-no-results":
		send(started)
		send(ended(0))
		select {}
	case "raw-result-twice":
		send(started)
		for range 2 {
			h := call(&wire.Event{Event: &wire.Event_TensorNew{TensorNew: &wire.TensorNew{Dtype: 4}}}).Value
			last := call(&wire.Event{Event: &wire.Event_Result{Result: &wire.Result{Name: []byte("baseline"), Handle: h}}})
			if last.Value < 0 {
				send(ended(int32(last.Value)))
			}
		}
		select {}
	case "raw-progress":
		send(started)
		go func() {
			for {
				if _, err := stream.Recv(); err != nil {
					return
				}
			}
		}()
		for {
			send(progress)
		}
	case "raw-log":
		send(started)
		go func() {
			for {
				if _, err := stream.Recv(); err != nil {
					return
				}
			}
		}()
		for {
			send(line)
		}
	case "raw-deaf": // calls and hears no answer
		send(started)
		h := call(&wire.Event{Event: &wire.Event_TensorNew{TensorNew: &wire.TensorNew{Dtype: 0, Dims: []byte{0, 0, 0, 8, 0, 0, 0, 0}}}}).Value
		for {
			send(&wire.Event{Event: &wire.Event_TensorRead{TensorRead: &wire.TensorRead{Handle: h, Size: 128 << 20}}})
		}
	case "raw-stderr":
		send(started)
		for {
			fmt.Fprint(os.NewFile(2, "stderr"), "no end of line")
		}
	case "raw-stdout":
		send(started)
		for {
			fmt.Fprintln(os.Stdout, "through the streams of go-plugin")
		}
	case "raw-calls":
		send(started)
		r.calls(call, send, answer)
		send(ended(0))
		select {}
	}
	return nil
}

// calls makes calls that are wrong, many of them at once, and says what came.
func (r *raw) calls(call func(*wire.Event) *wire.Answer, send func(*wire.Event), answer func() *wire.Answer) {
	say := func(text string) {
		call(&wire.Event{Event: &wire.Event_Log{Log: &wire.Log{Level: 1, Line: []byte(text)}}})
	}
	for name, e := range map[string]*wire.Event{
		"info":      {Event: &wire.Event_TensorInfo{TensorInfo: &wire.TensorInfo{Handle: 12345}}},
		"read":      {Event: &wire.Event_TensorRead{TensorRead: &wire.TensorRead{Handle: -1, Size: 1 << 62}}},
		"strided":   {Event: &wire.Event_TensorReadStrided{TensorReadStrided: &wire.TensorReadStrided{Handle: 1 << 62}}},
		"write":     {Event: &wire.Event_TensorWrite{TensorWrite: &wire.TensorWrite{Handle: 9, Data: []byte{1}}}},
		"long":      {Event: &wire.Event_TensorWrite{TensorWrite: &wire.TensorWrite{Handle: 9, Data: make([]byte, wire.MaxChunk+1)}}},
		"free":      {Event: &wire.Event_TensorFree{TensorFree: &wire.TensorFree{Handle: 0}}},
		"new":       {Event: &wire.Event_TensorNew{TensorNew: &wire.TensorNew{Dtype: 77}}},
		"dims":      {Event: &wire.Event_TensorNew{TensorNew: &wire.TensorNew{Dtype: 4, Dims: []byte{1, 2, 3}}}},
		"forward":   {Event: &wire.Event_Forward{Forward: &wire.Forward{Spec: []byte{1, 2, 3}}}},
		"grad":      {Event: &wire.Event_Grad{Grad: nil}},
		"generate":  {Event: &wire.Event_Generate{Generate: &wire.Generate{}}},
		"tokenize":  {Event: &wire.Event_Tokenize{Tokenize: &wire.Tokenize{Text: []byte("a")}}},
		"reply":     {Event: &wire.Event_ReplyGet{ReplyGet: &wire.ReplyGet{Reply: 5}}},
		"op":        {Event: &wire.Event_Op{Op: &wire.Op{Code: 99}}},
		"param":     {Event: &wire.Event_ParamGet{ParamGet: &wire.ParamGet{Name: make([]byte, 1<<20)}}},
		"input":     {Event: &wire.Event_InputGet{InputGet: &wire.InputGet{Key: 1 << 31}}},
		"random":    {Event: &wire.Event_RngFill{RngFill: &wire.RngFill{Size: 1<<32 - 1}}},
		"progress":  {Event: &wire.Event_Progress{Progress: &wire.Progress{Done: -1}}},
		"level":     {Event: &wire.Event_Log{Log: &wire.Log{Level: 9}}},
		"result":    {Event: &wire.Event_Result{Result: &wire.Result{Name: []byte("x"), Handle: 3}}},
		"nothing":   {},
		"after all": {Event: &wire.Event_Error{Error: &wire.Error{Code: 5, Text: make([]byte, 1<<20)}}},
	} {
		a := call(e)
		say(fmt.Sprintf("%s: %d", name, a.Value))
		if a.Value < 0 && a.Message == "" {
			say(name + ": no message")
		}
	}
	// A thousand at once, whose answers come in their order.
	const n = 1000
	go func() {
		for i := range n {
			send(&wire.Event{Event: &wire.Event_RngFill{RngFill: &wire.RngFill{Size: uint32(i)}}})
		}
	}()
	for i := range n {
		if a := answer(); len(a.Data) != i {
			say(fmt.Sprintf("call %d was answered with %d bytes", i, len(a.Data)))
			return
		}
	}
	say("a thousand calls at once were answered in their order")
}
