package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/registry/internal/filelock"
)

const fullGrants = `# What you have granted to methods. Remove a grant to be asked again.
schema = 1

[[grant]]
sha256  = "` + hashA + `"
name    = "lime"
kind    = "wasm"
needs   = ["forward"]
granted = 2024-05-06T07:08:09Z

[[grant]]
sha256  = "` + hashA + `"
name    = "confined"
kind    = "process"
granted = 2024-05-06T07:08:10Z
[grant.confine]
landlock  = true
net       = false
rlimit_as = "4GiB"
processes = 16
env       = ["LANG"]
read      = ["/usr"]
`

var then = time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)

func TestGrantsReadBack(t *testing.T) {
	g, err := ParseGrants([]byte(fullGrants), "grants.toml")
	if err != nil {
		t.Fatal(err)
	}
	want := []Grant{
		{SHA256: hashA, Name: "lime", Kind: KindWASM, Needs: []string{"forward"}, Time: then},
		{SHA256: hashA, Name: "confined", Kind: KindProcess, Time: then.Add(time.Second), Confine: &Confine{
			Landlock: true, AddressSpace: 4 << 30, Processes: 16, Env: []string{"LANG"}, Read: []string{"/usr"},
		}},
	}
	if diff := cmp.Diff(want, g.grants); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	data, err := g.marshal()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullGrants, string(data)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseGrantsErrors(t *testing.T) {
	for _, c := range []struct {
		name, old, new, want string
	}{
		{"unknown key", "needs ", "need ", `f:8: grant 1: unknown key "need"; did you mean "needs"?`},
		{"unknown key in confine", "net  ", "nett  ", `f:18: grant 2: confine: unknown key "nett"; did you mean "net"?`},
		{"need", `"forward"`, `"everything"`, `f:8: grant 1: needs holds "everything" and may hold forward, gradients, attentions, activations, hidden_states, generate, embeddings, tokenize, patch`},
		{"sha256", hashA, "*", `f:5: grant 1: sha256 is "*" and must be 64 lower-case hexadecimal digits`},
		{"time", "2024-05-06T07:08:09Z", `"today"`, `f:9: grant 1: granted must be a date and time such as 2006-01-02T15:04:05Z`},
		{"time missing", "granted = 2024-05-06T07:08:09Z\n", "", `f:4: grant 1: granted is missing; it must be a date and time such as 2006-01-02T15:04:05Z`},
		{"twice", `"confined"`, `"lime"`, `f:12: grant 2: there is a grant for lime and this sha256 already`},
		{"confine of a module", `"process"`, `"wasm"`, `f:16: grant 2: confine belongs to kind = "process" alone`},
		{"newer schema", "schema = 1", "schema = 2", `f: the file follows a schema newer than 1, the one that this version of xai reads; update xai`},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := strings.Replace(fullGrants, c.old, c.new, 1)
			if doc == fullGrants {
				t.Fatalf("the case changes nothing: %q is not in the file", c.old)
			}
			g, err := ParseGrants([]byte(doc), "f")
			if err == nil {
				t.Fatalf("ParseGrants = %v, want an error", g)
			}
			if err.Error() != c.want {
				t.Errorf("error\n  got  %s\n  want %s", err, c.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	module := entry(t, "f", "m.wasm", "bytes")
	module.Needs = []string{"forward", "patch"}
	process := entry(t, "f", "p", "bytes")
	process.Kind, process.Needs = KindProcess, []string{"forward"}
	process.Confine = &Confine{Landlock: true, AddressSpace: 1 << 30, Processes: 4, Env: []string{"LANG"}, Read: []string{"/usr"}}
	granted := func(e Entry) Grant {
		return Grant{SHA256: e.SHA256, Name: e.Name, Kind: e.Kind, Needs: e.Needs, Confine: e.Confine}
	}
	confined := func(change func(*Confine)) Entry {
		e, c := process, *process.Confine
		change(&c)
		e.Confine = &c
		return e
	}
	shadow := module
	shadow.ShadowsBuiltin = true
	other := granted(module)
	other.Name = "other"
	fewer := granted(module)
	fewer.Needs = fewer.Needs[:1]
	rest := granted(module)
	rest.Name, rest.Needs = "other", []string{"patch"}
	asProcess := granted(module)
	asProcess.Kind = KindProcess
	embedded := shadow
	embedded.Embedded = true
	needless := module
	needless.Needs = nil

	for _, c := range []struct {
		name   string
		entry  Entry
		grants []Grant
		want   *Ask // without its Grant
	}{
		{"first time", module, nil, &Ask{Needs: []string{"forward", "patch"}}},
		{"granted", module, []Grant{granted(module)}, nil},
		{"granted under another name", module, []Grant{other}, nil},
		{"granted in two parts", module, []Grant{fewer, rest}, nil},
		{"more needs", module, []Grant{fewer}, &Ask{Needs: []string{"patch"}}},
		{"granted as a process", module, []Grant{asProcess}, &Ask{Needs: []string{"forward", "patch"}}},
		{"nothing needed", needless, nil, nil},
		{"embedded", embedded, nil, nil},
		{"in place of a built-in", shadow, nil, &Ask{Needs: []string{"forward", "patch"}, Shadows: true}},
		{"in place of a built-in, granted under another name", shadow, []Grant{other}, &Ask{Shadows: true}},
		{"in place of a built-in, granted", shadow, []Grant{granted(shadow)}, nil},
		{"a process for the first time", process, nil, &Ask{Needs: []string{"forward"}, Process: true, Confine: []string{
			"run 4 tasks at once", "read the environment variable LANG", "read and execute what is in /usr",
		}}},
		{"a process", process, []Grant{granted(process)}, nil},
		{"less", confined(func(c *Confine) { *c = Confine{Landlock: true, AddressSpace: 1 << 20} }), []Grant{granted(process)}, nil},
		{"all files", confined(func(c *Confine) { c.Landlock = false }), []Grant{granted(process)}, &Ask{Confine: []string{"see and change every file that you can"}}},
		{"network", confined(func(c *Confine) { c.Net = true }), []Grant{granted(process)}, &Ask{Confine: []string{"reach the network and what other programs of this machine listen on"}}},
		{"more memory", confined(func(c *Confine) { c.AddressSpace = 2 << 30 }), []Grant{granted(process)}, &Ask{Confine: []string{"use 2048 MiB of memory"}}},
		{"any memory", confined(func(c *Confine) { c.AddressSpace = 0 }), []Grant{granted(process)}, &Ask{Confine: []string{"use memory without a limit"}}},
		{"more tasks", confined(func(c *Confine) { c.Processes = 5 }), []Grant{granted(process)}, &Ask{Confine: []string{"run 5 tasks at once"}}},
		{"another variable", confined(func(c *Confine) { c.Env = []string{"HOME"} }), []Grant{granted(process)}, &Ask{Confine: []string{"read the environment variable HOME"}}},
		{"a folder below", confined(func(c *Confine) { c.Read = []string{"/usr/lib"} }), []Grant{granted(process)}, nil},
		{"a folder beside", confined(func(c *Confine) { c.Read = []string{"/usrlocal"} }), []Grant{granted(process)}, &Ask{Confine: []string{"read and execute what is in /usrlocal"}}},
		{"no confinement declared", confined(func(c *Confine) { *c = Confine{Landlock: true} }), []Grant{granted(process)}, &Ask{Confine: []string{"use memory without a limit"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &Grants{grants: c.grants}
			got, err := g.Missing(c.entry, "linux", "amd64")
			if err != nil {
				t.Fatal(err)
			}
			if c.want != nil {
				c.want.Grant = granted(c.entry)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got == nil {
				return
			}
			// What was asked for and granted is not asked for again.
			got.Grant.Time = then
			g.add(got.Grant)
			if again, err := g.Missing(c.entry, "linux", "amd64"); err != nil || again != nil {
				t.Errorf("granted, and still missing: %v, %v", again, err)
			}
		})
	}
	t.Run("of another platform", func(t *testing.T) {
		e := process
		e.Artifacts = []Artifact{{"linux", "amd64", "p", hashA}, {"linux", "arm64", "q", sumOf("q")}}
		g := &Grants{grants: []Grant{{SHA256: hashA, Name: "m", Kind: KindProcess, Needs: e.Needs, Confine: e.Confine}}}
		if ask, err := g.Missing(e, "linux", "amd64"); err != nil || ask != nil {
			t.Errorf("Missing = %v, %v", ask, err)
		}
		if ask, err := g.Missing(e, "linux", "arm64"); err != nil || ask == nil || ask.Grant.SHA256 != sumOf("q") {
			t.Errorf("Missing = %v, %v", ask, err)
		}
		_, err := g.Missing(e, "windows", "amd64")
		if _, ok := errors.AsType[*UnsupportedError](err); !ok {
			t.Errorf("Missing = %v", err)
		}
	})
	t.Run("sentence", func(t *testing.T) {
		e := process
		e.ShadowsBuiltin = true
		ask, err := (&Grants{}).Missing(e, "linux", "amd64")
		if err != nil {
			t.Fatal(err)
		}
		want := "method m (sha256 " + e.SHA256 + ") wants to run as a process of yours; to use the model's forward; to run 4 tasks at once; " +
			"to read the environment variable LANG; to read and execute what is in /usr; to stand in place of the method of this name that xai has itself"
		if got := ask.String(); got != want {
			t.Errorf("\n  got  %s\n  want %s", got, want)
		}
	})
}

func TestAddGrant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config", "xai", "grants.toml")
	grant := Grant{SHA256: hashA, Name: "m", Kind: KindWASM, Needs: []string{"patch"}, Time: then.Add(300 * time.Millisecond)}
	if err := AddGrant(t.Context(), path, grant); err != nil {
		t.Fatal(err)
	}
	grant.Needs, grant.Time = []string{"forward"}, then.Add(time.Hour).In(time.FixedZone("", 3600))
	if err := AddGrant(t.Context(), path, grant); err != nil {
		t.Fatal(err)
	}
	g, err := ReadGrants(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []Grant{{SHA256: hashA, Name: "m", Kind: KindWASM, Needs: []string{"forward", "patch"}, Time: then.Add(time.Hour)}}
	if diff := cmp.Diff(want, g.grants); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if runtime.GOOS != "windows" {
		for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(p); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has the mode %v, %v", p, info.Mode(), err)
			}
		}
		if err := os.Chmod(path, 0o620); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadGrants(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("ReadGrants of what others may write = %v", err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 { // only the system's user can give files away; regular.Owned is tested apart
		if err := os.Chown(path, 65534, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadGrants(path); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("ReadGrants of what somebody else owns = %v", err)
		}
		if err := os.Chown(path, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	for name, bad := range map[string]Grant{"no hash": {Name: "m", Kind: KindWASM, Time: then}, "no name": {SHA256: hashA, Kind: KindWASM, Time: then}} {
		if err := AddGrant(t.Context(), path, bad); err == nil {
			t.Errorf("%s: was granted", name)
		}
	}
	if again, err := ReadGrants(path); err != nil || len(again.grants) != 1 {
		t.Errorf("what could not be granted changed the file: %v, %v", again, err)
	}
	if err := AddGrant(t.Context(), "", grant); err == nil {
		t.Error("a grant was kept nowhere")
	}
	// A broken file grants nothing, and is not overwritten.
	write(t, "schema = 1\ngrants = 1\n", path)
	if err := AddGrant(t.Context(), path, grant); err == nil {
		t.Error("a broken file was replaced")
	}
}

func TestRemoveGrants(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xai", "grants.toml")
	if taken, err := RemoveGrants(t.Context(), path, "m", ""); taken != nil || err != nil {
		t.Errorf("RemoveGrants of no file = %v, %v", taken, err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("a folder was made to take nothing")
	}
	hashB := strings.Repeat("b", 64)
	hashC := strings.Repeat("c", 64)
	for _, g := range []Grant{{SHA256: hashA, Name: "m"}, {SHA256: hashB, Name: "m"}, {SHA256: hashB, Name: "other"}, {SHA256: hashC, Name: "third"}} {
		g.Kind, g.Time = KindWASM, then
		if err := AddGrant(t.Context(), path, g); err != nil {
			t.Fatal(err)
		}
	}
	taken, err := RemoveGrants(t.Context(), path, "m", hashB)
	if err != nil || len(taken) != 3 {
		t.Errorf("RemoveGrants = %v, %v", taken, err)
	}
	left, err := ReadGrants(path)
	if err != nil || len(left.grants) != 1 || left.grants[0].Name != "third" {
		t.Errorf("left are %v, %v", left.grants, err)
	}
	if taken, err := RemoveGrants(t.Context(), path, "m", ""); taken != nil || err != nil {
		t.Errorf("RemoveGrants of nothing = %v, %v", taken, err)
	}
}

// TestAddGrantAtOnce holds that nobody's grant gets lost.
func TestAddGrantAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grants.toml")
	var group sync.WaitGroup
	const writers = 12
	for i := range writers {
		group.Go(func() {
			if err := AddGrant(t.Context(), path, Grant{SHA256: hashA, Name: fmt.Sprintf("m%d", i), Kind: KindWASM, Time: then}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	g, err := ReadGrants(path)
	if err != nil || len(g.grants) != writers {
		t.Errorf("%d grants, %v; want %d", len(g.grants), err, writers)
	}
	// Whoever waits can be interrupted.
	unlock, err := filelock.Lock(t.Context(), path+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := AddGrant(ctx, path, Grant{SHA256: hashA, Name: "m", Kind: KindWASM, Time: then}); !errors.Is(err, context.Canceled) {
		t.Errorf("AddGrant = %v", err)
	}
}

// TestOldestGrantsAreForgotten holds that the file stays bounded.
func TestOldestGrantsAreForgotten(t *testing.T) {
	g := &Grants{path: "f"}
	for i := range maxGrants + 2 {
		g.add(Grant{SHA256: hashA, Name: fmt.Sprintf("m%d", i), Kind: KindProcess, Time: then.Add(time.Duration(-i) * time.Second), Confine: &Confine{
			Landlock: true, AddressSpace: 1 << 30, Processes: 3, Env: []string{"A"}, Read: []string{"/a"},
		}, Needs: []string{"forward"}})
	}
	if len(g.grants) != maxGrants || g.grants[maxGrants-1].Name != "m0" {
		t.Errorf("%d grants, the last is %s", len(g.grants), g.grants[len(g.grants)-1].Name)
	}
	if _, err := g.marshal(); err != nil {
		t.Error(err)
	}
	var long []string
	for i := range 100 {
		long = append(long, fmt.Sprintf("/%d%s", i, strings.Repeat("a", 1900)))
	}
	for i := range 8 {
		g.add(Grant{SHA256: hashA, Name: fmt.Sprintf("long%d", i), Kind: KindProcess, Time: then, Confine: &Confine{Landlock: true, Read: long}})
	}
	if data, err := g.marshal(); err != nil || len(g.grants) > 8 || !strings.Contains(string(data), `"long7"`) {
		t.Errorf("%d grants in %d bytes, %v", len(g.grants), len(data), err)
	}
}

func TestGrantsPath(t *testing.T) {
	dir := t.TempDir()
	if got, want := GrantsPath(func(string) string { return dir }), filepath.Join(dir, "xai", "grants.toml"); got != want {
		t.Errorf("GrantsPath = %s, want %s", got, want)
	}
	if g, err := ReadGrants(filepath.Join(dir, "none.toml")); err != nil || g.grants != nil {
		t.Errorf("ReadGrants of none = %v, %v", g, err)
	}
}

// TestWiderIsOrdered draws confinements and holds that what was granted asks
// for nothing, and that asking for the same with something more does.
func TestWiderIsOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfine(t)
		if w := wider(c, c); w != nil {
			t.Errorf("wider than itself: %v", w)
		}
		more := *c
		more.Read = append(more.Read[:len(more.Read):len(more.Read)], "/more")
		if w := wider(c, &more); len(w) != 1 {
			t.Errorf("one folder more: %v", w)
		}
		if w := wider(&more, c); w != nil {
			t.Errorf("one folder less: %v", w)
		}
	})
}
