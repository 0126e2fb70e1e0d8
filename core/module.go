package core

import (
	"context"
	"runtime"

	"github.com/xai-go/xai/registry"
)

// Module returns what the registry declares of a method that is a module, with
// the limits that the machine's policy leaves it, and the module's verified bytes.
// It runs nothing, and asks for no grant.
func (h *Host) Module(ctx context.Context, method string) (registry.Entry, []byte, error) {
	e, err := h.entry(method)
	if err == nil {
		e, err = h.admit(ctx, e)
	}
	if err != nil {
		return e, nil, err
	}
	bytes, err := h.loader().Module(ctx, e)
	if err != nil {
		return e, nil, loadError(e, err)
	}
	return e, bytes, nil
}

// Executable is Module for a method that is a process: it returns the path of the
// verified executable for this platform, with its hash in the entry.
func (h *Host) Executable(ctx context.Context, method string) (registry.Entry, string, error) {
	e, err := h.entry(method)
	if err == nil {
		e, err = h.admit(ctx, e)
	}
	if err != nil {
		return e, "", err
	}
	path, err := h.loader().Executable(ctx, e)
	if err != nil {
		return e, "", loadError(e, err)
	}
	a, err := e.Artifact(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return e, "", loadError(e, err)
	}
	e.SHA256 = a.SHA256
	return e, path, nil
}
