// Package process runs methods in processes of their own, over hashicorp/go-plugin
// and the protocol of sdk/process/wire: executables that serve methods, and modules
// that shall not run in the program itself.
//
// A process serves one explanation and is ended. It calls the host on the stream
// of that explanation, and its calls meet what those of a module meet
// (core/internal/hostcall): the same limits, answers and errors. On Linux it is
// confined whether it helps or not, by the host's own program, which starts again
// as a shim: no files but those that it may read, no network, no other programs, a
// user of its own where the host is root, an end that all of its descendants share.
// What a machine cannot hold a process to, its Confinement says; such a process runs
// only where the caller says that it may.
package process
