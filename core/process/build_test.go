package process_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/process/testdata/method"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

// temp is the folder for temporary files of these tests, which their processes
// inherit: what is left in it, and who has it in his environment, is theirs.
var temp string

func TestMain(m *testing.M) {
	if what := os.Getenv("XAI_TEST_EMBEDDER"); what != "" {
		embedder(what)
		os.Exit(0)
	}
	process.WorkerMain()
	os.Exit(func() int {
		var err error
		if temp, err = os.MkdirTemp("", "xp"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(temp)
		if err := os.Chmod(temp, 0o755); err != nil { // for processes with another user
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		os.Setenv("TMPDIR", temp)
		os.Setenv("XAI_TEST_SECRET", "nobody shall know")
		os.Setenv("XAI_TEST_DECLARED", "declared")
		return m.Run()
	}())
}

// built is a program or module of testdata, built once.
type built struct {
	path, sha256 string
	err          error
}

func build(name, output string, env ...string) func() built {
	return sync.OnceValue(func() (b built) {
		dir := filepath.Join(temp, "built-"+name)
		if b.err = os.MkdirAll(dir, 0o755); b.err != nil {
			return b
		}
		b.path = filepath.Join(dir, output)
		args := []string{"build", "-ldflags=-s -w", "-o", b.path, "./testdata/" + name}
		if strings.HasSuffix(output, ".wasm") {
			args = slices.Insert(args, 1, "-buildmode=c-shared")
		}
		cmd := exec.Command("go", args...)
		// Static, whatever this test is: it then needs no file but itself.
		cmd.Env = append(os.Environ(), append([]string{"CGO_ENABLED=0", "GOFLAGS="}, env...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("%s does not build: %s", name, out)
			return b
		}
		content, err := os.ReadFile(b.path)
		sum := sha256.Sum256(content)
		b.sha256, b.err = hex.EncodeToString(sum[:]), err
		return b
	})
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

var (
	pluginBuilt = build("plugin", exe("plugin"))
	workerBuilt = build("worker", exe("worker"))
	moduleBuilt = build("module", "module.wasm", "GOOS=wasip1", "GOARCH=wasm")
)

// program opens the test program under the name that says what it does.
func program(t testing.TB, name string, confine process.Confine) *process.Program {
	t.Helper()
	b := pluginBuilt()
	if b.err != nil {
		t.Fatal(b.err)
	}
	path := b.path
	if name != "plugin" {
		path = filepath.Join(t.TempDir(), exe(name))
		if err := os.Link(b.path, path); err != nil {
			t.Fatal(err)
		}
	}
	p, err := process.Open(process.Options{Path: path, SHA256: b.sha256, Confine: confine, Unconfined: runtime.GOOS != "linux"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// compiled returns a cache that has the test's module, compiled once.
func compiled(t testing.TB) string {
	t.Helper()
	dir, err := compiledOnce()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var compiledOnce = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(temp, "cache")
	m, err := newModule(dir)
	if err != nil {
		return "", err
	}
	return dir, m.Compile(context.Background())
})

// module returns the test's module, which runs in the test's worker.
func module(t testing.TB, cacheDir string) *process.Module {
	t.Helper()
	m, err := newModule(cacheDir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newModule(cacheDir string) (*process.Module, error) {
	b, w := moduleBuilt(), workerBuilt()
	if err := errors.Join(b.err, w.err); err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(b.path)
	if err != nil {
		return nil, err
	}
	return process.NewModule(binary, process.ModuleOptions{CacheDir: cacheDir, XAI: w.path})
}

// session opens the test's model on a text.
func session(t testing.TB, params map[string]string) (*toy.Session, *sdk.Request) {
	t.Helper()
	values, err := sdktest.Params(method.Method{}.Info(), params)
	if err != nil {
		t.Fatal(err)
	}
	pair := "näher"
	s, err := toy.Transformer(1).Open(toy.Input{Text: "schön, a gripping film", TextPair: &pair, Seed: 1<<63 + 5, Params: values})
	if err != nil {
		t.Fatal(err)
	}
	return s, s.Request()
}

// leavesNothing holds that a test leaves no process, no temporary file, no open file
// and no goroutine behind. It is called before anything else that the test does.
func leavesNothing(t *testing.T) {
	t.Helper()
	// What is made once, and stays.
	pluginBuilt()
	workerBuilt()
	process.Probe("")
	if w := workerBuilt(); w.err == nil {
		process.Probe(w.path)
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		var left []string
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			left = nil
			if n := runtime.NumGoroutine(); n > goroutines {
				stack := make([]byte, 1<<20)
				left = append(left, fmt.Sprintf("%d goroutines:\n%s", n-goroutines, stack[:runtime.Stack(stack, true)]))
			}
			if n := openFiles(); n > files {
				left = append(left, fmt.Sprintf("%d open files", n-files))
			}
			entries, err := filepath.Glob(filepath.Join(temp, "xai*"))
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, entries...)
			left = append(left, processes()...)
			if left == nil || time.Now().After(deadline) {
				break
			}
		}
		for _, l := range left {
			t.Errorf("left behind: %s", l)
		}
	})
}

// openFiles counts the files that this process has open, where the system tells.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// processes returns the processes that began in these tests, where the system
// tells.
func processes() (all []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		env, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(env), "PLUGIN_UNIX_SOCKET_DIR="+temp) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			all = append(all, fmt.Sprintf("process %s %q", filepath.Base(filepath.Dir(path)), line))
		}
	}
	return all
}
