package address

import (
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Address
	}{
		{"builtin:lime.wasm", Address{Scheme: Builtin, Name: "lime.wasm"}},
		{"a/b c.wasm", Address{Path: filepath.FromSlash("a/b c.wasm")}},
		{"../x", Address{Path: filepath.FromSlash("../x")}},
		{`C:\x`, Address{Path: `C:\x`}},
		{"https://h:8443/p.wasm?q=1", Address{Scheme: HTTPS, URL: &url.URL{Scheme: "https", Host: "h:8443", Path: "/p.wasm", RawQuery: "q=1"}}},
		{"oci://ghcr.io/owner/a-b/c__d:1.0-rc", Address{Scheme: OCI, Host: "ghcr.io", Repository: "owner/a-b/c__d", Tag: "1.0-rc"}},
		{"oci://[::1]:5000/m@" + digest, Address{Scheme: OCI, Host: "[::1]:5000", Repository: "m", Digest: digest}},
		{"oci://h/m:1@" + digest, Address{Scheme: OCI, Host: "h", Repository: "m", Tag: "1", Digest: digest}},
		{"oci://h/m", Address{Scheme: OCI, Host: "h", Repository: "m"}},
	} {
		got, err := Parse(c.text)
		if err != nil {
			t.Errorf("Parse(%s): %v", c.text, err)
			continue
		}
		c.want.Text = c.text
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Parse(%s) (-want +got):\n%s", c.text, diff)
		}
		if want := c.want.Scheme == HTTPS || c.want.Scheme == OCI; got.Remote() != want {
			t.Errorf("%s is remote: %v", c.text, got.Remote())
		}
	}
}

func TestParseErrors(t *testing.T) {
	const oci = "an OCI address is a host"
	for text, want := range map[string]string{
		"ftp://x":                               `the scheme "ftp:" is unknown`,
		"http://x":                              "http:// is not authenticated",
		"builtin:../x":                          "a plain name",
		"builtin:":                              "a plain name",
		`\\host\x`:                              "a path on another machine",
		"//host/x":                              "a path on another machine",
		"file://host/x":                         "a file address is file://",
		"file:///x?y":                           "a file address is file://",
		"file:x":                                "it is no address",
		"https:x":                               "it is no address",
		"https://h/%zz":                         "it is no address",
		"https:///x":                            "it names no host",
		"https://:80/x":                         "it names no host",
		"https://user:word@h/x":                 "no user and no password",
		"https://h/x#y":                         "has no #",
		"https://пример.example/x":              "xn--",
		"https://-h/x":                          "is none",
		"oci://h":                               oci,
		"oci://h/":                              oci,
		"oci://h/UPPER":                         oci,
		"oci://h/a/../b":                        oci,
		"oci://h/a//b":                          oci,
		"oci://h/m?x":                           oci,
		"oci://h/%6d":                           oci,
		"oci://h/m:":                            oci,
		"oci://h/m:" + strings.Repeat("a", 129): oci,
		"oci://h/m@sha256:00":                   oci,
		"oci://h/m@sha512:" + strings.Repeat("0", 128): oci,
		"oci://u@h/m": "no user and no password",
	} {
		if a, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%s) = %+v, %v, want %q", text, a, err, want)
		}
	}
}

func TestIn(t *testing.T) {
	folder := t.TempDir()
	absolute := filepath.Join(folder, "m.wasm")
	address := "file://" + filepath.ToSlash(absolute)
	if runtime.GOOS == "windows" {
		address = "file:///" + filepath.ToSlash(absolute)
	}
	for text, want := range map[string]string{
		"m.wasm": filepath.Join("elsewhere", "m.wasm"), "../m.wasm": "m.wasm", absolute: absolute, address: absolute,
	} {
		a, err := Parse(text)
		if err != nil || a.In("elsewhere") != want {
			t.Errorf("%s is %s, %v, want %s", text, a.In("elsewhere"), err, want)
		}
	}
}

func TestPinned(t *testing.T) {
	a, err := Parse("oci://h:5000/a/b:1")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Pinned(digest); got != "oci://h:5000/a/b@"+digest {
		t.Errorf("Pinned = %s", got)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.3.2.1": true, "::1": true,
		"example.org": false, "localhost.example.org": false, "10.0.0.1": false, "0.0.0.0": false, "": false,
	} {
		if Loopback(host) != want {
			t.Errorf("Loopback(%q) = %v", host, !want)
		}
	}
}
