package install_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/install"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/internal/ocitest"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/signature"
	"github.com/xai-go/xai/registry/source"
)

func TestMain(m *testing.M) {
	core.WorkerMain() // modules are compiled apart
	os.Exit(m.Run())
}

// module is a small module that says it was lime; it compiles at once.
func module(t *testing.T) (data []byte, sum string) {
	t.Helper()
	data, err := os.ReadFile("../../examples/plugins/occlusion-c/occlusion.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if data, err = seal.Seal(data, lime(t), nil); err != nil {
		t.Fatal(err)
	}
	return data, sumOf(data)
}

// describing is module, saying that it was methods of these names.
func describing(t *testing.T, names ...string) (data []byte, sum string) {
	t.Helper()
	data, _ = module(t)
	var described []seal.Method
	for _, name := range names {
		m := lime(t)[0]
		m.Name = name
		described = append(described, m)
	}
	data, err := seal.Seal(data, described, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data, sumOf(data)
}

// lime is how the binary's lime describes itself.
func lime(t *testing.T) []seal.Method {
	t.Helper()
	data, err := plugins.Builtin().Module("lime.wasm")
	if err != nil {
		t.Fatal(err)
	}
	methods, err := seal.Methods(data)
	if err != nil || len(methods) != 1 {
		t.Fatalf("lime describes %v, %v", methods, err)
	}
	return methods
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// place is a folder with a project, and an installer of its own store and grants.
type place struct {
	*install.Installer
	dir, file string
	options   core.Options
	asked     []string // the questions of Confirm, with their facts
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir) // nobody's own credentials take part
	p := &place{dir: dir, file: filepath.Join(dir, "project", "methods.toml")}
	p.options = core.Options{
		Methods: core.Builtin(plugins.Builtin()), BuiltinOnly: true,
		GrantsFile: filepath.Join(dir, "grants.toml"), PolicyFile: filepath.Join(dir, "policy.toml"), CacheDir: filepath.Join(dir, "cache"),
	}
	p.open(t)
	return p
}

// open opens the host again, which reads the files again.
func (p *place) open(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(p.file); err == nil {
		p.options.Registry = p.file
	}
	host, err := core.New(p.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	var client *source.Client
	if p.Installer != nil {
		client = p.Client
	}
	p.Installer = &install.Installer{Host: host, Client: client}
}

// ask has Confirm answer.
func (p *place) ask(answer bool) {
	p.Confirm = func(_ context.Context, facts []string, question string) (bool, error) {
		p.asked = append(p.asked, strings.Join(append(facts, question), "\n"))
		return answer, nil
	}
}

func (p *place) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// declared returns what the project declares.
func (p *place) declared(t *testing.T) []registry.Method {
	t.Helper()
	data, err := os.ReadFile(p.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	f, err := registry.Parse(data, p.file)
	if err != nil {
		t.Fatal(err)
	}
	return f.Methods
}

// ready says whether the project's lime would run.
func (p *place) ready(t *testing.T) error {
	t.Helper()
	p.open(t)
	e, _, err := p.Host.Method("lime")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Host.Examine(t.Context(), e); err != nil {
		return err
	}
	ask, err := p.Host.Asks(e)
	if err == nil && ask != nil {
		err = &core.Error{Kind: core.KindMethod, Msg: ask.String()}
	}
	return err
}

// kind holds an error to its kind and to what it says.
func kind(t *testing.T, err error, want core.Kind, text string) {
	t.Helper()
	if err == nil || core.KindOf(err) != want || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v of kind %d, want one of kind %d that says %q", err, core.KindOf(err), want, text)
	}
}

func TestAddFile(t *testing.T) {
	p := newPlace(t)
	data, sum := module(t)
	path := p.write(t, "project/modules/lime.wasm", data)
	request := install.Request{Source: path, File: p.file}

	// Nobody can be asked.
	_, err := p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "method lime (sha256 "+sum+") wants to use the model's forward; to stand in place of")
	if e, ok := errors.AsType[*install.UngrantedError](err); !ok || len(e.Asks) != 1 || e.Denied {
		t.Errorf("the error is %#v", e)
	}
	// Somebody says no.
	p.ask(false)
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "nothing was changed: lime was not granted")
	if p.declared(t) != nil {
		t.Error("what was refused was declared")
	}
	request.SHA256 = strings.Repeat("0", 64)
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "was asked for")
	request.SHA256 = sum

	p.ask(true)
	p.asked = nil
	added, err := p.Add(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if len(added) != 1 || added[0].Name != "lime" || added[0].Change != seal.Added || added[0].Granted == nil || !added[0].ShadowsBuiltin || added[0].Behind != "" {
		t.Errorf("Add = %+v", added)
	}
	if len(p.asked) != 1 {
		t.Errorf("asked %q", p.asked)
	}
	if all := p.declared(t); len(all) != 1 || all[0].URL != "modules/lime.wasm" || all[0].SHA256 != sum || len(all[0].Params) == 0 {
		t.Errorf("declared is %+v", all)
	}
	if err := p.ready(t); err != nil {
		t.Error(err)
	}
	// Again, nothing is asked and nothing changes.
	p.asked = nil
	p.ask(false)
	if added, err = p.Add(t.Context(), request); err != nil || len(p.asked) != 0 || added[0].Change != seal.Unchanged || added[0].Granted != nil {
		t.Errorf("Add again = %+v, %v, asked %q", added, err, p.asked)
	}
	// What is taken back is asked for again.
	if taken, err := p.Host.Revoke(t.Context(), "lime"); err != nil || len(taken) != 1 || taken[0].SHA256 != sum {
		t.Errorf("Revoke = %v, %v", taken, err)
	}
	kind(t, p.ready(t), core.KindMethod, "wants to use the model's forward")
	if _, err := p.Fetch(t.Context(), true, "lime"); err != nil {
		t.Error(err)
	}
	if err := p.ready(t); err != nil {
		t.Error(err)
	}
}

func TestAddRefuses(t *testing.T) {
	data, sum := module(t)
	entry := func(change func(*registry.Method)) []byte {
		f, err := registry.Parse(plugins.Builtin().Registry, "methods.toml")
		if err != nil {
			t.Fatal(err)
		}
		f.Methods = slices.DeleteFunc(f.Methods, func(m registry.Method) bool { return m.Name != "lime" })
		f.Methods[0].URL, f.Methods[0].SHA256 = "lime.wasm", sum
		change(&f.Methods[0])
		text, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct {
		name   string
		files  map[string][]byte
		change func(*install.Request)
		source string // below the folder, unless change sets it
		kind   core.Kind
		text   string
	}{
		{name: "no file", source: "nothing.wasm", kind: core.KindInput, text: "it does not exist"},
		{name: "no name", change: func(r *install.Request) { r.Source = "nothing" }, kind: core.KindUsage, text: `there is no method and no file "nothing"`},
		{name: "http", change: func(r *install.Request) { r.Source = "http://127.0.0.1/m.wasm" }, kind: core.KindUsage, text: "nothing can be added from"},
		{name: "an address that is none", change: func(r *install.Request) { r.Source = "oci://127.0.0.1/UPPER" }, kind: core.KindInput, text: "the address"},
		{name: "a hash that is none", source: "lime.wasm", change: func(r *install.Request) { r.SHA256 = "ab" }, kind: core.KindUsage, text: "64 lower-case"},
		{name: "a key that is none", source: "lime.wasm", change: func(r *install.Request) { r.Signer = "RW" }, kind: core.KindUsage, text: "the signer is no key"},
		{name: "a name with a hash", change: func(r *install.Request) { r.Source, r.SHA256 = "lime", sum }, kind: core.KindUsage, text: "is declared in"},
		{name: "no such method in it", source: "lime.wasm", change: func(r *install.Request) { r.Names = []string{"lyme"} }, kind: core.KindUsage, text: `has no method "lyme"`},
		{name: "a text", files: map[string][]byte{"a.txt": []byte("hello")}, source: "a.txt", kind: core.KindInput, text: "a.txt:1:"},
		{name: "no methods", files: map[string][]byte{"e/methods.toml": []byte("schema = 1\n")}, source: "e", kind: core.KindInput, text: "declares no methods"},
		{name: "a hash of a file of declarations", files: map[string][]byte{"e.toml": entry(func(*registry.Method) {})}, source: "e.toml", change: func(r *install.Request) { r.SHA256 = sum }, kind: core.KindUsage, text: "says itself"},
		{name: "a module that says nothing", files: map[string][]byte{"plain.wasm": []byte(seal.Header)}, source: "plain.wasm", kind: core.KindInput, text: "does not say which methods it has"},
		{name: "a module cut short", files: map[string][]byte{"cut.wasm": data[:len(data)-3]}, source: "cut.wasm", kind: core.KindInput, text: "reaches beyond the module"},
		{name: "no code", files: map[string][]byte{"hollow.wasm": hollow(t)}, source: "hollow.wasm", kind: core.KindMethod, text: "has no code"},
		{name: "other bytes than declared", files: map[string][]byte{"e.toml": entry(func(m *registry.Method) { m.SHA256 = strings.Repeat("0", 64) })}, source: "e.toml", kind: core.KindMethod, text: "pins 0000"},
		{name: "fewer needs than it uses", files: map[string][]byte{"lime.wasm": greedy(t), "e.toml": entry(func(m *registry.Method) { m.SHA256 = sumOf(greedy(t)) })}, source: "e.toml", kind: core.KindMethod, text: "the need forward"},
		{name: "a newer ABI", files: map[string][]byte{"e.toml": entry(func(m *registry.Method) { m.ABI = "1.99" })}, source: "e.toml", kind: core.KindMethod, text: "speaks ABI 1.99"},
		{name: "no signature", source: "lime.wasm", change: func(r *install.Request) { r.Signer = newKey(t).Public().String() }, kind: core.KindMethod, text: "there is no signature"},
		{name: "a broken project", files: map[string][]byte{"project/methods.toml": []byte("schema = 3\nx = 1")}, source: "lime.wasm", kind: core.KindMethod, text: "schema newer than 1"},
		{name: "a policy for other sources", files: map[string][]byte{"policy.toml": []byte("schema = 1\nsources = [\"builtin:\"]\n")}, source: "lime.wasm", kind: core.KindMethod, text: "nothing may come from"},
		{name: "a policy that cannot be read", files: map[string][]byte{"policy.toml": []byte("schema = ")}, source: "lime.wasm", kind: core.KindMethod, text: "policy.toml:1:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.write(t, "lime.wasm", data)
			for name, content := range c.files {
				p.write(t, name, content)
			}
			r := install.Request{Source: filepath.Join(p.dir, filepath.FromSlash(c.source)), File: p.file, Granted: true}
			if c.change != nil {
				c.change(&r)
			}
			before, _ := os.ReadFile(p.file)
			_, err := p.Add(t.Context(), r)
			kind(t, err, c.kind, c.text)
			if after, _ := os.ReadFile(p.file); !bytes.Equal(before, after) {
				t.Errorf("the project has become %q", after)
			}
			if _, err := os.Stat(p.options.GrantsFile); err == nil {
				t.Error("something was granted")
			}
		})
	}
}

// greedy is a module that asks for forwards, and says that it needs none.
func greedy(t *testing.T) []byte {
	t.Helper()
	data, _ := module(t)
	modest := lime(t)
	modest[0].Needs = nil
	data, err := seal.Seal(data, modest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// hollow is a module that describes a method and has none.
func hollow(t *testing.T) []byte {
	t.Helper()
	data, err := seal.Seal([]byte(seal.Header), lime(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAddInvalidCode: what the compiler refuses is not declared.
func TestAddInvalidCode(t *testing.T) {
	export := func(name string, kind, index byte) string {
		return string(byte(len(name))) + name + string([]byte{kind, index})
	}
	section := func(id byte, content string) string { return string([]byte{id, byte(len(content))}) + content }
	module := seal.Header +
		section(1, "\x03\x60\x00\x01\x7f\x60\x01\x7f\x01\x7f\x60\x02\x7f\x7f\x01\x7f") + // three functions that return an i32
		section(3, "\x03\x00\x01\x02") +
		section(5, "\x01\x00\x01") +
		section(7, "\x04"+export("memory", 2, 0)+export("xai_abi", 0, 0)+export("xai_alloc", 0, 1)+export("xai_explain", 0, 2)) +
		section(10, "\x03\x02\x00\x0b\x02\x00\x0b\x02\x00\x0b") // and have nothing to return
	data, err := seal.Seal([]byte(module), lime(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	_, err = p.Add(t.Context(), install.Request{Source: p.write(t, "lime.wasm", data), File: p.file, Granted: true})
	kind(t, err, core.KindMethod, "not valid WebAssembly")
	if _, granted := os.Stat(p.options.GrantsFile); p.declared(t) != nil || granted == nil {
		t.Error("it was declared or granted")
	}
}

func newKey(t *testing.T) signature.PrivateKey {
	t.Helper()
	key, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, key signature.PrivateKey, data []byte) []byte {
	t.Helper()
	sig, err := key.Sign(bytes.NewReader(data), "test")
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestAddDeclarations(t *testing.T) {
	p := newPlace(t)
	data, sum := describing(t, "lime", "another")
	f, err := registry.Parse(plugins.Builtin().Registry, "methods.toml")
	if err != nil {
		t.Fatal(err)
	}
	m := f.Methods[slices.IndexFunc(f.Methods, func(m registry.Method) bool { return m.Name == "lime" })]
	m.URL, m.SHA256, m.Limits.Forwards = "lime.wasm", sum, 123
	second := m
	second.Name = "another"
	f.Methods = []registry.Method{m, second}
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "elsewhere/lime.wasm", data)
	folder := filepath.Dir(p.write(t, "elsewhere/methods.toml", text))
	added, err := p.Add(t.Context(), install.Request{Source: folder, Names: []string{"another"}, File: p.file, Granted: true})
	if err != nil || len(added) != 1 {
		t.Fatalf("Add = %v, %v", added, err)
	}
	second.URL = "../elsewhere/lime.wasm"
	if diff := cmp.Diff([]registry.Method{second}, p.declared(t)); diff != "" {
		t.Errorf("declared (-want +got):\n%s", diff)
	}
	if added, err = p.Add(t.Context(), install.Request{Source: folder, File: p.file, Absolute: true, Granted: true}); err != nil || len(added) != 2 {
		t.Fatalf("Add = %v, %v", added, err)
	}
	if all := p.declared(t); len(all) != 2 || all[0].Name != "another" || all[0].URL != filepath.ToSlash(filepath.Join(folder, "lime.wasm")) || added[1].Change != seal.Rewritten {
		t.Errorf("declared are %+v", all)
	}
	_, err = p.Add(t.Context(), install.Request{Source: p.file, File: p.file})
	kind(t, err, core.KindUsage, "is the file that methods would be added to")
}

// TestAddProcess: an executable is declared for all its platforms, that of this one
// is verified, and what its process may do is asked for.
func TestAddProcess(t *testing.T) {
	p := newPlace(t)
	program := []byte("#!/bin/sh\n")
	m := registry.Method{
		Name: "mine", Kind: registry.KindProcess, ABI: "1.0", Version: "1.0.0", Needs: []string{"forward"},
		Artifacts: []registry.Artifact{
			{OS: runtime.GOOS, Arch: runtime.GOARCH, URL: "bin/mine", SHA256: sumOf(program)},
			{OS: "plan9", Arch: "mips", URL: "https://127.0.0.1:1/mine", SHA256: strings.Repeat("0", 64)},
		},
		Confine: &registry.Confine{Landlock: true, Net: true},
	}
	f := registry.File{Path: "methods.toml", Methods: []registry.Method{m}}
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	source := p.write(t, "elsewhere/methods.toml", text)
	request := install.Request{Source: source, File: p.file}
	p.ask(true)
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "cannot read the executable")
	if len(p.asked) != 0 {
		t.Errorf("asked %q", p.asked)
	}
	p.write(t, "elsewhere/bin/mine", program)
	policy := p.write(t, "policy.toml", []byte("schema = 1\nnetwork = false\n"))
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "a process may not use the network")
	if err := os.Remove(policy); err != nil {
		t.Fatal(err)
	}
	added, err := p.Add(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if ask := added[0].Granted; ask == nil || !ask.Process || len(p.asked) != 1 || !strings.Contains(p.asked[0], "to run as a process of yours; to use the model's forward; to ") || !strings.Contains(p.asked[0], "to reach the network") {
		t.Errorf("granted %+v, asked %q", added[0].Granted, p.asked)
	}
	if all := p.declared(t); len(all) != 1 || len(all[0].Artifacts) != 2 || all[0].Artifacts[0].URL != "../elsewhere/bin/mine" || all[0].Artifacts[1].URL != m.Artifacts[1].URL {
		t.Errorf("declared are %+v", all)
	}
	// More than was granted is asked for.
	m.Confine.Env = []string{"HOME"}
	f.Methods[0] = m
	if text, err = f.Marshal(); err != nil {
		t.Fatal(err)
	}
	p.write(t, "elsewhere/methods.toml", text)
	p.ask(false)
	p.asked = nil
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "was not granted")
	if len(p.asked) != 1 || !strings.Contains(p.asked[0], "wants to read the environment variable HOME\n") {
		t.Errorf("asked %q", p.asked)
	}
	// A platform that it is not for.
	m.Artifacts = m.Artifacts[1:]
	f.Methods[0] = m
	if text, err = f.Marshal(); err != nil {
		t.Fatal(err)
	}
	p.write(t, "elsewhere/methods.toml", text)
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindInput, "there is no executable for "+runtime.GOOS)
}

func TestAddOverHTTPS(t *testing.T) {
	p := newPlace(t)
	data, sum := module(t)
	key := newKey(t)
	files := map[string][]byte{"/lime.wasm": data, "/lime.wasm.minisig": sign(t, key, data), "/unsigned.wasm": data}
	requests := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if content, ok := files[r.URL.Path]; ok {
			_, _ = w.Write(content)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	p.Client = &source.Client{Transport: server.Client().Transport}
	request := install.Request{Source: server.URL + "/lime.wasm", File: p.file, Granted: true}

	// What the policy forbids is not even asked for.
	policy := p.write(t, "policy.toml", []byte("schema = 1\nunsigned = false\n"))
	_, err := p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "nobody has signed it")
	if err := os.Remove(policy); err != nil || requests != 0 {
		t.Errorf("%d requests, %v", requests, err)
	}

	// Nothing vouches for what comes.
	_, err = p.Add(t.Context(), request)
	if e, ok := errors.AsType[*install.UntrustedError](err); !ok || e.SHA256 != sum || core.KindOf(err) != core.KindMethod {
		t.Errorf("Add = %v", err)
	}
	p.ask(false)
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "nothing says which bytes")
	if len(p.asked) != 1 || !strings.Contains(p.asked[0], sum) {
		t.Errorf("asked %q", p.asked)
	}
	request.SHA256 = strings.Repeat("0", 64)
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "was asked for")
	if p.declared(t) != nil {
		t.Error("what was refused was declared")
	}

	// A hash vouches, and so does a key.
	request.SHA256 = sum
	if _, err := p.Add(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if err := p.ready(t); err != nil {
		t.Error(err)
	}
	request.SHA256, request.Signer = "", newKey(t).Public().String()
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "should be by")
	request.Signer = key.Public().String()
	added, err := p.Add(t.Context(), request)
	if err != nil || added[0].Change != seal.Rewritten || p.declared(t)[0].Signer != request.Signer {
		t.Errorf("Add = %+v, %v", added, err)
	}
	request.Source = server.URL + "/unsigned.wasm"
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindMethod, "there is no signature")
	request.Source = server.URL + "/nothing.wasm"
	request.Signer = ""
	_, err = p.Add(t.Context(), request)
	kind(t, err, core.KindInput, "the server has no such file")

	// Somebody else's checkout: declared, and not fetched.
	p.options.CacheDir = filepath.Join(p.dir, "other cache")
	kind(t, p.ready(t), core.KindMethod, "was not fetched yet")
	before := requests
	if fetched, err := p.Add(t.Context(), install.Request{Source: "lime", File: p.file}); err != nil || fetched[0].Change != seal.Unchanged || requests == before {
		t.Errorf("Add by name = %+v, %v", fetched, err)
	}
	if err := p.ready(t); err != nil {
		t.Error(err)
	}
}

// TestFetchGoesOn holds that what one method lacks keeps none of the others away,
// and that all that is lacking is told.
func TestFetchGoesOn(t *testing.T) {
	p := newPlace(t)
	data, sum := describing(t, "gone", "here", "swapped")
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone.wasm" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	described, err := seal.Methods(data)
	if err != nil {
		t.Fatal(err)
	}
	params := described[0].Entry("m.wasm", sum).Params
	method := func(name, file, sum string) registry.Method {
		return registry.Method{Name: name, Kind: registry.KindWASM, URL: server.URL + "/" + file, SHA256: sum, ABI: "1.0", Version: "1.0.0", Needs: []string{"forward"}, Params: params}
	}
	f := registry.File{Path: p.file, Methods: []registry.Method{
		method("gone", "gone.wasm", strings.Repeat("1", 64)), method("here", "m.wasm", sum), method("swapped", "m.wasm", strings.Repeat("0", 64)),
		method("misnamed", "m.wasm", sum),
	}}
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "project/methods.toml", text)
	p.open(t)
	p.Client = &source.Client{Transport: server.Client().Transport}

	got, err := p.Fetch(t.Context(), true, "gone", "here", "swapped", "here")
	if len(got) != 1 || got[0].Name != "here" {
		t.Errorf("fetched %+v", got)
	}
	kind(t, err, core.KindMethod, "2 of 3 methods are not here, or may not run: gone, swapped")
	e, ok := errors.AsType[*install.FetchError](err)
	if !ok || len(e.Failures) != 2 {
		t.Fatalf("error = %v", err)
	}
	kind(t, e.Failures[0].Err, core.KindInput, "the server has no such file")
	kind(t, e.Failures[1].Err, core.KindMethod, "has sha256")
	if ask, err := p.Host.Asks(got[0].Entry); err != nil || ask != nil {
		t.Errorf("what is here was not granted: %v, %v", ask, err)
	}
	// One alone says itself what the matter is.
	_, err = p.Fetch(t.Context(), true, "misnamed")
	kind(t, err, core.KindMethod, "the module of method misnamed holds gone, here, swapped and no method of that name")
	_, err = p.Fetch(t.Context(), true, "gone")
	kind(t, err, core.KindInput, "the server has no such file")

	// What nobody grants may not run, and is told with the rest.
	p.options.GrantsFile = filepath.Join(p.dir, "others.toml")
	client := p.Client
	p.open(t)
	p.Client = client
	got, err = p.Fetch(t.Context(), false, "gone", "here")
	kind(t, err, core.KindMethod, "2 of 2 methods are not here, or may not run: gone, here")
	if len(got) != 0 {
		t.Errorf("fetched %+v", got)
	}
	_, err = p.Fetch(t.Context(), false, "here")
	if _, ok := errors.AsType[*install.UngrantedError](err); !ok {
		t.Errorf("error = %v", err)
	}
}

func TestPublishAndAdd(t *testing.T) {
	held := &ocitest.Registry{}
	server := httptest.NewServer(held)
	t.Cleanup(server.Close)
	addr := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/owner/lime:1.0.0"
	author := newPlace(t)
	data, sum := module(t)
	path := author.write(t, "lime.wasm", data)
	key := newKey(t)
	signer := key.Public().String()

	_, err := author.Publish(t.Context(), install.Publication{File: path, Address: addr, Signer: signer})
	kind(t, err, core.KindInput, "there is no signature of")
	author.write(t, "lime.wasm.minisig", sign(t, newKey(t), data))
	_, err = author.Publish(t.Context(), install.Publication{File: path, Address: addr, Signer: signer})
	kind(t, err, core.KindInput, "nothing is published: the method lime:")
	author.write(t, "lime.wasm.minisig", sign(t, key, data))
	_, err = author.Publish(t.Context(), install.Publication{File: path, Address: server.URL, Signer: signer})
	kind(t, err, core.KindUsage, "is no address of an OCI registry")
	if n := held.Requests(); n != 0 {
		t.Errorf("%d requests for what was refused", n)
	}
	published, err := author.Publish(t.Context(), install.Publication{File: path, Address: addr, Signer: signer})
	if err != nil || published.SHA256 != sum || !published.Signature || len(published.Methods) != 1 || published.Methods[0].URL != addr {
		t.Fatalf("Publish = %+v, %v", published, err)
	}
	_, digest, _ := strings.Cut(published.URL, "@")

	p := newPlace(t)
	_, err = p.Add(t.Context(), install.Request{Source: addr, File: p.file, Granted: true})
	if e, ok := errors.AsType[*install.UntrustedError](err); !ok || e.SHA256 != sum {
		t.Errorf("Add by a tag = %v", err)
	}
	for _, r := range []install.Request{{Source: addr, SHA256: sum}, {Source: published.URL}, {Source: addr, Signer: signer}} {
		p := newPlace(t)
		r.File, r.Granted = p.file, true
		added, err := p.Add(t.Context(), r)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		if m := added[0]; m.URL != published.URL || m.Digest != digest || m.Signer != signer || m.SHA256 != sum {
			t.Errorf("%+v: Add = %+v", r, m)
		}
		if err := p.ready(t); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	// The second time the module is in the store, and what is said of it comes anyway.
	p.asked = nil
	p.ask(true)
	added, err := p.Add(t.Context(), install.Request{Source: addr, File: p.file})
	if err != nil || added[0].URL != published.URL || len(p.asked) != 2 {
		t.Errorf("Add = %+v, %v, asked %q", added, err, p.asked)
	}

	t.Run("declarations beside the module", func(t *testing.T) {
		f := registry.File{Path: "methods.toml", Methods: slices.Clone(published.Methods)}
		f.Methods[0].URL, f.Methods[0].Limits.Forwards = "lime.wasm", 77
		text, err := f.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		author.write(t, "methods.toml", text)
		published, err := author.Publish(t.Context(), install.Publication{File: path, Address: addr})
		if err != nil || published.Methods[0].Limits.Forwards != 77 || published.Methods[0].Signer != signer {
			t.Errorf("Publish = %+v, %v", published, err)
		}
	})
	t.Run("an executable", func(t *testing.T) {
		path := author.write(t, "program", []byte("#!/bin/sh\n"))
		published, err := author.Publish(t.Context(), install.Publication{File: path, Address: addr})
		if err != nil || published.Content != registry.ContentExecutable || published.Methods != nil {
			t.Errorf("Publish = %+v, %v", published, err)
		}
	})
}

func TestLock(t *testing.T) {
	held := &ocitest.Registry{}
	server := httptest.NewServer(held)
	t.Cleanup(server.Close)
	addr := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/owner/lime:1.0.0"
	p := newPlace(t)
	data, sum := module(t)
	published, err := p.Publish(t.Context(), install.Publication{File: p.write(t, "lime.wasm", data), Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	f := &registry.File{Path: p.file, Methods: slices.Clone(published.Methods)}
	p.write(t, "project/methods.toml", nil)
	text, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "project/methods.toml", text)
	p.open(t)
	list, err := p.Host.Methods()
	if err != nil {
		t.Fatal(err)
	}
	lock, err := p.Lock(t.Context(), list, f)
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(published.URL, "@")
	if k := lock.Methods[0]; len(lock.Methods) != 1 || k.Digest != digest || k.SHA256 != sum {
		t.Errorf("Lock = %+v", lock)
	}
	if err := lock.Write(); err != nil {
		t.Fatal(err)
	}
	before := held.Requests()
	if again, err := p.Lock(t.Context(), list, f); err != nil || held.Requests() != before {
		t.Errorf("Lock again = %v, %v, after %d requests more", again, err, held.Requests()-before)
	} else if diff := cmp.Diff(lock, again); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
	// What the policy forbids is not asked for.
	if err := os.Remove(lock.Path); err != nil {
		t.Fatal(err)
	}
	p.write(t, "policy.toml", []byte("schema = 1\nsources = [\"builtin:\"]\n"))
	_, err = p.Lock(t.Context(), list, f)
	kind(t, err, core.KindMethod, "nothing may come from")
	if held.Requests() != before {
		t.Error("the registry was asked against the policy")
	}
}

func TestInterrupt(t *testing.T) {
	p := newPlace(t)
	data, _ := module(t)
	ctx, cancel := context.WithCancel(t.Context())
	p.Confirm = func(ctx context.Context, _ []string, _ string) (bool, error) {
		cancel()
		return false, ctx.Err()
	}
	_, err := p.Add(ctx, install.Request{Source: p.write(t, "lime.wasm", data), File: p.file})
	if !errors.Is(err, context.Canceled) || p.declared(t) != nil {
		t.Errorf("Add = %v, declared %v", err, p.declared(t))
	}
}

// TestAddIsAllOrNothing: where the declaration cannot be written nothing is granted,
// and where the grant cannot be remembered nothing is declared.
func TestAddIsAllOrNothing(t *testing.T) {
	data, _ := describing(t, "mine")
	t.Run("the file", func(t *testing.T) {
		p := newPlace(t)
		module := p.write(t, "m.wasm", data)
		p.write(t, "project", []byte("no folder"))
		if _, err := p.Add(t.Context(), install.Request{Source: module, File: p.file, Granted: true}); err == nil {
			t.Fatal("it was added")
		}
		if _, err := os.Stat(p.options.GrantsFile); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there are grants: %v", err)
		}
	})
	for _, there := range []bool{false, true} {
		t.Run(fmt.Sprintf("the grant, there %t", there), func(t *testing.T) {
			p := newPlace(t)
			module := p.write(t, "m.wasm", data)
			before := "# mine\nschema = 1\n"
			p.write(t, "project/note", nil)
			if there {
				p.write(t, "project/methods.toml", []byte(before))
			}
			p.options.GrantsFile = filepath.Join(module, "grants.toml")
			p.open(t)
			if _, err := p.Add(t.Context(), install.Request{Source: module, File: p.file, Granted: true}); err == nil {
				t.Fatal("it was added")
			}
			now, err := os.ReadFile(p.file)
			if there && string(now) != before || !there && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is %q, %v", now, err)
			}
		})
	}
}
