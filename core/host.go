package core

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/xai-go/xai/core/builtin"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// Version is the version of xai that results carry.
const Version = "0.1.0"

// builtinPrefix marks a model that the binary embeds.
const builtinPrefix = "builtin:"

// DefaultMethod explains where no method is named.
const DefaultMethod = "lime"

// Options configure a Host. The zero value has the embedded models and no
// methods.
type Options struct {
	Models   map[string]fs.FS // what builtin:NAME means; nil for builtin.Models()
	Methods  Builtin          // the embedded methods: plugins.Builtin()
	Registry string           // a methods.toml that comes before those that are searched for; empty for none
	// BuiltinOnly has no registry file read but the binary's own: what else lies
	// on the machine, or in the current folder, is nothing to it.
	BuiltinOnly bool
	// Locked has no method run that is not what the xai.lock beside the project's
	// methods.toml says.
	Locked bool
	// Dev runs modules and executables that registry files name by a path as they
	// are, whatever hash is pinned, locked or granted: for an author who builds one
	// again and again. Results say so.
	Dev bool
	// Ask is asked whether a method that the user has not granted yet may have
	// what it needs, and a yes is remembered; nil refuses. Calls come one at a
	// time.
	Ask func(ctx context.Context, ask *registry.Ask) (bool, error)
	// PolicyFile and GrantsFile take the place of the machine's policy and of the
	// user's grants; empty for those.
	PolicyFile, GrantsFile string
	// XAI is the path of an xai binary, which confines processes and compiles
	// modules that are not the binary's own; empty for a program whose main calls
	// WorkerMain.
	XAI      string
	CacheDir string // for modules, fetched ones and machine code; empty for the user's cache folder
	Threads  int    // 0 for all cores
	// DType is "f32", "f64", "bf16" or "int8"; empty for f32. An explanation in
	// int8 says how far it is from one in f32, for which the model is opened in
	// f32 too, and run on some of the variants.
	DType string
	// Memory is a budget in bytes, that of each model, for the weights, the work
	// of all forwards and what they return; 0 for the engine's default. In int8 the
	// model in f32 beside the other has as much again.
	Memory int64
	// Cache is the memory in bytes, beside Memory, for the evaluations that each
	// open model remembers, so that no explanation runs a variant that another
	// one has run: 0 for DefaultCache, negative to remember none. The values of
	// explanations do not depend on it.
	Cache int64
}

// Builtin is what a binary embeds of methods.
type Builtin struct {
	Registry []byte                            // the methods.toml that declares them
	Module   func(name string) ([]byte, error) // the module of a name such as "lime.wasm"; fs.ErrNotExist
	Native   map[string]sdk.Method             // the same methods, to run in process
}

// Host opens models and runs methods on them. It is safe for concurrent use.
type Host struct {
	options Options

	list func() (*registry.List, error)

	asking  sync.Mutex
	working sync.WaitGroup // explanations and compilations under way

	mu       sync.Mutex
	closed   bool
	runtime  *wasm.Runtime
	modules  map[string]*module          // by hash
	programs map[string]*process.Program // by their options

	private    *wasm.Runtime // of machine code that cannot be kept; nil where none was needed
	privateDir string        // its folder
}

// New returns a Host. It reads nothing: models, registry and modules are opened
// when they are first asked for.
func New(o Options) (*Host, error) {
	if o.Models == nil {
		o.Models = builtin.Models()
	}
	switch o.DType {
	case "":
		o.DType = "f32"
	case "f32", "f64", "bf16", "int8":
	default:
		return nil, usage("unknown dtype "+o.DType, "use f32, f64, bf16 or int8")
	}
	if o.Dev && o.Locked {
		return nil, usage("what is under development is not locked", "leave --dev or --locked out")
	}
	if o.Threads < 0 {
		return nil, usage("the number of threads is negative", "use --threads 0 for all cores")
	}
	if o.Memory < 0 {
		return nil, usage("the memory limit is negative", "leave it out for the default")
	}
	h := &Host{options: o, modules: make(map[string]*module), programs: make(map[string]*process.Program)}
	h.list = sync.OnceValues(h.search)
	return h, nil
}

// MemoryBound returns the bytes that the host takes at most while it explains
// with a method, by what the host holds it to: the budgets of the open model and, in
// int8, of the one beside it; the evaluations that each remembers; the answers of a
// run; and what the sandbox has and returns. A method that is a process has its
// memory in its own process, beside that. What has no bound of its own, such as a
// vocabulary, is not in it.
func (h *Host) MemoryBound(e registry.Entry) int64 {
	bound := cmp.Or(h.options.Memory, engine.DefaultMemory) + max(0, cmp.Or(h.options.Cache, DefaultCache))
	if h.options.DType == string(engine.INT8) {
		bound *= 2
	}
	limits := defaultsOf(e)
	bound += maxKnown + hostcall.Defaults().HandleBytes + cmp.Or(e.Limits.Output, limits.Output)
	if e.Kind != registry.KindProcess {
		bound += cmp.Or(e.Limits.Memory, limits.Memory)
	}
	return bound
}

// Close ends the host: it waits for explanations and compilations under way and
// releases the compiled modules. Models are closed on their own.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	runtime := h.runtime
	programs := h.programs
	private, dir := h.private, h.privateDir
	h.runtime, h.modules, h.programs, h.private, h.privateDir = nil, nil, nil, nil, ""
	h.mu.Unlock()
	h.working.Wait()
	var errs []error
	for _, p := range programs {
		errs = append(errs, p.Close())
	}
	if runtime != nil {
		errs = append(errs, runtime.Close(context.Background()))
	}
	if private != nil {
		errs = append(errs, private.Close(context.Background()), os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// begin counts the caller among what Close waits for, until it calls done. It
// fails where the host is closed.
func (h *Host) begin() (done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, &Error{Kind: KindInternal, Msg: "the host is closed"}
	}
	h.working.Add(1)
	return h.working.Done, nil
}

// cacheDir returns where compiled modules are kept, empty where the system
// names no folder; then nothing is kept.
func (h *Host) cacheDir() string {
	if h.options.CacheDir != "" {
		if dir, err := filepath.Abs(h.options.CacheDir); err == nil {
			return dir
		}
		return ""
	}
	dir, err := os.UserCacheDir()
	if err != nil || !filepath.IsAbs(dir) { // of a home that is no whole path
		return ""
	}
	return filepath.Join(dir, "xai")
}

// ModelNames returns the embedded models, as OpenModel takes them.
func (h *Host) ModelNames() []string {
	var names []string
	for name := range h.options.Models {
		names = append(names, builtinPrefix+name)
	}
	slices.Sort(names)
	return names
}

// DefaultModel names the embedded model for a text: the Chinese one where more
// than half of the letters are Chinese, Japanese or Korean, else the English.
func DefaultModel(text string) string {
	letters, cjk := 0, 0
	for _, r := range text {
		if unicode.IsLetter(r) {
			letters++
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo) {
				cjk++
			}
		}
	}
	if 2*cjk > letters {
		return builtinPrefix + builtin.SentimentZH
	}
	return builtinPrefix + builtin.SentimentEN
}

// folder resolves a model reference to a file system.
func (h *Host) folder(ref string) (fs.FS, error) {
	if name, ok := strings.CutPrefix(ref, builtinPrefix); ok {
		if fsys, ok := h.options.Models[name]; ok {
			return fsys, nil
		}
		hint := "embedded are " + strings.Join(h.ModelNames(), ", ")
		if near, ok := nearest.Of(ref, h.ModelNames()); ok {
			hint = "did you mean " + near + "? " + hint
		}
		return nil, &Error{Kind: KindInput, Msg: "there is no embedded model " + ref, Hint: hint}
	}
	info, err := os.Stat(ref)
	switch {
	case ref == "" || errors.Is(err, fs.ErrNotExist):
		hint := "give a folder with config.json and model.safetensors, or one of " + strings.Join(h.ModelNames(), ", ")
		return nil, &Error{Kind: KindInput, Msg: "there is no model folder " + ref, Hint: hint, Err: err}
	case err != nil:
		return nil, &Error{Kind: KindInput, Msg: "cannot open the model folder " + ref + ": " + err.Error(), Err: err}
	case !info.IsDir():
		return nil, &Error{Kind: KindInput, Msg: ref + " is a file; this version opens model folders", Hint: "give the folder that holds config.json and model.safetensors"}
	}
	return os.DirFS(ref), nil
}

// OpenTokenizer opens the tokenizer of a model folder. It needs neither
// config.json nor weights.
func (h *Host) OpenTokenizer(ref string) (*tokenizer.Tokenizer, error) {
	fsys, err := h.folder(ref)
	if err != nil {
		return nil, err
	}
	return openTokenizer(fsys, ref)
}

func openTokenizer(fsys fs.FS, ref string) (*tokenizer.Tokenizer, error) {
	tok, err := tokenizer.Open(fsys)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{Kind: KindInput, Msg: "the folder " + ref + " holds no tokenizer", Hint: "it needs tokenizer.json, vocab.txt, vocab.json with merges.txt, or a SentencePiece model", Err: err}
	case err != nil:
		hint := "mend its tokenizer files, or fetch them again"
		if _, ok := errors.AsType[*tokenizer.UnsupportedError](err); ok {
			hint = "" // it says itself what to do
		}
		return nil, input(ref, err, hint)
	}
	return tok, nil
}
