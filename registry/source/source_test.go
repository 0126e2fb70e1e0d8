package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/registry/signature"
)

// module is what the tests fetch; nothing compiles it.
const module = "\x00asm\x01\x00\x00\x00 and more"

// publisher draws a key and returns it with its signature of the module.
func publisher(t *testing.T) (signer, sig string) {
	t.Helper()
	key, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	data, err := key.Sign(strings.NewReader(module), "test")
	if err != nil {
		t.Fatal(err)
	}
	return key.Public().String(), string(data)
}

// client returns a client with an empty store, and the folder of that.
func client(t *testing.T) (*Client, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	// Nobody's own credentials take part in a test.
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	return &Client{Store: registry.NewStore(dir)}, dir
}

// stored returns how many files the store has.
func stored(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}

// web serves files over TLS.
func web(t *testing.T, files map[string]string, more func(mux *http.ServeMux)) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	for path, content := range files {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization") + r.Header.Get("Cookie"); got != "" {
				t.Errorf("the request carries %q", got)
			}
			fmt.Fprint(w, content)
		})
	}
	if more != nil {
		more(mux)
	}
	server := httptest.NewUnstartedServer(mux)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestFetchHTTPS(t *testing.T) {
	signer, sig := publisher(t)
	other, _ := publisher(t)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, module) }))
	t.Cleanup(plain.Close)
	loops := 0
	server := web(t, map[string]string{
		"/m.wasm": module, "/m.wasm.minisig": sig, "/unsigned.wasm": module, "/page": "<html>Not here</html>", "/empty": "",
		"/huge.wasm.minisig": strings.Repeat("x", 10_000), "/huge.wasm": module,
	}, func(mux *http.ServeMux) {
		mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/m.wasm", http.StatusFound) })
		mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) })
		mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
			loops++
			http.Redirect(w, r, "/loop", http.StatusFound)
		})
		mux.HandleFunc("/failure", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
		mux.HandleFunc("/announced", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(registry.MaxModule+1))
			fmt.Fprint(w, module)
		})
		mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
			chunk := []byte(module + strings.Repeat("x", 1<<20))
			for r.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
		mux.HandleFunc("/torn", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, module)
		})
	})
	sum := sumOf([]byte(module))

	for _, c := range []struct {
		name, path string
		want       Want
		refused    string // in the message; empty where it is fetched
	}{
		{"pinned", "/m.wasm", Want{SHA256: sum}, ""},
		{"pinned and signed", "/m.wasm", Want{SHA256: sum, Signer: signer}, ""},
		{"not pinned", "/m.wasm", Want{}, ""},
		{"redirected", "/moved", Want{SHA256: sum}, ""},
		{"executable", "/page", Want{Content: registry.ContentExecutable}, ""},
		{"other bytes", "/page", Want{Name: "m", SHA256: sum}, "method m: URL/page has sha256 "},
		{"a page", "/page", Want{}, "URL/page is no WebAssembly module; check the address"},
		{"nothing", "/empty", Want{}, "URL/empty is no WebAssembly module; check the address"},
		{"no such file", "/none", Want{SHA256: sum}, "cannot fetch URL/none: the server has no such file"},
		{"failure", "/failure", Want{SHA256: sum}, "cannot fetch URL/failure: the server answered 418 I'm a teapot"},
		{"no signature", "/unsigned.wasm", Want{SHA256: sum, Signer: signer}, "there is no signature URL/unsigned.wasm.minisig; ask the publisher for it"},
		{"another's signature", "/m.wasm", Want{SHA256: sum, Signer: other}, "the signature URL/m.wasm.minisig does not hold: the signature is by the key "},
		{"huge signature", "/huge.wasm", Want{SHA256: sum, Signer: signer}, "the signature has more than 4096 bytes"},
		{"redirected to a plain connection", "/plain", Want{SHA256: sum}, ", which is not authenticated"},
		{"redirected for ever", "/loop", Want{SHA256: sum}, "cannot fetch URL/loop: it was redirected more than 5 times"},
		{"too large, as announced", "/announced", Want{SHA256: sum}, "it has 33554433 bytes, and at most 33554432 are fetched"},
		{"too large", "/endless", Want{SHA256: sum}, "the module has more than 33554432 bytes"},
		{"torn", "/torn", Want{SHA256: sum}, "cannot fetch URL/torn: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, dir := client(t)
			cl.Transport = server.Client().Transport
			got, err := cl.Fetch(t.Context(), server.URL+c.path, c.want)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.refused, "URL", server.URL)) {
					t.Errorf("error = %v, want %s", err, c.refused)
				}
				if n := stored(t, dir); n != 0 {
					t.Errorf("the store has %d files", n)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(got.Path); err != nil || sumOf(data) != got.SHA256 || got.URL != server.URL+c.path || got.Digest != "" {
				t.Errorf("Fetch = %+v, holding %q, %v", got, data, err)
			}
			files := 1
			if c.want.Signer != "" {
				files = 2
			}
			if n := stored(t, dir); n != files {
				t.Errorf("the store has %d files, want %d", n, files)
			}
		})
	}
	if loops > maxRedirects+1 {
		t.Errorf("a loop was followed %d times", loops)
	}
	t.Run("what is there is not fetched again", func(t *testing.T) {
		cl, _ := client(t)
		cl.Transport = server.Client().Transport
		if _, err := cl.Fetch(t.Context(), server.URL+"/m.wasm", Want{SHA256: sum}); err != nil {
			t.Fatal(err)
		}
		got, err := cl.Fetch(t.Context(), "https://nowhere.invalid/m.wasm", Want{SHA256: sum})
		if err != nil || got.SHA256 != sum {
			t.Errorf("Fetch = %v, %v", got, err)
		}
		// A signature is missing yet, so that the server is asked.
		if _, err := cl.Fetch(t.Context(), server.URL+"/m.wasm", Want{SHA256: sum, Signer: signer}); err != nil {
			t.Error(err)
		}
	})
	t.Run("an unknown certificate", func(t *testing.T) {
		cl, _ := client(t)
		cl.Transport = &http.Transport{TLSClientConfig: &tls.Config{}}
		if _, err := cl.Fetch(t.Context(), server.URL+"/m.wasm", Want{SHA256: sum}); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestFetchEnds(t *testing.T) {
	asked := make(chan struct{}, 2)
	server := web(t, nil, func(mux *http.ServeMux) {
		mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		})
	})
	cl, _ := client(t)
	cl.Transport = server.Client().Transport
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := cl.Fetch(ctx, server.URL+"/m.wasm", Want{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: error = %v", err)
	}
	cl.Timeout = time.Millisecond
	if _, err := cl.Fetch(t.Context(), server.URL+"/m.wasm", Want{}); err == nil || err.Error() != "cannot fetch "+server.URL+"/m.wasm: it took more than 1ms" {
		t.Errorf("too slow: error = %v", err)
	}
}

func TestFetchFile(t *testing.T) {
	folder := t.TempDir()
	signer, sig := publisher(t)
	for name, content := range map[string]string{"m.wasm": module, "m.wasm.minisig": sig, "unsigned.wasm": module} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	sum := sumOf([]byte(module))
	for _, c := range []struct {
		name, addr string
		want       Want
		refused    string
	}{
		{"relative", "m.wasm", Want{SHA256: sum, Signer: signer}, ""},
		{"absolute", filepath.Join(folder, "m.wasm"), Want{}, ""},
		{"none", "none.wasm", Want{}, "cannot read the module: "},
		{"a folder", ".", Want{}, "is a folder and must be a regular file"},
		{"other bytes", "m.wasm", Want{SHA256: strings.Repeat("0", 64)}, "m.wasm has sha256 " + sum + ", but " + strings.Repeat("0", 64) + " was asked for"},
		{"no signature", "unsigned.wasm", Want{Signer: signer}, "there is no signature " + filepath.Join(folder, "unsigned.wasm.minisig")},
		{"embedded", "builtin:m.wasm", Want{}, "there is nothing to fetch"},
		{"no address", "http://example.org/m.wasm", Want{}, "http:// is not authenticated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, dir := client(t)
			c.want.Folder = folder
			got, err := cl.Fetch(t.Context(), c.addr, c.want)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) || stored(t, dir) != 0 {
					t.Errorf("error = %v, want %s; the store has %d files", err, c.refused, stored(t, dir))
				}
				return
			}
			if err != nil || got.SHA256 != sum || got.URL != c.addr {
				t.Errorf("Fetch = %+v, %v", got, err)
			}
		})
	}
}

// TestFetchEntry holds that what was fetched is what a loader finds.
func TestFetchEntry(t *testing.T) {
	signer, sig := publisher(t)
	server := web(t, map[string]string{"/m": module, "/m.minisig": sig}, nil)
	cl, _ := client(t)
	cl.Transport = server.Client().Transport
	m := registry.Method{Name: "m", Kind: registry.KindWASM, URL: server.URL + "/m", SHA256: sumOf([]byte(module)), ABI: "1.0", Version: "1.0.0", Signer: signer}
	e := registry.Entry{Method: m, File: &registry.File{Path: "methods.toml"}}
	loader := registry.Loader{Store: cl.Store}
	if _, err := cl.FetchEntry(t.Context(), e, runtime.GOOS, runtime.GOARCH); err != nil {
		t.Fatal(err)
	}
	if got, err := loader.Module(t.Context(), e); err != nil || string(got) != module {
		t.Errorf("Module = %q, %v", got, err)
	}
	p := e
	p.Kind, p.URL, p.SHA256 = registry.KindProcess, "", ""
	p.Artifacts = []registry.Artifact{{OS: runtime.GOOS, Arch: runtime.GOARCH, URL: server.URL + "/m", SHA256: m.SHA256}}
	got, err := cl.FetchEntry(t.Context(), p, runtime.GOOS, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	path, err := loader.Executable(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(path, got.Path); diff != "" {
		t.Errorf("the executable was not put where it is looked for (-loader +fetched):\n%s", diff)
	}
	_, err = cl.FetchEntry(t.Context(), p, "plan9", "mips")
	if _, ok := errors.AsType[*registry.UnsupportedError](err); !ok {
		t.Errorf("FetchEntry for another platform = %v", err)
	}
}
