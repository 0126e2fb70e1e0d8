package core

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/registry"
)

// admit says whether a method may run: it is Allowed, and it is what the project's
// lock says where the host keeps to that. It returns the entry with the limits that
// the policy leaves it and, where the host takes what is under development as it
// is, with the hash of what is there now. What the user has granted is another
// question, for when its bytes are known to be what was pinned.
func (h *Host) admit(ctx context.Context, e registry.Entry) (registry.Entry, error) {
	if h.options.Dev && !e.Embedded {
		var err error
		if e, err = h.loader().AsIs(ctx, e); err != nil {
			return e, loadError(e, err)
		}
	}
	policy, err := h.allowed(e)
	if err != nil {
		return e, err
	}
	if h.options.Locked {
		if err := h.locked(e); err != nil {
			return e, err
		}
	}
	e.Limits = policy.Clamp(e.Limits, defaultsOf(e))
	return e, nil
}

// allowed is Allowed, and returns the machine's policy.
func (h *Host) allowed(e registry.Entry) (*registry.Policy, error) {
	if err := speaks(e); err != nil {
		return nil, err
	}
	policy, err := registry.ReadPolicy(cmp.Or(h.options.PolicyFile, registry.SystemPolicyPath()))
	if err != nil {
		return nil, &Error{Kind: KindMethod, Msg: err.Error(), Hint: "nothing runs until whoever manages this machine has mended it", Err: err}
	}
	if err := policy.Check(h.here(e)); err != nil {
		return nil, &Error{Kind: KindMethod, Msg: err.Error(), Hint: "ask whoever manages this machine, or use another method", Err: err}
	}
	return policy, nil
}

// defaultsOf returns the limits that a method of this kind has where it declares
// none.
func defaultsOf(e registry.Entry) registry.Limits {
	d := hostcall.Defaults()
	if e.Kind == registry.KindProcess {
		d.MemoryBytes = process.DefaultMemory
	}
	return registry.Limits{
		Memory: d.MemoryBytes, Timeout: d.Timeout, Forwards: d.Forwards, Output: d.OutputBytes, Log: d.LogBytes, Fuel: d.Fuel,
	}
}

// here returns the entry with what its process could do on this machine, which may
// be unable to confine it. That is what a policy allows and a user grants.
func (h *Host) here(e registry.Entry) registry.Entry {
	if e.Kind == registry.KindProcess && len(process.Plan(ConfineOf(e.Confine), h.options.XAI).Missing()) > 0 {
		e.Confine = unconfined(e.Confine)
	}
	return e
}

// locked returns an error unless the entry is what the lock beside its project's
// registry file says.
func (h *Host) locked(e registry.Entry) error {
	list, err := h.list()
	if err != nil {
		return err
	}
	refuse := func(msg string, err error) error {
		return &Error{Kind: KindMethod, Msg: msg, Hint: "look at what changed, and lock it with: xai plugin lock", Err: err}
	}
	if file := list.Project(); file != nil {
		path := registry.LockPath(file.Path)
		lock, err := registry.ReadLock(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return refuse(path+" does not exist, and --locked keeps to it", err)
		case err != nil:
			return refuse(err.Error(), err)
		}
		if all := append(lock.Compare(list), lock.Check(e)...); len(all) > 0 {
			return refuse(all[0].String(), nil)
		}
		return nil
	}
	if e.Embedded {
		return nil
	}
	return refuse("no project's methods.toml is in force, so that there is no "+registry.LockName+" to keep to", nil)
}

// granted returns an error unless the user has granted what the entry needs. It
// asks where somebody can answer, and remembers a yes.
func (h *Host) granted(ctx context.Context, e registry.Entry) error {
	if h.options.Ask != nil {
		h.asking.Lock() // one question at a time, and none that was just answered
		defer h.asking.Unlock()
	}
	ask, err := h.Asks(e)
	if ask == nil || err != nil {
		return err
	}
	if h.options.Ask == nil {
		return h.refused(e, ask.String())
	}
	yes, err := h.options.Ask(ctx, ask)
	if err != nil {
		return err
	}
	if !yes {
		return h.refused(e, "method "+e.Name+" was not granted what it needs")
	}
	return h.Grant(ctx, ask)
}

// refused is the error of a method that was not granted what it needs.
func (h *Host) refused(e registry.Entry, msg string) error {
	hint := "if you trust it: xai plugin grant " + e.Name
	if e.Origin == registry.OriginFlag {
		hint += ", with the same --registry"
	}
	return &Error{Kind: KindMethod, Msg: msg, Hint: hint}
}

// Grant records that the user grants a method what it asks for.
func (h *Host) Grant(ctx context.Context, ask *registry.Ask) error {
	path, g := h.grantsPath(), ask.Grant
	g.Time = time.Now()
	err := registry.AddGrant(ctx, path, g)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case path == "":
		return &Error{Kind: KindInput, Msg: "the grant cannot be remembered: this system names no folder for configuration", Hint: "set XDG_CONFIG_HOME to a folder of yours", Err: err}
	}
	return &Error{Kind: KindInput, Msg: "the grant cannot be remembered: " + err.Error(), Hint: "look at " + path + ", and who may write there", Err: err}
}

// grantsPath is where the user's grants are.
func (h *Host) grantsPath() string {
	return cmp.Or(h.options.GrantsFile, registry.GrantsPath(os.Getenv))
}
