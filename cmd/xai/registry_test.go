package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xai-go/xai/internal/ocitest"
	"github.com/xai-go/xai/plugins"
)

// The variables by which scripts reach scripted.
const (
	rootsVariable  = "XAI_TEST_ROOTS"  // a file of certificates to trust
	policyVariable = "XAI_TEST_POLICY" // the machine's policy
)

// scripted is main for the scripts: it trusts the server of serve, and keeps to a
// policy of theirs.
func scripted() {
	if file := os.Getenv(rootsVariable); file != "" {
		data, err := os.ReadFile(file)
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(data) {
			panic(fmt.Sprintf("%s holds no certificates: %v", file, err))
		}
		os.Setenv("GODEBUG", "x509usefallbackroots=1")
		x509.SetFallbackRoots(pool)
	}
	policyFile = os.Getenv(policyVariable)
	main()
}

func init() {
	// serve: $WEB is the https:// address of a server of the folder www, and $OCI
	// the oci:// address of a registry, both of them on this machine. Whether
	// somebody was there is for contacted to say.
	scriptCommands["serve"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		files := http.FileServer(http.Dir(ts.MkAbs("www")))
		s := &served{}
		s.web = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.requests.Add(1)
			files.ServeHTTP(w, r)
		}))
		s.oci = httptest.NewServer(&s.registry)
		ts.Defer(s.web.Close)
		ts.Defer(s.oci.Close)
		roots := filepath.Join(ts.MkAbs("."), "roots.pem")
		ts.Check(os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.web.Certificate().Raw}), 0o600))
		ts.Setenv(rootsVariable, roots)
		ts.Setenv("WEB", s.web.URL)
		ts.Setenv("OCI", strings.Replace(s.oci.URL, "http://", "oci://", 1))
		servers.Store(ts, s)
		ts.Defer(func() { servers.Delete(ts) })
	}
	// contacted: the servers were asked for something since the last time.
	scriptCommands["contacted"] = func(ts *testscript.TestScript, neg bool, _ []string) {
		v, _ := servers.Load(ts)
		s := v.(*served)
		all := int(s.requests.Load()) + s.registry.Requests()
		if (all > s.seen) == neg {
			ts.Fatalf("there were %d requests", all-s.seen)
		}
		s.seen = all
	}
	// policy TEXT: the policy of the machine; an empty one is taken away.
	scriptCommands["policy"] = func(ts *testscript.TestScript, _ bool, args []string) {
		path := filepath.Join(ts.MkAbs("."), "policy.toml")
		ts.Check(os.WriteFile(path, []byte("schema = 1\n"+args[0]+"\n"), 0o600))
		ts.Setenv(policyVariable, path)
	}
	// replace FILE OLD NEW: once, where it is there.
	scriptCommands["replace"] = func(ts *testscript.TestScript, _ bool, args []string) {
		text := ts.ReadFile(args[0])
		if !strings.Contains(text, args[1]) {
			ts.Fatalf("%s has no %q", args[0], args[1])
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
	}
	// append FILE OTHER: what OTHER holds comes behind what FILE holds.
	scriptCommands["append"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile(args[0])+"\n"+ts.ReadFile(args[1])), 0o600))
	}
	// tagged FILE ADDRESS: every OCI address of a methods.toml becomes that one.
	scriptCommands["tagged"] = func(ts *testscript.TestScript, _ bool, args []string) {
		text := regexp.MustCompile(`"oci://[^"]*"`).ReplaceAllString(ts.ReadFile(args[0]), strconv.Quote(args[1]))
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
	}
	// hash FILE VARIABLE: its SHA-256.
	scriptCommands["hash"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv(args[1], sumOf([]byte(ts.ReadFile(args[0]))))
	}
	// value FILE KEY VARIABLE: what stands behind a key in a printed result.
	scriptCommands["value"] = func(ts *testscript.TestScript, _ bool, args []string) {
		for line := range strings.Lines(ts.ReadFile(args[0])) {
			if words := strings.Fields(line); len(words) == 2 && words[0] == args[1] {
				ts.Setenv(args[2], words[1])
				return
			}
		}
		ts.Fatalf("%s has no %s", args[0], args[1])
	}
}

// servers are those of the scripts, which run at once.
var servers sync.Map // from *testscript.TestScript to *served

// served is what serve started for a script.
type served struct {
	web, oci *httptest.Server
	registry ocitest.Registry
	requests atomic.Int64 // to web
	seen     int          // requests that contacted has seen
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// TestInterruptedFetch holds that an interrupt in the middle of a fetch ends the
// command soon, with its exit code, and leaves nothing half-written.
func TestInterruptedFetch(t *testing.T) {
	module, err := plugins.Builtin().Module("lime.wasm")
	if err != nil {
		t.Fatal(err)
	}
	module = append(bytes.Clone(module), "\x00\x05\x04note"...)
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LocalAppData", "AppData", "HOME", "DOCKER_CONFIG"} {
		t.Setenv(name, filepath.Join(dir, "home"))
	}
	if err := os.WriteFile("m.wasm", module, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	held := &ocitest.Registry{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/blobs/sha256:"+sumOf(module)) {
			held.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(module)))
		_, _ = w.Write(module[:1<<20])
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
		close(gone)
	}))
	t.Cleanup(server.Close)
	addr := strings.Replace(server.URL, "http://", "oci://", 1) + "/m:1"
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"plugin", "push", "m.wasm", addr}, nil, io.Discard, &stderr, os.Getenv); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	stderr.Reset()
	if code := run(ctx, []string{"plugin", "add", addr, "--yes", "--sha256", sumOf(module)}, nil, io.Discard, &stderr, os.Getenv); code != 5 || !strings.HasSuffix(stderr.String(), "error: interrupted\n") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	<-gone
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Base(path) != "m.wasm" && filepath.Ext(path) != ".lock" {
			t.Errorf("there is %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
