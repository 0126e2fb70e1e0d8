// Package wire is what both sides of the protocol for methods in processes share:
// the service of xai.proto, and the handshake of go-plugin around it.
package wire

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Protocol is the version of the protocol, which go-plugin negotiates.
const Protocol = 1

// The bounds of what crosses.
const (
	MaxChunk       = 1 << 20 // bytes of a tensor, or of random bytes, in one message
	MaxDescription = 1 << 20 // bytes of a Description
)

// Handshake says that the two sides are meant for each other. It protects from
// mistakes alone.
var Handshake = plugin.HandshakeConfig{
	MagicCookieKey:   "XAI_METHOD",
	MagicCookieValue: "4f9b1d0c7a3e52688d1f",
}

// Name is the name of the plugin in its set.
const Name = "method"

// Plugins returns the set of each version. The side that serves gives its server,
// the other one nil.
func Plugins(server MethodServer) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{Protocol: {Name: &method{server: server}}}
}

// method is go-plugin's view of the service.
type method struct {
	plugin.NetRPCUnsupportedPlugin
	server MethodServer
}

var _ plugin.GRPCPlugin = (*method)(nil)

// GRPCServer implements plugin.GRPCPlugin.
func (m *method) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	RegisterMethodServer(s, m.server)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin. It returns a MethodClient.
func (m *method) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return NewMethodClient(c), nil
}
