package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/process/testdata/method"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
)

// outcome is what is compared of an error: its type, class and words.
func outcome(err error) string {
	if err == nil {
		return "done"
	}
	kind := "error"
	if limit, ok := errors.AsType[*contract.LimitError](err); ok {
		kind = "limit " + limit.Limit
	} else if e, ok := errors.AsType[*sdk.Error](err); ok {
		kind = e.Code.String()
	}
	if _, ok := errors.AsType[*contract.Fault](err); ok {
		kind = "fault " + kind
	}
	return kind + ": " + err.Error()
}

// TestModulesEqual holds that a module ends apart as it ends in this process,
// whatever it does, and that one that is refused is refused.
func TestModulesEqual(t *testing.T) {
	leavesNothing(t)
	worker := workerBuilt()
	if worker.err != nil {
		t.Fatal(worker.err)
	}
	here, err := wasm.New(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close(context.Background())
	info := sdk.Info{Name: "hostile", Needs: []sdk.Need{sdk.NeedForward}}
	for _, name := range []string{
		"minimal", "loop", "trap_unreachable", "recurse", "grow", "exit", "code_other", "message", "pointer_read", "abi_major",
		"result_none", "result_bytes", "tensors_many", "chatty", "import_unknown",
	} {
		t.Run(name, func(t *testing.T) {
			binary, err := os.ReadFile(filepath.Join("..", "wasm", "testdata", "modules", name+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			limits := wasm.Limits{Timeout: time.Minute}
			if name == "loop" {
				limits.Timeout = time.Second
			}
			apart, err := process.NewModule(binary, process.ModuleOptions{XAI: worker.path})
			if err != nil {
				t.Fatal(err)
			}
			run := func(explain func(sdk.Model, *sdk.Request) (wasm.Stats, error)) (string, int64, int) {
				s, r := session(t, nil)
				size := 0
				r.Log = func(_ sdk.Level, line string) { size += len(line) }
				stats, err := explain(s, r)
				return outcome(err), stats.Fuel, size
			}
			want, fuel, size := run(func(m sdk.Model, r *sdk.Request) (wasm.Stats, error) {
				compiled, err := here.Compile(t.Context(), binary)
				if err != nil {
					return wasm.Stats{}, err
				}
				_, stats, err := compiled.Explain(t.Context(), m, r, info, limits)
				return stats, err
			})
			got, gotFuel, gotSize := run(func(m sdk.Model, r *sdk.Request) (wasm.Stats, error) {
				_, stats, err := apart.Explain(t.Context(), m, r, info, limits)
				return stats, err
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(want, "limit timeout") && (fuel != gotFuel || size != gotSize) {
				t.Errorf("%d instructions and %d bytes of log, here %d and %d", gotFuel, gotSize, fuel, size)
			}
		})
	}
}

// TestFuel holds that a module apart has the fuel that it was given, and says what
// it took.
func TestFuel(t *testing.T) {
	leavesNothing(t)
	m := module(t, compiled(t))
	s, r := session(t, nil)
	_, stats, err := m.Explain(t.Context(), s, r, method.Method{}.Info(), wasm.Limits{})
	if err != nil || stats.Fuel <= 0 || stats.MemoryBytes <= 0 || stats.Forwards == 0 || stats.Rows == 0 {
		t.Errorf("%+v, %v", stats, err)
	}
	s, r = session(t, nil)
	_, _, err = m.Explain(t.Context(), s, r, method.Method{}.Info(), wasm.Limits{Fuel: stats.Fuel / 2})
	if limit, ok := errors.AsType[*contract.LimitError](err); !ok || limit.Limit != contract.LimitFuel {
		t.Errorf("got %v, want the limit of fuel", err)
	}
}

func TestCompile(t *testing.T) {
	leavesNothing(t)
	cache := t.TempDir()
	m := module(t, cache)
	binary, err := os.ReadFile(moduleBuilt().path)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Compile(t.Context()); err != nil {
		t.Fatal(err)
	}
	hashes, code := 0, 0
	err = filepath.WalkDir(wasm.CacheFolder(cache, binary), func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil || !d.Type().IsRegular():
		case filepath.Ext(path) == ".sha256":
			hashes++
		default:
			code++
		}
		return err
	})
	if err != nil || hashes != code || code == 0 {
		t.Errorf("the cache has %d files and %d hashes, %v", code, hashes, err)
	}
	compile := func(m *process.Module) time.Duration {
		s, r := session(t, map[string]string{"inside": "false"})
		_, stats, err := m.Explain(t.Context(), s, r, method.Method{}.Info(), wasm.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return stats.Compile
	}
	if cached, anew := compile(m), compile(module(t, "")); 3*cached > anew {
		t.Errorf("with the cache it takes %v to compile, and %v without", cached, anew)
	}

	garbage, err := process.NewModule([]byte("no module"), process.ModuleOptions{CacheDir: cache, XAI: workerBuilt().path})
	if err != nil {
		t.Fatal(err)
	}
	if err := garbage.Compile(t.Context()); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid, Message: "the module is not a WebAssembly module of version 1"}) {
		t.Errorf("garbage: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Compile(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	none, err := process.NewModule(binary, process.ModuleOptions{XAI: filepath.Join(cache, "nowhere")})
	if err == nil {
		err = none.Compile(t.Context())
	}
	if err == nil {
		t.Error("a worker that is not there compiles")
	}
}

// embedder is what this test program does where it plays a program that embeds xai.
func embedder(what string) {
	switch what {
	case "without a worker":
		_, err := process.NewModule(nil, process.ModuleOptions{})
		fmt.Println(errors.Is(err, process.ErrNoWorker), err)
		p, err := process.Open(process.Options{Path: os.Getenv("XAI_TEST_PATH"), SHA256: os.Getenv("XAI_TEST_SHA256")})
		if err != nil {
			fmt.Println(err)
			return
		}
		_, err = p.Methods(context.Background(), process.Limits{})
		fmt.Println(outcome(err))
	case "unconfined":
		p, err := process.Open(process.Options{Path: os.Getenv("XAI_TEST_PATH"), SHA256: os.Getenv("XAI_TEST_SHA256"), Unconfined: true})
		if err != nil {
			fmt.Println(err)
			return
		}
		description, err := p.Methods(context.Background(), process.Limits{})
		fmt.Println(len(description) > 0, outcome(err), len(p.Confinement().Missing()))
	case "killed":
		process.WorkerMain()
		p, err := process.Open(process.Options{Path: os.Getenv("XAI_TEST_PATH"), SHA256: os.Getenv("XAI_TEST_SHA256"), Unconfined: runtime.GOOS != "linux"})
		if err != nil {
			fmt.Println(err)
			return
		}
		r := &sdk.Request{Log: func(_ sdk.Level, line string) { fmt.Println(line) }}
		_, _, err = p.Explain(context.Background(), broken{}, r, sdk.Info{}, process.Limits{Timeout: time.Hour})
		fmt.Println(err)
	}
}

func (broken) Info() sdk.ModelInfo { return sdk.ModelInfo{} }

// embed starts this test program as one that embeds xai.
func embed(t *testing.T, what, plugin string) *exec.Cmd {
	t.Helper()
	b := pluginBuilt()
	if b.err != nil {
		t.Fatal(b.err)
	}
	path := filepath.Join(t.TempDir(), exe(plugin))
	if err := os.Link(b.path, path); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "XAI_TEST_EMBEDDER="+what, "XAI_TEST_PATH="+path, "XAI_TEST_SHA256="+b.sha256)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestWithoutWorker holds what a program is told that has forgotten WorkerMain.
func TestWithoutWorker(t *testing.T) {
	out, err := embed(t, "without a worker", "plugin").Output()
	if err != nil {
		t.Fatal(err)
	}
	const sentence = "this program cannot start itself again to confine a process: call core.WorkerMain() first in its main, or name an xai binary"
	want := "true " + sentence + "\nEUNSUPPORTED: " + sentence + "\n"
	if runtime.GOOS != "linux" {
		want = "true " + sentence + "\nEUNSUPPORTED: nothing on this machine can confine the method's process"
	}
	if !strings.HasPrefix(string(out), want) {
		t.Errorf("got %swant %s", out, want)
	}
}

// TestUnconfined holds that a process runs where nothing can hold it and the caller
// says that it may.
func TestUnconfined(t *testing.T) {
	leavesNothing(t)
	out, err := embed(t, "unconfined", "plugin").Output()
	if err != nil || string(out) != "true done 5\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestHostKilled holds that a process ends with its host, however that ends, and that
// its folder goes when the next host begins.
func TestHostKilled(t *testing.T) {
	cmd := embed(t, "killed", "raw-alive")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "alive\n" {
		t.Errorf("got %q, %v", line, err)
	}
	if all := processes(); len(all) == 0 && runtime.GOOS == "linux" {
		t.Error("there is no process to end")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all := processes()
		if len(all) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v", all)
		}
	}
	// What the host can remove no more, the next one does.
	left := func() []string {
		t.Helper()
		paths, err := filepath.Glob(filepath.Join(temp, "xai*"))
		if err != nil {
			t.Fatal(err)
		}
		return paths
	}
	if len(left()) == 0 {
		t.Error("nothing was left, so that this test tests nothing")
	}
	if out, err := embed(t, "unconfined", "plugin").Output(); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	for _, path := range left() {
		if runtime.GOOS != "windows" {
			t.Errorf("left behind: %s", path)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	}
}
