package core

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"

	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/registry"
)

// Allowed returns an error where this version does not speak the ABI of a method,
// or the machine's policy does not allow it. It looks at nothing but the entry,
// which no registry file need declare yet.
func (h *Host) Allowed(e registry.Entry) error {
	_, err := h.allowed(e)
	return err
}

// Examine returns an error where a method would be refused whatever the user
// granted: it is not Allowed; or its bytes are not there, are not those that were
// pinned or signed, are no module that this host would compile, or say otherwise
// than the entry. It runs nothing, and uses no network.
func (h *Host) Examine(ctx context.Context, e registry.Entry) error {
	if err := h.Allowed(e); err != nil {
		return err
	}
	if e.Kind == registry.KindProcess {
		if _, err := h.loader().Executable(ctx, e); err != nil {
			return loadError(e, err)
		}
		return nil
	}
	module, err := h.loader().Module(ctx, e)
	if err != nil {
		return loadError(e, err)
	}
	if err := h.sealed(e, module); err != nil {
		return err
	}
	if err := wasm.Check(module, infoOf(e.Method)); err != nil {
		return &Error{Kind: KindMethod, Msg: "method " + e.Name + ": " + err.Error(), Hint: "build it again, or ask its author", Err: err}
	}
	return nil
}

// Compile compiles the module of a method, apart from this program where it is not
// the binary's own, so that its first explanation finds the machine code in the
// cache. It runs nothing of it. Methods that are processes have none.
func (h *Host) Compile(ctx context.Context, e registry.Entry) error {
	if e.Kind != registry.KindWASM {
		return nil
	}
	bytes, err := h.loader().Module(ctx, e)
	if err != nil {
		return loadError(e, err)
	}
	_, err = h.compiled(ctx, e, bytes)
	return err
}

// Asks returns what the user has not granted yet to a method, which no registry
// file need declare yet; nil where it may run.
func (h *Host) Asks(e registry.Entry) (*registry.Ask, error) {
	if h.options.Dev || e.Embedded { // whose grants are no matter, even where they cannot be read
		return nil, nil
	}
	grants, err := registry.ReadGrants(h.grantsPath())
	if err != nil {
		return nil, &Error{Kind: KindMethod, Msg: err.Error(), Err: err}
	}
	ask, err := grants.Missing(h.here(e), runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return nil, &Error{Kind: KindMethod, Msg: err.Error(), Err: err}
	}
	return ask, nil
}

// Revoke takes back what the user has granted to a method: under its name, and to
// the bytes that the name finds now, under whatever name. It returns what it took.
// The method need not be declared any more.
func (h *Host) Revoke(ctx context.Context, method string) ([]registry.Grant, error) {
	sha256 := ""
	if list, err := h.list(); err == nil { // a broken registry file keeps nobody from taking back
		if e, err := list.Find(method); err == nil {
			sha256 = e.SHA256
			if a, err := e.Artifact(runtime.GOOS, runtime.GOARCH); err == nil {
				sha256 = a.SHA256
			}
		}
	}
	taken, err := registry.RemoveGrants(ctx, h.grantsPath(), method, sha256)
	if err != nil && ctx.Err() == nil {
		return nil, &Error{Kind: KindInternal, Msg: "the grants cannot be taken back: " + err.Error(), Hint: "mend " + h.grantsPath() + ", or remove it to take back all", Err: err}
	}
	return taken, err
}

// Store returns what keeps the modules and executables that were fetched. It is an
// error where the system names no folder for caches.
func (h *Host) Store() (*registry.Store, error) {
	if store := h.loader().Store; store != nil {
		return store, nil
	}
	return nil, &Error{Kind: KindInput, Msg: "this system names no folder for caches, so that nothing that is fetched can be kept", Hint: "set XDG_CACHE_HOME to a folder of yours"}
}

// EditRegistry changes a registry file, which edit gets the text of, nothing where
// there is no file. It is written whole or not at all, and read back before that.
// What a host has read of it already stays as it was: what changed is found by
// hosts that are opened afterwards.
func (h *Host) EditRegistry(ctx context.Context, path string, edit func(text []byte) ([]byte, error)) error {
	locks := ""
	if dir := h.cacheDir(); dir != "" {
		locks = filepath.Join(dir, "locks")
	}
	err := registry.Edit(ctx, locks, path, edit)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), is[*Error](err):
		return err
	case is[*registry.ParseError](err), is[*registry.UnsupportedError](err):
		return &Error{Kind: KindMethod, Msg: err.Error(), Hint: "mend the registry file", Err: err}
	}
	return &Error{Kind: KindInput, Msg: "cannot change " + path + ": " + err.Error(), Hint: "check the path, and who may write there", Err: err}
}
