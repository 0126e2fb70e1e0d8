package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
)

// TestExecutables: what the headers of programs for other systems say.
func TestExecutables(t *testing.T) {
	if testing.Short() {
		t.Skip("the compiler takes a while")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []executable{
		{Format: "ELF", OS: "linux", Arch: "amd64", Static: true},
		{Format: "Mach-O", OS: "darwin", Arch: "arm64"},
		{Format: "PE", OS: "windows", Arch: "amd64"},
	} {
		out := filepath.Join(dir, "out")
		build := exec.Command("go", "build", "-o", out, source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+c.OS, "GOARCH="+c.Arch)
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readExecutable(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if !c.Static && len(got.Libraries) == 0 {
			t.Errorf("%s/%s asks for no library", c.OS, c.Arch)
		}
		got.Libraries, got.Runs = nil, false
		if diff := cmp.Diff(&c, got); diff != "" {
			t.Error(diff)
		}
		for n := 8; n < len(b); n = 3*n/2 + 1 { // cut anywhere
			if x, err := readExecutable(bytes.NewReader(b[:n])); x == nil && err == nil {
				t.Errorf("%s/%s cut at byte %d is no executable any more", c.OS, c.Arch, n)
			}
		}
	}
}

func TestScripts(t *testing.T) {
	for text, want := range map[string]string{
		"#!/usr/bin/env python3\nPK": "/usr/bin/env python3", "#! /bin/sh": "/bin/sh", "#!\xff\x1b[31m\n": "\x1b[31m", "#!": "",
	} {
		x, err := readExecutable(bytes.NewReader([]byte(text + "    ")))
		if err != nil || x == nil || x.Interpreter != want || x.Format != "script" {
			t.Errorf("%q is %+v, %v", text, x, err)
		}
	}
	for _, text := range []string{"", "abc", "plain text", "\x7fEL"} {
		if x, err := readExecutable(bytes.NewReader([]byte(text))); x != nil || err != nil {
			t.Errorf("%q is %+v, %v", text, x, err)
		}
	}
}

func FuzzExecutable(f *testing.F) {
	for _, head := range []string{"\x7fELF\x02\x01\x01", "\x7fELF\x01\x02\x01", "\xcf\xfa\xed\xfe\x07\x00\x00\x01", "MZ", "#!/bin/sh\n"} {
		f.Add([]byte(head + string(make([]byte, 200))))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := readExecutable(bytes.NewReader(b))
		if x != nil && (err != nil || len(x.Libraries) > maxLibraries || len(x.Interpreter) > maxInterpreter) {
			t.Errorf("%+v, %v", x, err)
		}
	})
}

// TestInspectEnds holds that what need not end is not read.
func TestInspectEnds(t *testing.T) {
	if _, err := inspect(t.Context(), os.DevNull); core.KindOf(err) != core.KindInput {
		t.Errorf("error = %v", err)
	}
}
