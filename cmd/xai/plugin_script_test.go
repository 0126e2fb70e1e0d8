package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xai-go/xai/internal/toolchain"
)

// TestAuthorScript runs the scripts of testdata/author, which write, build and
// test methods with the compilers of this machine. Beside what those of TestScript
// have, they know the condition [compiler:LANGUAGE].
func TestAuthorScript(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers take a while")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// The caches of Go, which lie below a home that scripts do not have.
	text, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	env := strings.Split(strings.TrimSpace(string(text)), "\n")
	cache := t.TempDir()
	commands := maps.Clone(scriptCommands)
	// replace FILE OLD LINE…: these lines take the place of OLD, where it first is.
	commands["replace"] = func(ts *testscript.TestScript, _ bool, args []string) {
		text := ts.ReadFile(args[0])
		if !strings.Contains(text, args[1]) {
			ts.Fatalf("%s has no %q", args[0], args[1])
		}
		text = strings.Replace(text, args[1], strings.Join(args[2:], "\n"), 1)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o666))
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/author",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                commands,
		Condition: func(name string) (bool, error) {
			if language, ok := strings.CutPrefix(name, "compiler:"); ok {
				return toolchain.Missing(t.Context(), toolchain.Language(language), ".") == nil, nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", cache)
			e.Setenv("LocalAppData", cache)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XAI", root)
			e.Setenv("BIN", filepath.SplitList(e.Getenv("PATH"))[0]) // where xai alone is
			e.Setenv("MODULES", filepath.Join(root, "core", "wasm", "testdata", "modules"))
			e.Setenv("GOCACHE", env[0])
			e.Setenv("GOMODCACHE", env[1])
			e.Setenv("GOPROXY", "off") // what is needed was needed to build this test
			return nil
		},
	})
}
