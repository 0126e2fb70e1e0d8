package registry

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const fullPolicy = `schema = 1
kinds      = ["wasm", "process"]
unsigned   = false
signers    = ["` + keyA + `"]
sources    = ["builtin:", "https://example.org/methods/", "oci://ghcr.io/owner", "file:///opt/xai"]
network    = false
unconfined = false
[limits]
memory   = "1GiB"
timeout  = "60s"
fuel     = "20G"
forwards = 5000
output   = "1MiB"
log      = "64KiB"
`

func policy(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := ParsePolicy([]byte(text), "policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPolicyCheck changes one thing in a method that the policy allows a case.
func TestPolicyCheck(t *testing.T) {
	p := policy(t, fullPolicy)
	for _, c := range []struct {
		name   string
		change func(e *Entry)
		want   string // in the message; empty where it is allowed
	}{
		{"nothing", func(*Entry) {}, ""},
		{"artefact", func(e *Entry) { e.URL = "oci://GHCR.io/owner/m:1" }, ""},
		{"unsigned", func(e *Entry) { e.Signer = "" }, "nobody has signed it"},
		{"another signer", func(e *Entry) { e.Signer, _ = publisher(t, "") }, "is none of those that may sign"},
		{"another host", func(e *Entry) { e.URL = "https://example.com/methods/m.wasm" }, `nothing may come from "https://example.com/methods/m.wasm"`},
		{"another port", func(e *Entry) { e.URL = "https://example.org:8443/methods/m.wasm" }, "nothing may come from"},
		{"another folder", func(e *Entry) { e.URL = "https://example.org/methods-of-mine/m.wasm" }, "nothing may come from"},
		{"above the folder", func(e *Entry) { e.URL = "https://example.org/methods/../m.wasm" }, "nothing may come from"},
		{"above the folder, encoded", func(e *Entry) { e.URL = "https://example.org/methods/%2e%2e/m.wasm" }, "nothing may come from"},
		{"another owner", func(e *Entry) { e.URL = "oci://ghcr.io/owners/m:1" }, "nothing may come from"},
		{"another scheme", func(e *Entry) { e.URL = "oci://example.org/methods/m" }, "nothing may come from"},
		{"embedded", func(e *Entry) { e.Embedded, e.Signer, e.URL = true, "", "m.wasm" }, ""},
		{"process", func(e *Entry) { e.Kind = KindProcess }, ""},
		{"a process that asks for little", func(e *Entry) { e.Kind, e.Confine = KindProcess, &Confine{Landlock: true} }, ""},
		{"the network", func(e *Entry) { e.Kind, e.Confine = KindProcess, &Confine{Landlock: true, Net: true} }, "a process may not use the network"},
		{"all files", func(e *Entry) { e.Kind, e.Confine = KindProcess, &Confine{} }, "a process may not see all files"},
		{"an executable from elsewhere", func(e *Entry) {
			e.Kind, e.URL = KindProcess, ""
			e.Artifacts = []Artifact{{"linux", "amd64", "https://example.org/methods/p", hashA}, {"linux", "arm64", "p", hashA}}
		}, `nothing may come from "p"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := entry(t, "methods.toml", "https://example.org/methods/m.wasm", "bytes")
			e.Signer = keyA
			c.change(&e)
			err := p.Check(e)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused, ok := errors.AsType[*PolicyError](err)
			if !ok || !strings.Contains(refused.Msg, c.want) || !strings.HasPrefix(err.Error(), "method m: ") || !strings.Contains(err.Error(), "policy.toml") {
				t.Errorf("Check = %v, want %s", err, c.want)
			}
		})
	}
}

func TestPolicyPaths(t *testing.T) {
	dir := t.TempDir()
	slashes := filepath.ToSlash(dir)
	if !strings.HasPrefix(slashes, "/") {
		slashes = "/" + slashes
	}
	p := policy(t, "schema = 1\nsources = [\"file://"+slashes+"/methods\"]\n")
	for url, want := range map[string]bool{
		"m.wasm":                                            true,
		"below/m.wasm":                                      true,
		"../m.wasm":                                         false,
		"../methods/m.wasm":                                 true,
		"../methods-of-mine/m.wasm":                         false,
		filepath.Join(dir, "methods", "m.wasm"):             true,
		filepath.Join(dir, "m.wasm"):                        false,
		"file://" + slashes + "/methods/m.wasm":             true,
		"file://" + slashes + "/methods/../m.wasm":          false,
		"file://" + slashes + "/methods/%2e%2e/m.wasm":      false,
		"builtin:m.wasm":                                    false,
		"https://example.org" + slashes + "/methods/m.wasm": false,
	} {
		if got := p.AllowsSource(url, filepath.Join(dir, "methods")); got != want {
			t.Errorf("AllowsSource(%s) = %v", url, got)
		}
	}
}

// TestPolicyDefaults tells a list that is absent from one that is empty.
func TestPolicyDefaults(t *testing.T) {
	e := entry(t, "f", "m.wasm", "bytes")
	open := policy(t, "schema = 1\n")
	for name, p := range map[string]*Policy{"no file": {}, "no rule": open} {
		if err := p.Check(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	e.Signer = keyA
	for _, rule := range []string{"kinds = []", "signers = []", "sources = []", `sources = ["builtin:"]`, `kinds = ["process"]`} {
		if err := policy(t, "schema = 1\n"+rule).Check(e); err == nil {
			t.Errorf("%s allows %+v", rule, e)
		}
	}
	if err := policy(t, `schema = 1
sources = ["file:"]`).Check(e); err != nil {
		t.Error(err)
	}
}

func TestPolicyClamp(t *testing.T) {
	p := policy(t, fullPolicy)
	most := Limits{Memory: 1 << 30, Timeout: time.Minute, Fuel: 20e9, Forwards: 5000, Output: 1 << 20, Log: 64 << 10}
	defaults := Limits{Memory: 64 << 20, Timeout: time.Minute, Output: 16 << 20, Log: 64 << 10, Forwards: 1e6}
	for _, c := range []struct {
		name                     string
		policy                   *Policy
		declared, defaults, want Limits
	}{
		{"no policy", &Policy{}, Limits{Memory: 4 << 30}, defaults, Limits{Memory: 4 << 30, Timeout: time.Minute, Output: 16 << 20, Log: 64 << 10, Forwards: 1e6}},
		{"nothing declared, no defaults", p, Limits{}, Limits{}, most},
		{"the defaults are lowered, too", p, Limits{}, defaults, Limits{Memory: 64 << 20, Timeout: time.Minute, Fuel: 20e9, Forwards: 5000, Output: 1 << 20, Log: 64 << 10}},
		{"more is lowered", p, Limits{Memory: 4 << 30, Timeout: time.Hour, Fuel: 1e18, Forwards: 1e9, Output: 1 << 30, Log: 16 << 20}, defaults, most},
		{"less stays", p, Limits{Memory: 1 << 20, Timeout: 1, Fuel: 1, Forwards: 1, Output: 1, Log: 1}, defaults, Limits{Memory: 1 << 20, Timeout: 1, Fuel: 1, Forwards: 1, Output: 1, Log: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.policy.Clamp(c.declared, c.defaults)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParsePolicyErrors(t *testing.T) {
	const noSource = `a source is a scheme, such as "https:", an address, such as "oci://ghcr.io", or the beginning of one, such as "file:///opt/xai"`
	for _, c := range []struct {
		name, old, new, want string
	}{
		{"unknown key", "unsigned ", "unsinged ", `f:3: unknown key "unsinged"; did you mean "unsigned"?`},
		{"unknown limit", "memory ", "memroy ", `f:9: limits: unknown key "memroy"; did you mean "memory"?`},
		{"kind", `"process"]`, `"native"]`, `f:2: kinds holds "native" and may hold wasm and process`},
		{"kinds is text", `["wasm", "process"]`, `"wasm"`, `f:2: kinds must be an array of strings`},
		{"unsigned is text", "unsigned   = false", `unsigned = "no"`, `f:3: unsigned must be true or false`},
		{"signer", keyA, "me", `f:4: signers holds "me": a key is ed25519: and the 56 characters of a minisign public key, which begin with RW`},
		{"source of no scheme", `"builtin:"`, `"example.org"`, `f:5: sources holds "example.org": ` + noSource},
		{"source over http", `"builtin:"`, `"http://example.org"`, `f:5: sources holds "http://example.org": ` + noSource},
		{"built-in with a name", `"builtin:"`, `"builtin:x"`, `f:5: sources holds "builtin:x": ` + noSource},
		{"file with a host", `"builtin:"`, `"file://h/x"`, `f:5: sources holds "file://h/x": ` + noSource},
		{"source with dots", `"builtin:"`, `"https://h/a/../b"`, `f:5: sources holds "https://h/a/../b": ` + noSource},
		{"source without slashes", `"builtin:"`, `"https:h"`, `f:5: sources holds "https:h": ` + noSource},
		{"source with a query", `"builtin:"`, `"https://h/?x"`, `f:5: sources holds "https://h/?x": ` + noSource},
		{"memory", `"1GiB"`, `"1PiB"`, `f:9: limits: memory must be a size such as "64MiB"`},
		{"newer schema", "schema = 1", "schema = 2", `f: the file follows a schema newer than 1, the one that this version of xai reads; update xai`},
		{"no schema", "schema = 1", "", `f: the file does not say which schema it follows; begin it with: schema = 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := strings.Replace(fullPolicy, c.old, c.new, 1)
			if doc == fullPolicy {
				t.Fatalf("the case changes nothing: %q is not in the policy", c.old)
			}
			p, err := ParsePolicy([]byte(doc), "f")
			if err == nil {
				t.Fatalf("ParsePolicy = %+v, want an error", p)
			}
			if err.Error() != c.want {
				t.Errorf("error\n  got  %s\n  want %s", err, c.want)
			}
		})
	}
}

// TestReadPolicy holds that a policy that is there and cannot be read allows
// nothing.
func TestReadPolicy(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", filepath.Join(dir, "policy.toml"), filepath.Join(dir, "none", "policy.toml")} {
		p, err := ReadPolicy(path)
		if err != nil || p.Check(entry(t, "f", "m.wasm", "bytes")) != nil {
			t.Errorf("ReadPolicy(%q) = %v, %v", path, p, err)
		}
	}
	good := write(t, fullPolicy, dir, "good.toml")
	if p, err := ReadPolicy(good); err != nil || p.Path != good || p.Limits.Forwards != 5000 {
		t.Errorf("ReadPolicy = %v, %v", p, err)
	}
	broken := []string{write(t, "schema = 1\nkind = []", dir, "broken.toml"), write(t, "", dir, "empty.toml"), dir}
	link := filepath.Join(dir, "link.toml")
	if err := os.Symlink(filepath.Join(dir, "gone"), link); err == nil {
		broken = append(broken, link)
	} else if runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	for _, path := range broken {
		if p, err := ReadPolicy(path); err == nil {
			t.Errorf("ReadPolicy(%s) = %v", path, p)
		}
	}
}
