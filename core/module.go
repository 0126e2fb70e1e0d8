package core

import (
	"context"

	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// Module returns what the registry declares of a method that is a module, with
// the limits that the machine's policy leaves it, and the module's verified bytes.
// It runs nothing, and asks for no grant.
func (h *Host) Module(ctx context.Context, method string) (registry.Entry, []byte, error) {
	e, err := h.entry(method)
	if err != nil {
		return e, nil, err
	}
	if h.options.Dev && !e.Embedded {
		if e, err = h.loader().AsIs(ctx, e); err != nil {
			return e, nil, loadError(e, err)
		}
	}
	if e.Limits, err = h.admit(e); err != nil {
		return e, nil, err
	}
	bytes, err := h.loader().Module(ctx, e)
	if err != nil {
		return e, nil, loadError(e, err)
	}
	return e, bytes, nil
}

// ParseParams reads parameters as users type them, as Explain does: aliases,
// types, bounds and the defaults of all that is not given.
func ParseParams(info sdk.Info, given map[string]string) (sdk.Params, error) {
	return parseParams(info, given)
}
