package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/registry"
)

// Fact is something that a Diagnosis says of this machine. Problem, where it is
// not empty, says what is wrong with it, and Hint what to do about it.
type Fact struct {
	Group   string `json:"group"` // "machine", "caches", "sandbox", "registry", "methods" or "models"
	Name    string `json:"name"`
	Value   string `json:"value"`
	Problem string `json:"problem"`
	Hint    string `json:"hint"`
}

// Diagnose looks at what this machine has: kernels, caches, confinement, the
// registry files in force and what they declare, and whether the embedded models
// answer. It changes nothing but the caches, and uses no network.
func (h *Host) Diagnose(ctx context.Context) []Fact {
	d := &diagnosis{host: h}
	d.machine()
	d.caches(ctx)
	d.sandbox()
	d.registry()
	d.methods(ctx)
	d.models(ctx)
	return d.facts
}

type diagnosis struct {
	host  *Host
	facts []Fact
}

// add adds a fact; err, where there is one, is its problem.
func (d *diagnosis) add(group, name, value string, err error, hint string) {
	f := Fact{Group: group, Name: name, Value: value}
	if err != nil {
		f.Problem, f.Hint = err.Error(), hint
		if e, ok := errors.AsType[*Error](err); ok && e.Hint != "" {
			f.Hint = e.Hint
		}
	}
	d.facts = append(d.facts, f)
}

func (d *diagnosis) machine() {
	d.add("machine", "platform", runtime.GOOS+"/"+runtime.GOARCH+", "+runtime.Version(), nil, "")
	d.add("machine", "threads", strconv.Itoa(cmp.Or(d.host.options.Threads, runtime.GOMAXPROCS(0)))+" of "+strconv.Itoa(runtime.NumCPU())+" processors", nil, "")
	name, err := engine.Kernel()
	value := name + ", of " + strings.Join(engine.Kernels(), ", ")
	if name == "generic" && err == nil && len(engine.Kernels()) == 1 {
		value += ": this processor has no kernels in assembly, so that models run many times slower"
	}
	d.add("machine", "kernels", value, err, "correct XAI_KERNEL, or unset it for the fastest")
	d.add("machine", "memory", "at most "+Size(cmp.Or(d.host.options.Memory, engine.DefaultMemory))+" for a model and its forwards", nil, "")
}

func (d *diagnosis) caches(ctx context.Context) {
	dir := d.host.cacheDir()
	if dir == "" {
		d.add("caches", "folder", "none", errors.New("this system names no folder for caches, so that every run compiles its method again"), "set XDG_CACHE_HOME to a folder of yours")
		return
	}
	d.add("caches", "folder", dir, nil, "")
	runtime, err := d.host.sandbox(ctx)
	if err == nil {
		err = runtime.CacheError()
	}
	d.add("caches", "compiled methods", folderText(filepath.Join(dir, "wasm")), err, "make the folder yours alone, or set XDG_CACHE_HOME to another")
	d.add("caches", "fetched methods", folderText(filepath.Join(dir, "store")), nil, "")
}

func (d *diagnosis) sandbox() {
	d.add("sandbox", "modules", "verified, rewritten to count instructions, without files, network, clock or environment", nil, "")
	xai := d.host.options.XAI
	machine := process.Probe(xai)
	var err error
	if !machine.Shim {
		err = process.ErrNoWorker
	}
	d.add("sandbox", "compilation", "of what is not the binary's own: in a process of its own", err, "")
	plan := process.Plan(process.Confine{}, xai)
	f := Fact{Group: "sandbox", Name: "processes", Value: plan.String()}
	if open := plan.Missing(); len(open) > 0 {
		f.Value += ": a method that is a process " + strings.Join(open, ", ")
		f.Hint = "methods that are modules need none of this; grant one that is a process only where you trust it"
	}
	d.facts = append(d.facts, f)
}

func (d *diagnosis) registry() {
	h := d.host
	list, err := h.list()
	if err != nil {
		d.add("registry", "methods.toml", "", err, "")
	} else {
		for _, p := range list.Places {
			value := p.Path + ": "
			if p.File == nil {
				value += "not there"
			} else {
				value += count(len(p.File.Methods), "method")
			}
			d.add("registry", string(p.Origin), value, nil, "")
		}
	}
	path := cmp.Or(h.options.PolicyFile, registry.SystemPolicyPath())
	_, err = registry.ReadPolicy(path)
	d.add("registry", "policy", presence(path, "everything is allowed"), err, "nothing runs until whoever manages this machine has mended it")
	_, err = registry.ReadGrants(h.grantsPath())
	d.add("registry", "grants", presence(h.grantsPath(), "nothing is granted but the binary's own methods"), err, "mend the file, or remove it to be asked again")
	if list == nil {
		return
	}
	file := list.Project()
	if file == nil {
		return
	}
	path = registry.LockPath(file.Path)
	switch lock, err := registry.ReadLock(path); {
	case errors.Is(err, fs.ErrNotExist):
		d.add("registry", "lock", "none: xai plugin lock writes one", nil, "")
	case err != nil:
		d.add("registry", "lock", path, err, "mend the file, or write it again with: xai plugin lock")
	default:
		var differs error
		if all := lock.Compare(list); len(all) > 0 {
			differs = errors.New(all[0].String())
		}
		d.add("registry", "lock", path, differs, "look at what changed, and lock it with: xai plugin lock")
	}
}

func (d *diagnosis) methods(ctx context.Context) {
	list, err := d.host.list()
	if err != nil {
		return // told already
	}
	for _, e := range list.Entries {
		value := e.Kind + " " + e.Version + ", of " + e.File.Path
		err := d.host.usable(ctx, e)
		d.add("methods", e.Name, value, err, "")
	}
}

// usable returns why a method would be refused before it runs.
func (h *Host) usable(ctx context.Context, e registry.Entry) error {
	e, err := h.admit(ctx, e)
	if err != nil {
		return err
	}
	if err := h.Examine(ctx, e); err != nil {
		return err
	}
	ask, err := h.Asks(e)
	if err == nil && ask != nil {
		return h.refused(e, ask.String())
	}
	return err
}

func (d *diagnosis) models(ctx context.Context) {
	if _, err := engine.Kernel(); err != nil {
		return // told already; nothing can be opened
	}
	for _, name := range d.host.ModelNames() {
		value, err := d.host.answers(ctx, name)
		d.add("models", name, value, err, "the binary is damaged, or its kernels are wrong on this processor: try XAI_KERNEL=generic, and report it")
	}
}

// answers opens an embedded model and has it answer.
func (h *Host) answers(ctx context.Context, name string) (string, error) {
	m, err := h.OpenModel(ctx, name)
	if err != nil {
		return "", err
	}
	defer m.Close()
	p, err := m.Predict(ctx, []Input{{Text: "good 好"}}, PredictOptions{})
	if err != nil {
		return "", err
	}
	r := p.Rows[0].Readouts[0]
	for _, v := range r.Probs {
		if !(v >= 0 && v <= 1) {
			return "", fmt.Errorf("the model answers with a probability of %v", v)
		}
	}
	info := m.engine.Info()
	return fmt.Sprintf("%s, %s, answers", info.Architecture, info.Task), nil
}

// presence says whether a file is there, and what goes without it.
func presence(path, otherwise string) string {
	if path == "" {
		return "none: " + otherwise
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return path + ": not there, so that " + otherwise
	}
	return path
}

// folderText counts the files of a folder.
func folderText(dir string) string {
	files, bytes := 0, int64(0)
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				files, bytes = files+1, bytes+info.Size()
			}
		}
		return nil
	})
	return dir + ": " + count(files, "file") + ", " + Size(bytes)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Size returns a number of bytes as the host words it: to four digits, in the largest
// binary unit that is not above it.
func Size(n int64) string { return contract.Size(n) }
