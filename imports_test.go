package xai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/xai-go/xai"

// rule says what the packages of a pattern may import beside the standard
// library.
type rule struct {
	pattern string   // "core" is that package, "core/..." also those below it
	imports []string // patterns; those of this module are relative to its root
	tests   []string // what its tests may import beside that
}

// rules is the plan of the house: arrows go from cmd over core to engine,
// registry and sdk, and from plugins to sdk. The first rule that matches a
// package counts. FAMILY is the folder of a family of methods.
var rules = []rule{
	{".", nil, []string{"internal/fma"}},

	// The vocabulary: a leaf that compiles to wasip1.
	{"sdk/sdktest/...", []string{"sdk", "sdk/abi", "sdk/num", "sdk/sdktest/..."}, nil},
	{"sdk/process/...", []string{"sdk", "sdk/abi", "sdk/internal/handles", "sdk/process/...", "github.com/hashicorp/go-hclog", "github.com/hashicorp/go-plugin", "google.golang.org/grpc/...", "google.golang.org/protobuf/..."}, nil},
	{"sdk/...", []string{"sdk/..."}, []string{"gonum.org/v1/gonum/..."}},

	// The engine: a leaf that knows no plugin.
	{"engine/internal/kernel", []string{"golang.org/x/sys/cpu"}, []string{"gonum.org/v1/gonum/..."}},
	{"engine/tokenizer/...", []string{"engine/tokenizer/...", "github.com/rivo/uniseg", "golang.org/x/text/unicode/norm"}, []string{"internal/golden"}},
	{"engine/arch/archtest", []string{"engine/arch", "engine/checkpoint/...", "github.com/google/go-cmp/..."}, []string{"engine/arch/..."}},
	{"engine/...", []string{"engine/...", "internal/nearest"}, []string{"bench/model", "internal/golden", "internal/virtual", "gonum.org/v1/gonum/..."}},

	// The registry: a leaf, and the only place that knows TOML.
	{"registry/signature", []string{"aead.dev/minisign"}, nil},
	{"registry/internal/document", []string{"internal/nearest", "github.com/BurntSushi/toml"}, nil},
	{"registry/internal/filelock", []string{"golang.org/x/sys/windows"}, nil},
	{"registry/internal/...", []string{"registry/internal/..."}, nil},
	{"registry", []string{"internal/nearest", "registry/internal/...", "registry/signature"}, nil},
	{"registry/source", []string{
		"registry", "registry/internal/...", "registry/signature",
		"github.com/opencontainers/go-digest", "github.com/opencontainers/image-spec/...", "oras.land/oras-go/v2/...",
	}, nil},

	// The host. The sandbox, and in-process runs, know neither engine nor
	// registry: they see the model through sdk.
	{"core/builtin", nil, []string{"engine/..."}},
	{"core/install", []string{"core", "core/seal", "internal/nearest", "registry", "registry/signature", "registry/source", "sdk/abi"}, []string{"internal/ocitest", "plugins"}},
	{"core/author", []string{"core", "core/internal/hostcall", "core/process", "core/seal", "core/wasm", "sdk", "sdk/sdktest"}, nil},
	{"core/seal", []string{"internal/nearest", "registry", "sdk", "sdk/abi"}, nil},
	{"core/wasm", []string{"core/internal/...", "sdk", "sdk/abi", "github.com/tetratelabs/wazero/..."}, []string{"core/native", "core/wasm/testdata/...", "plugins/...", "sdk/..."}},
	{"core/process/...", []string{
		"core/internal/...", "core/process/...", "core/wasm", "sdk", "sdk/abi", "sdk/process/...",
		"github.com/hashicorp/go-hclog", "github.com/hashicorp/go-plugin/...", "golang.org/x/sys/unix", "google.golang.org/grpc/...",
	}, []string{"core/native", "core/process/testdata/...", "sdk/sdktest/...", "google.golang.org/protobuf/proto"}},
	{"core/native", []string{"core/internal/...", "sdk"}, []string{"plugins/...", "sdk/..."}},
	{"core/internal/...", []string{"core/internal/...", "sdk", "sdk/abi", "sdk/num"}, nil},
	{"core/evaluation", []string{"core", "core/internal/random", "core/metric", "engine/arch", "engine/tokenizer", "internal/nearest", "sdk", "sdk/num", "github.com/rivo/uniseg", "gonum.org/v1/gonum/stat"}, []string{"internal/golden", "plugins/..."}},
	{"core/metric", []string{"gonum.org/v1/gonum/stat"}, []string{"internal/golden"}},
	{"core/report", []string{"core", "core/evaluation", "engine/arch", "engine/checkpoint/safetensors", "engine/tokenizer", "sdk", "github.com/rivo/uniseg"}, []string{"core/metric", "engine"}},
	{"core", []string{
		"core/builtin", "core/internal/...", "core/metric", "core/native", "core/process", "core/seal", "core/wasm",
		"engine", "engine/arch", "engine/checkpoint", "engine/checkpoint/safetensors", "engine/checkpoint/stored", "engine/point", "engine/tokenizer", "internal/nearest", "internal/words", "registry", "sdk", "sdk/abi", "sdk/num",
		"github.com/rivo/uniseg",
	}, []string{"internal/golden", "plugins/...", "sdk/sdktest/..."}},

	// The methods: sdk alone. What builds their modules runs on the host.
	{"plugins", []string{".", "plugins/internal/catalog", "sdk"}, []string{"registry", "plugins/internal/...", "core", "core/..."}},
	{"plugins/internal/game", []string{"sdk", "sdk/num"}, []string{"sdk/sdktest/..."}},
	{"plugins/internal/methodtest", []string{"core", "core/seal", "internal/golden", "registry", "sdk"}, nil},
	{"plugins/internal/...", []string{"core/seal", "plugins/...", "registry", "sdk", "sdk/abi"}, nil},
	{"plugins/...", []string{"FAMILY/...", "plugins/internal/game", "sdk", "sdk/guest", "sdk/num"}, []string{"core", "core/...", "plugins/internal/methodtest", "sdk/sdktest/...", "internal/golden", "gonum.org/v1/gonum/..."}},

	// The command line. Nothing imports it.
	{"cmd/xai", []string{
		"core", "core/author", "core/builtin", "core/evaluation", "core/install", "core/metric", "core/process", "core/report", "core/seal", "core/wasm", "engine", "engine/arch", "engine/tokenizer",
		"internal/nearest", "internal/scaffold", "internal/toolchain", "internal/virtual", "internal/words", "plugins", "registry", "registry/signature", "registry/source", "sdk", "sdk/sdktest",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/sys/windows", "golang.org/x/term",
	}, []string{"internal/ocitest", "github.com/rogpeppe/go-internal/testscript"}},
	{"internal/scaffold", []string{"core/seal", "internal/nearest", "internal/toolchain", "registry", "sdk", "sdk/assemblyscript", "sdk/c", "sdk/python", "sdk/rust"}, nil},

	// The harness that measures the engine beside ONNX Runtime.
	{"bench/machine", nil, nil},
	{"bench/onnx", nil, nil},
	{"bench/lines", nil, nil},
	{"bench/ort", []string{"bench/lines"}, nil},
	{"bench/model", []string{"bench/onnx", "engine/checkpoint/safetensors", "internal/virtual"}, nil},
	{"bench/growth", []string{"engine", "engine/point", "internal/virtual"}, nil},
	{"bench/overhead", []string{"core", "core/builtin", "core/process", "internal/virtual", "plugins"}, nil},
	{"bench/peers", []string{"bench/lines", "bench/machine", "bench/model", "core", "core/builtin", "engine", "internal/virtual", "plugins", "sdk"}, nil},
	{"bench", []string{"bench/machine", "bench/model", "bench/ort", "engine", "engine/point", "internal/virtual"}, nil},

	// What several folders share, and tools of tests. Leaves all of them.
	{"internal/golden", []string{"engine/checkpoint/safetensors"}, nil},
	{"internal/...", nil, nil},
}

// testTools is what every test may import.
var testTools = []string{"github.com/google/go-cmp/...", "pgregory.net/rapid"}

// banned are packages of the standard library that nothing outside of tests
// imports: a run needs no network and no C, and libraries return errors
// instead of logging them.
var banned = []string{"C", "log", "net", "net/http", "net/rpc", "plugin"}

// unbanned are those that one package may import, since that is what it is for.
var unbanned = map[string][]string{"registry/source": {"net/http"}, "internal/ocitest": {"net/http"}}

// bannedInModules are those that would double the size of a module, or that a
// sandbox has no use for.
var bannedInModules = []string{"encoding/json", "fmt", "log/slog", "os", "os/exec", "reflect", "text/template"}

// packageFiles is what go list says of a package.
type packageFiles struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	// Files of other systems count too.
	IgnoredGoFiles []string
	TestGoFiles    []string
	XTestGoFiles   []string
}

// TestImports holds every package to its rule, and every rule to a package.
func TestImports(t *testing.T) {
	used := map[string]bool{}
	for _, p := range packages(t) {
		name := relative(p.ImportPath)
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pattern, name) })
		if i < 0 {
			t.Errorf("no rule says what %s may import; add one", name)
			continue
		}
		r := rules[i]
		used[r.pattern] = true
		code, tests := split(append(p.GoFiles, p.IgnoredGoFiles...))
		for _, file := range code {
			for _, path := range imports(t, p.Dir, file) {
				if !allowed(path, name, r.imports) {
					t.Errorf("%s (%s) imports %s, which its rule does not allow", name, file, path)
				}
				if slices.Contains(banned, path) && !slices.Contains(unbanned[name], path) {
					t.Errorf("%s (%s) imports %s, which nothing here does", name, file, path)
				}
				if guest(name) && slices.Contains(bannedInModules, path) {
					t.Errorf("%s (%s) imports %s, which every module would carry", name, file, path)
				}
			}
		}
		for _, file := range slices.Concat(tests, p.TestGoFiles, p.XTestGoFiles) {
			for _, path := range imports(t, p.Dir, file) {
				if path != p.ImportPath && !allowed(path, name, slices.Concat(r.imports, r.tests, testTools)) {
					t.Errorf("the tests of %s (%s) import %s, which its rule does not allow", name, file, path)
				}
			}
		}
	}
	for _, r := range rules {
		if !used[r.pattern] {
			t.Errorf("the rule for %s matches no package; remove it", r.pattern)
		}
	}
}

// packages lists the packages of the module.
func packages(t *testing.T) []packageFiles {
	t.Helper()
	out := run(t, nil, "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	var all []packageFiles
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p packageFiles
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list finds %d packages", len(all))
	}
	return all
}

// imports returns the packages that a file imports, whatever it is built for.
func imports(t *testing.T, dir, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, path)
	}
	return out
}

// split parts files into code and tests; go list does not for ignored ones.
func split(files []string) (code, tests []string) {
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			tests = append(tests, f)
		} else {
			code = append(code, f)
		}
	}
	return code, tests
}

// relative returns the path of a package below the module, "." for its root,
// and other packages unchanged.
func relative(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

// matches reports whether a pattern covers a package.
func matches(pattern, name string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == tree || strings.HasPrefix(name, tree+"/")
	}
	return name == pattern
}

// allowed reports whether a package may import path.
func allowed(path, by string, patterns []string) bool {
	name := relative(path)
	if name == path && !strings.Contains(strings.Split(path, "/")[0], ".") {
		return true // the standard library
	}
	family := strings.Join(strings.SplitN(by, "/", 3)[:min(2, strings.Count(by, "/")+1)], "/")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return matches(strings.Replace(pattern, "FAMILY", family, 1), name)
	})
}

// guest reports whether a package is compiled into modules.
func guest(name string) bool {
	return matches("sdk/...", name) && !matches("sdk/sdktest/...", name) && !matches("sdk/process/...", name) ||
		matches("plugins/...", name) && name != "plugins" && !matches("plugins/internal/...", name) ||
		name == "plugins/internal/game"
}

// TestMatches holds the matcher itself, without which a rule may mean nothing.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		path, by string
		patterns []string
		want     bool
	}{
		{"fmt", "sdk", nil, true},
		{"encoding/json", "sdk", nil, true},
		{"example.org/x", "sdk", nil, false},
		{module, "sdk", []string{"sdk/..."}, false},
		{module, "plugins", []string{"."}, true},
		{module + "/sdk", "sdk/num", []string{"sdk/..."}, true},
		{module + "/sdkx", "sdk/num", []string{"sdk/..."}, false},
		{module + "/core/wasm", "cmd/xai", []string{"core"}, false},
		{module + "/plugins/lime/words", "plugins/lime/wasm", []string{"FAMILY/..."}, true},
		{module + "/plugins/shap", "plugins/lime", []string{"FAMILY/..."}, false},
		{module + "/plugins", "plugins/lime", []string{"FAMILY/..."}, false},
	} {
		if got := allowed(c.path, c.by, c.patterns); got != c.want {
			t.Errorf("may %s import %s under %v: %v, want %v", c.by, c.path, c.patterns, got, c.want)
		}
	}
}

// TestGuestPackages holds that what modules are made of exists for wasip1 and
// needs nothing but the standard library.
func TestGuestPackages(t *testing.T) {
	var guests []string
	for _, p := range packages(t) {
		if name := relative(p.ImportPath); guest(name) {
			guests = append(guests, p.ImportPath)
		}
	}
	args := append([]string{"list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}"}, guests...)
	out := run(t, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, "go", args...)
	for _, path := range strings.Fields(string(out)) {
		if name := relative(path); name == path || !guest(name) {
			t.Errorf("modules contain %s, which is neither a method nor sdk", path)
		}
	}
}

// TestNoReplace holds that go install …@latest works, which refuses modules
// that replace others.
func TestNoReplace(t *testing.T) {
	var mod struct {
		Module  struct{ Path string }
		Replace []struct{ Old, New struct{ Path string } }
		Exclude []struct{ Path string }
	}
	if err := json.Unmarshal(run(t, nil, "go", "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != module {
		t.Errorf("the module is %s, want %s", mod.Module.Path, module)
	}
	if len(mod.Replace) > 0 || len(mod.Exclude) > 0 {
		t.Errorf("go.mod replaces %v and excludes %v; it may do neither", mod.Replace, mod.Exclude)
	}
}

// machinePath finds absolute paths that exist on somebody's machine alone.
var machinePath = regexp.MustCompile(`(^|[^\w.~-])/(tmp|work|root|home/\w+|Users/\w+)/`)

// TestNoMachinePaths holds that no text of the project names a place on the
// machine of whoever wrote it.
func TestNoMachinePaths(t *testing.T) {
	if _, err := os.Stat(".git"); err != nil {
		t.Skip("this is no git checkout, so that nobody says which files are the project's")
	}
	files := bytes.Split(bytes.TrimSuffix(run(t, nil, "git", "ls-files", "-z"), []byte{0}), []byte{0})
	for _, file := range files {
		data, err := os.ReadFile(string(file))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed and not yet committed
		} else if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 {
			continue
		}
		for i, line := range bytes.Split(data, []byte{'\n'}) {
			if m := machinePath.Find(line); m != nil {
				t.Errorf("%s:%d speaks of %q", file, i+1, m)
			}
		}
	}
}

// run returns what a command prints in the root of the module.
func run(t *testing.T, env []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}
