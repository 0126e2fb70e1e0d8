package process

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/process/internal/confine"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	startTimeout = 30 * time.Second       // until a process must have said its hello
	lastWords    = 200 * time.Millisecond // for what it wrote to be read, once it has ended
	maxEvent     = abi.MaxFrame + 64<<10  // bytes of a message of the process
	maxHello     = 8 << 10                // bytes of its first line that are kept for an error
	maxFiles     = 64                     // in its folder, where it needs one or two
	lookEvery    = 100 * time.Millisecond // at its folder
)

// processorTime bounds the time of a process on all processors, lest it outlives a
// host that cannot end it any more.
func processorTime(l Limits) time.Duration {
	return (l.Timeout + time.Second) * time.Duration(runtime.NumCPU())
}

// session is a process that runs and the connection to it.
type session struct {
	box     *confine.Box
	command confine.Command
	child   *confine.Child
	client  *plugin.Client
	method  wire.MethodClient

	ctx      context.Context // ends the process
	unwatch  func() bool
	watching sync.WaitGroup
	pumped   chan struct{} // all of its standard error is read
	log      func(line string)
	out      *lines      // what comes through go-plugin
	filled   atomic.Bool // it made more files than it may
	hello    record      // the beginning of its standard output
	said     complaint
}

// start starts a process in the box, which it takes over, and connects to it. ctx
// ends the process.
func start(ctx context.Context, box *confine.Box, command confine.Command, limits Limits, log func(line string)) (*session, error) {
	if log == nil {
		log = func(string) {}
	}
	s := &session{box: box, command: command, ctx: ctx, log: log, pumped: make(chan struct{})}
	err := s.connect(limits)
	if err != nil {
		err = s.failure(ctx, limits, err)
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// connect starts the process and shakes hands.
func (s *session) connect(limits Limits) error {
	config, cert, err := newTLS()
	if err != nil {
		return err
	}
	s.out = &lines{write: s.log}
	s.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: wire.Plugins(nil),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		TLSConfig:        config,
		SkipHostEnv:      true,
		Logger:           hclog.NewNullLogger(),
		StartTimeout:     startTimeout,
		SyncStdout:       s.out,
		SyncStderr:       s.out,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: s.box.Dir},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (runner.Runner, error) {
			if err := s.box.Own(dir); err != nil {
				return nil, err
			}
			s.command.Env = append(s.command.Env, cmd.Env...)
			s.command.Env = append(s.command.Env, "PLUGIN_CLIENT_CERT="+string(cert), "TMPDIR="+dir)
			return &started{session: s, dir: dir}, nil
		},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxEvent)),
			grpc.WithMaxHeaderListSize(16 << 10),
			grpc.WithDisableRetry(),
			grpc.WithDisableServiceConfig(),
			grpc.WithStreamInterceptor(noBroker),
		},
	})
	if _, err := s.client.Start(); err != nil {
		return err
	}
	protocol, err := s.client.Client()
	if err != nil {
		return err
	}
	method, err := protocol.Dispense(wire.Name)
	if err != nil {
		return err
	}
	s.method = method.(wire.MethodClient)
	return s.box.Limit(s.child, limits.MemoryBytes)
}

// noBroker refuses the stream of go-plugin's broker, for which nobody here has a
// use, and on which a process could make the host keep what it likes.
func noBroker(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if strings.HasPrefix(method, "/plugin.GRPCBroker/") {
		return nil, status.Error(codes.Unimplemented, "there is no broker")
	}
	return streamer(ctx, desc, conn, method, opts...)
}

// newTLS returns the host's side of TLS with a certificate of its own, which is
// returned as PEM too. It is go-plugin's AutoMTLS but for the curve: P-521 is not
// spoken by the gRPC of other languages.
func newTLS() (*tls.Config, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, nil, err
	}
	const name = "localhost"
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		SerialNumber:          serial,
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(7 * 24 * time.Hour),
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	// The process's certificate, which go-plugin puts beside this, is in its hello.
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
		ServerName:   name,
	}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// explain runs the method of the request frame and returns how it ended. Whatever
// is not part of the protocol is an error.
func (s *session) explain(ctx context.Context, h *host, frame []byte) (*wire.Ended, error) {
	ctx, cancel := undated(ctx)
	defer cancel()
	stream, err := s.method.Explain(ctx)
	if err != nil {
		return nil, err
	}
	request := &wire.Input{Input: &wire.Input_Request{Request: &wire.Request{Frame: frame, Abi: abi.Version}}}
	if err := stream.Send(request); err != nil {
		return nil, s.lost(stream, err)
	}
	send := func(a *wire.Answer) error { return stream.Send(&wire.Input{Input: &wire.Input_Answer{Answer: a}}) }
	for first := true; ; first = false {
		e, err := stream.Recv()
		if err != nil {
			return nil, s.lost(stream, err)
		}
		switch {
		case first:
			if e.GetStarted() == nil {
				return nil, sdk.NewError(sdk.EInternal, "the method's process does not say first that it has started")
			}
			if err := negotiate(e.GetStarted().Abi); err != nil {
				return nil, err
			}
		case e.GetStarted() != nil:
			return nil, sdk.NewError(sdk.EInternal, "the method's process says twice that it has started")
		case e.GetEnded() != nil:
			return e.GetEnded(), nil
		default:
			if err := h.answer(e, send); err != nil {
				return nil, s.lost(stream, err)
			}
		}
	}
}

// undated returns a context that ends with ctx and has no deadline: gRPC would tell
// the process of that, which could end the stream by it before the host does.
func undated(ctx context.Context) (context.Context, context.CancelFunc) {
	plain, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	return plain, func() {
		stop()
		cancel()
	}
}

// lost returns why a stream ended before its time.
func (s *session) lost(stream grpc.BidiStreamingClient[wire.Input, wire.Event], err error) error {
	if errors.Is(err, io.EOF) { // of Send: the reason is where Recv finds it
		if _, err = stream.Recv(); err == nil || errors.Is(err, io.EOF) {
			return sdk.NewError(sdk.EInternal, "the method's process ended the explanation without a result")
		}
	}
	return err
}

// negotiate refuses a process whose ABI this host does not speak.
func negotiate(version uint32) error {
	major, minor := version>>16, version&0xffff
	text := func(major, minor uint32) string {
		return strconv.FormatUint(uint64(major), 10) + "." + strconv.FormatUint(uint64(minor), 10)
	}
	needed := ""
	switch {
	case major > abi.Major || major == abi.Major && minor > abi.Minor:
		needed = "a newer xai"
	case major < abi.Major:
		needed = "a newer version of the method"
	default:
		return nil
	}
	return &contract.Fault{Err: sdk.NewError(sdk.EUnsupported, "the process speaks ABI "+text(major, minor)+" and this xai speaks "+text(abi.Major, abi.Minor)+": "+needed+" is needed")}
}

// failure returns the error for err, which ended the use of the process: that of
// the run where it is over, the one of xai's own that err is, or how the process
// ended. It is nil where err is.
func (s *session) failure(ctx context.Context, limits Limits, err error) error {
	if err == nil {
		return nil
	}
	if gone := contract.Ended(ctx); gone != nil {
		return gone
	}
	if ours, ok := errors.AsType[*sdk.Error](err); ok {
		if fault, ok := errors.AsType[*contract.Fault](err); ok {
			return fault
		}
		return ours
	}
	if s.filled.Load() {
		return sdk.NewError(sdk.EQuota, "the method's process fills its folder with files")
	}
	if s.child == nil { // it was not even started
		return internal("the method's process does not start", err)
	}
	code := status.Code(err)
	if code == codes.ResourceExhausted {
		return sdk.NewError(sdk.EInternal, "the method's process sent a message of more than "+contract.Size(abi.MaxFrame))
	}
	if code == codes.Unavailable || code == codes.Unknown || s.method == nil {
		// Most likely because it ended.
		select {
		case <-s.child.Done():
		case <-time.After(lastWords):
		}
	}
	select {
	case <-s.child.Done():
	default:
		if s.method == nil {
			return s.misunderstood(err)
		}
		return internal("the method's process broke the connection", errors.New(status.Convert(err).Message()))
	}
	s.drain()
	exit := s.child.Wait()
	if exit == nil {
		if s.method == nil {
			return s.misunderstood(err)
		}
		return sdk.NewError(sdk.EInternal, "the method's process ended itself before it had a result")
	}
	if s.said.ofMemory() {
		return hostcall.MemoryError(limits)
	}
	message := "the method's process " + exit.Error()
	if said := s.said.cause(); said != "" {
		message += ": " + said
	}
	return sdk.NewError(sdk.EInternal, hostcall.Clean(message, abi.MaxMessage))
}

// misunderstood is the error of a process that runs and does not shake hands.
func (s *session) misunderstood(err error) error {
	parts := strings.Split(strings.TrimSpace(s.hello.String()), "|")
	if len(parts) >= 4 && parts[0] == strconv.Itoa(plugin.CoreProtocolVersion) {
		if version, err := strconv.ParseUint(parts[1], 10, 16); err == nil && version != wire.Protocol {
			needed := "a newer version of the method"
			if version > wire.Protocol {
				needed = "a newer xai"
			}
			return sdk.NewError(sdk.EUnsupported, "the process speaks protocol "+parts[1]+" and this xai speaks "+strconv.Itoa(wire.Protocol)+": "+needed+" is needed")
		}
		return internal("the connection to the method's process fails", err)
	}
	return sdk.NewError(sdk.EInternal, "the executable does not speak the protocol of methods: it has to call process.Serve, or what its language has for that")
}

// drain waits until the standard error of a process that has ended was read, or
// nothing comes any more.
func (s *session) drain() {
	select {
	case <-s.pumped:
	case <-time.After(lastWords): // somebody else holds it
	}
}

// close ends the process and all that belongs to it.
func (s *session) close() error {
	if s.child == nil { // go-plugin has made a folder at most
		return s.box.Close()
	}
	s.unwatch()
	s.child.Kill()
	<-s.child.Done()
	s.watching.Wait()
	s.drain()
	err := s.child.Close()
	<-s.pumped
	s.client.Kill() // which has nobody to kill, and ends what go-plugin began
	s.out.flush()
	return errors.Join(err, s.box.Close())
}

// started is go-plugin's view of a process.
type started struct {
	*session
	dir string // where its socket is
}

var _ runner.Runner = (*started)(nil)

// Start implements runner.Runner.
func (p *started) Start(context.Context) error {
	child, err := p.box.Start(p.ctx, p.command)
	if err != nil {
		return err
	}
	p.child = child
	p.unwatch = context.AfterFunc(p.ctx, child.Kill)
	if p.command.FileSize == 0 {
		p.watching.Go(p.watch)
	}
	go func() {
		defer close(p.pumped)
		out := &lines{write: func(line string) {
			p.said.hear(line)
			p.log(line)
		}}
		_, _ = io.Copy(out, child.Stderr)
		out.flush()
	}()
	return nil
}

// watch ends a process that makes files without end, all of them empty, to have the
// machine run out of them.
func (p *started) watch() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.child.Done():
			return
		case <-tick.C:
		}
		for _, dir := range []string{p.box.Dir, p.dir} {
			if f, err := os.Open(dir); err == nil {
				names, _ := f.Readdirnames(maxFiles + 1)
				f.Close()
				if len(names) > maxFiles {
					p.filled.Store(true)
					p.child.Kill()
					return
				}
			}
		}
	}
}

// Stdout implements runner.Runner.
func (p *started) Stdout() io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(p.child.Stdout, &p.hello), p.child.Stdout}
}

// Stderr implements runner.Runner. The session reads it itself.
func (p *started) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Wait implements runner.Runner.
func (p *started) Wait(context.Context) error { return p.child.Wait() }

// Kill implements runner.Runner.
func (p *started) Kill(context.Context) error {
	p.child.Kill()
	return nil
}

// Name implements runner.Runner.
func (p *started) Name() string { return p.command.Exe.Name }

// ID implements runner.Runner.
func (p *started) ID() string { return strconv.Itoa(p.child.Pid) }

// Diagnose implements runner.Runner.
func (p *started) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.Runner. A process is reached where it was told to
// listen and nowhere else, lest the host dials whom the process likes.
func (p *started) PluginToHost(network, address string) (string, string, error) {
	switch {
	case network == "unix" && filepath.Dir(filepath.Clean(address)) == filepath.Clean(p.dir):
		return network, address, nil
	case network == "tcp" && runtime.GOOS == "windows" && strings.HasPrefix(address, "127.0.0.1:"):
		return network, address, nil
	}
	return "", "", sdk.NewError(sdk.EInternal, "the method's process listens where it may not")
}

// HostToPlugin implements runner.Runner.
func (p *started) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// lines cuts what is written into lines.
type lines struct {
	mu    sync.Mutex
	write func(line string)
	line  []byte
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := b; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte{'\n'})
		l.line = append(l.line, line[:min(len(line), 4*abi.MaxMessage-len(l.line))]...)
		if ended {
			l.pass()
		}
		rest = after
	}
	return len(b), nil
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass()
}

func (l *lines) pass() {
	if len(l.line) > 0 {
		l.write(string(l.line))
		l.line = l.line[:0]
	}
}

// record keeps the beginning of what is written.
type record struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer.
func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.b = append(r.b, b[:min(len(b), maxHello-len(r.b))]...)
	return len(b), nil
}

// String returns the first line.
func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	line, _, _ := bytes.Cut(r.b, []byte{'\n'})
	return string(line)
}

// complaint is what a process says on its standard error.
type complaint struct {
	mu     sync.Mutex
	last   []string // lines
	first  string   // line of those with which Go's runtime ends a program
	memory bool     // it had too little
}

// The lines of a complaint that are kept for an error, and the bytes of each.
const (
	maxLines = 4
	maxLine  = 240
)

// hear takes a line in.
func (c *complaint) hear(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// In the words of the runtimes of Go, Python, C++ and Rust.
	for _, words := range []string{"out of memory", "cannot allocate", "Cannot allocate memory", "MemoryError", "bad_alloc", "memory allocation of"} {
		c.memory = c.memory || strings.Contains(line, words)
	}
	short := strings.TrimSpace(hostcall.Clean(line, maxLine))
	if short == "" {
		return
	}
	if c.first == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")) {
		c.first = short // what follows is where every goroutine was
	}
	if len(c.last) == maxLines {
		c.last = append(c.last[:0], c.last[1:]...)
	}
	c.last = append(c.last, short)
}

// ofMemory reports whether the process said that it had too little memory.
func (c *complaint) ofMemory() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.memory
}

// cause returns what it said of its end, as one line: its last lines, or the first
// of those that Go's runtime ends a program with.
func (c *complaint) cause() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cmp.Or(c.first, strings.Join(c.last, " "))
}
