package author

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// read returns a file of the project.
func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bare returns a module of an SDK's tests without its custom sections.
func bare(t *testing.T, language string) []byte {
	t.Helper()
	module := read(t, "sdk/"+language+"/testdata/calls.wasm")
	out := bytes.Clone(module[:8])
	for at := 8; at < len(module); {
		size, n := binary.Uvarint(module[at+1:])
		end := at + 1 + n + int(size)
		if module[at] != 0 {
			out = append(out, module[at:end]...)
		}
		at = end
	}
	return out
}

func described(needs ...sdk.Need) seal.Method {
	return seal.Method{Info: sdk.Info{Name: "mine", Version: "1.0.0", Needs: needs}}
}

// every is what the modules of the SDKs' tests need.
var every = []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedGenerate, sdk.NeedTokenize}

func TestSealWithWhatTheModuleSays(t *testing.T) {
	sealed, methods, err := Seal(t.Context(), bare(t, "assemblyscript"), nil, &seal.Build{Toolchain: "asc"})
	if err != nil {
		t.Fatal(err)
	}
	if len(methods) != 1 || methods[0].Name != "calls" || methods[0].ABI != "1.0" || len(methods[0].Params) == 0 {
		t.Errorf("the module describes %+v", methods)
	}
	carried, err := seal.Methods(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(methods, carried); diff != "" {
		t.Error(diff)
	}
	again, _, err := Seal(t.Context(), sealed, nil, nil)
	if err != nil || !bytes.Equal(again, sealed) {
		t.Errorf("sealing a sealed module changes it (%v)", err)
	}
}

func TestSealWithWhatIsGiven(t *testing.T) {
	module := bare(t, "c")
	if _, _, err := Seal(t.Context(), module, nil, nil); !errors.Is(err, ErrUndescribed) {
		t.Errorf("a module that says nothing: %v", err)
	}
	_, methods, err := Seal(t.Context(), module, []seal.Method{described(every...)}, nil)
	if err != nil || len(methods) != 1 || methods[0].ABI != "1.0" {
		t.Errorf("sealed as %+v, %v", methods, err)
	}
	// A need counts whichever of the methods declares it.
	other := described(every[1:]...)
	other.Name = "other"
	sealed, _, err := Seal(t.Context(), module, []seal.Method{described(sdk.NeedForward), other}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What is given takes the place of what the module says.
	if _, methods, err = Seal(t.Context(), sealed, []seal.Method{described(every...)}, nil); err != nil || len(methods) != 1 {
		t.Errorf("sealed again as %+v, %v", methods, err)
	}
}

func TestSealRefuses(t *testing.T) {
	later := described(every...)
	later.ABI = "1.9"
	for name, c := range map[string]struct {
		module []byte
		given  []seal.Method
		want   string
	}{
		"a need that is missing": {bare(t, "c"), []seal.Method{described(sdk.NeedForward, sdk.NeedGenerate, sdk.NeedTokenize)}, "need gradients"},
		"another ABI":            {bare(t, "c"), []seal.Method{later}, "names ABI 1.9 and the module speaks 1.0"},
		"no module":              {[]byte("hello"), nil, "not a WebAssembly module"},
		"an unknown import":      {read(t, "core/wasm/testdata/modules/import_unknown.wasm"), nil, "env.system"},
		"one that traps":         {read(t, "core/wasm/testdata/modules/trap_start.wasm"), nil, "stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Seal(t.Context(), c.module, c.given, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Seal(ctx, bare(t, "c"), nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNeeds(t *testing.T) {
	x, err := wasm.Inspect(read(t, "examples/plugins/occlusion-c/occlusion.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ declared, undeclared, unused []sdk.Need }{
		{[]sdk.Need{sdk.NeedForward}, nil, nil},
		{nil, []sdk.Need{sdk.NeedForward}, nil},
		{[]sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedAttentions}, nil, []sdk.Need{sdk.NeedGradients}},
	} {
		undeclared, unused := Needs(x, []seal.Method{described(c.declared...)})
		if !cmp.Equal(undeclared, c.undeclared) || !cmp.Equal(unused, c.unused) {
			t.Errorf("of %v, %v are undeclared and %v unused", c.declared, undeclared, unused)
		}
	}
}

// subject returns a method of a module as a subject of the kit.
func subject(t *testing.T, module []byte, limits wasm.Limits) *Module {
	t.Helper()
	runtime, err := wasm.New(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runtime.Close(context.WithoutCancel(t.Context())) })
	methods, err := Methods(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewModule(t.Context(), runtime, module, methods[0], limits)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestKit: a good module passes, and all that the sandbox can show is looked at.
func TestKit(t *testing.T) {
	m := subject(t, read(t, "examples/plugins/occlusion-c/occlusion.wasm"), wasm.Limits{})
	r := sdktest.Check(t.Context(), m, sdktest.Options{Exact: true, Only: []string{
		"declaration", "parameters", "results", "determinism", "axioms", "errors", "resources", "inputs/empty",
	}})
	for _, c := range r.Results {
		if c.Status == sdktest.Fail {
			t.Errorf("%s: expected: %s got: %s", c.ID, c.Expect, c.Got)
		}
		switch c.ID {
		case "declaration/verify", "parameters/unknown", "determinism/instance", "errors/needs", "resources/memory", "resources/fuel", "resources/handles":
			if c.Status != sdktest.Pass {
				t.Errorf("%s is a %s: %s", c.ID, c.Status, c.Got)
			}
		}
	}
}

// TestKitFinds: what is wrong with a module shows.
func TestKitFinds(t *testing.T) {
	module, other := bare(t, "assemblyscript"), described(every...)
	other.Name = "calls"
	sealed, err := seal.Seal(module, []seal.Method{{Info: other.Info, ABI: "1.0"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := sdktest.Check(t.Context(), subject(t, sealed, wasm.Limits{}), sdktest.Options{Only: []string{"declaration/description"}})
	if r.Count(sdktest.Fail) != 1 {
		t.Errorf("a description that is not that of the code: %+v", r.Results)
	}
	r = sdktest.Check(t.Context(), subject(t, module, wasm.Limits{}), sdktest.Options{Only: []string{"declaration/description"}})
	if r.Count(sdktest.Fail) != 1 || !strings.Contains(r.Results[0].Got, "seal it") {
		t.Errorf("a module that is not sealed: %+v", r.Results)
	}
	few := subject(t, read(t, "examples/plugins/occlusion-c/occlusion.wasm"), wasm.Limits{Fuel: 1000})
	if r := sdktest.Check(t.Context(), few, sdktest.Options{Only: []string{"parameters/defaults"}}); r.Count(sdktest.Fail) == 0 {
		t.Errorf("a module with little fuel: %+v", r.Results)
	}
}
