package core_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/registry"
)

// TestDeclaredParameters holds a declaration to the parameters of its module: their
// names, since defaults may be others on purpose.
func TestDeclaredParameters(t *testing.T) {
	const header = "[method.params.num_samples]"
	more := "[method.params.extra]\ntype = \"bool\"\ndefault = true\ndoc = \"nothing\"\n" + header
	for name, c := range map[string]struct {
		with string
		dev  bool
		want string // of the error; empty where it runs
	}{
		"another name":         {"[method.params.samples]", false, "has a parameter num_samples, which "},
		"another name, in dev": {"[method.params.samples]", true, "has a parameter num_samples, which "},
		"one more":             {more, false, "is declared with a parameter extra, which its module does not have"},
		"one more, in dev":     {more, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			mine := project(t)
			text, err := os.ReadFile(mine)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), header, c.with, 1)
			if changed == string(text) {
				t.Fatalf("%s has no %s", text, header)
			}
			write(t, mine, changed)
			host := newHost(t, core.Options{
				Registry: mine, GrantsFile: filepath.Join(t.TempDir(), "grants.toml"), Dev: c.dev,
				Ask: func(context.Context, *registry.Ask) (bool, error) { return true, nil },
			})
			_, err = host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}, Method: "lime"})
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e, ok := errors.AsType[*core.Error](err)
			if !ok || e.Kind != core.KindMethod || !strings.Contains(e.Msg, c.want) || !strings.Contains(e.Hint, "xai plugin seal") {
				t.Errorf("%+v", err)
			}
		})
	}
}

// TestLimitsOfThePolicy: what the policy allows is not told to be raised by a flag.
func TestLimitsOfThePolicy(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.toml")
	explain := func(text string) *core.Error {
		t.Helper()
		write(t, policy, text)
		host := newHost(t, core.Options{PolicyFile: policy})
		_, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}, Fuel: 5000})
		e, ok := errors.AsType[*core.Error](err)
		if !ok || e.Kind != core.KindMethod {
			t.Fatal(err)
		}
		return e
	}
	if e := explain("schema = 1\n[limits]\nfuel = 5000\n"); !strings.Contains(e.Hint, "policy") || strings.Contains(e.Hint, "--fuel") {
		t.Errorf("as much as the policy allows: %s", e.Hint)
	}
	if e := explain("schema = 1\n[limits]\nfuel = \"1G\"\n"); !strings.Contains(e.Hint, "--fuel") {
		t.Errorf("less than the policy allows: %s", e.Hint)
	}
}

// TestProgramsCountNoInstructions: a bound that nobody would keep is refused.
func TestProgramsCountNoInstructions(t *testing.T) {
	host := newHost(t, core.Options{})
	_, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}, Fuel: 5000, Runtime: core.RuntimeNative})
	if core.KindOf(err) != core.KindUsage || !strings.Contains(err.Error(), "instructions") {
		t.Error(err)
	}
}

// TestMissingModule: where the sources lie beside a declaration, they can be built.
func TestMissingModule(t *testing.T) {
	mine := project(t)
	dir := filepath.Dir(mine)
	wasm, err := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if err != nil || len(wasm) == 0 {
		t.Fatal("no module", err)
	}
	for _, file := range wasm {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	hint := func() string {
		host := newHost(t, core.Options{Registry: mine, GrantsFile: filepath.Join(dir, "grants.toml")})
		_, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}})
		if e, ok := errors.AsType[*core.Error](err); ok {
			return e.Hint
		}
		t.Fatal(err)
		return ""
	}
	if h := hint(); strings.Contains(h, "xai plugin build") {
		t.Errorf("without sources: %s", h)
	}
	write(t, filepath.Join(dir, "lime.c"), "\n")
	if h := hint(); h != "build it: xai plugin build "+dir {
		t.Errorf("with sources: %s", h)
	}
}
