// Package process serves methods from a process of their own: for methods that
// need more than a WebAssembly module has, such as a library in C, a GPU or another
// language's runtime. The main package of such a program is
//
//	package main
//
//	import (
//		"github.com/xai-go/xai/sdk/process"
//		"example.org/occlude"
//	)
//
//	func main() { process.Serve(occlude.Method{}) }
//
// The same sdk.Method gives the same bits in process, in a module and here,
// provided that its arithmetic comes from sdk/num.
//
// The host starts the program for one explanation, and confines it where the
// system can: it sees no file but those that its declaration names, reaches no
// network and has the memory that its limits say. What it writes to its standard
// output and error while it explains goes to the user's log; before that, standard
// output is the protocol's. Its standard input ends when the host does. On
// Linux, build it with CGO_ENABLED=0, or declare the folders of its shared
// libraries.
//
// Programs in other languages speak the protocol of sdk/process/wire/xai.proto.
package process
