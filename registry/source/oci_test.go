package source

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/xai-go/xai/registry"
)

// registryServer is an OCI registry in memory, on the loopback.
type registryServer struct {
	host string

	mu        sync.Mutex
	blobs     map[string][]byte
	manifests map[string][]byte // by tag and by digest
	types     map[string]string // media types of manifests
	user      string            // "name:password" that every request must have; empty for none
	puts      int
	tamper    func(w http.ResponseWriter, r *http.Request) bool // answers in place of the registry
}

func serveRegistry(t *testing.T) *registryServer {
	t.Helper()
	s := &registryServer{blobs: map[string][]byte{}, manifests: map[string][]byte{}, types: map[string]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *registryServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tamper != nil && s.tamper(w, r) {
		return
	}
	if user, password, _ := r.BasicAuth(); s.user != "" && s.user != user+":"+password {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	rest := r.URL.Path[strings.LastIndex(r.URL.Path[:strings.LastIndexByte(r.URL.Path, '/')], "/")+1:]
	kind, name, _ := strings.Cut(rest, "/")
	switch {
	case r.Method == http.MethodPost:
		w.Header().Set("Location", strings.TrimSuffix(r.URL.Path, "/")+"/1")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		data, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.puts++
		digest := "sha256:" + sumOf(data)
		if kind == "manifests" {
			s.put(name, data)
			s.types[name], s.types[digest] = r.Header.Get("Content-Type"), r.Header.Get("Content-Type")
		} else if digest != r.URL.Query().Get("digest") {
			w.WriteHeader(http.StatusBadRequest)
			return
		} else {
			s.blobs[digest] = data
		}
		w.Header().Set("Docker-Content-Digest", digest)
		w.WriteHeader(http.StatusCreated)
	case kind == "blobs":
		w.Header().Set("Docker-Content-Digest", name) // whatever it sends
		s.answer(w, r, s.blobs[name], "application/octet-stream")
	case kind == "manifests":
		w.Header().Set("Docker-Content-Digest", "sha256:"+sumOf(s.manifests[name]))
		s.answer(w, r, s.manifests[name], s.types[name])
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// put keeps a manifest under a tag and under its digest.
func (s *registryServer) put(tag string, data []byte) (digest string) {
	digest = "sha256:" + sumOf(data)
	s.manifests[tag], s.manifests[digest] = data, data
	s.types[tag], s.types[digest] = ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageManifest
	return digest
}

func (s *registryServer) answer(w http.ResponseWriter, r *http.Request, data []byte, mediaType string) {
	if data == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(data)
	}
}

// methods declares the methods of the module.
func methods(t *testing.T, signer string) []byte {
	t.Helper()
	f := registry.File{Path: "methods.toml", Methods: []registry.Method{
		{Name: "one", Kind: registry.KindWASM, URL: "m.wasm", SHA256: sumOf([]byte(module)), ABI: "1.0", Version: "1.0.0", Needs: []string{"forward"}, Signer: signer},
		{Name: "two", Kind: registry.KindWASM, URL: "m.wasm", SHA256: sumOf([]byte(module)), ABI: "1.0", Version: "1.0.0", Signer: signer},
	}}
	data, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPushAndPull(t *testing.T) {
	s := serveRegistry(t)
	signer, sig := publisher(t)
	author, _ := client(t)
	p := Package{Data: []byte(module), Methods: methods(t, signer), Signature: []byte(sig)}
	addr := "oci://" + s.host + "/owner/m:1.0.0"
	pinned, err := author.Push(t.Context(), addr, p)
	if err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + sumOf(s.manifests["1.0.0"])
	if want := "oci://" + s.host + "/owner/m@" + digest; pinned != want {
		t.Errorf("Push = %s, want %s", pinned, want)
	}
	puts := s.puts
	if again, err := author.Push(t.Context(), addr, p); err != nil || again != pinned || s.puts != puts+1 {
		t.Errorf("Push again = %s, %v, after %d uploads more; want the manifest alone", again, err, s.puts-puts)
	}

	sum := sumOf([]byte(module))
	for _, from := range []string{addr, pinned, "oci://" + s.host + "/owner/m:2@" + digest} {
		user, _ := client(t)
		got, err := user.Fetch(t.Context(), from, Want{Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range got.Methods.Methods {
			names = append(names, m.Name+" "+m.URL+" "+m.SHA256)
		}
		if diff := cmp.Diff([]string{"one " + pinned + " " + sum, "two " + pinned + " " + sum}, names); diff != "" {
			t.Errorf("methods (-want +got):\n%s", diff)
		}
		if got.SHA256 != sum || got.URL != pinned || got.Digest != digest {
			t.Errorf("Fetch(%s) = %+v", from, got)
		}
		e := registry.Entry{Method: got.Methods.Methods[0], File: got.Methods}
		if data, err := (registry.Loader{Store: user.Store}).Module(t.Context(), e); err != nil || string(data) != module {
			t.Errorf("Module = %q, %v", data, err)
		}
	}
	t.Run("an executable", func(t *testing.T) {
		pinned, err := author.Push(t.Context(), "oci://"+s.host+"/owner/p:1", Package{Content: registry.ContentExecutable, Data: []byte("program"), Signature: []byte("no one verifies it")})
		if err != nil {
			t.Fatal(err)
		}
		e := registry.Entry{File: &registry.File{Path: "f"}, Method: registry.Method{
			Name: "p", Kind: registry.KindProcess, Artifacts: []registry.Artifact{{OS: runtime.GOOS, Arch: runtime.GOARCH, URL: pinned, SHA256: sumOf([]byte("program"))}},
		}}
		user, _ := client(t)
		if _, err := user.FetchEntry(t.Context(), e, runtime.GOOS, runtime.GOARCH); err != nil {
			t.Fatal(err)
		}
		if _, err := (registry.Loader{Store: user.Store}).Executable(t.Context(), e); err != nil {
			t.Error(err)
		}
	})
	t.Run("digests", func(t *testing.T) {
		f := &registry.File{Path: "methods.toml", Methods: []registry.Method{
			{Name: "a", Kind: registry.KindWASM, URL: addr, SHA256: sum}, {Name: "b", Kind: registry.KindWASM, URL: pinned, SHA256: sum}, {Name: "c", Kind: registry.KindWASM, URL: "c.wasm", SHA256: sum},
		}}
		got, err := author.Digests(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{addr: digest}, got); diff != "" {
			t.Errorf("Digests (-want +got):\n%s", diff)
		}
		f.Methods[0].SHA256 = strings.Repeat("0", 64)
		_, err = author.Digests(t.Context(), f)
		if e, ok := errors.AsType[*registry.HashError](err); !ok || e.Name != "a" || e.Got != sum {
			t.Errorf("Digests of what was replaced = %v", err)
		}
	})
}

// TestPull changes one thing in a good artefact a case.
func TestPull(t *testing.T) {
	signer, sig := publisher(t)
	other, _ := publisher(t)
	type object = map[string]any
	layers := func(m object) []any { return m["layers"].([]any) }
	layer := func(m object, i int) object { return layers(m)[i].(object) }
	huge := 1 << 62
	for _, c := range []struct {
		name   string
		change func(m object) // of the manifest
		server func(s *registryServer)
		addr   string // "" is the tag
		want   Want
		errors any    // a pointer to the type of the error; nil where it is fetched
		msg    string // in the message
	}{
		{name: "good"},
		{name: "signed", want: Want{Signer: signer}},
		{name: "names of files", change: func(m object) {
			for i := range layers(m) {
				layer(m, i)["annotations"] = object{"org.opencontainers.image.title": "../../../../etc/passwd"}
			}
			m["annotations"] = object{"org.opencontainers.image.title": "/etc/passwd"}
		}},
		{name: "layers of others", change: func(m object) {
			m["layers"] = append(layers(m), object{"mediaType": "text/markdown", "digest": "sha256:zzz", "size": -1})
		}},
		{name: "addresses elsewhere and data", change: func(m object) {
			layer(m, 0)["urls"], layer(m, 0)["data"] = []string{"http://127.0.0.1:1/"}, "AAAA"
		}},
		{name: "another signer", want: Want{Signer: other}, errors: new(*registry.SignatureError), msg: "should be by"},
		{name: "no signature", change: func(m object) { m["layers"] = layers(m)[:2] }, want: Want{Signer: signer}, errors: new(*registry.SignatureError), msg: "there is no signature in ADDR"},
		{name: "other bytes", want: Want{Name: "m", SHA256: strings.Repeat("0", 64)}, errors: new(*registry.HashError), msg: "method m: ADDR has sha256"},
		{name: "no such tag", addr: "/owner/m:2", errors: new(*Error), msg: "cannot fetch ADDR: the registry has no such artefact"},
		{name: "no tag", addr: "/owner/m", errors: new(*Error), msg: "the registry has no such artefact"},
		{name: "no such digest", addr: "/owner/m@sha256:" + strings.Repeat("0", 64), errors: new(*Error), msg: "the registry has no such artefact"},

		{name: "an index", change: func(m object) { clear(m); m["schemaVersion"], m["manifests"] = 2, []any{} }, errors: new(*ManifestError), msg: "it is an index"},
		{name: "an index by its type", change: func(m object) { m["mediaType"] = ocispec.MediaTypeImageIndex }, errors: new(*ManifestError), msg: "it is an index"},
		{name: "another schema", change: func(m object) { m["schemaVersion"] = 1 }, errors: new(*ManifestError), msg: "its manifest is no application/vnd.oci.image.manifest.v1+json"},
		{name: "an image", change: func(m object) { m["config"] = object{"mediaType": ocispec.MediaTypeImageConfig} }, errors: new(*ManifestError), msg: "its configuration is of the type"},
		{name: "no layers", change: func(m object) { m["layers"] = []any{} }, errors: new(*ManifestError), msg: "it has no layer of the type application/wasm"},
		{name: "two modules", change: func(m object) { m["layers"] = append(layers(m), layer(m, 0)) }, errors: new(*ManifestError), msg: "it has several layers of the type application/wasm"},
		{name: "many layers", change: func(m object) {
			for range 1000 {
				m["layers"] = append(layers(m), layer(m, 0))
			}
		}, errors: new(*ManifestError), msg: "it has 1003 layers and may have 16"},
		{name: "a huge module", change: func(m object) { layer(m, 0)["size"] = huge }, errors: new(*ManifestError), msg: "has 4611686018427387904 bytes and may have from 1 to 33554432"},
		{name: "huge declarations", change: func(m object) { layer(m, 1)["size"] = huge }, errors: new(*ManifestError), msg: "may have from 1 to 1048576"},
		{name: "a huge signature", change: func(m object) { layer(m, 2)["size"] = huge }, errors: new(*ManifestError), msg: "may have from 1 to 4096"},
		{name: "a size below zero", change: func(m object) { layer(m, 0)["size"] = -1 }, errors: new(*ManifestError), msg: "has -1 bytes"},
		{name: "a size that is none", change: func(m object) { layer(m, 0)["size"] = "1" }, errors: new(*ManifestError), msg: "not JSON of the right form"},
		{name: "another hash", change: func(m object) { layer(m, 0)["digest"] = "sha512:" + strings.Repeat("0", 128) }, errors: new(*ManifestError), msg: "should have one by sha256"},
		{name: "a digest that is a path", change: func(m object) { layer(m, 0)["digest"] = "sha256:../../../blobs" }, errors: new(*ManifestError), msg: "should have one by sha256"},
		{name: "a module that is not there", change: func(m object) { layer(m, 0)["digest"] = "sha256:" + strings.Repeat("0", 64) }, want: Want{}, errors: new(*ManifestError), msg: "the method one that it declares is not in its module"},
		{name: "a size that is too small", change: func(m object) { layer(m, 0)["size"] = 5 }, errors: new(*Error), msg: "mismatch Content-Length"},
		{name: "a manifest too large", change: func(m object) { m["annotations"] = object{"a": strings.Repeat("x", maxManifest)} }, errors: new(*ManifestError), msg: "its manifest has "},
		{name: "declarations of other bytes", server: func(s *registryServer) { s.blobs["methods"] = []byte("schema = 1\n") }, errors: new(*Error), msg: "cannot fetch ADDR: "},
		{name: "a module of other bytes", server: func(s *registryServer) { s.blobs["module"] = []byte(strings.Replace(module, "more", "less", 1)) }, errors: new(*registry.HashError), msg: "ADDR has sha256"},
		{name: "a manifest of other bytes", server: func(s *registryServer) {
			s.tamper = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					return false
				}
				data := s.manifests["1"]
				w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
				w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
				w.Header().Set("Content-Length", fmt.Sprint(len(data)))
				_, _ = w.Write(data)
				return true
			}
		}, errors: new(*ManifestError), msg: "its manifest should have the digest sha256:0000"},
		{name: "a web page", server: func(s *registryServer) {
			s.tamper = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<html>")
				return true
			}
		}, errors: new(*ManifestError), msg: `its manifest is of the type "text/html"`},
		{name: "a failure that writes on the terminal", server: func(s *registryServer) {
			s.tamper = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusInternalServerError)
				fmt.Fprint(w, `{"errors": [{"code": "X", "message": "\u001b[2Jlook\nhere"}]}`)
				return true
			}
		}, errors: new(*Error), msg: "cannot fetch ADDR: the registry answered 500 Internal Server Error: x:  [2Jlook here"},
		{name: "a redirect to another machine without encryption", server: func(s *registryServer) {
			s.tamper = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, "http://192.0.2.1/v2/", http.StatusTemporaryRedirect)
				return true
			}
		}, errors: new(*Error), msg: "it leads to http://192.0.2.1/v2/, which is not authenticated"},
		{name: "credentials wanted", server: func(s *registryServer) { s.user = "me:secret" }, errors: new(*Error), msg: "the registry wants to know who asks; log in with: docker login HOST"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveRegistry(t)
			blobs, built, err := buildManifest(Package{Data: []byte(module), Methods: methods(t, ""), Signature: []byte(sig)})
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range blobs {
				s.blobs[b.Digest.String()] = b.data
			}
			data := built.data
			if c.change != nil {
				var m object
				if err := json.Unmarshal(data, &m); err != nil {
					t.Fatal(err)
				}
				c.change(m)
				if data, err = json.Marshal(m); err != nil {
					t.Fatal(err)
				}
			}
			s.put("1", data)
			if c.server != nil {
				c.server(s)
				for i, name := range []string{"module", "methods"} {
					if changed, ok := s.blobs[name]; ok {
						s.blobs[blobs[i].Digest.String()] = changed
					}
				}
			}
			addr := c.addr
			if addr == "" {
				addr = "/owner/m:1"
			}
			addr = "oci://" + s.host + addr
			cl, dir := client(t)
			got, err := cl.Fetch(t.Context(), addr, c.want)
			if c.errors == nil {
				if err != nil {
					t.Fatal(err)
				}
				if rel, err := filepath.Rel(dir, got.Path); err != nil || !filepath.IsLocal(rel) {
					t.Errorf("Path = %s, outside of %s", got.Path, dir)
				}
				return
			}
			msg := strings.NewReplacer("ADDR", addr, "HOST", s.host).Replace(c.msg)
			if err == nil || !errors.As(err, c.errors) || !strings.Contains(err.Error(), msg) {
				t.Errorf("error = %T %v, want %T with %s", err, err, c.errors, msg)
			}
			if strings.ContainsAny(fmt.Sprint(err), "\n\x1b") {
				t.Errorf("the error is not one line of text: %q", err)
			}
			if n := stored(t, dir); n != 0 {
				t.Errorf("the store has %d files", n)
			}
		})
	}
}

func TestPushRefuses(t *testing.T) {
	s := serveRegistry(t)
	signer, _ := publisher(t)
	_, foreign := publisher(t)
	good := "oci://" + s.host + "/owner/m:1"
	for _, c := range []struct {
		name, addr string
		p          Package
		want       string
	}{
		{"no tag", "oci://" + s.host + "/owner/m", Package{Data: []byte(module)}, "with a tag"},
		{"a digest", good + "@sha256:" + strings.Repeat("0", 64), Package{Data: []byte(module)}, "with a tag"},
		{"https", "https://example.org/m", Package{Data: []byte(module)}, "with a tag"},
		{"nothing", good, Package{}, "nothing is published: the module has 0 bytes"},
		{"no module", good, Package{Data: []byte("text")}, "nothing is published: the module is no WebAssembly module"},
		{"malformed declarations", good, Package{Data: []byte(module), Methods: []byte("schema = 0")}, "its declarations of methods are malformed: methods.toml:1: schema must be 1"},
		{"no declarations", good, Package{Data: []byte(module), Methods: []byte("schema = 1")}, "its declarations of methods declare none"},
		{"declarations of another module", good, Package{Data: []byte(module + "!"), Methods: methods(t, "")}, "the method one that it declares is not in its module"},
		{"a signer and no signature", good, Package{Data: []byte(module), Methods: methods(t, signer)}, "the method one names a signer, and there is no signature"},
		{"a signer and another's signature", good, Package{Data: []byte(module), Methods: methods(t, signer), Signature: []byte(foreign)}, "should be by"},
		{"an executable with methods", good, Package{Content: registry.ContentExecutable, Data: []byte("p"), Methods: methods(t, "")}, "go with a module alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, _ := client(t)
			at, err := cl.Push(t.Context(), c.addr, c.p)
			if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Push = %s, %v, want %s", at, err, c.want)
			}
		})
	}
	if s.puts != 0 {
		t.Errorf("the registry got %d uploads", s.puts)
	}
}

// TestCredentials holds that Docker's configuration is used for the registry
// that it names, and for no other.
func TestCredentials(t *testing.T) {
	s := serveRegistry(t)
	s.user = "me:secret"
	cl, _ := client(t)
	config := fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, s.host, base64.StdEncoding.EncodeToString([]byte(s.user)))
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := "oci://" + s.host + "/owner/m:1"
	if _, err := cl.Push(t.Context(), addr, Package{Data: []byte(module)}); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Fetch(t.Context(), addr, Want{}); err != nil {
		t.Error(err)
	}
	cl.Anonymous = true
	if _, err := cl.Fetch(t.Context(), addr, Want{}); err == nil || !strings.Contains(err.Error(), "docker login") {
		t.Errorf("anonymous: error = %v", err)
	}
	cl.Anonymous = false
	asked := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(elsewhere.Close)
	s.tamper = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "" {
			return false
		}
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		return true
	}
	if _, err := cl.Fetch(t.Context(), addr, Want{}); err == nil {
		t.Error("a redirect to nothing was fetched")
	}
	select {
	case got := <-asked:
		if got != "" {
			t.Errorf("another server got %q", got)
		}
	default:
		t.Error("the redirect was not followed")
	}
	// A configuration that cannot be read hinders those who publish alone.
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.tamper = nil
	if _, err := cl.Push(t.Context(), addr, Package{Data: []byte(module)}); err == nil || !strings.Contains(err.Error(), "the credentials of Docker's configuration cannot be had") {
		t.Errorf("a broken configuration: error = %v", err)
	}
	s.user = ""
	if _, err := cl.Fetch(t.Context(), addr, Want{}); err != nil {
		t.Error(err)
	}
}

// FuzzManifest holds that no manifest makes parseManifest panic, and that what
// it accepts is within bounds.
func FuzzManifest(f *testing.F) {
	for _, p := range []Package{{Data: []byte(module), Methods: []byte("x"), Signature: []byte("y")}, {Content: registry.ContentExecutable, Data: []byte("p")}} {
		_, m, err := buildManifest(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.data)
	}
	for _, seed := range []string{"", "null", "[]", `{"manifests":[]}`, `{"schemaVersion":2,"layers":[{"mediaType":"application/wasm","size":1e3}]}`, strings.Repeat("[", 1000)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range []registry.Content{registry.ContentModule, registry.ContentExecutable} {
			m, err := parseManifest(data, c)
			if err != nil {
				continue
			}
			for _, d := range []*ocispec.Descriptor{&m.content, m.methods, m.signature} {
				if d == nil {
					continue
				}
				if d.Size < 1 || d.Size > c.Limit() || d.Digest.Validate() != nil {
					t.Errorf("%+v was accepted", d)
				}
			}
		}
	})
}
