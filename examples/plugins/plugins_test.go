package plugins_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/examples/plugins/occlusion-go"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// languages have each a folder occlusion-LANGUAGE, whose method bears its name.
var languages = []string{"go", "c", "rust", "assemblyscript"}

// modules returns the module of each language: Go's built, the others as
// they are committed.
func modules(t *testing.T) map[string][]byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "occlusion.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", out, "./occlusion-go/wasm")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the module in Go does not build: %s", text)
	}
	modules := map[string][]byte{}
	for _, language := range languages {
		path := filepath.Join("occlusion-"+language, "occlusion.wasm")
		if language == "go" {
			path = out
		}
		module, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		modules["occlusion-"+language] = module
	}
	return modules
}

// host returns a host whose methods are the modules, and the Go method in
// process.
func host(t *testing.T, modules map[string][]byte) *core.Host {
	t.Helper()
	file := registry.File{Path: "methods.toml"}
	for _, language := range languages {
		name := "occlusion-" + language
		info := occlusion.Method{}.Info()
		info.Name = name
		sum := sha256.Sum256(modules[name])
		file.Methods = append(file.Methods, seal.Of(info).Entry("builtin:"+name, hex.EncodeToString(sum[:])))
	}
	text, err := file.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	h, err := core.New(core.Options{
		Methods: core.Builtin{
			Registry: text,
			Module: func(name string) ([]byte, error) {
				if module, ok := modules[name]; ok {
					return module, nil
				}
				return nil, fs.ErrNotExist
			},
			Native: map[string]sdk.Method{"occlusion-go": occlusion.Method{}},
		},
		BuiltinOnly: true,
		CacheDir:    t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// result is what the languages must agree about.
type result struct {
	Values      []float64
	Diagnostics core.Diagnostics
	Err         string
}

// bits compares floats by their bits.
var bits = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }),
	cmp.Comparer(func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }),
}

func TestLanguagesAgree(t *testing.T) {
	h := host(t, modules(t))
	pair := "It was not."
	for name, c := range map[string]struct {
		model, text string
		pair        *string
		units       string
		params      map[string]string
		windows     float64
		err         string
	}{
		"English":             {text: "The acting is superb, the story is not.", windows: 10},
		"windows":             {text: "The acting is superb, the story is not.", params: map[string]string{"window": "3"}, windows: 8},
		"the last is shorter": {text: "The acting is superb, the story is not.", params: map[string]string{"window": "4", "stride": "4"}, windows: 3},
		"overlapping":         {text: "The acting is superb, the story is not.", params: map[string]string{"window": "5", "stride": "2"}, windows: 4},
		"one window of all":   {text: "The acting is superb.", params: map[string]string{"window": "9223372036854775807", "stride": "4294967296"}, windows: 1},
		"delete":              {text: "The acting is superb, the story is not.", params: map[string]string{"window": "2", "fill": "delete"}, windows: 9},
		"average":             {text: "The acting is superb.", params: map[string]string{"fill": "average"}, windows: 5},
		"hide":                {text: "The acting is superb.", params: map[string]string{"fill": "hide"}, windows: 5},
		"one unit":            {text: "superb", windows: 1},
		"a pair":              {text: "The acting is superb.", pair: &pair, params: map[string]string{"window": "2"}, windows: 8},
		"tokens":              {text: "An unwatchable mess", units: core.UnitsToken, params: map[string]string{"window": "2"}, windows: 4},
		"sentences":           {text: "A gripping film. The rest is noise. Go.", units: core.UnitsSentence, windows: 3},
		"Chinese":             {model: "builtin:sentiment-zh", text: "这部电影太好看了，演员很棒。", params: map[string]string{"window": "2"}, windows: 0},
		"emoji":               {text: "Ünwatchable 🎬 film", windows: 3},
		"a stride too long":   {text: "superb", params: map[string]string{"window": "2", "stride": "3"}, err: "stride=3 leaves units out between windows of 2: use a stride of at most the window"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.model == "" {
				c.model = "builtin:sentiment-en"
			}
			m, err := h.OpenModel(t.Context(), c.model)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			run := func(method, runtime string) (r result) {
				x, err := h.Explain(t.Context(), m, core.Request{
					Input: core.Input{Text: c.text, Pair: c.pair}, Method: method, Params: c.params, Units: c.units, Runtime: runtime,
				})
				if err != nil {
					return result{Err: strings.ReplaceAll(err.Error(), method, "occlusion")}
				}
				for _, v := range x.Attributions[0].Values {
					r.Values = append(r.Values, float64(v))
				}
				r.Diagnostics = x.Diagnostics
				delete(r.Diagnostics, "cache_hits") // those of the runs before
				delete(r.Diagnostics, "forwards")
				return r
			}
			want := run("occlusion-go", core.RuntimeNative)
			if !strings.Contains(want.Err, c.err) || (want.Err == "") != (c.err == "") {
				t.Fatalf("error %q, want %q", want.Err, c.err)
			}
			if got := float64(want.Diagnostics["windows"]); c.windows > 0 && got != c.windows {
				t.Errorf("%g windows, want %g", got, c.windows)
			}
			for _, language := range languages {
				got := run("occlusion-"+language, core.RuntimeWASM)
				if diff := cmp.Diff(want, got, bits); diff != "" {
					t.Errorf("%s differs from Go in process:\n%s", language, diff)
				}
			}
		})
	}
}

// TestDeclared holds the methods.toml of Go's folder to the method. The module is
// built, not committed, so that the hash is what it is.
func TestDeclared(t *testing.T) {
	path := filepath.Join("occlusion-go", "methods.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := registry.Parse(text, path)
	if err != nil || len(file.Methods) != 1 {
		t.Fatalf("%d methods, %v", len(file.Methods), err)
	}
	e := seal.Of(occlusion.Method{}.Info()).Entry("occlusion-go.wasm", file.Methods[0].SHA256)
	if _, change, err := seal.Update(text, path, e); err != nil || change != seal.Unchanged {
		t.Errorf("%s is not what the method is: change %v, %v", path, change, err)
	}
}

// TestRegistered runs each method as its folder's methods.toml declares it, for a
// user who grants what it asks for.
func TestRegistered(t *testing.T) {
	for _, language := range sdks {
		t.Run(language, func(t *testing.T) {
			name, folder := "occlusion-"+language, "occlusion-"+language
			module, err := os.ReadFile(filepath.Join(folder, "occlusion.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "methods.toml")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			methods, err := seal.Methods(module)
			if err != nil || len(methods) != 1 {
				t.Fatalf("the module describes %d methods, %v", len(methods), err)
			}
			sum := sha256.Sum256(module)
			if _, change, err := seal.Update(text, path, methods[0].Entry("occlusion.wasm", hex.EncodeToString(sum[:]))); err != nil || change != seal.Unchanged {
				t.Errorf("%s is not what the module is: change %d, %v", path, change, err)
			}
			dir, asked := t.TempDir(), 0
			h, err := core.New(core.Options{
				Registry:   path,
				CacheDir:   dir,
				GrantsFile: filepath.Join(dir, "grants.toml"),
				PolicyFile: filepath.Join(dir, "policy.toml"), // there is none
				Ask: func(context.Context, *registry.Ask) (bool, error) {
					asked++
					return true, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			m, err := h.OpenModel(t.Context(), "builtin:sentiment-en")
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			x, err := h.Explain(t.Context(), m, core.Request{Input: core.Input{Text: "A gripping film."}, Method: name})
			if err != nil {
				t.Fatal(err)
			}
			if asked != 1 || len(x.Attributions[0].Values) != 4 {
				t.Errorf("the user was asked %d times, and there are %d values; want 1 and 4", asked, len(x.Attributions[0].Values))
			}
		})
	}
}
