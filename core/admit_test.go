package core_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/registry"
)

// project writes a methods.toml that declares lime with other bytes than the
// binary's, and returns its path.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	module, err := plugins.Builtin().Module("lime.wasm")
	if err != nil {
		t.Fatal(err)
	}
	other := append(append([]byte{}, module...), "\x00\x05\x04note"...) // a custom section without content
	file, err := registry.Parse(plugins.Builtin().Registry, "methods.toml")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(other)
	file.Methods = slices.DeleteFunc(file.Methods, func(m registry.Method) bool { return m.Name != "lime" })
	file.Methods[0].URL, file.Methods[0].SHA256 = "lime.wasm", hex.EncodeToString(sum[:])
	write(t, filepath.Join(dir, "lime.wasm"), string(other))
	text, err := file.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "methods.toml")
	write(t, path, string(text))
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMethodsAreGrantedOnce(t *testing.T) {
	o := core.Options{Registry: project(t), GrantsFile: filepath.Join(t.TempDir(), "xai", "grants.toml")}
	explain := func(o core.Options) error {
		host := newHost(t, o)
		_, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}, Params: map[string]string{"num_samples": "10"}})
		return err
	}
	err := explain(o)
	e, ok := errors.AsType[*core.Error](err)
	if !ok || e.Kind != core.KindMethod || !strings.Contains(e.Hint, "xai plugin grant lime") {
		t.Fatalf("without anybody to ask: %v", err)
	}
	asked := 0
	answer := false
	o.Ask = func(_ context.Context, ask *registry.Ask) (bool, error) {
		asked++
		if !ask.Shadows || ask.Grant.Name != "lime" || len(ask.Needs) != 1 || ask.Process {
			t.Errorf("asked for %+v", ask)
		}
		return answer, nil
	}
	if err := explain(o); core.KindOf(err) != core.KindMethod || asked != 1 {
		t.Errorf("after a no: %v, asked %d times", err, asked)
	}
	answer = true
	if err := explain(o); err != nil || asked != 2 {
		t.Errorf("after a yes: %v, asked %d times", err, asked)
	}
	o.Ask = nil
	if err := explain(o); err != nil {
		t.Errorf("once it is granted: %v", err)
	}
	if ask, err := asks(newHost(t, o), "lime"); ask != nil || err != nil {
		t.Errorf("missing are %v, %v", ask, err)
	}
}

// What waits for the same answer does not ask again.
func TestManyAskOnce(t *testing.T) {
	var asked atomic.Int32
	host := newHost(t, core.Options{
		Registry: project(t), GrantsFile: filepath.Join(t.TempDir(), "grants.toml"),
		Ask: func(context.Context, *registry.Ask) (bool, error) { asked.Add(1); return true, nil },
	})
	m := open(t, host, "builtin:sentiment-en")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := host.Explain(t.Context(), m, core.Request{Input: core.Input{Text: "Good."}, Params: map[string]string{"num_samples": "10"}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestGrantsAreNoMatterToTheBinarysOwn(t *testing.T) {
	grants := filepath.Join(t.TempDir(), "grants.toml")
	write(t, grants, "no grants")
	host := newHost(t, core.Options{GrantsFile: grants, BuiltinOnly: true})
	if _, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}, Params: map[string]string{"num_samples": "10"}}); err != nil {
		t.Error(err)
	}
}

func TestAdmissionRefuses(t *testing.T) {
	mine := project(t)
	policy := filepath.Join(t.TempDir(), "policy.toml")
	yes := func(context.Context, *registry.Ask) (bool, error) { return true, nil }
	for name, c := range map[string]struct {
		o      core.Options
		policy string
		locked func(l *registry.Lock) // nil for no lock
		want   string
	}{
		"a policy that it breaks":  {o: core.Options{Registry: mine}, policy: "schema = 1\nsources = [\"builtin:\"]\n", want: "the policy"},
		"a broken policy":          {o: core.Options{Registry: mine}, policy: "schema = 1\nsauces = []\n", want: "sauces"},
		"no lock":                  {o: core.Options{Registry: mine, Locked: true}, want: "xai.lock does not exist"},
		"another hash in the lock": {o: core.Options{Registry: mine, Locked: true}, locked: func(l *registry.Lock) { l.Methods[0].SHA256 = strings.Repeat("0", 64) }, want: "sha256"},
		"what the lock lacks":      {o: core.Options{Registry: mine, Locked: true}, locked: func(l *registry.Lock) { l.Methods = nil }, want: "lime"},
		"the lock as it is":        {o: core.Options{Registry: mine, Locked: true}, locked: func(*registry.Lock) {}},
		"the binary's own":         {o: core.Options{Locked: true, BuiltinOnly: true}},
		"a question that fails":    {o: core.Options{Registry: mine, Ask: func(context.Context, *registry.Ask) (bool, error) { return false, context.Canceled }}, want: "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.o
			o.GrantsFile = filepath.Join(t.TempDir(), "grants.toml")
			if o.Ask == nil {
				o.Ask = yes
			}
			if c.policy != "" {
				write(t, policy, c.policy)
				o.PolicyFile = policy
			}
			os.Remove(registry.LockPath(mine))
			if c.locked != nil {
				file, err := registry.Search(mine, func(string) string { return "" }, "", nil)
				if err != nil {
					t.Fatal(err)
				}
				lock := registry.NewLock(file.Places[0].File, nil)
				c.locked(lock)
				if err := lock.Write(); err != nil {
					t.Fatal(err)
				}
			}
			host := newHost(t, o)
			_, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}, Params: map[string]string{"num_samples": "10"}})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestDevRunsWhatIsThere(t *testing.T) {
	mine := project(t)
	module := filepath.Join(filepath.Dir(mine), "lime.wasm")
	b, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, "\x00\x05\x04more"...)
	write(t, module, string(b))
	explain := func(o core.Options) (*core.Explanation, error) {
		o.Registry, o.GrantsFile = mine, filepath.Join(t.TempDir(), "grants.toml")
		host := newHost(t, o)
		return host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{Input: core.Input{Text: "Good."}, Params: map[string]string{"num_samples": "10"}})
	}
	var hash *registry.HashError
	if _, err := explain(core.Options{}); !errors.As(err, &hash) {
		t.Errorf("bytes that are not pinned: %v", err)
	}
	x, err := explain(core.Options{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); x.Method.SHA256 != hex.EncodeToString(sum[:]) || !x.Provenance.Dev {
		t.Errorf("the result says %s, dev %t", x.Method.SHA256, x.Provenance.Dev)
	}
}

// What a module says of itself and what is declared of it are one.
func TestDeclarations(t *testing.T) {
	for name, c := range map[string]struct{ old, new, method, want string }{
		"version": {`version = "1.0.0"`, `version = "1.0.1"`, "lime", "method lime is declared as version 1.0.1, and its module is 1.0.0"},
		"newer":   {`abi     = "1.0"`, `abi     = "2.0"`, "lime", "method lime speaks ABI 2.0, and this xai 1.0"},
		"older":   {`abi     = "1.0"`, `abi     = "0.9"`, "lime", "method lime speaks ABI 0.9, and this xai 1.0"},
		"name":    {`name    = "lime"`, `name    = "citrus"`, "citrus", "the module of method citrus holds lime and no method of that name"},
	} {
		t.Run(name, func(t *testing.T) {
			mine := project(t)
			text, err := os.ReadFile(mine)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(text), c.old, c.new, 1)
			if changed == string(text) {
				t.Fatalf("%s has no %s", text, c.old)
			}
			write(t, mine, changed)
			for _, runtime := range []string{core.RuntimeWASM, core.RuntimeProcess} {
				host := newHost(t, core.Options{
					Registry: mine, GrantsFile: filepath.Join(t.TempDir(), "grants.toml"),
					Ask: func(context.Context, *registry.Ask) (bool, error) { return true, nil },
				})
				_, err = host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), core.Request{
					Input: core.Input{Text: "Good."}, Method: c.method, Runtime: runtime, Params: map[string]string{"num_samples": "10"},
				})
				if core.KindOf(err) != core.KindMethod || err.Error() != c.want {
					t.Errorf("%s: got %v, want %q", runtime, err, c.want)
				}
			}
			host := newHost(t, core.Options{Registry: mine, GrantsFile: filepath.Join(t.TempDir(), "grants.toml")})
			e, _, err := host.Method(c.method)
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Examine(t.Context(), e); core.KindOf(err) != core.KindMethod || err.Error() != c.want {
				t.Errorf("Examine: got %v, want %q", err, c.want)
			}
			told := slices.ContainsFunc(host.Diagnose(t.Context()), func(f core.Fact) bool {
				return f.Group == "methods" && f.Name == c.method && f.Problem == c.want && f.Hint != ""
			})
			if !told {
				t.Errorf("Diagnose does not say %q", c.want)
			}
		})
	}
}

// TestPolicyBindsTheUser: what a request asks for beyond a method's own limits
// still has to be allowed.
func TestPolicyBindsTheUser(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.toml")
	write(t, policy, "schema = 1\n[limits]\nfuel = \"1M\"\ntimeout = \"20s\"\n")
	host := newHost(t, core.Options{PolicyFile: policy, BuiltinOnly: true})
	m := open(t, host, "builtin:sentiment-en")
	request := core.Request{Input: core.Input{Text: "Good."}, Params: map[string]string{"num_samples": "10"}}
	for _, fuel := range []int64{0, 100e12} {
		request.Fuel = fuel
		_, err := host.Explain(t.Context(), m, request)
		if limit, ok := errors.AsType[*core.LimitError](err); !ok || limit.Limit != core.LimitFuel || !strings.Contains(err.Error(), "used more than its 1M of fuel") {
			t.Errorf("with %d of fuel: %v", fuel, err)
		}
	}
	write(t, policy, "schema = 1\n[limits]\ntimeout = \"20s\"\n")
	host = newHost(t, core.Options{PolicyFile: policy, BuiltinOnly: true})
	request.Fuel, request.Timeout = 0, time.Hour
	x, err := host.Explain(t.Context(), open(t, host, "builtin:sentiment-en"), request)
	if err != nil || !strings.Contains(x.Provenance.Sandbox, " 20s,") {
		t.Errorf("an hour is asked for, 20 s are allowed, and it ran in %q: %v", x.Provenance.Sandbox, err)
	}
}
